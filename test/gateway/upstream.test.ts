import { once } from 'node:events'
import { request, type IncomingHttpHeaders } from 'node:http'
import { connect } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import { createGzip, gzipSync } from 'node:zlib'

import { describe, expect, test } from 'vitest'

import { openUpstream } from '../../src/upstreams/upstream.ts'
import {
  httpUpstream,
  openTest,
  rawUpstream,
  readAll,
  type RawUpstream,
  type TestGateway,
} from './harness.ts'

async function proxyTo(...origins: string[]): Promise<TestGateway> {
  const upstream = await openUpstream(
    origins.map((url) => ({ url })),
    { timeouts: { tryMs: 5_000 } },
  )
  const test_ = await openTest(upstream)
  return {
    ...test_,
    async [Symbol.asyncDispose]() {
      await test_[Symbol.asyncDispose]()
      await upstream[Symbol.asyncDispose]()
    },
  }
}

/** Answers every whole request with these bytes. */
function scripted(
  answer: string | ((connection: number) => string),
  options: { close?: boolean } = {},
): Promise<RawUpstream> {
  const answered = new WeakMap<object, number>()
  return rawUpstream((socket, received, connection) => {
    const complete = received.split('\r\n\r\n').length - 1
    if (complete <= (answered.get(socket) ?? 0)) return
    answered.set(socket, complete)
    socket.write(typeof answer === 'string' ? answer : answer(connection), 'latin1')
    if (options.close === true) socket.end()
  })
}

const get = (fields = ''): string => `GET /a%2Fb?c HTTP/1.1\r\nHost: h:1\r\n${fields}\r\n`

describe('what the upstream gets', () => {
  const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

  test('the request as sent: target, Host, order, case and repeated fields', async () => {
    await using upstream = await scripted(ok)
    await using test_ = await proxyTo(upstream.origin)
    await test_.raw(get('X-b: 1\r\nx-A: 2\r\nX-b: 3\r\nCookie: a=b\r\n'))
    const [received = ''] = upstream.received
    expect(received).toMatch(/^GET \/a%2Fb\?c HTTP\/1\.1\r\n/)
    expect(received).toMatch(/\r\nhost: h:1\r\n/i)
    expect(received).toMatch(/\r\nX-b: 1\r\nx-A: 2\r\nX-b: 3\r\nCookie: a=b\r\n/)
  })

  test('nothing of the client’s own connection, nor what Connection names', async () => {
    await using upstream = await scripted(ok)
    await using test_ = await proxyTo(upstream.origin)
    await test_.raw(
      get(
        'Connection: close, X-Secret, host, content-length\r\nX-Secret: 1\r\nKeep-Alive: timeout=1\r\nProxy-Connection: x\r\n' +
          'TE: trailers, gzip\r\nTrailer: X\r\nProxy-Authorization: Basic x\r\nX-Kept: 1\r\n',
      ),
    )
    const [received = ''] = upstream.received
    expect(received).not.toMatch(/secret|keep-alive: |proxy-|trailer:|gzip/i)
    expect(received).toMatch(/\r\nTE: trailers\r\n/)
    expect(received).toContain('X-Kept: 1')
    expect(received).toMatch(/host: h:1/i)
  })

  test('who asked, in place of what the client claims', async () => {
    await using upstream = await scripted(ok)
    await using test_ = await proxyTo(upstream.origin)
    await test_.raw(
      get(
        'X-Forwarded-For: 6.6.6.6\r\nX_Forwarded_For: 6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\n' +
          'X-Forwarded-Proto: https\r\nVia: 1.0 other\r\nConnection: x-forwarded-for\r\n',
      ),
    )
    const [received = ''] = upstream.received
    expect(received).not.toContain('6.6.6.6')
    expect(received).toContain('\r\nX-Forwarded-For: 127.0.0.1\r\n')
    expect(received).toContain('\r\nX-Forwarded-Proto: http\r\n')
    expect(received).toContain('\r\nX-Forwarded-Host: h:1\r\n')
    expect(received).toContain('\r\nForwarded: for=127.0.0.1;proto=http;host="h:1"\r\n')
    expect(received).toContain('\r\nVia: 1.0 other, 1.1 flexi\r\n')
  })

  test('absolute-form becomes origin-form, and its authority the Host', async () => {
    await using upstream = await scripted(ok)
    const proxy = await openUpstream([{ url: upstream.origin }])
    await using test_ = await openTest({
      routes: [
        {
          rule: {
            matcher: { kind: 'path', path: '/' },
            target: { kind: 'upstream', origins: [] },
            pattern: '/',
            origin: { file: 'a', line: 1, column: 1 },
          },
          fetcher: proxy,
        },
      ],
      functions: new Map(),
    })
    await test_.raw('GET http://other:81?x HTTP/1.1\r\nHost: first\r\n\r\n')
    expect(upstream.received[0]).toMatch(/^GET \/\?x HTTP\/1\.1\r\nhost: other:81\r\n/i)
    await proxy[Symbol.asyncDispose]()
  })

  test('the base path of the origin before the path', async () => {
    await using upstream = await scripted(ok)
    await using test_ = await proxyTo(`${upstream.origin}/base/`)
    await test_.raw(get())
    expect(upstream.received[0]).toMatch(/^GET \/base\/a%2Fb\?c HTTP/)
  })

  test('content with its length, in chunks, or none', async () => {
    const seen: { headers: IncomingHttpHeaders; body: string }[] = []
    await using upstream = await httpUpstream(async (incoming, outgoing) => {
      let body = ''
      for await (const chunk of incoming) body += String(chunk)
      seen.push({ headers: incoming.headers, body })
      outgoing.end('ok')
    })
    await using test_ = await proxyTo(upstream.origin)
    await test_.raw('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc')
    await test_.raw(
      'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\nX: y\r\n\r\n',
    )
    await test_.raw('POST / HTTP/1.1\r\nHost: a\r\n\r\n')
    await test_.raw('GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc')
    await test_.raw('DELETE / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc')
    await test_.raw('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    expect(seen.map(({ body }) => body)).toEqual(['abc', 'abc', '', 'abc', 'abc', ''])
    expect(seen.map(({ headers }) => headers['content-length'] ?? headers['transfer-encoding'])).toEqual([
      '3',
      'chunked',
      '0',
      '3',
      '3',
      undefined,
    ])
  })

  test('no Expect: the client is told to go on by us', async () => {
    await using upstream = await httpUpstream((incoming, outgoing) => {
      incoming.resume().on('end', () => outgoing.end(String(incoming.headers.expect)))
    })
    await using test_ = await proxyTo(upstream.origin)
    const socket = await test_.connect()
    const answer = readAll(socket)
    socket.once('data', () => socket.write('abc'))
    socket.write('POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n')
    expect(await answer).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK\r\n[^]*undefined/)
  })

  test('no TRACE, whose answer would show what proxies add', async () => {
    await using upstream = await scripted(ok)
    await using test_ = await proxyTo(upstream.origin)
    expect(await test_.raw('TRACE / HTTP/1.1\r\nHost: a\r\n\r\n')).toMatch(/^HTTP\/1\.1 405 /)
    expect(upstream.received).toEqual([])
  })
})

describe('what the client gets', () => {
  test('status, reason, order, case and repeated fields, and bytes untouched', async () => {
    const content = gzipSync('hello')
    await using upstream = await scripted(
      `HTTP/1.1 299 Own Reason\r\nX-b: 1\r\nSet-Cookie: a=1\r\nx-A: \xe9\r\nSet-Cookie: b=2\r\nContent-Encoding: gzip\r\nContent-Length: ${content.length}\r\nDate: x\r\n\r\n${content.toString('latin1')}`,
    )
    await using test_ = await proxyTo(upstream.origin)
    const answer = await test_.raw(get())
    expect(answer).toMatch(
      /^HTTP\/1\.1 299 Own Reason\r\nX-b: 1\r\nSet-Cookie: a=1\r\nx-A: \xe9\r\nSet-Cookie: b=2\r\nContent-Encoding: gzip\r\n/,
    )
    expect(answer.endsWith(`\r\n\r\n${content.toString('latin1')}`)).toBe(true)
  })

  test('nothing of the upstream’s own connection, nor what its Connection names', async () => {
    await using upstream = await scripted(
      'HTTP/1.1 200 OK\r\nConnection: X-Hop, keep-alive\r\nX-Hop: 1\r\nKeep-Alive: timeout=99\r\nProxy-Authenticate: x\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nok',
    )
    await using test_ = await proxyTo(upstream.origin)
    expect(await test_.raw(get())).not.toMatch(/x-hop|timeout=99|proxy-|upgrade/i)
  })

  test.each([
    ['HEAD', 'HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n', 'Content-Length: 7'],
    ['304', 'GET', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\nETag: "a"\r\n\r\n', 'ETag: "a"'],
    ['204', 'GET', 'HTTP/1.1 204 No Content\r\nX: y\r\n\r\n', 'X: y'],
  ])('%s has a head only, and the connection goes on', async (_name, method, answer, field) => {
    await using upstream = await scripted(answer)
    await using test_ = await proxyTo(upstream.origin)
    const twice = `${method} /1 HTTP/1.1\r\nHost: a\r\n\r\n`.repeat(2)
    const received = await test_.raw(twice)
    expect(received.match(/HTTP\/1\.1 \d+/g)).toHaveLength(2)
    expect(received).toContain(field)
    expect(received.replaceAll(/HTTP\/1\.1 (?:[^\r]+\r\n)+\r\n/g, '')).toBe('')
  })

  test('a 204 that names a length anyway, without it', async () => {
    await using upstream = await scripted('HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n')
    await using test_ = await proxyTo(upstream.origin)
    expect(await test_.raw(get())).not.toMatch(/content-length/i)
  })

  test('103 before the answer, and no 1xx in HTTP/1.0', async () => {
    await using upstream = await scripted(
      'HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload; as=style\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
    )
    await using test_ = await proxyTo(upstream.origin)
    expect(await test_.raw(get())).toMatch(
      /^HTTP\/1\.1 103 Early Hints\r\nLink: <\/a\.css>; rel=preload; as=style\r\n\r\nHTTP\/1\.1 200 OK/,
    )
    expect(await test_.raw('GET / HTTP/1.0\r\n\r\n')).toMatch(/^HTTP\/1\.1 200 OK/)
  })

  test('trailers behind chunks', async () => {
    await using upstream = await scripted(
      'HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n',
    )
    await using test_ = await proxyTo(upstream.origin)
    const answer = await test_.raw(get('TE: trailers\r\n'))
    expect(answer).toContain('Trailer: X-Sum')
    expect(answer.endsWith('2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n')).toBe(true)
    expect(await test_.raw('GET / HTTP/1.0\r\n\r\n')).toMatch(/\r\n\r\nok$/)
  })

  test('the head at once, though the content comes later', async () => {
    await using upstream = await httpUpstream((_incoming, outgoing) => {
      outgoing.writeHead(200, { 'Content-Type': 'text/event-stream' }).flushHeaders()
    })
    await using test_ = await proxyTo(upstream.origin)
    const answer = await fetch(test_.url)
    expect(answer.headers.get('content-type')).toBe('text/event-stream')
    await answer.body?.cancel()
  })

  test('content that ends with the connection, whole', async () => {
    await using upstream = await scripted('HTTP/1.0 200 OK\r\n\r\nuntil the end', { close: true })
    await using test_ = await proxyTo(upstream.origin)
    const answer = await fetch(test_.url)
    expect(await answer.text()).toBe('until the end')
  })

  test('never the bytes an upstream sends too much', async () => {
    await using upstream = await scripted(
      'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil',
    )
    await using test_ = await proxyTo(upstream.origin)
    for (let i = 0; i < 3; i++) expect(await (await fetch(test_.url)).text()).toBe('ok')
  })
})

describe('when the upstream fails', () => {
  test.each([
    ['CL and TE', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc'],
    ['garbage', 'SSH-2.0-OpenSSH_9.2\r\n\r\n'],
    [
      'a 101 nobody asked for',
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n',
    ],
    ['a head without end', `HTTP/1.1 200 OK\r\nX: ${'a'.repeat(70_000)}\r\n\r\n`],
    ['a NUL in a value', 'HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n'],
  ])('%s is a 502', async (_name, answer) => {
    await using upstream = await scripted(answer)
    await using test_ = await proxyTo(upstream.origin)
    const received = await fetch(test_.url)
    expect(received.status).toBe(502)
    expect(await received.json()).toMatchObject({ code: 'FLEXI_UPSTREAM_RESPONSE' })
  })

  test('closing before the head is a 502, and a fresh connection is not tried again', async () => {
    await using upstream = await rawUpstream((socket) => socket.end())
    await using test_ = await proxyTo(upstream.origin)
    const answer = await fetch(test_.url)
    expect(answer.status).toBe(502)
    expect(await answer.json()).toMatchObject({ code: 'FLEXI_UPSTREAM_UNREACHABLE' })
    expect(upstream.received).toHaveLength(1)
  })

  test('nothing listening is a 502 that says so', async () => {
    const upstream = await rawUpstream(() => undefined)
    await upstream[Symbol.asyncDispose]()
    await using test_ = await proxyTo(upstream.origin)
    const answer = await fetch(test_.url)
    expect(answer.status).toBe(502)
    expect(await answer.json()).toMatchObject({
      code: 'FLEXI_UPSTREAM_UNREACHABLE',
      detail: `nothing listens at ${upstream.origin}`,
    })
  })

  test('silence is a 504', async () => {
    await using upstream = await rawUpstream(() => undefined)
    const proxy = await openUpstream([{ url: upstream.origin }], { timeouts: { tryMs: 50 } })
    await using test_ = await openTest(proxy)
    const answer = await fetch(test_.url)
    expect(answer.status).toBe(504)
    expect(await answer.json()).toMatchObject({ code: 'FLEXI_UPSTREAM_TIMEOUT' })
    await proxy[Symbol.asyncDispose]()
  })

  test.each([
    ['content shorter than its length', 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf'],
    [
      'content shorter than its length, announced',
      'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 9\r\n\r\nhalf',
    ],
    ['a chunk cut', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf'],
    ['no last chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n'],
    ['a chunk that is none', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n'],
  ])('%s cuts the client’s connection, and is recorded as aborted', async (_name, answer) => {
    await using upstream = await scripted(answer, { close: true })
    await using test_ = await proxyTo(upstream.origin)
    await expect(fetch(test_.url).then((response) => response.text())).rejects.toThrow('terminated')
    await expect.poll(() => test_.records).toMatchObject([{ aborted: true }])
    expect(test_.records[0]?.notes).toHaveProperty('upstreamError')
    // Seen on the wire: neither the length nor the last chunk is made up.
    expect(await test_.raw(get())).not.toMatch(/\r\n0\r\n\r\n$/)
  })

  test('a cut answer to HTTP/1.0, whose end is the end, is a reset', async () => {
    await using upstream = await scripted(
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n',
      { close: true },
    )
    await using test_ = await proxyTo(upstream.origin)
    const socket = connect(test_.gateway.port, '127.0.0.1')
    socket.write('GET / HTTP/1.0\r\n\r\n')
    socket.resume()
    const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException]
    expect(error.code).toBe('ECONNRESET')
  })

  describe('by closing an idle connection just as it is used again', () => {
    // Answers the first request of a connection and drops it with the second.
    const forgetful = () =>
      rawUpstream((socket, received) => {
        const requests = received.split('\r\n\r\n').length - 1
        if (requests === 1) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
        else socket.destroy()
      })

    test('what may be asked twice is asked again', async () => {
      await using upstream = await forgetful()
      await using test_ = await proxyTo(upstream.origin)
      expect((await fetch(test_.url)).status).toBe(200)
      expect((await fetch(test_.url)).status).toBe(200)
      expect(upstream.received).toHaveLength(2)
    })

    test.each([
      ['POST', undefined],
      ['PUT', 'content'],
    ])('%s with content %s is not', async (method, body) => {
      await using upstream = await forgetful()
      await using test_ = await proxyTo(upstream.origin)
      expect((await fetch(test_.url)).status).toBe(200)
      expect((await fetch(test_.url, { method, ...(body === undefined ? {} : { body }) })).status).toBe(502)
      expect(upstream.received).toHaveLength(1)
    })
  })
})

describe('several origins', () => {
  const named = (name: string) => httpUpstream((_incoming, outgoing) => outgoing.end(name))

  test('take turns', async () => {
    await using a = await named('a')
    await using b = await named('b')
    await using test_ = await proxyTo(a.origin, b.origin)
    const answers: string[] = []
    for (let i = 0; i < 4; i++) answers.push(await (await fetch(test_.url)).text())
    expect(answers.toSorted().join('')).toBe('aabb')
    expect(answers[0]).not.toBe(answers[1])
  })

  test('one that is down from the start costs nothing, content included', async () => {
    const down = await named('down')
    await down[Symbol.asyncDispose]()
    await using up = await httpUpstream((incoming, outgoing) => incoming.pipe(outgoing))
    await using test_ = await proxyTo(down.origin, up.origin, down.origin)
    for (let i = 0; i < 6; i++) {
      const answer = await fetch(test_.url, { method: 'POST', body: `content ${i}` })
      expect(await answer.text()).toBe(`content ${i}`)
    }
  })

  test('one that took the request is not passed over for another', async () => {
    let asked = 0
    await using cut = await rawUpstream((socket) => {
      asked++
      socket.destroy()
    })
    await using test_ = await proxyTo(cut.origin, cut.origin)
    expect((await fetch(test_.url, { method: 'POST', body: 'x' })).status).toBe(502)
    expect(asked).toBe(1)
  })

  test('an address that is none is a fault of the configuration', async () => {
    await expect(openUpstream([{ url: 'localhost:3000' }])).rejects.toMatchObject({ code: 'FLEXI_CONFIG' })
    await expect(openUpstream([{ url: 'ftp://a' }])).rejects.toMatchObject({ code: 'FLEXI_CONFIG' })
  })

  test('a route that leads back ends with 508', async () => {
    const test_ = await openTest({ routes: [], functions: new Map() })
    const loop = await openUpstream([{ url: test_.url }])
    test_.gateway.swap({
      routes: [
        {
          rule: {
            matcher: { kind: 'prefix', prefix: '/' },
            target: { kind: 'upstream', origins: [] },
            pattern: '/',
            origin: { file: 'a', line: 1, column: 1 },
          },
          fetcher: loop,
        },
      ],
      functions: new Map(),
    })
    const answer = await fetch(test_.url)
    expect(answer.status).toBe(508)
    await loop[Symbol.asyncDispose]()
    await test_[Symbol.asyncDispose]()
  })
})

describe('over time', () => {
  test('a client that leaves ends the upstream’s request at once', async () => {
    let began = 0
    let gone = 0
    await using upstream = await httpUpstream((incoming, outgoing) => {
      began++
      if (incoming.url === '/download') outgoing.write('half')
      incoming.resume()
      outgoing.on('close', () => gone++)
    })
    await using test_ = await proxyTo(upstream.origin)
    for (const head of [
      'GET /waiting HTTP/1.1\r\n',
      'GET /download HTTP/1.1\r\n',
      'POST /upload HTTP/1.1\r\nContent-Length: 9\r\n',
    ]) {
      const before = began
      const socket = await test_.connect()
      socket.write(`${head}Host: a\r\n\r\nhalf`)
      await expect.poll(() => began).toBe(before + 1)
      const left = performance.now()
      socket.destroy()
      await expect.poll(() => gone, { interval: 5 }).toBe(began)
      expect(performance.now() - left).toBeLessThan(200)
    }
    await expect.poll(() => test_.gateway.inFlight).toBe(0)
    expect(test_.records.every(({ aborted }) => aborted)).toBe(true)
  })

  test('an early answer reaches a client that is still sending, and its connection goes on', async () => {
    let asked = 0
    let answer = (): void => undefined
    await using upstream = await httpUpstream((incoming, outgoing) => {
      asked++
      incoming.pause()
      answer = () => {
        outgoing.writeHead(413, { 'Content-Length': '3', Connection: 'close' })
        outgoing.end('big')
        outgoing.on('finish', () => incoming.socket.destroySoon())
      }
    })
    await using test_ = await proxyTo(upstream.origin)
    const socket = await test_.connect()
    const answers: string[] = []
    socket.on('data', (chunk: Buffer) => answers.push(chunk.toString()))
    const size = 32 * 1024 * 1024
    socket.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${size}\r\n\r\n`)
    socket.write(Buffer.alloc(size))
    // Every buffer on the way is full by now.
    await settled(() => socket.bytesWritten - socket.writableLength)
    answer()
    await expect.poll(() => answers.join('')).toContain('HTTP/1.1 413')
    socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await expect.poll(() => asked).toBe(2)
    answer()
    await expect.poll(() => answers.join('').match(/HTTP\/1\.1 413/g)).toHaveLength(2)
    socket.destroy()
  })

  test('an answer of an upstream that reads nothing and closes is not lost to the reset that follows', async () => {
    await using upstream = await rawUpstream((socket) => {
      socket.pause()
      socket.write('HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig')
      socket.destroySoon()
    })
    await using test_ = await proxyTo(upstream.origin)
    for (let i = 0; i < 10; i++) {
      const answer = await fetch(test_.url, { method: 'POST', body: new Uint8Array(5_000_000) })
      expect(`${answer.status} ${await answer.text()}`).toBe('413 big')
    }
  })

  test('100 MB each way stay on the wire: a slow reader holds the sender back', async () => {
    const size = 100 * 1024 * 1024
    const chunk = Buffer.alloc(256 * 1024, 'x')
    let sent = 0
    let received = 0
    let hold: (() => void) | undefined
    await using upstream = await httpUpstream(async (incoming, outgoing) => {
      if (incoming.method === 'POST') {
        incoming.pause()
        await new Promise<void>((resolve) => (hold = resolve))
        for await (const part of incoming) received += (part as Buffer).length
        outgoing.end(String(received))
        return
      }
      outgoing.writeHead(200, { 'Content-Length': size })
      for (sent = 0; sent < size; sent += chunk.length) {
        if (!outgoing.write(chunk)) await once(outgoing, 'drain')
      }
      outgoing.end()
    })
    await using test_ = await proxyTo(upstream.origin)
    const rss = process.memoryUsage.rss()

    // Download: read nothing until the sender has stopped.
    const socket = connect(test_.gateway.port, '127.0.0.1').pause()
    socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    await settled(() => sent)
    expect(sent).toBeGreaterThan(0)
    expect(sent).toBeLessThan(size / 2)
    let got = 0
    for await (const part of socket) got += (part as Buffer).length
    expect(got).toBeGreaterThan(size)

    // Upload: the upstream reads nothing until the client has stopped.
    let written = 0
    const upload = request({ port: test_.gateway.port, method: 'POST', headers: { 'Content-Length': size } })
    const answer = once(upload, 'response')
    const uploading = (async () => {
      for (written = 0; written < size; written += chunk.length) {
        if (!upload.write(chunk)) await once(upload, 'drain')
      }
      upload.end()
    })()
    await settled(() => written)
    expect(written).toBeLessThan(size / 2)
    await expect.poll(() => hold).toBeDefined()
    hold?.()
    await uploading
    const [response] = await answer
    response.resume()
    await once(response, 'end')
    expect(received).toBe(size)
    expect(process.memoryUsage.rss() - rss).toBeLessThan(80 * 1024 * 1024)
  })

  test('content comes through as it is made', async () => {
    const gzip = createGzip()
    await using upstream = await httpUpstream((_incoming, outgoing) => {
      outgoing.writeHead(200, { 'Content-Encoding': 'gzip' })
      gzip.pipe(outgoing)
    })
    await using test_ = await proxyTo(upstream.origin)
    gzip.write('first')
    gzip.flush()
    const answer = await fetch(test_.url)
    const reader = answer.body?.getReader()
    expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toBe('first')
    gzip.end('second')
    expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toBe('second')
  })
})

/** Waits until a number stays the same over many turns of the loop and some time. */
async function settled(value: () => number): Promise<void> {
  let last = -1
  let since = performance.now()
  while (performance.now() - since < 150) {
    await turn()
    if (value() !== last || last === 0) {
      last = value()
      since = performance.now()
    }
  }
}
