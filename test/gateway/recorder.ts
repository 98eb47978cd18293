import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

import type { SocketFetcher } from '../../src/core/fetcher.ts'
import { createDispatcher, forward, type ForwardTarget } from '../../src/forward/forward.ts'
import type { GatewayOptions } from '../../src/gateway/gateway.ts'
import { bound, openTest, type TestGateway } from './harness.ts'

/** A whole HTTP/1.1 message at the start of `text`, by its own framing; undefined while bytes are missing. */
export function cutMessage(text: string, noContent = false): string | undefined {
  const headEnd = text.indexOf('\r\n\r\n')
  if (headEnd === -1) return undefined
  const head = text.slice(0, headEnd + 2)
  const start = headEnd + 4
  const length = noContent || NO_CONTENT.test(head) ? 0 : contentLength(head, text.slice(start))
  return length === undefined || text.length < start + length ? undefined : text.slice(0, start + length)
}

const NO_CONTENT = /^HTTP\/1\.1 (?:1\d\d|204|304) /

function contentLength(head: string, rest: string): number | undefined {
  if (!/\r\ntransfer-encoding: *chunked\r\n/i.test(head))
    return Number(/\r\ncontent-length: *(\d+)\r\n/i.exec(head)?.[1] ?? 0)
  const end = /(?:^|\r\n)0\r\n(?:[^\r\n]+\r\n)*\r\n/.exec(rest)
  return end === null ? undefined : end.index + end[0].length
}

export interface Recorder extends AsyncDisposable {
  readonly origin: string
  /** Whole requests, byte for byte, in the order of their ends. */
  readonly requests: string[]
  /** All bytes of each connection. */
  readonly connections: string[]
}

export type Reply = (request: string, socket: Socket, connection: number) => string | undefined

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

/** An upstream on a raw socket that reads requests by RFC 9112 alone and keeps their bytes. */
export async function recorder(reply: Reply = () => OK): Promise<Recorder> {
  const requests: string[] = []
  const connections: string[] = []
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    const index = connections.push('') - 1
    let rest = ''
    sockets.add(socket)
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket))
    socket.on('data', (chunk: Buffer) => {
      const text = chunk.toString('latin1')
      connections[index] += text
      rest += text
      for (let whole = cutMessage(rest); whole !== undefined; whole = cutMessage(rest)) {
        rest = rest.slice(whole.length)
        requests.push(whole)
        const answer = reply(whole, socket, index)
        if (answer !== undefined) socket.write(answer, 'latin1')
      }
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    origin: `http://127.0.0.1:${port}`,
    requests,
    connections,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** Forwards every request to one origin, as a route of an upstream does. */
export async function forwarder(
  origin: string,
  target: Partial<ForwardTarget> = {},
): Promise<SocketFetcher & AsyncDisposable> {
  const dispatcher = await createDispatcher(origin)
  const own: ForwardTarget = { dispatcher, origin, host: 'keep', forwarded: true, ...target }
  return {
    handle: (incoming, outgoing, context) => forward(own, { incoming, outgoing, context }),
    [Symbol.asyncDispose]: () => dispatcher.destroy(),
  }
}

/** A gateway whose only route forwards to `origin`. */
export async function proxyTo(
  origin: string,
  options: Partial<GatewayOptions> = {},
  target: Partial<ForwardTarget> = {},
): Promise<TestGateway> {
  const fetcher = await forwarder(origin, target)
  const table = { routes: [bound({ kind: 'path', path: '/' }, fetcher)], functions: new Map() }
  const gateway = await openTest(table, options)
  return {
    ...gateway,
    async [Symbol.asyncDispose]() {
      await gateway[Symbol.asyncDispose]()
      await fetcher[Symbol.asyncDispose]()
    },
  }
}

export interface Answers {
  /** Statuses in order, the probe's left out. */
  readonly statuses: number[]
  readonly text: string
  /** Whether the connection took another request afterwards. */
  readonly after: 'open' | 'closed'
}

const PROBE = 'GET /probe HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n'

/** Writes bytes, waits for the final answers of `count` requests, and asks once more to learn whether the connection lives. */
export async function ask(port: number, bytes: string, { count = 1, head = false } = {}): Promise<Answers> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  await once(socket, 'connect')
  let text = ''
  const ended = new Promise<'closed'>((resolve) => {
    const done = (): void => resolve('closed')
    socket.on('end', done).on('close', done)
  })
  socket.on('error', () => undefined)
  const answered = new Promise<'answered'>((resolve) => {
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1')
      if (finals(text, head).length >= count) resolve('answered')
    })
  })
  socket.write(bytes, 'latin1')
  await Promise.race([answered, ended])
  const statuses = finals(text, head)
  const before = text
  socket.write(PROBE, 'latin1', () => undefined)
  await ended
  socket.destroy()
  const after =
    text.length > before.length && /HTTP\/1\.1 200 /.test(text.slice(before.length)) ? 'open' : 'closed'
  return { statuses, text: before, after }
}

function finals(text: string, head: boolean): number[] {
  const statuses: number[] = []
  let rest = text
  for (let whole = cutMessage(rest, head); whole !== undefined; whole = cutMessage(rest, head)) {
    rest = rest.slice(whole.length)
    const status = Number(/^HTTP\/1\.1 (\d+)/.exec(whole)?.[1])
    if (status >= 200) statuses.push(status)
  }
  return statuses
}
