import { once } from 'node:events'
import { connect } from 'node:net'

/** A request exactly as it goes over the wire: nothing is added but `Host`, `Connection: close` and the framing that is asked for. */
export interface RawRequest {
  readonly method?: string | undefined
  /** The request target, unencoded by anybody. */
  readonly path: string
  /** name, value pairs in their order. */
  readonly fields?: readonly (readonly [string, string])[] | undefined
  /** A list goes as chunks, a text with a Content-Length. */
  readonly body?: string | Buffer | readonly string[] | undefined
}

export interface RawAnswer {
  readonly status: number
  readonly reason: string
  /** As written, in their order. */
  readonly fields: readonly (readonly [string, string])[]
  /** Content without framing; still encoded if the answer is. */
  readonly body: Buffer
  /** The connection ended before the content did. */
  readonly cut: boolean
  /** Milliseconds from the first byte of content to the arrival of each piece. */
  readonly arrivals: readonly number[]
}

const CRLF = '\r\n'
const LIMIT_MS = 15_000

export async function ask(origin: string, request: RawRequest): Promise<RawAnswer> {
  const { hostname, port, host } = new URL(origin)
  const socket = connect({ host: hostname, port: Number(port), noDelay: true })
  const timer = setTimeout(
    () => socket.destroy(new Error(`no whole answer to ${request.path} in ${LIMIT_MS} ms`)),
    LIMIT_MS,
  )
  const reader = new AnswerReader(request.method ?? 'GET')
  try {
    socket.on('data', (bytes: Buffer) => reader.push(bytes))
    const ended = once(socket, 'close')
    socket.on('error', (error: NodeJS.ErrnoException) => {
      // A server that resets after its answer has answered.
      if (error.code !== 'ECONNRESET' && error.code !== 'EPIPE') reader.failure = error
    })
    socket.on('end', () => socket.end())
    socket.write(head(request, host))
    writeBody(request.body, (bytes) => socket.write(bytes))
    await Promise.race([reader.whole, ended])
    if (reader.failure !== undefined) throw reader.failure
    return reader.answer()
  } finally {
    clearTimeout(timer)
    socket.destroy()
  }
}

function head({ method = 'GET', path, fields = [], body }: RawRequest, host: string): string {
  const given = new Set(fields.map(([name]) => name.toLowerCase()))
  const lines = [`${method} ${path} HTTP/1.1`]
  if (!given.has('host')) lines.push(`Host: ${host}`)
  for (const [name, value] of fields) lines.push(`${name}: ${value}`)
  if (!given.has('connection')) lines.push('Connection: close')
  if (Array.isArray(body)) lines.push('Transfer-Encoding: chunked')
  else if (body !== undefined) lines.push(`Content-Length: ${Buffer.byteLength(body as string | Buffer)}`)
  return lines.join(CRLF) + CRLF + CRLF
}

function writeBody(body: RawRequest['body'], write: (bytes: string | Buffer) => void): void {
  if (body === undefined) return
  if (typeof body === 'string' || Buffer.isBuffer(body)) return write(body)
  for (const chunk of body) write(`${Buffer.byteLength(chunk).toString(16)}${CRLF}${chunk}${CRLF}`)
  write(`0${CRLF}${CRLF}`)
}

/** Reads one answer (RFC 9112, section 6), with those of status 1xx before it. */
class AnswerReader {
  failure: Error | undefined
  readonly whole: Promise<void>
  #rest: Buffer = Buffer.alloc(0)
  #head: { status: number; reason: string; fields: [string, string][] } | undefined
  readonly #pieces: Buffer[] = []
  readonly #arrivals: number[] = []
  #left = 0
  #framing: 'length' | 'chunks' | 'close' | 'none' = 'none'
  #done = false
  #finish: () => void = () => {}

  readonly #method: string

  constructor(method: string) {
    this.#method = method
    this.whole = new Promise((resolve) => (this.#finish = resolve))
  }

  push(bytes: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, bytes])
    while (!this.#done && this.#step());
  }

  answer(): RawAnswer {
    if (this.#head === undefined)
      throw new Error(`the connection ended without an answer: ${this.#rest.toString('latin1')}`)
    const [first = 0] = this.#arrivals
    return {
      ...this.#head,
      body: Buffer.concat(this.#pieces),
      cut: !this.#done && this.#framing !== 'close',
      arrivals: this.#arrivals.map((at) => Math.round(at - first)),
    }
  }

  /** False when more bytes are needed. */
  #step(): boolean {
    if (this.#head === undefined) return this.#readHead()
    if (this.#framing === 'chunks') return this.#readChunk()
    if (this.#framing === 'close') return this.#take(this.#rest.length)
    const taken = this.#take(Math.min(this.#left, this.#rest.length))
    if (this.#left === 0) this.#end()
    return taken
  }

  #readHead(): boolean {
    const at = this.#rest.indexOf(CRLF + CRLF)
    if (at < 0) return false
    const [line = '', ...lines] = this.#rest.toString('latin1', 0, at).split(CRLF)
    this.#rest = this.#rest.subarray(at + 4)
    const [, code = '', reason = ''] = /^HTTP\/1\.1 (\d{3}) ?(.*)$/.exec(line) ?? []
    const status = Number(code)
    // An interim answer; the final one follows.
    if (status < 200 && status !== 101) return true
    const fields = lines.map((text): [string, string] => {
      const colon = text.indexOf(':')
      return [text.slice(0, colon), text.slice(colon + 1).trim()]
    })
    this.#head = { status, reason, fields }
    this.#frame(status, new Map(fields.map(([name, value]) => [name.toLowerCase(), value])))
    return true
  }

  #frame(status: number, fields: ReadonlyMap<string, string>): void {
    if (this.#method === 'HEAD' || status === 204 || status === 304 || status === 101) return this.#end()
    if (fields.get('transfer-encoding') === 'chunked') this.#framing = 'chunks'
    else if (fields.has('content-length')) {
      this.#framing = 'length'
      this.#left = Number(fields.get('content-length'))
    } else this.#framing = 'close'
  }

  #readChunk(): boolean {
    const at = this.#rest.indexOf(CRLF)
    if (at < 0) return false
    const size = Number.parseInt(this.#rest.toString('latin1', 0, at), 16)
    if (this.#rest.length < at + 2 + size + 2) return false
    this.#rest = this.#rest.subarray(at + 2)
    if (size === 0) this.#end()
    else this.#take(size)
    this.#rest = this.#rest.subarray(2)
    return true
  }

  #take(size: number): boolean {
    if (size === 0) return false
    this.#pieces.push(this.#rest.subarray(0, size))
    this.#arrivals.push(performance.now())
    this.#rest = this.#rest.subarray(size)
    this.#left -= size
    return true
  }

  #end(): void {
    this.#done = true
    this.#finish()
  }
}
