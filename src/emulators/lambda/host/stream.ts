import { Writable } from 'node:stream'

import { STREAM_WINDOW_BYTES } from '../protocol.ts'

const STREAMING = Symbol.for('aws.lambda.runtime.handler.streaming')
const HIGH_WATER_MARK = Symbol.for('aws.lambda.runtime.handler.streaming.highWaterMark')
const HTTP_INTEGRATION = 'application/vnd.awslambda.http-integration-response'
const PRELUDE_END = Buffer.alloc(8)

/** Where a stream's bytes go. */
export interface StreamSink {
  start(contentType: string): void
  chunk(bytes: Buffer): void
  end(): void
  /** Bytes are under way: the event loop must wait for news of them. */
  hold(waiting: boolean): void
}

/** The handler's second argument: a writable whose first byte sends the head. */
export class ResponseStream extends Writable {
  readonly #sink: StreamSink
  #contentType = 'application/octet-stream'
  #prelude: string | undefined
  #started = false
  #underWay = 0
  #continue: (() => void) | undefined

  constructor(sink: StreamSink, highWaterMark: number | undefined) {
    super({ decodeStrings: true, ...(highWaterMark === undefined ? {} : { highWaterMark }) })
    this.#sink = sink
  }

  setContentType(contentType: string): void {
    this.#contentType = contentType
  }

  setPrelude(prelude: string): void {
    this.setContentType(HTTP_INTEGRATION)
    this.#prelude = prelude
  }

  /** Whatever is no bytes and no text is sent as JSON. */
  override write(chunk: unknown, ...rest: never[]): boolean {
    const bytes = typeof chunk === 'string' || chunk instanceof Uint8Array
    return super.write(bytes ? chunk : JSON.stringify(chunk), ...rest)
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#start()
    this.#sink.chunk(chunk)
    this.#underWay += chunk.length
    if (this.#underWay <= STREAM_WINDOW_BYTES) return done()
    this.#continue = done
    this.#sink.hold(true)
  }

  override _final(done: () => void): void {
    this.#start()
    this.#sink.end()
    done()
  }

  /** The reader has passed on so many bytes. */
  taken(bytes: number): void {
    this.#underWay -= bytes
    if (this.#continue === undefined || this.#underWay > STREAM_WINDOW_BYTES) return
    const done = this.#continue
    this.#continue = undefined
    this.#sink.hold(false)
    done()
  }

  #start(): void {
    if (this.#started) return
    this.#started = true
    this.#sink.start(this.#contentType)
    if (this.#prelude === undefined) return
    this.#sink.chunk(Buffer.from(this.#prelude))
    this.#sink.chunk(PRELUDE_END)
    this.#underWay += Buffer.byteLength(this.#prelude) + PRELUDE_END.length
  }
}

/** The high-water mark of a handler that streams; undefined when it does not. */
export function streamingOf(handler: object): { readonly highWaterMark: number | undefined } | undefined {
  const marks: Record<symbol, unknown> = Object(handler)
  if (marks[STREAMING] !== 'response') return undefined
  const mark = marks[HIGH_WATER_MARK]
  return { highWaterMark: typeof mark === 'number' ? mark : undefined }
}

/** The `awslambda` global. */
export function streamingGlobal(): object {
  return {
    streamifyResponse(handler: object, options?: { highWaterMark?: number }): object {
      const marks: Record<symbol, unknown> = Object(handler)
      marks[STREAMING] = 'response'
      if (options?.highWaterMark !== undefined) marks[HIGH_WATER_MARK] = options.highWaterMark
      return handler
    },
    HttpResponseStream: {
      from(stream: ResponseStream, prelude: unknown): ResponseStream {
        stream.setPrelude(JSON.stringify(prelude))
        return stream
      },
    },
  }
}
