import type { Http2Session, ServerHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'

/** What people ask a socket about its peer. */
type Peer = Pick<Socket, 'remoteAddress' | 'remotePort' | 'remoteFamily' | 'localAddress' | 'localPort'>

const peers = new WeakMap<Http2Session, Partial<Peer>>()

/**
 * A stream in the place of a socket: it knows the same peer, and what is done to it, such as `destroy()`, is done to this
 * exchange and not to the others of its connection.
 */
export function asSocket(stream: ServerHttp2Stream): Socket {
  const { session } = stream
  if (session === undefined) return stream as unknown as Socket
  let peer = peers.get(session)
  if (peer === undefined) {
    peer = peerOf(session)
    peers.set(session, peer)
  }
  return Object.assign(stream, peer) as unknown as Socket
}

function peerOf(session: Http2Session): Partial<Peer> {
  const { remoteAddress, remotePort, remoteFamily, localAddress, localPort } = session.socket
  const peer = { remoteAddress, remotePort, remoteFamily, localAddress, localPort } as Peer
  if (!session.encrypted) return peer
  const { servername } = session.socket as { servername?: string | false }
  return Object.assign(peer, { encrypted: true, servername })
}

const GIVEN_UP = new Error('the exchange was given up')

/** Resets the stream. Closing it instead would end the answer first, as if it were whole. */
export function giveUp(stream: ServerHttp2Stream): void {
  if (!stream.destroyed) stream.destroy(GIVEN_UP)
}

/** Tells our own resets from those of the client. */
export function wasGivenUp(stream: ServerHttp2Stream): boolean {
  return stream.errored === GIVEN_UP
}
