import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { openCors } from '../../../src/emulators/lambda/front-ends/cors.ts'
import {
  preflightRoute,
  type CorsOptions,
  type RouteOptions,
} from '../../../src/emulators/lambda/front-ends/route-options.ts'
import { serveApi, type ServedApi } from './http-harness.ts'

const CORS: CorsOptions = {
  allowOrigins: ['https://a.test', 'http://localhost:*'],
  allowMethods: ['GET', 'POST'],
  allowHeaders: ['content-type', 'x-own'],
  exposeHeaders: ['x-shown'],
  maxAge: 60,
  allowCredentials: true,
}

describe('a CORS block', () => {
  const NAMED = ['access-control-allow-origin', 'https://a.test', 'vary', 'Origin']
  const ORIGINS: readonly (readonly [
    rule: string,
    options: CorsOptions,
    origin: string | undefined,
    fields: readonly string[],
  ])[] = [
    ['an origin in the list is named', { allowOrigins: ['https://a.test'] }, 'https://a.test', NAMED],
    ['another one gets nothing', { allowOrigins: ['https://a.test'] }, 'https://b.test', []],
    ['without an origin there is nothing to say', { allowOrigins: ['*'] }, undefined, []],
    ['a block without origins allows none', {}, 'https://a.test', []],
    ['* stays *', { allowOrigins: ['*'] }, 'https://a.test', ['access-control-allow-origin', '*']],
    [
      '* with credentials names the origin, because browsers refuse * then',
      { allowOrigins: ['*'], allowCredentials: true },
      'https://a.test',
      [...NAMED, 'access-control-allow-credentials', 'true'],
    ],
    ['a star within stands for any text', { allowOrigins: ['https://*'] }, 'https://a.test', NAMED],
    ['a dot is a dot', { allowOrigins: ['https://a.test'] }, 'https://aXtest', []],
    [
      'what scripts may read is named',
      { allowOrigins: ['https://a.test'], exposeHeaders: ['x-a', 'x-b'] },
      'https://a.test',
      [...NAMED, 'access-control-expose-headers', 'x-a,x-b'],
    ],
  ]
  test.each(ORIGINS)('%s', (_rule, options, origin, fields) => {
    expect(openCors(options).fields(origin)).toEqual(fields)
  })

  test('a preflight answer names methods, fields and how long it counts', () => {
    expect(
      openCors(CORS).preflightFields('http://localhost:5173', { method: 'PUT', headers: 'x-asked' }),
    ).toEqual([
      'access-control-allow-origin', 'http://localhost:5173', 'vary', 'Origin',
      'access-control-allow-credentials', 'true',
      'access-control-allow-methods', 'GET,POST',
      'access-control-allow-headers', 'content-type,x-own',
      'access-control-max-age', '60',
    ]) // prettier-ignore
  })

  test('* of methods and fields is what was asked for when credentials are allowed', () => {
    const options = { allowOrigins: ['*'], allowMethods: ['*'], allowHeaders: ['*'] }
    const asked = { method: 'PUT', headers: 'x-asked' }
    expect(openCors(options).preflightFields('https://a.test', asked).slice(2)).toEqual([
      'access-control-allow-methods', '*', 'access-control-allow-headers', '*',
    ]) // prettier-ignore
    expect(
      openCors({ ...options, allowCredentials: true })
        .preflightFields('https://a.test', asked)
        .slice(-4),
    ).toEqual(['access-control-allow-methods', 'PUT', 'access-control-allow-headers', 'x-asked'])
  })
})

const CODE = `
export const hello = async (event) => ({ statusCode: 200, headers: {
  'Access-Control-Allow-Origin': 'https://of-the-function.test', 'access-control-allow-methods': 'PATCH', 'x-shown': event.requestContext.http?.method ?? event.httpMethod,
}, body: 'hello' })
export const failing = async () => { throw new Error('failing') }
`

const ASKS = { origin: 'https://a.test', 'access-control-request-method': 'POST' }

describe('an HTTP API with a CORS block', () => {
  let api: ServedApi
  beforeAll(async () => {
    const options: RouteOptions = { frontEnd: 'http-api', cors: CORS }
    api = await serveApi({
      code: CODE,
      functions: ['hello', 'failing'],
      routes: [
        { route: 'GET /hello', function: 'hello', options },
        { route: 'OPTIONS /own', function: 'hello', options },
        { route: 'GET /failing', function: 'failing', options },
        { route: 'GET /plain', function: 'hello', options: { frontEnd: 'http-api' } },
      ],
      derive: ([rule]) => (rule === undefined ? [] : [preflightRoute({ ...rule, options })]),
    })
  })
  afterAll(() => api[Symbol.asyncDispose]())

  test('answers preflight requests itself, for paths without an OPTIONS route', async () => {
    const { status, headers, body } = await api.ask('/hello', { method: 'OPTIONS', headers: ASKS })
    expect([status, body]).toEqual([204, ''])
    expect(headers).toMatchObject({
      'access-control-allow-origin': 'https://a.test',
      'access-control-allow-methods': 'GET,POST',
      'access-control-allow-headers': 'content-type,x-own',
      'access-control-max-age': '60',
      'access-control-allow-credentials': 'true',
    })
    expect(headers).not.toHaveProperty('content-type')
  })

  test('answers preflight requests although there is an OPTIONS route, which gets the rest', async () => {
    const preflight = await api.ask('/own', { method: 'OPTIONS', headers: ASKS })
    expect([preflight.status, preflight.body]).toEqual([204, ''])
    const plain = await api.ask('/own', { method: 'OPTIONS' })
    expect([plain.status, plain.body, plain.headers['x-shown']]).toEqual([200, 'hello', 'OPTIONS'])
  })

  test('an origin that is not allowed is answered without CORS fields', async () => {
    const headers = { ...ASKS, origin: 'https://b.test' }
    const preflight = await api.ask('/hello', { method: 'OPTIONS', headers })
    expect(Object.keys(preflight.headers).filter((name) => name.startsWith('access-control-'))).toEqual([])
    const actual = await api.ask('/hello', { headers: { origin: 'https://b.test' } })
    expect(actual.status).toBe(200)
    expect(Object.keys(actual.headers).filter((name) => name.startsWith('access-control-'))).toEqual([])
  })

  test('writes its own CORS fields over those of the function', async () => {
    const { headers, body } = await api.ask('/hello', { headers: { origin: 'https://a.test' } })
    expect(body).toBe('hello')
    expect(headers).toMatchObject({
      'access-control-allow-origin': 'https://a.test',
      'access-control-expose-headers': 'x-shown',
      'x-shown': 'GET',
    })
    expect(headers).not.toHaveProperty('access-control-allow-methods')
  })

  test('a failure has them too, so that a script can read why', async () => {
    const { status, headers } = await api.ask('/failing', { headers: { origin: 'https://a.test' } })
    expect(status).toBe(500)
    expect(headers['access-control-allow-origin']).toBe('https://a.test')
  })

  test('without a block the function’s own fields stand', async () => {
    const { headers } = await api.ask('/plain', { headers: { origin: 'https://a.test' } })
    expect(headers['access-control-allow-origin']).toBe('https://of-the-function.test')
  })
})

describe('a function URL with a CORS block', () => {
  test('answers preflight requests at its own address with 200 [status remembered, not recorded]', async () => {
    await using api = await serveApi({
      code: CODE,
      functions: ['hello'],
      routes: [],
      config: { options: { url: { cors: CORS } } },
    })
    const preflight = await api.ask('/_flexi/f/hello/any', { method: 'OPTIONS', headers: ASKS })
    expect([preflight.status, preflight.headers['access-control-allow-origin']]).toEqual([
      200,
      'https://a.test',
    ])
    const actual = await api.ask('/_flexi/f/hello/any', { headers: { origin: 'https://a.test' } })
    expect([actual.body, actual.headers['access-control-allow-origin']]).toEqual(['hello', 'https://a.test'])
  })
})

describe('a REST API', () => {
  test('has no CORS block: OPTIONS is a method like any other', async () => {
    await using api = await serveApi({
      code: CODE,
      functions: ['hello'],
      routes: [{ route: 'ANY /hello', function: 'hello', options: { frontEnd: 'rest-api' } }],
    })
    const { status, headers } = await api.ask('/hello', { method: 'OPTIONS', headers: ASKS })
    expect([status, headers['x-shown']]).toEqual([200, 'OPTIONS'])
    expect(headers['access-control-allow-origin']).toBe('https://of-the-function.test')
  })
})
