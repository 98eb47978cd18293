import { createServer as createHttpServer, type IncomingMessage, type Server } from 'node:http'
import { createServer as createTcpServer, type Server as TcpServer, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Server as TlsServer, TLSSocket } from 'node:tls'

import { errorMessage } from '../core/errors.ts'
import { LIMITS } from '../core/limits.ts'
import type { Logger } from '../core/log.ts'
import { ClientResponse } from './client-response.ts'
import { continueWhenRead } from './expect-continue.ts'
import { readOpening, type Opening } from './first-bytes.ts'
import type { Http2Front } from './http2-front.ts'
import type { Http2Request } from './http2-request.ts'
import { listen, type ListenOptions } from './listen.ts'
import type { GatewayTls } from './secure.ts'
import { decideUpgrade } from './upgrade.ts'

const HEADERS_MS = 10_000
const REQUEST_MS = 300_000
const KEEP_ALIVE_MS = 75_000
/** Time for a client that is just about to use an idle connection again. */
const IDLE_GRACE_MS = 100

/** From Node 24 on: what is no WebSocket handshake is a plain request from the start, its content read as ever. Older ones replay it. */
const UPGRADES: object = { shouldUpgradeCallback: decideUpgrade }

export type HttpServer = Server<typeof IncomingMessage, typeof ClientResponse>

/** How long clients may take. What is too slow is answered with 408, or closed when it has not begun. */
export interface ClientTimeouts {
  /** For the whole head of a request, however its bytes drip; default 10 000. */
  readonly headersMs?: number | undefined
  /** For a whole request, content included; default 300 000. */
  readonly requestMs?: number | undefined
  /** Between the end of an answer and the next request; default 75 000. */
  readonly keepAliveMs?: number | undefined
}

export interface ServersOptions {
  readonly log: Logger
  readonly timeouts?: ClientTimeouts | undefined
  /** Speaks TLS; what arrives in plain is sent to `https:`. */
  readonly tls?: GatewayTls | undefined
  readonly onRequest: (incoming: IncomingMessage, outgoing: ClientResponse) => void
  readonly onHttp2Request: (incoming: Http2Request, outgoing: ClientResponse) => void
  /** Over TLS was wanted, and plain HTTP came. */
  readonly onPlainRequest: (incoming: IncomingMessage, outgoing: ClientResponse) => void
  readonly onUpgrade: (incoming: IncomingMessage, socket: Duplex, head: Buffer) => void
  readonly onConnect: (socket: Duplex) => void
  /** A client of HTTP/1.1 ended its side. */
  readonly onHalfClose: (socket: Socket) => void
  readonly onUnreadable: (error: NodeJS.ErrnoException, socket: Duplex) => void
}

/**
 * One port and everything that is spoken on it: HTTP/1.1, and HTTP/2 with prior knowledge; or TLS with either by ALPN.
 * The first bytes of a connection decide which server gets it.
 */
export class Servers {
  /** Takes any connection with its `connection` event, whatever was read from it and put back. */
  readonly http1: HttpServer
  readonly #options: ServersOptions
  readonly #listener: TcpServer
  readonly #sockets = new Set<Socket>()
  /** Those that have not said anything, and since when. */
  readonly #silent = new Map<Socket, number>()
  /** Listens to every connection: one function for all, so that none costs a closure. */
  readonly #forget: (this: Socket) => void
  readonly #redirects: HttpServer | undefined
  #sweeper: NodeJS.Timeout | undefined
  #tls: Promise<TlsServer> | undefined
  #http2: Promise<Http2Front> | undefined
  #stopping = false
  #closed: Promise<void> | undefined

  constructor(options: ServersOptions) {
    this.#options = options
    this.http1 = newHttpServer(options, options.onRequest)
      .on('upgrade', options.onUpgrade)
      .on('connect', (_incoming, socket) => options.onConnect(socket))
    this.#redirects = options.tls === undefined ? undefined : newHttpServer(options, options.onPlainRequest)
    const sockets = this.#sockets
    const silent = this.#silent
    this.#forget = function () {
      sockets.delete(this)
      silent.delete(this)
    }
    // As node:http makes its own: a client may end its side and still wait for the answer.
    this.#listener = createTcpServer({ allowHalfOpen: true, noDelay: true }, this.#onSocket)
  }

  async listen(options: ListenOptions): Promise<number> {
    const { tls, log, timeouts } = this.#options
    if (tls !== undefined) {
      this.#tls = import('./tls-server.ts').then(({ openTlsServer }) =>
        openTlsServer(tls, { log, accept: this.#onSecure }),
      )
      await this.#tls
    }
    const port = await listen(this.#listener, options)
    const silenceMs = timeouts?.headersMs ?? HEADERS_MS
    this.#sweeper = setInterval(() => this.#endSilent(silenceMs), silenceMs / 4)
    this.#sweeper.unref()
    this.#listener.on('error', (error) => log.error('server.fail', { message: error.message }))
    return port
  }

  readonly #onSocket = (socket: Socket): void => {
    this.#sockets.add(socket)
    this.#silent.set(socket, Date.now())
    socket.on('error', ignore).on('close', this.#forget)
    readOpening(socket, this.#speak)
  }

  readonly #speak = (socket: Socket, opening: Opening): void => {
    this.#silent.delete(socket)
    if (this.#tls === undefined) {
      if (opening === 'http2') this.#speakHttp2(socket)
      else speakHttp1(this.http1, socket)
    } else if (opening === 'tls') {
      this.#emitWhenLoaded(this.#tls, socket)
    } else if (opening === 'http1' && this.#redirects !== undefined) {
      speakHttp1(this.#redirects, socket)
    } else {
      socket.destroy()
    }
  }

  /** They come in the order of their age. */
  #endSilent(olderThanMs: number): void {
    const now = Date.now()
    for (const [socket, since] of this.#silent) {
      if (now - since < olderThanMs) return
      socket.destroy()
    }
  }

  #emitWhenLoaded(loading: Promise<TcpServer>, socket: Socket): void {
    loading.then(
      (server) => server.emit('connection', socket),
      () => socket.destroy(),
    )
  }

  readonly #onSecure = (socket: TLSSocket): void => {
    if (this.#stopping) socket.destroy()
    else if (socket.alpnProtocol === 'h2') this.#speakHttp2(socket)
    else this.http1.emit('connection', socket)
  }

  #speakHttp2(socket: Socket): void {
    this.#http2 ??= this.#openHttp2()
    this.#http2.then(
      (front) => front.accept(socket),
      (error: unknown) => {
        this.#options.log.error('server.fail', { message: errorMessage(error) })
        socket.destroy()
      },
    )
  }

  async #openHttp2(): Promise<Http2Front> {
    const { openHttp2Front } = await import('./http2-front.ts')
    const { log, timeouts, onHttp2Request } = this.#options
    const idleMs = timeouts?.keepAliveMs ?? KEEP_ALIVE_MS
    return openHttp2Front({ log, idleMs, onRequest: onHttp2Request })
  }

  /** Accepts nothing more and ends idle connections, but under no client that is just using one. */
  async retire(): Promise<void> {
    this.#stopping = true
    this.#closed = new Promise((resolve) => this.#listener.close(() => resolve()))
    const http2 = await this.#http2?.catch(ignore)
    http2?.announceEnd()
    if (this.#sockets.size > 0) await Promise.race([this.#closed, sleep(IDLE_GRACE_MS)])
    http2?.close()
    this.#endSilent(0)
    clearInterval(this.#sweeper)
    this.http1.closeIdleConnections()
    this.#redirects?.closeIdleConnections()
  }

  /** Cuts every connection that is left, and resolves when they are closed. */
  async cut(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    // They never listened: this ends their clocks.
    this.http1.close()
    this.#redirects?.close()
    await this.#closed
  }
}

/** Gives it a connection that is paused. */
function speakHttp1(server: HttpServer, socket: Socket): void {
  server.emit('connection', socket)
  process.nextTick(() => socket.resume())
}

function newHttpServer(options: ServersOptions, onRequest: ServersOptions['onRequest']): HttpServer {
  const {
    headersMs = HEADERS_MS,
    requestMs = REQUEST_MS,
    keepAliveMs = KEEP_ALIVE_MS,
  } = options.timeouts ?? {}
  const server = createHttpServer({
    ServerResponse: ClientResponse,
    maxHeaderSize: LIMITS.headBytesMax,
    headersTimeout: headersMs,
    requestTimeout: requestMs,
    keepAliveTimeout: keepAliveMs,
    connectionsCheckingInterval: headersMs / 4,
    // Checked by checkHead, which also says what is wrong.
    requireHostHeader: false,
    ...UPGRADES,
  })
  // Node drops fields beyond its limit silently; checkHead refuses such requests.
  server.maxHeadersCount = 0
  // Node has no other name for it: without it a client that ends its side never gets its answer.
  Reflect.set(server, 'httpAllowHalfOpen', true)
  server.on('connection', (socket) => socket.once('end', () => options.onHalfClose(socket)))
  server.on('request', onRequest).on('clientError', options.onUnreadable)
  server.on('checkContinue', (incoming, outgoing) => {
    continueWhenRead(incoming, outgoing)
    onRequest(incoming, outgoing)
  })
  // checkHead refuses it, with a length.
  server.on('checkExpectation', onRequest)
  // It gets its connections from us, and Node starts the clocks of its timeouts when a server listens.
  server.emit('listening')
  return server
}

function ignore(): void {
  // A broken connection is told by its close event.
}
