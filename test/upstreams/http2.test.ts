import { once } from 'node:events'
import {
  connect as connectHttp2,
  constants,
  createServer,
  createSecureServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type SecureServerOptions,
  type ServerOptions,
} from 'node:http2'
import { request as httpRequest } from 'node:http'
import type { AddressInfo } from 'node:net'

import { describe, expect, test } from 'vitest'

import { rawUpstream, type RawUpstream } from '../gateway/harness.ts'
import { openAuthority } from './certificates.ts'
import { closedPort, get, origin, proxyTo } from './harness.ts'

type Answer = (stream: ServerHttp2Stream, fields: IncomingHttpHeaders, session: number) => void

interface Http2Origin extends AsyncDisposable {
  readonly url: string
  readonly port: number
  readonly sessions: ServerHttp2Session[]
  /** Heads it got. */
  readonly seen: IncomingHttpHeaders[]
  /** Streams that are open. */
  open(): number
}

const hello: Answer = (stream) => {
  stream.respond({ ':status': 200 })
  stream.end('hello')
}

async function http2Origin(
  answer: Answer = hello,
  options: ServerOptions & { tls?: SecureServerOptions; port?: number } = {},
): Promise<Http2Origin> {
  const { tls, port: wanted = 0, ...plain } = options
  const server: Http2Server =
    tls === undefined ? createServer(plain) : createSecureServer({ ...plain, ...tls })
  const sessions: ServerHttp2Session[] = []
  const seen: IncomingHttpHeaders[] = []
  let open = 0
  server.on('session', (session) => {
    sessions.push(session)
    session.on('error', () => undefined)
  })
  server.on('stream', (stream, fields) => {
    seen.push(fields)
    open++
    stream.on('error', () => undefined).on('close', () => open--)
    answer(stream, fields, sessions.length)
  })
  server.listen(wanted, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    port,
    sessions,
    seen,
    open: () => open,
    async [Symbol.asyncDispose]() {
      for (const session of sessions) session.destroy()
      await new Promise((resolve) => server.close(() => resolve(undefined)))
    },
  }
}

const http2 = true

const [DATA, HEADERS, RST_STREAM, SETTINGS] = [0, 1, 3, 4] as const
const END_HEADERS = 4
/** `:status: 200` of HPACK's static table. */
const STATUS_200 = 0x88

/** A frame of the first stream; settings are the connection's. */
function frame(type: number, flags: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(type === SETTINGS ? 0 : 1, 5)
  return Buffer.concat([head, payload])
}

const PREFACE_BYTES = 24

/** The types of the frames behind a client's preface. */
function framesOf(received: string): number[] {
  const bytes = Buffer.from(received, 'latin1')
  const types: number[] = []
  for (let at = PREFACE_BYTES; at + 9 <= bytes.length; at += 9 + bytes.readUIntBE(at, 3))
    types.push(bytes[at + 3] ?? 0)
  return types
}

/** Answers the first request with these frames: what no server that is well would send. */
function framedOrigin(frames: readonly Buffer[]): Promise<RawUpstream> {
  const greeted = new WeakSet<object>()
  const answered = new WeakSet<object>()
  return rawUpstream((socket, received) => {
    if (!greeted.has(socket)) socket.write(frame(SETTINGS, 0, Buffer.alloc(0)))
    greeted.add(socket)
    if (answered.has(socket) || !framesOf(received).includes(HEADERS)) return
    answered.add(socket)
    socket.write(Buffer.concat(frames))
  })
}

describe('what the upstream gets', () => {
  test('the request as HTTP/2 has it: Host as :authority, lower-case names, no fields of the connection', async () => {
    await using upstream = await http2Origin()
    await using proxy = await proxyTo([`${upstream.url}/base`], { http2, stripPrefix: '/api' })
    await proxy.raw(
      'GET /api/a%2Fb?c HTTP/1.1\r\nHost: client:1\r\nX-Twice: 1\r\nX-twice: 2\r\nConnection: close, X-Gone\r\n' +
        'X-Gone: 1\r\nKeep-Alive: 5\r\nTE: trailers, gzip\r\nUpgrade: h2c\r\nCookie: a=1; b=2\r\nReferer: r\r\nReferer: s\r\n\r\n',
    )
    const [fields] = upstream.seen
    expect(fields).toMatchObject({
      ':method': 'GET',
      ':scheme': 'http',
      ':authority': 'client:1',
      ':path': '/base/a%2Fb?c',
      'x-twice': '1, 2',
      te: 'trailers',
      cookie: 'a=1; b=2',
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-prefix': '/api',
      via: '1.1 flexi',
    })
    for (const name of ['host', 'connection', 'keep-alive', 'upgrade', 'x-gone'])
      expect(fields).not.toHaveProperty(name)
  })

  test('content of any length, by its length or in chunks, and its trailers', async () => {
    const got: string[] = []
    await using upstream = await http2Origin((stream, fields) => {
      let bytes = 0
      let trailers = ''
      stream.on('data', (chunk: Buffer) => (bytes += chunk.length))
      stream.on('trailers', (fields_) => (trailers = String(fields_['x-sum'])))
      stream.on('end', () => {
        got.push(`${fields['content-length']} ${bytes} ${trailers}`)
        stream.respond({ ':status': 204 }, { endStream: true })
      })
    })
    await using proxy = await proxyTo([upstream.url], { http2 })
    const big = Buffer.alloc(3_000_000, 'x')
    expect((await fetch(proxy.url, { method: 'POST', body: big })).status).toBe(204)
    await proxy.raw(
      'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 7\r\n\r\n',
    )
    await proxy.raw('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n')
    expect(got).toEqual(['3000000 3000000 ', 'undefined 3 7', '0 0 '])
  })
})

describe('what the client gets', () => {
  test('status, repeated fields, content and trailers; 103 before them', async () => {
    await using upstream = await http2Origin((stream) => {
      stream.additionalHeaders({ ':status': 103, link: '</a.css>; rel=preload' })
      stream.respond(
        { ':status': 201, 'set-cookie': ['a=1', 'b=2'], 'x-a': '1', trailer: 'x-end' },
        { waitForTrailers: true },
      )
      stream.on('wantTrailers', () => stream.sendTrailers({ 'x-end': 'yes' }))
      stream.end('content')
    })
    await using proxy = await proxyTo([upstream.url], { http2 })
    const answer = await proxy.raw('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    expect(answer).toMatch(/^HTTP\/1\.1 103 Early Hints\r\nLink: <\/a\.css>; rel=preload\r\n\r\n/)
    expect(answer).toContain('HTTP/1.1 201 Created\r\nset-cookie: a=1\r\nset-cookie: b=2\r\nx-a: 1\r\n')
    expect(answer).toMatch(/\r\n7\r\ncontent\r\n0\r\nx-end: yes\r\n\r\n$/)
    expect(answer).not.toContain(':status')
  })

  test.each([
    ['HEAD', 200],
    ['GET', 204],
    ['GET', 304],
  ] as const)('%s with %i has a head only, and the connection goes on', async (method, status) => {
    await using upstream = await http2Origin((stream) => {
      stream.respond({ ':status': status, 'x-a': '1' }, { endStream: true })
    })
    await using proxy = await proxyTo([upstream.url], { http2 })
    const answer = await proxy.raw(`${method} / HTTP/1.1\r\nHost: a\r\n\r\n`.repeat(2))
    expect(answer.match(/HTTP\/1\.1 /g)).toHaveLength(2)
  })

  test('a head without waiting for its content', async () => {
    let end = (): void => undefined
    await using upstream = await http2Origin((stream) => {
      stream.respond({ ':status': 200 })
      end = () => stream.end('late')
    })
    await using proxy = await proxyTo([upstream.url], { http2 })
    const response = await fetch(proxy.url)
    expect(response.status).toBe(200)
    end()
    expect(await response.text()).toBe('late')
  })

  test.each([
    ['CANCEL', 8],
    ['INTERNAL_ERROR', 2],
  ])('content that breaks off with %s is seen to break off', async (_name, code) => {
    await using upstream = await framedOrigin([
      frame(HEADERS, END_HEADERS, Buffer.from([STATUS_200])),
      frame(DATA, 0, Buffer.from('begun')),
      frame(RST_STREAM, 0, Buffer.from([0, 0, 0, code])),
    ])
    await using proxy = await proxyTo([upstream.origin], { http2 })
    const answer = await proxy.raw('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    expect(answer).toContain('begun')
    expect(answer).not.toMatch(/0\r\n\r\n$/)
  })

  test('content that is shorter than its head says, even when its stream seems to end well', async () => {
    const length = Buffer.concat([Buffer.from([0x0f, 0x0d, 1]), Buffer.from('9')])
    await using upstream = await framedOrigin([
      frame(HEADERS, END_HEADERS, Buffer.concat([Buffer.from([STATUS_200]), length])),
      frame(DATA, 0, Buffer.from('begun')),
      frame(RST_STREAM, 0, Buffer.alloc(4)),
    ])
    await using proxy = await proxyTo([upstream.origin], { http2 })
    const socket = await proxy.connect()
    socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    let got = ''
    socket.on('data', (chunk) => (got += String(chunk)))
    // The next answer on this connection would be read as the rest of this one.
    await once(socket, 'close')
    expect(got).toContain('content-length: 9\r\n')
    expect(got).toMatch(/begun$/)
  })

  test('an early answer, without the rest of its content being asked for', async () => {
    await using upstream = await http2Origin((stream) => {
      stream.respond({ ':status': 413 })
      stream.end('too much')
    })
    await using proxy = await proxyTo([upstream.url], { http2 })
    const response = await new Promise<{ status: number | undefined; text: string }>((resolve, reject) => {
      const sending = httpRequest(proxy.url, { method: 'POST' }, (incoming) => {
        let text = ''
        incoming.on('data', (chunk) => (text += String(chunk)))
        incoming.on('end', () => {
          sending.end()
          resolve({ status: incoming.statusCode, text })
        })
      })
      sending.on('error', reject)
      sending.write('x'.repeat(100))
    })
    expect(response).toEqual({ status: 413, text: 'too much' })
    await expect.poll(() => upstream.open()).toBe(0)
  })
})

describe('back-pressure', () => {
  const MB = 1024 * 1024

  test('a client that does not read holds the upstream back', async () => {
    let sent = 0
    await using upstream = await http2Origin((stream) => {
      stream.respond({ ':status': 200 })
      const chunk = Buffer.alloc(256 * 1024)
      const write = (): void => {
        while (sent < 200 * MB && stream.write(chunk)) sent += chunk.length
        sent += chunk.length
      }
      stream.on('drain', write)
      write()
    })
    await using proxy = await proxyTo([upstream.url], { http2 })
    const socket = await proxy.connect()
    socket.pause()
    socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    let before = -1
    await expect
      .poll(
        () => {
          const still = sent === before && sent > 0
          before = sent
          return still
        },
        { interval: 200, timeout: 5_000 },
      )
      .toBe(true)
    expect(sent).toBeLessThan(40 * MB)
    socket.destroy()
    await expect.poll(() => upstream.open()).toBe(0)
  })

  test('an upstream that does not read holds the client back', async () => {
    await using upstream = await http2Origin((stream) => stream.pause())
    await using proxy = await proxyTo([upstream.url], { http2 })
    const socket = await proxy.connect()
    socket.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 209715200\r\n\r\n')
    const chunk = Buffer.alloc(256 * 1024)
    let sent = 0
    const write = (): void => {
      while (sent < 200 * MB && socket.write(chunk)) sent += chunk.length
    }
    socket.on('drain', write).on('error', () => undefined)
    write()
    let before = -1
    await expect
      .poll(
        () => {
          const still = sent === before
          before = sent
          return still
        },
        { interval: 200, timeout: 5_000 },
      )
      .toBe(true)
    expect(sent).toBeLessThan(40 * MB)
    socket.destroy()
  })
})

describe('connections', () => {
  test('requests share one, and a client that leaves takes only its own stream along', async () => {
    const streams: ServerHttp2Stream[] = []
    await using upstream = await http2Origin((stream) => streams.push(stream))
    await using proxy = await proxyTo([upstream.url], { http2 })
    const leaving = new AbortController()
    const left = fetch(proxy.url, { signal: leaving.signal }).catch(() => 'left')
    await expect.poll(() => streams.length).toBe(1)
    const stays = get(proxy.url)
    await expect.poll(() => streams.length).toBe(2)
    leaving.abort()
    expect(await left).toBe('left')
    await expect.poll(() => streams[0]?.rstCode).toBe(constants.NGHTTP2_CANCEL)
    streams[1]?.respond({ ':status': 200 })
    streams[1]?.end('stays')
    expect(await stays).toBe('stays')
    expect(upstream.sessions).toHaveLength(1)
    expect(proxy.upstream.states()[0]?.inFlight).toBe(0)
  })

  test('another is opened when the upstream takes no more streams on the first', async () => {
    const streams: ServerHttp2Stream[] = []
    await using upstream = await http2Origin((stream) => streams.push(stream), {
      settings: { maxConcurrentStreams: 2 },
    })
    await using proxy = await proxyTo([upstream.url], { http2 })
    const asked = Array.from({ length: 5 }, () => get(proxy.url))
    await expect.poll(() => streams.length).toBe(5)
    expect(upstream.sessions).toHaveLength(3)
    for (const stream of streams) {
      stream.respond({ ':status': 200 })
      stream.end('ok')
    }
    expect(await Promise.all(asked)).toEqual(Array.from({ length: 5 }, () => 'ok'))
  })

  test('a stream that was refused is sent again with its content, whatever its method', async () => {
    let count = 0
    await using upstream = await http2Origin((stream) => {
      count++
      if (count === 1) {
        stream.close(constants.NGHTTP2_REFUSED_STREAM)
        return
      }
      let text = ''
      stream.on('data', (chunk) => (text += String(chunk)))
      stream.on('end', () => {
        stream.respond({ ':status': 200 })
        stream.end(text)
      })
    })
    await using proxy = await proxyTo([upstream.url], { http2 })
    const response = await fetch(proxy.url, { method: 'POST', body: 'content' })
    expect([response.status, await response.text(), count]).toEqual([200, 'content', 2])
  })

  test('a stream behind the last that GOAWAY names is sent again elsewhere; those before it end in peace', async () => {
    const held: ServerHttp2Stream[] = []
    await using upstream = await http2Origin((stream, fields, session) => {
      if (session === 2) {
        hello(stream, fields, session)
      } else {
        held.push(stream)
        if (held.length === 2) stream.session?.goaway(constants.NGHTTP2_NO_ERROR, held[0]?.id)
      }
    })
    await using proxy = await proxyTo([upstream.url], { http2 })
    const first = get(proxy.url)
    await expect.poll(() => held.length).toBe(1)
    const second = await fetch(proxy.url, { method: 'POST', body: 'content' })
    expect(await second.text()).toBe('hello')
    expect(upstream.sessions).toHaveLength(2)
    held[0]?.respond({ ':status': 200 })
    held[0]?.end('in peace')
    expect(await first).toBe('in peace')
    expect(await get(proxy.url)).toBe('hello')
  })

  test('one that dies takes what it may have done: 502 for POST, again for GET on a connection that had served', async () => {
    let count = 0
    await using upstream = await http2Origin((stream, fields, session) => {
      count++
      if (fields[':path'] === '/die' && count % 2 === 0) stream.session?.destroy()
      else hello(stream, fields, session)
    })
    await using proxy = await proxyTo([upstream.url], { http2 })
    expect(await get(proxy.url)).toBe('hello')
    expect(await get(`${proxy.url}/die`)).toBe('hello')
    expect(count).toBe(3)
    const posted = await fetch(`${proxy.url}/die`, { method: 'POST' })
    expect([posted.status, ((await posted.json()) as { code: string }).code]).toEqual([
      502,
      'FLEXI_UPSTREAM_UNREACHABLE',
    ])
  })

  test('silence is a 504, and another origin is asked first when there is one', async () => {
    await using silent = await http2Origin(() => undefined)
    await using other = await http2Origin()
    await using alone = await proxyTo([silent.url], { http2, timeouts: { tryMs: 100 } })
    expect(await get(alone.url)).toBe('504')
    await expect.poll(() => silent.open()).toBe(0)
    await using proxy = await proxyTo([silent.url, other.url], {
      http2,
      timeouts: { tryMs: 100, totalMs: 5_000 },
    })
    expect([await get(proxy.url), await get(proxy.url)]).toEqual(['hello', 'hello'])
    await using strict = await proxyTo([silent.url], { http2, timeouts: { totalMs: 100 } })
    expect(await get(strict.url)).toBe('504')
  })

  test('silence within the content ends it', async () => {
    await using upstream = await http2Origin((stream) => {
      stream.respond({ ':status': 200 })
      stream.write('begun')
    })
    await using proxy = await proxyTo([upstream.url], { http2, timeouts: { idleMs: 100 } })
    const response = await fetch(proxy.url)
    await expect(response.text()).rejects.toThrow('terminated')
    await expect.poll(() => upstream.open()).toBe(0)
  })

  test('one that cannot be opened: another origin, else 502; a server of HTTP/1.1 is told by name', async () => {
    await using upstream = await http2Origin()
    await using proxy = await proxyTo([`http://127.0.0.1:${await closedPort()}`, upstream.url], { http2 })
    for (let i = 0; i < 2; i++) {
      expect(await (await fetch(proxy.url, { method: 'POST', body: 'x' })).text()).toBe('hello')
    }
    await using old = await origin('old')
    await using wrong = await proxyTo([old.url], { http2 })
    const response = await fetch(wrong.url)
    expect(response.status).toBe(502)
    expect(await response.json()).toMatchObject({ detail: `${old.url} does not speak HTTP/2` })
  })

  test('health checks speak HTTP/2 too', async () => {
    await using upstream = await http2Origin((stream, fields) => {
      stream.respond({ ':status': fields[':path'] === '/well' ? 500 : 200 }, { endStream: true })
    })
    await using proxy = await proxyTo([upstream.url], { http2, health: { path: '/well', intervalMs: 50 } })
    await expect.poll(() => proxy.events).toEqual([`upstream.down ${upstream.url} /well answered 500`])
    expect(upstream.seen[0]).toMatchObject({ 'user-agent': 'flexi-health', ':path': '/well' })
  })

  test('they close with the upstream, requests under way first', async () => {
    const streams: ServerHttp2Stream[] = []
    await using upstream = await http2Origin((stream) => streams.push(stream))
    await using proxy = await proxyTo([upstream.url], { http2 })
    const asked = get(proxy.url)
    await expect.poll(() => streams.length).toBe(1)
    const closed = proxy.upstream[Symbol.asyncDispose]()
    streams[0]?.respond({ ':status': 200 })
    streams[0]?.end('done')
    expect(await asked).toBe('done')
    await closed
    await expect.poll(() => upstream.sessions[0]?.destroyed).toBe(true)
  })
})

describe('over TLS', () => {
  test('HTTP/2 is chosen by ALPN; an origin that knows only HTTP/1.1 is spoken to in HTTP/1.1', async () => {
    await using authority = await openAuthority()
    const tls = await authority.issue('127.0.0.1')
    const ca = await authority.file('ca.pem', authority.cert)
    await using modern = await http2Origin(hello, { tls })
    await using proxy = await proxyTo([modern.url], { http2, tls: { ca } })
    expect(await get(proxy.url)).toBe('hello')
    expect(modern.seen[0]?.[':scheme']).toBe('https')

    const { createServer: createHttps } = await import('node:https')
    const versions: string[] = []
    const old = createHttps(tls, (incoming, outgoing) => {
      versions.push(incoming.httpVersion)
      incoming.pipe(outgoing)
    }).listen(0, '127.0.0.1')
    await once(old, 'listening')
    const { port } = old.address() as AddressInfo
    {
      await using fallback = await proxyTo([`https://127.0.0.1:${port}`], { http2, tls: { ca } })
      for (let i = 0; i < 2; i++) {
        expect(await (await fetch(fallback.url, { method: 'POST', body: 'echo' })).text()).toBe('echo')
      }
    }
    expect(versions).toEqual(['1.1', '1.1'])
    old.closeAllConnections()
    await new Promise((resolve) => old.close(resolve))

    await using strict = await proxyTo([modern.url], { http2 })
    expect(await (await fetch(strict.url)).json()).toMatchObject({
      status: 502,
      hint: expect.stringContaining('"tls.ca"') as string,
    })
  })
})

test('HTTP/2 on both sides: trailers, content both ways at once, and a reset on one is a reset on the other', async () => {
  await using upstream = await http2Origin((stream, fields) => {
    if (fields[':path'] === '/reset') {
      stream.respond({ ':status': 200 })
      stream.write('begun', () => stream.destroy(new Error('broken')))
      return
    }
    stream.respond({ ':status': 200 }, { waitForTrailers: true })
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-status': '0' }))
    stream.pipe(stream)
  })
  await using proxy = await proxyTo([upstream.url], { http2 })
  const session = connectHttp2(proxy.url)
  session.on('error', () => undefined)
  const stream = session.request({ ':path': '/echo', ':method': 'POST' })
  const trailers = once(stream, 'trailers')
  for (const word of ['one', 'two']) {
    stream.write(word)
    expect(String((await once(stream, 'data'))[0])).toBe(word)
  }
  stream.end()
  expect((await trailers)[0]).toMatchObject({ 'x-status': '0' })
  stream.resume()
  await once(stream, 'close')
  expect(stream.rstCode).toBe(0)

  const broken = session.request({ ':path': '/reset' })
  broken.on('error', () => undefined).resume()
  await new Promise((resolve) => broken.once('close', resolve))
  expect(broken.rstCode).not.toBe(0)
  session.destroy()
})
