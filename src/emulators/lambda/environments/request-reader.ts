/** Names in lower case; a name that comes again is joined with a comma. */
export type Fields = ReadonlyMap<string, string>

export interface RequestHead {
  readonly method: string
  readonly target: string
  readonly fields: Fields
  /** The connection stays open after the answer. */
  readonly keepAlive: boolean
  /** The client waits with the body until it is asked for it. */
  readonly expectsContinue: boolean
}

/** What is read of a connection, in order. */
export interface RequestReaderEvents {
  head(head: RequestHead): void
  data(bytes: Buffer): void
  /** False stops the reader until `resume`: the next request waits. */
  end(trailers: Fields): boolean
  /** This is no request; nothing more is read. */
  malformed(status: 400 | 431 | 501): void
}

/** X-Ray’s view of an error is a field, of up to 1 MiB. */
const HEAD_BYTES_MAX = 2 * 1024 * 1024
/** The error of a broken stream is in a trailer, Base64 of a stack and all. */
const TRAILER_BYTES_MAX = 1024 * 1024
const CHUNK_LINE_BYTES_MAX = 4 * 1024
const NO_FIELDS: Fields = new Map()
const LINE_FEED = 10
const CARRIAGE_RETURN = 13

type Step = 'head' | 'body' | 'chunk-size' | 'chunk' | 'chunk-end' | 'trailers' | 'stopped'

/**
 * Reads HTTP/1.1 requests as runtimes send them, from bytes that come in any pieces: heads, bodies of a known length or in chunks, trailers.
 * It is for clients of this machine that one trusts: what is unclear is refused and ends the connection.
 */
export class RequestReader {
  readonly #events: RequestReaderEvents
  #step: Step = 'head'
  /** Bytes of a line or head whose end has not come. */
  #rest: Buffer | undefined
  /** Up to here `#rest` holds no end of a head. */
  #searched = 0
  #left = 0
  #held = false
  #busy = false

  constructor(events: RequestReaderEvents) {
    this.#events = events
  }

  /** Between two requests, with nothing begun. */
  get idle(): boolean {
    return this.#step === 'head' && (this.#rest === undefined || this.#rest.length === 0)
  }

  /** A request's head was read, and not its end. */
  get inBody(): boolean {
    return this.#step !== 'head' && this.#step !== 'stopped'
  }

  /** Bytes that wait for `resume`. */
  get heldBytes(): number {
    return this.#held ? (this.#rest?.length ?? 0) : 0
  }

  push(bytes: Buffer): void {
    this.#rest = this.#rest === undefined ? bytes : Buffer.concat([this.#rest, bytes])
    this.#read()
  }

  /** Goes on after `end` returned false. */
  resume(): void {
    this.#held = false
    this.#read()
  }

  #read(): void {
    // What an event calls may resume or push again: the outer loop goes on by itself.
    if (this.#busy) return
    this.#busy = true
    while (!this.#held && this.#rest !== undefined && this.#advance()) {
      // Each step takes its bytes off the front.
    }
    this.#busy = false
  }

  /** False when more bytes are needed. */
  #advance(): boolean {
    switch (this.#step) {
      case 'head':
        return this.#readHead()
      case 'body':
        return this.#readBody()
      case 'chunk-size':
        return this.#readChunkSize()
      case 'chunk':
        return this.#readBody()
      case 'chunk-end':
        return this.#readChunkEnd()
      case 'trailers':
        return this.#readTrailers()
      case 'stopped':
        this.#rest = undefined
        return false
    }
  }

  #take(length: number): Buffer {
    const rest = this.#rest ?? Buffer.alloc(0)
    this.#rest = rest.length === length ? undefined : rest.subarray(length)
    this.#searched = 0
    return rest.length === length ? rest : rest.subarray(0, length)
  }

  #stop(status: 400 | 431 | 501): false {
    this.#step = 'stopped'
    this.#rest = undefined
    this.#events.malformed(status)
    return false
  }

  /** Empty lines before a request are skipped, as clients of old send them after a body. */
  #skipLineEnds(): boolean {
    const rest = this.#rest
    if (rest === undefined) return false
    let start = 0
    while (rest[start] === CARRIAGE_RETURN || rest[start] === LINE_FEED) start += 1
    if (start > 0) this.#take(start)
    return this.#rest !== undefined
  }

  /** The whole head with its empty line; undefined while that has not come, or when it is too long. */
  #wholeHead(bytesMax: number): Buffer | undefined {
    const rest = this.#rest
    if (rest === undefined) return undefined
    const end = rest.indexOf('\r\n\r\n', Math.max(0, this.#searched - 3), 'latin1')
    this.#searched = rest.length
    const length = end === -1 ? rest.length : end + 4
    if (length > bytesMax) {
      this.#stop(431)
      return undefined
    }
    return end === -1 ? undefined : this.#take(length)
  }

  #readHead(): boolean {
    if (!this.#skipLineEnds()) return false
    const head = this.#wholeHead(HEAD_BYTES_MAX)
    if (head === undefined) return false
    const request = readRequest(head.toString('utf8', 0, head.length - 4))
    return typeof request === 'number' ? this.#stop(request) : this.#begin(request)
  }

  #begin({ head, length }: ReadRequest): boolean {
    this.#left = length ?? 0
    this.#step = length === undefined ? 'chunk-size' : 'body'
    this.#events.head(head)
    if (length === 0) this.#end(NO_FIELDS)
    return true
  }

  #readBody(): boolean {
    const length = Math.min(this.#left, this.#rest?.length ?? 0)
    if (length > 0) {
      this.#left -= length
      this.#events.data(this.#take(length))
    }
    if (this.#left > 0) return false
    if (this.#step === 'chunk') this.#step = 'chunk-end'
    else this.#end(NO_FIELDS)
    return true
  }

  #readChunkSize(): boolean {
    const end = this.#rest?.indexOf(LINE_FEED) ?? -1
    if (end === -1) return this.#isLineTooLong() ? this.#stop(400) : false
    const size = readChunkSize(this.#take(end + 1).toString('latin1'))
    if (size === undefined) return this.#stop(400)
    this.#left = size
    this.#step = size === 0 ? 'trailers' : 'chunk'
    return true
  }

  #isLineTooLong(): boolean {
    return this.#rest !== undefined && this.#rest.length > CHUNK_LINE_BYTES_MAX
  }

  #readChunkEnd(): boolean {
    const rest = this.#rest
    if (rest === undefined || rest.length < 2) return false
    if (rest[0] !== CARRIAGE_RETURN || rest[1] !== LINE_FEED) return this.#stop(400)
    this.#take(2)
    this.#step = 'chunk-size'
    return true
  }

  #readTrailers(): boolean {
    const rest = this.#rest
    if (rest === undefined || rest.length < 2) return false
    if (rest[0] === CARRIAGE_RETURN && rest[1] === LINE_FEED) {
      this.#take(2)
      this.#end(NO_FIELDS)
      return true
    }
    const block = this.#wholeHead(TRAILER_BYTES_MAX)
    if (block === undefined) return false
    const fields = readFields(block.toString('utf8', 0, block.length - 4), 0)
    if (fields === undefined) return this.#stop(400)
    this.#end(fields)
    return true
  }

  #end(trailers: Fields): void {
    this.#step = 'head'
    this.#searched = 0
    if (!this.#events.end(trailers)) this.#held = true
  }
}

/** A request line with its fields; `length` is undefined for a body in chunks. */
interface ReadRequest {
  readonly head: RequestHead
  readonly length: number | undefined
}

/** Or the status that says what is wrong with it. */
function readRequest(text: string): ReadRequest | 400 | 501 {
  const lineEnd = text.indexOf('\r\n')
  const line = lineEnd === -1 ? text : text.slice(0, lineEnd)
  const [, method, target, minor] = /^([A-Z]+) (\S+) HTTP\/1\.([01])$/.exec(line) ?? []
  const fields = lineEnd === -1 ? NO_FIELDS : readFields(text, lineEnd + 2)
  if (method === undefined || target === undefined || fields === undefined) return 400
  const length = readLength(fields)
  if (length === 400 || length === 501) return length
  const expectsContinue = fields.get('expect')?.toLowerCase() === '100-continue'
  const keepAlive = staysOpen(fields, minor === '1')
  return { head: { method, target, fields, keepAlive, expectsContinue }, length: length.bytes }
}

function staysOpen(fields: Fields, byDefault: boolean): boolean {
  const connection = fields.get('connection')?.toLowerCase()
  if (connection === undefined) return byDefault
  return byDefault ? !connection.includes('close') : connection.includes('keep-alive')
}

function readLength(fields: Fields): { readonly bytes: number | undefined } | 400 | 501 {
  const coding = fields.get('transfer-encoding')
  const length = fields.get('content-length')
  if (coding === undefined) {
    return length === undefined || /^\d{1,15}$/.test(length) ? { bytes: Number(length ?? 0) } : 400
  }
  // A length beside chunks would let two readers see two different requests.
  if (length !== undefined) return 400
  return coding.toLowerCase() === 'chunked' ? { bytes: undefined } : 501
}

function readChunkSize(line: string): number | undefined {
  if (line.length > CHUNK_LINE_BYTES_MAX) return undefined
  const [, digits] = /^([0-9a-fA-F]{1,12})[ \t]*(?:;[^\r\n]*)?\r\n$/.exec(line) ?? []
  return digits === undefined ? undefined : parseInt(digits, 16)
}

/** Undefined when a line is no field. Folded lines are none. */
function readFields(text: string, from: number): Map<string, string> | undefined {
  const fields = new Map<string, string>()
  let start = from
  while (start < text.length) {
    const lineEnd = text.indexOf('\r\n', start)
    const end = lineEnd === -1 ? text.length : lineEnd
    const colon = text.indexOf(':', start)
    if (colon <= start || colon >= end) return undefined
    const name = text.slice(start, colon).toLowerCase()
    if (!FIELD_NAME.test(name) || !addField(fields, name, text.slice(colon + 1, end).trim())) return undefined
    start = end + 2
  }
  return fields
}

const FIELD_NAME = /^[!#$%&'*+.^_`|~0-9a-z-]+$/

/** False for two lengths that differ: they would make two requests of one. */
function addField(fields: Map<string, string>, name: string, value: string): boolean {
  const before = fields.get(name)
  if (before !== undefined && name === 'content-length') return before === value
  fields.set(name, before === undefined ? value : `${before}, ${value}`)
  return true
}
