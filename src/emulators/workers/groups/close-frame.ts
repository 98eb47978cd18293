import type { Duplex } from 'node:stream'

/** A server's close frame with status 1012, "service restart". RFC 6455, 5.5.1, and the registry of close codes. */
const RESTART = Buffer.from([0x88, 0x02, 0x03, 0xf4])

/** Ends a WebSocket properly. `before` is what the connection had sent when it asked to become one: it has not, when nothing came since. */
export function closeFrame(socket: Duplex, before: number): void {
  if (sentBytes(socket) > before && !socket.destroyed && !socket.writableEnded) socket.end(RESTART)
}

/** Node hands out sockets, which count; a fake need not. */
export function sentBytes(socket: Duplex): number {
  return 'bytesWritten' in socket ? Number(socket.bytesWritten) : 0
}
