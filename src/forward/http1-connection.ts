import { connect, type Socket } from 'node:net'

import { AnswerDecoder, type AnswerSink, type Content } from './http1-answer.ts'
import { InvalidAnswerError, type ResponseHead } from './http1-head.ts'
import { readToTheEnd } from './read-to-the-end.ts'

/** Whose request a connection is busy with. */
export interface Asker extends AnswerSink {
  readonly method: string
  /** The connection has opened. Not called when it was open before. */
  onConnect(): void
  /** What was sent has left; called after `send` returned false. */
  onDrain(): void
  /** Nothing more comes: the connection is gone. */
  onError(error: Error): void
}

/** Where a connection lives between requests. */
export interface ConnectionOwner {
  /** The answer is complete, and the connection may carry another request. */
  release(connection: Http1Connection): void
  forget(connection: Http1Connection): void
}

export interface ConnectionTarget {
  readonly host: string
  readonly port: number
  /** A Unix socket in place of host and port. */
  readonly socketPath?: string | undefined
}

const READ_BYTES = 64 * 1024

/** One connection to a server of HTTP/1.1: a request at a time, its answer told as it comes. */
export class Http1Connection implements AnswerSink {
  /** On the clock of `performance.now()`: when it was last given back. */
  idleSince = 0
  /** An answer came over it before. */
  reused = false
  connected = false
  /** A byte of the present answer has come. */
  answered = false
  readonly #socket: Socket
  readonly #owner: ConnectionOwner
  readonly #decoder = new AnswerDecoder(this)
  #asker: Asker | undefined
  #buffer = Buffer.allocUnsafeSlow(READ_BYTES)
  #isPaused = false
  /** Everything of the request was sent. */
  #isSent = false
  #isReusable = false
  #error: Error | undefined

  constructor({ host, port, socketPath }: ConnectionTarget, owner: ConnectionOwner) {
    this.#owner = owner
    const to = socketPath === undefined ? { host, port, noDelay: true } : { path: socketPath }
    // Its own buffer, used again and again, costs half of what Node's new one for each read does.
    const onread = { buffer: this.#nextBuffer, callback: this.#onRead }
    this.#socket = readToTheEnd(connect({ ...to, onread }))
      .on('connect', this.#onConnect)
      .on('drain', () => this.#asker?.onDrain())
      .on('end', this.#onReadEnd)
      .on('error', (error) => (this.#error ??= error))
      .on('close', this.#onClose)
  }

  /** False once it is closed, or about to be. */
  get isUsable(): boolean {
    return !this.#socket.destroyed && this.#socket.writable
  }

  /** Whose answer it reads. */
  get asker(): Asker | undefined {
    return this.#asker
  }

  begin(asker: Asker): void {
    this.#asker = asker
    this.#decoder.begin(asker.method)
    this.answered = false
    this.#isSent = false
  }

  /** False when the server does not keep up: `onDrain` tells when it does again. A string is Latin-1. */
  send(part: string | Buffer): boolean {
    return typeof part === 'string' ? this.#socket.write(part, 'latin1') : this.#socket.write(part)
  }

  /** What is sent until `uncork` leaves together. */
  cork(): void {
    this.#socket.cork()
  }

  uncork(): void {
    this.#socket.uncork()
  }

  /** The request is complete: only then the connection is worth keeping after the answer. */
  finish(): void {
    this.#isSent = true
  }

  pause(): void {
    this.#isPaused = true
    this.#socket.pause()
  }

  resume(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    this.#socket.resume()
  }

  /** The asker hears no more. */
  destroy(): void {
    this.#asker = undefined
    this.#socket.destroy()
  }

  /** As if the network had failed; the asker is told. */
  fail(error: Error): void {
    this.#error ??= error
    this.#socket.destroy()
  }

  onInform(head: ResponseHead): void {
    this.#asker?.onInform(head)
  }

  onHead(head: ResponseHead, content: Content, whole: boolean): void {
    const asker = this.#asker
    // What is whole without a length has no content: 204, 304, and answers to HEAD.
    this.#isReusable = head.reusable && (whole || head.length !== 'close')
    // The connection is free before anybody hears of the end.
    if (whole) this.#endAnswer()
    asker?.onHead(head, content, whole)
  }

  onContent(bytes: Buffer): void {
    this.#asker?.onContent(bytes)
  }

  onEnd(trailers: readonly string[]): void {
    const asker = this.#asker
    this.#endAnswer()
    asker?.onEnd(trailers)
  }

  #endAnswer(): void {
    this.#asker = undefined
    this.reused = true
    this.resume()
    if (this.#isReusable && this.#isSent && !this.#socket.destroyed) this.#owner.release(this)
    else this.#socket.destroy()
  }

  readonly #onConnect = (): void => {
    this.connected = true
    this.#asker?.onConnect()
  }

  readonly #onRead = (count: number): boolean => {
    this.answered = true
    try {
      // Beyond its answer, a server has nothing to say: whose answer would it be?
      if (this.#decoder.read(this.#buffer, 0, count) < count)
        this.fail(new InvalidAnswerError('it said more than it was asked'))
    } catch (error) {
      if (!(error instanceof InvalidAnswerError)) throw error
      this.fail(error)
    }
    return !this.#isPaused
  }

  readonly #nextBuffer = (): Buffer => {
    if (this.#decoder.isTaken) {
      this.#decoder.isTaken = false
      this.#buffer = Buffer.allocUnsafeSlow(READ_BYTES)
    }
    return this.#buffer
  }

  readonly #onReadEnd = (): void => {
    this.#decoder.end()
    this.#socket.destroy()
  }

  readonly #onClose = (): void => {
    this.#owner.forget(this)
    const asker = this.#asker
    this.#asker = undefined
    asker?.onError(this.#error ?? closedEarly(this.answered))
  }
}

function closedEarly(answered: boolean): Error {
  const when = answered ? 'before the end of its answer' : 'without an answer'
  return Object.assign(new Error(`it closed the connection ${when}`), { code: 'ECONNRESET' })
}
