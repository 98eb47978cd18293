import { once } from 'node:events'
import { connect } from 'node:net'

import { describe, expect, test } from 'vitest'

import { rawUpstream, readAll } from './harness.ts'
import { ask, proxyTo, recorder } from './recorder.ts'

const GET = 'GET /x HTTP/1.1\r\nHost: h\r\n\r\n'

interface Answer {
  /** Every byte of the upstream's answer. */
  readonly bytes: string
  readonly status: number
  /** What the client gets as content; default none is looked at. */
  readonly content?: string
  /** What stands in the client's head. */
  readonly has?: RegExp
  readonly lacks?: RegExp
}

const ok = (fields: string, content = 'ok'): string => `HTTP/1.1 200 OK\r\n${fields}\r\n${content}`

function table(cases: Readonly<Record<string, Answer>>): void {
  test.concurrent.each(Object.entries(cases))('%s', async (_name, one) => {
    await using upstream = await recorder((request) =>
      request.includes('/probe') ? ok('Content-Length: 2\r\n') : one.bytes,
    )
    await using gateway = await proxyTo(upstream.origin)
    const { statuses, text, after } = await ask(gateway.gateway.port, GET)
    expect(statuses).toEqual([one.status])
    const head = text.slice(0, text.indexOf('\r\n\r\n') + 2)
    if (one.has !== undefined) expect(head).toMatch(one.has)
    if (one.lacks !== undefined) expect(head).not.toMatch(one.lacks)
    if (one.content !== undefined) expect(text.slice(head.length + 2)).toBe(one.content)
    expect(after).toBe('open')
  })
}

describe('an answer that no client may see is a 502', () => {
  const bad = (bytes: string): Answer => ({ bytes, status: 502, lacks: /evil/ })
  table({
    'a bare CR in a value': bad(ok('X: a\rSet-Cookie: evil\r\nContent-Length: 2\r\n')),
    'a NUL in a value': bad(ok('X: a\0evil\r\nContent-Length: 2\r\n')),
    'a NUL in a name': bad(ok('X\0: evil\r\nContent-Length: 2\r\n')),
    'a space in a name': bad(ok('X Y: evil\r\nContent-Length: 2\r\n')),
    'a folded value': bad(ok('X: a\r\n evil\r\nContent-Length: 2\r\n')),
    'a line without a colon': bad(ok('evil\r\nContent-Length: 2\r\n')),
    'lines that end in a bare LF': bad('HTTP/1.1 200 OK\nContent-Length: 2\n\nok'),
    'Content-Length and chunked': bad(ok('Content-Length: 2\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n')),
    'two lengths': bad(ok('Content-Length: 2\r\nContent-Length: 3\r\n')),
    'a list of lengths': bad(ok('Content-Length: 2, 2\r\n')),
    'a length with a sign': bad(ok('Content-Length: +2\r\n')),
    'a length that is none': bad(ok('Content-Length: two\r\n')),
    'a status of two digits': bad('HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n'),
    'a status of four digits': bad('HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n'),
    'a 100 that nobody asked for: undici takes it for the end of sense, though RFC 9110 section 15.2 wants it passed over':
      bad(`HTTP/1.1 100 Continue\r\n\r\n${ok('Content-Length: 2\r\n')}`),
    'another protocol': bad('ICY 200 OK\r\nContent-Length: 0\r\n\r\n'),
    'no status line': bad('evil\r\n\r\n'),
    'a 101 that nobody asked for': bad(
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n',
    ),
  })
})

describe('an answer reaches the client', () => {
  table({
    'chunked and whole at once, with a length in place of chunks': {
      bytes: ok('Transfer-Encoding: chunked\r\n', '2\r\nok\r\n1\r\n!\r\n0\r\n\r\n'),
      status: 200,
      has: /\r\nTransfer-Encoding: chunked\r\n|\r\nContent-Length: 3\r\n/,
    },
    'with no content and no length: it has length 0': {
      bytes: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      status: 200,
      has: /\r\nContent-Length: 0\r\n/,
      content: '',
    },
    'with one field a Set-Cookie each, in their order': {
      bytes: ok('Set-Cookie: a=1\r\nX: y\r\nset-cookie: b=2, c\r\nContent-Length: 2\r\n'),
      status: 200,
      has: /\r\nSet-Cookie: a=1\r\nX: y\r\nset-cookie: b=2, c\r\n/,
      content: 'ok',
    },
    'without what Connection names, in any case and spacing': {
      bytes: ok('X-Hop: 1\r\nConnection: x-HOP , keep-alive,x-b\r\nX-B: 2\r\nContent-Length: 2\r\n'),
      status: 200,
      lacks: /x-hop|x-b/i,
      content: 'ok',
    },
    'with its length, whatever Connection names': {
      bytes: ok('Connection: content-length\r\nContent-Length: 2\r\n'),
      status: 200,
      has: /\r\nContent-Length: 2\r\n/,
      content: 'ok',
    },
    'with bytes from 0x80 on as they came': {
      bytes: ok('X: \xc3\xa9\r\nContent-Length: 2\r\n', '\xff\x00'),
      status: 200,
      has: /\r\nX: \xc3\xa9\r\n/,
      content: '\xff\x00',
    },
    'with an empty reason': { bytes: 'HTTP/1.1 299 \r\nContent-Length: 0\r\n\r\n', status: 299, content: '' },
    'of a version that is none: undici does not look at it, and it changes nothing': {
      bytes: 'HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok',
      status: 200,
      has: /^HTTP\/1\.1 200 /,
      content: 'ok',
    },
    'after several 103, which are sent on': {
      bytes: `HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n${ok('Content-Length: 2\r\n')}`,
      status: 200,
      has: /^HTTP\/1\.1 103 Early Hints\r\n/,
    },
    'of HTTP/1.0, on a connection that goes on': {
      bytes: 'HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok',
      status: 200,
      has: /^HTTP\/1\.1 200 /,
      content: 'ok',
    },
    'of a status that nobody knows': { bytes: 'HTTP/1.1 799 X\r\nContent-Length: 0\r\n\r\n', status: 799 },
    'in gzip as it came': {
      bytes: ok('Content-Encoding: gzip\r\nContent-Length: 2\r\n', '\x1f\x8b'),
      status: 200,
      content: '\x1f\x8b',
    },
    'of 20 KB of fields': {
      bytes: ok(`X: ${'a'.repeat(20_000)}\r\nContent-Length: 2\r\n`),
      status: 200,
      content: 'ok',
    },
  })

  test('in one piece or in many, the client reads the same', async () => {
    const content = 'x'.repeat(40_000)
    const whole = ok(`Content-Length: ${content.length}\r\nX: y\r\n`, content)
    for (const size of [1, 7, 64, 1_000, whole.length]) {
      // Bytes of the head one by one are enough; the rest goes in pieces of a thousand.
      const pieces: string[] = []
      for (let at = 0; at < whole.length; at += at < 200 ? size : 1_000)
        pieces.push(whole.slice(at, at + (at < 200 ? size : 1_000)))
      await using upstream = await rawUpstream((socket, received) => {
        if (!received.endsWith('\r\n\r\n')) return
        if (received.includes('/probe')) socket.write(ok('Content-Length: 2\r\n'))
        const next = (): void => {
          const piece = pieces.shift()
          if (piece !== undefined) socket.write(piece, 'latin1', () => setImmediate(next))
        }
        next()
      })
      await using gateway = await proxyTo(upstream.origin)
      const { text } = await ask(gateway.gateway.port, GET)
      expect(text.slice(text.indexOf('\r\n\r\n') + 4)).toBe(content)
    }
  })
})

describe('bytes behind an answer never reach anybody', () => {
  const evil = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX-Evil: 1\r\n\r\nevil'
  test.each([
    ['a sized one', ok('Content-Length: 2\r\n')],
    ['a chunked one', ok('Transfer-Encoding: chunked\r\n', '2\r\nok\r\n0\r\n\r\n')],
    ['a 204', 'HTTP/1.1 204 No Content\r\n\r\n'],
    ['a 304', 'HTTP/1.1 304 Not Modified\r\n\r\n'],
    ['one without content', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'],
  ])('%s', async (_name, answer) => {
    await using upstream = await recorder((request) =>
      request.includes('/poison') ? answer + evil : ok('Content-Length: 4\r\n', 'good'),
    )
    await using gateway = await proxyTo(upstream.origin)
    const poison = await ask(gateway.gateway.port, 'GET /poison HTTP/1.1\r\nHost: h\r\n\r\n')
    expect(poison.text).not.toContain('evil')
    for (let i = 0; i < 3; i++) expect((await ask(gateway.gateway.port, GET)).text).toMatch(/good$/)
  })

  test('that come late, while the connection is idle', async () => {
    await using upstream = await recorder((_request, socket) => {
      setImmediate(() => setImmediate(() => socket.write(evil)))
      return ok('Content-Length: 4\r\n', 'good')
    })
    await using gateway = await proxyTo(upstream.origin)
    for (let i = 0; i < 5; i++) {
      const { text } = await ask(gateway.gateway.port, GET)
      expect(text).toMatch(/good$/)
      expect(text).not.toContain('evil')
    }
  })
})

describe('HEAD', () => {
  test.each([
    ['with a length', 'HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n', /Content-Length: 7/],
    ['with chunks that never come', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', /200 OK/],
    ['without either', 'HTTP/1.1 200 OK\r\nX: y\r\n\r\n', /X: y/],
  ])('%s has no content, and the connection goes on', async (_name, answer, has) => {
    await using upstream = await recorder((request) =>
      request.startsWith('HEAD') ? answer : ok('Content-Length: 2\r\n'),
    )
    await using gateway = await proxyTo(upstream.origin)
    const { statuses, text, after } = await ask(gateway.gateway.port, GET.replace('GET', 'HEAD'), {
      head: true,
    })
    expect(statuses).toEqual([200])
    expect(text).toMatch(has)
    expect(text).not.toMatch(/Content-Length: 0/)
    expect(text.endsWith('\r\n\r\n')).toBe(true)
    expect(after).toBe('open')
  })
})

test('trailers go to a client that says it takes them, behind chunks that stay chunks', async () => {
  await using upstream = await recorder(() =>
    ok('Trailer: X-Sum\r\nTransfer-Encoding: chunked\r\n', '2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n'),
  )
  await using gateway = await proxyTo(upstream.origin)
  const { text } = await ask(gateway.gateway.port, GET.replace('\r\n\r\n', '\r\nTE: trailers\r\n\r\n'))
  expect(text).toMatch(/\r\nTrailer: X-Sum\r\n[^]*\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n$/)
  expect(upstream.requests[0]).toContain('\r\nTE: trailers\r\n')
})

test('content that ends with the connection is whole, and the client’s connection goes on', async () => {
  await using upstream = await rawUpstream((socket, received) => {
    if (!received.endsWith('\r\n\r\n')) return
    socket.write('HTTP/1.1 200 OK\r\n\r\nuntil ')
    setImmediate(() => socket.end('the end'))
  })
  await using gateway = await proxyTo(upstream.origin)
  const { statuses, text, after } = await ask(gateway.gateway.port, GET)
  expect(statuses).toEqual([200])
  expect(text.replaceAll(/\r\n[0-9a-f]+\r\n/g, '')).toMatch(/until the end/)
  expect(after).toBe('open')
})

test('a cut answer whose first bytes are there is cut for the client too, with the upstream’s status', async () => {
  await using upstream = await rawUpstream((socket, received) => {
    if (received.endsWith('\r\n\r\n')) socket.end('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf')
  })
  await using gateway = await proxyTo(upstream.origin)
  const socket = connect(gateway.gateway.port, '127.0.0.1')
  await once(socket, 'connect')
  const text = readAll(socket)
  socket.write(GET)
  expect(await text).not.toMatch(/Content-Length: 4|\r\n0\r\n\r\n$/)
  await expect.poll(() => gateway.records).toMatchObject([{ status: 200, aborted: true }])
})

describe('an answer before the content was read', () => {
  const REFUSAL = 'HTTP/1.1 413 Payload Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno'
  const post = 'POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n'

  test('reaches the client at once, whatever of the content is still to come', async () => {
    await using upstream = await rawUpstream((socket) => socket.end(REFUSAL))
    await using gateway = await proxyTo(upstream.origin)
    const socket = connect(gateway.gateway.port, '127.0.0.1')
    const text = readAll(socket)
    socket.write(`${post}a`)
    expect(await text).toMatch(/^HTTP\/1\.1 413 /)
  })

  test('waits for the first byte of the content, because undici sends the head together with it', async () => {
    await using upstream = await rawUpstream((socket) => socket.end(REFUSAL))
    await using gateway = await proxyTo(upstream.origin)
    const socket = connect(gateway.gateway.port, '127.0.0.1')
    let answer = ''
    socket.on('data', (chunk: Buffer) => (answer += chunk.toString('latin1'))).write(post)
    // A whole exchange on another connection: what was to be sent on this one has been.
    expect((await ask(gateway.gateway.port, GET)).statuses).toEqual([413])
    expect(upstream.received.join('')).not.toContain('POST')
    expect(answer).toBe('')
    socket.write('a')
    await expect.poll(() => answer).toMatch(/^HTTP\/1\.1 413 /)
    socket.destroy()
  })
})
