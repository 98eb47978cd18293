import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { Server as TcpServer, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'

import type { Hono } from 'hono/tiny'

import { FlexiError } from '../core/errors.ts'
import type { AccessRecord } from '../core/events.ts'
import type { Fetcher, RequestContext } from '../core/fetcher.ts'
import { LIMITS } from '../core/limits.ts'
import type { Logger } from '../core/log.ts'
import { answerBadRequest, answerConnect } from './bad-request.ts'
import { ClientResponse } from './client-response.ts'
import { Exchange } from './context.ts'
import { answerError, refuseHead } from './errors.ts'
import { checkHead, settleAbsoluteForm } from './head-check.ts'
import { localLabel } from './hosts.ts'
import { listen } from './listen.ts'
import { noRouteFetcher, type NoRouteAnswer } from './no-route.ts'
import { openReserved, type Reserved } from './reserved.ts'
import { matchRoute, type RouteTable } from './route-table.ts'
import { ServerState } from './server-state.ts'
import { decideUpgrade, replayWithoutUpgrade, wantsWebSocket, wasDeclined } from './upgrade.ts'
import { controlFetcher, openControl, overSockets, type ControlEnv } from './web.ts'

export interface GatewayOptions {
  readonly host: string
  /** 0 takes any free port. */
  readonly port: number
  /** Takes the next free port, of 20, when the port is taken. */
  readonly portFallback?: boolean | undefined
  readonly table: RouteTable
  /** `dev` explains errors to browsers. */
  readonly mode: 'dev' | 'serve'
  readonly log: Logger
  /** Called once an exchange, when its response has ended or was given up. */
  onAccess(record: AccessRecord): void
  /** Answers what no route takes, in place of 404. */
  readonly noRoute?: ((context: RequestContext) => NoRouteAnswer) | undefined
  /** Default `/_flexi`. */
  readonly controlPrefix?: string | undefined
  /** What a request may take by its context's deadline; default `LIMITS.requestMs`. */
  readonly requestMs?: number | undefined
  /** How long disposing waits for requests under way; default `LIMITS.drainMs`. */
  readonly drainMs?: number | undefined
  /** Where relative paths in faults start, for the pages that show them. */
  readonly directory?: string | undefined
}

/** One HTTP server in front of everything. Disposing it drains. */
export interface Gateway extends AsyncDisposable {
  /** `http://127.0.0.1:8069` */
  readonly url: string
  readonly host: string
  readonly port: number
  /** Routes of flexi's own, below the control prefix; may be added at any time. */
  readonly control: Hono<ControlEnv>
  /** Exchanges whose response has not ended. */
  readonly inFlight: number
  /** New requests meet the new table; those under way keep what answers them. */
  swap(table: RouteTable): void
  /**
   * Accepts nothing new, lets requests under way finish, and closes. At the limit what is left is cut.
   * Called again, the shorter limit counts.
   */
  drain(limitMs: number): Promise<void>
}

/**
 * Opens the server and resolves when it listens.
 * @throws FlexiError FLEXI_PORT_TAKEN, FLEXI_USAGE for an address that cannot be listened on.
 */
export async function openGateway(options: GatewayOptions): Promise<Gateway> {
  const gateway = new GatewayServer(options)
  await gateway.listen()
  return gateway
}

const HEADERS_MS = 10_000
const REQUEST_MS = 300_000
const KEEP_ALIVE_MS = 75_000
/** Time for a client that is just about to use an idle connection again. */
const IDLE_GRACE_MS = 100

/** From Node 24 on: what is no WebSocket handshake is a plain request from the start, its content read as ever. Older ones replay it. */
const UPGRADES: object = { shouldUpgradeCallback: decideUpgrade }

type HttpServer = Server<typeof IncomingMessage, typeof ClientResponse>

class GatewayServer implements Gateway {
  readonly control: Hono<ControlEnv>
  readonly host: string
  port: number
  readonly #options: GatewayOptions
  readonly #state: ServerState
  readonly #server: HttpServer
  readonly #reserved: Reserved
  readonly #noRoute: Fetcher
  readonly #upgraded = new Set<Duplex>()
  #table: RouteTable
  #names: ReadonlyMap<string, Fetcher>
  #stopped: Promise<void> | undefined

  constructor(options: GatewayOptions) {
    const prefix = (options.controlPrefix ?? '/_flexi').replace(/\/+$/, '')
    this.#options = options
    this.host = options.host
    this.port = options.port
    this.#state = new ServerState({
      mode: options.mode,
      log: options.log,
      requestMs: options.requestMs ?? LIMITS.requestMs,
      directory: options.directory,
      onAccess: (record) => options.onAccess(record),
    })
    this.#table = options.table
    this.#names = byLabel(options.table)
    this.control = openControl(prefix)
    this.#reserved = openReserved({ prefix, server: this.#state, control: controlFetcher(this.control) })
    this.#noRoute = noRouteFetcher(options, () => this.#table)
    this.#server = this.#newServer()
  }

  #newServer(): HttpServer {
    const server = createServer({
      ServerResponse: ClientResponse,
      maxHeaderSize: LIMITS.headBytesMax,
      headersTimeout: HEADERS_MS,
      requestTimeout: REQUEST_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      connectionsCheckingInterval: HEADERS_MS / 4,
      // Checked by checkHead, which also says what is wrong.
      requireHostHeader: false,
      ...UPGRADES,
    })
    // Node drops fields beyond its limit silently; checkHead refuses such requests.
    server.maxHeadersCount = 0
    return server
      .on('request', this.#onRequest)
      .on('upgrade', this.#onUpgrade)
      .on('connect', (_incoming, socket) => answerConnect(socket))
      .on('clientError', (error, socket) => answerBadRequest(error, socket, this.#state))
  }

  async listen(): Promise<void> {
    const { host, port, portFallback = false } = this.#options
    this.port = await listen(this.#server, { host, port, portFallback })
    this.#server.on('error', (error) => this.#options.log.error('server.fail', { message: error.message }))
  }

  get url(): string {
    const open = this.host === '0.0.0.0' || this.host === '::' || this.host === ''
    const host = open ? '127.0.0.1' : this.host
    return `http://${host.includes(':') ? `[${host}]` : host}:${this.port}`
  }

  get inFlight(): number {
    return this.#state.open.size
  }

  swap(table: RouteTable): void {
    this.#table = table
    this.#names = byLabel(table)
  }

  readonly #onRequest = (incoming: IncomingMessage, outgoing: ClientResponse): void => {
    const exchange = this.#state.enter(incoming, outgoing)
    if (wasDeclined(incoming)) outgoing.shouldKeepAlive = false
    const refusal = checkHead(incoming)
    if (refusal === undefined) this.#answer(exchange, outgoing)
    else refuseHead(refusal, outgoing, exchange)
  }

  #answer(exchange: Exchange, outgoing: ServerResponse): void {
    const { incoming } = exchange
    try {
      const fetcher = this.#fetcher(exchange)
      const socketFetcher = fetcher.handle === undefined ? overSockets(fetcher) : fetcher
      socketFetcher
        .handle(incoming, outgoing, exchange)
        .catch((error: unknown) => answerError(error, outgoing, exchange))
    } catch (error) {
      answerError(error, outgoing, exchange)
    }
  }

  /** Reserved paths, then a function's own host, then the routes. */
  #fetcher(exchange: Exchange): Fetcher {
    const { incoming, raw } = exchange
    if (raw.target.charCodeAt(0) !== SLASH && raw.target !== '*') exchange.raw = settleAbsoluteForm(incoming)
    if (this.#reserved.has(raw.target)) return this.#reserved.fetcher(exchange, this.#table)
    const label = localLabel(incoming.headers.host ?? '')
    const own = label === undefined ? undefined : this.#names.get(label)
    if (own !== undefined) return own
    exchange.match = matchRoute(this.#table, exchange.raw)
    return exchange.match?.route.fetcher ?? this.#noRoute
  }

  readonly #onUpgrade = (incoming: IncomingMessage, socket: Duplex, head: Buffer): void => {
    socket.on('error', ignore)
    const exchange = new Exchange(this.#state, incoming)
    const fetcher = this.#upgradable(exchange)
    if (fetcher?.upgrade === undefined) {
      // Whoever cannot change the protocol answers the request as it is; Upgrade is only an offer (RFC 9110 section 7.8).
      replayWithoutUpgrade(this.#server, { socket, head, incoming, target: exchange.sentTarget })
      return
    }
    this.#upgraded.add(socket)
    const before = (socket as Socket).bytesWritten
    socket.once('close', (failed: boolean) => {
      this.#upgraded.delete(socket)
      exchange.end(!failed)
      const status = exchange.notes['status']
      const bytes = (socket as Socket).bytesWritten - before
      this.#options.onAccess(
        exchange.record({ status: typeof status === 'number' ? status : 101, bytes, headAt: 0 }),
      )
    })
    fetcher.upgrade(incoming, socket, head, exchange)
  }

  #upgradable(exchange: Exchange): Fetcher | undefined {
    if (!wantsWebSocket(exchange.incoming) || checkHead(exchange.incoming) !== undefined) return undefined
    try {
      return this.#fetcher(exchange)
    } catch (error) {
      // The plain request meets the same refusal, and can be told.
      if (error instanceof FlexiError) return undefined
      throw error
    }
  }

  async drain(limitMs: number): Promise<void> {
    this.#stopped ??= this.#stop()
    const limit = new AbortController()
    const timer = sleep(limitMs, undefined, { signal: limit.signal }).then(() => this.#cut(), ignore)
    await Promise.race([this.#stopped, timer.then(() => this.#stopped)])
    limit.abort()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.drain(this.#options.drainMs ?? LIMITS.drainMs)
  }

  async #stop(): Promise<void> {
    const state = this.#state
    state.draining = true
    // http.Server.close would also cut idle connections, under clients that are just using them again.
    const closed = new Promise<void>((resolve) => {
      TcpServer.prototype.close.call(this.#server, () => resolve())
    })
    const connections = await countConnections(this.#server)
    if (connections > 0) await Promise.race([closed, sleep(IDLE_GRACE_MS)])
    this.#server.closeIdleConnections()
    await state.idle()
    for (const socket of this.#upgraded) socket.destroy()
    this.#server.closeAllConnections()
    await closed
  }

  #cut(): void {
    const { open } = this.#state
    if (open.size > 0) this.#options.log.warn('drain.cut', { requests: open.size })
    for (const exchange of open) exchange.abort(new FlexiError('FLEXI_SHUTTING_DOWN', 'the server stops'))
    for (const socket of this.#upgraded) socket.destroy()
    this.#server.closeAllConnections()
    this.#state.giveUp()
  }
}

/** Functions by host label: browsers write host names in lower case. */
function byLabel(table: RouteTable): ReadonlyMap<string, Fetcher> {
  return new Map([...table.functions].map(([name, fetcher]) => [name.toLowerCase(), fetcher]))
}

function countConnections(server: TcpServer): Promise<number> {
  return new Promise((resolve) => {
    server.getConnections((_error, count) => resolve(count))
  })
}

function ignore(): void {
  // A broken socket is told by its close event.
}

const SLASH = 47
