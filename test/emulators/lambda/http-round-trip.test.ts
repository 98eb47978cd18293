import { once } from 'node:events'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'

import { serve } from '@hono/node-server'
import fc from 'fast-check'
import { Hono } from 'hono'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import type { RouteOptions } from '../../../src/emulators/lambda/front-ends/front-end.ts'
import { askPort, serveApi, type ApiAnswer, type AskOptions, type ServedApi } from './http-harness.ts'

/** The same app runs here and behind every endpoint: what it says of a request, and the response that the request asks for. */
const APP = `(app) => {
  app.all('*', async (c) => {
    const queries = c.req.queries()
    const cookies = Number(c.req.query('cookies') ?? 0)
    const seen = { method: c.req.method, path: c.req.path, queries: Object.entries(queries).sort(), own: c.req.header('x-own'), type: c.req.header('content-type'), cookie: c.req.header('cookie'), host: c.req.header('host') !== undefined }
    c.header('x-seen', encodeURIComponent(JSON.stringify(seen)))
    for (let index = 0; index < cookies; index += 1) c.header('set-cookie', 'c' + index + '=v; Path=/', { append: true })
    const status = Number(c.req.query('status') ?? 200)
    if (status === 204) return c.body(null, 204)
    return c.body(await c.req.arrayBuffer(), status, { 'content-type': c.req.header('content-type') ?? 'text/plain' })
  })
  return app
}`

const FRONT_ENDS: Readonly<Record<string, RouteOptions>> = {
  url: { frontEnd: 'function-url' },
  http: { frontEnd: 'http-api' },
  http1: { frontEnd: 'http-api', payloadFormat: '1.0' },
  rest: { frontEnd: 'rest-api', stage: 'Prod', binaryMediaTypes: ['*/*'] },
  alb: { frontEnd: 'alb' },
  albmulti: { frontEnd: 'alb', multiValueHeaders: true },
}

describe('an app of hono/aws-lambda answers as on a server of its own', () => {
  let api: ServedApi
  let direct: Server
  beforeAll(async () => {
    api = await serveApi({
      code: `
        import { Hono } from '${import.meta.resolve('hono')}'
        import { handle } from '${import.meta.resolve('hono/aws-lambda')}'
        export const app = handle((${APP})(new Hono()))`,
      functions: ['app'],
      routes: Object.entries(FRONT_ENDS).map(([name, options]) => ({
        route: `ANY /${name}/{proxy+}`,
        function: 'app',
        options,
      })),
    })
    // The same text as the function's, so that the two cannot differ.
    // oxlint-disable-next-line typescript/no-implied-eval
    const make = new Function(`return ${APP}`)() as (app: Hono) => Hono
    direct = serve({ fetch: make(new Hono()).fetch, port: 0, hostname: '127.0.0.1' }) as Server
    if (!direct.listening) await once(direct, 'listening')
  })
  afterAll(async () => {
    await api[Symbol.asyncDispose]()
    direct.close()
  })

  const text = fc.stringMatching(/^[\w%.~ü &=+-]{1,8}$/).filter((part) => part !== '.' && part !== '..')
  const encoded = text.map((part) => encodeURIComponent(part))
  const content = fc.oneof(
    fc.record({
      type: fc.constantFrom('text/plain', 'application/json', 'text/html; charset=utf-8'),
      body: fc.string({ unit: 'grapheme' }).map((body) => Buffer.from(body)),
    }),
    fc.record({
      type: fc.constantFrom('application/octet-stream', 'image/png', 'multipart/form-data; boundary=x'),
      body: fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
    }),
  )
  const requests = fc.record({
    method: fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'PATCH'),
    path: fc.array(encoded, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/')),
    query: fc.array(fc.tuple(fc.constantFrom('a', 'b', 'ü'), encoded), { maxLength: 3 }),
    status: fc.constantFrom(200, 201, 204, 404, 418, 500),
    cookies: fc.constantFrom(0, 1, 2),
    own: fc.stringMatching(/^[!-~]{1,20}$/),
    cookie: fc.option(fc.constantFrom('a=1', 'a=1; b=2'), { nil: undefined }),
    content,
  })
  type Asked = typeof requests extends fc.Arbitrary<infer T> ? T : never

  const ask = async (name: string, asked: Asked): Promise<readonly [ApiAnswer, ApiAnswer]> => {
    // Where an endpoint has one value a name, one is what is sent.
    const isSingle = name === 'alb'
    const pairs = isSingle ? [...new Map(asked.query)] : asked.query
    const cookies = isSingle ? Math.min(1, asked.cookies) : asked.cookies
    const query = [['status', String(asked.status)], ['cookies', String(cookies)], ...pairs] // prettier-ignore
      .map(([key, value]) => `${encodeURIComponent(key ?? '')}=${value}`)
      .join('&')
    const hasBody = asked.method !== 'GET' && asked.content.body.length > 0
    const options: AskOptions = {
      method: asked.method,
      headers: {
        'x-own': asked.own,
        accept: '*/*',
        ...(asked.cookie === undefined ? {} : { cookie: asked.cookie }),
        ...(hasBody
          ? { 'content-type': asked.content.type, 'content-length': String(asked.content.body.length) }
          : {}),
      },
      ...(hasBody ? { body: asked.content.body } : {}),
    }
    const target = `/${name}/${asked.path}?${query}`
    return await Promise.all([
      api.ask(target, options),
      askPort((direct.address() as AddressInfo).port, target, options),
    ])
  }

  test.each(Object.keys(FRONT_ENDS))(
    'behind %s',
    async (name) => {
      await fc.assert(
        fc.asyncProperty(requests, async (asked) => {
          const [behind, alone] = await ask(name, asked)
          expect(behind.status).toBe(alone.status)
          // Endpoints write a type of their own where the app names none, as the cloud's do.
          const fields = alone.headers['content-type'] === undefined ? ['x-seen'] : ['x-seen', 'content-type']
          for (const field of fields)
            expect([field, readable(behind.headers[field])]).toEqual([field, readable(alone.headers[field])])
          expect(behind.headers['set-cookie']).toEqual(alone.headers['set-cookie'])
          expect(behind.bytes.equals(alone.bytes)).toBe(true)
        }),
        { numRuns: 60 },
      )
    },
    20_000,
  )
})

function readable(value: string | string[] | undefined): string | undefined {
  return value === undefined ? undefined : decodeURIComponent(String(value))
}
