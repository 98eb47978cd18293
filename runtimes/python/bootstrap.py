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
        if host == "unix":
            # Kept apart from the server's network.
            address = "localhost"
            self.connection = socket.socket(socket.AF_UNIX)
            self.connection.connect(port)
        else:
            self.connection = socket.create_connection((host, int(port)))
            self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffered = b""
        self.host = f" HTTP/1.1\r\nHost: {address}\r\n"
        self.next = f"GET {API}runtime/invocation/next{self.host}\r\n".encode()

    def get(self, call):
        self.connection.sendall(f"GET {API}{call}{self.host}\r\n".encode())
        return self.read()

    def post(self, call, body, fields):
        self.connection.sendall(self.message(call, body, fields))
        return self.read()

    def first(self):
        self.connection.sendall(self.next)
        return self.read()

    def answer(self, call, body, fields):
        """Sends what came of an invocation and asks for the next one, in one write."""
        self.connection.sendall(b"".join((self.message(call, body, fields), self.next)))
        self.read()
        return self.read()

    def message(self, call, body, fields):
        return f"POST {API}{call}{self.host}Content-Length: {len(body)}\r\n{fields}\r\n".encode() + body

    def read(self):
        buffered = self.buffered
        while (end := buffered.find(b"\r\n\r\n")) < 0:
            buffered += self.receive()
        # The first line says that all is well: nothing is asked that could be refused.
        fields = dict([line.split(": ", 1) for line in buffered[:end].decode().split("\r\n")[1:]])
        start = end + 4
        end = start + int(fields["Content-Length"])
        if len(buffered) < end:
            parts = [buffered]
            missing = end - len(buffered)
            while missing > 0:
                part = self.receive()
                parts.append(part)
                missing -= len(part)
            buffered = b"".join(parts)
        self.buffered = buffered[end:]
        return fields, buffered[start:end]

    def receive(self):
        part = self.connection.recv(1 << 18)
        if not part:
            # The server is gone, and with it the reason to run.
            raise SystemExit(0)
        return part


def shown(self):
    """Like Lambda's own objects when they are printed: `Client([app_title=a,...])`."""
    names = getattr(self, "__slots__", None) or self.names
    values = ",".join(f"{name}={getattr(self, name)}" for name in names)
    return f"{type(self).__name__}([{values}])"


def fill(target, known):
    for name in target.__slots__:
        setattr(target, name, known.get(name))
    return target


class CognitoIdentity:
    __slots__ = ("cognito_identity_id", "cognito_identity_pool_id")


class Client:
    __slots__ = ("installation_id", "app_title", "app_version_name", "app_version_code", "app_package_name")


class ClientContext:
    __slots__ = ("custom", "env", "client")


class LambdaContext:
    """The handler's second argument."""

    names = (
        "aws_request_id",
        "log_group_name",
        "log_stream_name",
        "function_name",
        "memory_limit_in_mb",
        "function_version",
        "invoked_function_arn",
        "client_context",
        "identity",
        "tenant_id",
    )

    def __init__(self, fields):
        self.__dict__.update(FIXED)
        self.aws_request_id = fields["Lambda-Runtime-Aws-Request-Id"]
        self.invoked_function_arn = fields.get("Lambda-Runtime-Invoked-Function-Arn")
        self.tenant_id = fields.get("Lambda-Runtime-Aws-Tenant-Id")
        self._deadline_ms = int(fields.get("Lambda-Runtime-Deadline-Ms", 0))
        self._w3c = {}
        client = parsed(fields.get("Lambda-Runtime-Client-Context"), "Client Context")
        self.client_context = None if client is None else self.client_of(client)
        known = parsed(fields.get("Lambda-Runtime-Cognito-Identity"), "Cognito Identity") or {}
        self.identity = CognitoIdentity()
        self.identity.cognito_identity_id = known.get("cognitoIdentityId")
        self.identity.cognito_identity_pool_id = known.get("cognitoIdentityPoolId")

    def client_of(self, known):
        trace = known.pop("w3c", None)
        if isinstance(trace, dict):
            names = ("traceparent", "tracestate", "baggage")
            self._w3c = {name: trace[name] for name in names if isinstance(trace.get(name), str)}
        context = fill(ClientContext(), known)
        if context.client is not None:
            context.client = fill(Client(), context.client)
        return context

    def get_remaining_time_in_millis(self):
        return max(0, self._deadline_ms - int(time.time() * 1000))

    def w3c(self):
        return dict(self._w3c)

    def log(self, message):
        sys.stdout.write(str(message))


for shown_class in (CognitoIdentity, Client, ClientContext, LambdaContext):
    shown_class.__repr__ = shown

# What contexts say of the environment: the same in all of them.
FIXED = {}


def read_environment():
    FIXED.update(
        log_group_name=os.environ.get("AWS_LAMBDA_LOG_GROUP_NAME"),
        log_stream_name=os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME"),
        function_name=os.environ.get("AWS_LAMBDA_FUNCTION_NAME"),
        memory_limit_in_mb=os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"),
        function_version=os.environ.get("AWS_LAMBDA_FUNCTION_VERSION"),
    )


def parsed(text, name):
    if not text:
        return None
    try:
        return json.loads(text)
    except ValueError as error:
        raise Fault("Runtime.LambdaContextUnmarshalError", f"Unable to parse {name} JSON: {error}") from None


def install_logging(current):
    """The root logger writes to standard output, as Lambda's does: level, time, request and message, separated by tabs."""
    import logging

    logging.Formatter.converter = time.gmtime
    handler = logging.StreamHandler(sys.stdout)
    handler.addFilter(lambda record: own_fields(record, current))
    if JSON_FORMAT:
        handler.setFormatter(json_formatter(logging))
    else:
        form = "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s"
        handler.setFormatter(logging.Formatter(form, "%Y-%m-%dT%H:%M:%S"))
    level = os.environ.get("AWS_LAMBDA_LOG_LEVEL", "").upper()
    level = "DEBUG" if level == "TRACE" else level
    if level in ("DEBUG", "INFO", "WARN", "WARNING", "ERROR", "FATAL", "CRITICAL"):
        logging.root.setLevel(level)
    logging.root.addHandler(handler)


def own_fields(record, current):
    record.aws_request_id = current.get("id", "")
    record.tenant_id = current.get("tenant")
    return True


def json_formatter(logging):
    plain = logging.makeLogRecord({})
    own = set(plain.__dict__) | {"aws_request_id", "tenant_id", "message", "asctime", "taskName"}
    times = logging.Formatter(datefmt="%Y-%m-%dT%H:%M:%SZ")

    class JsonFormatter(logging.Formatter):
        def format(self, record):
            told = isinstance(record.msg, dict) and not record.args
            line = {
                "timestamp": times.formatTime(record, times.datefmt),
                "level": logging.getLevelName(min(50, max(0, record.levelno)) // 10 * 10),
                "message": record.msg if told else record.getMessage(),
                "logger": record.name,
                **error_fields(record),
                "requestId": record.aws_request_id,
                "location": location(record),
                "tenantId": record.tenant_id,
            }
            more = {name: value for name, value in record.__dict__.items() if name not in own and name not in line}
            every = {name: value for name, value in {**line, **more}.items() if value is not None}
            return json.dumps(every, ensure_ascii=False, default=str)

    return JsonFormatter()


def error_fields(record):
    if not record.exc_info or record.exc_info[0] is None:
        return {}
    import traceback

    kind, error, trace = record.exc_info
    return {
        "stackTrace": traceback.format_tb(trace),
        "errorType": kind.__name__,
        "errorMessage": str(error),
    }


def location(record):
    return f"{record.pathname}:{record.funcName}:{record.lineno}" if record.exc_info else None


def load(handler):
    """`app.handler`, `folder/app.handler`, `folder.app.handler` → the function."""
    import importlib

    try:
        module_name, name = handler.rsplit(".", 1)
    except ValueError as error:
        raise Fault("Runtime.MalformedHandlerName", f"Bad handler '{handler}': {error}") from None
    if module_name.split(".")[0] in sys.builtin_module_names:
        message = f"Cannot use built-in module {module_name} as a handler module"
        raise Fault("Runtime.BuiltInModuleConflict", message)
    try:
        module = importlib.import_module(module_name.replace("/", "."))
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

    entries = traceback.extract_tb(error.__traceback__)
    # As tuples they are shown without the marks under the expression, which Lambda leaves out too.
    return traceback.format_list([tuple(entry) for entry in entries if entry.filename != __file__])


def describe(error, request_id):
    known = isinstance(error, Fault)
    return {
        "errorMessage": str(error),
        "errorType": error.error_type if known else type(error).__name__,
        "requestId": request_id,
        "stackTrace": error.trace if known else frames(error),
    }


def log_lines(body):
    """The failure as Lambda's runtime logs it: one line to its log, whose parts are separated by carriage returns."""
    if JSON_FORMAT:
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        return json.dumps({"timestamp": now, "level": "ERROR", **body})
    told = ": ".join(text for text in (body["errorType"], body["errorMessage"]) if text)
    lines = [f"[ERROR] {told}", "Traceback (most recent call last):"]
    for entry in body["stackTrace"]:
        for line in entry.splitlines():
            text = line.lstrip(" ")
            lines.append("\u00a0" * (len(line) - len(text)) + text)
    return "\r".join(lines)


def failure(error, request_id):
    """The body of an error, and the fields it is sent with."""
    from urllib.parse import quote

    body = describe(error, request_id)
    # The server writes it to the log; printed here, people would read every failure twice.
    notice = quote(log_lines(body)[:16_000])
    kind = "".join(letter for letter in body["errorType"] if letter.isprintable())
    fields = f"Content-Type: application/json\r\nLambda-Runtime-Function-Error-Type: {kind}\r\nFlexi-Notice: {notice}\r\n"
    return encode(body), fields


def encoder():
    """Text as it is from Python 3.12 on, escaped before."""
    ascii_only = sys.version_info < (3, 12)
    named = os.environ.get("AWS_EXECUTION_ENV", "")
    if named.startswith("AWS_Lambda_python3."):
        ascii_only = named in ("AWS_Lambda_python3.8", "AWS_Lambda_python3.9", "AWS_Lambda_python3.10", "AWS_Lambda_python3.11")
    return json.JSONEncoder(ensure_ascii=ascii_only, default=other_value).encode


# Stands before a number that is a text until it is encoded: no JSON encoder writes the digits of a Decimal.
NUMBER = "\x00" + os.urandom(8).hex()
NUMBER_TEXT = f'"\\u0000{NUMBER[1:]}'


def other_value(value):
    # DynamoDB's client returns every number as a Decimal.
    if type(value).__name__ == "Decimal":
        return float("nan") if value.is_nan() else f"{NUMBER}{value}{NUMBER[1:]}"
    if isinstance(value, bytes):
        return value.decode()
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


encode_text = json.dumps


def encode(value):
    text = encode_text(value)
    if NUMBER_TEXT in text:
        text = text.replace(NUMBER_TEXT, "").replace(f'{NUMBER[1:]}"', "")
    return text.encode()


def marshal(result):
    """The result's bytes and their type; bytes go as they are."""
    if isinstance(result, bytes):
        return result, "Content-Type: application/unknown\r\n"
    try:
        return encode(result), "Content-Type: application/json\r\n"
    except Exception as error:
        raise Fault("Runtime.MarshalError", f"Unable to marshal response: {error}") from error


def call(handler, fields, event):
    """What is sent for an invocation: `response` or `error`, body and fields."""
    request_id = fields["Lambda-Runtime-Aws-Request-Id"]
    try:
        return ("response", *marshal(handler(json.loads(event), LambdaContext(fields))))
    except Exception as error:
        return ("error", *failure(error, request_id))


def set_trace(trace):
    if trace is not None:
        os.environ["_X_AMZN_TRACE_ID"] = trace
    else:
        os.environ.pop("_X_AMZN_TRACE_ID", None)


def main():
    global encode_text
    sys.stdout.reconfigure(line_buffering=True)
    api = Api(os.environ["AWS_LAMBDA_RUNTIME_API"])
    current = {}
    install_logging(current)
    _, variables = api.get("flexi/load")
    os.environ.update(json.loads(variables))
    read_environment()
    encode_text = encoder()
    # The folder of this file is no place for the user's imports.
    sys.path[0] = os.environ["LAMBDA_TASK_ROOT"]
    forget_bytecode(OwnCode(sys.path[0]))
    try:
        handler = load(os.environ["_HANDLER"])
    except Exception as error:
        sys.stdout.flush()
        api.post("runtime/init/error", *failure(error, ""))
        raise SystemExit(1) from None
    fields, event = api.first()
    while True:
        request_id = fields["Lambda-Runtime-Aws-Request-Id"]
        current["id"] = request_id
        current["tenant"] = fields.get("Lambda-Runtime-Aws-Tenant-Id")
        set_trace(fields.get("Lambda-Runtime-Trace-Id"))
        what, body, extra = call(handler, fields, event)
        sys.stdout.flush()
        sys.stderr.flush()
        fields, event = api.answer(f"runtime/invocation/{request_id}/{what}", body, extra)


if __name__ == "__main__":
    main()
