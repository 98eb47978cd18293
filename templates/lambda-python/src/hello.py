import base64
import json
import logging
import os

# What is up here runs once an environment, before its first request.
greeting = os.environ.get("GREETING", "Hi")
count = 0
log = logging.getLogger()
log.setLevel(logging.INFO)


def handler(event, context):
    global count
    count += 1
    http = event["requestContext"]["http"]
    log.info("%s %s, %d ms left", http["method"], http["path"], context.get_remaining_time_in_millis())

    if http["method"] == "POST":
        return answer(200, {"received": body_of(event), "requestId": context.aws_request_id})
    if http["path"] != "/":
        return answer(404, {"message": f"there is nothing at {http['path']}"})
    name = event.get("queryStringParameters", {}).get("name", "world")
    return answer(200, {"message": f"{greeting}, {name}!", "count": count})


def body_of(event):
    """Bodies that are no text come in Base64."""
    body = event.get("body", "")
    return base64.b64decode(body).decode() if event["isBase64Encoded"] else body


def answer(status, value):
    return {"statusCode": status, "headers": {"content-type": "application/json"}, "body": json.dumps(value)}
