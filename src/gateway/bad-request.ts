import { randomUUID } from 'node:crypto'
import type { Duplex } from 'node:stream'

import { answerRaw } from '../forward/raw-answer.ts'
import { REQUEST_ID } from '../forward/request-id.ts'
import { badRequestText } from './errors.ts'
import type { Refusal } from './head-check.ts'
import { readParseError, type ParseError } from './parse-error.ts'
import type { ServerState } from './server-state.ts'

/** Sockets that have their last answer: the parser may stumble over the rest of what they sent. */
const refused = new WeakSet<Duplex>()

/** Answers what Node's parser could not read, and closes: nothing behind it can be trusted. */
export function answerBadRequest(error: ParseError, socket: Duplex, server: ServerState): void {
  if (refused.has(socket)) return
  refused.add(socket)
  const { code = '' } = error
  if (code === 'ECONNRESET' || !socket.writable || isAnswering(server, socket)) {
    socket.destroy()
    return
  }
  const refusal = readParseError(error)
  server.refusals.say(refusal, socket)
  refuse(socket, refusal, server)
}

/** CONNECT asks for a forward proxy, which this is not. */
export function answerConnect(socket: Duplex, server: ServerState): void {
  const refusal = { status: 405, message: 'CONNECT is not served here' }
  server.refusals.say(refusal, socket)
  refuse(socket, refusal, server)
}

function refuse(socket: Duplex, refusal: Refusal, server: ServerState): void {
  const id = randomUUID()
  answerRaw(socket, {
    status: refusal.status,
    contentType: 'application/problem+json',
    text: badRequestText(refusal, id),
    fields: server.settings.plainErrors ? [] : [REQUEST_ID, id],
  })
}

/** A response that has begun cannot be followed by another on the same connection. */
function isAnswering(server: ServerState, socket: Duplex): boolean {
  for (const { incoming, outgoing } of server.open) {
    if (incoming.socket === socket && outgoing?.headersSent === true) return true
  }
  return false
}
