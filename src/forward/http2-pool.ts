import type * as http2Module from 'node:http2'
import type { ClientHttp2Session, ClientHttp2Stream, OutgoingHttpHeaders } from 'node:http2'
import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'

import { serverNameOf, tlsOptions, type ClientTls } from './client-tls.ts'
import { errorCode } from './upstream-error.ts'

export interface Http2PoolOptions {
  /** How long a connection may take to open, its settings included; default 10 000. */
  readonly connectMs?: number | undefined
  readonly tls?: ClientTls | undefined
}

const CONNECT_MS = 10_000
/** A connection without requests for so long is closed. */
const IDLE_MS = 60_000
/** How long a connection whose request went unanswered may take to show that it lives. */
const PING_MS = 2_000
/** An origin that chose HTTP/1.1 is asked again what it speaks after so long. */
const HTTP1_MS = 60_000
/** Beyond it requests wait within a connection for a free stream. */
const CONNECTIONS_MAX = 64
const WINDOW_BYTES = 1024 * 1024
const SESSION_WINDOW_BYTES = 16 * WINDOW_BYTES
const SESSION_MEMORY_MB = 64
const HEAD_BYTES_MAX = 64 * 1024

type Http2 = Pick<typeof http2Module, 'connect'>

/** Connections of HTTP/2 to one origin; nothing is connected before the first request. Loads node:http2 on the first call. */
export async function openHttp2Pool(origin: string, options: Http2PoolOptions = {}): Promise<Http2Pool> {
  return new Http2Pool(await import('node:http2'), new URL(origin), options)
}

export class Http2Pool {
  readonly #http2: Http2
  readonly #origin: URL
  readonly #options: Http2PoolOptions
  readonly #connections = new Set<Http2Connection>()
  #connecting: Promise<void> | undefined
  #http1Until = 0
  #closed = false

  constructor(http2: Http2, origin: URL, options: Http2PoolOptions) {
    this.#http2 = http2
    this.#origin = origin
    this.#options = options
  }

  /** A connection with a free stream, if there is one. */
  ready(): Http2Connection | undefined {
    let best: Http2Connection | undefined
    for (const connection of this.#connections) {
      if (connection.free) return connection
      if (best === undefined || connection.streams < best.streams) best = connection
    }
    return this.#connections.size < CONNECTIONS_MAX ? undefined : best
  }

  /**
   * Waits for a connection with a free stream; undefined when the origin chose to speak HTTP/1.1.
   * @throws what the socket says; `ERR_FLEXI_HTTP2` when the origin does not speak HTTP/2.
   */
  async acquire(): Promise<Http2Connection | undefined> {
    for (;;) {
      const connection = this.ready()
      if (connection !== undefined) return connection
      if (this.#http1Until > Date.now()) return undefined
      this.#connecting ??= this.#connect().finally(() => {
        this.#connecting = undefined
      })
      await this.#connecting
    }
  }

  /** Lets requests under way finish. */
  async close(): Promise<void> {
    this.#closed = true
    await Promise.all([...this.#connections].map((connection) => connection.close()))
  }

  async #connect(): Promise<void> {
    const opening = new Opening(this.#origin, this.#options)
    try {
      const socket = await opening.socket()
      if (socket === undefined) {
        this.#http1Until = Date.now() + HTTP1_MS
        return
      }
      const session = this.#session(socket)
      const connection = new Http2Connection(session, () => this.#connections.delete(connection))
      await opening.settings(session)
      if (this.#closed) session.close()
      else if (connection.usable) this.#connections.add(connection)
    } finally {
      opening.end()
    }
  }

  #session(socket: Socket): ClientHttp2Session {
    const session = this.#http2.connect(this.#origin, {
      createConnection: () => socket,
      maxSessionMemory: SESSION_MEMORY_MB,
      settings: {
        enablePush: false,
        initialWindowSize: WINDOW_BYTES,
        maxHeaderListSize: HEAD_BYTES_MAX,
      },
    })
    session.once('connect', () => session.setLocalWindowSize(SESSION_WINDOW_BYTES))
    return session
  }
}

/** A connection while it is opened, with one limit for all of it. */
class Opening {
  readonly #origin: URL
  readonly #options: Http2PoolOptions
  readonly #timer: NodeJS.Timeout
  #socket: Socket | TLSSocket | undefined

  constructor(origin: URL, options: Http2PoolOptions) {
    this.#origin = origin
    this.#options = options
    this.#timer = setTimeout(() => {
      this.#socket?.destroy(
        Object.assign(new Error('no connection in time'), { code: 'UND_ERR_CONNECT_TIMEOUT' }),
      )
    }, options.connectMs ?? CONNECT_MS)
  }

  /** Undefined when the origin chose HTTP/1.1 in the TLS handshake. */
  socket(): Promise<Socket | undefined> {
    return new Promise((resolve, reject) => {
      const socket = this.#open()
      this.#socket = socket
      const secured = 'alpnProtocol' in socket
      socket.setKeepAlive(true, IDLE_MS)
      socket.once('error', reject)
      socket.once(secured ? 'secureConnect' : 'connect', () => {
        socket.off('error', reject)
        if (!secured || socket.alpnProtocol === 'h2') return resolve(socket)
        socket.destroy()
        return resolve(undefined)
      })
    })
  }

  #open(): Socket | TLSSocket {
    const { protocol, hostname, port } = this.#origin
    const host = hostname.replace(/^\[|\]$/g, '')
    const secure = protocol === 'https:'
    const to = { host, port: port === '' ? STANDARD_PORTS[secure ? 1 : 0] : Number(port), noDelay: true }
    if (!secure) return connectTcp(to)
    return connectTls({
      ...to,
      ...tlsOptions(host, this.#options.tls),
      ALPNProtocols: ['h2', 'http/1.1'],
      ...(serverNameOf(host, this.#options.tls) === undefined ? { servername: '' } : {}),
    })
  }

  /** An HTTP/2 server begins with its settings: whoever does not is none. */
  settings(session: ClientHttp2Session): Promise<void> {
    return new Promise((resolve, reject) => {
      const fail = (error?: Error): void => {
        const late = error !== undefined && errorCode(error) === 'UND_ERR_CONNECT_TIMEOUT'
        const cause = error ?? new Error('the connection was closed')
        reject(late ? error : Object.assign(new Error(cause.message, { cause }), { code: 'ERR_FLEXI_HTTP2' }))
      }
      session.once('remoteSettings', () => resolve())
      session.once('error', fail).once('close', () => fail())
      this.#socket?.once('error', fail)
    })
  }

  end(): void {
    clearTimeout(this.#timer)
  }
}

const STANDARD_PORTS = [80, 443] as const

/** One connection and the streams on it. */
export class Http2Connection {
  readonly #session: ClientHttp2Session
  readonly #gone: () => void
  streams = 0
  /** Requests it has taken so far. */
  taken = 0
  usable = true
  /** The last stream that the origin looks at; known once it has said that it goes away. */
  #lastStream: number | undefined

  constructor(session: ClientHttp2Session, gone: () => void) {
    this.#session = session
    this.#gone = gone
    session.on('goaway', (_code: number, lastStream: number) => {
      this.#lastStream = lastStream
      this.#retire()
    })
    session.on('close', () => this.#retire()).on('error', ignore)
    session.setTimeout(IDLE_MS, () => {
      if (this.streams === 0) void this.close()
    })
  }

  get free(): boolean {
    return this.usable && this.streams < (this.#session.remoteSettings.maxConcurrentStreams ?? 100)
  }

  request(head: OutgoingHttpHeaders, endStream: boolean): ClientHttp2Stream {
    const stream = this.#session.request(head, { endStream, waitForTrailers: !endStream })
    this.streams++
    this.taken++
    stream.once('close', () => {
      this.streams--
    })
    return stream
  }

  /** True when the origin says that it did nothing with this stream: the request may be sent again (RFC 9113 section 8.7). */
  ignored(stream: ClientHttp2Stream): boolean {
    if (stream.rstCode === REFUSED_STREAM || stream.id === undefined) return true
    return this.#lastStream !== undefined && stream.id > this.#lastStream
  }

  /** A request went unanswered: the connection is given up unless the other side shows that it is there. */
  check(): void {
    if (!this.usable) return
    const timer = setTimeout(() => this.#session.destroy(), PING_MS)
    timer.unref()
    if (!this.#session.ping(() => clearTimeout(timer))) this.#session.destroy()
  }

  close(): Promise<void> {
    this.#retire()
    return new Promise((resolve) => {
      if (this.#session.destroyed) resolve()
      else this.#session.close(() => resolve())
    })
  }

  #retire(): void {
    this.usable = false
    this.#gone()
  }
}

/** NGHTTP2_REFUSED_STREAM */
const REFUSED_STREAM = 7

function ignore(): void {
  // The streams on it are told, and so are those who asked for them.
}
