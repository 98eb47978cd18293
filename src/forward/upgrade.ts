import { request as httpRequest, ServerResponse, type ClientRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { connect as connectTcp, type Socket } from 'node:net'
import { pipeline, type Duplex } from 'node:stream'
import { connect as connectTls } from 'node:tls'

import type { RequestContext } from '../core/fetcher.ts'
import { requestFields, responseFields, type FieldRules } from './fields.ts'
import { originForm } from './request-line.ts'
import { errorCode, upstreamError, type UpstreamError } from './upstream-error.ts'

export interface UpgradeTarget {
  readonly host: string
  readonly port: number
  readonly tls?: boolean | undefined
}

/** What Node hands out for a request that asks to change the protocol. */
export interface UpgradeExchange {
  readonly incoming: IncomingMessage
  readonly socket: Duplex
  /** Bytes the client sent right behind its request. */
  readonly head: Buffer
  readonly context: RequestContext
}

export interface UpgradeOptions extends FieldRules {
  /** Put before the path, without a slash at its end: `/base`. */
  readonly basePath?: string | undefined
  /** How long the upstream may take to answer the handshake; default 10 000. */
  readonly handshakeMs?: number | undefined
  /** False accepts any certificate. */
  readonly verifyCertificate?: boolean | undefined
}

const HANDSHAKE_MS = 10_000

/**
 * Relays a request for WebSocket: on 101 both connections become one, byte for byte, half-closes and errors included;
 * any other answer reaches the client as a normal response, after which its connection closes.
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
      join(exchange, { response, socket: to, head: early }).then(resolve, reject)
    })
    upstream.on('response', (response) => {
      answered()
      relay(response, exchange, resolve)
    })
    upstream.on('timeout', () => upstream.destroy(TIMED_OUT))
    upstream.on('error', (error) => {
      answered()
      reject(failure(target, error))
    })
    upstream.end()
  })
}

const TIMED_OUT = Object.assign(new Error('the handshake took too long'), { code: 'UND_ERR_HEADERS_TIMEOUT' })

/** The upstream's end of a connection that changed its protocol. */
interface Switched {
  readonly response: IncomingMessage
  readonly socket: Duplex
  /** Bytes the upstream sent right behind its 101. */
  readonly head: Buffer
}

function join({ socket, head, context }: UpgradeExchange, upstream: Switched): Promise<void> {
  context.note({ status: 101 })
  socket.write(switchingHead(upstream.response), 'latin1')
  if (upstream.head.length > 0) socket.write(upstream.head)
  if (head.length > 0) upstream.socket.write(head)
  return splice(socket, upstream.socket)
}

function open(target: UpgradeTarget, exchange: UpgradeExchange, options: UpgradeOptions): ClientRequest {
  const { incoming, context } = exchange
  const { host, port } = target
  const send = target.tls === true ? httpsRequest : httpRequest
  const headers = requestFields(options, incoming, context)
  if (!headers.some((name, i) => i % 2 === 0 && name.toLowerCase() === 'host'))
    headers.push('Host', `${host}:${port}`)
  headers.push('Connection', 'Upgrade', 'Upgrade', incoming.headers.upgrade ?? 'websocket')
  const to = { host, port, allowHalfOpen: true, noDelay: true }
  return send({
    method: context.raw.method,
    path: (options.basePath ?? '') + originForm(context.raw.target),
    headers,
    timeout: options.handshakeMs ?? HANDSHAKE_MS,
    createConnection: (): Socket =>
      target.tls === true
        ? connectTls({ ...to, servername: host, rejectUnauthorized: options.verifyCertificate ?? true })
        : connectTcp(to),
  })
}

/** The upstream's 101 as it came: Connection, Upgrade and Sec-WebSocket-* belong to the handshake. */
function switchingHead(response: IncomingMessage): string {
  const lines = [`HTTP/1.1 101 ${response.statusMessage ?? 'Switching Protocols'}`]
  for (let i = 0; i + 1 < response.rawHeaders.length; i += 2) {
    lines.push(`${response.rawHeaders[i]}: ${response.rawHeaders[i + 1]}`)
  }
  return `${lines.join('\r\n')}\r\n\r\n`
}

function relay(response: IncomingMessage, exchange: UpgradeExchange, done: () => void): void {
  const { incoming, socket, context } = exchange
  const outgoing = new ServerResponse(incoming)
  const status = response.statusCode ?? 502
  context.note({ status })
  const framing = { status, method: incoming.method, httpVersion: incoming.httpVersion }
  // What the client sends next was never parsed by us: the connection cannot go on.
  outgoing.shouldKeepAlive = false
  outgoing.assignSocket(asSocket(socket))
  outgoing.writeHead(status, response.statusMessage ?? '', responseFields(response.rawHeaders, framing))
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

/** Joins two connections until both are closed. An end on one is an end on the other, an error or a reset ends both. */
function splice(left: Duplex, right: Duplex): Promise<void> {
  left.pipe(right)
  right.pipe(left)
  return Promise.all([follow(left, right), follow(right, left)]).then(ignore)
}

/** Resolves when `from` is closed, and sees to it that `to` closes after its last bytes. */
function follow(from: Duplex, to: Duplex): Promise<void> {
  from.on('error', () => to.destroy())
  return new Promise((resolve) => {
    from.once('close', () => {
      if (to.writableFinished) to.destroy()
      else to.end(() => to.destroy())
      resolve()
    })
  })
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

function failure(target: UpgradeTarget, error: Error): UpstreamError {
  const origin = `${target.tls === true ? 'https' : 'http'}://${target.host}:${target.port}`
  return upstreamError(origin, error, !CONNECT_FAILURES.has(errorCode(error)))
}

function ignore(): void {
  // A closed or broken socket is told by its close event; nobody else needs to know.
}
