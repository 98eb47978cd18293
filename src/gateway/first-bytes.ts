import type { Socket } from 'node:net'

/** What a client speaks, by the first bytes it sends. */
export type Opening = 'tls' | 'http2' | 'http1'

const TLS_HANDSHAKE = 0x16
/** RFC 9113 section 3.4; no method begins like it, and a parser of HTTP/1.1 knows nothing of it. */
const HTTP2_PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1')

/**
 * Waits until the first bytes tell what is spoken, puts them back, pauses the connection and says it. Costs a connection
 * one read in JavaScript, and its requests nothing. A connection that ends before is closed; one that stays silent is
 * for the caller to end.
 */
export function readOpening(socket: Socket, found: (socket: Socket, opening: Opening) => void): void {
  let seen: Buffer | undefined
  const onData = (chunk: Buffer): void => {
    seen = seen === undefined ? chunk : Buffer.concat([seen, chunk])
    const opening = openingOf(seen)
    if (opening === undefined) return
    socket.off('data', onData).off('end', destroy)
    // Paused, and not only unread: Node's HTTP server holds back no connection that was read by `readable` before.
    socket.pause()
    socket.unshift(seen)
    found(socket, opening)
  }
  socket.on('data', onData).on('end', destroy)
}

/** Undefined while it may become one thing or another. */
function openingOf(seen: Buffer): Opening | undefined {
  if (seen[0] === TLS_HANDSHAKE) return 'tls'
  const length = Math.min(seen.length, HTTP2_PREFACE.length)
  if (seen.compare(HTTP2_PREFACE, 0, length, 0, length) !== 0) return 'http1'
  return length < HTTP2_PREFACE.length ? undefined : 'http2'
}

function destroy(this: Socket): void {
  this.destroy()
}
