import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { connect as connectHttp2 } from 'node:http2'

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import type { Fetcher } from '../../src/core/fetcher.ts'
import { silentLogger } from '../../src/core/log.ts'
import type { RouteProtection } from '../../src/core/route.ts'
import { openProtection } from '../../src/gateway/protection/protection.ts'
import { openRateLimiter } from '../../src/gateway/protection/rate-limit.ts'
import { client } from '../../src/gateway/protection/request-key.ts'
import { Origins } from '../../src/upstreams/origins.ts'
import { openUpstream } from '../../src/upstreams/upstream.ts'
import { httpUpstream, openTest, readAll, text, type TestGateway } from './harness.ts'

async function openBehind(
  protection: RouteProtection,
  fetcher: Fetcher = text('fine'),
): Promise<TestGateway> {
  const protected_ = await openProtection(protection)
  return openTest(protected_.protect(fetcher), { mode: 'serve' })
}

/** Counts what it reads of a request, as it comes. */
function reader(): Fetcher & { readonly pieces: string[]; readonly ends: string[] } {
  const pieces: string[] = []
  const ends: string[] = []
  return {
    pieces,
    ends,
    handle(incoming: IncomingMessage, outgoing) {
      return new Promise((resolve) => {
        outgoing.on('close', resolve)
        incoming.on('data', (chunk: Buffer) => pieces.push(chunk.toString()))
        incoming.on('end', () => {
          ends.push('end')
          outgoing.end(`read ${pieces.join('').length}`)
        })
        incoming.on('close', () => ends.push('close'))
      })
    },
  }
}

const get = (fields: string, target = '/') =>
  `GET ${target} HTTP/1.1\r\nHost: a\r\n${fields}Connection: close\r\n\r\n`
const statusOf = (answer: string) => Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1])

describe('addresses', () => {
  test.each([
    [{ allow: ['127.0.0.0/8'] }, 200],
    [{ allow: ['10.0.0.0/8', '::1'] }, 403],
    [{ deny: ['127.0.0.1'] }, 403],
    [{ deny: ['10.0.0.0/8'] }, 200],
    [{ allow: ['127.0.0.0/8'], deny: ['127.0.0.1'] }, 403],
  ])('%j answers %i', async (protection, status) => {
    await using gateway = await openBehind(protection)
    const answer = await gateway.raw(get(''))
    expect(statusOf(answer)).toBe(status)
    if (status === 403) expect(answer).toContain('"code":"FLEXI_FORBIDDEN"')
  })
})

describe('fields', () => {
  test('count by the bytes of names and values', async () => {
    await using gateway = await openBehind({ fieldBytesMax: 60 })
    expect(statusOf(await gateway.raw(get('X-A: 1\r\n')))).toBe(200)
    const answer = await gateway.raw(get(`X-A: ${'x'.repeat(60)}\r\n`))
    expect(statusOf(answer)).toBe(431)
    expect(answer).toContain('FLEXI_FIELDS_TOO_LARGE')
  })
})

describe('content', () => {
  const post = (fields: string, body: string) =>
    `POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${fields}\r\n${body}`

  test('that is announced as too large is refused before a byte of it is read', async () => {
    const fetcher = reader()
    await using gateway = await openBehind({ bodyBytesMax: 4 }, fetcher)
    expect(await gateway.raw(post('Content-Length: 4\r\n', 'abcd'))).toContain('read 4')
    const answer = await gateway.raw(post('Content-Length: 5\r\n', 'abcde'))
    expect(statusOf(answer)).toBe(413)
    expect(answer).toContain('"detail":"the content is larger than the 4 bytes it may have"')
    expect(fetcher.pieces).toEqual(['abcd'])
  })

  test('of unknown length is refused when it is too large, and nobody takes its beginning for the whole', async () => {
    const fetcher = reader()
    await using gateway = await openBehind({ bodyBytesMax: 4 }, fetcher)
    const chunked = 'Transfer-Encoding: chunked\r\n'
    expect(await gateway.raw(post(chunked, '4\r\nabcd\r\n0\r\n\r\n'))).toContain('read 4')
    fetcher.ends.length = 0
    expect(statusOf(await gateway.raw(post(chunked, '2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n')))).toBe(413)
    await expect.poll(() => fetcher.ends).toEqual(['close'])
    expect(fetcher.pieces.join('')).toBe('abcdab')
  })

  test('is streamed while it is counted', async () => {
    const fetcher = reader()
    await using gateway = await openBehind({ bodyBytesMax: 100 }, fetcher)
    const socket = await gateway.connect()
    socket.write('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n')
    await expect.poll(() => fetcher.pieces).toEqual(['ab'])
    socket.write('2\r\ncd\r\n')
    await expect.poll(() => fetcher.pieces).toEqual(['ab', 'cd'])
    socket.write(`60\r\n${'x'.repeat(96)}\r\n`)
    await expect.poll(() => fetcher.pieces.join('')).toHaveLength(100)
    socket.write('1\r\ny\r\n')
    const [answer] = (await once(socket, 'data')) as [Buffer]
    expect(statusOf(answer.toString())).toBe(413)
    socket.write('0\r\n\r\n')
    await expect.poll(() => fetcher.ends).toEqual(['close'])
    socket.destroy()
  })

  test('that is refused is not asked for with 100 Continue, and that which is taken is', async () => {
    const fetcher = reader()
    await using gateway = await openBehind({ bodyBytesMax: 4 }, fetcher)
    const refused = await gateway.connect()
    refused.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n')
    const answer = await readAll(refused)
    expect(answer).toMatch(/^HTTP\/1\.1 413 /)
    expect(answer).toMatch(/\r\nConnection: close\r\n/)
    const taken = await gateway.connect()
    taken.write(
      'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n',
    )
    const [first] = (await once(taken, 'data')) as [Buffer]
    expect(first.toString()).toBe('HTTP/1.1 100 Continue\r\n\r\n')
    taken.write('abcd')
    expect(await readAll(taken)).toContain('read 4')
  })
})

test('content of an HTTP/2 request is counted as well', async () => {
  const fetcher = reader()
  await using gateway = await openBehind({ bodyBytesMax: 4 }, fetcher)
  const session = connectHttp2(gateway.url)
  const send = async (pieces: readonly string[]): Promise<unknown> => {
    const stream = session.request({ ':method': 'POST', ':path': '/' })
    stream.on('error', () => undefined)
    for (const piece of pieces) stream.write(piece)
    stream.end()
    const [headers] = (await once(stream, 'response')) as [Record<string, unknown>]
    stream.resume()
    await once(stream, 'close')
    return headers[':status']
  }
  expect(await send(['ab', 'cd'])).toBe(200)
  fetcher.ends.length = 0
  expect(await send(['ab', 'cde', 'f'])).toBe(413)
  await expect.poll(() => fetcher.ends).toEqual(['close'])
  expect(await send(['ab'])).toBe(200)
  session.close()
})

test('an upstream is let go of when content turns out to be too large, and is not blamed for it', async () => {
  const log = { received: 0, aborted: 0 }
  await using upstream = await httpUpstream((incoming, outgoing) => {
    incoming.on('data', (chunk: Buffer) => (log.received += chunk.length))
    incoming.on('aborted', () => log.aborted++)
    incoming.on('end', () => outgoing.end('fine'))
  })
  await using origins = new Origins()
  const settings = { eject: { fails: 1, forMs: 60_000 } }
  await using fetcher = await openUpstream([{ url: upstream.origin }], settings, {
    log: silentLogger,
    origins,
  })
  await using gateway = await openBehind({ bodyBytesMax: 10 }, fetcher)
  const socket = await gateway.connect()
  socket.write('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n')
  await expect.poll(() => log.received).toBe(5)
  socket.write('6\r\nfghijk\r\n')
  const [answer] = (await once(socket, 'data')) as [Buffer]
  expect(statusOf(answer.toString())).toBe(413)
  await expect.poll(() => log.aborted).toBe(1)
  expect(log.received).toBe(5)
  socket.destroy()
  expect(fetcher.states?.().map(({ circuit }) => circuit)).toEqual(['closed'])
  expect(await gateway.raw(get(''))).toMatch(/^HTTP\/1\.1 200 [^]*fine/)
})

describe('rate', () => {
  const rate = (requests: number, perMs: number, burst?: number) => ({
    rate: { requests, perMs, burst, key: { kind: 'address' as const } },
  })

  test('answers 429 with the time to wait, and counts each client for itself', async () => {
    await using gateway = await openBehind(rate(1, 60_000, 1))
    expect(statusOf(await gateway.raw(get('')))).toBe(200)
    expect(statusOf(await gateway.raw(get('')))).toBe(200)
    const answer = await gateway.raw(get(''))
    expect(statusOf(answer)).toBe(429)
    expect(answer).toMatch(/\r\nRetry-After: 60\r\n/)
    expect(answer).toMatch(/\r\nRateLimit-Policy: "default";q=1;w=60\r\n/)
    expect(answer).toMatch(/\r\nRateLimit: "default";r=0;t=60\r\n/)
    expect(answer).toMatch(/\r\nContent-Type: application\/problem\+json\r\n/)
    expect(answer).toContain('"code":"FLEXI_RATE_LIMIT"')
  })

  test.each([
    [{ kind: 'field', name: 'x-key' }, 'X-Key: one\r\n', 'X-Key: two\r\n'],
    [{ kind: 'cookie', name: 'id' }, 'Cookie: a=b; id=one\r\n', 'Cookie: id=two\r\n'],
    [{ kind: 'field', name: 'x-key' }, `X-Key: ${'a'.repeat(100)}1\r\n`, `X-Key: ${'a'.repeat(100)}2\r\n`],
  ] as const)('tells requests apart by %j', async (key, one, two) => {
    await using gateway = await openBehind({ rate: { requests: 1, perMs: 60_000, key } })
    expect(statusOf(await gateway.raw(get(one)))).toBe(200)
    expect(statusOf(await gateway.raw(get(two)))).toBe(200)
    expect(statusOf(await gateway.raw(get(one)))).toBe(429)
    // Without it, the address counts: leaving it out is no way around.
    expect(statusOf(await gateway.raw(get('')))).toBe(200)
    expect(statusOf(await gateway.raw(get('')))).toBe(429)
  })

  test('tells requests apart by path, whatever their query', async () => {
    await using gateway = await openBehind({ rate: { requests: 1, perMs: 60_000, key: { kind: 'path' } } })
    expect(statusOf(await gateway.raw(get('', '/a?1')))).toBe(200)
    expect(statusOf(await gateway.raw(get('', '/a?2')))).toBe(429)
    expect(statusOf(await gateway.raw(get('', '/b')))).toBe(200)
  })

  test('and addresses hold for a change of protocol as well', async () => {
    const upgraded: Fetcher = {
      ...text('plain'),
      upgrade(_incoming, socket, _head, context) {
        context.note({ status: 101 })
        socket.end('HTTP/1.1 101 Switching Protocols\r\n\r\n')
      },
    }
    const handshake =
      'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'
    await using limited = await openBehind(rate(1, 60_000), upgraded)
    expect(statusOf(await limited.raw(handshake))).toBe(101)
    const refused = await limited.raw(handshake)
    expect(statusOf(refused)).toBe(429)
    expect(refused).toMatch(/\r\nRetry-After: 60\r\n/)
    await using closed = await openBehind({ deny: ['127.0.0.1'] }, upgraded)
    expect(statusOf(await closed.raw(handshake))).toBe(403)
    await expect.poll(() => closed.records.at(-1)?.status).toBe(403)
  })
})

describe('the bucket', () => {
  /** nginx's: excess = max(excess - rate × elapsed, 0) + 1, refused above the burst. */
  function nginx(rate: { requests: number; perMs: number; burst: number }): (at: number) => boolean {
    let excess: number | undefined
    let last = 0
    return (at) => {
      const next =
        excess === undefined ? 0 : Math.max(excess - ((at - last) * rate.requests) / rate.perMs + 1, 0)
      if (next > rate.burst + 1e-9) return false
      excess = next
      last = at
      return true
    }
  }

  test('lets through what nginx lets through with limit_req nodelay', () => {
    const settings = fc.record({
      requests: fc.integer({ min: 1, max: 100 }),
      perMs: fc.constantFrom(1_000, 10_000, 60_000),
      burst: fc.integer({ min: 0, max: 5 }),
    })
    const gaps = fc.array(fc.integer({ min: 0, max: 2_000 }), { maxLength: 50 })
    fc.assert(
      fc.property(settings, gaps, (rate, between) => {
        let at = 0
        const limiter = openRateLimiter({ ...rate, key: { kind: 'address' } }, () => at)
        const oracle = nginx(rate)
        for (const gap of between) {
          at += gap
          let admitted = true
          try {
            limiter.admit('a')
          } catch {
            admitted = false
          }
          expect(admitted).toBe(oracle(at))
        }
      }),
    )
  })

  test('forgets the oldest of very many keys, and those that are over', () => {
    let at = 0
    const limiter = openRateLimiter({ requests: 1, perMs: 1_000, key: { kind: 'address' } }, () => at)
    limiter.admit('first')
    expect(() => limiter.admit('first')).toThrow('too many requests')
    for (let i = 0; i < 70_000; i++) limiter.admit(String(i))
    expect(() => limiter.admit('69999')).toThrow('too many requests')
    expect(() => limiter.admit('first')).not.toThrow()
    at += 1_001
    expect(() => limiter.admit('69999')).not.toThrow()
  })

  test.each([
    ['127.0.0.1', '127.0.0.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['fe80::', 'fe80:0:0:0::/64'],
    ['1:2:3::7:8', '1:2:3:0::/64'],
  ])('%s is the client %s', (address, expected) => {
    expect(client(address)).toBe(expected)
  })
})
