import { once } from 'node:events'
import { connect as connectHttp2 } from 'node:http2'
import { createServer as createTcpServer, type Socket } from 'node:net'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import type { Fetcher } from '../../src/core/fetcher.ts'
import { UpstreamError } from '../../src/forward/forward.ts'
import { forwardHttp1, type Http1Target } from '../../src/forward/http1-forward.ts'
import { Http1Pool } from '../../src/forward/http1-pool.ts'
import { NameSet } from '../../src/forward/name-set.ts'
import { fieldValue } from '../../src/forward/request-line.ts'
import { WaitingList } from '../../src/forward/waiting-list.ts'
import { httpUpstream, openTest, rawUpstream, readAll, type TestGateway } from '../gateway/harness.ts'

interface Through extends TestGateway {
  readonly pool: Http1Pool
  readonly waiting: WaitingList
  readonly errors: unknown[]
}

interface ThroughOptions extends Partial<Http1Target> {
  readonly socketPath?: string
  readonly keepAliveMs?: number
  readonly lines?: string
}

/** A gateway whose only route leads to this port; errors are kept, and answered by the gateway. */
async function through(port: number, options: ThroughOptions = {}): Promise<Through> {
  const { socketPath, keepAliveMs, lines = '', ...rest } = options
  const pool = new Http1Pool({ host: '127.0.0.1', port, socketPath, keepAliveMs })
  const waiting = new WaitingList()
  const target: Http1Target = {
    pool,
    waiting,
    origin: `http://127.0.0.1:${port}`,
    host: 'keep',
    forwarded: false,
    faults: {
      markOf: ({ fields }) => fieldValue(fields, 'x-fault'),
      read: (content, mark) => new Error(`${mark}:${content}`),
    },
    ...rest,
  }
  const errors: unknown[] = []
  const fetcher: Fetcher = {
    async handle(incoming, outgoing, context) {
      try {
        await forwardHttp1(target, { incoming, outgoing, context, lines })
      } catch (error) {
        errors.push(error)
        throw error
      }
    },
  }
  const test_ = await openTest(fetcher)
  return {
    ...test_,
    pool,
    waiting,
    errors,
    async [Symbol.asyncDispose]() {
      pool.close()
      await test_[Symbol.asyncDispose]()
    },
  }
}

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'

describe('what the server gets', () => {
  test('the request as sent, with our own lines in place of the client’s', async () => {
    await using upstream = await rawUpstream((socket) => socket.write(OK))
    const never = new NameSet('x-own', 'x-secret')
    await using test_ = await through(upstream.port, { never, lines: 'X-Own: 1\r\n' })
    await test_.raw(
      'GET /a%2Fb?c HTTP/1.1\r\nHost: h:1\r\nx-OWN: 0\r\nX-Secret: 0\r\nX-b: 1\r\nx-A: \xe9\r\nX-b: 3\r\nConnection: X-C\r\nX-C: 0\r\n\r\n',
    )
    expect(upstream.received).toEqual([
      'GET /a%2Fb?c HTTP/1.1\r\nHost: h:1\r\nX-b: 1\r\nx-A: \xe9\r\nX-b: 3\r\nX-Own: 1\r\n\r\n',
    ])
  })

  test.each([
    ['/a/../b/./c', '/b/c'],
    ['/a/%2E%2e/b?x=/../y', '/b?x=/../y'],
    ['/a|b"<>^`{}?q="<>^', '/a|b%22%3C%3E%5E%60%7B%7D?q=%22%3C%3E^'],
    ['/a//b/.well-known/?', '/a//b/.well-known/?'],
    ['http://other/a/../b', '/b'],
  ])('%s as a URL parser writes it', async (sent, seen) => {
    await using upstream = await rawUpstream((socket) => socket.write(OK))
    await using test_ = await through(upstream.port)
    const answer = await test_.raw(`GET ${sent} HTTP/1.1\r\nHost: other\r\n\r\n`)
    // What the gateway itself refuses never comes here.
    if (answer.startsWith('HTTP/1.1 200')) {
      const [target = ''] = /(?<= )\S+/.exec(upstream.received[0] ?? '') ?? []
      expect(target).toBe(seen)
    } else expect(upstream.received).toEqual([])
  })

  test('content with its length or in chunks; short content in one write with the head', async () => {
    const writes: string[] = []
    await using upstream = await rawUpstream((socket, received) => {
      writes.push(received)
      if (/\r\n\r\n(abc|3\r\nabc\r\n0\r\n\r\n)$/.test(received)) socket.write(OK)
    })
    await using test_ = await through(upstream.port)
    await test_.raw('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc')
    expect(writes).toEqual(['POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc'])
    await test_.raw(
      'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\n',
    )
    expect(upstream.received.join('')).toMatch(
      /POST \/ HTTP\/1\.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n$/,
    )
  })

  test('the head at once, when the content comes later', async () => {
    await using upstream = await rawUpstream((socket, received) => {
      if (received.endsWith('abc')) socket.write(OK)
    })
    await using test_ = await through(upstream.port)
    const socket = await test_.connect()
    socket.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n')
    await expect.poll(() => upstream.received[0]).toContain('Content-Length: 3')
    socket.write('abc')
    expect(await readAll(socket)).toContain('ok')
  })

  test('no Expect: the client is told to go on by us', async () => {
    await using upstream = await rawUpstream((socket, received) => {
      if (received.endsWith('abc')) socket.write(OK)
    })
    await using test_ = await through(upstream.port)
    const socket = await test_.connect()
    socket.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n')
    const [first] = (await once(socket, 'data')) as [Buffer]
    expect(first.toString()).toBe('HTTP/1.1 100 Continue\r\n\r\n')
    socket.write('abc')
    expect(await readAll(socket)).toContain('ok')
    expect(upstream.received[0]).not.toMatch(/expect/i)
  })

  test('a request over HTTP/2, content included', async () => {
    await using upstream = await rawUpstream((socket, received) => {
      if (received.endsWith('0\r\n\r\n')) socket.write(OK)
    })
    await using test_ = await through(upstream.port)
    const session = connectHttp2(test_.url)
    const stream = session.request({ ':method': 'POST', ':path': '/x', 'x-a': 'b' })
    stream.end('abc')
    let text = ''
    for await (const part of stream) text += String(part)
    expect(text).toBe('ok')
    expect(upstream.received[0]).toMatch(
      /^POST \/x HTTP\/1\.1\r\nHost: .*\r\nx-a: b\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc/,
    )
    session.close()
  })

  test('a Unix socket in place of the port', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'flexi-http1-'))
    const socketPath = join(folder, 's')
    const server = createTcpServer((socket) => socket.on('data', () => socket.write(OK))).listen(socketPath)
    await once(server, 'listening')
    await using test_ = await through(1, { socketPath })
    expect(await test_.raw(GET)).toContain('ok')
    test_.pool.close()
    await new Promise((resolve) => server.close(resolve))
    await rm(folder, { recursive: true })
  })
})

describe('what the client gets', () => {
  async function answered(answer: string, request = GET, closes = false): Promise<string> {
    await using upstream = await rawUpstream((socket) => {
      socket.write(answer, 'latin1')
      if (closes) socket.end()
    })
    await using test_ = await through(upstream.port, { hidden: new NameSet('x-hidden') })
    return await test_.raw(request)
  }

  test('status, reason, fields and bytes as they came, without those of the connection and the hidden ones', async () => {
    const text = await answered(
      'HTTP/1.1 299 So so\r\nSet-Cookie: a\r\nx-B: \xff\r\nSet-Cookie: b\r\nX-Hidden: 1\r\nKeep-Alive: timeout=1\r\nConnection: X-C\r\nX-C: 1\r\nContent-Length: 3\r\n\r\n\0\xff\n',
    )
    expect(text).toMatch(
      /^HTTP\/1\.1 299 So so\r\nSet-Cookie: a\r\nx-B: \xff\r\nSet-Cookie: b\r\nContent-Length: 3\r\nDate: .*\r\nConnection: keep-alive\r\nKeep-Alive: timeout=75\r\n\r\n\0\xff\n$/,
    )
  })

  test('a length in place of chunks when all of them are there, else chunks and trailers', async () => {
    const chunks = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n'
    expect(await answered(`${chunks}\r\n`)).toMatch(/Content-Length: 2\r\n[^]*\r\n\r\nok$/)
    expect(await answered(`${chunks}X-T: 1\r\n\r\n`)).toMatch(
      /Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-T: 1\r\n\r\n$/,
    )
  })

  test('content that ends with the connection, whole', async () => {
    expect(await answered('HTTP/1.1 200 OK\r\n\r\nok', GET, true)).toMatch(/2\r\nok\r\n0\r\n\r\n$/)
  })

  test('HTTP/1.0 has no chunks and no heads below 200, and the connection ends', async () => {
    const text = await answered(
      'HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n',
      'GET / HTTP/1.0\r\n\r\n',
      true,
    )
    expect(text).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
    expect(text).not.toContain('chunked')
    expect(text).toContain('Connection: close')
  })

  test('103 before the answer', async () => {
    const text = await answered(`HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n${OK}`)
    expect(text).toMatch(
      /^HTTP\/1\.1 103 Early Hints\r\nLink: <\/a>; rel=preload\r\n\r\nHTTP\/1\.1 200 OK\r\n/,
    )
  })

  test.each(['HEAD', 'GET'])(
    '%s with 304 or no content keeps the length, and nothing follows',
    async (method) => {
      const status = method === 'HEAD' ? '200 OK' : '304 Not Modified'
      const text = await answered(
        `HTTP/1.1 ${status}\r\nContent-Length: 5\r\n\r\n`,
        `${method} / HTTP/1.1\r\nHost: a\r\n\r\n`,
      )
      expect(text).toMatch(/Content-Length: 5\r\n[^]*\r\n\r\n$/)
    },
  )

  test('pipelined requests in their order', async () => {
    await using upstream = await rawUpstream((socket, received) => {
      const path = /.*GET \/(\S*)/s.exec(received)?.[1] ?? ''
      const answer = `HTTP/1.1 200 OK\r\nContent-Length: ${path.length}\r\n\r\n${path}`
      if (path === 'first') setTimeout(() => socket.write(answer), 30)
      else socket.write(answer)
    })
    await using test_ = await through(upstream.port)
    const text = await test_.raw(`${GET.replace('/ ', '/first ')}${GET.replace('/ ', '/second ')}`)
    expect(text).toMatch(/first[^]*second$/)
  })

  test('the head at once, though the content comes later, and content as it is made', async () => {
    let server: Socket | undefined
    await using upstream = await rawUpstream((socket) => {
      server = socket
      socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
    })
    await using test_ = await through(upstream.port)
    const response = await fetch(test_.url)
    const reader = response.body?.getReader()
    for (const part of ['one', 'second']) {
      server?.write(`${part.length}\r\n${part}\r\n`)
      expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toBe(part)
    }
    server?.write('0\r\n\r\n')
    expect((await reader?.read())?.done).toBe(true)
  })

  test('never the bytes a server says too much, and its connection is not used again', async () => {
    await using upstream = await rawUpstream((socket) => socket.write(`${OK}HTTP/1.1 200 OK\r\n\r\nevil`))
    await using test_ = await through(upstream.port)
    expect(await (await fetch(test_.url)).text()).toBe('ok')
    expect(await (await fetch(test_.url)).text()).toBe('ok')
    expect(upstream.received).toHaveLength(2)
  })

  test('100 MB on the wire: a slow reader holds the server back, and every byte is right', async () => {
    const size = 100 * 1024 * 1024
    let sent = 0
    await using upstream = await httpUpstream(async (_incoming, outgoing) => {
      outgoing.writeHead(200, { 'Content-Length': size })
      const chunk = Buffer.from(Array.from({ length: 256 * 1024 }, (_, i) => i % 251))
      for (; sent < size; sent += chunk.length) if (!outgoing.write(chunk)) await once(outgoing, 'drain')
      outgoing.end()
    })
    await using test_ = await through(upstream.port)
    const rss = process.memoryUsage.rss()
    const response = await fetch(test_.url)
    let last = -1
    while (last !== sent) {
      last = sent
      for (let i = 0; i < 300; i++) await turn()
    }
    expect(sent).toBeLessThan(size / 2)
    let got = 0
    let wrong = 0
    for await (const part of response.body ?? []) {
      for (let i = 0; i < part.length; i += 997) if (part[i] !== ((got + i) % (256 * 1024)) % 251) wrong++
      got += part.length
    }
    expect([got, wrong]).toEqual([size, 0])
    expect(process.memoryUsage.rss() - rss).toBeLessThan(80 * 1024 * 1024)
  })
})

describe('connections', () => {
  test('are kept, the one used last first', async () => {
    await using upstream = await rawUpstream((socket) => socket.write(OK))
    await using test_ = await through(upstream.port)
    for (let i = 0; i < 5; i++) await (await fetch(test_.url)).text()
    expect(upstream.received).toHaveLength(1)
  })

  test.each([
    ['GET', '204 No Content'],
    ['GET', '304 Not Modified'],
    ['HEAD', '200 OK'],
  ])('are kept after %s and %s, which need no length', async (method, status) => {
    await using upstream = await rawUpstream((socket) => socket.write(`HTTP/1.1 ${status}\r\n\r\n`))
    await using test_ = await through(upstream.port)
    for (let count = 0; count < 3; count += 1) await test_.raw(`${method} / HTTP/1.1\r\nHost: a\r\n\r\n`)
    expect(upstream.received).toHaveLength(1)
  })

  test('whose content ends with them are not used again', async () => {
    await using upstream = await rawUpstream((socket) => socket.end('HTTP/1.1 200 OK\r\n\r\nok'))
    await using test_ = await through(upstream.port)
    for (let count = 0; count < 2; count += 1) expect(await test_.raw(GET)).toMatch(/ok/)
    expect(upstream.received).toHaveLength(2)
  })

  test('that were idle for too long are not used again', async () => {
    await using upstream = await rawUpstream((socket) => socket.write(OK))
    await using test_ = await through(upstream.port, { keepAliveMs: -1 })
    for (let i = 0; i < 3; i++) await (await fetch(test_.url)).text()
    expect(upstream.received).toHaveLength(3)
  })

  test('closed by the server as they are used again cost nothing: the request is sent once more', async () => {
    await using upstream = await rawUpstream((socket, received) => {
      if (received.split('GET').length > 2) socket.resetAndDestroy()
      else socket.write(OK)
    })
    await using test_ = await through(upstream.port)
    for (let i = 0; i < 4; i++) expect(await (await fetch(test_.url)).text()).toBe('ok')
    expect(upstream.received).toHaveLength(4)
  })

  test.each([
    ['POST', ''],
    ['GET', 'HTTP/1.1 2'],
  ])('a %s whose answer is %j when the connection closes is not sent twice', async (method, begun) => {
    let asked = 0
    await using upstream = await rawUpstream((socket, received) => {
      asked++
      if (received.split('HTTP/1.1').length === 2) socket.write(OK)
      else if (begun === '') socket.resetAndDestroy()
      else socket.end(begun)
    })
    await using test_ = await through(upstream.port)
    await (await fetch(test_.url)).text()
    expect((await fetch(test_.url, { method })).status).toBe(502)
    expect(asked).toBe(2)
  })

  test('a first one that is closed without an answer is a 502, tried once', async () => {
    await using upstream = await rawUpstream((socket) => socket.end())
    await using test_ = await through(upstream.port)
    expect((await fetch(test_.url)).status).toBe(502)
    expect(upstream.received).toHaveLength(1)
    expect(test_.errors[0]).toMatchObject({ code: 'FLEXI_UPSTREAM_UNREACHABLE', sent: true })
  })

  test('that are closed from here end what is under way, and what is asked later', async () => {
    let asked = 0
    await using upstream = await rawUpstream(() => asked++)
    await using test_ = await through(upstream.port)
    const answer = fetch(test_.url)
    await expect.poll(() => asked).toBe(1)
    test_.pool.close()
    expect((await answer).status).toBe(502)
    expect((await fetch(test_.url)).status).toBe(502)
    expect(asked).toBe(1)
  })
})

describe('when it fails', () => {
  test('nothing listening says so, and the content is still the caller’s', async () => {
    await using closed = await httpUpstream(() => undefined)
    const { port } = closed
    await closed[Symbol.asyncDispose]()
    await using test_ = await through(port)
    const answer = await fetch(test_.url, { method: 'POST', body: 'content' })
    expect(await answer.json()).toMatchObject({ status: 502, code: 'FLEXI_UPSTREAM_UNREACHABLE' })
    expect(test_.errors[0]).toBeInstanceOf(UpstreamError)
    expect(test_.errors[0]).toMatchObject({ sent: false })
  })

  test.each([
    ['garbage', 'no http\r\n\r\n'],
    ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab'],
    ['a chunk that is none', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n'],
    ['a change of protocol', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n'],
  ])('%s is a 502', async (_name, answer) => {
    await using upstream = await rawUpstream((socket) => socket.write(answer))
    await using test_ = await through(upstream.port)
    expect(await (await fetch(test_.url)).json()).toMatchObject({ code: 'FLEXI_UPSTREAM_RESPONSE' })
  })

  test.each([
    ['its length', 'Content-Length: 9\r\n\r\nhalf', ''],
    ['its chunks', 'Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n', ''],
    ['a chunk that is none', 'Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n', 'x\r\n'],
  ])('an answer cut short of %s is cut for the client', async (_name, head, more) => {
    await using upstream = await rawUpstream((socket) => {
      socket.write(`HTTP/1.1 200 OK\r\n${head}`)
      setTimeout(() => socket.end(more), 20)
    })
    await using test_ = await through(upstream.port)
    await expect(fetch(test_.url).then((response) => response.text())).rejects.toThrow('terminated')
    await expect.poll(() => test_.records).toMatchObject([{ aborted: true }])
    expect(test_.records[0]?.notes).toHaveProperty('upstreamError')
  })

  test('a client that leaves ends its request at the server, before, within and while sending', async () => {
    let began = 0
    let gone = 0
    await using upstream = await httpUpstream((incoming, outgoing) => {
      began++
      if (incoming.url === '/download') outgoing.write('half')
      incoming.resume()
      outgoing.on('close', () => gone++)
    })
    await using test_ = await through(upstream.port)
    for (const head of ['GET /waiting', 'GET /download', 'POST /upload']) {
      const before = began
      const socket = await test_.connect()
      socket.write(
        `${head} HTTP/1.1\r\n${head.startsWith('POST') ? 'Content-Length: 9\r\n' : ''}Host: a\r\n\r\nhalf`,
      )
      await expect.poll(() => began).toBe(before + 1)
      socket.destroy()
      await expect.poll(() => gone).toBe(began)
    }
    await expect.poll(() => test_.gateway.inFlight).toBe(0)
    expect([...test_.waiting]).toEqual([])
  })

  test('an early answer reaches a client that is still sending, and its connection goes on', async () => {
    await using upstream = await rawUpstream((socket) => {
      socket.pause()
      socket.write('HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig')
    })
    await using test_ = await through(upstream.port)
    const socket = await test_.connect()
    const size = 16 * 1024 * 1024
    let text = ''
    socket.on('data', (chunk: Buffer) => (text += chunk.toString()))
    socket.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${size}\r\n\r\n`)
    socket.write(Buffer.alloc(size))
    await expect.poll(() => text).toContain('HTTP/1.1 413')
    socket.write(GET)
    await expect.poll(() => text.split('HTTP/1.1 413')).toHaveLength(3)
    socket.destroy()
  })

  test('an answer of a server that reads nothing and closes is not lost to the reset that follows', async () => {
    await using upstream = await rawUpstream((socket) => {
      socket.pause()
      socket.write('HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig')
      socket.destroySoon()
    })
    await using test_ = await through(upstream.port)
    for (let i = 0; i < 10; i++) {
      const answer = await fetch(test_.url, { method: 'POST', body: new Uint8Array(5_000_000) })
      expect(`${answer.status} ${await answer.text()}`).toBe('413 big')
    }
  })
})

describe('whoever gives up at whatever moment', () => {
  /** What a server writes, in these pieces; then it may end, or reset the connection. */
  const answers = fc.constantFrom(
    OK,
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\nX: y\r\n\r\n',
    `HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 40000\r\n\r\n${'x'.repeat(40_000)}`,
    'HTTP/1.1 200 OK\r\n\r\nuntil the end',
    'HTTP/1.1 500 X\r\nX-Fault: 1\r\nContent-Length: 3\r\n\r\nabc',
    'no http at all\r\n\r\n',
  )
  const script = fc.record({
    answer: answers,
    pieces: fc.array(fc.integer({ min: 1, max: 60 }), { maxLength: 3 }),
    end: fc.constantFrom('keeps', 'ends', 'resets'),
  })
  const requests = fc.constantFrom(
    GET,
    'GET / HTTP/1.0\r\n\r\n',
    GET + GET,
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nabcd',
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabcd',
    'PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n',
  )
  const client = fc.record({
    request: requests,
    turns: fc.integer({ min: 0, max: 12 }),
    resets: fc.boolean(),
  })

  test('nothing is left over, and the next request is answered', async () => {
    const scripts: { answer: string; pieces: readonly number[]; end: string }[] = []
    const answered = new WeakMap<Socket, number>()
    const play = async (socket: Socket): Promise<void> => {
      const { answer, pieces, end } = scripts.pop() ?? { answer: OK, pieces: [], end: 'keeps' }
      let at = 0
      for (const size of [...pieces, answer.length]) {
        if (!socket.destroyed) socket.write(answer.slice(at, at + size))
        at += size
        await turn()
      }
      if (end === 'ends') socket.end()
      if (end === 'resets') socket.resetAndDestroy()
    }
    await using upstream = await rawUpstream((socket, received) => {
      // One answer a request, however its bytes come.
      const asked = received.split(' HTTP/1.1\r\n').length - 1
      if (asked === answered.get(socket)) return
      answered.set(socket, asked)
      void play(socket)
    })
    await using test_ = await through(upstream.port)
    await fc.assert(
      fc.asyncProperty(
        fc.array(script, { maxLength: 8 }),
        fc.array(client, { minLength: 1, maxLength: 8 }),
        async (plan, clients) => {
          scripts.push(...plan)
          await Promise.all(
            clients.map(async ({ request, turns }) => {
              const socket = (await test_.connect()).on('error', () => undefined).resume()
              socket.write(request)
              for (let i = 0; i < turns; i++) await turn()
              // A mere end would say that it still waits for the answer.
              socket.resetAndDestroy()
            }),
          )
          await expect.poll(() => test_.gateway.inFlight, { interval: 1 }).toBe(0)
          expect([...test_.waiting]).toEqual([])
          scripts.length = 0
          expect(await (await fetch(test_.url)).text()).toBe('ok')
        },
      ),
      { numRuns: 60 },
    )
    for (const error of test_.errors) expect(String(error)).toMatch(/^(FlexiError|Error: 1:)/)
  })
})

describe('who waits for a head', () => {
  test('is listed, oldest first, until it comes, and may be given up', async () => {
    const sockets: Socket[] = []
    await using upstream = await rawUpstream((socket) => sockets.push(socket))
    await using test_ = await through(upstream.port)
    const first = fetch(test_.url)
    await expect.poll(() => sockets).toHaveLength(1)
    const second = fetch(test_.url)
    await expect.poll(() => sockets).toHaveLength(2)
    const third = fetch(test_.url)
    await expect.poll(() => sockets).toHaveLength(3)
    const since = [...test_.waiting].map((one) => one.since)
    expect(since).toEqual(since.toSorted((a, b) => a - b))
    sockets[1]?.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n')
    expect((await second).status).toBe(200)
    expect([...test_.waiting].map((one) => one.since)).toEqual([since[0], since[2]])
    for (const one of test_.waiting)
      one.abort(new UpstreamError('FLEXI_UPSTREAM_TIMEOUT', 'given up', { cause: undefined, sent: true }))
    expect([(await first).status, (await third).status]).toEqual([504, 504])
    expect([...test_.waiting]).toEqual([])
    sockets[1]?.write('ok')
    expect(await (await second).text()).toBe('ok')
  })

  test('marked answers are errors whatever their framing, and no client sees them', async () => {
    const content = '{"message":"\xc3\xa9"}'
    const frames = [
      `Content-Length: ${content.length}\r\n\r\n${content}`,
      `Transfer-Encoding: chunked\r\n\r\n${content.length.toString(16)}\r\n${content}\r\n0\r\n\r\n`,
      `Connection: close\r\n\r\n${content}`,
    ]
    for (const frame of frames) {
      await using upstream = await rawUpstream((socket) => {
        socket.write(`HTTP/1.1 500 X\r\nX-Fault: m\r\n${frame}`, 'latin1')
        if (frame.startsWith('Connection')) socket.end()
      })
      await using test_ = await through(upstream.port)
      const answer = await fetch(test_.url)
      expect(answer.headers.has('x-fault')).toBe(false)
      expect(test_.errors).toMatchObject([{ message: `m:${content}` }])
    }
  })
})
