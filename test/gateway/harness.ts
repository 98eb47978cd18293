import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import {
  connect,
  createServer as createTcpServer,
  type AddressInfo,
  type Server as TcpServer,
  type Socket,
} from 'node:net'

import type { AccessRecord } from '../../src/core/events.ts'
import type { Fetcher } from '../../src/core/fetcher.ts'
import { createLogger, type LogRecord } from '../../src/core/log.ts'
import type { RouteMatcher, RouteRule, RouteTarget } from '../../src/core/route.ts'
import { openGateway, type Gateway, type GatewayOptions } from '../../src/gateway/gateway.ts'
import type { BoundRoute, RouteTable } from '../../src/gateway/route-table.ts'

export interface TestGateway extends AsyncDisposable {
  readonly gateway: Gateway
  readonly url: string
  readonly records: AccessRecord[]
  readonly log: LogRecord[]
  /** Writes bytes on a new connection and reads until it closes, or until it has been quiet. */
  raw(request: string): Promise<string>
  connect(): Promise<Socket>
}

/** A gateway on a free port whose only route is `/`, unless a table is given. */
export async function openTest(
  answer: Fetcher | RouteTable,
  options: Partial<GatewayOptions> = {},
): Promise<TestGateway> {
  const records: AccessRecord[] = []
  const log: LogRecord[] = []
  const gateway = await openGateway({
    host: '127.0.0.1',
    port: 0,
    table: 'routes' in answer ? answer : tableOf(answer),
    mode: 'dev',
    log: createLogger((record) => log.push(record), 'debug'),
    onAccess: (record) => records.push(record),
    drainMs: 1_000,
    ...options,
  })
  return {
    gateway,
    url: gateway.url,
    records,
    log,
    raw: (request) => rawExchange(gateway.port, request),
    connect: () => openSocket(gateway.port),
    [Symbol.asyncDispose]: () => gateway[Symbol.asyncDispose](),
  }
}

export function tableOf(fetcher: Fetcher, functions: Readonly<Record<string, Fetcher>> = {}): RouteTable {
  return {
    routes: [bound({ kind: 'prefix', prefix: '/' }, fetcher)],
    functions: new Map(Object.entries(functions)),
  }
}

export function bound(matcher: RouteMatcher, fetcher: Fetcher, pattern = 'test'): BoundRoute {
  return { rule: ruleOf(matcher, pattern), fetcher }
}

function ruleOf(matcher: RouteMatcher, pattern = 'test', target?: RouteTarget): RouteRule {
  return {
    matcher,
    target: target ?? { kind: 'function', name: 'test' },
    pattern,
    origin: { file: 'proxy.ini', line: 1, column: 1 },
  }
}

/** Answers every request with what it was asked. */
export const echo: Fetcher = {
  async handle(incoming, outgoing, context) {
    const chunks: Buffer[] = []
    for await (const chunk of incoming) chunks.push(chunk as Buffer)
    const { raw, route } = context
    outgoing.writeHead(200, { 'Content-Type': 'application/json' })
    outgoing.end(
      JSON.stringify({
        raw,
        url: incoming.url,
        host: incoming.headers.host,
        route,
        body: Buffer.concat(chunks).toString(),
      }),
    )
  },
}

export function text(body: string): Fetcher {
  return {
    handle(_incoming, outgoing) {
      outgoing.end(body)
      return Promise.resolve()
    },
  }
}

const QUIET_MS = 300

async function rawExchange(port: number, request: string): Promise<string> {
  const socket = await openSocket(port)
  socket.write(request, 'latin1')
  return readAll(socket)
}

async function openSocket(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  return socket
}

/** Everything until the other side closes, or says nothing for a while. */
export function readAll(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    const done = (): void => {
      socket.destroy()
      resolve(Buffer.concat(chunks).toString('latin1'))
    }
    socket.on('data', (chunk: Buffer) => chunks.push(chunk))
    socket.setTimeout(QUIET_MS, done)
    socket.on('end', done).on('error', done).on('close', done)
  })
}

export interface TestUpstream extends AsyncDisposable {
  readonly origin: string
  readonly port: number
  readonly server: Server
}

export async function httpUpstream(
  answer: (incoming: IncomingMessage, outgoing: ServerResponse) => unknown,
): Promise<TestUpstream> {
  const server = createServer((incoming, outgoing) => void answer(incoming, outgoing))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    origin: `http://127.0.0.1:${port}`,
    port,
    server,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

export interface RawUpstream extends AsyncDisposable {
  readonly origin: string
  readonly port: number
  /** What each connection sent so far. */
  readonly received: string[]
  readonly server: TcpServer
}

/** An upstream that answers whatever was written for it: `reply` is called with each chunk it reads. */
export async function rawUpstream(
  reply: (socket: Socket, received: string, connection: number) => void,
): Promise<RawUpstream> {
  const received: string[] = []
  const sockets = new Set<Socket>()
  const server = createTcpServer({ allowHalfOpen: true }, (socket) => {
    const index = received.push('') - 1
    sockets.add(socket)
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket))
    socket.on('end', () => socket.end())
    socket.on('data', (chunk: Buffer) => {
      received[index] += chunk.toString('latin1')
      reply(socket, received[index] ?? '', index)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    origin: `http://127.0.0.1:${port}`,
    port,
    received,
    server,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
