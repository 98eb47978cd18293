import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http'
import { constants, type ServerHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'

import { byteLength, ClientResponse } from './client-response.ts'
import { addTrailerFields, headFields, type HeadFields, type TrailerFields } from './http2-fields.ts'
import { giveUp } from './http2-stream.ts'

type Done = (error?: Error | null) => void

/**
 * The response of an HTTP/2 stream with the surface and the timing of Node's HTTP/1.1 one: the head leaves with the first
 * content, fields of the connection are dropped (RFC 9113 section 8.2.2), reason phrases do not exist.
 */
export class Http2Response extends ClientResponse {
  override writableFinished = false
  readonly #stream: ServerHttp2Stream
  #head: OutgoingHttpHeaders | undefined
  #headSent = false
  /** False for answers whose content is never sent. */
  #hasContent: boolean
  #trailers: OutgoingHttpHeaders | undefined
  #waitsForTrailers = false

  constructor(incoming: IncomingMessage, stream: ServerHttp2Stream, socket: Socket) {
    super(incoming)
    this.#stream = stream
    this.#hasContent = incoming.method !== 'HEAD'
    Reflect.set(this, 'socket', socket)
    stream.on('drain', this.#onDrain).once('close', this.#onStreamClose)
  }

  override writeHead(status: number, reason?: string | HeadFields, fields?: HeadFields): this {
    if (this.#head !== undefined) throw headIsSent()
    this.#head = headFields(this, status, typeof reason === 'object' ? reason : fields)
    this.noteHead()
    this.statusCode = status
    if (status === 204 || status === 304) this.#hasContent = false
    // What Node's own `headersSent` and `setHeader` look at.
    Reflect.set(this, '_header', ' ')
    return this
  }

  override write(chunk: unknown, encoding?: unknown, callback?: unknown): boolean {
    const done = callbackOf(encoding, callback)
    if (this.finished) {
      const error = Object.assign(new Error('write after end'), { code: 'ERR_STREAM_WRITE_AFTER_END' })
      if (done !== undefined) process.nextTick(done, error)
      return false
    }
    this.bodyBytes += byteLength(chunk, encoding)
    if (this.#sendHead(false) && this.#hasContent)
      return this.#stream.write(chunk, encodingOf(encoding), done)
    if (done !== undefined) process.nextTick(done)
    return true
  }

  override end(chunk?: unknown, encoding?: unknown, callback?: unknown): this {
    const given = typeof chunk === 'function' ? undefined : (chunk ?? undefined)
    const done = typeof chunk === 'function' ? (chunk as Done) : callbackOf(encoding, callback)
    if (this.finished) {
      if (done !== undefined) process.nextTick(done)
      return this
    }
    if (done !== undefined) this.once('finish', done)
    const length = byteLength(given, encoding)
    this.bodyBytes += length
    this.#stateLength(length)
    this.finished = true
    this.#endContent(length === 0 ? undefined : given, encoding)
    return this
  }

  /** As in HTTP/1.1, an answer that is written at once says how long it is. */
  #stateLength(length: number): void {
    const { statusCode } = this
    if (this.#head !== undefined || !this.#hasContent || this.#trailers !== undefined) return
    if (statusCode === 204 || statusCode === 304 || this.hasHeader('content-length')) return
    this.setHeader('content-length', length)
  }

  #endContent(content: unknown, encoding: unknown): void {
    const isHeadAlone = !this.#headSent && content === undefined && this.#trailers === undefined
    if (!this.#sendHead(isHeadAlone)) return
    if (isHeadAlone || !this.#hasContent) {
      this.#finishSoon()
      return
    }
    // With trailers to come, they are the end.
    if (!this.#waitsForTrailers) this.#stream.once('finish', this.#finishSoon)
    if (content === undefined) this.#stream.end()
    else this.#stream.end(content, encodingOf(encoding))
  }

  /** False when there is nobody to send it to. */
  #sendHead(isAlone: boolean): boolean {
    const stream = this.#stream
    if (stream.closed || stream.destroyed) return false
    if (this.#headSent) return true
    if (this.#head === undefined) this.writeHead(this.statusCode)
    const head = this.#head ?? {}
    this.#headSent = true
    const endStream = isAlone || !this.#hasContent
    this.#waitsForTrailers = !endStream && this.#mayHaveTrailers(head)
    if (this.#waitsForTrailers) stream.once('wantTrailers', this.#sendTrailers)
    stream.respond(head, {
      endStream,
      waitForTrailers: this.#waitsForTrailers,
      sendDate: this.sendDate,
    } as Parameters<typeof stream.respond>[1])
    return true
  }

  /** As in HTTP/1.1, content whose length is known has none. For the rest it is only known at the end. */
  #mayHaveTrailers(head: OutgoingHttpHeaders): boolean {
    return this.#trailers !== undefined || (!this.finished && head['content-length'] === undefined)
  }

  readonly #sendTrailers = (): void => {
    this.#stream.sendTrailers(this.#trailers ?? {})
    // Node sends them a turn later.
    setImmediate(this.#finishSoon)
  }

  override addTrailers(trailers: TrailerFields): void {
    this.#trailers ??= {}
    addTrailerFields(this.#trailers, trailers)
  }

  override flushHeaders(): void {
    this.#sendHead(false)
  }

  override writeContinue(): void {
    this.#inform({ ':status': 100 })
  }

  override writeProcessing(): void {
    this.#inform({ ':status': 102 })
  }

  override writeEarlyHints(hints: Readonly<Record<string, string | string[]>>, done?: Done): void {
    this.#inform({ ...hints, ':status': 103 })
    if (done !== undefined) process.nextTick(done)
  }

  #inform(fields: OutgoingHttpHeaders): void {
    const stream = this.#stream
    if (!this.#headSent && !stream.closed && !stream.destroyed) stream.additionalHeaders(fields)
  }

  /** Ends the exchange before its end: the client must see that something is missing. */
  override destroy(): this {
    if (!this.destroyed) {
      this.destroyed = true
      giveUp(this.#stream)
    }
    return this
  }

  readonly #onDrain = (): void => {
    if (!this.finished) this.emit('drain')
  }

  readonly #finishSoon = (): void => {
    if (this.writableFinished || this.destroyed) return
    this.writableFinished = true
    process.nextTick(this.#finish)
  }

  readonly #finish = (): void => {
    if (this.closed) return
    this.emit('finish')
    // The answer is complete: what the client still sends is of no use to anybody (RFC 9113 section 8.1).
    if (!this.req.complete && !this.#stream.closed) this.#stream.close(constants.NGHTTP2_NO_ERROR)
    this.#close()
  }

  readonly #onStreamClose = (): void => {
    if (this.closed) return
    // When both sides have said everything, a stream closes before it tells that the last of it is written.
    const isWhole = this.finished && this.#stream.rstCode === constants.NGHTTP2_NO_ERROR
    if (isWhole && !this.writableFinished) {
      this.writableFinished = true
      this.emit('finish')
    }
    this.#close()
  }

  #close(): void {
    this.destroyed = true
    Reflect.set(this, '_closed', true)
    this.emit('close')
  }
}

function encodingOf(encoding: unknown): BufferEncoding {
  return typeof encoding === 'string' ? (encoding as BufferEncoding) : 'utf8'
}

function callbackOf(encoding: unknown, callback: unknown): Done | undefined {
  if (typeof encoding === 'function') return encoding as Done
  return typeof callback === 'function' ? (callback as Done) : undefined
}

function headIsSent(): Error {
  const code = 'ERR_HTTP_HEADERS_SENT'
  return Object.assign(new Error('Cannot write headers after they are sent to the client'), { code })
}
