import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'

import type { AddressList } from '../core/addresses.ts'
import type { AccessRecord } from '../core/events.ts'
import type { Logger } from '../core/log.ts'
import { peerOf, readClient, type Client } from './client.ts'
import type { ClientResponse } from './client-response.ts'
import { Exchange } from './context.ts'
import { OpenExchanges } from './open-exchanges.ts'
import { RefusalLog } from './refusal-log.ts'

export interface ServerSettings {
  readonly mode: 'dev' | 'serve'
  readonly log: Logger
  readonly requestMs: number
  /** Where relative paths of faults start. */
  readonly directory: string | undefined
  /** Errors are a line of plain text instead of problem+json. */
  readonly plainErrors: boolean
  /** Proxies whose word about the client counts. */
  readonly trustedProxies: AddressList | undefined
  onAccess(record: AccessRecord): void
}

const CLIENT_GONE = 499

/** What every exchange of one gateway shares: its settings, and which exchanges are under way. */
export class ServerState {
  readonly settings: ServerSettings
  /** True once the gateway stops: answers end their connections. */
  draining = false
  /** Exchanges whose response has not ended. */
  readonly open = new OpenExchanges()
  readonly refusals: RefusalLog
  /** Work that outlives its response. */
  readonly #tasks = new Set<Promise<unknown>>()
  #onIdle: (() => void) | undefined
  #gaveUp = false

  constructor(settings: ServerSettings) {
    this.settings = settings
    this.refusals = new RefusalLog(settings.log)
  }

  /** Who asks: the peer of the connection, or whom it speaks for when it is a trusted proxy. */
  clientOf(incoming: IncomingMessage): Client {
    const peer = peerOf(incoming.socket)
    const { trustedProxies } = this.settings
    if (trustedProxies === undefined || !trustedProxies.has(peer.address)) return peer
    return readClient(incoming.headers, peer, trustedProxies)
  }

  /** Begins an exchange; it ends by itself with its response. */
  enter(incoming: IncomingMessage, outgoing: ClientResponse): Exchange {
    const exchange = new Exchange(this, incoming, outgoing)
    outgoing.exchange = exchange
    this.open.add(exchange)
    outgoing.on('close', onClose).on('error', ignore)
    if (outgoing.socket === null) watchQueued(incoming.socket, outgoing)
    return exchange
  }

  leave(exchange: Exchange, outgoing: ClientResponse): void {
    if (!this.open.delete(exchange)) return
    exchange.end(outgoing.writableFinished)
    const status = outgoing.headersSent ? outgoing.statusCode : CLIENT_GONE
    const bytes = hasBody(exchange.raw.method, status) ? outgoing.bodyBytes : 0
    this.settings.onAccess(exchange.record({ status, bytes, headAt: outgoing.headAt }))
    this.#checkIdle()
  }

  /** The task never rejects. */
  keep(task: Promise<unknown>): void {
    this.#tasks.add(task)
    void task.finally(() => {
      this.#tasks.delete(task)
      this.#checkIdle()
    })
  }

  /** Resolves when nothing is under way, or nobody waits for it any more. */
  idle(): Promise<void> {
    return new Promise((resolve) => {
      this.#onIdle = resolve
      this.#checkIdle()
    })
  }

  giveUp(): void {
    this.#gaveUp = true
    this.#checkIdle()
  }

  #checkIdle(): void {
    if (this.#gaveUp || (this.open.size === 0 && this.#tasks.size === 0)) this.#onIdle?.()
  }
}

/** One listener for every response, so that none costs a closure. */
function onClose(this: ClientResponse): void {
  if (this.exchange !== undefined) this.exchange.server.leave(this.exchange, this)
}

/** Responses that wait for their turn on a connection. */
const queued = new WeakMap<Socket, Set<ClientResponse>>()

/** A pipelined request waits for its turn without a socket, and Node forgets to close it when the client goes. */
function watchQueued(socket: Socket, outgoing: ClientResponse): void {
  let waiting = queued.get(socket)
  if (waiting === undefined) {
    waiting = new Set()
    queued.set(socket, waiting)
    socket.once('close', closeQueued)
  }
  const line = waiting
  line.add(outgoing)
  outgoing.once('close', () => line.delete(outgoing))
}

function closeQueued(this: Socket): void {
  for (const outgoing of queued.get(this) ?? []) {
    outgoing.destroy()
    // Newer versions of Node close it by themselves, a moment later.
    setImmediate(() => {
      if (outgoing.exchange?.server.open.has(outgoing.exchange) === true) outgoing.emit('close')
    })
  }
}

function hasBody(method: string, status: number): boolean {
  return method !== 'HEAD' && status !== 204 && status !== 304
}

function ignore(): void {
  // A write to a client that is gone: its close event ends the exchange.
}
