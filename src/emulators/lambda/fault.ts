import type { FunctionFault } from '../../core/function.ts'
import { LIMITS } from '../../core/limits.ts'
import type { ChildExit } from '../../instances/child.ts'
import type { Definition } from './definition.ts'
import { RESPONSE_BYTES_MAX } from './limits.ts'
import { exitMessage, timeoutMessage } from './report.ts'
import { userFrame } from './user-frame.ts'

/** A failure, both for the author and for the caller. */
export interface Failure {
  readonly fault: FunctionFault
  /** Lambda's error object as JSON. */
  readonly payload: Buffer
}

/** What a runtime sent as an error: shapes differ between languages, so nothing is taken for granted. */
export function failureOf(
  payload: Buffer,
  definition: Definition,
  about: Pick<FunctionFault, 'kind' | 'requestId'>,
): Failure {
  const body = parseBody(payload)
  const name = typeof body['errorType'] === 'string' ? body['errorType'] : 'Error'
  const message = typeof body['errorMessage'] === 'string' ? body['errorMessage'] : payload.toString()
  const trace = stackLines(body)
  const stack = trace.length === 0 ? undefined : trace.join('\n')
  const frame = userFrame(trace, message)
  const hint = hintFor(name, message, definition)
  return { fault: { function: definition.name, name, message, stack, frame, hint, ...about }, payload }
}

export function timeoutFailure(definition: Definition, requestId: string): Failure {
  const message = timeoutMessage(definition.timeoutMs)
  return {
    payload: errorPayload('Sandbox.Timedout', `RequestId: ${requestId} Error: ${message}`),
    fault: {
      function: definition.name,
      kind: 'timeout',
      name: 'Sandbox.Timedout',
      message,
      requestId,
      hint: `Find what it waits for, or raise its timeout (now ${definition.timeoutMs / 1000} s).`,
    },
  }
}

export function exitFailure(definition: Definition, requestId: string | undefined, exit: ChildExit): Failure {
  const message = exit.error?.message ?? exitMessage(exit.code, exit.signal)
  return {
    payload: exitPayload(requestId, message),
    fault: { function: definition.name, kind: 'crash', name: 'Runtime.ExitError', message, requestId },
  }
}

export function memoryFailure(
  definition: Definition,
  requestId: string | undefined,
  exit: ChildExit,
): Failure {
  return {
    payload: exitPayload(requestId, exitMessage(exit.code, exit.signal)),
    fault: {
      function: definition.name,
      kind: 'memory',
      name: 'Runtime.ExitError',
      message: `it used up its ${definition.memoryMb} MB of memory and was ended`,
      requestId,
      hint: `Find what it keeps, or raise its memory (now ${definition.memoryMb} MB).`,
    },
  }
}

export function initTimeoutFailure(definition: Definition): Failure {
  const message = `Init took longer than ${LIMITS.initMs / 1000} seconds`
  return {
    payload: errorPayload('Sandbox.Timedout', message),
    fault: {
      function: definition.name,
      kind: 'init',
      name: 'Sandbox.Timedout',
      message,
      hint: 'Move slow work out of the top level of the module.',
    },
  }
}

export function tooLargeFailure(
  definition: Definition,
  requestId: string | undefined,
  bytes?: number,
): Failure {
  return {
    payload: Buffer.from(
      JSON.stringify({
        errorMessage: `Response payload size exceeded maximum allowed payload size (${RESPONSE_BYTES_MAX} bytes).`,
        errorType: 'Function.ResponseSizeTooLarge',
      }),
    ),
    fault: {
      function: definition.name,
      kind: 'result',
      name: 'Function.ResponseSizeTooLarge',
      message: `the result has ${bytes ?? 'too many'} bytes; ${RESPONSE_BYTES_MAX} are allowed`,
      requestId,
      hint: 'Stream the response, or send less.',
    },
  }
}

function errorPayload(errorType: string, errorMessage: string): Buffer {
  return Buffer.from(JSON.stringify({ errorType, errorMessage }))
}

function exitPayload(requestId: string | undefined, message: string): Buffer {
  return errorPayload(
    'Runtime.ExitError',
    requestId === undefined ? message : `RequestId: ${requestId} Error: ${message}`,
  )
}

function stackLines(body: Readonly<Record<string, unknown>>): string[] {
  const trace = body['trace'] ?? body['stackTrace']
  return Array.isArray(trace)
    ? trace.filter((line) => typeof line === 'string').map((line) => line.trimEnd())
    : []
}

function parseBody(payload: Buffer): Record<string, unknown> {
  try {
    const body: unknown = JSON.parse(payload.toString())
    return typeof body === 'object' && body !== null ? { ...body } : {}
  } catch {
    return {}
  }
}

function hintFor(name: string, message: string, definition: Definition): string | undefined {
  const missing = /Cannot find (?:module|package) '([^'./][^']*)'/.exec(message)?.[1]
  if (missing !== undefined) {
    const scoped = missing.split('/').slice(0, missing.startsWith('@') ? 2 : 1)
    return `Install it: npm install ${scoped.join('/')}`
  }
  const python = /No module named '([^']+)'/.exec(message)?.[1]
  if (python !== undefined) return `Install it where python3 finds it: pip install ${python.split('.')[0]}`
  if (name === 'Runtime.HandlerNotFound')
    return `Export it, or correct the handler in ${definition.origin.file}.`
  if (name === 'Runtime.NodeJsExit')
    return 'Settle the promise: look for a callback that is never called or an emitter that never emits.'
  if (/ES Module scope|import statement outside a module|Unexpected token 'export'/.test(message)) {
    return 'Name the file .mjs or .cjs, or set "type" in package.json.'
  }
  return undefined
}
