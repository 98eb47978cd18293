import { STATUS_CODES, type IncomingMessage, type ServerResponse } from 'node:http'

import type { RequestContext } from '../core/fetcher.ts'
import { LIMITS } from '../core/limits.ts'
import type { Dispatcher } from './dispatcher.ts'
import { requestFields, responseFields, type FieldRules } from './fields.ts'
import { RequestBody } from './request-body.ts'
import { originForm } from './request-line.ts'
import { errorCode, upstreamError, wasReused } from './upstream-error.ts'

export { createDispatcher, type Dispatcher, type DispatcherOptions } from './dispatcher.ts'
export { UpstreamError } from './upstream-error.ts'

/** Where a request goes and what is changed on the way. */
export interface ForwardTarget extends FieldRules {
  readonly dispatcher: Dispatcher
  /** `http://127.0.0.1:3000`, for the connection and for messages. */
  readonly origin: string
  /** Put before the path, without a slash at its end: `/base`. */
  readonly basePath?: string | undefined
  /** Longest silence before the head; default `LIMITS.requestMs`. 0 waits for ever. */
  readonly headersMs?: number | undefined
  /** Longest silence within the body; default 300 000. 0 waits for ever. */
  readonly bodyMs?: number | undefined
}

export interface ForwardExchange {
  readonly incoming: IncomingMessage
  readonly outgoing: ServerResponse
  readonly context: RequestContext
}

/**
 * Sends the request to an upstream and its response to the client, streaming both ways under back-pressure.
 * Fields keep their order, case and number; those of a connection stay on it (RFC 9110 section 7.6).
 * Settles when the response has ended, was cut, or the client is gone.
 * @throws UpstreamError before the head is sent: FLEXI_UPSTREAM_UNREACHABLE, FLEXI_UPSTREAM_TIMEOUT, FLEXI_UPSTREAM_RESPONSE.
 */
export function forward(target: ForwardTarget, exchange: ForwardExchange): Promise<void> {
  return new Promise((resolve, reject) => {
    new Forwarding(target, exchange, { resolve, reject }).send()
  })
}

interface Settle {
  resolve(): void
  reject(error: Error): void
}

const BODY_MS = 300_000
/** RFC 9110 section 9.2.2. */
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'])

/** One request under way. undici's older handler shape, because only it hands out fields as they came. */
class Forwarding implements Dispatcher.DispatchHandler {
  readonly #target: ForwardTarget
  readonly #exchange: ForwardExchange
  readonly #settle: Settle
  readonly #body: RequestBody | undefined
  #attempts = 0
  #sent = false
  #answered = false
  #headSent = false
  #bodyBegun = false
  #complete = false
  #closed = false
  #abort: ((error?: Error) => void) | undefined
  #resume: (() => void) | undefined

  constructor(target: ForwardTarget, exchange: ForwardExchange, settle: Settle) {
    this.#target = target
    this.#exchange = exchange
    this.#settle = settle
    this.#body = hasContent(exchange.incoming) ? new RequestBody(exchange.incoming) : undefined
    exchange.outgoing.on('close', this.#onClose)
  }

  send(): void {
    const { incoming, context } = this.#exchange
    const target = this.#target
    const path = originForm(context.raw.target)
    this.#attempts++
    this.#sent = false
    target.dispatcher.dispatch(
      {
        origin: target.origin,
        path: target.basePath === undefined ? path : target.basePath + path,
        method: context.raw.method,
        headers: requestFields(target, incoming, context),
        body: this.#body ?? null,
        headersTimeout: target.headersMs ?? LIMITS.requestMs,
        bodyTimeout: target.bodyMs ?? BODY_MS,
      },
      this,
    )
  }

  onConnect(abort: (error?: Error) => void): void {
    this.#abort = abort
    this.#sent = true
    if (this.#closed) abort()
  }

  onResponseStarted(): void {
    this.#answered = true
  }

  onHeaders(status: number, raw: Buffer[], resume: () => void, reason: string): boolean {
    const { incoming, outgoing } = this.#exchange
    if (status < 200) {
      inform(outgoing, status, raw)
      return true
    }
    this.#resume = resume
    const framing = { status, method: incoming.method, httpVersion: incoming.httpVersion }
    outgoing.writeHead(status, reasonPhrase(status, reason), responseFields(raw.map(latin1), framing))
    this.#headSent = true
    // undici takes the length of a 304 for content that never came, and fails: nothing of this response is left to wait for.
    if (status === 304 || status === 204) this.onComplete(null)
    // A head whose body comes later must not wait for it; one whose body is already here leaves in the same write.
    process.nextTick(this.#flushHead)
    return true
  }

  onData(chunk: Buffer): boolean {
    const { outgoing } = this.#exchange
    if (!this.#bodyBegun) {
      this.#bodyBegun = true
      outgoing.on('drain', this.#onDrain)
    }
    return outgoing.write(chunk)
  }

  onComplete(trailers: readonly (Buffer | string)[] | null): void {
    if (this.#complete) return
    const { outgoing } = this.#exchange
    this.#complete = true
    this.#bodyBegun = true
    if (trailers !== null && trailers.length > 0) outgoing.addTrailers(pairs(trailers))
    outgoing.end()
  }

  onError(error: Error): void {
    if (this.#closed || this.#complete) return
    if (this.#headSent) this.#cut(error)
    else if (this.#mayRetry(error)) this.send()
    else this.#fail(error)
  }

  /** Once, when the upstream may have closed an idle connection in the very moment it was used again. */
  #mayRetry(error: Error): boolean {
    if (this.#attempts > 1 || !this.#sent || this.#answered || this.#body !== undefined) return false
    return IDEMPOTENT.has(this.#exchange.context.raw.method) && wasReused(error)
  }

  #fail(error: Error): void {
    this.#exchange.outgoing.off('close', this.#onClose)
    this.#settle.reject(upstreamError(this.#target.origin, error, this.#body?.started ?? this.#sent))
  }

  /** The client must see that something is missing: its connection ends without the end of the body. */
  #cut(error: Error): void {
    const { outgoing, context } = this.#exchange
    context.note({ upstreamError: errorCode(error) || error.name })
    const { socket } = outgoing
    if (outgoing.req.httpVersion === '1.1' || socket === null) outgoing.destroy()
    else socket.resetAndDestroy()
  }

  readonly #onClose = (): void => {
    this.#closed = true
    if (!this.#complete) this.#abort?.(new Error('the client is gone'))
    this.#settle.resolve()
  }

  readonly #onDrain = (): void => {
    this.#resume?.()
  }

  readonly #flushHead = (): void => {
    if (!this.#bodyBegun && !this.#closed) this.#exchange.outgoing.flushHeaders()
  }
}

function hasContent(incoming: IncomingMessage): boolean {
  const { headers } = incoming
  if (headers['transfer-encoding'] !== undefined) return true
  return headers['content-length'] !== undefined && headers['content-length'] !== '0'
}

/** Passes on 102 and 103; 100 is ours to send, and HTTP/1.0 knows none. */
function inform(outgoing: ServerResponse, status: number, raw: readonly Buffer[]): void {
  if (outgoing.req.httpVersion !== '1.1') return
  if (status === 102) outgoing.writeProcessing()
  if (status !== 103) return
  const hints: Record<string, string | string[]> = {}
  for (const [name, value] of pairs(raw)) {
    const key = name.toLowerCase()
    const known = hints[key]
    hints[key] = known === undefined ? value : [...(typeof known === 'string' ? [known] : known), value]
  }
  try {
    outgoing.writeEarlyHints(hints)
  } catch {
    // Node refuses Link values it cannot parse; a hint may be lost, the response may not.
  }
}

/** The upstream's own phrase, unless Node would refuse to write it. */
function reasonPhrase(status: number, reason: string): string {
  return reason === STATUS_CODES[status] || /^[\t\x20-\x7e]*$/.test(reason)
    ? reason
    : (STATUS_CODES[status] ?? '')
}

function pairs(raw: readonly (Buffer | string)[]): [string, string][] {
  const list: [string, string][] = []
  for (let i = 0; i + 1 < raw.length; i += 2) list.push([latin1(raw[i] ?? ''), latin1(raw[i + 1] ?? '')])
  return list
}

/** Fields are bytes; Node reads and writes them as Latin-1. */
function latin1(part: Buffer | string): string {
  return typeof part === 'string' ? part : part.toString('latin1')
}
