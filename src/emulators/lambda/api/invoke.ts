import { VERSION } from '../definition.ts'
import { SIX_MIB } from '../limits.ts'
import { choice, clientContextOf, payloadOf, queried, type ApiCall } from './api-call.ts'
import { invalidContent } from './api-error.ts'
import type { EventQueue } from './event-queue.ts'
import type { FoundFunction, Functions } from './functions.ts'
import { invokeContext, invoked, logTail } from './invocation.ts'

/** Of an event that nobody waits for. */
const EVENT_BYTES_MAX = 1024 * 1024

/** Invoke: runs a function now, later, or only looks whether it could. */
export async function invoke(call: ApiCall, functions: Functions, queue: EventQueue): Promise<void> {
  const found = functions.find(call.parameters[0] ?? '', queried(call, 'Qualifier'), VERSION)
  const type = choice(call, 'x-amz-invocation-type', ['RequestResponse', 'Event', 'DryRun'])
  call.context.note({ function: found.name })
  const bytesMax = type === 'Event' ? EVENT_BYTES_MAX : SIX_MIB
  const payload = await payloadOf(call, { bytesMax, operation: 'InvokeFunction' })
  switch (type) {
    case 'RequestResponse':
      return await respond(call, found, payload)
    case 'Event':
      checkJson(payload)
      queue.add({ config: found.served.config, payload, call })
      call.outgoing.writeHead(202, { 'Content-Length': 0, 'X-Amz-Executed-Version': VERSION }).end()
      return undefined
    case 'DryRun':
      call.outgoing.writeHead(204, { 'X-Amz-Executed-Version': VERSION }).end()
      return undefined
  }
}

async function respond(call: ApiCall, { served }: FoundFunction, payload: Uint8Array): Promise<void> {
  const wantsLog = choice(call, 'x-amz-log-type', ['None', 'Tail']) === 'Tail'
  const clientContext = clientContextOf(call)
  const result = await invoked(served, payload, { ...invokeContext(call, served, wantsLog), clientContext })
  call.outgoing.writeHead(200, {
    // What a handler says of its stream is for who takes a stream.
    'Content-Type':
      result.contentType === 'application/json' ? 'application/json' : 'application/octet-stream',
    'Content-Length': result.payload.length,
    'X-Amz-Executed-Version': VERSION,
    ...(result.functionError === undefined ? {} : { 'X-Amz-Function-Error': result.functionError }),
    ...(wantsLog ? { 'X-Amz-Log-Result': logTail(result) } : {}),
  })
  call.outgoing.end(result.payload)
}

/** Who waits for the result hears of broken JSON from the function's environment, which reads it anyway; here nobody would. */
function checkJson(payload: Uint8Array): void {
  if (payload.length === 0) return
  try {
    JSON.parse(Buffer.from(payload.buffer, payload.byteOffset, payload.length).toString())
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw invalidContent(`Could not parse request body into json: ${reason}`)
  }
}
