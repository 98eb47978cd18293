import type { IncomingMessage } from 'node:http'
import type { Server } from 'node:net'
import type { Duplex } from 'node:stream'

/** The only protocol a request may change to: h2c would carry later requests past every route and check. */
export function wantsWebSocket(incoming: IncomingMessage): boolean {
  return incoming.method === 'GET' && incoming.headers.upgrade?.toLowerCase() === 'websocket'
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
  const lines = [`${method} ${target} HTTP/${httpVersion}`]
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = (rawHeaders[i] ?? '').toLowerCase()
    const value = rawHeaders[i + 1] ?? ''
    if (name === 'connection') lines.push(`${rawHeaders[i]}: ${withoutOffer(value)}`)
    else if (!OFFER.has(name)) lines.push(`${rawHeaders[i]}: ${value}`)
  }
  const text = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1')
  socket.unshift(Buffer.concat([text, head]))
  server.emit('connection', socket)
}

/** `keep-alive, Upgrade` → `keep-alive` */
function withoutOffer(connection: string): string {
  const kept = connection.split(',').filter((name) => !OFFER.has(name.trim().toLowerCase()))
  return kept.length === 0 ? 'keep-alive' : kept.join(',').trim()
}
