import type { ServerResponse } from 'node:http'

import { errorMessage, FlexiError, type ErrorCode } from '../../../core/errors.ts'

/** A refusal in the form SDKs make their error classes of: the type in a field, the rest as JSON. */
export class ApiError extends Error {
  readonly status: number
  readonly type: string
  readonly body: Readonly<Record<string, unknown>>

  constructor(status: number, type: string, body: Readonly<Record<string, unknown>>) {
    super(String(body['message'] ?? body['Message']))
    this.name = type
    this.status = status
    this.type = type
    this.body = body
  }
}

/** The one error whose message has a capital letter. */
export function notFound(message: string): ApiError {
  return new ApiError(404, 'ResourceNotFoundException', { Type: 'User', Message: message })
}

export function invalidParameter(message: string): ApiError {
  return new ApiError(400, 'InvalidParameterValueException', { Type: 'User', message })
}

export function invalidContent(message: string): ApiError {
  return new ApiError(400, 'InvalidRequestContentException', { Type: 'User', message })
}

/** `members` says what may be there: `Member must satisfy enum value set: [a, b]`. */
export function invalidValue(value: string, at: string, members: string): ApiError {
  const message = `1 validation error detected: Value '${value}' at '${at}' failed to satisfy constraint: ${members}`
  return new ApiError(400, 'ValidationException', { message })
}

/** Something of that name is there already, or in the way. */
export function conflict(message: string): ApiError {
  return new ApiError(409, 'ResourceConflictException', { Type: 'User', message })
}

/** @throws ApiError PreconditionFailedException when the caller has seen another revision than the one in force. */
export function checkRevision(given: string | undefined, current: string): void {
  if (given === undefined || given === current) return
  const message =
    'The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to retrieve the latest Revision Id'
  throw new ApiError(412, 'PreconditionFailedException', { Type: 'User', message })
}

export function requestTooLarge(bytesMax: number, operation: string): ApiError {
  const message = `Request must be smaller than ${bytesMax} bytes for the ${operation} operation`
  return new ApiError(413, 'RequestTooLargeException', { Type: 'User', message })
}

/** What went wrong, as the API says it. */
export function asApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error
  const code = error instanceof FlexiError ? error.code : 'FLEXI_BUG'
  if (code === 'FLEXI_BAD_REQUEST') return invalidContent(errorMessage(error))
  if (code === 'FLEXI_CONFIG' || code === 'FLEXI_BUILD') return invalidParameter(errorMessage(error))
  const reason = THROTTLING.get(code)
  if (reason !== undefined) {
    const body = { Reason: reason, Type: 'User', message: 'Rate Exceeded.' }
    return new ApiError(429, 'TooManyRequestsException', body)
  }
  const status = code === 'FLEXI_SHUTTING_DOWN' ? 503 : 500
  return new ApiError(status, 'ServiceException', { Type: 'Service', Message: withHint(error) })
}

/** What is to be installed, say. */
function withHint(error: unknown): string {
  const hint = error instanceof FlexiError ? error.hint : undefined
  return hint === undefined ? errorMessage(error) : `${errorMessage(error)}. ${hint}`
}

const THROTTLING: ReadonlyMap<ErrorCode, string> = new Map([
  ['FLEXI_QUEUE_FULL', 'ConcurrentInvocationLimitExceeded'],
  ['FLEXI_THROTTLED', 'ReservedFunctionConcurrentInvocationLimitExceeded'],
])

export function sendError(error: ApiError, outgoing: ServerResponse): void {
  sendJson(outgoing, { status: error.status, body: error.body, fields: { 'x-amzn-ErrorType': error.type } })
}

export function sendJson(
  outgoing: ServerResponse,
  answer: {
    readonly status: number
    readonly body: unknown
    readonly fields?: Readonly<Record<string, string>>
  },
): void {
  const text = JSON.stringify(answer.body)
  outgoing.writeHead(answer.status, {
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(text),
    ...answer.fields,
  })
  outgoing.end(text)
}
