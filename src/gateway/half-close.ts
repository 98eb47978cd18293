import type { Socket } from 'node:net'

import type { Exchange } from './context.ts'
import type { OpenExchanges } from './open-exchanges.ts'

/** Answers that come sooner need no question whether somebody is still there; and time for a reset to arrive. */
const GRACE_MS = 30
/** Between further looks at a client that seems to wait. */
const AGAIN_MS = 1_000

/**
 * A client has ended its side: it may wait for its answer (`nc -N`), or be gone. TCP tells one from the other only when we write,
 * so a client that gets no answer soon is sent `100 Continue`, which every client of HTTP/1.1 passes over (RFC 9110 section 15.2)
 * and which the system of one that is gone answers with a reset. Who ends its side while an answer arrives, or TLS, is gone.
 */
export function settleHalfClose(socket: Socket, open: OpenExchanges): void {
  const exchange = currentOf(socket, open)
  if (exchange === undefined) return
  if (exchange.outgoing?.headersSent === true || 'encrypted' in socket) socket.destroy()
  else wait(GRACE_MS, () => ask(socket, open))
}

function ask(socket: Socket, open: OpenExchanges): void {
  const { incoming, outgoing } = currentOf(socket, open) ?? {}
  if (outgoing?.headersSent !== false || incoming?.httpVersion !== '1.1') return
  outgoing.writeContinue()
  wait(GRACE_MS, () => look(socket, open))
}

/** Nothing reads a connection whose other side has ended, so only a write finds the reset: an empty one does. */
function look(socket: Socket, open: OpenExchanges): void {
  if (currentOf(socket, open)?.outgoing?.headersSent !== false) return
  socket.write('')
  wait(AGAIN_MS, () => look(socket, open))
}

function wait(delayMs: number, next: () => void): void {
  setTimeout(next, delayMs).unref()
}

/** The exchange whose turn it is on this connection. */
function currentOf(socket: Socket, open: OpenExchanges): Exchange | undefined {
  if (open.size === 0 || socket.destroyed) return undefined
  for (const exchange of open) if (exchange.outgoing?.socket === socket) return exchange
  return undefined
}
