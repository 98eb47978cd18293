import type { Files } from '../harness.ts'

/** Functions like those that the recordings were made with, in our own words. */

export const PYTHON_ECHO: Files = {
  'handler.py': `import json
def handler(event, context):
    print(json.dumps(event))
    return event
`,
}

export const NODE_ECHO: Files = {
  'index.js': `exports.handler = async (event) => {
  console.log(JSON.stringify(event))
  return event
}`,
}

export const PYTHON_CONTEXT: Files = {
  'handler.py': `import json, logging
logger = logging.getLogger()
logger.setLevel(logging.INFO)
def handler(event, context):
    print("Lambda log message - print function")
    logger.info("Lambda log message - logging module")
    names = ["aws_request_id", "client_context", "function_name", "function_version", "invoked_function_arn",
             "log_group_name", "log_stream_name", "memory_limit_in_mb"]
    return {"event": event, "context": {name: getattr(context, name) for name in names}}
`,
}

export const NODE_CONTEXT: Files = {
  'lambda_integration.js': `exports.handler = async (event, context) => ({ context })`,
}

export const NODE_COUNTER: Files = {
  'index.js': `let counter = 0
exports.handler = async () => ({ counter: counter++ })`,
}

export const PYTHON_COUNTER: Files = {
  'handler.py': `counter = 0
def handler(event, context):
    global counter
    counter += 1
    return {"counter": counter - 1}
`,
}

export const PYTHON_SLEEP: Files = {
  'handler.py': `import time
def handler(event, context):
    time.sleep(event.get("seconds", 0))
`,
}

/** A number of the process, and a file outside of it. */
export const PYTHON_STATE: Files = {
  'handler.py': `import time
number = 0
def handler(event, context):
    global number
    if "write" in event:
        with open(event["file"], "w") as file:
            file.write(event["write"])
    elif "read" in event:
        with open(event["file"]) as file:
            return {"content": file.read()}
    elif "number" in event:
        number = event["number"]
    elif "seconds" in event:
        time.sleep(event["seconds"])
    else:
        return {"number": number}
`,
}

export const PYTHON_HELLO: Files = {
  'handler.py': `def handler(event, context):
    return {"hello": "world"}
`,
}

export const PYTHON_ENVIRONMENT: Files = {
  'handler.py': `import os
environment = dict(os.environ)
def handler(event, context):
    return {"environment": environment}
`,
}

export const PYTHON_LARGE: Files = {
  'handler.py': `def handler(event, context):
    return "a" * event["bytes"]
`,
}

export function pythonVersion(version: string): Files {
  return {
    'handler.py': `def handler(event, context):
    return {"invoked_arn": context.invoked_function_arn, "version_from_ctx": context.function_version, "version_id": "${version}"}
`,
  }
}

/** Says of a request to its function URL what it was. */
export const PYTHON_URL_ECHO: Files = {
  'handler.py': `def handler(event, context):
    http = event["requestContext"]["http"]
    fields = event["headers"]
    if not event["rawPath"].startswith("/pa2"):
        fields = {name: fields[name] for name in fields if not name.startswith("x-")}
    return {
        "args": event.get("queryStringParameters", {}),
        "data": event["body"],
        "domain": event["requestContext"]["domainName"],
        "headers": fields,
        "method": http["method"],
        "origin": http["sourceIp"],
        "path": event["rawPath"],
    }
`,
}

/** Whatever the runtime says of a function, as the recordings' functions told it. */
export const INTROSPECTION: Readonly<Record<'node' | 'python' | 'custom', Files>> = {
  node: {
    'index.js': `exports.handler = async (event, context) => {
  if (event.error_msg) throw new Error('Error: ' + event.error_msg)
  return { environment: process.env, packages: [], ctx: {
    aws_request_id: context.awsRequestId, function_name: context.functionName, function_version: context.functionVersion,
    invoked_function_arn: context.invokedFunctionArn, log_group_name: context.logGroupName,
    log_stream_name: context.logStreamName, remaining_time_in_millis: context.getRemainingTimeInMillis() } }
}`,
  },
  python: {
    'handler.py': `import os
def handler(event, context):
    if "error_msg" in event:
        raise Exception("Failed: " + event["error_msg"])
    names = ["aws_request_id", "function_name", "function_version", "invoked_function_arn", "log_group_name",
             "log_stream_name", "memory_limit_in_mb"]
    told = {name: getattr(context, name) for name in names}
    told["remaining_time_in_millis"] = context.get_remaining_time_in_millis()
    return {"environment": dict(os.environ), "packages": [], "ctx": told}
`,
  },
  custom: {
    bootstrap: `#!/usr/bin/env python3
import json, os, urllib.request
environment = {name: os.environ[name] for name in os.environ if name != "LC_CTYPE"}
base = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/invocation/"
while True:
    with urllib.request.urlopen(base + "next") as answer:
        event, fields = json.load(answer), answer.headers
    name = fields["Lambda-Runtime-Aws-Request-Id"]
    environment["_X_AMZN_TRACE_ID"] = fields["Lambda-Runtime-Trace-Id"]
    if "error_msg" in event:
        kind = "&alloc::boxed::Box<dyn core::error::Error + core::marker::Send + core::marker::Sync>"
        message = "Error: " + json.dumps(event["error_msg"])
        path, result = "/error", {"errorType": kind, "errorMessage": message}
    elif event.get("echo"):
        path, result = "/response", event
    else:
        path, result = "/response", {"environment": environment, "packages": [], "ctx": {
            "aws_request_id": name,
            "deadline": int(fields["Lambda-Runtime-Deadline-Ms"]),
            "invoked_function_arn": fields["Lambda-Runtime-Invoked-Function-Arn"],
            "function_name": os.environ["AWS_LAMBDA_FUNCTION_NAME"],
            "function_version": os.environ["AWS_LAMBDA_FUNCTION_VERSION"],
            "log_group_name": os.environ["AWS_LAMBDA_LOG_GROUP_NAME"],
            "log_stream_name": os.environ["AWS_LAMBDA_LOG_STREAM_NAME"],
            "memory_limit_in_mb": int(os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]),
        }}
    urllib.request.urlopen(base + name + path, json.dumps(result).encode()).close()
`,
  },
}

/** Starts the runtime with one more variable. */
export const WRAPPER = `#!/bin/bash
export WRAPPER_VAR=test_value
exec "$@"
`
