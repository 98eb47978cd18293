import { addTrailers, cut, hasContent, inform, pairs, writeHead } from './client-side.ts'
import { responseFields, type FieldRules } from './fields.ts'
import type { Content } from './http1-answer.ts'
import type { Asker, Http1Connection } from './http1-connection.ts'
import type { ResponseHead } from './http1-head.ts'
import type { Http1Pool } from './http1-pool.ts'
import { requestHead, type Http1Exchange } from './http1-request.ts'
import { Upload } from './http1-upload.ts'
import type { NameSet } from './name-set.ts'
import { IDEMPOTENT } from './request-line.ts'
import { errorCode, upstreamError } from './upstream-error.ts'
import type { Waiting, WaitingList } from './waiting-list.ts'
import { writeWhole, type AnswerHead } from './whole-answer.ts'

/** Where a request goes and what is changed on the way. */
export interface Http1Target extends FieldRules {
  readonly pool: Http1Pool
  /** `http://127.0.0.1:3000`, for messages. */
  readonly origin: string
  /** Requests without a head, oldest first. */
  readonly waiting: WaitingList
  /** Answers that are errors and never reach a client. */
  readonly faults: FaultRule
  /** Fields of answers that no client sees. */
  readonly hidden?: NameSet | undefined
}

export interface FaultRule {
  /** What marks an answer as such; undefined for one that is the client's. */
  markOf(head: ResponseHead): string | undefined
  /** What such an answer says: its content as Latin-1, empty for HEAD, and its mark. */
  read(content: string, mark: string): Error
}

/**
 * As `forward`, over connections of our own: a third of the time of what goes through undici, and no limits of time.
 * @throws UpstreamError, and the error a waiting request was aborted with or its FaultRule read, before the head is sent.
 */
export function forwardHttp1(target: Http1Target, exchange: Http1Exchange): Promise<void> {
  return new Promise((resolve, reject) => new Forwarding(target, exchange, { resolve, reject }).begin())
}

interface Settle {
  resolve(): void
  reject(error: Error): void
}

const FAULT_LENGTH_MAX = 1024 * 1024
const INVALID = Object.assign(new Error('invalid letters'), { code: 'UND_ERR_INVALID_ARG' })

/** One request under way. */
class Forwarding implements Asker, Waiting {
  readonly method: string
  since = performance.now()
  older: Waiting | undefined
  newer: Waiting | undefined
  readonly #target: Http1Target
  readonly #exchange: Http1Exchange
  readonly #settle: Settle
  readonly #hasContent: boolean
  #connection: Http1Connection | undefined
  #upload: Upload | undefined
  #isRepeated = false
  /** The head was passed on: from here on it is this answer or none. */
  #isAccepted = false
  /** The content of an answer that is an error, and the value of the field that marks it. */
  #fault: string | undefined
  #mark = ''
  #isOver = false

  constructor(target: Http1Target, exchange: Http1Exchange, settle: Settle) {
    this.#target = target
    this.#exchange = exchange
    this.#settle = settle
    this.method = exchange.context.raw.method
    this.#hasContent = hasContent(exchange.incoming)
    exchange.outgoing.on('close', this.#onClose)
    target.waiting.add(this)
  }

  begin(): void {
    if (this.#exchange.outgoing.destroyed) this.#onClose()
    else this.#send(false)
  }

  #send(fresh: boolean): void {
    const connection = this.#target.pool.take(this, fresh)
    this.#connection = connection
    // Content is not touched before there is somebody to take it.
    if (!this.#hasContent || connection.connected) this.#sendRequest(connection)
  }

  onConnect(): void {
    if (this.#hasContent && this.#connection !== undefined) this.#sendRequest(this.#connection)
  }

  #sendRequest(connection: Http1Connection): void {
    const head = requestHead(this.#target, this.#exchange)
    if (head === undefined) {
      connection.fail(INVALID)
      return
    }
    if (this.#hasContent) {
      this.#upload = new Upload(this.#exchange.incoming, connection, head)
      return
    }
    connection.send(head)
    connection.finish()
  }

  onDrain(): void {
    this.#upload?.resume()
  }

  onInform({ status, fields }: ResponseHead): void {
    inform(this.#exchange.outgoing, status, fields)
  }

  onHead(head: ResponseHead, content: Content, whole: boolean): void {
    this.#target.waiting.delete(this)
    const mark = this.#target.faults.markOf(head)
    if (mark !== undefined) {
      this.#mark = mark
      this.#fault = textOf(content)
      if (whole) this.#failBy(this.#fault, mark)
      return
    }
    try {
      this.#isAccepted = true
      if (whole) this.#answerWhole(head, content)
      else this.#beginAnswer(head, content)
    } catch (error) {
      // What Node refuses to write, the server should not have sent; nothing of it has left.
      this.#fail(upstreamError(this.#target.origin, error, true))
    }
  }

  #failBy(content: string, mark: string): void {
    let error: Error
    try {
      error = this.#target.faults.read(content, mark)
    } catch (cause) {
      error = upstreamError(this.#target.origin, new Error('its fault cannot be read', { cause }), true)
    }
    this.#fail(error)
  }

  /** Nothing waits for the client to take it: what is written is Node's to send. */
  #answerWhole(head: ResponseHead, content: Content): void {
    const { outgoing } = this.#exchange
    if (this.#mustLinger()) {
      this.#beginAnswer(head, content)
      this.#linger()
    } else writeWhole(outgoing, this.#answerHead(head), content)
    this.#end()
    this.#settle.resolve()
  }

  /** A connection that is closed while its client still sends is reset, and its answer with it. */
  #mustLinger(): boolean {
    const { incoming, outgoing } = this.#exchange
    return this.#upload !== undefined && !outgoing.shouldKeepAlive && !incoming.readableEnded
  }

  /** The answer ends, and its connection with it, once the client has sent everything. */
  #linger(): void {
    const { incoming, outgoing } = this.#exchange
    incoming.once('close', () => outgoing.end())
  }

  #beginAnswer(head: ResponseHead, content: Content): void {
    const { outgoing } = this.#exchange
    writeHead(outgoing, this.#answerHead(head))
    outgoing.on('drain', this.#onAnswerDrain)
    if (content === undefined) outgoing.flushHeaders()
    else this.#write(content)
  }

  #answerHead({ status, reason, fields }: ResponseHead): AnswerHead {
    const { method, httpVersion } = this.#exchange.incoming
    const own = responseFields(fields, { status, method, httpVersion })
    const { hidden } = this.#target
    return { status, reason, fields: hidden === undefined ? own : without(own, hidden) }
  }

  onContent(bytes: Buffer): void {
    if (this.#fault === undefined) this.#write(bytes)
    else this.#fault += bytes.toString('latin1')
    if ((this.#fault?.length ?? 0) > FAULT_LENGTH_MAX)
      this.#connection?.fail(new Error('a fault is too long'))
  }

  #write(content: string | Buffer): void {
    const { outgoing } = this.#exchange
    const goesOn = typeof content === 'string' ? outgoing.write(content, 'latin1') : outgoing.write(content)
    if (!goesOn) this.#connection?.pause()
  }

  onEnd(trailers: readonly string[]): void {
    if (this.#fault !== undefined) {
      this.#failBy(this.#fault, this.#mark)
      return
    }
    const { outgoing } = this.#exchange
    if (trailers.length > 0) addTrailers(outgoing, pairs(trailers))
    if (this.#mustLinger()) this.#linger()
    else outgoing.end()
    this.#connection = undefined
    this.#upload?.abandon()
  }

  onError(error: Error): void {
    if (this.#isOver) return
    if (this.#isAccepted) this.#cut(error)
    else if (this.#mayRepeat(error)) this.#repeat()
    else this.#fail(upstreamError(this.#target.origin, error, this.#isSent()))
  }

  /** Once, when the server may have closed an idle connection in the very moment it was used again. */
  #mayRepeat(error: Error): boolean {
    const connection = this.#connection
    if (this.#isRepeated || this.#hasContent || connection?.reused !== true || connection.answered)
      return false
    const code = errorCode(error)
    return IDEMPOTENT.has(this.method) && (code === 'ECONNRESET' || code === 'EPIPE')
  }

  #repeat(): void {
    this.#isRepeated = true
    this.#send(true)
  }

  #isSent(): boolean {
    return this.#hasContent ? this.#upload !== undefined : this.#connection?.connected === true
  }

  /** From outside: the request is given up. */
  abort(error: Error): void {
    if (!this.#isOver && !this.#isAccepted) this.#fail(error)
  }

  #fail(error: Error): void {
    this.#end()
    this.#settle.reject(error)
  }

  /** The client must see that something is missing: its connection ends without the end of the content. */
  #cut(error: Error): void {
    const { outgoing, context } = this.#exchange
    context.note({ upstreamError: errorCode(error) || error.name })
    cut(outgoing)
  }

  readonly #onAnswerDrain = (): void => {
    this.#connection?.resume()
  }

  /** The answer was sent, or the client is gone. */
  readonly #onClose = (): void => {
    if (this.#isOver) return
    this.#end()
    this.#settle.resolve()
  }

  #end(): void {
    this.#isOver = true
    this.#target.waiting.delete(this)
    this.#exchange.outgoing.off('close', this.#onClose)
    this.#upload?.abandon()
    // One whose answer is complete is somebody else's by now.
    if (this.#connection?.asker === this) this.#connection.destroy()
  }
}

function without(fields: string[], hidden: NameSet): string[] {
  return fields.some((name, i) => i % 2 === 0 && hidden.has(name))
    ? fields.filter((_, i) => !hidden.has(fields[i - (i % 2)] ?? ''))
    : fields
}

function textOf(content: Content): string {
  return typeof content === 'string' ? content : (content?.toString('latin1') ?? '')
}
