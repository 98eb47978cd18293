import { VERSION } from '../definition.ts'
import { SIX_MIB } from '../limits.ts'
import { traceOf } from '../trace.ts'
import { choice, clientContextOf, payloadOf, queried, type ApiCall } from './api-call.ts'
import { invalidContent } from './api-error.ts'
import type { Deployments } from './deployments.ts'
import { invokeContext, invoked, logTail } from './invocation.ts'
import { runningOf, type EventTaker, type Running } from './service.ts'

/** Of an event that nobody waits for. */
const EVENT_BYTES_MAX = 1024 * 1024

/** Invoke: runs a function now, later, or only looks whether it could. */
export async function invoke(call: ApiCall, deployments: Deployments, events: EventTaker): Promise<void> {
  const found = deployments.functions.find(call.parameters[0] ?? '', queried(call, 'Qualifier'), VERSION)
  const type = choice(call, 'x-amz-invocation-type', ['RequestResponse', 'Event', 'DryRun'])
  call.context.note({ function: found.served.config.name })
  const bytesMax = type === 'Event' ? EVENT_BYTES_MAX : SIX_MIB
  const payload = await payloadOf(call, { bytesMax, operation: 'InvokeFunction' })
  switch (type) {
    case 'RequestResponse':
      return await respond(call, await runningOf(deployments, found), payload)
    case 'Event': {
      checkJson(payload)
      const { id } = call.context
      const { name, qualifier } = found
      await events.add({ id, function: name, qualifier, payload, trace: traceOf(call.context) })
      call.outgoing.writeHead(202, { 'Content-Length': 0 }).end()
      return undefined
    }
    case 'DryRun':
      call.outgoing.writeHead(204).end()
      return undefined
  }
}

async function respond(call: ApiCall, running: Running, payload: Uint8Array): Promise<void> {
  const wantsLog = choice(call, 'x-amz-log-type', ['None', 'Tail']) === 'Tail'
  const clientContext = clientContextOf(call)
  const context = { ...invokeContext(call, running, wantsLog), clientContext }
  const result = await invoked(running.served, payload, context)
  call.outgoing.writeHead(200, {
    // What a handler says of its stream is for who takes a stream.
    'Content-Type':
      result.contentType === 'application/json' ? 'application/json' : 'application/octet-stream',
    'Content-Length': result.payload.length,
    ...executed(running.version),
    ...(result.functionError === undefined ? {} : { 'X-Amz-Function-Error': result.functionError }),
    ...(wantsLog ? { 'X-Amz-Log-Result': logTail(result) } : {}),
  })
  call.outgoing.end(result.payload)
}

export function executed(version: string): { readonly 'X-Amz-Executed-Version': string } {
  return { 'X-Amz-Executed-Version': version }
}

/** Who waits for the result hears of broken JSON from the function's environment, which reads it anyway; here nobody would. */
function checkJson(payload: Uint8Array): void {
  if (payload.length === 0) return
  try {
    JSON.parse(Buffer.from(payload.buffer, payload.byteOffset, payload.length).toString())
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw invalidContent(
      `Could not parse request body into json: Could not parse payload into json: ${reason}`,
    )
  }
}
