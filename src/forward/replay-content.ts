import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'

import { discard } from './request-body.ts'

const KEPT_BYTES_MAX = 64 * 1024

const contents = new WeakMap<IncomingMessage, ReplayContent>()

/** The content of a request, one for all tries to send it. */
export function replayContent(incoming: IncomingMessage): ReplayContent {
  const known = contents.get(incoming)
  if (known !== undefined) return known
  const content = new ReplayContent(incoming)
  contents.set(incoming, content)
  return content
}

/**
 * Content that can be sent again as long as its first 64 KiB suffice: an HTTP/2 server that goes away says which requests
 * it has not looked at, and gRPC sends content with every one.
 */
export class ReplayContent {
  readonly #incoming: IncomingMessage
  #kept: Buffer[] | undefined = []
  #keptBytes = 0
  #reader: ContentReader | undefined
  #attached = false
  #ended = false

  constructor(incoming: IncomingMessage) {
    this.#incoming = incoming
  }

  /** True as long as all that was read is kept. */
  get repeatable(): boolean {
    return this.#kept !== undefined
  }

  /** True once a byte may have been taken from the request. */
  get started(): boolean {
    return this.#attached
  }

  /** A new stream of the content from its start; the one before it is over. Only while `repeatable`. */
  open(): Readable {
    this.#reader?.destroy()
    const reader = new ContentReader(this)
    this.#reader = reader
    for (const chunk of this.#kept ?? []) reader.push(chunk)
    if (this.#ended) reader.push(null)
    return reader
  }

  /** The upstream answers: nothing will be sent again. */
  forget(): void {
    this.#kept = undefined
  }

  /** Nobody wants the rest. */
  discard(): void {
    this.#reader?.destroy()
    this.forget()
    discard(this.#incoming)
  }

  /** For the reader: it wants more. */
  pull(reader: ContentReader): void {
    if (reader !== this.#reader || this.#ended) return
    if (!this.#attached) {
      this.#attached = true
      this.#incoming
        .on('data', this.#onData)
        .on('end', this.#onEnd)
        .on('error', ignore)
        .on('close', this.#onClose)
    }
    this.#incoming.resume()
  }

  /** For the reader: it is over. */
  leave(reader: ContentReader): void {
    if (reader !== this.#reader) return
    this.#reader = undefined
    if (!this.#ended) this.#incoming.pause()
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#keep(chunk)
    if (this.#reader?.push(chunk) === false) this.#incoming.pause()
  }

  #keep(chunk: Buffer): void {
    if (this.#kept === undefined) return
    this.#keptBytes += chunk.length
    if (this.#keptBytes > KEPT_BYTES_MAX) this.#kept = undefined
    else this.#kept.push(chunk)
  }

  readonly #onEnd = (): void => {
    this.#ended = true
    this.#reader?.push(null)
  }

  readonly #onClose = (): void => {
    if (!this.#ended) this.#reader?.destroy()
  }
}

class ContentReader extends Readable {
  readonly #content: ReplayContent

  constructor(content: ReplayContent) {
    super({ highWaterMark: KEPT_BYTES_MAX })
    this.#content = content
  }

  override _read(): void {
    this.#content.pull(this)
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#content.leave(this)
    callback(error)
  }
}

function ignore(): void {
  // The close event follows.
}
