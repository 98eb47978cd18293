import { STATUS_CODES } from 'node:http'
import type { ClientHttp2Stream, IncomingHttpHeaders } from 'node:http2'

import { LIMITS } from '../core/limits.ts'
import { addTrailers, cut, hasContent, inform, pairs, writeHead } from './client-side.ts'
import { responseFields } from './fields.ts'
import { IDEMPOTENT, type ForwardExchange } from './forward.ts'
import { http2RequestFields, withoutPseudo, type Http2Target } from './http2-fields.ts'
import type { Http2Connection } from './http2-pool.ts'
import { addRequestId } from './request-id.ts'
import { replayContent, type ReplayContent } from './replay-content.ts'
import { errorCode, givenUp, upstreamError, type UpstreamError } from './upstream-error.ts'

const BODY_MS = 300_000
const ATTEMPTS_MAX = 3
const NO_ERROR = 0
const CANCEL = 8
export const OUT_OF_TIME = Object.assign(new Error('out of time'), { code: 'UND_ERR_HEADERS_TIMEOUT' })
const SILENT = Object.assign(new Error('the content stopped'), { code: 'UND_ERR_BODY_TIMEOUT' })
const LOST = Object.assign(new Error('the connection was closed'), { code: 'ECONNRESET' })

export interface Http2Attempt {
  readonly connection: Http2Connection
  /** Counts from 1. */
  readonly attempt: number
  resolve(outcome?: 'again'): void
  reject(error: Error): void
}

/** One request on one stream. */
export class Http2Forwarding {
  readonly #target: Http2Target
  readonly #exchange: ForwardExchange
  readonly #attempt: Http2Attempt
  readonly #content: ReplayContent | undefined
  #stream: ClientHttp2Stream | undefined
  #error: Error | undefined
  #headSent = false
  /** Bytes of content that the head promises, and those that came. */
  #promised: number | undefined
  #received = 0
  #bodyBegun = false
  #complete = false
  /** This attempt is over: what still comes concerns nobody. */
  #over = false

  constructor(target: Http2Target, exchange: ForwardExchange, attempt: Http2Attempt) {
    this.#target = target
    this.#exchange = exchange
    this.#attempt = attempt
    this.#content = hasContent(exchange.incoming) ? replayContent(exchange.incoming) : undefined
  }

  send(): void {
    const { outgoing, signal } = this.#exchange
    outgoing.on('close', this.#onClientClose)
    signal?.addEventListener('abort', this.#onAbort)
    try {
      const head = http2RequestFields(this.#target, this.#exchange)
      this.#stream = this.#attempt.connection.request(head, this.#content === undefined)
    } catch (error) {
      this.#refuse(error)
      return
    }
    this.#listen(this.#stream)
    this.#sendContent(this.#stream)
  }

  /** The connection closed in this very moment, or Node will not write this head. */
  #refuse(error: unknown): void {
    const unusable = errorCode(error).startsWith('ERR_HTTP2_') && !this.#attempt.connection.usable
    if (unusable && this.#attempt.attempt < ATTEMPTS_MAX) this.#again()
    else if (unusable) this.#fail(LOST, false)
    else
      this.#fail(
        Object.assign(new Error('bad head', { cause: error }), { code: 'UND_ERR_INVALID_ARG' }),
        false,
      )
  }

  #listen(stream: ClientHttp2Stream): void {
    stream.setTimeout(this.#exchange.headersMs ?? this.#target.headersMs ?? LIMITS.requestMs, this.#onTimeout)
    stream
      .on('headers', (head: IncomingHttpHeaders, ...[, raw]: unknown[]) =>
        this.#onInformation(head, rawFields(raw)),
      )
      .on('response', (head: IncomingHttpHeaders, ...[, raw]: unknown[]) =>
        this.#onHead(head, rawFields(raw)),
      )
      .on('trailers', (_head: IncomingHttpHeaders, ...[, raw]: unknown[]) => this.#onTrailers(rawFields(raw)))
      .on('end', () => this.#onEnd())
      .on('error', (error) => {
        this.#error = error
      })
      .on('close', () => this.#onStreamClose())
  }

  #sendContent(stream: ClientHttp2Stream): void {
    if (this.#content === undefined) return
    const { incoming } = this.#exchange
    // Without any, Node ends the stream with an empty frame.
    stream.on('wantTrailers', () => stream.sendTrailers(incoming.trailers))
    this.#content.open().pipe(stream)
  }

  #onInformation(head: IncomingHttpHeaders, raw: readonly string[]): void {
    const status = Number(head[':status'])
    if (!this.#over && status > 101) inform(this.#exchange.outgoing, status, withoutPseudo(raw))
  }

  #onHead(head: IncomingHttpHeaders, raw: readonly string[]): void {
    if (this.#over) return
    const status = Number(head[':status'])
    this.#exchange.signal?.removeEventListener('abort', this.#onAbort)
    if (this.#exchange.hook?.accepts(status) === false) {
      this.#reject(givenUp(this.#target.origin, status))
      return
    }
    this.#content?.forget()
    this.#writeHead(status, raw)
    this.#promised = this.#promisedBytes(status, head['content-length'])
    this.#stream?.setTimeout(this.#target.bodyMs ?? BODY_MS, this.#onTimeout)
    this.#stream?.on('data', this.#onData)
    // A head whose content comes later must not wait for it.
    setImmediate(this.#flushHead)
  }

  #promisedBytes(status: number, length: string | undefined): number | undefined {
    const hasNone = this.#exchange.context.raw.method === 'HEAD' || status === 204 || status === 304
    return hasNone || length === undefined ? undefined : Number(length)
  }

  #writeHead(status: number, raw: readonly string[]): void {
    const { incoming, outgoing, hook } = this.#exchange
    const framing = { status, method: incoming.method, httpVersion: incoming.httpVersion }
    const fields = responseFields(withoutPseudo(raw), framing)
    if (this.#target.forwarded) addRequestId(fields, this.#exchange)
    writeHead(outgoing, {
      status,
      reason: STATUS_CODES[status] ?? '',
      fields: hook === undefined ? fields : hook.edit(fields),
    })
    this.#headSent = true
  }

  readonly #onData = (chunk: Buffer): void => {
    if (this.#over) return
    const { outgoing } = this.#exchange
    this.#received += chunk.length
    if (!this.#bodyBegun) {
      this.#bodyBegun = true
      outgoing.on('drain', this.#onDrain)
    }
    if (!outgoing.write(chunk)) this.#stream?.pause()
  }

  readonly #onDrain = (): void => {
    this.#stream?.resume()
  }

  #onTrailers(raw: readonly string[]): void {
    if (this.#over || !this.#headSent) return
    const trailers = pairs(withoutPseudo(raw))
    if (trailers.length > 0) addTrailers(this.#exchange.outgoing, trailers)
  }

  #onEnd(): void {
    const stream = this.#stream
    // A stream that was reset ends as well; its close event tells.
    if (this.#over || !this.#headSent || stream === undefined || stream.rstCode !== NO_ERROR) return
    if (this.#promised !== undefined && this.#promised !== this.#received) {
      this.#cut(LOST)
      return
    }
    this.#complete = true
    this.#bodyBegun = true
    this.#exchange.outgoing.end()
    if (!stream.writableFinished) stream.close(NO_ERROR)
    this.#content?.discard()
  }

  #onStreamClose(): void {
    if (this.#over || this.#complete) return
    const error = this.#error ?? LOST
    if (this.#headSent) {
      this.#cut(error)
      return
    }
    const ignored = this.#stream !== undefined && this.#attempt.connection.ignored(this.#stream)
    const restartable = this.#content === undefined || this.#content.repeatable
    if (this.#mayRepeat(ignored) && restartable) this.#again()
    else this.#fail(this.#failure(error), !(ignored && restartable))
  }

  /** A connection that has served requests before may have been closed in the very moment this one was sent. */
  #mayRepeat(ignored: boolean): boolean {
    const { attempt, connection } = this.#attempt
    if (ignored) return attempt < ATTEMPTS_MAX
    if (attempt > 1 || connection.taken < 2 || connection.usable || this.#content !== undefined) return false
    return IDEMPOTENT.has(this.#exchange.context.raw.method)
  }

  #failure(error: Error): Error {
    const code = this.#stream?.rstCode ?? NO_ERROR
    if (!this.#attempt.connection.usable || code === NO_ERROR) return LOST
    return Object.assign(new Error(`it reset the stream with code ${code}`, { cause: error }), {
      code: 'ERR_HTTP2_STREAM',
    })
  }

  #again(): void {
    this.#leave()
    this.#attempt.resolve('again')
  }

  #fail(error: Error, sent: boolean): void {
    this.#reject(upstreamError(this.#target.origin, error, sent))
  }

  #reject(error: UpstreamError): void {
    this.#leave()
    this.#cancel()
    this.#attempt.reject(error)
  }

  /** What lies in the stream unread would keep it open. */
  #cancel(): void {
    this.#stream?.close(CANCEL)
    this.#stream?.resume()
  }

  #leave(): void {
    const { outgoing, signal } = this.#exchange
    this.#over = true
    outgoing.off('close', this.#onClientClose)
    signal?.removeEventListener('abort', this.#onAbort)
  }

  #cut(error: Error): void {
    const { outgoing, context } = this.#exchange
    context.note({ upstreamError: errorCode(error) || error.name })
    this.#over = true
    this.#cancel()
    cut(outgoing)
  }

  readonly #onTimeout = (): void => {
    if (this.#over || this.#complete) return
    const { outgoing } = this.#exchange
    if (!this.#headSent) {
      // As long as the client still sends, the upstream has nothing to answer yet.
      if (this.#waitsForClient()) return
      this.#attempt.connection.check()
      this.#fail(OUT_OF_TIME, true)
    } else if (!outgoing.writableNeedDrain) {
      this.#cut(SILENT)
    }
  }

  /** Node's timers of streams end with their first call; they begin anew when bytes flow again. */
  #waitsForClient(): boolean {
    if (this.#stream === undefined || this.#content === undefined) return false
    return !this.#exchange.incoming.complete && !this.#stream.writableNeedDrain
  }

  readonly #onAbort = (): void => {
    if (!this.#headSent && !this.#over) this.#fail(OUT_OF_TIME, true)
  }

  readonly #onClientClose = (): void => {
    this.#over = true
    this.#exchange.signal?.removeEventListener('abort', this.#onAbort)
    if (!this.#complete) this.#cancel()
    this.#attempt.resolve()
  }

  readonly #flushHead = (): void => {
    if (!this.#bodyBegun && !this.#over) this.#exchange.outgoing.flushHeaders()
  }
}

/** Node hands out the fields as they came besides the object; its types do not tell. */
function rawFields(raw: unknown): readonly string[] {
  return Array.isArray(raw) ? (raw as readonly string[]) : []
}
