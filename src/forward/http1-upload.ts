import type { IncomingMessage } from 'node:http'

import type { Http1Connection } from './http1-connection.ts'
import { discard } from './request-body.ts'

/** The client's content was not as long as its head said. */
class UploadError extends Error {
  override readonly name = 'UploadError'
}

/** Up to here a string for head and content costs less than two buffers in one write. */
const STRING_BYTES_MAX = 16 * 1024

/** The content of one request on its way to the server, under back-pressure. */
export class Upload {
  readonly #incoming: IncomingMessage
  readonly #connection: Http1Connection
  /** undefined for content in chunks. */
  readonly #length: number | undefined
  #bytes = 0
  /** Held back, so that content that is already here leaves in the same write. */
  #head: string | undefined
  #ended = false

  constructor(incoming: IncomingMessage, connection: Http1Connection, head: string) {
    const length = incoming.headers['content-length']
    this.#incoming = incoming
    this.#connection = connection
    this.#length = length === undefined ? undefined : Number(length)
    this.#head = head
    incoming
      .on('data', this.#onData)
      .on('end', this.#onEnd)
      .on('error', this.#onGone)
      .on('close', this.#onGone)
    // What came with the client's head is told before.
    process.nextTick(sendHead, this)
  }

  /** What the server said of its readiness. */
  resume(): void {
    this.#incoming.resume()
  }

  /** Nobody wants the rest: it is read and dropped, so that the client comes to read its answer. */
  abandon(): void {
    if (this.#ended) return
    this.#head = undefined
    const incoming = this.#incoming
    incoming.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onGone)
    discard(incoming)
  }

  sendHead(): void {
    const head = this.#head
    this.#head = undefined
    if (head !== undefined) this.#connection.send(head)
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#bytes += chunk.length
    if (this.#length !== undefined && this.#bytes > this.#length) {
      this.#connection.fail(new UploadError('the content is longer than it says'))
      return
    }
    const goesOn = this.#length === undefined ? this.#sendChunk(chunk) : this.#sendPlain(chunk)
    if (!goesOn) this.#incoming.pause()
  }

  #sendPlain(chunk: Buffer): boolean {
    const head = this.#head
    if (head === undefined) return this.#connection.send(chunk)
    this.#head = undefined
    if (chunk.length <= STRING_BYTES_MAX) return this.#connection.send(head + chunk.toString('latin1'))
    this.#connection.send(head)
    return this.#connection.send(chunk)
  }

  #sendChunk(chunk: Buffer): boolean {
    if (chunk.length === 0) return true
    const connection = this.#connection
    const before = `${this.#head ?? ''}${chunk.length.toString(16)}\r\n`
    this.#head = undefined
    if (chunk.length <= STRING_BYTES_MAX) return connection.send(`${before}${chunk.toString('latin1')}\r\n`)
    connection.cork()
    connection.send(before)
    connection.send(chunk)
    const goesOn = connection.send('\r\n')
    connection.uncork()
    return goesOn
  }

  readonly #onEnd = (): void => {
    this.#ended = true
    this.sendHead()
    if (this.#length === undefined) this.#connection.send('0\r\n\r\n')
    else if (this.#bytes !== this.#length) this.#onGone()
    this.#connection.finish()
  }

  readonly #onGone = (): void => {
    if (!this.#ended || this.#bytes < (this.#length ?? 0))
      this.#connection.fail(new UploadError('the content ended too early'))
  }
}

function sendHead(upload: Upload): void {
  upload.sendHead()
}
