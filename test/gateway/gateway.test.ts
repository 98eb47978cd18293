import { once } from 'node:events'
import { createServer as createTcpServer, type AddressInfo } from 'node:net'

import { describe, expect, test } from 'vitest'

import { FlexiError } from '../../src/core/errors.ts'
import type { Fetcher, RequestContext } from '../../src/core/fetcher.ts'
import type { FunctionFault } from '../../src/core/function.ts'
import { bound, echo, openTest, readAll, tableOf, text } from './harness.ts'

const BROWSER = { accept: 'text/html,application/xhtml+xml', 'sec-fetch-dest': 'document' }

describe('what answers', () => {
  test('the matched fetcher, with its route in the context', async () => {
    await using test_ = await openTest({
      routes: [
        bound(
          {
            kind: 'template',
            method: 'GET',
            segments: [
              { kind: 'literal', text: 'a' },
              { kind: 'parameter', name: 'id' },
            ],
          },
          echo,
          'GET /a/{id}',
        ),
      ],
      functions: new Map(),
    })
    const answer = (await (await fetch(`${test_.url}/a/b%20c`)).json()) as { route: unknown }
    expect(answer.route).toEqual({ pattern: 'GET /a/{id}', parameters: { id: 'b%20c' } })
    expect(test_.records[0]).toMatchObject({ route: 'GET /a/{id}', status: 200, target: '/a/b%20c' })
  })

  test('a web fetcher, with its streams, its repeated fields and its context', async () => {
    await using test_ = await openTest({
      async fetch(request: Request, context: RequestContext) {
        const headers = new Headers({ 'x-target': context.raw.target })
        headers.append('set-cookie', 'a=1')
        headers.append('set-cookie', 'b=2')
        return new Response(`${request.method} ${new URL(request.url).pathname} ${await request.text()}`, {
          status: 201,
          headers,
        })
      },
    })
    const answer = await fetch(`${test_.url}/p%2Fq`, { method: 'POST', body: 'content' })
    expect(answer.status).toBe(201)
    expect(answer.headers.getSetCookie()).toEqual(['a=1', 'b=2'])
    expect(answer.headers.get('x-target')).toBe('/p%2Fq')
    expect(await answer.text()).toBe('POST /p%2Fq content')
  })

  test('a new table answers new requests, while the old one finishes what it has', async () => {
    const begun = deferred()
    const finish = deferred()
    await using test_ = await openTest({
      async handle(_incoming, outgoing) {
        begun.resolve()
        await finish.promise
        outgoing.end('old')
      },
    })
    const old = fetch(test_.url)
    await begun.promise
    test_.gateway.swap(tableOf(text('new')))
    expect(await (await fetch(test_.url)).text()).toBe('new')
    finish.resolve()
    expect(await (await old).text()).toBe('old')
  })

  test('nothing: 404 with a code, and a browser in dev sees the routes', async () => {
    const table = { routes: [bound({ kind: 'path', path: '/a' }, echo, '/a<b>')], functions: new Map() }
    await using test_ = await openTest(table)
    const plain = await fetch(`${test_.url}/x`)
    expect(plain.status).toBe(404)
    expect(plain.headers.get('content-type')).toBe('application/problem+json')
    expect(await plain.json()).toMatchObject({ code: 'FLEXI_NO_ROUTE', status: 404, title: 'Not Found' })
    const page = await fetch(`${test_.url}/<x>`, { headers: BROWSER })
    expect(page.status).toBe(404)
    const html = await page.text()
    expect(html).toContain('/a&lt;b&gt;')
    expect(html).not.toContain('<x>')
  })

  test('the answer of FlexiLib, where the caller asks for it', async () => {
    await using test_ = await openTest(
      { routes: [], functions: new Map() },
      { noRoute: () => ({ status: 500, body: 'Internal Server Error\n' }) },
    )
    const answer = await fetch(test_.url, { headers: BROWSER })
    expect(answer.status).toBe(500)
    expect(answer.headers.get('content-type')).toBeNull()
    expect(await answer.text()).toBe('Internal Server Error\n')
  })
})

describe('a function at its own address', () => {
  const table = tableOf(text('route'), { Hello: echo })

  test('NAME.localhost, in the lower case browsers write, before every route', async () => {
    await using test_ = await openTest(table)
    expect(await test_.raw('GET /x HTTP/1.1\r\nHost: hello.localhost:8069\r\n\r\n')).toContain(
      '"target":"/x"',
    )
    expect(await test_.raw('GET /x HTTP/1.1\r\nHost: HELLO.localhost\r\n\r\n')).toContain('"target":"/x"')
    expect(await test_.raw('GET /x HTTP/1.1\r\nHost: other.localhost\r\n\r\n')).toContain('route')
    expect(await test_.raw('GET /x HTTP/1.1\r\nHost: hello.localhost.example\r\n\r\n')).toContain('route')
  })

  test.each([
    ['/_flexi/f/Hello', '/'],
    ['/_flexi/f/Hello/', '/'],
    ['/_flexi/f/Hello?x=/y', '/?x=/y'],
    ['/_flexi/f/Hello/a%2Fb/?c=d', '/a%2Fb/?c=d'],
  ])('%s is %s of the function', async (target, own) => {
    await using test_ = await openTest(table)
    const answer = await (await fetch(test_.url + target)).json()
    expect(answer).toMatchObject({ url: own, raw: { target: own } })
    // The log says what the client asked for.
    expect(test_.records[0]?.target).toBe(target)
  })

  test('an unknown name is told with those that exist', async () => {
    await using test_ = await openTest(table)
    const answer = await fetch(`${test_.url}/_flexi/f/nope/x`)
    expect(answer.status).toBe(404)
    expect(await answer.json()).toMatchObject({
      code: 'FLEXI_FUNCTION_UNKNOWN',
      hint: 'Ask for one of: Hello.',
    })
  })
})

describe('reserved paths', () => {
  const get = (target: string, fields: string): string =>
    `GET ${target} HTTP/1.1\r\nConnection: close\r\n${fields}\r\n\r\n`

  test.each([
    ['a host of this machine', '/_flexi/x', 'Host: localhost:1', 200],
    ['a host below localhost', '/_flexi/x', 'Host: a.localhost', 200],
    ['IPv6 loopback', '/_flexi/x', 'Host: [::1]:1', 200],
    ['a page of this machine', '/_flexi/x', 'Host: localhost\r\nOrigin: http://localhost:5173', 200],
    ['a host that was made to mean 127.0.0.1', '/_flexi/x', 'Host: evil.example', 403],
    ['a host that looks local', '/_flexi/x', 'Host: localhost.evil.example', 403],
    ['127.0.0.1 as a label', '/_flexi/x', 'Host: 127.0.0.1.evil.example', 403],
    ['a page of another site', '/_flexi/x', 'Host: localhost\r\nSec-Fetch-Site: cross-site', 403],
    ['a script of another site', '/_flexi/x', 'Host: localhost\r\nOrigin: https://evil.example', 403],
    ['a sandboxed page', '/_flexi/x', 'Host: localhost\r\nOrigin: null', 403],
    [
      'who comes through a tunnel that names this machine as the host',
      '/_flexi/x',
      'Host: localhost\r\nX-Forwarded-For: 203.0.113.7',
      403,
    ],
    [
      'a development server on this machine, for its own page',
      '/_flexi/x',
      'Host: localhost\r\nX-Forwarded-For: ::1, ::ffff:127.0.0.1',
      200,
    ],
    ['health, to everybody', '/_flexi/healthz', 'Host: evil.example\r\nSec-Fetch-Site: cross-site', 200],
    [
      'a function, to other sites as in the cloud',
      '/_flexi/f/hello/',
      'Host: localhost\r\nOrigin: https://evil.example',
      200,
    ],
    ['a function, not by a foreign host', '/_flexi/f/hello/', 'Host: evil.example', 403],
    ['a path that only begins alike', '/_flexix', 'Host: evil.example', 200],
  ])('%s', async (_name, target, fields, status) => {
    await using test_ = await openTest(tableOf(text('route'), { hello: text('function') }))
    test_.gateway.control.get('/x', (c) => c.text(`control ${c.env.context.raw.target}`))
    expect(await test_.raw(get(target, fields))).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
  })

  test('no route shadows them, and control routes may come at any time', async () => {
    await using test_ = await openTest(text('route'))
    expect((await fetch(`${test_.url}/_flexi/late`)).status).toBe(404)
    test_.gateway.control.get('/late', (c) => c.json({ id: c.env.context.id }))
    expect(await (await fetch(`${test_.url}/_flexi/late`)).json()).toEqual({
      id: expect.stringMatching(/^[\da-f-]{36}$/),
    })
    expect(await (await fetch(`${test_.url}/_flexi/healthz`)).json()).toEqual({ status: 'ok' })
  })

  test('an error of a control route is answered like every other', async () => {
    await using test_ = await openTest(text('route'), { controlPrefix: '/own/' })
    test_.gateway.control.get('/fail', () => {
      throw new FlexiError('FLEXI_USAGE', 'no such alias', { hint: 'Name one.' })
    })
    const answer = await fetch(`${test_.url}/own/fail`)
    expect(answer.status).toBe(400)
    expect(await answer.json()).toMatchObject({
      code: 'FLEXI_USAGE',
      detail: 'no such alias',
      hint: 'Name one.',
    })
  })
})

describe('errors', () => {
  const failing = (error: Error): Fetcher => ({ handle: () => Promise.reject(error) })
  const full = new FlexiError('FLEXI_QUEUE_FULL', 'hello is busy', {
    retryAfterSeconds: 1.2,
    hint: 'Ask later.',
  })

  test('a FlexiError is a problem with its status, code, hint and Retry-After', async () => {
    await using test_ = await openTest(failing(full))
    const answer = await fetch(test_.url)
    expect(answer.status).toBe(503)
    expect(answer.headers.get('retry-after')).toBe('2')
    const problem = (await answer.json()) as { requestId: string }
    expect(problem).toEqual({
      type: 'about:blank',
      title: 'Service Unavailable',
      status: 503,
      detail: 'hello is busy',
      code: 'FLEXI_QUEUE_FULL',
      hint: 'Ask later.',
      requestId: test_.records[0]?.id,
    })
  })

  test.each(['dev', 'serve'] as const)(
    'our bug is a 500 without a stack in %s, and a log line with it',
    async (mode) => {
      await using test_ = await openTest(failing(new TypeError('secret of /home/me')), { mode })
      const answer = await (await fetch(test_.url, { headers: BROWSER })).text()
      expect(answer.includes('secret')).toBe(mode === 'dev')
      expect(answer).not.toContain('.test.ts')
      const line = test_.log.find(({ event }) => event === 'request.bug')
      expect(line?.fields['stack']).toContain('gateway.test.ts')
      expect(line?.fields['request']).toBe(test_.records[0]?.id)
    },
  )

  test.each([
    [
      'handle',
      {
        handle: () => {
          throw full
        },
      },
    ],
    [
      'fetch',
      {
        fetch: () => {
          throw full
        },
      },
    ],
    ['fetch, later', { fetch: () => Promise.reject(full) }],
  ] as [string, Fetcher][])('%s that throws is answered as well', async (_name, fetcher) => {
    await using test_ = await openTest(fetcher)
    expect((await fetch(test_.url)).status).toBe(503)
  })

  test('what the fetcher had set for the answer it did not give is gone', async () => {
    await using test_ = await openTest({
      handle(_incoming, outgoing) {
        outgoing.setHeader('Content-Encoding', 'gzip')
        outgoing.setHeader('Content-Length', '5')
        return Promise.reject(full)
      },
    })
    const answer = await fetch(test_.url)
    expect(answer.headers.get('content-encoding')).toBeNull()
    expect(await answer.json()).toMatchObject({ code: 'FLEXI_QUEUE_FULL' })
  })

  test('after the head the connection is cut, and the record says so', async () => {
    await using test_ = await openTest({
      handle(_incoming, outgoing) {
        outgoing.write('half')
        return Promise.reject(new Error('too late'))
      },
    })
    await expect(fetch(test_.url).then((answer) => answer.text())).rejects.toThrow('terminated')
    expect(test_.records).toMatchObject([{ status: 200, aborted: true, bytes: 4 }])
  })

  test('a client that is still sending gets its answer, and may ask again', async () => {
    await using test_ = await openTest({
      async handle(incoming) {
        await once(incoming, 'data')
        incoming.pause()
        throw new FlexiError('FLEXI_BODY_TOO_LARGE', 'too much')
      },
    })
    const socket = await test_.connect()
    const answers: string[] = []
    socket.on('data', (chunk: Buffer) => answers.push(chunk.toString()))
    const request = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8388608\r\n\r\n'
    for (let i = 0; i < 2; i++) {
      socket.write(request)
      socket.write(Buffer.alloc(8_388_608))
    }
    await expect.poll(() => answers.join('').match(/HTTP\/1\.1 413/g)).toHaveLength(2)
    socket.destroy()
  })
})

describe('pages for people', () => {
  const fault: FunctionFault = {
    function: 'hello',
    kind: 'throw',
    name: 'TypeError',
    message: 'x is <not> a function',
    stack: 'TypeError: x\n    at handler (src/a.ts:2:5)',
    frame: { place: { file: 'gone/a.ts', line: 2, column: 5 }, message: 'x', text: '  x("<script>")' },
    hint: 'Call y & z.',
  }
  const explaining: Fetcher = {
    handle(_incoming, outgoing, context) {
      if (!context.explain(fault, outgoing)) outgoing.writeHead(502).end('as the provider says')
      return Promise.resolve()
    },
  }

  test('a browser in dev sees the fault, escaped, under a policy that loads nothing', async () => {
    await using test_ = await openTest(explaining)
    const page = await fetch(test_.url, { headers: BROWSER })
    const html = await page.text()
    expect(page.status).toBe(502)
    expect(page.headers.get('content-security-policy')).toMatch(/^default-src 'none'; style-src 'sha256-/)
    expect(html).toContain('x is &lt;not&gt; a function')
    expect(html).toContain('<mark><i>    2</i>   x(&quot;&lt;script&gt;&quot;)</mark>')
    expect(html).toContain('gone/a.ts:2:5')
    expect(html).toContain('Call y &amp; z.')
    expect(html).toContain(test_.records[0]?.id)
    expect(html).not.toMatch(/<script|src=|href=/)
  })

  test.each([
    ['a program', {}, 'dev'],
    ['a script of a page', { accept: 'text/html', 'sec-fetch-dest': 'empty' }, 'dev'],
    ['a browser of a served project', BROWSER, 'serve'],
  ] as const)('%s gets what the provider sends', async (_name, headers, mode) => {
    await using test_ = await openTest(explaining, { mode })
    expect(await (await fetch(test_.url, { headers })).text()).toBe('as the provider says')
  })
})

describe('the access record', () => {
  test('has what a log needs, and what the fetcher noted', async () => {
    await using test_ = await openTest({
      handle(_incoming, outgoing, context) {
        context.note({ function: 'hello', alloc: 1 })
        context.note({ alloc: 2 })
        outgoing.write('äb')
        outgoing.end(Buffer.from('cd'))
        return Promise.resolve()
      },
    })
    await (await fetch(`${test_.url}/x?y`)).text()
    await expect.poll(() => test_.records).toHaveLength(1)
    expect(test_.records[0]).toEqual({
      id: expect.stringMatching(/^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/),
      clientAddress: '127.0.0.1',
      clientPort: expect.any(Number),
      method: 'GET',
      target: '/x?y',
      httpVersion: '1.1',
      status: 200,
      bytes: 5,
      ttfbMs: expect.any(Number),
      ttlbMs: expect.any(Number),
      route: 'test',
      aborted: false,
      notes: { function: 'hello', alloc: 2 },
    })
  })

  test('times the head and the end of the body', async () => {
    const more = deferred()
    await using test_ = await openTest({
      async handle(_incoming, outgoing) {
        outgoing.write('a')
        await more.promise
        outgoing.end('b')
      },
    })
    const answer = await fetch(test_.url)
    const began = performance.now()
    await expect.poll(() => performance.now() - began).toBeGreaterThan(60)
    more.resolve()
    await answer.text()
    await expect.poll(() => test_.records).toHaveLength(1)
    const [record] = test_.records
    expect((record?.ttlbMs ?? 0) - (record?.ttfbMs ?? 0)).toBeGreaterThan(50)
  })

  test.each(['HEAD', 'GET'])('counts no content that %s does not send', async (method) => {
    await using test_ = await openTest({
      handle(_incoming, outgoing) {
        outgoing.statusCode = method === 'GET' ? 304 : 200
        outgoing.end('content')
        return Promise.resolve()
      },
    })
    await fetch(test_.url, { method })
    await expect.poll(() => test_.records).toMatchObject([{ bytes: 0 }])
  })

  test('a client that leaves before the head is a 499, aborted', async () => {
    await using test_ = await openTest({ handle: () => Promise.resolve() })
    const socket = await test_.connect()
    socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await expect.poll(() => test_.gateway.inFlight).toBe(1)
    socket.destroy()
    await expect
      .poll(() => test_.records)
      .toMatchObject([{ status: 499, aborted: true, bytes: 0, clientAddress: '127.0.0.1' }])
    expect(test_.gateway.inFlight).toBe(0)
  })

  test('pipelined requests whose client leaves are all recorded', async () => {
    const gone: string[] = []
    await using test_ = await openTest({
      handle(_incoming, outgoing, context) {
        outgoing.on('close', () => gone.push(context.raw.target))
        return Promise.resolve()
      },
    })
    const socket = await test_.connect()
    socket.write('GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n')
    await expect.poll(() => test_.gateway.inFlight).toBe(2)
    socket.destroy()
    await expect.poll(() => gone.toSorted()).toEqual(['/1', '/2'])
    expect(test_.records).toHaveLength(2)
    expect(test_.gateway.inFlight).toBe(0)
  })
})

describe('the signal', () => {
  const waiting = (signals: AbortSignal[]): Fetcher => ({
    handle(_incoming, _outgoing, context) {
      signals.push(context.signal)
      return Promise.resolve()
    },
  })

  test('aborts when the client leaves', async () => {
    const signals: AbortSignal[] = []
    await using test_ = await openTest(waiting(signals))
    const socket = await test_.connect()
    socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await expect.poll(() => signals).toHaveLength(1)
    expect(signals[0]?.aborted).toBe(false)
    socket.destroy()
    await expect.poll(() => signals[0]?.reason).toMatchObject({ code: 'FLEXI_CLIENT_GONE' })
  })

  test('aborts at the deadline', async () => {
    const signals: AbortSignal[] = []
    await using test_ = await openTest(waiting(signals), { requestMs: 30 })
    void fetch(test_.url).catch(() => undefined)
    await expect.poll(() => signals[0]?.reason).toMatchObject({ code: 'FLEXI_FUNCTION_TIMEOUT' })
    await test_.gateway.drain(0)
  })

  test('aborts when the drain limit is reached', async () => {
    const signals: AbortSignal[] = []
    await using test_ = await openTest(waiting(signals))
    const answer = fetch(test_.url)
    answer.catch(() => undefined)
    await expect.poll(() => signals).toHaveLength(1)
    await test_.gateway.drain(20)
    expect(signals[0]?.reason).toMatchObject({ code: 'FLEXI_SHUTTING_DOWN' })
    await expect(answer).rejects.toThrow('fetch failed')
  })

  test('stays quiet when all went well', async () => {
    let signal: AbortSignal | undefined
    await using test_ = await openTest({
      handle(_incoming, outgoing, context) {
        signal = context.signal
        outgoing.end('x')
        return Promise.resolve()
      },
    })
    await (await fetch(test_.url)).text()
    await expect.poll(() => test_.records).toHaveLength(1)
    expect(signal?.aborted).toBe(false)
  })
})

describe('draining', () => {
  test('finishes what is under way, with Connection: close, and takes nothing new', async () => {
    const finish = deferred()
    await using test_ = await openTest({
      async handle(_incoming, outgoing) {
        await finish.promise
        outgoing.end('finished')
      },
    })
    const under = fetch(test_.url)
    await expect.poll(() => test_.gateway.inFlight).toBe(1)
    const drained = test_.gateway.drain(5_000)
    await expect(fetch(test_.url)).rejects.toThrow('fetch failed')
    finish.resolve()
    const answer = await under
    expect(answer.headers.get('connection')).toBe('close')
    expect(await answer.text()).toBe('finished')
    await drained
  })

  test('an idle connection may still be used for a moment, and healthz says that we go', async () => {
    await using test_ = await openTest(text('x'))
    const socket = await test_.connect()
    const drained = test_.gateway.drain(5_000)
    socket.write('GET /_flexi/healthz HTTP/1.1\r\nHost: a\r\n\r\n')
    const answer = await readAll(socket)
    expect(answer).toMatch(/^HTTP\/1\.1 503 /)
    expect(answer).toContain('"draining"')
    expect(answer).toContain('Connection: close')
    await drained
  })

  test('waits for tasks that outlive their response', async () => {
    const task = deferred()
    let ended = false
    await using test_ = await openTest({
      handle(_incoming, outgoing, context) {
        context.waitUntil(task.promise.then(() => (ended = true)))
        context.waitUntil(Promise.reject(new Error('logged')))
        outgoing.end('x')
        return Promise.resolve()
      },
    })
    await (await fetch(test_.url)).text()
    const drained = test_.gateway.drain(5_000)
    task.resolve()
    await drained
    expect(ended).toBe(true)
    expect(test_.log.map(({ event }) => event)).toContain('task.fail')
  })

  test('disposing twice is the same as once', async () => {
    const test_ = await openTest(text('x'))
    await fetch(test_.url)
    await Promise.all([test_.gateway[Symbol.asyncDispose](), test_.gateway[Symbol.asyncDispose]()])
    await test_.gateway[Symbol.asyncDispose]()
    await expect(fetch(test_.url)).rejects.toThrow('fetch failed')
  })
})

describe('listening', () => {
  test('says who has the port', async () => {
    const other = createTcpServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    const { port } = other.address() as AddressInfo
    const error = await openTest(text('x'), { port }).catch((e: unknown) => e)
    expect(error).toMatchObject({ code: 'FLEXI_PORT_TAKEN' })
    expect(String(error)).toContain(`127.0.0.1:${port} is taken`)
    if (process.platform === 'linux') expect(String(error)).toContain(`by process ${process.pid} (`)
    other.close()
  })

  test('takes the next free port when asked to', async () => {
    const other = createTcpServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    const { port } = other.address() as AddressInfo
    await using test_ = await openTest(text('x'), { port, portFallback: true })
    expect(test_.gateway.port).toBeGreaterThan(port)
    expect(test_.gateway.url).toBe(`http://127.0.0.1:${test_.gateway.port}`)
    expect(await (await fetch(test_.url)).text()).toBe('x')
    other.close()
  })

  test('an address of another machine is told as such', async () => {
    await expect(openTest(text('x'), { host: '192.0.2.1' })).rejects.toMatchObject({
      code: 'FLEXI_USAGE',
      message: '192.0.2.1 is no address of this machine',
    })
  })

  test.each([
    ['0.0.0.0', 'http://127.0.0.1:'],
    ['::1', 'http://[::1]:'],
    ['localhost', 'http://localhost:'],
  ])('%s is reached at %s', async (host, url) => {
    await using test_ = await openTest(text('x'), { host })
    expect(test_.url.startsWith(url)).toBe(true)
    expect(await (await fetch(test_.url)).text()).toBe('x')
  })
})

interface Deferred {
  readonly promise: Promise<void>
  resolve(this: void): void
}

function deferred(): Deferred {
  let resolve = (): void => undefined
  const promise = new Promise<void>((done) => {
    resolve = done
  })
  return { promise, resolve: () => resolve() }
}
