import base64
import json
import unittest

from src.hello import handler


class Context:
    function_name = "hello"
    aws_request_id = "id-1"

    def get_remaining_time_in_millis(self):
        return 3000


def event(method, path, **more):
    """An event of a function URL."""
    return {
        "rawPath": path,
        "headers": {},
        "requestContext": {"requestId": "id-1", "http": {"method": method, "path": path, "sourceIp": "127.0.0.1"}},
        "isBase64Encoded": False,
        **more,
    }


class Hello(unittest.TestCase):
    def test_greets_who_is_named(self):
        result = handler(event("GET", "/", queryStringParameters={"name": "Ada"}), Context())
        self.assertEqual(result["statusCode"], 200)
        self.assertTrue(json.loads(result["body"])["message"].endswith("Ada!"))

    def test_takes_a_body_in_base64_too(self):
        body = base64.b64encode(b"hello").decode()
        result = handler(event("POST", "/", body=body, isBase64Encoded=True), Context())
        self.assertEqual(json.loads(result["body"]), {"received": "hello", "requestId": "id-1"})

    def test_knows_no_other_path(self):
        self.assertEqual(handler(event("GET", "/none"), Context())["statusCode"], 404)


if __name__ == "__main__":
    unittest.main()
