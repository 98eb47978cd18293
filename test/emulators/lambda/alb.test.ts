import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import { AlbSchema } from '@aws-lambda-powertools/parser/schemas'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { alb } from '../../../src/emulators/lambda/front-ends/alb.ts'
import type { HttpAnswer, RouteOptions } from '../../../src/emulators/lambda/front-ends/front-end.ts'
import type { ListenerConditions } from '../../../src/emulators/lambda/front-ends/route-options.ts'
import { frontEndRequest, type RequestParts } from './harness.ts'
import { serveApi, type AskOptions, type ServedApi } from './http-harness.ts'

const ARN = 'arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/lambda-target/abcdefg'

const behind = (options: Partial<RouteOptions>, parts: RequestParts): RequestParts => ({
  ...parts,
  route: { pattern: 'any', parameters: {}, options: { frontEnd: 'alb', targetGroupArn: ARN, ...options } },
})

const single = (parts: RequestParts): RequestParts => behind({}, parts)
const multi = (parts: RequestParts): RequestParts => behind({ multiValueHeaders: true }, parts)

const eventOf = (parts: RequestParts): Record<string, unknown> =>
  JSON.parse(alb.event(frontEndRequest(parts))) as Record<string, unknown>

const answerOf = (result: unknown, of = single): HttpAnswer | undefined =>
  alb.answer(Buffer.from(JSON.stringify(result)), frontEndRequest(of({})))

/** What a rule asks, and the function called like it. */
const RULES: Readonly<Record<string, ListenerConditions>> = {
  host: { host: ['*.A.test'] },
  header: { headers: [{ name: 'X-Kind', values: ['gold*'] }] },
  query: { query: [{ key: 'v', value: '2' }, { value: 'any' }] },
  path: { path: ['/img/*.p?g'], method: ['GET'] },
  both: {
    path: ['/both'],
    headers: [
      { name: 'a', values: ['1'] },
      { name: 'b', values: ['2'] },
    ],
  },
  stranger: { path: ['/ip'], ip: ['10.0.0.0/8'] },
  local: { path: ['/ip'], ip: ['10.0.0.0/8', '127.0.0.0/8'] },
  rest: { path: ['/rest*'] },
}

describe('a listener’s rules', () => {
  let api: ServedApi
  beforeAll(async () => {
    const names = Object.keys(RULES)
    api = await serveApi({
      code: names
        .map(
          (name) =>
            `export const ${name} = async (event) => ({ statusCode: 200, body: '${name} ' + Object.keys(event) })`,
        )
        .join('\n'),
      functions: names,
      // Not in the order of their priorities: the gateway comes by the first of them.
      routes: Object.entries(RULES)
        .map(([name, conditions], index) => ({
          route: '$default',
          function: name,
          options: {
            frontEnd: 'alb' as const,
            multiValueHeaders: name === 'host',
            listener: { name: 'x', priority: index, conditions },
          },
        }))
        .toReversed(),
    })
  })
  afterAll(() => api[Symbol.asyncDispose]())

  test.each<[string, string, Record<string, string>?]>([
    ['host', '/rest', { host: 'www.a.TEST:8069' }],
    ['header', '/rest', { 'x-kind': 'Golden' }],
    ['query', '/rest?V=2'],
    ['query', '/rest?x=ANY'],
    ['path', '/img/a/b.png'],
    ['both', '/both', { a: '1', b: '2' }],
    ['local', '/ip'],
    ['rest', '/restless?v=1'],
  ])('the first whose conditions all hold is asked: %s for %s', async (name, path, headers = {}) => {
    const { body } = await api.ask(path, { headers })
    expect(body.split(' ')[0]).toBe(name)
  })

  test('each rule has its own target group', async () => {
    expect((await api.ask('/', { headers: { host: 'b.a.test' } })).body).toContain('multiValueHeaders')
    expect((await api.ask('/rest')).body).not.toContain('multiValueHeaders')
  })

  test.each<[string, AskOptions?]>([
    ['/both', { headers: { a: '1' } }],
    ['/img/b.PNG'],
    ['/img/b.png', { method: 'POST' }],
    ['/'],
  ])('what no rule takes is 404: %s', async (path, options) => {
    expect((await api.ask(path, options)).status).toBe(404)
  })
})

describe('load balancer: request → event', () => {
  const parts: RequestParts = {
    method: 'POST',
    target: '/a%2Fb//c?q=1&q=a%20b+c&empty&=x',
    fields: ['Host', 'lb.test', 'X-One', 'a', 'x-one', 'b', 'Connection', 'keep-alive', 'TE', 'trailers'],
  }

  test('single values: the last of a name counts, names are lower-case, nothing is decoded [remembered]', () => {
    expect(eventOf(single(parts))).toEqual({
      requestContext: { elb: { targetGroupArn: ARN } },
      httpMethod: 'POST',
      path: '/a%2Fb//c',
      queryStringParameters: { q: 'a%20b+c', empty: '', '': 'x' },
      headers: {
        host: 'lb.test',
        'x-one': 'b',
        connection: 'keep-alive',
        'x-amzn-trace-id': 'Root=1-643eccfa-2c6028925c2b249524664087',
        'x-forwarded-for': '127.0.0.1',
        'x-forwarded-port': '443',
        'x-forwarded-proto': 'https',
      },
      body: '',
      isBase64Encoded: false,
    })
  })

  test('lists of values take the place of single ones', () => {
    const event = eventOf(multi(parts))
    expect(event).toMatchObject({
      multiValueHeaders: { 'x-one': ['a', 'b'], host: ['lb.test'] },
      multiValueQueryStringParameters: { q: ['1', 'a%20b+c'] },
    })
    expect(event).not.toHaveProperty('headers')
    expect(event).not.toHaveProperty('queryStringParameters')
  })

  const BODIES: readonly (readonly [rule: string, fields: readonly string[], body: string | Buffer, text: string, base64: boolean])[] = [
    ['text is text', ['Content-Type', 'text/css; charset=utf-8'], 'ü', 'ü', false],
    ['JSON is text', ['Content-Type', 'application/json'], '{}', '{}', false],
    ['JavaScript is text', ['Content-Type', 'application/javascript'], 'x', 'x', false],
    ['XML is text', ['Content-Type', 'application/xml'], '<a/>', '<a/>', false],
    ['JSON of a kind is bytes', ['Content-Type', 'application/problem+json'], '{}', 'e30=', true],
    ['a form is bytes', ['Content-Type', 'application/x-www-form-urlencoded'], 'a=1', 'YT0x', true],
    ['no type is bytes', [], 'a', 'YQ==', true],
    ['an encoded body is bytes', ['Content-Type', 'text/plain', 'Content-Encoding', 'gzip'], 'a', 'YQ==', true],
    ['text that is no UTF-8 is bytes, because it would be lost', ['Content-Type', 'text/plain'], Buffer.from([0xe9]), '6Q==', true],
  ] // prettier-ignore
  test.each(BODIES)('%s', (_rule, ...[fields, body, text, isBase64Encoded]) => {
    expect(eventOf(single({ method: 'POST', fields, body }))).toMatchObject({ body: text, isBase64Encoded })
  })

  test('every event has the shape that Powertools knows', () => {
    const pairs = fc.array(fc.tuple(fc.string(), fc.string()), { maxLength: 4 })
    fc.assert(
      fc.property(fc.string(), pairs, fc.uint8Array(), fc.boolean(), (target, fields, body, isMulti) => {
        const request = { target: `/${target}`, fields: fields.flat(), body: Buffer.from(body) }
        expect(() => AlbSchema.parse(eventOf(isMulti ? multi(request) : single(request)))).not.toThrow()
      }),
    )
  })

  const RECORDED = join(import.meta.dirname, '../../../../shared/fixtures/lambda/events')
  for (const [name, of] of [
    ['alb-lambda-target-request-headers-only', single],
    ['alb-lambda-target-request-multivalue-headers', multi],
  ] as const) {
    const file = join(RECORDED, `${name}.json`)
    if (existsSync(file)) {
      test(`the same request makes the same event: ${name}`, () => {
        const recorded = JSON.parse(readFileSync(file, 'utf8')) as Record<string, never>
        const made = eventOf(of(recordedRequest(recorded)))
        const isMulti = of === multi
        const shape = (event: Record<string, unknown>): unknown => {
          const key = isMulti ? 'multiValueHeaders' : 'headers'
          return { ...event, requestContext: undefined, [key]: Object.keys(event[key] as object).toSorted() }
        }
        expect(shape(made)).toEqual(shape(recorded))
      })
    } else
      test.skip(`the same request makes the same event: ${name} (not here: no recordings beside the project)`)
  }
})

function recordedRequest(event: Record<string, never>): RequestParts {
  const record = event as unknown as Record<string, Record<string, string | string[]> | undefined> & {
    path: string
  }
  const fields = Object.entries(record['headers'] ?? record['multiValueHeaders'] ?? {})
    .filter(([name]) => !/^x-(forwarded|amzn)/.test(name))
    .flatMap(([name, value]) => [name, [value].flat()[0] ?? ''])
  const query = Object.entries(
    record['queryStringParameters'] ?? record['multiValueQueryStringParameters'] ?? {},
  )
    .flatMap(([name, value]) => [value].flat().map((one) => `${name}=${one}`))
    .join('&')
  return { method: 'GET', target: `${record.path}?${query}`, fields }
}

describe('load balancer: result → response', () => {
  const ANSWERS: readonly (readonly [rule: string, result: unknown, answer: HttpAnswer | undefined])[] = [
    [
      'a response',
      { statusCode: 201, statusDescription: '201 Created', headers: { 'X-A': 'b', n: 1, t: true, none: null }, body: 'x' },
      { status: 201, fields: ['X-A', 'b', 'n', '1', 't', 'true'], body: 'x' },
    ],
    ['a status alone has no type [remembered]', { statusCode: 200 }, { status: 200, fields: [], body: '' }],
    ['Base64 is decoded', { statusCode: 200, body: 'AP8=', isBase64Encoded: true }, { status: 200, fields: [], body: Buffer.from([0, 255]) }],
    ['lists are not looked at in a group of single values', { statusCode: 200, multiValueHeaders: { a: ['b'] } }, { status: 200, fields: [], body: '' }],
    ['null headers are none', { statusCode: 200, headers: null }, { status: 200, fields: [], body: '' }],
    ['fields that frame the message are the server’s', { statusCode: 200, headers: { 'Content-Length': '9' } }, { status: 200, fields: [], body: '' }],
    ['no status makes no response', { body: 'x' }, undefined],
    ['a status of digits makes no response', { statusCode: '200' }, undefined],
    ['a status out of bounds makes no response', { statusCode: 99 }, undefined],
    ['a body that is no text makes no response', { statusCode: 200, body: {} }, undefined],
    ['headers that are no map make no response', { statusCode: 200, headers: ['a'] }, undefined],
    ['a text makes no response', 'hello', undefined],
    ['null makes no response', null, undefined],
    ['more than 1 MiB makes no response', { statusCode: 200, body: 'x'.repeat(1024 * 1024) }, undefined],
  ] // prettier-ignore
  test.each(ANSWERS)('%s', (_rule, result, answer) => expect(answerOf(result)).toEqual(answer))

  test('lists of values, where the group has them', () => {
    const result = {
      statusCode: 200,
      headers: { a: 'single' },
      multiValueHeaders: { 'Set-Cookie': ['a=1', 'b=2'] },
    }
    expect(answerOf(result, multi)).toEqual({
      status: 200,
      fields: ['Set-Cookie', 'a=1', 'Set-Cookie', 'b=2'],
      body: '',
    })
    expect(answerOf({ statusCode: 200, multiValueHeaders: { a: 'b' } }, multi)).toBeUndefined()
  })
})

describe('a function behind a load balancer', () => {
  let api: ServedApi
  beforeAll(async () => {
    const options: RouteOptions = { frontEnd: 'alb' }
    api = await serveApi({
      code: `
        export const hello = async (event) => ({ statusCode: 200, headers: { 'content-type': 'text/plain' }, body: event.path + Object.keys(event.queryStringParameters) })
        export const broken = async (event) => { if (event.path === '/plain') return 'plain'; throw new Error('broken') }`,
      functions: ['hello', 'broken'],
      routes: [
        { route: 'GET /hello', function: 'hello', options },
        { route: 'POST /hello', function: 'hello', options },
        { route: 'GET /broken', function: 'broken', options },
        { route: 'GET /plain', function: 'broken', options },
      ],
    })
  })
  afterAll(() => api[Symbol.asyncDispose]())

  test('answers as it says, without ids of other endpoints', async () => {
    const { status, body, headers } = await api.ask('/hello?a=1')
    expect([status, body]).toEqual([200, '/helloa'])
    expect(Object.keys(headers).filter((name) => name.startsWith('x-amz'))).toEqual([])
  })

  test.each(['/broken', '/plain'])('a failure and a result that is none are 502 pages: %s', async (path) => {
    const { status, body, headers } = await api.ask(path)
    expect([status, headers['content-type'], headers['server']]).toEqual([502, 'text/html', 'awselb/2.0'])
    expect(body).toContain('<h1>502 Bad Gateway</h1>')
  })

  test('a request above 1 MiB is 413', async () => {
    const headers = { 'content-type': 'text/plain' }
    const large = await api.ask('/hello', {
      method: 'POST',
      body: Buffer.alloc(1024 * 1024 + 1, 'a'),
      headers,
    })
    expect([large.status, large.headers['content-type']]).toEqual([413, 'text/html'])
    const fits = await api.ask('/hello', { method: 'POST', body: Buffer.alloc(1024 * 1024, 'a'), headers })
    expect(fits.status).toBe(200)
  })
})
