import type { Duplex } from 'node:stream'

import type { WebSocket } from 'ws'

import type { RequestContext } from '../../../core/fetcher.ts'
import type { WebSocketLimits } from '../front-ends/route-options.ts'
import { disconnectEvent, messageEvent, newId, type Client, type Ending } from './events.ts'
import { FrameSizes } from './frame-sizes.ts'
import { routeKeyOf } from './route-key.ts'
import { callRoute, type RouteOutcome, type ServedApi } from './route-call.ts'
import { GOING_AWAY, type OpenConnection } from './web-sockets.ts'

/** Messages of one connection whose functions run at the same time; the client's next ones wait in its socket. */
const UNDER_WAY_MAX = 64
/** Bytes that may wait for a client that does not read. */
const WAITING_BYTES_MAX = 4 * 1024 * 1024
/** How long a client may take to answer a close frame. */
const CLOSE_WAIT_MS = 2_000

/** What API Gateway says in `$disconnect` where the client gave no reason. */
const NO_STATUS: Ending = { code: 1005, reason: 'Client-side close frame status not set' }

export interface ConnectionParts {
  readonly api: ServedApi
  readonly client: Client
  readonly context: RequestContext
  readonly limits: WebSocketLimits
  /** Nobody is to find it any more. */
  readonly gone: () => void
}

/** One client that is connected: its messages go to functions, each as soon as it is there, and it ends in `$disconnect`. */
export class Connection implements OpenConnection {
  readonly client: Client
  lastActiveAt: number
  readonly #parts: ConnectionParts
  readonly #socket: WebSocket
  readonly #idle: NodeJS.Timeout
  readonly #duration: NodeJS.Timeout
  /** Settles when `$disconnect` was run. */
  readonly #ended: Promise<void>
  /** How we ended it; what comes after that is not looked at. */
  #ending: Ending | undefined
  #underWay = 0
  /** Messages that one read of the socket brought beyond those. */
  readonly #waiting: string[] = []

  constructor(parts: ConnectionParts, socket: WebSocket, wire: Duplex) {
    const { client, limits } = parts
    this.client = client
    this.lastActiveAt = client.connectedAt
    this.#parts = parts
    this.#socket = socket
    const goAway = (): void => this.close(GOING_AWAY)
    this.#idle = setTimeout(goAway, limits.idleMs).unref()
    this.#duration = setTimeout(goAway, limits.durationMs).unref()
    this.#ended = new Promise((resolve) => {
      socket.once('close', (code, reason) => resolve(this.#disconnected(code, reason.toString())))
    })
    socket.on('error', this.#onError)
    socket.on('ping', this.#touch)
    socket.on('pong', this.#touch)
    socket.on('message', this.#onMessage)
    this.#watchFrames(wire)
  }

  send(data: string | Buffer): boolean {
    if (this.#socket.bufferedAmount > WAITING_BYTES_MAX) return false
    this.#touch()
    // What fails here is told by the socket's close.
    this.#socket.send(data, ignore)
    return true
  }

  close(ending: Ending): void {
    if (this.#ending !== undefined) return
    this.#ending = ending
    this.#parts.gone()
    this.#parts.context.waitUntil(this.#ended)
    // A socket that is not read would never see the client's answer.
    this.#socket.resume()
    this.#socket.close(ending.code, ending.reason)
    const timer = setTimeout(() => this.#socket.terminate(), CLOSE_WAIT_MS)
    this.#socket.once('close', () => clearTimeout(timer))
  }

  /** Before the WebSocket library sees the bytes, so that nothing of a frame that is too large is taken for a message. */
  #watchFrames(wire: Duplex): void {
    const sizes = new FrameSizes(this.#parts.limits.frameBytesMax)
    const read = (chunk: Buffer): void => {
      if (sizes.take(chunk)) return
      wire.off('data', read)
      this.close({ code: 1009, reason: '' })
    }
    wire.prependListener('data', read)
  }

  readonly #touch = (): void => {
    this.lastActiveAt = Date.now()
    this.#idle.refresh()
  }

  /** The library closes the connection itself; this is how the close will be told. */
  readonly #onError = (error: Error & { readonly code?: string }): void => {
    const code =
      PROTOCOL_ERRORS.get(error.code ?? '') ?? (error.code?.startsWith('WS_ERR_') === true ? 1002 : undefined)
    if (code !== undefined) this.#ending ??= { code, reason: '' }
  }

  readonly #onMessage = (data: unknown, isBinary: boolean): void => {
    if (this.#ending !== undefined) return
    this.#touch()
    if (isBinary) {
      this.close({ code: 1003, reason: '' })
      return
    }
    this.#waiting.push(String(data))
    this.#work()
  }

  #work(): void {
    if (this.#ending !== undefined) this.#waiting.length = 0
    while (this.#underWay < UNDER_WAY_MAX) {
      const body = this.#waiting.shift()
      if (body === undefined) break
      this.#underWay += 1
      void this.#deliver(body).finally(() => {
        this.#underWay -= 1
        this.#work()
      })
    }
    if (this.#waiting.length > 0) this.#socket.pause()
    else if (this.#socket.isPaused) this.#socket.resume()
  }

  async #deliver(body: string): Promise<void> {
    const { api, client } = this.#parts
    const routeKey = routeKeyOf(api.options, body)
    const route = routeKey === undefined ? undefined : api.options.routes[routeKey]
    if (routeKey === undefined || route === undefined) {
      this.#tell('Forbidden', newId())
      return
    }
    const { event, requestId } = messageEvent(api.options, client, { routeKey, body })
    this.#answer(await callRoute(api, route, event), { requestId, responds: route.responds === true })
  }

  #answer(outcome: RouteOutcome, asked: { readonly requestId: string; readonly responds: boolean }): void {
    if (this.#ending !== undefined) return
    switch (outcome.kind) {
      case 'result':
        if (asked.responds && outcome.body !== undefined) this.send(outcome.body)
        return
      case 'failed':
        this.#tell('Internal server error', asked.requestId)
        return
      case 'timed-out':
        this.#tell('Endpoint request timed out', asked.requestId)
    }
  }

  #tell(message: string, requestId: string): void {
    this.send(gatewayMessage(message, { connectionId: this.client.id, requestId }))
  }

  async #disconnected(code: number, reason: string): Promise<void> {
    clearTimeout(this.#idle)
    clearTimeout(this.#duration)
    const { api, client, context, gone } = this.#parts
    gone()
    const route = api.options.routes['$disconnect']
    if (route === undefined) return
    const ending = this.#ending ?? (code === NO_STATUS.code ? NO_STATUS : { code, reason })
    const run = callRoute(api, route, disconnectEvent(api.options, client, ending).event)
    context.waitUntil(run)
    await run
  }
}

const PROTOCOL_ERRORS: ReadonlyMap<string, number> = new Map([
  ['WS_ERR_UNSUPPORTED_MESSAGE_LENGTH', 1009],
  ['WS_ERR_TOO_MANY_BUFFERED_PARTS', 1008],
  ['WS_ERR_INVALID_UTF8', 1007],
])

/** How API Gateway itself speaks to a client. */
export function gatewayMessage(
  message: string,
  { connectionId, requestId }: { readonly connectionId: string; readonly requestId: string },
): string {
  return `{"message": "${message}", "connectionId":"${connectionId}", "requestId":"${requestId}"}`
}

function ignore(): void {
  // The connection's close says it.
}
