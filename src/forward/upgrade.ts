import { request as httpRequest, ServerResponse, type ClientRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { connect as connectTcp, type Socket } from 'node:net'
import { pipeline, type Duplex } from 'node:stream'
import { connect as connectTls } from 'node:tls'

import type { RequestContext } from '../core/fetcher.ts'
import type { AnswerHook } from './answer-hook.ts'
import { tlsOptions, type ClientTls } from './client-tls.ts'
import { requestFields, responseFields, type FieldRules } from './fields.ts'
import { isOffered, offeredProtocols } from './protocols.ts'
import { splice } from './splice.ts'
import { upstreamPath, type PathRules } from './upstream-path.ts'
import { errorCode, givenUp, upstreamError, type UpstreamError } from './upstream-error.ts'

export interface UpgradeTarget {
  readonly host: string
  readonly port: number
  readonly tls?: boolean | undefined
  /** A Unix socket in place of host and port, which the request still names. */
  readonly socketPath?: string | undefined
}

/** What Node hands out for a request that asks to change the protocol. */
export interface UpgradeExchange {
  readonly incoming: IncomingMessage
  readonly socket: Duplex
  /** Bytes the client sent right behind its request. */
  readonly head: Buffer
  readonly context: RequestContext
  readonly hook?: AnswerHook | undefined
}

export interface UpgradeOptions extends FieldRules, PathRules {
  /** How long the upstream may take to answer the handshake; default 10 000. */
  readonly handshakeMs?: number | undefined
  readonly clientTls?: ClientTls | undefined
}

const HANDSHAKE_MS = 10_000

/** An end without a close frame is a client that has gone, and workerd never ends its side of one (RFC 6455 section 7.1.1). */
const WEBSOCKET_LINGER_MS = 2_000

/**
 * Relays a request to change the protocol: on 101 both connections become one, byte for byte, half-closes and errors included, but
 * a WebSocket ends as a whole; any other answer reaches the client as a normal response, after which its connection closes.
 * Settles when both sides are closed.
 * @throws UpstreamError when the upstream gave no answer; nothing was written to the client.
 */
export function forwardUpgrade(
  target: UpgradeTarget,
  exchange: UpgradeExchange,
  options: UpgradeOptions,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const upstream = open(target, exchange, options)
    const onClientGone = (): void => {
      upstream.destroy()
      resolve()
    }
    const { socket } = exchange
    socket.on('close', onClientGone).on('error', ignore)
    // Keeps the connection read, so that a reset is seen; what arrives waits in its buffer.
    socket.read(0)
    const answered = (): void => {
      upstream.setTimeout(0)
      socket.off('close', onClientGone)
    }
    upstream.on('upgrade', (response, to, early) => {
      answered()
      if (!isOffered(response, offeredProtocols(exchange.incoming.headers.upgrade))) {
        to.destroy()
        reject(failure(target, UNASKED))
        return
      }
      exchange.hook?.accepts(101)
      join(exchange, { response, socket: to, head: early }).then(resolve, reject)
    })
    upstream.on('response', (response) => {
      answered()
      const refusal = refusalOf(response.statusCode ?? 502, target, exchange)
      if (refusal === undefined) {
        relay(response, exchange, resolve)
        return
      }
      upstream.destroy()
      reject(refusal)
    })
    upstream.on('timeout', () => upstream.destroy(TIMED_OUT))
    upstream.on('error', (error) => {
      answered()
      reject(failure(target, error))
    })
    upstream.end()
  })
}

/** Why an answer that changes no protocol is not passed on. */
function refusalOf(
  status: number,
  target: UpgradeTarget,
  { hook }: UpgradeExchange,
): UpstreamError | undefined {
  // Node takes a 101 that names no protocol for a response.
  if (status === 101) return failure(target, UNASKED)
  return hook?.accepts(status) === false ? givenUp(originOf(target), status) : undefined
}

const TIMED_OUT = Object.assign(new Error('the handshake took too long'), { code: 'UND_ERR_HEADERS_TIMEOUT' })

const UNASKED = new Error('it changed to a protocol that was not offered')

/** The upstream's end of a connection that changed its protocol. */
interface Switched {
  readonly response: IncomingMessage
  readonly socket: Duplex
  /** Bytes the upstream sent right behind its 101. */
  readonly head: Buffer
}

function join({ socket, head, context, hook }: UpgradeExchange, upstream: Switched): Promise<void> {
  context.note({ status: 101 })
  socket.write(switchingHead(upstream.response, hook), 'latin1')
  if (upstream.head.length > 0) socket.write(upstream.head)
  if (head.length > 0) upstream.socket.write(head)
  const isWebSocket = upstream.response.headers.upgrade?.toLowerCase() === 'websocket'
  return splice(socket, upstream.socket, { lingerMs: isWebSocket ? WEBSOCKET_LINGER_MS : undefined })
}

function open(target: UpgradeTarget, exchange: UpgradeExchange, options: UpgradeOptions): ClientRequest {
  const { incoming, context } = exchange
  const { host, port, socketPath } = target
  const send = target.tls === true ? httpsRequest : httpRequest
  const headers = requestFields(options, incoming, context)
  if (!headers.some((name, i) => i % 2 === 0 && name.toLowerCase() === 'host'))
    headers.push('Host', `${host}:${port}`)
  headers.push('Connection', 'Upgrade', 'Upgrade', offeredProtocols(incoming.headers.upgrade).join(', '))
  const to = { host, port, allowHalfOpen: true, noDelay: true }
  const plain = socketPath === undefined ? to : { path: socketPath, allowHalfOpen: true }
  return send({
    method: context.raw.method,
    path: upstreamPath(options, context.raw.target),
    headers,
    timeout: options.handshakeMs ?? HANDSHAKE_MS,
    createConnection: (): Socket =>
      target.tls === true
        ? connectTls({ ...to, ...tlsOptions(host, options.clientTls), ALPNProtocols: ['http/1.1'] })
        : connectTcp(plain),
  })
}

/** The upstream's 101 as it came: Connection, Upgrade and Sec-WebSocket-* belong to the handshake. */
function switchingHead(response: IncomingMessage, hook: AnswerHook | undefined): string {
  const lines = [`HTTP/1.1 101 ${response.statusMessage ?? 'Switching Protocols'}`]
  const fields = hook === undefined ? response.rawHeaders : hook.edit([...response.rawHeaders])
  for (let i = 0; i + 1 < fields.length; i += 2) lines.push(`${fields[i]}: ${fields[i + 1]}`)
  return `${lines.join('\r\n')}\r\n\r\n`
}

function relay(response: IncomingMessage, exchange: UpgradeExchange, done: () => void): void {
  const { incoming, socket, context, hook } = exchange
  const outgoing = new ServerResponse(incoming)
  const status = response.statusCode ?? 502
  context.note({ status })
  const framing = { status, method: incoming.method, httpVersion: incoming.httpVersion }
  // What the client sends next was never parsed by us: the connection cannot go on.
  outgoing.shouldKeepAlive = false
  outgoing.assignSocket(asSocket(socket))
  const fields = responseFields(response.rawHeaders, framing)
  outgoing.writeHead(status, response.statusMessage ?? '', hook === undefined ? fields : hook.edit(fields))
  pipeline(response, outgoing, (error) => {
    if (error) socket.destroy()
    else socket.end()
    done()
  })
}

/** Sockets of an HTTP server are net or TLS sockets; Node types them as Duplex for the sake of fakes. */
function asSocket(socket: Duplex): Socket {
  return socket as Socket
}

/** These happen before a byte is sent. */
const CONNECT_FAILURES = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOENT',
])

function originOf({ tls, host, port }: UpgradeTarget): string {
  return `${tls === true ? 'https' : 'http'}://${host}:${port}`
}

function failure(target: UpgradeTarget, error: Error): UpstreamError {
  return upstreamError(originOf(target), error, !CONNECT_FAILURES.has(errorCode(error)))
}

function ignore(): void {
  // A closed or broken socket is told by its close event; nobody else needs to know.
}
