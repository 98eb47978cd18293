import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'

/**
 * The client's content as undici may own and destroy it: undici destroys a body it no longer needs, and destroying the
 * IncomingMessage itself would take the client's connection along before it has read the answer.
 */
export class RequestBody extends Readable {
  readonly #incoming: IncomingMessage
  #started = false

  constructor(incoming: IncomingMessage) {
    super({ highWaterMark: 64 * 1024 })
    this.#incoming = incoming
  }

  /** True once a byte may have been taken: the request cannot be sent again. */
  get started(): boolean {
    return this.#started
  }

  override _read(): void {
    if (!this.#started) {
      this.#started = true
      this.#incoming
        .on('data', this.#onData)
        .on('end', this.#onEnd)
        .on('error', this.#onFailure)
        .on('close', this.#onFailure)
    }
    this.#incoming.resume()
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    const incoming = this.#incoming
    incoming.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onFailure)
    if (this.#started) discard(incoming)
    callback(error)
  }

  readonly #onData = (chunk: Buffer): void => {
    if (!this.push(chunk)) this.#incoming.pause()
  }

  readonly #onEnd = (): void => {
    this.push(null)
  }

  readonly #onFailure = (): void => {
    if (!this.#incoming.readableEnded) this.destroy()
  }
}

/** How long a client may go on sending what nobody reads, once it has its answer. */
const LINGER_MS = 30_000

/**
 * Reads the rest of the content and drops it, so that a client which sends before it reads still gets its answer;
 * closing at once would reset the connection under the answer.
 */
export function discard(incoming: IncomingMessage): void {
  if (incoming.complete && incoming.readableEnded) return
  const timer = setTimeout(() => incoming.destroy(), LINGER_MS)
  timer.unref()
  incoming.once('close', () => clearTimeout(timer))
  incoming.on('error', ignore)
  incoming.resume()
}

function ignore(): void {
  // The client went away while its content was dropped: nobody is left to tell.
}
