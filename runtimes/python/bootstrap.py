"""Runs a Python handler: asks the Runtime API for invocations, one after the other, and sends what comes of them.

Started as `python3 bootstrap.py`, with Lambda's environment variables. It loads nothing of the user's before the server says so, so that
a process can be kept ready. Requests are written by hand: the standard library's client would double the time of a cold start.
"""

import json
import os
import socket
import sys
import time
from importlib.machinery import SourceFileLoader

# Nothing is written into the folder of this file.
sys.dont_write_bytecode, writes_no_bytecode = True, sys.dont_write_bytecode
from own_code import OwnCode  # noqa: E402

sys.dont_write_bytecode = writes_no_bytecode

API = "/2018-06-01/"
JSON_FORMAT = os.environ.get("AWS_LAMBDA_LOG_FORMAT", "").upper() == "JSON"


class Fault(Exception):
    """A failure with one of the runtime's own error types."""

    def __init__(self, error_type, message, trace=()):
        super().__init__(message)
        self.error_type = error_type
        self.trace = list(trace)


class Api:
    """One connection, kept open."""

    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.host = address
        self.connection = socket.create_connection((host, int(port)))
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffered = b""

    def request(self, method, call, body=b"", fields=()):
        head = [f"{method} {API}{call} HTTP/1.1", f"Host: {self.host}", f"Content-Length: {len(body)}", *fields]
        self.connection.sendall(("\r\n".join(head) + "\r\n\r\n").encode() + body)
        return self.read()

    def read(self):
        while b"\r\n\r\n" not in self.buffered:
            self.receive()
        head, _, self.buffered = self.buffered.partition(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        fields = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        length = int(fields.get("content-length", 0))
        parts = [self.buffered]
        have = len(self.buffered)
        while have < length:
            part = self.connection.recv(1 << 18)
            if not part:
                raise SystemExit(0)
            parts.append(part)
            have += len(part)
        data = b"".join(parts)
        self.buffered = data[length:]
        return int(status.split(" ")[1]), fields, data[:length]

    def receive(self):
        part = self.connection.recv(1 << 16)
        if not part:
            # The server is gone, and with it the reason to run.
            raise SystemExit(0)
        self.buffered += part


class CognitoIdentity:
    __slots__ = ("cognito_identity_id", "cognito_identity_pool_id")

    def __init__(self, text):
        known = json.loads(text) if text else {}
        self.cognito_identity_id = known.get("cognitoIdentityId")
        self.cognito_identity_pool_id = known.get("cognitoIdentityPoolId")


class Client:
    __slots__ = ("installation_id", "app_title", "app_version_name", "app_version_code", "app_package_name")


class ClientContext:
    __slots__ = ("custom", "env", "client")

    def __init__(self, known):
        self.custom = known.get("custom")
        self.env = known.get("env")
        self.client = None
        if isinstance(known.get("client"), dict):
            self.client = Client()
            for name in Client.__slots__:
                setattr(self.client, name, known["client"].get(name))


class LambdaContext:
    """The handler's second argument."""

    def __init__(self, fields):
        self.aws_request_id = fields["lambda-runtime-aws-request-id"]
        self.invoked_function_arn = fields.get("lambda-runtime-invoked-function-arn")
        self.log_group_name = os.environ.get("AWS_LAMBDA_LOG_GROUP_NAME")
        self.log_stream_name = os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME")
        self.function_name = os.environ.get("AWS_LAMBDA_FUNCTION_NAME")
        self.memory_limit_in_mb = os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
        self.function_version = os.environ.get("AWS_LAMBDA_FUNCTION_VERSION")
        text = fields.get("lambda-runtime-client-context")
        self.client_context = ClientContext(json.loads(text)) if text else None
        self.identity = CognitoIdentity(fields.get("lambda-runtime-cognito-identity"))
        self.tenant_id = fields.get("lambda-runtime-aws-tenant-id")
        self._deadline_ms = int(fields.get("lambda-runtime-deadline-ms", 0))

    def get_remaining_time_in_millis(self):
        return max(0, self._deadline_ms - int(time.time() * 1000))

    def log(self, message):
        sys.stdout.write(str(message))


def install_logging(current):
    """The root logger writes to standard output, as Lambda's does: level, time, request and message, separated by tabs."""
    import logging

    class Formatter(logging.Formatter):
        converter = time.gmtime

        def format(self, record):
            record.aws_request_id = current.get("id", "")
            if not JSON_FORMAT:
                return super().format(record)
            line = {
                "timestamp": self.formatTime(record, "%Y-%m-%dT%H:%M:%SZ"),
                "level": record.levelname,
                "message": record.getMessage(),
                "logger": record.name,
                "requestId": record.aws_request_id,
            }
            if record.exc_info:
                line["stackTrace"] = self.formatException(record.exc_info).split("\n")
                line["errorType"] = record.exc_info[0].__name__
                line["errorMessage"] = str(record.exc_info[1])
            return json.dumps({name: value for name, value in line.items() if value != ""}, default=str)

    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        Formatter("[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s", "%Y-%m-%dT%H:%M:%S")
    )
    logging.root.addHandler(handler)
    level = os.environ.get("AWS_LAMBDA_LOG_LEVEL", "").upper()
    if JSON_FORMAT and level in ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"):
        logging.root.setLevel({"TRACE": "DEBUG", "WARN": "WARNING", "FATAL": "CRITICAL"}.get(level, level))


def load(handler):
    """`app.handler`, `folder/app.handler`, `folder.app.handler` → the function."""
    import importlib

    module_name, dot, name = handler.rpartition(".")
    if not dot or not module_name:
        raise Fault("Runtime.MalformedHandlerName", f"Bad handler '{handler}': it names no function in a module")
    module_name = module_name.replace("/", ".")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise Fault("Runtime.ImportModuleError", f"Unable to import module '{module_name}': {error}", frames(error)) from error
    except SyntaxError as error:
        place = [f'  File "{error.filename}", line {error.lineno}\n    {error.text}']
        raise Fault("Runtime.UserCodeSyntaxError", f"Syntax error in module '{module_name}': {error}", place) from error
    try:
        return getattr(module, name)
    except AttributeError:
        raise Fault("Runtime.HandlerNotFound", f"Handler '{name}' missing on module '{module_name}'") from None


def forget_bytecode(own):
    """Python takes two edits within a second for one when they have equally many bytes: the user's own files are read anew each time."""
    path_stats = SourceFileLoader.path_stats

    def stats(self, path):
        if path in own:
            raise OSError("no bytecode")
        return path_stats(self, path)

    SourceFileLoader.path_stats = stats


def frames(error):
    """The traceback, without what is ours."""
    import traceback

    own = __file__
    entries = [entry for entry in traceback.extract_tb(error.__traceback__) if entry.filename != own]
    return traceback.format_list(entries)


def describe(error, request_id):
    if isinstance(error, Fault):
        body = {"errorMessage": str(error), "errorType": error.error_type, "requestId": request_id, "stackTrace": error.trace}
    else:
        body = {
            "errorMessage": str(error),
            "errorType": type(error).__name__,
            "requestId": request_id,
            "stackTrace": frames(error),
        }
    return json.dumps(body).encode()


def marshal(result):
    try:
        return json.dumps(result, ensure_ascii=False, default=decimal_to_number).encode()
    except Exception as error:
        raise Fault("Runtime.MarshalError", f"Unable to marshal response: {error}") from error


def decimal_to_number(value):
    # DynamoDB's client returns every number as a Decimal.
    if type(value).__name__ == "Decimal":
        return int(value) if value == value.to_integral_value() else float(value)
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def invoke(api, handler, current):
    _, fields, event = api.request("GET", "runtime/invocation/next")
    request_id = fields["lambda-runtime-aws-request-id"]
    current["id"] = request_id
    trace = fields.get("lambda-runtime-trace-id")
    if trace:
        os.environ["_X_AMZN_TRACE_ID"] = trace
    try:
        result = marshal(handler(json.loads(event), LambdaContext(fields)))
    except Exception as error:
        outcome = ("error", describe(error, request_id), ["Lambda-Runtime-Function-Error-Type: Function." + type(error).__name__])
    else:
        outcome = ("response", result, [])
    sys.stdout.flush()
    sys.stderr.flush()
    what, body, extra = outcome
    api.request("POST", f"runtime/invocation/{request_id}/{what}", body, ["Content-Type: application/json", *extra])


def main():
    sys.stdout.reconfigure(line_buffering=True)
    api = Api(os.environ["AWS_LAMBDA_RUNTIME_API"])
    current = {}
    install_logging(current)
    _, _, variables = api.request("GET", "flexi/load")
    os.environ.update(json.loads(variables))
    # The folder of this file is no place for the user's imports.
    sys.path[0] = os.environ["LAMBDA_TASK_ROOT"]
    forget_bytecode(OwnCode(sys.path[0]))
    try:
        handler = load(os.environ["_HANDLER"])
    except Exception as error:
        sys.stdout.flush()
        api.request("POST", "runtime/init/error", describe(error, ""), ["Content-Type: application/json"])
        raise SystemExit(1) from None
    while True:
        invoke(api, handler, current)


if __name__ == "__main__":
    main()
