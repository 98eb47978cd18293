import { once } from 'node:events'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'

import fc from 'fast-check'
import { expect } from 'vitest'

import type { RouteOptions } from '../../../src/emulators/lambda/front-ends/front-end.ts'
import { askPort, serveApi, type ApiAnswer, type AskOptions } from './http-harness.ts'

/** An app behind every endpoint, and the same one on a server of its own. */
export interface RoundTrip extends AsyncDisposable {
  ask(frontEnd: string, asked: RoundTripRequest): Promise<Answers>
  /** Any request, its path as written. */
  askAs(target: string, options: AskOptions): Promise<Answers>
}

type Answers = readonly [behind: ApiAnswer, alone: ApiAnswer]

export interface RoundTripSetup {
  /** An ES module that exports the handler `app`. */
  readonly code: string
  readonly direct: Server
  readonly frontEnds?: Readonly<Record<string, RouteOptions>>
  /** What the app alone is asked for, where a library tells the app another path. */
  readonly pathAlone?: (frontEnd: string, path: string) => string
}

export const FRONT_ENDS: Readonly<Record<string, RouteOptions>> = {
  url: { frontEnd: 'function-url' },
  http: { frontEnd: 'http-api' },
  http1: { frontEnd: 'http-api', payloadFormat: '1.0' },
  rest: { frontEnd: 'rest-api', stage: 'Prod', binaryMediaTypes: ['*/*'] },
  alb: { frontEnd: 'alb' },
  albmulti: { frontEnd: 'alb', multiValueHeaders: true },
}

export async function openRoundTrip(setup: RoundTripSetup): Promise<RoundTrip> {
  const { code, direct, frontEnds = FRONT_ENDS, pathAlone = (_name, path) => path } = setup
  const api = await serveApi({
    code,
    functions: ['app'],
    routes: Object.entries(frontEnds).map(([name, options]) => ({
      route: `ANY /${name}/{proxy+}`,
      function: 'app',
      options,
    })),
  })
  if (!direct.listening) await once(direct, 'listening')
  const { port } = direct.address() as AddressInfo
  return {
    ask(name, asked) {
      const { path, query, options } = requestOf(name, asked)
      const target = `${pathAlone(name, path)}?${query}`
      return Promise.all([api.ask(`${path}?${query}`, options), askPort(port, target, options)])
    },
    askAs: (target, options) => Promise.all([api.ask(target, options), askPort(port, target, options)]),
    async [Symbol.asyncDispose]() {
      await api[Symbol.asyncDispose]()
      direct.close()
    },
  }
}

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

/** Requests with paths, queries, cookies and bodies of all kinds; each says what it wants answered. */
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

export type RoundTripRequest = typeof requests extends fc.Arbitrary<infer T> ? T : never

function requestOf(name: string, asked: RoundTripRequest) {
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
  return { path: `/${name}/${asked.path}`, query, options }
}

/** Status, cookies, body, and what the app saw: all as from the app alone. */
export async function expectSame(roundTrip: RoundTrip, name: string, numRuns = 60): Promise<void> {
  await fc.assert(
    fc.asyncProperty(requests, async (asked) => {
      const [behind, alone] = await roundTrip.ask(name, asked)
      expect(behind.status).toBe(alone.status)
      // Endpoints write a type of their own where the app names none, as the cloud's do.
      const fields = alone.headers['content-type'] === undefined ? ['x-seen'] : ['x-seen', 'content-type']
      for (const field of fields)
        expect([field, readable(behind.headers[field])]).toEqual([field, readable(alone.headers[field])])
      expect(behind.headers['set-cookie']).toEqual(alone.headers['set-cookie'])
      expect(behind.bytes.equals(alone.bytes)).toBe(true)
    }),
    { numRuns },
  )
}

function readable(value: string | string[] | undefined): string | undefined {
  return value === undefined ? undefined : decodeURIComponent(String(value))
}
