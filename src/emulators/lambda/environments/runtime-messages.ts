import type { Invocation, Outcome } from './environment.ts'
import type { Fields } from './request-reader.ts'

export const JSON_FIELD = 'Content-Type: application/json\r\n'
export const TEXT_FIELD = 'Content-Type: text/plain; charset=utf-8\r\n'
export const ACCEPTED = { status: 202, body: '{"status":"OK"}\n' } as const

export interface Reply {
  readonly status: number
  readonly body: string
}

export function refusal(status: number, errorType: string, errorMessage: string): Reply {
  return { status, body: `${JSON.stringify({ errorMessage, errorType })}\n` }
}

/** The fields of an answer to `next`, as lines. */
export function invocationFields(
  { id, deadline, trace, clientContext, functionArn }: Invocation,
  ownArn: string,
): string {
  const client =
    clientContext === undefined ? '' : `Lambda-Runtime-Client-Context: ${oneLine(clientContext)}\r\n`
  return `${JSON_FIELD}Lambda-Runtime-Aws-Request-Id: ${id}\r\nLambda-Runtime-Deadline-Ms: ${deadline}\r\nLambda-Runtime-Invoked-Function-Arn: ${functionArn ?? ownArn}\r\nLambda-Runtime-Trace-Id: ${oneLine(trace)}\r\n${client}`
}

/** JSON may have line ends between its parts; a field may not. */
function oneLine(text: string): string {
  return /[\r\n\0]/.test(text) ? text.replaceAll(/[\r\n\0]+/g, ' ') : text
}

export function errorOutcome(errorType: string, errorMessage: string): Outcome {
  return { kind: 'error', payload: Buffer.from(JSON.stringify({ errorMessage, errorType })), errorType }
}

const ERROR_CAUSE = 'application/vnd.aws.lambda.error.cause+json'

/** A runtime's error goes on as it is, but for one type of body that carries more than callers are to see. */
export function errorBody(fields: Fields, payload: Buffer): Buffer {
  if (fields.get('content-type') !== ERROR_CAUSE) return payload
  try {
    const { errorMessage, errorType, stackTrace } = JSON.parse(payload.toString()) as Record<string, unknown>
    return Buffer.from(JSON.stringify({ errorMessage, errorType, stackTrace }))
  } catch {
    return Buffer.from('Invalid error body')
  }
}

/** What the platform calls an error: the runtime's own name for it where that is one of the allowed. */
export function errorTypeOf(fields: Fields): string {
  const named = fields.get(ERROR_TYPE) ?? ''
  if (/^(Runtime|Function)\.[A-Z][a-zA-Z]+$/.test(named)) return named
  return named.startsWith('Function.') ? 'Function.Unknown' : 'Runtime.Unknown'
}

const CAUSE_BYTES_MAX = 64 * 1024

/** X-Ray's view of an error, as JSON; undefined when it says nothing that X-Ray would take. */
export function errorCauseOf(fields: Fields): string | undefined {
  const text = fields.get('lambda-runtime-function-xray-error-cause')
  if (text === undefined || text.length > CAUSE_BYTES_MAX) return undefined
  try {
    const cause: unknown = JSON.parse(text)
    if (typeof cause !== 'object' || cause === null) return undefined
    const { exceptions, paths, working_directory: directory }: Record<string, unknown> = { ...cause }
    const known =
      isFilled(exceptions) || isFilled(paths) || (typeof directory === 'string' && directory !== '')
    return known ? text : undefined
  } catch {
    return undefined
  }
}

function isFilled(value: unknown): boolean {
  return Array.isArray(value) && value.length > 0
}

/** What a runtime of ours wants to be in the log beside its failure. */
export function noticeOf(fields: Fields): string | undefined {
  const text = fields.get('flexi-notice')
  try {
    return text === undefined ? undefined : decodeURIComponent(text)
  } catch {
    return text
  }
}

const ERROR_TYPE = 'lambda-runtime-function-error-type'

/**
 * Whether a response is passed on as it comes. Go's client does not say so: it announces the trailers of a stream for all that it sends,
 * JSON included.
 */
export function isStream(fields: Fields): boolean {
  if (fields.has(RESPONSE_MODE)) return true
  const announced = fields.get('trailer')?.toLowerCase().includes(ERROR_TYPE) === true
  return announced && fields.get('content-type') !== 'application/json'
}

export const RESPONSE_MODE = 'lambda-runtime-function-response-mode'

/** What broke a response after it had begun. */
export function brokenBy(trailers: Fields): Buffer | undefined {
  return trailers.has(ERROR_TYPE)
    ? Buffer.from(trailers.get('lambda-runtime-function-error-body') ?? '', 'base64')
    : undefined
}
