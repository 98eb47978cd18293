import type { IncomingMessage, OutgoingHttpHeader, OutgoingHttpHeaders, ServerResponse } from 'node:http'
import { constants, createBrotliCompress, createGzip, type BrotliCompress, type Gzip } from 'node:zlib'

import { preferredEncoding } from '../accept-encoding.ts'

/** Smaller answers hardly shrink. */
const BYTES_MIN = 1_024
/** The first of two that a client likes alike. */
const OFFERED = ['br', 'gzip'] as const
/** Quality against time: what CDNs use for answers that are made for one request. */
const BROTLI_QUALITY = 4
/** 256 kB of memory for each answer under way, where the default takes 4 MB. */
const BROTLI_WINDOW_BITS = 18

type Encoding = (typeof OFFERED)[number]
type Fields = OutgoingHttpHeaders | OutgoingHttpHeader[]

/**
 * Compresses the answer when that is worth it: called before anything is written. What was announced without its length is a
 * stream, of which each piece leaves as soon as it was written; strong validators become weak, because the bytes are others.
 */
export function compressAnswer(incoming: IncomingMessage, outgoing: ServerResponse): void {
  const compression = new Compression(incoming, outgoing)
  outgoing.writeHead = (status: number, reason?: string | Fields, fields?: Fields) =>
    compression.writeHead(status, reason, fields)
  outgoing.write = (chunk: unknown, encoding?: unknown, callback?: unknown) =>
    compression.write(chunk, encoding, callback)
  outgoing.end = (chunk?: unknown, encoding?: unknown, callback?: unknown) =>
    compression.end(chunk, encoding, callback)
}

type Done = (error?: Error | null) => void

class Compression {
  readonly #incoming: IncomingMessage
  readonly #outgoing: ServerResponse
  /** The methods as they were. */
  readonly #plain: Pick<ServerResponse, 'writeHead' | 'write' | 'end'>
  #isDecided = false
  #isEnded = false
  #encoder: BrotliCompress | Gzip | undefined

  constructor(incoming: IncomingMessage, outgoing: ServerResponse) {
    this.#incoming = incoming
    this.#outgoing = outgoing
    this.#plain = {
      writeHead: outgoing.writeHead.bind(outgoing),
      write: outgoing.write.bind(outgoing),
      end: outgoing.end.bind(outgoing),
    }
  }

  writeHead(status: number, reason?: string | Fields, fields?: Fields): ServerResponse {
    const outgoing = this.#outgoing
    if (!this.#isDecided) {
      setFields(outgoing, typeof reason === 'object' ? reason : fields)
      this.#decide(status)
    } else if (typeof reason === 'object' || fields !== undefined) {
      setFields(outgoing, typeof reason === 'object' ? reason : fields)
    }
    return typeof reason === 'string' ? this.#plain.writeHead(status, reason) : this.#plain.writeHead(status)
  }

  write(chunk: unknown, encoding: unknown, callback: unknown): boolean {
    if (!this.#outgoing.headersSent) this.writeHead(this.#outgoing.statusCode)
    const bytes = bytesOf(chunk, encoding)
    const done = callbackOf(encoding, callback)
    if (this.#encoder === undefined) return this.#plain.write(bytes, done)
    return this.#isEnded ? false : this.#encoder.write(bytes, done)
  }

  end(chunk: unknown, encoding: unknown, callback: unknown): ServerResponse {
    const last = lastOf(chunk, encoding, callback)
    if (!this.#isDecided) {
      this.#decide(this.#outgoing.statusCode, last.bytes?.length ?? 0)
      // An answer that stays as it is gets its length from Node.
      if (this.#encoder !== undefined) this.#plain.writeHead(this.#outgoing.statusCode)
    }
    if (this.#encoder !== undefined) return this.#endEncoder(this.#encoder, last)
    return last.bytes === undefined ? this.#plain.end(last.done) : this.#plain.end(last.bytes, last.done)
  }

  #endEncoder(encoder: BrotliCompress | Gzip, { bytes, done }: Last): ServerResponse {
    if (this.#isEnded) return this.#outgoing
    this.#isEnded = true
    if (done !== undefined) this.#outgoing.once('finish', done)
    if (bytes === undefined) encoder.end()
    else encoder.end(bytes)
    return this.#outgoing
  }

  /** `length` is known when the whole content is. */
  #decide(status: number, length?: number): void {
    this.#isDecided = true
    const outgoing = this.#outgoing
    if (status === 304) weakenConfirmed(this.#incoming, outgoing)
    const announced = outgoing.getHeader('content-length')
    const bytes = announced === undefined ? length : Number(announced)
    if (!isWorthIt(outgoing, status) || (bytes !== undefined && bytes < BYTES_MIN)) return
    addVary(outgoing)
    const encoding = preferredEncoding(acceptEncoding(this.#incoming), OFFERED)
    if (encoding === undefined) return
    outgoing.setHeader('Content-Encoding', encoding)
    outgoing.removeHeader('Content-Length')
    // Ranges are of the bytes that are sent, and these are made anew each time.
    outgoing.removeHeader('Accept-Ranges')
    weakenEtag(outgoing)
    if (this.#incoming.method !== 'HEAD') this.#startEncoder(encoding, bytes)
  }

  #startEncoder(encoding: Encoding, bytes: number | undefined): void {
    const outgoing = this.#outgoing
    const encoder = openEncoder(encoding, bytes)
    this.#encoder = encoder
    encoder.on('data', (chunk: Buffer) => {
      if (!this.#plain.write(chunk)) encoder.pause()
    })
    encoder.on('end', () => this.#plain.end())
    encoder.on('error', () => outgoing.destroy())
    encoder.on('drain', () => outgoing.emit('drain'))
    outgoing.on('drain', () => encoder.resume())
    outgoing.on('close', () => encoder.destroy())
  }
}

function openEncoder(encoding: Encoding, bytes: number | undefined): BrotliCompress | Gzip {
  if (encoding === 'gzip') return createGzip(bytes === undefined ? { flush: constants.Z_SYNC_FLUSH } : {})
  return createBrotliCompress({
    ...(bytes === undefined ? { flush: constants.BROTLI_OPERATION_FLUSH } : {}),
    params: {
      [constants.BROTLI_PARAM_QUALITY]: BROTLI_QUALITY,
      [constants.BROTLI_PARAM_LGWIN]: BROTLI_WINDOW_BITS,
      [constants.BROTLI_PARAM_SIZE_HINT]: bytes ?? 0,
    },
  })
}

/** As `writeHead` would: a name given here replaces one set before, and may come several times. */
function setFields(outgoing: ServerResponse, fields: Fields | undefined): void {
  if (fields === undefined) return
  if (!Array.isArray(fields)) {
    for (const [name, value] of Object.entries(fields))
      if (value !== undefined) outgoing.setHeader(name, value)
    return
  }
  for (let i = 0; i + 1 < fields.length; i += 2) outgoing.removeHeader(String(fields[i]))
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const value = fields[i + 1]
    if (value !== undefined)
      outgoing.appendHeader(String(fields[i]), typeof value === 'number' ? String(value) : value)
  }
}

/** Types that shrink; images, sound, archives and fonts in WOFF are compressed already. */
const SHRINKS =
  /^(?:text\/|[^;]+\+(?:json|xml|text|yaml)(?:;|$)|application\/(?:json|javascript|ecmascript|xml|wasm|manifest|graphql|sql|yaml|toml|rtf|x-ndjson|jsonlines|x-javascript|x-sh|x-tar|x-yaml|x-www-form-urlencoded|vnd\.ms-fontobject)(?:[;+]|$)|font\/(?:ttf|otf|collection)|image\/(?:bmp|x-icon|vnd\.microsoft\.icon|x-ms-bmp))/i

/** Whole contents of a type that shrinks, which nobody has encoded, signed or forbidden to change. */
function isWorthIt(outgoing: ServerResponse, status: number): boolean {
  if (status < 200 || NOT_WHOLE.has(status)) return false
  const encoding = outgoing.getHeader('content-encoding') ?? 'identity'
  if (encoding !== 'identity' || UNTOUCHABLE.some((name) => outgoing.hasHeader(name))) return false
  if (/(?:^|,)\s*no-transform\s*(?:,|$)/i.test(String(outgoing.getHeader('cache-control') ?? '')))
    return false
  return SHRINKS.test(String(outgoing.getHeader('content-type') ?? ''))
}

const NOT_WHOLE = new Set([204, 205, 206, 304])
const UNTOUCHABLE = ['content-range', 'content-md5', 'content-digest', 'trailer']

function acceptEncoding({ headers }: IncomingMessage): string | undefined {
  const value = headers['accept-encoding']
  return Array.isArray(value) ? value.join(',') : value
}

function addVary(outgoing: ServerResponse): void {
  const names = [outgoing.getHeader('vary') ?? []].flat().map(String)
  if (names.some((name) => /(?:^|[\s,])(?:\*|accept-encoding)(?:[\s,]|$)/i.test(name))) return
  outgoing.setHeader('Vary', [...names, 'Accept-Encoding'].join(', '))
}

function weakenEtag(outgoing: ServerResponse): void {
  const etag = outgoing.getHeader('etag')
  if (typeof etag === 'string' && etag.startsWith('"')) outgoing.setHeader('ETag', `W/${etag}`)
}

/** What the client holds has the weak form of this validator, if we compressed it. */
function weakenConfirmed({ headers }: IncomingMessage, outgoing: ServerResponse): void {
  const etag = outgoing.getHeader('etag')
  if (typeof etag !== 'string' || headers['if-none-match']?.includes(`W/${etag}`) !== true) return
  weakenEtag(outgoing)
  addVary(outgoing)
}

interface Last {
  readonly bytes: Uint8Array | undefined
  readonly done: Done | undefined
}

/** What `end` was called with, in all its forms. */
function lastOf(chunk: unknown, encoding: unknown, callback: unknown): Last {
  if (typeof chunk === 'function') return { bytes: undefined, done: chunk as Done }
  const bytes = chunk === undefined || chunk === null ? undefined : bytesOf(chunk, encoding)
  return { bytes, done: callbackOf(encoding, callback) }
}

function bytesOf(chunk: unknown, encoding: unknown): Uint8Array {
  if (chunk instanceof Uint8Array) return chunk
  return Buffer.from(String(chunk), typeof encoding === 'string' ? (encoding as BufferEncoding) : 'utf8')
}

function callbackOf(encoding: unknown, callback: unknown): Done | undefined {
  const last = typeof encoding === 'function' ? encoding : callback
  return typeof last === 'function' ? (last as Done) : undefined
}
