import type { ServerResponse } from 'node:http'

import type { EventStreamCodec } from '@smithy/eventstream-codec'

import type { InvokeResult, InvokeStream } from '../../../core/function.ts'
import { VERSION } from '../definition.ts'
import { SIX_MIB } from '../limits.ts'
import { choice, clientContextOf, payloadOf, queried, type ApiCall } from './api-call.ts'
import type { Deployments } from './deployments.ts'
import { executed } from './invoke.ts'
import { invokeContext, invoked, logTail } from './invocation.ts'
import { runningOf } from './service.ts'

/** InvokeWithResponseStream: passes chunks on as the handler writes them. */
export async function invokeWithResponseStream(call: ApiCall, deployments: Deployments): Promise<void> {
  const found = deployments.functions.find(call.parameters[0] ?? '', queried(call, 'Qualifier'), VERSION)
  const type = choice(call, 'x-amz-invocation-type', ['RequestResponse', 'DryRun'])
  const wantsLog = choice(call, 'x-amz-log-type', ['None', 'Tail']) === 'Tail'
  const clientContext = clientContextOf(call)
  call.context.note({ function: found.served.config.name })
  const payload = await payloadOf(call, { bytesMax: SIX_MIB, operation: 'InvokeWithResponseStream' })
  if (type === 'DryRun') {
    call.outgoing.writeHead(204).end()
    return
  }
  const running = await runningOf(deployments, found)
  const answer = new EventStreamAnswer(call.outgoing, running.version, await openCodec())
  const context = { ...invokeContext(call, running, wantsLog), clientContext, stream: answer }
  answer.end(await invoked(running.served, payload, context), wantsLog)
}

/** Frames of `application/vnd.amazon.eventstream`. The head goes with the first of them: until then an error has a status of its own. */
class EventStreamAnswer implements InvokeStream {
  readonly #outgoing: ServerResponse
  readonly #version: string
  readonly #codec: EventStreamCodec
  /** Told when the client has read what it was sent. */
  readonly #waiting: (() => void)[] = []

  constructor(outgoing: ServerResponse, version: string, codec: EventStreamCodec) {
    this.#outgoing = outgoing
    this.#version = version
    this.#codec = codec
    const settle = (): void => {
      for (const taken of this.#waiting.splice(0)) taken()
    }
    outgoing.on('drain', settle).on('close', settle)
  }

  started(): void {
    // The stream says what it is itself: the reader gets its bytes, whatever type the handler names.
  }

  /** Bytes for a client that left are thrown away: the handler runs to its end. */
  chunk(bytes: Uint8Array, taken: () => void): void {
    const outgoing = this.#outgoing
    if (outgoing.destroyed || this.#write('PayloadChunk', 'application/octet-stream', bytes)) taken()
    else this.#waiting.push(taken)
  }

  end(result: InvokeResult, wantsLog: boolean): void {
    if (this.#outgoing.destroyed) return
    const { payload, functionError } = result
    const failed = functionError !== undefined
    // One who does not stream has its result here as a whole.
    if (!failed && payload.length > 0) this.#write('PayloadChunk', 'application/octet-stream', payload)
    const complete = {
      ...(failed ? { ErrorCode: functionError, ErrorDetails: Buffer.from(payload).toString() } : {}),
      ...(wantsLog ? { LogResult: logTail(result) } : {}),
    }
    this.#write('InvokeComplete', 'application/json', Buffer.from(JSON.stringify(complete)))
    this.#outgoing.end()
  }

  #write(event: string, contentType: string, body: Uint8Array): boolean {
    if (!this.#outgoing.headersSent) {
      this.#outgoing.writeHead(200, {
        'Content-Type': 'application/vnd.amazon.eventstream',
        ...executed(this.#version),
      })
    }
    const headers = {
      ':event-type': { type: 'string', value: event },
      ':content-type': { type: 'string', value: contentType },
      ':message-type': { type: 'string', value: 'event' },
    } as const
    return this.#outgoing.write(this.#codec.encode({ headers, body }))
  }
}

let codec: Promise<EventStreamCodec> | undefined

function openCodec(): Promise<EventStreamCodec> {
  codec ??= import('@smithy/eventstream-codec').then(
    (module) =>
      new module.EventStreamCodec(
        (bytes) => (typeof bytes === 'string' ? bytes : Buffer.from(bytes).toString()),
        (text) => Buffer.from(text),
      ),
  )
  return codec
}
