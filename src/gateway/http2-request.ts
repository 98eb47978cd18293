import { IncomingMessage, type IncomingHttpHeaders as Fields } from 'node:http'
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'

import { LIMITS } from '../core/limits.ts'
import { checkRequest, type Refusal } from './head-check.ts'
import { giveUp } from './http2-stream.ts'

/** What arrived as the head of a stream. */
export interface Http2Head {
  readonly headers: IncomingHttpHeaders
  /** name, value, name, value … in wire order, pseudo fields included. */
  readonly raw: readonly string[]
}

/**
 * A request of an HTTP/2 stream as everything behind the gateway knows requests: an IncomingMessage whose fields read as
 * HTTP/1.1 would have sent them (RFC 9113 section 8.3 pseudo fields gone, Host first), whose `socket` ends with its stream.
 */
export class Http2Request extends IncomingMessage {
  /** Why this is no request to serve, found while its head was read. */
  readonly refusal: Refusal | undefined
  readonly #stream: ServerHttp2Stream
  #begun = false

  constructor(stream: ServerHttp2Stream, socket: Socket, head: Http2Head) {
    super(socket)
    this.#stream = stream
    this.httpVersion = '2.0'
    this.httpVersionMajor = 2
    this.httpVersionMinor = 0
    const read = readHead(head)
    this.method = head.headers[':method'] ?? ''
    this.url = head.headers[':path'] ?? ''
    this.rawHeaders = read.fields
    this.headers = read.byName
    this.refusal = read.refusal
    if (stream.endAfterHeaders) {
      this.complete = true
      this.push(null)
      return
    }
    // HTTP/1.1 says in its fields that content follows, and everything behind us looks there.
    if (this.headers['content-length'] === undefined) this.headers['transfer-encoding'] = 'chunked'
    stream.once('trailers', this.#onTrailers).once('close', this.#onClose)
  }

  override _read(): void {
    if (!this.#begun) {
      this.#begun = true
      // One without content ends by itself, before anybody asks for it.
      if (this.#stream.readableEnded) this.#onEnd()
      else if (!this.complete) this.#stream.on('data', this.#onData).once('end', this.#onEnd)
    }
    this.#stream.resume()
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    if (!this.complete) {
      this.aborted = true
      this.emit('aborted')
      giveUp(this.#stream)
    }
    // As in HTTP/1.1: a client that left is an error for those alone who asked for errors.
    process.nextTick(() => callback(this.listenerCount('error') === 0 ? null : error))
  }

  readonly #onData = (chunk: Buffer): void => {
    if (!this.push(chunk)) this.#stream.pause()
  }

  readonly #onEnd = (): void => {
    // A stream that is reset ends as well.
    if (this.#stream.aborted) return
    this.complete = true
    this.push(null)
  }

  readonly #onTrailers = (trailers: IncomingHttpHeaders, _flags: number, raw?: readonly string[]): void => {
    this.rawTrailers = [...(raw ?? [])]
    this.trailers = Object.fromEntries(Object.entries(trailers)) as NodeJS.Dict<string>
  }

  readonly #onClose = (): void => {
    if (!this.complete) this.destroy(Object.assign(new Error('aborted'), { code: 'ECONNRESET' }))
  }
}

/** What its own checks and those of every version say about a request. */
export function checkHttp2Head(incoming: Http2Request): Refusal | undefined {
  return incoming.refusal ?? checkRequest(incoming)
}

interface ReadHead {
  readonly fields: string[]
  readonly byName: Fields
  readonly refusal: Refusal | undefined
}

function readHead({ headers, raw }: Http2Head): ReadHead {
  const host = headers[':authority'] ?? headers.host
  const fields = host === undefined ? [] : ['Host', host]
  let bytes = 0
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const [name = '', value = ''] = [raw[i], raw[i + 1]]
    bytes += name.length + value.length + SEPARATORS_LENGTH
    if (!isSpecial(name)) fields.push(name, value)
  }
  // A cookie may come in crumbs, which are one field elsewhere (RFC 9113 section 8.2.3).
  if (headers.cookie !== undefined) fields.push('cookie', headers.cookie)
  return { fields, byName: byName(headers, host), refusal: checkPseudo(headers) ?? checkSize(bytes) }
}

/** What `: ` and the line end cost in HTTP/1.1, so that a limit means the same in both. */
const SEPARATORS_LENGTH = 4

function isSpecial(name: string): boolean {
  return name.charCodeAt(0) === COLON || name === 'host' || name === 'cookie'
}

function byName(headers: IncomingHttpHeaders, host: string | undefined): Fields {
  const fields: Fields = {}
  for (const name in headers) if (name.charCodeAt(0) !== COLON) fields[name] = headers[name]
  if (host !== undefined) fields.host = host
  return fields
}

/** A target with other bytes could not be written into a request line. */
const TARGET = /^[\x21-\x7e]*$/

/** Node's own checks leave these to us. */
function checkPseudo(headers: IncomingHttpHeaders): Refusal | undefined {
  const { ':path': path, ':scheme': scheme, ':authority': authority, host } = headers
  if (headers[':method'] === 'CONNECT') return { status: 405, message: 'CONNECT is not served here' }
  if (path === undefined || scheme === undefined) return bad('the request has no path or no scheme')
  if (!TARGET.test(path)) return bad('the path holds bytes that must be percent-encoded')
  if (scheme !== 'http' && scheme !== 'https') return bad('the scheme is neither http nor https')
  if (authority !== undefined && host !== undefined && authority !== host)
    return bad('Host and :authority name different hosts')
  return undefined
}

function checkSize(bytes: number): Refusal | undefined {
  return bytes > LIMITS.headBytesMax
    ? { status: 431, message: 'the head of the request is too long' }
    : undefined
}

function bad(message: string): Refusal {
  return { status: 400, message }
}

const COLON = 58
