import {
  APIGatewayProxyEventSchema,
  APIGatewayProxyEventV2Schema,
  LambdaFunctionUrlSchema,
} from '@aws-lambda-powertools/parser/schemas'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import type { FrontEnd, RouteOptions } from '../../../src/emulators/lambda/front-ends/front-end.ts'
import { functionUrl } from '../../../src/emulators/lambda/front-ends/function-url.ts'
import { httpApi } from '../../../src/emulators/lambda/front-ends/http-api.ts'
import { restApi } from '../../../src/emulators/lambda/front-ends/rest-api.ts'
import type { Passage } from '../../../src/emulators/lambda/front-ends/passage.ts'
import { frontEndRequest, type RequestParts } from './harness.ts'
import { serveApi, type ServedApi } from './http-harness.ts'

describe('every event has the shape that Powertools knows', () => {
  const request = fc.record({
    method: fc.constantFrom('GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS'),
    target: fc
      .webUrl({ withQueryParameters: true })
      .map((url) => new URL(url).pathname + new URL(url).search),
    fields: fc
      .array(
        fc.tuple(
          fc.constantFrom('Host', 'X-One', 'x-two', 'Cookie', 'Content-Type', 'User-Agent'),
          fc.string(),
        ),
      )
      .map((pairs) => pairs.flat()),
    body: fc.uint8Array().map((bytes) => Buffer.from(bytes)),
  })
  const passage: fc.Arbitrary<Passage | undefined> = fc.constantFrom(
    undefined,
    { authorized: { kind: 'lambda', principalId: 'me', context: { a: 1 }, tookMs: 2 } },
    { authorized: { kind: 'jwt', claims: { sub: 'me' }, scopes: undefined } },
    { authorized: { kind: 'jwt', claims: { sub: 'me' }, scopes: ['read'] } },
    { apiKey: { value: 'secret' } },
  )
  const SHAPES: readonly (readonly [name: string, frontEnd: FrontEnd, options: RouteOptions, schema: { parse(value: unknown): unknown }])[] = [
    ['function URL', functionUrl, { frontEnd: 'function-url' }, LambdaFunctionUrlSchema],
    ['HTTP API 2.0', httpApi, { frontEnd: 'http-api', stage: 'dev', stageVariables: { v: '1' } }, APIGatewayProxyEventV2Schema],
    ['HTTP API 1.0', httpApi, { frontEnd: 'http-api', payloadFormat: '1.0' }, APIGatewayProxyEventSchema],
    ['REST API', restApi, { frontEnd: 'rest-api', operationName: 'op' }, APIGatewayProxyEventSchema],
  ] // prettier-ignore
  test.each(SHAPES)('%s', (_name, frontEnd, options, schema) => {
    fc.assert(
      fc.property(request, passage, (parts, learnt) => {
        const route = { pattern: 'any', parameters: { id: 'a%20b' }, options }
        const event = frontEnd.event({ ...frontEndRequest({ ...parts, route }), passage: learnt })
        expect(() => schema.parse(JSON.parse(event))).not.toThrow()
      }),
    )
  })
})

const eventOf = (frontEnd: FrontEnd, parts: RequestParts, passage?: Passage): Record<string, never> =>
  JSON.parse(frontEnd.event({ ...frontEndRequest(parts), passage })) as Record<string, never>

const withOptions = (options: RouteOptions): RequestParts => ({
  route: { pattern: 'any', parameters: {}, options },
})

describe('what an authorizer said, in the event', () => {
  const lambda: Passage = {
    authorized: { kind: 'lambda', principalId: 'me', context: { n: 1, deep: { er: true } }, tookMs: 7 },
  }
  const jwt: Passage = { authorized: { kind: 'jwt', claims: { sub: 'me' }, scopes: ['read'] } }
  const PLACES: readonly (readonly [rule: string, frontEnd: FrontEnd, options: RouteOptions, passage: Passage, authorizer: unknown])[] = [
    ['format 2.0 keeps the context as it is', httpApi, { frontEnd: 'http-api' }, lambda, { lambda: { n: 1, deep: { er: true } } }],
    ['format 2.0 has claims and scopes', httpApi, { frontEnd: 'http-api' }, jwt, { jwt: { claims: { sub: 'me' }, scopes: ['read'] } }],
    ['REST APIs have texts and the principal', restApi, { frontEnd: 'rest-api' }, { authorized: { kind: 'lambda', principalId: 'me', context: { n: 1 }, tookMs: 7 } }, { n: '1', principalId: 'me', integrationLatency: 7 }],
    ['format 1.0 has the claims of a token', httpApi, { frontEnd: 'http-api', payloadFormat: '1.0' }, jwt, { claims: { sub: 'me' }, scopes: ['read'] }],
  ] // prettier-ignore
  test.each(PLACES)('%s', (_rule, ...[frontEnd, options, passage, authorizer]) => {
    expect(eventOf(frontEnd, withOptions(options), passage)['requestContext']).toMatchObject({ authorizer })
  })

  test('an id of the API stands for the function’s name', () => {
    for (const [frontEnd, name] of [
      [httpApi, 'http-api'],
      [restApi, 'rest-api'],
    ] as const)
      // prettier-ignore
      expect(eventOf(frontEnd, withOptions({ frontEnd: name, apiId: 'my-api' }))['requestContext']).toMatchObject({
        apiId: 'my-api',
        domainPrefix: 'my-api',
      })
  })
})

describe('an HTTP API in format 1.0', () => {
  const BODIES: readonly (readonly [type: string, body: Buffer, isBase64Encoded: boolean])[] = [
    ['image/png', Buffer.from([1, 255]), true],
    ['application/json', Buffer.from('{}'), false],
    ['text/plain', Buffer.from([0xe9]), true],
  ]
  test.each(BODIES)('has no binary types, and loses no byte of %s', (type, body, isBase64Encoded) => {
    const options: RouteOptions = { frontEnd: 'http-api', payloadFormat: '1.0' }
    const parts = { ...withOptions(options), method: 'POST', fields: ['content-type', type], body }
    const event = eventOf(httpApi, parts)
    expect(event['isBase64Encoded']).toBe(isBase64Encoded)
    expect(Buffer.from(event['body'] ?? '', isBase64Encoded ? 'base64' : 'utf8')).toEqual(body)
  })
})

const CODE = `
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const payload = (event) => ({ statusCode: 200, headers: { 'x-body': String(event.body?.length ?? 0) }, body: 'in time' })
export const hello = async (event) => { if ((event.rawPath ?? event.path).endsWith('slow')) await pause(400); return payload(event) }
export const throwing = async () => { throw new Error('thrown') }
export const odd = async () => ({ statusCode: 'odd' })
export const stream = awslambda.streamifyResponse(async (event, stream) => { const out = awslambda.HttpResponseStream.from(stream, { statusCode: 201, headers: { 'x-a': 'b' } }); out.write('one'); out.end('two') })
`

describe('an endpoint’s own answers', () => {
  let api: ServedApi
  beforeAll(async () => {
    const paths = ['hello', 'slow', 'throwing', 'odd', 'stream']
    const of = (prefix: string, options: RouteOptions) =>
      paths.map((path) => ({
        route: `ANY /${prefix}/${path}`,
        function: path === 'slow' ? 'hello' : path,
        options: path === 'slow' ? { ...options, timeoutMs: 100 } : options,
      }))
    api = await serveApi({
      code: CODE,
      functions: ['hello', 'throwing', 'odd', 'stream'],
      routes: [
        ...of('url', { frontEnd: 'function-url' }),
        ...of('http', { frontEnd: 'http-api' }),
        ...of('rest', { frontEnd: 'rest-api', stage: 'Prod' }),
        ...of('alb', { frontEnd: 'alb' }),
        ...of('flow', { frontEnd: 'rest-api', streams: true }),
      ],
    })
  })
  afterAll(() => api[Symbol.asyncDispose]())

  const JSON_TYPE = 'application/json'
  const FAILURES: readonly (readonly [path: string, status: number, type: string, body: string])[] = [
    ['/url/throwing', 502, 'text/plain;charset=utf-8', 'Internal Server Error'],
    ['/url/odd', 502, 'text/plain;charset=utf-8', 'Internal Server Error'],
    ['/http/throwing', 500, JSON_TYPE, '{"message":"Internal Server Error"}'],
    ['/http/odd', 500, JSON_TYPE, '{"message":"Internal Server Error"}'],
    ['/http/slow', 503, JSON_TYPE, '{"message":"Service Unavailable"}'],
    ['/rest/throwing', 502, JSON_TYPE, '{"message": "Internal server error"}'],
    ['/rest/odd', 502, JSON_TYPE, '{"message": "Internal server error"}'],
    ['/rest/slow', 504, JSON_TYPE, '{"message": "Endpoint request timed out"}'],
  ]
  test.each(FAILURES)('%s is %d', async (path, status, type, body) => {
    const answer = await api.ask(path)
    expect([answer.status, answer.headers['content-type'], answer.body]).toEqual([status, type, body])
  })

  test('an invocation that the endpoint no longer waits for goes on, and its connection stays usable', async () => {
    const [first, second] = await Promise.all([api.ask('/http/slow'), api.ask('/http/hello')])
    expect([first.status, second.body]).toEqual([503, 'in time'])
    expect((await api.ask('/http/hello')).body).toBe('in time')
  })

  test('ids of the request are where each endpoint has them', async () => {
    const ids = async (path: string): Promise<string[]> =>
      Object.keys((await api.ask(path)).headers)
        .filter((name) => /^(x-amz|apigw)/.test(name))
        .toSorted()
    expect(await ids('/url/hello')).toEqual(['x-amzn-requestid', 'x-amzn-trace-id'])
    expect(await ids('/http/hello')).toEqual(['apigw-requestid'])
    expect(await ids('/rest/hello')).toEqual(['x-amz-apigw-id', 'x-amzn-requestid', 'x-amzn-trace-id'])
    expect(await ids('/alb/hello')).toEqual([])
  })

  const SIX = 6 * 1024 * 1024
  const LARGE: readonly (readonly [path: string, bytes: number, body: string])[] = [
    [
      '/url/hello',
      SIX + 1,
      `{"message":"Request must be smaller than ${SIX} bytes for the InvokeFunction operation"}`,
    ],
    ['/http/hello', 10 * 1024 * 1024 + 1, '{"message":"Request Entity Too Large"}'],
    ['/rest/hello', 10 * 1024 * 1024 + 1, '{"message":"Request Too Long"}'],
    // Within the endpoint's limit, but Base64 makes the event larger than an invocation may be.
    ['/http/hello', 5 * 1024 * 1024, '{"message":"Request Entity Too Large"}'],
  ]
  test.each(LARGE)('%s refuses %d bytes with 413', async (path, bytes, body) => {
    const answer = await api.ask(path, { method: 'POST', body: Buffer.alloc(bytes) })
    expect([answer.status, answer.body]).toEqual([413, body])
  })

  test('a REST API streams where its route says so, and buffers elsewhere', async () => {
    const { status, headers, body } = await api.ask('/flow/stream')
    expect([status, headers['x-a'], headers['content-length'], body]).toEqual([201, 'b', undefined, 'onetwo'])
    expect((await api.ask('/rest/stream')).status).toBe(502)
  })

  test('a function URL that is BUFFERED takes what a handler streams for its result', async () => {
    const code = `
      export const head = awslambda.streamifyResponse(async (event, stream) => { awslambda.HttpResponseStream.from(stream, { statusCode: 201 }).end('two') })
      export const json = awslambda.streamifyResponse(async (event, stream) => { stream.write('{"statusCode":202,'); stream.end('"body":"whole"}') })`
    const functions = ['head', 'json']
    const served = async (invokeMode: string | undefined): Promise<ServedApi> =>
      serveApi({ code, functions, routes: [], config: { options: { url: { invokeMode } } } })
    const said = async (url: ServedApi, name: string): Promise<[number, string]> => {
      const { status, body } = await url.ask(`/_flexi/f/${name}/`)
      return [status, body]
    }
    await using buffered = await served('BUFFERED')
    expect(await said(buffered, 'json')).toEqual([202, 'whole'])
    // The head of a stream is no JSON that a result could be.
    expect(await said(buffered, 'head')).toEqual([502, 'Internal Server Error'])
    for (const mode of ['RESPONSE_STREAM', undefined]) {
      await using streamed = await served(mode)
      expect(await said(streamed, 'json')).toEqual([200, '{"statusCode":202,"body":"whole"}'])
      expect(await said(streamed, 'head')).toEqual([201, 'two'])
    }
  })

  test('a stream without the head that it promises is told once, however long it is', async () => {
    const code = `export const endless = awslambda.streamifyResponse(async (_event, stream) => {
      stream.setContentType('application/vnd.awslambda.http-integration-response')
      for (let count = 0; count < 64; count += 1) stream.write('x'.repeat(65536))
      stream.end()
    })`
    await using url = await serveApi({ code, functions: ['endless'], routes: [] })
    const { status, body } = await url.ask('/_flexi/f/endless/')
    expect([status, body]).toEqual([502, 'Internal Server Error'])
    expect((await url.ask('/_flexi/f/endless/')).status).toBe(502)
    expect(url.faults.map(({ message }) => message)).toEqual([
      'the stream has no head',
      'the stream has no head',
    ])
  })
})
