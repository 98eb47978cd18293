import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import fc from 'fast-check'
import { Hono, type Context } from 'hono'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import type { FunctionConfig } from '../../../src/core/function.ts'
import { lambda } from '../../../src/emulators/lambda/index.ts'
import { serveFunction, type Served } from '../conformance.ts'

const serve = (code: string, config: Partial<FunctionConfig> = {}): Promise<Served> =>
  serveFunction(lambda, async (directory) => {
    await writeFile(join(directory, 'app.mjs'), code)
    return {
      name: 'app',
      provider: 'lambda',
      directory,
      origin: { file: join(directory, 'flexi.jsonc'), line: 1, column: 1 },
      environment: {},
      options: { handler: 'app.handler' },
      ...config,
    }
  })

describe('a function behind its own address', () => {
  let served: Served
  beforeAll(async () => {
    served = await serve(`
      const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
      const from = (stream, prelude) => awslambda.HttpResponseStream.from(stream, prelude)
      const routes = {
        '/head': (stream) => from(stream, { statusCode: 202, headers: { 'x-a': '1' }, cookies: ['a=1', 'b=2'] }).end('body'),
        '/empty': (stream) => from(stream, { statusCode: 204 }).end(),
        '/plain': (stream) => { stream.setContentType('text/event-stream'); stream.end('data: 1') },
        '/midway': async (stream) => { const out = from(stream, { statusCode: 200 }); out.write('begun'); await pause(50); throw new Error('midway') },
        '/before': () => { throw new Error('before the head') },
        '/bad-head': (stream) => from(stream, { statusCode: 'x' }).end('x'),
        '/bad-field': (stream) => from(stream, { statusCode: 200, headers: { 'x-a': 'line\\nbreak' } }).end('x'),
        '/large': async (stream) => { const out = from(stream, { statusCode: 200 }); for (let i = 0; i < 160; i += 1) { out.write(Buffer.alloc(65536, i)) || await new Promise((r) => out.once('drain', r)) } out.end() },
      }
      export const handler = awslambda.streamifyResponse(async (event, stream) => (routes[event.rawPath] ?? routes['/head'])(stream))`)
  })
  afterAll(() => served[Symbol.asyncDispose]())

  test('a stream’s head is the response’s', async () => {
    const { status, headers, body } = await served.ask('/head')
    expect(status).toBe(202)
    expect(headers).toMatchObject({
      'x-a': '1',
      'set-cookie': ['a=1', 'b=2'],
      'x-amzn-requestid': expect.stringMatching(/^[\w-]{36}$/),
    })
    expect(body.toString()).toBe('body')
  })

  test('a stream may have a head and no body', async () => {
    const { status, body } = await served.ask('/empty')
    expect([status, body.length]).toEqual([204, 0])
  })

  test('a stream without a head is 200 of its content type', async () => {
    const { status, headers, body } = await served.ask('/plain')
    expect([status, headers['content-type'], body.toString()]).toEqual([200, 'text/event-stream', 'data: 1'])
  })

  test('10 MB stream through, though a payload may have 6 MiB', async () => {
    const { body } = await served.ask('/large')
    expect(body.length).toBe(160 * 65536)
    expect(body[body.length - 1]).toBe(159)
  })

  test('a stream that breaks is cut, so that nobody takes it for complete', async () => {
    await expect(served.ask('/midway')).rejects.toThrow(/aborted|hang up/)
    await expect.poll(() => served.faults.splice(0).map(({ message }) => message)).toEqual(['midway'])
  })

  test('a failure before the head is 502', async () => {
    expect((await served.ask('/before')).status).toBe(502)
    expect(served.faults.splice(0)).toMatchObject([{ kind: 'throw', message: 'before the head' }])
  })

  test.each(['/bad-head', '/bad-field'])(
    'a head that makes no response is 502 and told: %s',
    async (path) => {
      const { status, body } = await served.ask(path)
      expect([status, body.toString()]).toEqual([502, 'Internal Server Error'])
      expect(served.faults.splice(0).map(({ kind }) => kind)).toEqual(['result'])
    },
  )
})

describe('what cannot be answered', () => {
  test('a result that makes no response is 502, and told with the result', async () => {
    await using served = await serve('export const handler = async () => ({ statusCode: "oops" })')
    expect((await served.ask('/')).status).toBe(502)
    expect(served.faults).toMatchObject([
      { kind: 'result', message: 'the result makes no response: {"statusCode":"oops"}' },
    ])
  })

  test('a field that HTTP does not allow is 502, not a crash', async () => {
    await using served = await serve(
      'export const handler = async () => ({ statusCode: 200, headers: { "x-a": "\\u2713" } })',
    )
    expect((await served.ask('/')).status).toBe(502)
    expect(served.faults.map(({ kind }) => kind)).toEqual(['result'])
    expect((await served.ask('/')).status).toBe(502)
  })

  test('a request above 6 MiB is 413, and never reaches the function', async () => {
    await using served = await serve('export const handler = async () => { console.log("ran"); return 1 }')
    const fields = { 'content-type': 'text/plain' }
    expect(
      (await served.ask('/', { method: 'POST', body: Buffer.alloc(6 * 1024 * 1024 + 1), headers: fields }))
        .status,
    ).toBe(413)
    expect(
      (await served.ask('/', { method: 'POST', body: Buffer.alloc(5 * 1024 * 1024, 'a'), headers: fields }))
        .status,
    ).toBe(200)
    expect(served.lines.filter(({ text }) => text === 'ran')).toHaveLength(1)
  })

  test('a browser that asks for HTML is shown the failing line', async () => {
    await using served = await serve(
      'export const handler = async () => {\n  throw new Error("seen <here>")\n}\n',
    )
    const { body, headers } = await served.ask('/', { headers: { accept: 'text/html' } })
    expect(headers['content-type']).toContain('text/html')
    expect(body.toString()).toContain('seen &lt;here&gt;')
    expect(body.toString()).toContain('app.mjs')
  })

  test('the handler runs to its end though the client left', async () => {
    await using served = await serve(
      'export const handler = async () => { await new Promise((r) => setTimeout(r, 200)); console.log("to the end"); return 1 }',
    )
    const leaving = new AbortController()
    const asked = served.ask('/', { signal: leaving.signal })
    await expect.poll(() => served.pool.state().inFlight).toBe(1)
    leaving.abort()
    await expect(asked).rejects.toThrow('abort')
    await expect.poll(() => served.lines.map(({ text }) => text)).toContain('to the end')
  })
})

/** One app, once behind the emulator and once called directly: the function URL must not be noticeable. */
const APP = `
import { Hono } from 'hono'
import { handle } from 'hono/aws-lambda'
const app = new Hono()
app.all('/echo/*', async (c) => {
  const url = new URL(c.req.url)
  c.header('x-path', encodeURIComponent(url.pathname))
  c.header('x-query', encodeURIComponent(url.search))
  c.header('x-custom', c.req.header('x-custom') ?? 'none')
  c.header('set-cookie', 'a=1; Path=/', { append: true })
  c.header('set-cookie', 'b=2', { append: true })
  return c.body(await c.req.arrayBuffer(), Number(c.req.query('status') ?? 200), { 'content-type': c.req.header('content-type') ?? 'application/x-none' })
})
export const handler = handle(app)
`

describe('an app of hono/aws-lambda', () => {
  let served: Served
  const direct = new Hono()
  direct.all('/echo/*', async (c: Context) => {
    const url = new URL(c.req.url)
    c.header('x-path', encodeURIComponent(url.pathname))
    c.header('x-query', encodeURIComponent(url.search))
    c.header('x-custom', c.req.header('x-custom') ?? 'none')
    c.header('set-cookie', 'a=1; Path=/', { append: true })
    c.header('set-cookie', 'b=2', { append: true })
    const type = c.req.header('content-type') ?? 'application/x-none'
    return c.newResponse(await c.req.arrayBuffer(), Number(c.req.query('status') ?? 200) as 200, {
      'content-type': type,
    })
  })

  beforeAll(async () => {
    served = await serveFunction(lambda, async (directory) => {
      await writeFile(
        join(directory, 'app.mjs'),
        APP.replaceAll(/'(hono[^']*)'/g, (_all, name: string) => `'${import.meta.resolve(name)}'`),
      )
      return {
        name: 'app',
        provider: 'lambda',
        directory,
        origin: { file: join(directory, 'flexi.jsonc'), line: 1, column: 1 },
        environment: {},
        options: { handler: 'app.handler' },
      }
    })
  })
  afterAll(() => served[Symbol.asyncDispose]())

  test('answers as if it were called directly', async () => {
    const part = fc
      .stringMatching(/^[\w%.~ü -]{0,8}$/)
      // A URL object takes dot segments away; the raw path of a request keeps them.
      .filter((text) => text !== '.' && text !== '..')
      .map((text) => encodeURIComponent(text))
    const request = fc.record({
      method: fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'PATCH'),
      path: fc.array(part, { maxLength: 3 }).map((parts) => parts.join('/')),
      query: fc.array(fc.tuple(part, part), { maxLength: 3 }),
      status: fc.constantFrom(200, 201, 404, 418, 500),
      // The adapter drops fields without a value.
      custom: fc.stringMatching(/^[!-~]{1,20}$/),
      // The adapter itself turns what is called text into text.
      content: fc.oneof(
        fc.record({
          type: fc.constantFrom('text/plain', 'application/json'),
          body: fc.string({ unit: 'grapheme' }).map((text) => Buffer.from(text)),
        }),
        fc.record({
          type: fc.constantFrom('application/octet-stream', 'image/png'),
          body: fc.uint8Array({ maxLength: 200 }),
        }),
      ),
    })
    await fc.assert(
      fc.asyncProperty(request, async ({ method, path, query, status, custom, content: { type, body } }) => {
        const search = [['status', String(status)], ...query.map(([name, value]) => [`q${name}`, value])]
          .map((pair) => pair.join('='))
          .join('&')
        const target = `/echo/${path}?${search}`
        const headers = { 'content-type': type, 'x-custom': custom }
        const hasBody = method !== 'GET' && body.length > 0
        const expected = await direct.request(`http://127.0.0.1${target}`, {
          method,
          headers,
          ...(hasBody ? { body } : {}),
        })
        const length = { 'content-length': String(body.length) }
        const seen = await served.ask(
          target,
          hasBody ? { method, headers: { ...headers, ...length }, body } : { method, headers },
        )
        expect(seen.status).toBe(expected.status)
        for (const name of ['content-type', 'x-path', 'x-query', 'x-custom'])
          expect([name, seen.headers[name]]).toEqual([name, expected.headers.get(name) ?? undefined])
        expect(seen.headers['set-cookie']).toEqual(expected.headers.getSetCookie())
        expect(seen.body.equals(Buffer.from(await expected.arrayBuffer()))).toBe(true)
      }),
      { numRuns: 100 },
    )
  })
})
