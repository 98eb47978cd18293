import { FlexiError } from '../../../core/errors.ts'
import type { ApiFunction, InvokeContext, InvokeResult } from '../../../core/function.ts'
import { formatFault } from '../../../core/place.ts'
import { DEFAULT_TIMEOUT_MS, RESPONSE_BYTES_MAX } from '../limits.ts'
import { traceOf } from '../trace.ts'
import type { ApiCall } from './api-call.ts'
import type { Running } from './service.ts'

/** What every kind of invocation says to the function. */
export function invokeContext(
  { context, outgoing }: ApiCall,
  { served, found }: Pick<Running, 'served' | 'found'>,
  wantsLog = false,
): InvokeContext {
  const timeoutMs = served.config.timeoutMs ?? DEFAULT_TIMEOUT_MS
  // Not the request's own signal: that has the deadline of a request, and a function may take fifteen minutes.
  const gone = new AbortController()
  outgoing.once('close', () => gone.abort())
  return {
    id: context.id,
    signal: gone.signal,
    deadline: Date.now() + timeoutMs,
    trace: traceOf(context),
    qualifier: found.qualifier,
    unlogged: !wantsLog,
  }
}

/** Runs it. Code that cannot be loaded is the function's own error, as it is in the cloud. @throws FlexiError when no instance can be had. */
export async function invoked(
  served: ApiFunction,
  payload: Uint8Array,
  context: InvokeContext,
): Promise<InvokeResult> {
  try {
    const result = await served.invoke(payload, context)
    return result.payload.length > RESPONSE_BYTES_MAX ? tooLarge(result) : result
  } catch (error) {
    const failure = error instanceof FlexiError ? initFailure(error, context.id) : undefined
    if (failure === undefined) throw error
    return { payload: failure, contentType: 'application/json', functionError: 'Unhandled', log: '' }
  }
}

/** The last 4,096 bytes, in Base64. */
export function logTail({ log }: InvokeResult): string {
  return Buffer.from(log).subarray(-4096).toString('base64')
}

/** Chunks that were collected for a caller who takes no stream. */
function tooLarge(result: InvokeResult): InvokeResult {
  const payload = Buffer.from(
    JSON.stringify({
      errorMessage: `Response payload size exceeded maximum allowed payload size (${RESPONSE_BYTES_MAX} bytes).`,
      errorType: 'Function.ResponseSizeTooLarge',
    }),
  )
  return { ...result, payload, contentType: 'application/json', functionError: 'Unhandled' }
}

function initFailure(error: FlexiError, id: string): Uint8Array | undefined {
  if (error.code === 'FLEXI_BUILD') return Buffer.from(JSON.stringify(buildFailure(error)))
  const { cause } = error
  const isFailure = typeof cause === 'object' && cause !== null && 'payload' in cause
  return isFailure && cause.payload instanceof Uint8Array ? withRequestId(cause.payload, id) : undefined
}

function buildFailure({ faults, message }: FlexiError): object {
  // A module that is not there has no line to show.
  const isMissing = faults.length > 0 && faults.every(({ text }) => text === undefined)
  if (!isMissing) {
    const errorMessage = faults.length === 0 ? message : faults.map(formatFault).join('\n')
    return { errorType: 'Runtime.UserCodeSyntaxError', errorMessage }
  }
  const lines = faults.map((fault) => [fault.message, fault.hint ?? ''].join('\n').trim())
  return { errorType: 'Runtime.ImportModuleError', errorMessage: `Error: ${lines.join('\n')}` }
}

/** The end of a process during Init is told to the one who waited for it, by the id of its request. */
function withRequestId(payload: Uint8Array, id: string): Uint8Array {
  const body = JSON.parse(Buffer.from(payload).toString()) as Record<string, unknown>
  const { errorType, errorMessage } = body
  const isOurs = errorType === 'Runtime.ExitError' || errorType === 'Sandbox.Timedout'
  if (!isOurs || typeof errorMessage !== 'string' || errorMessage.startsWith('RequestId: ')) return payload
  return Buffer.from(JSON.stringify({ ...body, errorMessage: `RequestId: ${id} Error: ${errorMessage}` }))
}
