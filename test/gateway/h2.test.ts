import { execFile, execFileSync } from 'node:child_process'
import { once } from 'node:events'
import {
  connect,
  constants,
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from 'node:http2'
import { connect as connectTcp, type Socket } from 'node:net'
import { Readable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { promisify } from 'node:util'

import { afterEach, describe, expect, test } from 'vitest'

import type { Fetcher } from '../../src/core/fetcher.ts'
import { createDispatcher, forward } from '../../src/forward/forward.ts'
import {
  bound,
  echo,
  httpUpstream,
  openTest,
  rawUpstream,
  tableOf,
  text,
  type TestGateway,
} from './harness.ts'

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1')
const OPENING = Buffer.concat([PREFACE, frame(4, 0, 0, Buffer.alloc(0))])
const CANCEL = Buffer.from([0, 0, 0, constants.NGHTTP2_CANCEL])
const GET = [
  [':method', 'GET'],
  [':scheme', 'http'],
  [':path', '/'],
  [':authority', 'a'],
] as const
const POST = [[':method', 'POST'], ...GET.slice(1)] as const
const DATA = 0
const HEADERS = 1
const RST_STREAM = 3
const SETTINGS = 4
const GOAWAY = 7
const END_STREAM = 1
const END_HEADERS = 4

const sessions = new Set<ClientHttp2Session>()
afterEach(() => {
  for (const session of sessions) session.destroy()
  sessions.clear()
})

/** A client with prior knowledge, on the plain port. */
function clientOf(test_: TestGateway): ClientHttp2Session {
  const session = connect(test_.url)
  session.on('error', () => undefined)
  sessions.add(session)
  return session
}

interface Answer {
  readonly headers: IncomingHttpHeaders & { readonly ':status'?: number }
  readonly body: string
  readonly trailers: IncomingHttpHeaders | undefined
  readonly code: number | undefined
}

interface Sent {
  readonly headers?: OutgoingHttpHeaders
  readonly body?: string | Buffer
}

async function ask(session: ClientHttp2Session, path: string, { headers, body }: Sent = {}): Promise<Answer> {
  const stream = session.request({ ':path': path, ...headers }, { endStream: body === undefined })
  if (body !== undefined) stream.end(body)
  return read(stream)
}

async function read(stream: ClientHttp2Stream): Promise<Answer> {
  let headers: IncomingHttpHeaders = {}
  let trailers: IncomingHttpHeaders | undefined
  const chunks: Buffer[] = []
  stream.on('response', (given) => (headers = given)).on('trailers', (given) => (trailers = given))
  stream.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', () => undefined)
  await new Promise((resolve) => stream.once('close', resolve))
  return { headers, body: Buffer.concat(chunks).toString(), trailers, code: stream.rstCode }
}

function answering(handle: NonNullable<Fetcher['handle']>): Fetcher {
  return { handle }
}

describe('a request of HTTP/2', () => {
  test('whose content turns out to be none is whole, however late anybody reads it', async () => {
    const late = answering(async (incoming, outgoing) => {
      await new Promise((resolve) => setTimeout(resolve, 20))
      incoming.resume().on('end', () => outgoing.end('read'))
      await once(outgoing, 'close')
    })
    await using test_ = await openTest(late)
    const session = clientOf(test_)
    const answers = await Promise.all(
      Array.from({ length: 5 }, () => ask(session, '/', { headers: { ':method': 'POST' }, body: '' })),
    )
    expect(answers.map(({ body }) => body)).toEqual(answers.map(() => 'read'))
  })

  test('reads as one of HTTP/1.1: Host first, no pseudo fields, the rest in wire order', async () => {
    await using test_ = await openTest(echo)
    const answer = await ask(clientOf(test_), '/a%2Fb?x=1', {
      headers: { ':authority': 'a.example:1', 'x-b': '1', 'x-a': '2', accept: '*/*' },
    })
    expect(answer.headers[':status']).toBe(200)
    expect(JSON.parse(answer.body)).toMatchObject({
      host: 'a.example:1',
      url: '/a%2Fb?x=1',
      raw: {
        method: 'GET',
        target: '/a%2Fb?x=1',
        fields: ['Host', 'a.example:1', 'x-b', '1', 'x-a', '2', 'accept', '*/*'],
      },
    })
    expect(test_.records[0]).toMatchObject({
      httpVersion: '2.0',
      status: 200,
      aborted: false,
      target: '/a%2Fb?x=1',
    })
  })

  test('the crumbs of a cookie are one field, as HTTP/1.1 has it', async () => {
    await using test_ = await openTest(echo)
    const answer = await ask(clientOf(test_), '/', { headers: { cookie: ['a=1', 'b=2'] } })
    const { raw } = JSON.parse(answer.body) as { raw: { fields: string[] } }
    expect(raw.fields.slice(-2)).toEqual(['cookie', 'a=1; b=2'])
  })

  test('content without a length shows as chunked, so that it is seen to exist', async () => {
    let seen: unknown
    await using test_ = await openTest(
      answering(async (incoming, outgoing) => {
        seen = [
          incoming.headers['transfer-encoding'],
          incoming.headers['content-length'],
          incoming.rawHeaders,
        ]
        const chunks: Buffer[] = []
        for await (const chunk of incoming) chunks.push(chunk as Buffer)
        outgoing.end(Buffer.concat(chunks))
      }),
    )
    const answer = await ask(clientOf(test_), '/', { headers: { ':method': 'POST' }, body: 'abc' })
    expect(answer.body).toBe('abc')
    expect(seen).toEqual(['chunked', undefined, ['Host', expect.stringContaining('127.0.0.1')]])
  })

  test('16 MB go both ways under back-pressure', async () => {
    await using test_ = await openTest(
      answering(async (incoming, outgoing) => {
        outgoing.writeHead(200)
        incoming.pipe(outgoing)
        await finished(outgoing)
      }),
    )
    const chunk = Buffer.alloc(64 * 1024, 'x')
    const stream = clientOf(test_).request({ ':path': '/', ':method': 'POST' })
    Readable.from(Array.from({ length: 256 }, () => chunk)).pipe(stream)
    const answer = await read(stream)
    expect(answer.body.length).toBe(256 * chunk.length)
    await expect.poll(() => test_.records[0]).toMatchObject({ bytes: 256 * chunk.length, aborted: false })
  })

  test('a reader that does not read holds the sender back', async () => {
    let resume: (() => void) | undefined
    await using test_ = await openTest(
      answering(async (incoming, outgoing) => {
        await new Promise<void>((resolve) => (resume = resolve))
        incoming.resume()
        await finished(incoming)
        outgoing.end('read')
      }),
    )
    const stream = clientOf(test_).request({ ':path': '/', ':method': 'POST' })
    let sent = 0
    const chunk = Buffer.alloc(64 * 1024)
    const fill = (): void => {
      while (sent < 4 * 1024 * 1024) {
        sent += chunk.length
        if (!stream.write(chunk)) return
      }
      stream.end()
    }
    stream.on('drain', fill)
    fill()
    await expect.poll(() => resume).toBeDefined()
    await expect.poll(() => stream.writableLength).toBeGreaterThan(0)
    expect(sent).toBeLessThan(1024 * 1024)
    resume?.()
    expect((await read(stream)).body).toBe('read')
  })

  test('its trailers reach who reads them', async () => {
    let trailers: unknown
    await using test_ = await openTest(
      answering(async (incoming, outgoing) => {
        incoming.resume()
        await once(incoming, 'end')
        trailers = [incoming.trailers, incoming.rawTrailers]
        outgoing.end()
      }),
    )
    const stream = clientOf(test_).request({ ':path': '/', ':method': 'POST' }, { waitForTrailers: true })
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '6' }))
    stream.end('abc')
    await read(stream)
    expect(trailers).toEqual([{ 'x-sum': '6' }, ['x-sum', '6']])
  })

  test('asks for its content when it is read, if the client waits for that', async () => {
    await using test_ = await openTest(echo)
    const stream = clientOf(test_).request({ ':path': '/', ':method': 'POST', expect: '100-continue' })
    await once(stream, 'continue')
    stream.end('abc')
    expect((await read(stream)).body).toContain('"body":"abc"')
  })

  test('a client that leaves aborts the signal and the content, and is told from a finished one', async () => {
    const events: string[] = []
    await using test_ = await openTest(
      answering(async (incoming, outgoing, context) => {
        incoming
          .on('aborted', () => events.push('aborted'))
          .on('error', (error) => events.push(error.message))
        context.signal.addEventListener('abort', () => events.push('signal'))
        incoming.resume()
        outgoing.write('begun')
        await once(outgoing, 'close')
        events.push(`finished ${outgoing.writableFinished}`)
      }),
    )
    // Node's own client ends its content before it resets a stream.
    const socket = await test_.connect()
    socket.resume()
    socket.write(Buffer.concat([OPENING, headersFrame(POST, {})]))
    await expect.poll(() => test_.gateway.inFlight).toBe(1)
    socket.write(frame(RST_STREAM, 0, 1, CANCEL))
    await expect.poll(() => events.toSorted()).toEqual(['aborted', 'aborted', 'finished false', 'signal'])
    socket.destroy()
    expect(test_.records[0]).toMatchObject({ aborted: true, status: 200 })
  })

  test('its socket is its own: destroying it leaves the other streams alone', async () => {
    await using test_ = await openTest(
      answering(async (incoming, outgoing) => {
        if (incoming.url === '/gone') incoming.socket.destroy()
        else outgoing.end('here')
      }),
    )
    const session = clientOf(test_)
    const [gone, here] = await Promise.all([ask(session, '/gone'), ask(session, '/here')])
    expect(gone.headers[':status']).toBeUndefined()
    expect(here.body).toBe('here')
    expect(session.destroyed).toBe(false)
    await expect.poll(() => test_.records.length).toBe(2)
  })
})

describe('requests that are refused', () => {
  test.each([
    ['a fragment in the path', { ':path': '/a#b' }, 400],
    ['two different hosts', { ':authority': 'a.example', host: 'b.example' }, 400],
    ['a host with user information', { ':authority': 'u@a.example' }, 400],
    ['a scheme that is none', { ':scheme': 'gopher' }, 400],
    ['a head of 20 KB', { 'x-long': 'a'.repeat(20_000) }, 431],
  ])('%s', async (_name, headers, status) => {
    await using test_ = await openTest(text('served'))
    const answer = await ask(clientOf(test_), '/', { headers })
    expect(answer.headers[':status']).toBe(status)
    expect(answer.headers['content-type']).toBe('application/problem+json')
    expect(answer.headers).not.toHaveProperty('connection')
  })

  test('CONNECT is 405, and a WebSocket by extended CONNECT is not offered at all', async () => {
    await using test_ = await openTest(text('served'))
    const session = clientOf(test_)
    const stream = session.request({ ':method': 'CONNECT', ':authority': 'a:1' })
    expect((await read(stream)).headers[':status']).toBe(405)
    expect(session.remoteSettings.enableConnectProtocol ?? false).toBe(false)
  })

  test.each([
    [
      'an absolute path',
      [
        [':method', 'GET'],
        [':scheme', 'http'],
        [':path', 'http://a/b'],
        [':authority', 'a'],
      ],
    ],
    [
      'a space in the path',
      [
        [':method', 'GET'],
        [':scheme', 'http'],
        [':path', '/a b'],
        [':authority', 'a'],
      ],
    ],
    [
      'raw UTF-8 in the path',
      [
        [':method', 'GET'],
        [':scheme', 'http'],
        [':path', '/\xe9'],
        [':authority', 'a'],
      ],
    ],
    [
      'no path',
      [
        [':method', 'GET'],
        [':scheme', 'http'],
        [':authority', 'a'],
      ],
    ],
    [
      'an upper-case name',
      [
        [':method', 'GET'],
        [':scheme', 'http'],
        [':path', '/'],
        [':authority', 'a'],
        ['X-A', '1'],
      ],
    ],
    [
      'Connection',
      [
        [':method', 'GET'],
        [':scheme', 'http'],
        [':path', '/'],
        [':authority', 'a'],
        ['connection', 'x'],
      ],
    ],
    [
      'Transfer-Encoding',
      [
        [':method', 'GET'],
        [':scheme', 'http'],
        [':path', '/'],
        [':authority', 'a'],
        ['transfer-encoding', 'chunked'],
      ],
    ],
    [
      'pseudo fields after others',
      [
        ['x-a', 'b'],
        [':method', 'GET'],
        [':scheme', 'http'],
        [':path', '/'],
        [':authority', 'a'],
      ],
    ],
    [
      'two paths',
      [
        [':method', 'GET'],
        [':scheme', 'http'],
        [':path', '/'],
        [':path', '/b'],
        [':authority', 'a'],
      ],
    ],
  ] as const)('%s in raw frames reaches no function', async (_name, fields) => {
    let asked = 0
    await using test_ = await openTest(
      answering((_incoming, outgoing) => {
        asked++
        outgoing.end()
        return Promise.resolve()
      }),
    )
    const frames = await rawRequest(test_.gateway.port, headersFrame(fields, { endStream: true }))
    expect(frames.some(({ type, status }) => type === RST_STREAM || status === '400')).toBe(true)
    expect(asked).toBe(0)
  })

  test('a field with CR LF in its value is left out, since nghttp2 drops it and serves the rest', async () => {
    const seen: string[] = []
    await using test_ = await openTest(
      answering((_incoming, outgoing, context) => {
        seen.push(...context.raw.fields)
        outgoing.end()
        return Promise.resolve()
      }),
    )
    const fields = [...GET, ['x-a', 'b\r\nx: y'], ['x-b', '1']] as const
    await rawRequest(test_.gateway.port, headersFrame(fields, { endStream: true }))
    expect(seen).toEqual(['Host', 'a', 'x-b', '1'])
  })

  test('content that is not as long as its field says ends the request with a reset', async () => {
    let whole = false
    await using test_ = await openTest(
      answering(async (incoming, outgoing) => {
        incoming.on('end', () => (whole = true)).resume()
        await once(incoming, 'close')
        outgoing.end('read')
      }),
    )
    const fields = [
      [':method', 'POST'],
      [':scheme', 'http'],
      [':path', '/'],
      [':authority', 'a'],
      ['content-length', '5'],
    ] as const
    const frames = await rawRequest(
      test_.gateway.port,
      Buffer.concat([headersFrame(fields, {}), frame(DATA, END_STREAM, 1, Buffer.from('ab'))]),
    )
    expect(frames.map(({ type }) => type)).toContain(RST_STREAM)
    expect(whole).toBe(false)
  })
})

describe('an answer over HTTP/2', () => {
  test('fields of the connection are left out, others keep their number', async () => {
    await using test_ = await openTest(
      answering((_incoming, outgoing) => {
        const fields = [
          'Connection',
          'close',
          'Keep-Alive',
          'x',
          'Transfer-Encoding',
          'chunked',
          'Set-Cookie',
          'a=1',
        ]
        outgoing.writeHead(200, 'A Phrase', [...fields, 'Set-Cookie', 'b=2', 'X-A', '1', 'x-a', '2'])
        outgoing.end('x')
        return Promise.resolve()
      }),
    )
    const { headers } = await ask(clientOf(test_), '/')
    expect(headers).toMatchObject({ ':status': 200, 'set-cookie': ['a=1', 'b=2'], 'x-a': '1, 2' })
    for (const name of ['connection', 'keep-alive', 'transfer-encoding'])
      expect(headers).not.toHaveProperty(name)
  })

  test('fields that were set stand under those of the head', async () => {
    await using test_ = await openTest(
      answering((_incoming, outgoing) => {
        outgoing.setHeader('X-A', 'set')
        outgoing.setHeader('X-B', ['1', '2'])
        outgoing.writeHead(201, { 'x-a': 'given' })
        expect(() => outgoing.setHeader('x-late', '1')).toThrow(/after they are sent/)
        expect(() => outgoing.writeHead(200)).toThrow(/after they are sent/)
        expect(outgoing.headersSent).toBe(true)
        outgoing.end()
        return Promise.resolve()
      }),
    )
    const { headers } = await ask(clientOf(test_), '/')
    expect(headers).toMatchObject({ ':status': 201, 'x-a': 'given', 'x-b': '1, 2' })
  })

  test('a value that no field may have is refused before anything is sent', async () => {
    await using test_ = await openTest(
      answering((_incoming, outgoing) => {
        outgoing.writeHead(200, ['x-a', 'b\r\nx-evil: 1'])
        return Promise.resolve()
      }),
    )
    const { headers } = await ask(clientOf(test_), '/')
    expect(headers[':status']).toBe(500)
    expect(headers).not.toHaveProperty('x-evil')
  })

  test.each([
    ['HEAD', 200, 'HEAD'],
    ['204', 204, 'GET'],
    ['304', 304, 'GET'],
  ])('%s has no content, whatever is written', async (_name, status, method) => {
    await using test_ = await openTest(
      answering((_incoming, outgoing) => {
        outgoing.writeHead(status, { 'Content-Length': '5' })
        outgoing.write('ab')
        outgoing.end('cde')
        return Promise.resolve()
      }),
    )
    const answer = await ask(clientOf(test_), '/', { headers: { ':method': method } })
    expect(answer).toMatchObject({ body: '', code: 0 })
    expect(answer.headers[':status']).toBe(status)
    await expect.poll(() => test_.records[0]).toMatchObject({ status, bytes: 0, aborted: false })
  })

  test('one that is written at once says how long it is', async () => {
    await using test_ = await openTest(text('hello'))
    expect((await ask(clientOf(test_), '/')).headers['content-length']).toBe('5')
  })

  test('trailers follow, and early hints come first', async () => {
    await using test_ = await openTest(
      answering((_incoming, outgoing) => {
        outgoing.writeEarlyHints({ link: '</a.css>; rel=preload; as=style' })
        outgoing.writeHead(200)
        outgoing.write('abc')
        outgoing.addTrailers([['X-Sum', '6']])
        outgoing.end()
        return Promise.resolve()
      }),
    )
    const stream = clientOf(test_).request({ ':path': '/' })
    const hints: IncomingHttpHeaders[] = []
    stream.on('headers', (headers) => hints.push(headers))
    const answer = await read(stream)
    expect(hints).toMatchObject([{ ':status': 103, link: '</a.css>; rel=preload; as=style' }])
    expect(answer).toMatchObject({ body: 'abc', trailers: { 'x-sum': '6' }, code: 0 })
  })

  test('a head is sent when it is flushed, before any content', async () => {
    await using test_ = await openTest(
      answering(async (_incoming, outgoing) => {
        outgoing.writeHead(200, { 'Content-Type': 'text/event-stream' })
        outgoing.flushHeaders()
        await once(outgoing, 'close')
      }),
    )
    const stream = clientOf(test_).request({ ':path': '/' })
    const [headers] = (await once(stream, 'response')) as [IncomingHttpHeaders]
    expect(headers['content-type']).toBe('text/event-stream')
    stream.close()
  })

  test('one that is given up ends with a reset, so that nobody takes it for whole', async () => {
    await using test_ = await openTest(
      answering((_incoming, outgoing) => {
        outgoing.writeHead(200)
        outgoing.write('half')
        outgoing.destroy()
        return Promise.resolve()
      }),
    )
    const frames = await rawRequest(test_.gateway.port, headersFrame(GET, { endStream: true }), RST_STREAM)
    const data = frames.filter(({ type }) => type === DATA)
    expect(data.every(({ flags }) => (flags & END_STREAM) === 0)).toBe(true)
    expect(frames.at(-1)).toMatchObject({ type: RST_STREAM, code: constants.NGHTTP2_INTERNAL_ERROR })
    await expect.poll(() => test_.records[0]).toMatchObject({ aborted: true })
  })

  test('one that comes before the content was read lets the client stop', async () => {
    await using test_ = await openTest(
      answering((_incoming, outgoing) => {
        outgoing.writeHead(413, { 'Content-Length': '3' })
        outgoing.end('big')
        return Promise.resolve()
      }),
    )
    const stream = clientOf(test_).request({ ':path': '/', ':method': 'POST' })
    stream.write('a')
    const answer = await read(stream)
    expect(answer).toMatchObject({ body: 'big', code: constants.NGHTTP2_NO_ERROR })
    expect(answer.headers[':status']).toBe(413)
    await expect.poll(() => test_.records[0]).toMatchObject({ status: 413, aborted: false })
  })

  test.each(['function', 'web'])('errors of a %s are answered as over HTTP/1.1', async (kind) => {
    const fail = new Error('broken')
    await using test_ = await openTest(
      kind === 'web' ? { fetch: () => Promise.reject(fail) } : answering(() => Promise.reject(fail)),
    )
    const session = clientOf(test_)
    const problem = await ask(session, '/')
    expect(problem.headers).toMatchObject({ ':status': 500, 'content-type': 'application/problem+json' })
    const page = await ask(session, '/', { headers: { accept: 'text/html', 'sec-fetch-mode': 'navigate' } })
    expect(page.headers['content-type']).toContain('text/html')
  })

  test('web-shaped fetchers and control routes answer', async () => {
    await using test_ = await openTest({
      fetch: async (request) =>
        new Response(`${request.method} ${new URL(request.url).pathname} ${await request.text()}`, {
          headers: [
            ['set-cookie', 'a=1'],
            ['set-cookie', 'b=2'],
          ],
        }),
    })
    test_.gateway.control.get('/hello', (c) => c.text('control'))
    const session = clientOf(test_)
    const answer = await ask(session, '/p', { headers: { ':method': 'POST' }, body: 'abc' })
    expect(answer).toMatchObject({ body: 'POST /p abc', headers: { 'set-cookie': ['a=1', 'b=2'] } })
    expect((await ask(session, '/_flexi/hello')).body).toBe('control')
    expect((await ask(session, '/_flexi/healthz')).body).toBe('{"status":"ok"}')
    expect((await ask(session, '/_flexi/none')).headers[':status']).toBe(404)
  })
})

/** A fetcher that forwards, without what upstreams add to it. */
async function forwarder(origin: string): Promise<Fetcher & AsyncDisposable> {
  const dispatcher = await createDispatcher(origin)
  return {
    handle: (incoming, outgoing, context) =>
      forward({ dispatcher, origin, host: 'keep', forwarded: true }, { incoming, outgoing, context }),
    [Symbol.asyncDispose]: () => dispatcher.destroy(),
  }
}

describe('forwarded to an upstream of HTTP/1.1', () => {
  test('a request keeps its fields and content, an answer its fields, length and trailers', async () => {
    await using upstream = await httpUpstream(async (incoming, outgoing) => {
      const chunks: Buffer[] = []
      for await (const chunk of incoming) chunks.push(chunk as Buffer)
      outgoing.writeHead(200, ['Trailer', 'X-Sum', 'X-Up', '1', 'Connection', 'keep-alive'])
      outgoing.write(JSON.stringify({ headers: incoming.rawHeaders, body: Buffer.concat(chunks).toString() }))
      outgoing.addTrailers([['X-Sum', '6']])
      outgoing.end()
    })
    await using fetcher = await forwarder(upstream.origin)
    await using test_ = await openTest(fetcher)
    const answer = await ask(clientOf(test_), '/a', {
      headers: { ':method': 'POST', ':authority': 'a.example', 'x-a': '1' },
      body: 'abc',
    })
    expect(answer.headers).toMatchObject({ ':status': 200, 'x-up': '1' })
    expect(answer.trailers).toEqual(expect.objectContaining({ 'x-sum': '6' }))
    const seen = JSON.parse(answer.body) as { headers: string[]; body: string }
    expect(seen.body).toBe('abc')
    expect(seen.headers.join('\n')).toMatch(/^host\na\.example\n(.*\n)*x-a\n1\n/i)
    expect(seen.headers.join('\n')).toMatch(/Via\n2\.0 flexi/i)
    expect(seen.headers.join('\n')).not.toContain(':path')
  })

  test('a cut answer is a reset, and early hints pass', async () => {
    await using upstream = await rawUpstream((socket) => {
      socket.write('HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n')
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf', () =>
        setImmediate(() => socket.destroy()),
      )
    })
    await using fetcher = await forwarder(upstream.origin)
    await using test_ = await openTest(fetcher)
    const stream = clientOf(test_).request({ ':path': '/' })
    const hints: unknown[] = []
    stream.on('headers', (headers) => hints.push(headers[':status']))
    const answer = await read(stream)
    expect(hints).toEqual([103])
    expect(answer.code).toBe(constants.NGHTTP2_INTERNAL_ERROR)
  })

  test('a client that resets its request ends the one to the upstream', async () => {
    let gone = false
    await using upstream = await httpUpstream((_incoming, outgoing) => {
      outgoing.writeHead(200)
      outgoing.write('begun')
      outgoing.on('close', () => (gone = true))
    })
    await using fetcher = await forwarder(upstream.origin)
    await using test_ = await openTest(fetcher)
    const stream = clientOf(test_).request({ ':path': '/' })
    await once(stream, 'data')
    stream.close(constants.NGHTTP2_CANCEL)
    await expect.poll(() => gone).toBe(true)
  })
})

describe('draining', () => {
  test('open requests are answered, new ones told to go elsewhere, and the connection closes', async () => {
    let finish: (() => void) | undefined
    const test_ = await openTest(
      answering(async (_incoming, outgoing) => {
        await new Promise<void>((resolve) => (finish = resolve))
        outgoing.end('done')
      }),
    )
    const session = clientOf(test_)
    const answer = ask(session, '/')
    await expect.poll(() => finish).toBeDefined()
    const goaway = once(session, 'goaway')
    const closed = once(session, 'close')
    const disposed = test_[Symbol.asyncDispose]()
    expect((await goaway)[0]).toBe(constants.NGHTTP2_NO_ERROR)
    finish?.()
    expect((await answer).body).toBe('done')
    await closed
    await disposed
  })

  test('an idle connection does not hold it up', async () => {
    const test_ = await openTest(text('x'), { drainMs: 5_000 })
    const session = clientOf(test_)
    await ask(session, '/')
    const from = performance.now()
    await test_[Symbol.asyncDispose]()
    expect(performance.now() - from).toBeLessThan(1_000)
  })

  test('at the limit what is left is cut', async () => {
    const test_ = await openTest(
      answering(() => new Promise(() => undefined)),
      { drainMs: 50 },
    )
    const answer = ask(clientOf(test_), '/')
    await expect.poll(() => test_.gateway.inFlight).toBe(1)
    await test_[Symbol.asyncDispose]()
    expect((await answer).headers[':status']).toBeUndefined()
  })
})

describe('one plain port for both versions', () => {
  test('a preface in pieces is HTTP/2, what only begins like it is not', async () => {
    await using test_ = await openTest(text('served'))
    const socket = await test_.connect()
    for (const byte of PREFACE) {
      socket.write(Buffer.from([byte]))
      await new Promise((resolve) => setImmediate(resolve))
    }
    socket.write(
      Buffer.concat([frame(SETTINGS, 0, 0, Buffer.alloc(0)), headersFrame(GET, { endStream: true })]),
    )
    const frames = await readFrames(socket)
    expect(frames.find(({ type }) => type === HEADERS)?.status).toBe('200')
    expect(await test_.raw('PRIVATE / HTTP/1.1\r\nHost: a\r\n\r\n')).toMatch(/^HTTP\/1\.1 (400|501) /)
    expect(await test_.raw('PROPFIND / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')).toMatch(
      /^HTTP\/1\.1 200 /,
    )
  })

  test('a client that goes away ends its requests', async () => {
    let aborted = false
    await using test_ = await openTest(
      answering(async (_incoming, outgoing, context) => {
        context.signal.addEventListener('abort', () => (aborted = true))
        await once(outgoing, 'close')
      }),
    )
    const session = clientOf(test_)
    void ask(session, '/')
    await expect.poll(() => test_.gateway.inFlight).toBe(1)
    session.destroy()
    await expect.poll(() => aborted).toBe(true)
    await expect.poll(() => test_.gateway.inFlight).toBe(0)
  })

  test('a client that ends its side of the connection is gone as well', async () => {
    await using test_ = await openTest(text('served'))
    const socket = await test_.connect()
    socket.write(OPENING)
    await once(socket, 'data')
    socket.resume()
    socket.end()
    await new Promise((resolve) => socket.once('close', resolve))
    expect(socket.destroyed).toBe(true)
  })
})

describe('a client that is silent', () => {
  const QUICK = { clientTimeouts: { headersMs: 100, keepAliveMs: 150 } }

  test.each([
    ['from the start', ''],
    ['in the middle of the preface', 'PRI * HT'],
    ['behind the preface', OPENING],
  ])('%s is closed', async (_name, bytes) => {
    await using test_ = await openTest(text('x'), QUICK)
    const socket = await test_.connect()
    socket.resume()
    if (bytes.length > 0) socket.write(bytes)
    await new Promise((resolve) => socket.once('close', resolve))
    expect(socket.destroyed).toBe(true)
  })

  test('with a request under way is not', async () => {
    let finish: (() => void) | undefined
    await using test_ = await openTest(
      answering(async (_incoming, outgoing) => {
        await new Promise<void>((resolve) => (finish = resolve))
        outgoing.end('late')
      }),
      QUICK,
    )
    const answer = ask(clientOf(test_), '/')
    setTimeout(() => finish?.(), 400)
    expect((await answer).body).toBe('late')
  })
})

describe('floods', () => {
  test('a rapid reset of 20,000 requests ends the connection, and others are served meanwhile', async () => {
    let asked = 0
    await using test_ = await openTest(
      answering((_incoming, outgoing) => {
        asked++
        outgoing.end('x')
        return Promise.resolve()
      }),
    )
    const socket = connectTcp(test_.gateway.port, '127.0.0.1')
    socket.on('error', () => undefined).resume()
    await once(socket, 'connect')
    const closed = once(socket, 'close')
    socket.write(OPENING)
    const reset = Buffer.alloc(4)
    reset.writeUInt32BE(constants.NGHTTP2_CANCEL)
    for (let i = 0; i < 20_000 && !socket.destroyed; i++) {
      const id = 2 * i + 1
      socket.write(
        Buffer.concat([headersFrame(GET, { endStream: true, id }), frame(RST_STREAM, 0, id, reset)]),
      )
      if (i % 100 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    expect((await ask(clientOf(test_), '/')).body).toBe('x')
    await closed
    expect(asked).toBeLessThan(5_000)
    await expect.poll(() => test_.gateway.inFlight).toBe(0)
  })

  test('no more than 128 requests of a connection are under way', async () => {
    let most = 0
    const waiting: (() => void)[] = []
    await using test_ = await openTest(
      answering(async (_incoming, outgoing) => {
        most = Math.max(most, test_.gateway.inFlight)
        await new Promise<void>((resolve) => waiting.push(resolve))
        outgoing.end()
      }),
    )
    const session = clientOf(test_)
    await once(session, 'remoteSettings')
    expect(session.remoteSettings.maxConcurrentStreams).toBe(128)
    const answers = Array.from({ length: 200 }, () => ask(session, '/'))
    await expect.poll(() => waiting.length).toBe(128)
    const release = setInterval(() => waiting.splice(0).forEach((resolve) => resolve()), 5)
    const all = await Promise.all(answers)
    clearInterval(release)
    expect(all.every(({ headers }) => headers[':status'] === 200)).toBe(true)
    expect(most).toBe(128)
  })
})

const run = promisify(execFile)

function has(program: string, ...words: string[]): boolean {
  try {
    execFileSync(program, words, { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

describe('other clients', () => {
  const curl = has('curl', '--version')
  test.skipIf(!curl)(
    `curl speaks HTTP/2 with prior knowledge${curl ? '' : ' (curl is not installed)'}`,
    async () => {
      await using test_ = await openTest(echo)
      const { stdout } = await run('curl', ['-si', '--http2-prior-knowledge', '-d', 'abc', `${test_.url}/p`])
      expect(stdout).toMatch(/^HTTP\/2 200/)
      expect(stdout).toContain('"body":"abc"')
    },
  )

  const h2load = has('h2load', '--version')
  test.skipIf(!h2load)(`h2load loses nothing${h2load ? '' : ' (h2load is not installed)'}`, async () => {
    await using test_ = await openTest(tableOfBoth())
    const { stdout } = await run('h2load', ['-n', '5000', '-c', '10', '-m', '20', `${test_.url}/`])
    expect(stdout).toContain('5000 succeeded, 0 failed, 0 errored')
  })
})

function tableOfBoth() {
  return { ...tableOf(text('x')), routes: [bound({ kind: 'prefix', prefix: '/' }, text('hello'))] }
}

// The few frames that a client of our own needs (RFC 9113 section 4.1), with fields that are never compressed (RFC 7541 section 6.2.2).

function frame(type: number, flags: number, id: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head.writeUInt8(type, 3)
  head.writeUInt8(flags, 4)
  head.writeUInt32BE(id, 5)
  return Buffer.concat([head, payload])
}

function headersFrame(
  fields: readonly (readonly [string, string])[],
  { endStream = false, id = 1 }: { endStream?: boolean; id?: number },
): Buffer {
  const block = fields.flatMap(([name, value]) => [Buffer.from([0]), literal(name), literal(value)])
  return frame(HEADERS, END_HEADERS | (endStream ? END_STREAM : 0), id, Buffer.concat(block))
}

/** Shorter than 127 bytes. */
function literal(value: string): Buffer {
  return Buffer.concat([Buffer.from([value.length]), Buffer.from(value, 'latin1')])
}

interface Frame {
  readonly type: number
  readonly flags: number
  /** Of a reset. */
  readonly code: number | undefined
  /** Of a HEADERS frame whose status is in the static table. */
  readonly status: string | undefined
}

async function rawRequest(port: number, request: Buffer, last = HEADERS): Promise<readonly Frame[]> {
  const socket = connectTcp(port, '127.0.0.1')
  await once(socket, 'connect')
  socket.write(Buffer.concat([OPENING, request]))
  return readFrames(socket, last)
}

const STATUS = ['200', '204', '206', '304', '400', '404', '500']

/** Until stream 1 is answered or reset, or the connection ends. */
function readFrames(socket: Socket, last = HEADERS): Promise<readonly Frame[]> {
  return new Promise((resolve) => {
    let buffered = Buffer.alloc(0)
    const frames: Frame[] = []
    const done = (): void => {
      socket.destroy()
      resolve(frames)
    }
    socket.on('data', (chunk: Buffer) => {
      buffered = Buffer.concat([buffered, chunk])
      while (buffered.length >= 9 && buffered.length >= 9 + buffered.readUIntBE(0, 3)) {
        const length = buffered.readUIntBE(0, 3)
        const type = buffered.readUInt8(3)
        const flags = buffered.readUInt8(4)
        const code = type === RST_STREAM ? buffered.readUInt32BE(9) : undefined
        const first = type === HEADERS ? buffered.readUInt8(9) : 0
        frames.push({
          type,
          flags,
          code,
          status: (first & 0x80) === 0 ? undefined : STATUS[(first & 0x7f) - 8],
        })
        buffered = buffered.subarray(9 + length)
        if (type === RST_STREAM || type === last || type === GOAWAY) done()
      }
    })
    socket.on('close', done).on('error', done)
  })
}
