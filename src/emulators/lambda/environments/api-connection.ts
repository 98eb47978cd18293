import type { Socket } from 'node:net'

import { RequestReader, type Fields, type RequestHead } from './request-reader.ts'

/** What takes the body of one request. */
export interface BodySink {
  data(bytes: Buffer): void
  end(trailers: Fields): void
  /** The client left before the end. It may still read an answer. */
  truncated(): void
}

export interface ConnectionEvents {
  /** A request has begun: tells what takes its body. */
  request(head: RequestHead, connection: ApiConnection): BodySink
  closed(connection: ApiConnection): void
}

const REASONS: Readonly<Record<number, string>> = {
  200: 'OK',
  202: 'Accepted',
  400: 'Bad Request',
  403: 'Forbidden',
  404: 'Not Found',
  413: 'Payload Too Large',
  431: 'Request Header Fields Too Large',
  500: 'Internal Server Error',
  501: 'Not Implemented',
}
/** What a client may send ahead of an answer that it waits for. */
const HELD_BYTES_MAX = 1024 * 1024
/** Above it head and body go as two buffers: copying costs more than a second one. */
const JOINED_BYTES_MAX = 64 * 1024
const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n'

/** One client's connection: a request at a time is under way, and answered before the next one is read. */
export class ApiConnection {
  readonly #socket: Socket
  readonly #events: ConnectionEvents
  readonly #reader: RequestReader
  #sink: BodySink | undefined
  #keepAlive = true
  /** The request's end was read. */
  #ended = false
  /** Its answer was written; true also before the first request. */
  #answered = true
  /** Counts requests, so that an answer that comes too late is not taken for the next one's. */
  #request = 0
  #closed = false
  /** What is said while bytes are read goes out in one piece, since one read often holds several requests. */
  #reading = false
  #out = ''
  /** Called when the client leaves while it waits for an answer. */
  onLeft: (() => void) | undefined

  constructor(socket: Socket, events: ConnectionEvents) {
    this.#socket = socket
    this.#events = events
    this.#reader = new RequestReader({
      head: (head) => this.#begin(head),
      data: (bytes) => this.#sink?.data(bytes),
      end: (trailers) => this.#end(trailers),
      malformed: (status) => this.#malformed(status),
    })
    socket.setNoDelay(true)
    socket.on('data', (bytes) => this.#read(bytes))
    socket.on('end', () => this.#left())
    socket.on('close', () => this.#close())
    socket.on('error', () => socket.destroy())
  }

  /** The number of the request under way. */
  get request(): number {
    return this.#request
  }

  /** Whether the request of this number still waits for its answer. */
  waits(request: number): boolean {
    return !this.#closed && !this.#answered && this.#request === request
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    if (!this.#closed) this.#socket.resume()
  }

  close(): void {
    this.#socket.destroy()
  }

  /** `fields` are whole lines, each with its end. A text is sent as UTF-8. */
  answer(status: number, fields: string, body: string | Uint8Array): void {
    if (this.#closed || this.#answered) return
    this.#answered = true
    this.onLeft = undefined
    const length = typeof body === 'string' ? Buffer.byteLength(body) : body.byteLength
    const close = this.#keepAlive ? '' : 'Connection: close\r\n'
    const head = `HTTP/1.1 ${status} ${REASONS[status] ?? 'Answer'}\r\n${fields}${close}Content-Length: ${length}\r\n\r\n`
    this.#write(head, body)
    if (!this.#keepAlive) this.#finish()
    else if (this.#ended) this.#next()
  }

  #write(head: string, body: string | Uint8Array): void {
    this.#out += head
    if (typeof body === 'string') this.#out += body
    else if (body.byteLength <= JOINED_BYTES_MAX) this.#flush(body)
    else {
      this.#socket.cork()
      this.#flush()
      this.#socket.write(body)
      this.#socket.uncork()
    }
    if (!this.#reading) this.#flush()
  }

  #flush(body?: Uint8Array): void {
    const text = this.#out
    this.#out = ''
    if (body !== undefined) this.#socket.write(Buffer.concat([Buffer.from(text), body]))
    else if (text !== '' && !this.#closed) this.#socket.write(text)
  }

  /** Nothing more is said. */
  #finish(): void {
    this.#flush()
    this.#socket.end()
  }

  #begin(head: RequestHead): void {
    this.#request += 1
    this.#answered = false
    this.#ended = false
    this.#keepAlive = head.keepAlive
    if (head.expectsContinue) this.#out += CONTINUE
    this.#sink = this.#events.request(head, this)
  }

  #end(trailers: Fields): boolean {
    const sink = this.#sink
    this.#sink = undefined
    this.#ended = true
    sink?.end(trailers)
    return this.#answered && this.#keepAlive
  }

  #read(bytes: Buffer): void {
    this.#reading = true
    this.#reader.push(bytes)
    this.#reading = false
    this.#flush()
    if (this.#reader.heldBytes > HELD_BYTES_MAX) this.#socket.pause()
  }

  #next(): void {
    this.#socket.resume()
    this.#reader.resume()
  }

  #malformed(status: 400 | 431 | 501): void {
    this.#sink?.truncated()
    this.#sink = undefined
    this.#keepAlive = false
    if (this.#answered) {
      this.#request += 1
      this.#answered = false
    }
    this.answer(status, '', '')
    this.#finish()
  }

  /** The client sends nothing more. In the middle of a body it is told so; one that waits for an answer has given up on it. */
  #left(): void {
    this.#keepAlive = false
    if (this.#reader.inBody) {
      const sink = this.#sink
      this.#sink = undefined
      sink?.truncated()
    } else this.#tellLeft()
    this.#finish()
  }

  #tellLeft(): void {
    const tell = this.onLeft
    this.onLeft = undefined
    if (!this.#answered) tell?.()
  }

  #close(): void {
    if (this.#closed) return
    this.#closed = true
    const sink = this.#sink
    this.#sink = undefined
    sink?.truncated()
    this.#tellLeft()
    this.#events.closed(this)
  }
}
