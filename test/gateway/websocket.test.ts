import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'

import { describe, expect, test } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'

import { openUpstream } from '../../src/upstreams/upstream.ts'
import {
  echo,
  httpUpstream,
  openTest,
  rawUpstream,
  readAll,
  type TestGateway,
  type TestUpstream,
} from './harness.ts'

interface Sockets extends AsyncDisposable {
  readonly test: TestGateway
  readonly server: WebSocketServer
  readonly url: string
}

async function proxied(upstream: TestUpstream): Promise<Sockets> {
  const server = new WebSocketServer({
    server: upstream.server,
    handleProtocols: (offered) => [...offered][0] ?? false,
  })
  const fetcher = await openUpstream([{ url: upstream.origin }])
  const test_ = await openTest(fetcher)
  return {
    test: test_,
    server,
    url: test_.url.replace('http', 'ws'),
    async [Symbol.asyncDispose]() {
      for (const client of server.clients) client.terminate()
      server.close()
      await test_[Symbol.asyncDispose]()
      await fetcher[Symbol.asyncDispose]()
    },
  }
}

const HANDSHAKE =
  'Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'

describe('a WebSocket through the gateway', () => {
  test('text, binary, subprotocol, fields, close code and reason pass, both ways', async () => {
    await using upstream = await httpUpstream(() => undefined)
    await using sockets = await proxied(upstream)
    const asked: IncomingMessage[] = []
    sockets.server.on('connection', (socket, request) => {
      asked.push(request)
      socket.on('message', (data, binary) => socket.send(data, { binary }))
      socket.on('close', (code, reason) =>
        asked.push({ code, reason: String(reason) } as unknown as IncomingMessage),
      )
    })
    const client = new WebSocket(`${sockets.url}/a%2Fb?c`, 'chat', {
      headers: { 'X-Own': '1', Cookie: 'a=b' },
    })
    await once(client, 'open')
    expect(client.protocol).toBe('chat')
    client.send('text')
    expect(await once(client, 'message')).toEqual([Buffer.from('text'), false])
    const large = Buffer.alloc(1024 * 1024, 7)
    client.send(large)
    const [data, binary] = (await once(client, 'message')) as [Buffer, boolean]
    expect(data.equals(large) && binary).toBe(true)
    client.close(4001, 'enough')
    await once(client, 'close')
    expect(asked[0]).toMatchObject({
      url: '/a%2Fb?c',
      headers: { 'x-own': '1', cookie: 'a=b', 'x-forwarded-for': '127.0.0.1' },
    })
    await expect.poll(() => asked[1]).toEqual({ code: 4001, reason: 'enough' })
    await expect
      .poll(() => sockets.test.records)
      .toMatchObject([{ status: 101, target: '/a%2Fb?c', aborted: false }])
  })

  test('a server that closes is heard, and one that breaks too', async () => {
    await using upstream = await httpUpstream(() => undefined)
    await using sockets = await proxied(upstream)
    sockets.server.on('connection', (socket, request) => {
      if (request.url === '/close') socket.close(1001, 'going')
      else socket.terminate()
    })
    const closed = new WebSocket(`${sockets.url}/close`)
    expect(await once(closed, 'close')).toEqual([1001, Buffer.from('going')])
    const broken = new WebSocket(`${sockets.url}/break`)
    expect((await once(broken, 'close'))[0]).toBe(1006)
  })

  test('a client that breaks is heard by the server', async () => {
    await using upstream = await httpUpstream(() => undefined)
    await using sockets = await proxied(upstream)
    const closed = new Promise((resolve) => {
      sockets.server.on('connection', (socket) => socket.on('close', resolve))
    })
    const client = new WebSocket(sockets.url)
    await once(client, 'open')
    client.terminate()
    expect(await closed).toBe(1006)
  })

  test('a refusal is a normal response', async () => {
    await using upstream = await httpUpstream(() => undefined)
    const fetcher = await openUpstream([{ url: upstream.origin }])
    await using test_ = await openTest(fetcher)
    upstream.server.on('upgrade', (_request, socket) => {
      socket.end(
        'HTTP/1.1 403 Forbidden\r\nX-Why: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nnope\r\n0\r\n\r\n',
      )
    })
    const answer = await test_.raw(`GET / HTTP/1.1\r\nHost: a\r\n${HANDSHAKE}\r\n`)
    expect(answer).toMatch(
      /^HTTP\/1\.1 403 Forbidden\r\nX-Why: a\r\n[^]*Connection: close[^]*\r\n\r\n4\r\nnope\r\n0\r\n\r\n$/,
    )
    await expect.poll(() => test_.records).toMatchObject([{ status: 403 }])
    await fetcher[Symbol.asyncDispose]()
  })

  test('bytes that come early are not lost, in either direction', async () => {
    await using upstream = await rawUpstream((socket, received) => {
      if (received.endsWith('early client')) {
        socket.write(
          'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly server',
        )
      } else if (received.endsWith('later')) socket.end('last words')
      else if (!received.includes('\r\n\r\n')) return
      // Answers only once the client's early bytes are due, so that they cannot be lost by waiting.
      else if (received.endsWith('\r\n\r\n')) {
        socket.write(
          'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly server',
        )
      }
    })
    const fetcher = await openUpstream([{ url: upstream.origin }])
    await using test_ = await openTest(fetcher)
    const socket = await test_.connect()
    const answer = readAll(socket)
    socket.write(`GET / HTTP/1.1\r\nHost: a\r\n${HANDSHAKE}\r\nearly `)
    socket.write('client later')
    expect(await answer).toMatch(/^HTTP\/1\.1 101 [^]*\r\n\r\nearly server(last words)$/)
    expect(upstream.received[0]).toMatch(/\r\n\r\nearly client later$/)
    await fetcher[Symbol.asyncDispose]()
  })

  test('an end of one side leaves the other open', async () => {
    await using upstream = await rawUpstream((socket, received) => {
      if (received.endsWith('\r\n\r\n')) {
        socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
        socket.removeAllListeners('end')
        socket.on('end', () => socket.end('heard the end'))
      }
    })
    const fetcher = await openUpstream([{ url: upstream.origin }])
    await using test_ = await openTest(fetcher)
    const socket = await test_.connect()
    const chunks: Buffer[] = []
    socket.on('data', (chunk: Buffer) => chunks.push(chunk))
    socket.write(`GET / HTTP/1.1\r\nHost: a\r\n${HANDSHAKE}\r\n`)
    await once(socket, 'data')
    socket.end()
    await once(socket, 'close')
    expect(Buffer.concat(chunks).toString()).toMatch(/heard the end$/)
    await fetcher[Symbol.asyncDispose]()
  })

  test('no upstream is a 502, and the next origin is asked first', async () => {
    const down = await httpUpstream(() => undefined)
    await down[Symbol.asyncDispose]()
    const alone = await openUpstream([{ url: down.origin }])
    await using test_ = await openTest(alone)
    expect(await test_.raw(`GET / HTTP/1.1\r\nHost: a\r\n${HANDSHAKE}\r\n`)).toMatch(
      /^HTTP\/1\.1 502 [^]*nothing listens/,
    )
    await using upstream = await httpUpstream(() => undefined)
    const server = new WebSocketServer({ server: upstream.server })
    const several = await openUpstream([down, upstream, down].map(({ origin: url }) => ({ url })))
    await using other = await openTest(several)
    const client = new WebSocket(other.url.replace('http', 'ws'))
    await once(client, 'open')
    client.terminate()
    server.close()
    await several[Symbol.asyncDispose]()
    await alone[Symbol.asyncDispose]()
  })

  test('draining does not wait for it', async () => {
    await using upstream = await httpUpstream(() => undefined)
    await using sockets = await proxied(upstream)
    const client = new WebSocket(sockets.url)
    await once(client, 'open')
    const closed = once(client, 'close')
    await sockets.test.gateway.drain(20_000)
    expect((await closed)[0]).toBe(1006)
  })
})

describe('an offer that nobody takes is no reason to refuse the request', () => {
  test.each([
    [
      'h2c, which would pass every later check',
      'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n',
    ],
    ['a protocol nobody knows', 'Connection: Upgrade\r\nUpgrade: foo/2\r\n'],
    ['websocket, to a fetcher without', HANDSHAKE],
  ])('%s', async (_name, offer) => {
    await using test_ = await openTest(echo)
    const socket = await test_.connect()
    const answer = readAll(socket)
    socket.write(`POST /x HTTP/1.1\r\nHost: a\r\n${offer}Content-Length: 7\r\n\r\ncon`)
    socket.write('tentGET /y HTTP/1.1\r\nHost: a\r\n\r\n')
    const received = await answer
    expect(received).toMatch(/"target":"\/x"[^]*"body":"content"/)
    expect(received).not.toMatch(/Upgrade|HTTP2-Settings/i)
    // From Node 24 on nothing more is read from the connection, so the answer says that it ends.
    const readsOn = Number(process.versions.node.split('.')[0]) < 24
    expect(received).toMatch(readsOn ? /"target":"\/y"/ : /^Connection: close\r$/m)
    const targets = readsOn ? ['/x', '/y'] : ['/x']
    await expect.poll(() => test_.records.map(({ target }) => target)).toEqual(targets)
  })

  test('websocket where there is no route, or a bad head, is told as always', async () => {
    await using test_ = await openTest({ routes: [], functions: new Map() })
    expect(await test_.raw(`GET / HTTP/1.1\r\nHost: a\r\n${HANDSHAKE}\r\n`)).toMatch(/^HTTP\/1\.1 404 /)
    expect(await test_.raw(`GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n${HANDSHAKE}\r\n`)).toMatch(
      /^HTTP\/1\.1 400 /,
    )
    expect(await test_.raw(`GET /_flexi/f/x/ HTTP/1.1\r\nHost: evil\r\n${HANDSHAKE}\r\n`)).toMatch(
      /^HTTP\/1\.1 403 /,
    )
  })
})
