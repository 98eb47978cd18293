import {
  ServerResponse,
  type IncomingMessage,
  type OutgoingHttpHeader,
  type OutgoingHttpHeaders,
} from 'node:http'

import type { Exchange } from './context.ts'

type Fields = OutgoingHttpHeaders | OutgoingHttpHeader[]

/**
 * The response of every exchange: notes when its head left and how many bytes of content were handed over.
 * Counting here is exact under pipelining and chunking, where the socket's own counter is neither.
 */
export class ClientResponse extends ServerResponse<IncomingMessage> {
  exchange: Exchange | undefined
  /** On the clock of `performance.now()`; 0 until then. */
  headAt = 0
  bodyBytes = 0

  override writeHead(status: number, reason?: string | Fields, fields?: Fields): this {
    this.noteHead()
    if (typeof reason === 'string') return super.writeHead(status, reason, fields)
    // A head that could not be sent leaves its reason behind; the one sent in its place has its own.
    this.statusMessage = ''
    return super.writeHead(status, reason ?? fields)
  }

  protected noteHead(): void {
    this.headAt = performance.now()
    // Told `Connection: close`, a client takes its next request to whoever listens then.
    if (this.exchange?.server.draining === true) this.shouldKeepAlive = false
  }

  override write(chunk: unknown, encoding?: unknown, callback?: unknown): boolean {
    this.bodyBytes += byteLength(chunk, encoding)
    return super.write(chunk, encoding as BufferEncoding, callback as () => void)
  }

  override end(chunk?: unknown, encoding?: unknown, callback?: unknown): this {
    this.bodyBytes += byteLength(chunk, encoding)
    if (typeof chunk !== 'string' || chunk === '' || !this.#isWhole(encoding, callback))
      return super.end(chunk, encoding as BufferEncoding, callback as () => void)
    super.write(chunk, encoding as BufferEncoding)
    // Written now, head and content leave as one string; left to end(), an empty one joins them, and the two cost a gathering write.
    this.socket?.uncork()
    return super.end()
  }

  /** True when the head is written and says the length, and nobody is to be called back: then the content may go before the end. */
  #isWhole(encoding: unknown, callback: unknown): boolean {
    if (callback !== undefined || typeof encoding === 'function') return false
    return this.headersSent && !this.writableEnded && !this.chunkedEncoding && this.socket !== null
  }
}

/** Of a chunk as `write` takes it. */
export function byteLength(chunk: unknown, encoding: unknown): number {
  if (typeof chunk === 'string') {
    if (encoding === 'latin1') return chunk.length
    return Buffer.byteLength(chunk, typeof encoding === 'string' ? (encoding as BufferEncoding) : 'utf8')
  }
  return chunk instanceof Uint8Array ? chunk.byteLength : 0
}
