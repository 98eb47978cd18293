import type { IncomingMessage } from 'node:http'
import type { Server } from 'node:net'
import type { Duplex } from 'node:stream'

import { offeredProtocols } from '../forward/protocols.ts'

/**
 * Whether a request asks to change to a protocol that anything behind us may speak: WebSocket, or for upstreams any but HTTP.
 * An offer has no content, and what has is asked as it is: whose bytes they are would depend on the version of Node.
 */
export function wantsUpgrade({ headers }: IncomingMessage): boolean {
  if (offeredProtocols(headers.upgrade).length === 0) return false
  return headers['transfer-encoding'] === undefined && (headers['content-length'] ?? '0') === '0'
}

/** The only protocol that functions speak (RFC 6455 section 4.1). */
export function wantsWebSocket({ method, headers }: IncomingMessage): boolean {
  return method === 'GET' && headers.upgrade?.toLowerCase() === 'websocket'
}

export interface UpgradeRequest {
  readonly incoming: IncomingMessage
  readonly socket: Duplex
  /** Bytes the client sent right behind the head. */
  readonly head: Buffer
  /** The target as sent. */
  readonly target: string
}

const OFFER = new Set(['upgrade', 'http2-settings'])

/**
 * Gives the connection back to the server with the same request, its offer of another protocol removed:
 * Node takes every Upgrade field for a change of protocol once somebody listens for one.
 */
export function replayWithoutUpgrade(
  server: Server,
  { incoming, socket, head, target }: UpgradeRequest,
): void {
  const { method = 'GET', httpVersion, rawHeaders } = incoming
  const fields = withoutOffer(rawHeaders)
  const lines = [`${method} ${target} HTTP/${httpVersion}`]
  for (let i = 0; i + 1 < fields.length; i += 2) lines.push(`${fields[i]}: ${fields[i + 1]}`)
  const text = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1')
  socket.unshift(Buffer.concat([text, head]))
  server.emit('connection', socket)
}

/**
 * Asked by Node 24 and later for each request with an Upgrade field. What is no handshake goes on as a plain request,
 * which then shows no offer, as it does after a replay.
 */
export function decideUpgrade(incoming: IncomingMessage): boolean {
  if (wantsUpgrade(incoming)) return true
  incoming.rawHeaders = withoutOffer(incoming.rawHeaders)
  for (const name of OFFER) Reflect.deleteProperty(incoming.headers, name)
  const { connection } = incoming.headers
  if (connection !== undefined) incoming.headers.connection = withoutOfferNames(connection)
  declined.add(incoming)
  return false
}

const declined = new WeakSet<IncomingMessage>()

/** Node reads nothing more from a connection on which it declined an offer, so its answer must end it. */
export function wasDeclined(incoming: IncomingMessage): boolean {
  return declined.has(incoming)
}

/** Fields as they came, without those that offer another protocol. */
function withoutOffer(fields: readonly string[]): string[] {
  const kept: string[] = []
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const [name = '', value = ''] = [fields[i], fields[i + 1]]
    if (name.toLowerCase() === 'connection') kept.push(name, withoutOfferNames(value))
    else if (!OFFER.has(name.toLowerCase())) kept.push(name, value)
  }
  return kept
}

/** `keep-alive, Upgrade` → `keep-alive` */
function withoutOfferNames(connection: string): string {
  const kept = connection.split(',').filter((name) => !OFFER.has(name.trim().toLowerCase()))
  return kept.length === 0 ? 'keep-alive' : kept.join(',').trim()
}
