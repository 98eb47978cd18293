import { once } from 'node:events'
import { request, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import { connect as connectHttp2 } from 'node:http2'
import { brotliDecompressSync, createGunzip, gunzipSync } from 'node:zlib'

import fc from 'fast-check'
import { expect, test } from 'vitest'

import { preferredEncoding } from '../../src/gateway/accept-encoding.ts'
import { silentLogger } from '../../src/core/log.ts'
import { openProtection } from '../../src/gateway/protection/protection.ts'
import { Origins } from '../../src/upstreams/origins.ts'
import { openUpstream } from '../../src/upstreams/upstream.ts'
import { httpUpstream, openTest, type TestGateway } from './harness.ts'

const TEXT = 'All work and no play makes Jack a dull boy. '.repeat(200)

async function openCompressed(answer: (outgoing: ServerResponse) => unknown): Promise<TestGateway> {
  const protected_ = await openProtection({ compress: true })
  return openTest(
    protected_.protect({
      handle(incoming, outgoing) {
        return new Promise((resolve) => {
          outgoing.on('close', resolve)
          incoming.resume()
          answer(outgoing)
        })
      },
    }),
    { mode: 'serve' },
  )
}

interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly raw: readonly string[]
  readonly body: Buffer
}

function ask(url: string, headers: Record<string, string>, method = 'GET'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method, headers }, (incoming) => {
      const chunks: Buffer[] = []
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', reject)
      incoming.on('end', () =>
        resolve({
          status: incoming.statusCode ?? 0,
          headers: incoming.headers,
          raw: incoming.rawHeaders,
          body: Buffer.concat(chunks),
        }),
      )
    })
    sent.on('error', reject).end()
  })
}

const HTML = [
  'Content-Type',
  'text/html',
  'ETag',
  '"v1"',
  'Accept-Ranges',
  'bytes',
  'Set-Cookie',
  'a=1',
  'Set-Cookie',
  'b=2',
]
const whole =
  (fields: readonly string[] = HTML, status = 200) =>
  (outgoing: ServerResponse) => {
    outgoing.writeHead(status, 'Fine', [...fields, 'Content-Length', String(TEXT.length)])
    outgoing.end(TEXT)
  }

test.each([
  ['br', 'br', brotliDecompressSync],
  ['gzip, deflate, br', 'br', brotliDecompressSync],
  ['gzip', 'gzip', gunzipSync],
  ['br;q=0.5, gzip', 'gzip', gunzipSync],
  ['*', 'br', brotliDecompressSync],
])('for Accept-Encoding: %s compresses with %s', async (accepted, encoding, decode) => {
  await using gateway = await openCompressed(whole())
  const answer = await ask(gateway.url, { 'Accept-Encoding': accepted })
  expect(answer.headers).toMatchObject({
    'content-encoding': encoding,
    vary: 'Accept-Encoding',
    etag: 'W/"v1"',
  })
  expect(answer.headers['content-length']).toBeUndefined()
  expect(answer.headers['accept-ranges']).toBeUndefined()
  expect(answer.headers['set-cookie']).toEqual(['a=1', 'b=2'])
  expect(answer.raw.filter((name) => name === 'Set-Cookie')).toHaveLength(2)
  expect(answer.body.length).toBeLessThan(TEXT.length / 10)
  expect(decode(answer.body).toString()).toBe(TEXT)
  await expect.poll(() => gateway.records.at(-1)?.bytes).toBe(answer.body.length)
})

test.each([
  ['nothing that is understood', { 'Accept-Encoding': 'zstd, deflate, gzip;q=0' }, HTML, 'Accept-Encoding'],
  ['no field', {}, HTML, 'Accept-Encoding'],
  ['a type that does not shrink', { 'Accept-Encoding': 'br' }, ['Content-Type', 'image/png'], undefined],
  ['no type', { 'Accept-Encoding': 'br' }, [], undefined],
  ['what is encoded already', { 'Accept-Encoding': 'br' }, [...HTML, 'Content-Encoding', 'gzip'], undefined],
  [
    'no-transform',
    { 'Accept-Encoding': 'br' },
    [...HTML, 'Cache-Control', 'public, no-transform'],
    undefined,
  ],
  ['a digest of it', { 'Accept-Encoding': 'br' }, [...HTML, 'Content-Digest', 'sha-256=:x:'], undefined],
])('leaves the answer as it is for %s', async (_reason, headers, fields, vary) => {
  await using gateway = await openCompressed(whole(fields))
  const answer = await ask(gateway.url, headers)
  expect(answer.body.toString()).toBe(TEXT)
  expect(answer.headers['content-length']).toBe(String(TEXT.length))
  expect(answer.headers.vary).toBe(vary)
  if (fields.includes('ETag')) expect(answer.headers.etag).toBe('"v1"')
})

test.each([
  ['a part', 206, ['Content-Range', 'bytes 0-8799/9000']],
  ['an answer without content', 204, []],
])('leaves %s as it is', async (_what, status, fields) => {
  await using gateway = await openCompressed((outgoing) => {
    outgoing.writeHead(status, [...HTML, ...fields])
    outgoing.end(status === 204 ? undefined : TEXT)
  })
  const answer = await ask(gateway.url, { 'Accept-Encoding': 'br' })
  expect([answer.status, answer.headers['content-encoding'], answer.headers.etag]).toEqual([
    status,
    undefined,
    '"v1"',
  ])
})

test('what is smaller than 1 kB is not worth it, whether its length is announced or seen at its end', async () => {
  const short = 'x'.repeat(1_000)
  for (const fields of [['Content-Length', '1000'], []]) {
    await using gateway = await openCompressed((outgoing) => {
      for (let i = 0; i < fields.length; i += 2) outgoing.setHeader(fields[i] ?? '', fields[i + 1] ?? '')
      outgoing.setHeader('Content-Type', 'text/plain')
      outgoing.end(short)
    })
    const answer = await ask(gateway.url, { 'Accept-Encoding': 'br' })
    expect([answer.headers['content-encoding'], answer.headers['content-length']]).toEqual([
      undefined,
      '1000',
    ])
  }
})

test('a whole answer that is written with its end is compressed', async () => {
  await using gateway = await openCompressed((outgoing) => {
    outgoing.setHeader('Content-Type', 'application/json')
    outgoing.end(TEXT, 'latin1', () => undefined)
  })
  const answer = await ask(gateway.url, { 'Accept-Encoding': 'gzip' })
  expect(gunzipSync(answer.body).toString()).toBe(TEXT)
})

test('each piece of a stream leaves as soon as it was written', async () => {
  let outgoing_: ServerResponse | undefined
  await using gateway = await openCompressed((outgoing) => {
    outgoing_ = outgoing
    outgoing.writeHead(200, { 'Content-Type': 'text/event-stream' })
    outgoing.write('data: one\n\n')
  })
  const socket = await gateway.connect()
  socket.write('GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n')
  const pieces: string[] = []
  const gunzip = createGunzip().on('data', (chunk: Buffer) => pieces.push(chunk.toString()))
  let head = ''
  socket.on('data', (chunk: Buffer) => {
    const text = chunk.toString('latin1')
    const start = head.includes('\r\n\r\n') ? 0 : text.indexOf('\r\n\r\n') + 4
    head += text.slice(0, start)
    // Chunks of the transfer coding, each in one piece here.
    for (const [, data] of text.slice(start).matchAll(/[0-9a-f]+\r\n([^]*?)\r\n(?=[0-9a-f]+\r\n|$)/g))
      gunzip.write(Buffer.from(data ?? '', 'latin1'))
  })
  await expect.poll(() => pieces.join('')).toBe('data: one\n\n')
  outgoing_?.write('data: two\n\n')
  await expect.poll(() => pieces.join('')).toBe('data: one\n\ndata: two\n\n')
  outgoing_?.end()
  await once(socket, 'close')
})

test('a slow reader slows the writer down', async () => {
  let refused = 0
  const noise = () =>
    Buffer.from(Array.from({ length: 64 * 1024 }, () => 32 + Math.floor(Math.random() * 90)))
  await using gateway = await openCompressed((outgoing) => {
    outgoing.writeHead(200, { 'Content-Type': 'text/plain' })
    let left = 200
    const more = (): void => {
      while (left-- > 0) {
        if (!outgoing.write(noise())) {
          refused++
          outgoing.once('drain', more)
          return
        }
      }
      outgoing.end()
    }
    more()
  })
  const { body } = await ask(gateway.url, { 'Accept-Encoding': 'gzip' })
  expect(gunzipSync(body)).toHaveLength(200 * 64 * 1024)
  expect(refused).toBeGreaterThan(50)
})

test('HEAD says what GET would, and sends nothing', async () => {
  await using gateway = await openCompressed(whole())
  const answer = await ask(gateway.url, { 'Accept-Encoding': 'br' }, 'HEAD')
  expect(answer.headers).toMatchObject({ 'content-encoding': 'br', etag: 'W/"v1"', vary: 'Accept-Encoding' })
  expect(answer.headers['content-length']).toBeUndefined()
  expect(answer.body).toHaveLength(0)
})

test('304 confirms the validator that the client was given', async () => {
  await using gateway = await openCompressed((outgoing) => {
    outgoing.writeHead(304, ['ETag', '"v1"'])
    outgoing.end()
  })
  const held = await ask(gateway.url, { 'If-None-Match': 'W/"v1"' })
  expect([held.status, held.headers.etag, held.headers.vary]).toEqual([304, 'W/"v1"', 'Accept-Encoding'])
  const plain = await ask(gateway.url, { 'If-None-Match': '"v1"' })
  expect([plain.status, plain.headers.etag]).toEqual([304, '"v1"'])
})

test('an answer that breaks off is cut, not finished', async () => {
  await using gateway = await openCompressed((outgoing) => {
    outgoing.writeHead(200, { 'Content-Type': 'text/plain' })
    outgoing.write(TEXT, () => outgoing.destroy())
  })
  await expect(ask(gateway.url, { 'Accept-Encoding': 'gzip' })).rejects.toThrow(/aborted|hang up/)
})

test('works over HTTP/2', async () => {
  await using gateway = await openCompressed(whole())
  const session = connectHttp2(gateway.url)
  const stream = session.request({ ':path': '/', 'accept-encoding': 'br' })
  const chunks: Buffer[] = []
  stream.on('data', (chunk: Buffer) => chunks.push(chunk))
  const [headers] = (await once(stream, 'response')) as [IncomingHttpHeaders]
  await once(stream, 'end')
  session.close()
  expect(headers).toMatchObject({ 'content-encoding': 'br', etag: 'W/"v1"', 'set-cookie': ['a=1', 'b=2'] })
  expect(brotliDecompressSync(Buffer.concat(chunks)).toString()).toBe(TEXT)
})

test('what an upstream sends is compressed, and its Vary kept', async () => {
  await using upstream = await httpUpstream((_incoming, outgoing) => {
    outgoing.writeHead(200, { 'Content-Type': 'application/json', Vary: 'Origin' })
    outgoing.write(TEXT.slice(0, 100))
    outgoing.end(TEXT.slice(100))
  })
  await using origins = new Origins()
  await using fetcher = await openUpstream([{ url: upstream.origin }], undefined, {
    log: silentLogger,
    origins,
  })
  const protected_ = await openProtection({ compress: true })
  await using gateway = await openTest(protected_.protect(fetcher))
  const answer = await ask(gateway.url, { 'Accept-Encoding': 'br' })
  expect(answer.headers).toMatchObject({ 'content-encoding': 'br', vary: 'Origin, Accept-Encoding' })
  expect(brotliDecompressSync(answer.body).toString()).toBe(TEXT)
})

test.each([
  [undefined, undefined],
  ['', undefined],
  ['gzip', 'gzip'],
  ['GZip', 'gzip'],
  ['x-gzip', 'gzip'],
  ['br, gzip', 'br'],
  ['gzip, br', 'br'],
  ['gzip;q=1, br;q=0.9', 'gzip'],
  ['gzip; Q=0.1 , br ; q=0', 'gzip'],
  ['*;q=0.1, br;q=0', 'gzip'],
  ['identity, br;q=0.5', undefined],
  ['identity, br', 'br'],
  ['br;q=2', undefined],
  ['br;q=x', undefined],
  ['*;q=0', undefined],
])('Accept-Encoding: %s prefers %s', (header, expected) => {
  expect(preferredEncoding(header, ['br', 'gzip'])).toBe(expected)
})

test('any Accept-Encoding is read, and nothing is answered that it forbids', () => {
  const names = fc.constantFrom('br', 'gzip', '*', 'identity', 'zstd', 'x')
  const weights = fc.constantFrom('', ';q=0', ';q=0.5', ';q=1', ';q=', ';x=1;q=0.000')
  const header = fc.array(fc.tuple(names, weights), { maxLength: 5 })
  fc.assert(
    fc.property(header, (parts) => {
      const chosen = preferredEncoding(parts.map((part) => part.join('')).join(', '), ['br', 'gzip'])
      const last = parts.findLast(([name]) => name === chosen) ?? parts.findLast(([name]) => name === '*')
      expect(chosen === undefined ? '' : last?.[1]).not.toMatch(/q=0(\.0+)?$/)
    }),
  )
})
