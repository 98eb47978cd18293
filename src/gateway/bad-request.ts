import { randomUUID } from 'node:crypto'
import type { Duplex } from 'node:stream'

import { answerRaw } from '../forward/raw-answer.ts'
import { badRequestText } from './errors.ts'
import type { Refusal } from './head-check.ts'
import type { ServerState } from './server-state.ts'

const REFUSALS: Readonly<Record<string, Refusal>> = {
  HPE_HEADER_OVERFLOW: { status: 431, message: 'the head of the request is too long' },
  HPE_CHUNK_EXTENSIONS_OVERFLOW: { status: 413, message: 'too many chunk extensions' },
  HPE_INVALID_VERSION: { status: 505, message: 'only HTTP/1.1 and HTTP/1.0 are spoken here' },
  ERR_HTTP_REQUEST_TIMEOUT: { status: 408, message: 'the request took too long to arrive' },
}

/** Sockets that have their last answer: the parser may stumble over the rest of what they sent. */
const refused = new WeakSet<Duplex>()

/** Answers what Node's parser could not read, and closes: nothing behind it can be trusted. */
export function answerBadRequest(error: NodeJS.ErrnoException, socket: Duplex, server: ServerState): void {
  if (refused.has(socket)) return
  refused.add(socket)
  const { code = '' } = error
  server.settings.log.debug('request.unreadable', { code, message: error.message })
  if (code === 'ECONNRESET' || !socket.writable || isAnswering(server, socket)) {
    socket.destroy()
    return
  }
  const refusal = REFUSALS[code] ?? { status: 400, message: `the request is no valid HTTP: ${error.message}` }
  answerRaw(socket, {
    status: refusal.status,
    contentType: 'application/problem+json',
    text: badRequestText(refusal, randomUUID()),
  })
}

/** CONNECT asks for a forward proxy, which this is not. */
export function answerConnect(socket: Duplex): void {
  const refusal = { status: 405, message: 'CONNECT is not served here' }
  answerRaw(socket, {
    status: refusal.status,
    contentType: 'application/problem+json',
    text: badRequestText(refusal, randomUUID()),
  })
}

/** A response that has begun cannot be followed by another on the same connection. */
function isAnswering(server: ServerState, socket: Duplex): boolean {
  for (const { incoming, outgoing } of server.open) {
    if (incoming.socket === socket && outgoing?.headersSent === true) return true
  }
  return false
}
