import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'

import type { Hono } from 'hono/tiny'

import { FlexiError } from '../core/errors.ts'
import { openAddressList } from '../core/addresses.ts'
import type { AccessRecord } from '../core/events.ts'
import type { Fetcher, RequestContext, SocketFetcher } from '../core/fetcher.ts'
import { LIMITS } from '../core/limits.ts'
import type { Logger } from '../core/log.ts'
import type { ServerSettings } from '../core/project.ts'
import { answerBadRequest, answerConnect } from './bad-request.ts'
import type { ClientResponse } from './client-response.ts'
import { Exchange } from './context.ts'
import { answerError, refuseHead } from './errors.ts'
import { settleHalfClose } from './half-close.ts'
import { checkHead, settleAbsoluteForm, type Refusal } from './head-check.ts'
import { localLabel, urlOf } from './hosts.ts'
import { checkHttp2Head } from './http2-request.ts'
import { noRouteFetcher, type NoRouteAnswer } from './no-route.ts'
import { checkPath } from './path-check.ts'
import { openReserved, type Reserved } from './reserved.ts'
import { matchRoute, type RouteTable } from './route-table.ts'
import { checkRedirect, checkServerName, redirectToTls, type GatewayTls } from './secure.ts'
import { ServerState } from './server-state.ts'
import { Servers, type ClientTimeouts } from './servers.ts'
import { upgradeRecord, UpgradedSockets } from './upgraded-sockets.ts'
import { replayWithoutUpgrade, wantsUpgrade, wantsWebSocket, wasDeclined } from './upgrade.ts'
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
  /** Speaks TLS, with HTTP/2 and HTTP/1.1, in place of plain HTTP. */
  readonly tls?: GatewayTls | undefined
  /** Called once an exchange, when its response has ended or was given up. */
  onAccess(record: AccessRecord): void
  /** Answers what no route takes, in place of 404. */
  readonly noRoute?: ((context: RequestContext) => NoRouteAnswer) | undefined
  /** Default `/_flexi`. False reserves nothing: routes see every path, and every host name. */
  readonly controlPrefix?: string | false | undefined
  /** A bound socket to listen on, as `holdPort` makes it; `host` and `port` are then what it is bound to. */
  readonly fd?: number | undefined
  /** CIDR blocks and addresses of proxies whose X-Forwarded-* and Forwarded are believed; default none. */
  readonly trustedProxies?: readonly string[] | undefined
  /** What is done with a path that other servers could read as another one; default `checked`. */
  readonly paths?: ServerSettings['paths']
  /** How long clients may take to ask. */
  readonly clientTimeouts?: ClientTimeouts | undefined
  /** What a request may take by its context's deadline; default `LIMITS.requestMs`. */
  readonly requestMs?: number | undefined
  /** Errors that flexi answers itself have a line of plain text for a body, as FlexiLib's have; default problem+json. */
  readonly plainErrors?: boolean | undefined
  /** How long disposing waits for requests under way; default `LIMITS.drainMs`. */
  readonly drainMs?: number | undefined
  /** Draining waits for connections that changed their protocol (WebSocket) as it does for requests; default: they are cut after those. */
  readonly drainsUpgraded?: boolean | undefined
  /** Where relative paths in faults start, for the pages that show them. */
  readonly directory?: string | undefined
  /** Asked first, with each request's Host: what has the name to itself, under which nothing is reserved. Undefined goes on as usual. */
  readonly hosts?: ((host: string, context: RequestContext) => Fetcher | RouteTable | undefined) | undefined
  /** Whole APIs by their first segment below the control prefix (`aws`), which is gone from the targets they see. */
  readonly mounts?: ReadonlyMap<string, SocketFetcher> | undefined
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

class GatewayServer implements Gateway {
  readonly control: Hono<ControlEnv>
  readonly host: string
  port: number
  readonly #options: GatewayOptions
  readonly #state: ServerState
  readonly #servers: Servers
  readonly #reserved: Reserved
  readonly #noRoute: Fetcher
  readonly #upgraded = new UpgradedSockets()
  #table: RouteTable
  #names: ReadonlyMap<string, Fetcher>
  #stopped: Promise<void> | undefined

  constructor(options: GatewayOptions) {
    const prefix =
      options.controlPrefix === false ? undefined : (options.controlPrefix ?? '/_flexi').replace(/\/+$/, '')
    this.#options = options
    this.host = options.host
    this.port = options.port
    this.#state = new ServerState({
      mode: options.mode,
      log: options.log,
      requestMs: options.requestMs ?? LIMITS.requestMs,
      directory: options.directory,
      plainErrors: options.plainErrors ?? false,
      trustedProxies:
        options.trustedProxies === undefined ? undefined : openAddressList(options.trustedProxies),
      onAccess: (record) => options.onAccess(record),
    })
    this.#table = options.table
    this.#names = this.#namesOf(options.table)
    this.control = openControl(prefix ?? '')
    const control = controlFetcher(this.control)
    this.#reserved = openReserved({ prefix, server: this.#state, control, mounts: options.mounts })
    this.#noRoute = noRouteFetcher(options, () => this.#table)
    this.#servers = new Servers({
      log: options.log,
      tls: options.tls,
      timeouts: options.clientTimeouts,
      onRequest: (incoming, outgoing) => this.#serve(incoming, outgoing, checkHead(incoming)),
      onHttp2Request: (incoming, outgoing) => this.#serve(incoming, outgoing, checkHttp2Head(incoming)),
      onPlainRequest: this.#onPlainRequest,
      onUpgrade: this.#onUpgrade,
      onConnect: (socket) => answerConnect(socket, this.#state),
      onHalfClose: (socket) => settleHalfClose(socket, this.#state.open),
      onUnreadable: (error, socket) => answerBadRequest(error, socket, this.#state),
    })
  }

  async listen(): Promise<void> {
    const { host, port, portFallback = false, fd } = this.#options
    this.port = await this.#servers.listen({ host, port, portFallback, fd })
  }

  get url(): string {
    return urlOf(this.host, this.port, this.#options.tls === undefined ? 'http' : 'https')
  }

  get inFlight(): number {
    return this.#state.open.size
  }

  /** Functions by host label, unless nothing is reserved: browsers write host names in lower case. */
  #namesOf({ functions }: RouteTable): ReadonlyMap<string, Fetcher> {
    if (this.#options.controlPrefix === false) return new Map()
    return new Map([...functions].map(([name, fetcher]) => [name.toLowerCase(), fetcher]))
  }

  swap(table: RouteTable): void {
    this.#table = table
    this.#names = this.#namesOf(table)
  }

  #serve(incoming: IncomingMessage, outgoing: ClientResponse, refused: Refusal | undefined): void {
    const exchange = this.#state.enter(incoming, outgoing)
    if (wasDeclined(incoming)) outgoing.shouldKeepAlive = false
    const refusal = refused ?? checkServerName(incoming, this.#options.tls)
    if (refusal === undefined) this.#answer(exchange, outgoing)
    else refuseHead(refusal, outgoing, exchange)
  }

  readonly #onPlainRequest = (incoming: IncomingMessage, outgoing: ClientResponse): void => {
    const exchange = this.#state.enter(incoming, outgoing)
    const refusal = checkHead(incoming) ?? checkRedirect(incoming)
    if (refusal === undefined) redirectToTls(incoming, outgoing)
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
    const host = incoming.headers.host ?? ''
    const hosted = this.#options.hosts?.(host, exchange)
    if (hosted !== undefined) return 'routes' in hosted ? this.#routed(exchange, hosted) : hosted
    if (this.#reserved.has(raw.target)) return this.#reserved.fetcher(exchange, this.#table)
    const label = localLabel(host)
    const own = label === undefined ? undefined : this.#names.get(label)
    if (own !== undefined) return own
    return this.#routed(exchange, this.#table)
  }

  #routed(exchange: Exchange, table: RouteTable): Fetcher {
    const match = matchRoute(table, exchange.raw)
    if (match === undefined)
      return table === this.#table ? this.#noRoute : noRouteFetcher(this.#options, () => table)
    if (this.#options.paths !== 'raw') checkPath(exchange.raw, table, match.route)
    exchange.match = match
    return match.route.fetcher
  }

  readonly #onUpgrade = (incoming: IncomingMessage, socket: Duplex, head: Buffer): void => {
    socket.on('error', ignore)
    const exchange = new Exchange(this.#state, incoming)
    const fetcher = this.#upgradable(exchange)
    if (fetcher?.upgrade === undefined) {
      // Whoever cannot change the protocol answers the request as it is; Upgrade is only an offer (RFC 9110 section 7.8).
      replayWithoutUpgrade(this.#servers.http1, { socket, head, incoming, target: exchange.sentTarget })
      return
    }
    this.#upgraded.add(socket)
    const record = upgradeRecord(exchange, socket as Socket)
    socket.once('close', (failed: boolean) => {
      exchange.end(!failed)
      this.#options.onAccess(record())
    })
    fetcher.upgrade(incoming, socket, head, exchange)
  }

  #upgradable(exchange: Exchange): Fetcher | undefined {
    const { incoming } = exchange
    if (!wantsUpgrade(incoming)) return undefined
    if ((checkHead(incoming) ?? checkServerName(incoming, this.#options.tls)) !== undefined) return undefined
    try {
      const fetcher = this.#fetcher(exchange)
      const isUpstream = exchange.match?.route.rule.target.kind === 'upstream'
      return isUpstream || wantsWebSocket(incoming) ? fetcher : undefined
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
    await this.#servers.retire()
    await state.idle()
    if (this.#options.drainsUpgraded === true) await this.#upgraded.idle()
    this.#upgraded.cut()
    await this.#servers.cut()
  }

  #cut(): void {
    const { open } = this.#state
    if (open.size > 0) this.#options.log.warn('drain.cut', { requests: open.size })
    for (const exchange of open) exchange.abort(new FlexiError('FLEXI_SHUTTING_DOWN', 'the server stops'))
    this.#upgraded.cut()
    void this.#servers.cut()
    this.#state.giveUp()
  }
}

function ignore(): void {
  // A broken socket is told by its close event.
}

const SLASH = 47
