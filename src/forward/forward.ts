import type { IncomingMessage, ServerResponse } from 'node:http'

import type { RequestContext } from '../core/fetcher.ts'
import { LIMITS } from '../core/limits.ts'
import type { AnswerHook } from './answer-hook.ts'
import { addTrailers, cut, hasContent, inform, pairs, texts, writeHead } from './client-side.ts'
import type { Dispatcher } from './dispatcher.ts'
import { requestFields, responseFields, type FieldRules } from './fields.ts'
import { addRequestId } from './request-id.ts'
import { RequestBody } from './request-body.ts'
import { IDEMPOTENT } from './request-line.ts'
import { writeWhole, type AnswerHead } from './whole-answer.ts'
import { upstreamPath, type PathRules } from './upstream-path.ts'
import { errorCode, givenUp, upstreamError, wasReused, type UpstreamError } from './upstream-error.ts'

export { createDispatcher, type Dispatcher } from './dispatcher.ts'
export { IDEMPOTENT } from './request-line.ts'
export { UpstreamError } from './upstream-error.ts'

/** Where a request goes and what is changed on the way. */
export interface ForwardTarget extends FieldRules, PathRules {
  readonly dispatcher: Dispatcher
  /** `http://127.0.0.1:3000`, for the connection and for messages. */
  readonly origin: string
  /** Longest silence before the head; default `LIMITS.requestMs`. 0 waits for ever. */
  readonly headersMs?: number | undefined
  /** Longest silence within the body; default 300 000. 0 waits for ever. */
  readonly bodyMs?: number | undefined
}

export interface ForwardExchange {
  readonly incoming: IncomingMessage
  readonly outgoing: ServerResponse
  readonly context: RequestContext
  readonly hook?: AnswerHook | undefined
  /** Longest silence before the head of this one answer, in place of the target's. */
  readonly headersMs?: number | undefined
  /** Gives up what has no answer yet; `forward` rejects with FLEXI_UPSTREAM_TIMEOUT. */
  readonly signal?: AbortSignal | undefined
}

/**
 * Sends the request to an upstream and its response to the client, streaming both ways under back-pressure.
 * Fields keep their order, case and number; those of a connection stay on it (RFC 9110 section 7.6).
 * Settles when the response has ended, was cut, or the client is gone.
 * @throws UpstreamError before the head is sent: FLEXI_UPSTREAM_UNREACHABLE, FLEXI_UPSTREAM_TIMEOUT, FLEXI_UPSTREAM_RESPONSE.
 */
export function forward(target: ForwardTarget, exchange: ForwardExchange): Promise<void> {
  return new Promise((resolve, reject) => startForward(target, exchange, { resolve, reject }))
}

/** Where the end of an exchange is told, once. */
export interface Settle {
  resolve(): void
  reject(error: Error): void
}

/** `forward` for who needs no promise. */
export function startForward(target: ForwardTarget, exchange: ForwardExchange, settle: Settle): void {
  new Forwarding(target, exchange, settle).send()
}

/** The connector knows the real one. Without one for all requests undici opens a new TLS connection whenever their Host differs. */
interface DispatchOptions extends Dispatcher.DispatchOptions {
  readonly servername: string
}

const BODY_MS = 300_000
const SWALLOWED_BYTES_MAX = 64 * 1024
const OUT_OF_TIME = Object.assign(new Error('out of time'), { code: 'UND_ERR_HEADERS_TIMEOUT' })

/** One request under way. undici's older handler shape, because only it hands out fields as they came. */
class Forwarding implements Dispatcher.DispatchHandler {
  readonly #target: ForwardTarget
  readonly #exchange: ForwardExchange
  readonly #settle: Settle
  readonly #body: RequestBody | undefined
  #attempts = 0
  #sent = false
  #answered = false
  /** The answer was accepted: from here on it is this one or none. */
  #accepted = false
  /** Held back until the end of the tick in which it came. */
  #head: AnswerHead | undefined
  /** The first content, while the head is held back. */
  #first: Buffer | undefined
  #complete = false
  #closed = false
  /** The answer was given up, or is awaited no more: what still comes concerns nobody. */
  #dropped = false
  #droppedBytes = 0
  #abort: ((error?: Error) => void) | undefined
  #resume: (() => void) | undefined
  #onAbort: (() => void) | undefined

  constructor(target: ForwardTarget, exchange: ForwardExchange, settle: Settle) {
    this.#target = target
    this.#exchange = exchange
    this.#settle = settle
    this.#body = hasContent(exchange.incoming) ? new RequestBody(exchange.incoming) : undefined
    exchange.outgoing.on('close', this.#onClose)
    if (exchange.signal !== undefined) this.#listenTo(exchange.signal)
  }

  send(): void {
    const { incoming, context } = this.#exchange
    const target = this.#target
    this.#attempts++
    this.#sent = false
    const options: DispatchOptions = {
      origin: target.origin,
      path: upstreamPath(target, context.raw.target),
      method: context.raw.method,
      headers: requestFields(target, incoming, context),
      body: this.#body ?? null,
      headersTimeout: this.#exchange.headersMs ?? target.headersMs ?? LIMITS.requestMs,
      bodyTimeout: target.bodyMs ?? BODY_MS,
      servername: 'upstream',
    }
    target.dispatcher.dispatch(options, this)
  }

  onConnect(abort: (error?: Error) => void): void {
    this.#abort = abort
    this.#sent = true
    if (this.#closed || this.#dropped) abort()
  }

  onResponseStarted(): void {
    this.#answered = true
  }

  onHeaders(status: number, raw: Buffer[], resume: () => void, reason: string): boolean {
    const { incoming, outgoing, hook } = this.#exchange
    if (status < 200) {
      inform(outgoing, status, raw)
      return true
    }
    this.#stopListening()
    if (hook?.accepts(status) === false) {
      this.#drop(givenUp(this.#target.origin, status))
      return true
    }
    this.#resume = resume
    this.#accepted = true
    const framing = { status, method: incoming.method, httpVersion: incoming.httpVersion }
    const fields = responseFields(texts(raw), framing)
    if (this.#target.forwarded) addRequestId(fields, this.#exchange)
    this.#head = { status, reason, fields: hook === undefined ? fields : hook.edit(fields) }
    // undici takes the length of a 304 for content that never came, and fails: nothing of this response is left to wait for.
    if (status === 304 || status === 204) this.onComplete(null)
    // A head whose content comes later must not wait for it; one whose content is already here leaves in the same write.
    else process.nextTick(flushHead, this)
    return true
  }

  onData(chunk: Buffer): boolean {
    if (this.#dropped) return this.#swallow(chunk)
    if (this.#head === undefined) return this.#exchange.outgoing.write(chunk)
    if (this.#first === undefined) {
      this.#first = chunk
      return true
    }
    this.flush()
    return this.#exchange.outgoing.write(chunk)
  }

  onComplete(trailers: readonly (Buffer | string)[] | null): void {
    if (this.#complete || this.#dropped) return
    const { outgoing } = this.#exchange
    const head = this.#head
    const hasTrailers = trailers !== null && trailers.length > 0
    if (head !== undefined && !hasTrailers) {
      this.#complete = true
      this.#begin(head)
      return
    }
    this.flush()
    this.#complete = true
    if (hasTrailers) addTrailers(outgoing, pairs(trailers))
    outgoing.end()
  }

  /** Once the tick is over in which the head came: what belongs to it and is not here yet comes later. */
  flush(): void {
    const head = this.#head
    if (head === undefined || this.#closed || this.#dropped) return
    this.#begin(head)
  }

  /** What Node refuses to write, the upstream should not have sent; nothing of it has left. */
  #begin(head: AnswerHead): void {
    this.#head = undefined
    try {
      if (this.#complete) writeWhole(this.#exchange.outgoing, head, this.#first)
      else this.#writeBeginning(head)
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(`status ${head.status}`))
      this.#abort?.()
    }
  }

  #writeBeginning(head: AnswerHead): void {
    const { outgoing } = this.#exchange
    writeHead(outgoing, head)
    outgoing.on('drain', () => this.#resume?.())
    if (this.#first === undefined) outgoing.flushHeaders()
    else outgoing.write(this.#first)
  }

  onError(error: Error): void {
    if (this.#closed || this.#complete || this.#dropped) return
    if (this.#accepted) this.#cut(error)
    else if (this.#mayRetry(error)) this.send()
    else this.#fail(error)
  }

  /** Once, when the upstream may have closed an idle connection in the very moment it was used again. */
  #mayRetry(error: Error): boolean {
    if (this.#attempts > 1 || !this.#sent || this.#answered || this.#body !== undefined) return false
    return IDEMPOTENT.has(this.#exchange.context.raw.method) && wasReused(error)
  }

  #fail(error: Error): void {
    this.#drop(upstreamError(this.#target.origin, error, this.#body?.started ?? this.#sent))
  }

  #drop(error: UpstreamError): void {
    this.#dropped = true
    this.#exchange.outgoing.off('close', this.#onClose)
    this.#stopListening()
    this.#settle.reject(error)
  }

  /** A short answer that was given up leaves its connection usable; a long one is not worth it. */
  #swallow(chunk: Buffer): boolean {
    this.#droppedBytes += chunk.length
    if (this.#droppedBytes > SWALLOWED_BYTES_MAX) this.#abort?.(new Error('the answer was given up'))
    return true
  }

  /** Few exchanges have a signal: the others are spared the closure. */
  #listenTo(signal: AbortSignal): void {
    this.#onAbort = () => {
      if (this.#accepted) return
      this.#fail(OUT_OF_TIME)
      this.#abort?.(OUT_OF_TIME)
    }
    signal.addEventListener('abort', this.#onAbort)
  }

  #stopListening(): void {
    if (this.#onAbort !== undefined) this.#exchange.signal?.removeEventListener('abort', this.#onAbort)
  }

  /** The client must see that something is missing: its connection ends without the end of the body. */
  #cut(error: Error): void {
    const { outgoing, context } = this.#exchange
    context.note({ upstreamError: errorCode(error) || error.name })
    this.flush()
    cut(outgoing)
  }

  readonly #onClose = (): void => {
    this.#closed = true
    if (!this.#complete) this.#abort?.(new Error('the client is gone'))
    this.#settle.resolve()
  }
}

/** One function for all, so that none costs a closure. */
function flushHead(forwarding: Forwarding): void {
  forwarding.flush()
}
