import type { Socket } from 'node:net'

import type { Channel, Frame } from '../../../instances/channel.ts'
import { FROM_HOST, type HostContext, type InvokeHead } from '../protocol.ts'
import { separateBody } from './body-apart.ts'
import type { Log } from './console.ts'
import { invocationContext, type Callback } from './context.ts'
import { describeError, runtimeError, toLambdaError } from './errors.ts'
import type { Handler } from './loader.ts'
import { ResponseStream, streamingOf } from './stream.ts'

export interface InvokerOptions {
  readonly handler: Handler
  readonly context: HostContext
  readonly channel: Channel
  readonly socket: Socket
  readonly log: Log
}

/** The invocation that runs; there is never more than one. */
interface Running {
  readonly id: number
  readonly stream: ResponseStream | undefined
  /** Its caller takes a large body beside the rest. */
  readonly isApart: boolean
  /** Set once the callback was called and the event loop has still to run empty. */
  answer: (() => void) | undefined
  handlerReturned: boolean
}

const LINE_FEED = 10

/** Calls the handler once an invoke frame, and sends what comes of it. */
export class Invoker {
  readonly #options: InvokerOptions
  readonly #streaming: { readonly highWaterMark: number | undefined } | undefined
  #running: Running | undefined
  /** Came ahead: it begins when the running one has ended. */
  readonly #waiting: Frame[] = []
  #requestId: string | undefined
  #trace = ''

  constructor(options: InvokerOptions) {
    this.#options = options
    this.#streaming = streamingOf(options.handler)
  }

  /** The channel's number of the running invocation; 0 between two. */
  get id(): number {
    return this.#running?.id ?? 0
  }

  get requestId(): string | undefined {
    return this.#requestId
  }

  invoke(frame: Frame): void {
    if (this.#running === undefined && this.#waiting.length === 0) this.#begin(frame)
    else this.#waiting.push(frame)
  }

  /** Gives back what has not begun; what has begun is answered as ever. */
  recall(id: number): void {
    const index = this.#waiting.findIndex((frame) => frame.id === id)
    if (index === -1) return
    this.#waiting.splice(index, 1)
    this.#options.channel.send(FROM_HOST.recalled, id)
  }

  #begin({ id, payload }: Frame): void {
    const end = payload.indexOf(LINE_FEED)
    const head = parseHead(payload.toString('latin1', 0, end))
    this.#requestId = head.id
    if (head.trace !== this.#trace) {
      this.#trace = head.trace
      process.env['_X_AMZN_TRACE_ID'] = head.trace
    }
    // The channel alone keeps no invocation alive: a handler that waits for nothing else will never settle.
    this.#options.socket.unref()
    try {
      const event: unknown = JSON.parse(payload.toString('utf8', end + 1))
      if (this.#streaming === undefined) this.#call(id, event, head)
      else this.#callStreaming(id, event, head)
    } catch (error) {
      this.#running ??= {
        id,
        stream: undefined,
        isApart: false,
        answer: undefined,
        handlerReturned: false,
      }
      this.#fail(id, error)
    }
  }

  /** The reader of a stream has passed on so many bytes. */
  taken(bytes: number): void {
    this.#running?.stream?.taken(bytes)
  }

  /** Nothing is left to run. What waited for that is sent; what still waits for anything else waits for ever. */
  loopEmpty(): void {
    const running = this.#running
    if (running === undefined) return
    if (running.answer !== undefined) running.answer()
    else if (!running.handlerReturned) {
      const message = 'The handler waits for a promise that nothing is left to settle.'
      this.#fail(running.id, runtimeError('Runtime.NodeJsExit', message))
    } else if (running.stream !== undefined) running.stream.end()
    // A handler that neither returns a promise nor calls its callback answers null.
    else this.#succeed(running.id, null)
  }

  #call(id: number, event: unknown, head: InvokeHead): void {
    const isApart = head.bodyApart === '1'
    const running: Running = { id, stream: undefined, isApart, answer: undefined, handlerReturned: false }
    this.#running = running
    const callback: Callback = (error, result) => {
      if (this.#running !== running || running.answer !== undefined) return
      running.answer = () => (isPresent(error) ? this.#fail(id, asError(error)) : this.#succeed(id, result))
      if (!context.callbackWaitsForEmptyEventLoop || isPresent(error)) running.answer()
    }
    const { handler } = this.#options
    const context = invocationContext(this.#options.context, head, callback)
    const { callbacks } = this.#options.context
    const returned = handler(event, context, callbacks ? callback : undefined)
    if (isThenable(returned)) {
      returned.then(
        (result) => this.#succeed(id, result),
        (error: unknown) => this.#fail(id, error),
      )
      return
    }
    running.handlerReturned = true
    const isResult = !callbacks || (returned !== undefined && handler.length < 3)
    if (isResult && running.answer === undefined) this.#succeed(id, returned)
  }

  #callStreaming(id: number, event: unknown, head: InvokeHead): void {
    const { channel, socket, handler, context } = this.#options
    const stream = new ResponseStream(
      {
        start: (contentType) => void channel.send(FROM_HOST.streamStart, id, contentType),
        chunk: (bytes) => void channel.send(FROM_HOST.streamChunk, id, bytes),
        end: () => this.#finish(id, () => channel.send(FROM_HOST.streamEnd, id)),
        hold: (waiting) => (waiting ? socket.ref() : socket.unref()),
      },
      this.#streaming?.highWaterMark,
    )
    stream.on('error', (error) => this.#fail(id, error))
    const running: Running = { id, stream, isApart: false, answer: undefined, handlerReturned: false }
    this.#running = running
    const returned = handler(
      event,
      stream,
      invocationContext(context, head, () => undefined),
    )
    if (!isThenable(returned)) {
      running.handlerReturned = true
      return
    }
    returned.then(
      () => {
        running.handlerReturned = true
      },
      (error: unknown) => this.#fail(id, error),
    )
  }

  #succeed(id: number, result: unknown): void {
    if (this.#running?.id !== id) return
    const { channel } = this.#options
    let text: string | undefined
    try {
      const apart = this.#running.isApart ? separateBody(result) : undefined
      if (apart !== undefined) {
        this.#finish(id, () => channel.send(FROM_HOST.resultApart, id, [`${apart.head}\n`, apart.body]))
        return
      }
      text = JSON.stringify(result === undefined ? null : result)
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message.split('\n')[0] : String(cause)
      this.#fail(id, new Error(`Unable to stringify response body: ${reason}`))
      return
    }
    this.#finish(id, () => channel.send(FROM_HOST.result, id, text ?? 'null'))
  }

  #fail(id: number, error: unknown): void {
    if (this.#running?.id !== id) return
    this.#options.log('ERROR', [`Invoke Error\t${describeError(error)}`], 'notice')
    const kind = this.#running.stream === undefined ? FROM_HOST.error : FROM_HOST.streamEnd
    const body = JSON.stringify(toLambdaError(error))
    this.#finish(id, () => this.#options.channel.send(kind, id, body))
  }

  #finish(id: number, send: () => void): void {
    if (this.#running?.id !== id) return
    this.#running = undefined
    this.#options.socket.ref()
    send()
    // A turn later, so that what the last one left behind gets its turn first, as it does when the next one comes from outside.
    if (this.#waiting.length > 0) setImmediate(() => this.#beginNext())
  }

  #beginNext(): void {
    const frame = this.#running === undefined ? this.#waiting.shift() : undefined
    if (frame !== undefined) this.#begin(frame)
  }
}

function parseHead(text: string): InvokeHead {
  const [id = '', deadline = '0', trace = '', clientContext = '', functionArn = '', bodyApart = ''] =
    text.split('\t')
  return { id, deadline, trace, clientContext, functionArn, bodyApart }
}

function isThenable(value: unknown): value is Promise<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'
}

function isPresent(error: unknown): boolean {
  return error !== null && error !== undefined
}

/** A callback may be given a text in place of an error. */
function asError(error: unknown): unknown {
  return typeof error === 'string' ? Object.assign(new Error(error), { name: 'Error' }) : error
}
