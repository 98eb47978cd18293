import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import type {
  FrontEnd,
  HttpAnswer,
  RouteOptions,
} from '../../../src/emulators/lambda/front-ends/front-end.ts'
import { functionUrl } from '../../../src/emulators/lambda/front-ends/function-url.ts'
import { httpApi } from '../../../src/emulators/lambda/front-ends/http-api.ts'
import { restApi } from '../../../src/emulators/lambda/front-ends/rest-api.ts'
import { frontEndRequest, type RequestParts } from './harness.ts'

type Event = Record<string, never> & { readonly [name: string]: unknown }

const eventOf = (frontEnd: FrontEnd, parts: RequestParts): Event =>
  JSON.parse(frontEnd.event(frontEndRequest(parts))) as Event

const answerOf = (frontEnd: FrontEnd, result: unknown, parts: RequestParts = {}): HttpAnswer | undefined =>
  frontEnd.answer(
    Buffer.from(typeof result === 'string' ? result : JSON.stringify(result)),
    frontEndRequest(parts),
  )

const withRoute = (options: RouteOptions, parameters: Record<string, string> = {}): RequestParts => ({
  route: { pattern: 'any', parameters, options },
})

describe('function URL: request → event', () => {
  test('keys without content are absent', () => {
    expect(Object.keys(eventOf(functionUrl, {})).toSorted()).toEqual(
      [
        'headers',
        'isBase64Encoded',
        'rawPath',
        'rawQueryString',
        'requestContext',
        'routeKey',
        'version',
      ].toSorted(),
    )
  })

  const PATHS: Readonly<Record<string, readonly [target: string, rawPath: string, rawQueryString: string]>> =
    {
      'an encoded slash stays': ['/pa2%Fth/1', '/pa2%Fth/1', ''],
      'dots and double slashes stay': ['/a/../b//c?x', '/a/../b//c', 'x'],
      'a query stays as sent': ['/?q=%20+%zz&q=2', '/', 'q=%20+%zz&q=2'],
      'a second question mark belongs to the query': ['/a?b?c', '/a', 'b?c'],
      'quotes and backslashes survive': ['/"\\?"\\', '/"\\', '"\\'],
    }
  for (const [rule, [target, rawPath, rawQueryString]] of Object.entries(PATHS)) {
    test(rule, () => expect(eventOf(functionUrl, { target })).toMatchObject({ rawPath, rawQueryString }))
  }

  const QUERIES: Readonly<Record<string, readonly [query: string, parameters: unknown]>> = {
    'values are decoded, + is a space': ['plus=test+alias&a=%C3%BC', { plus: 'test alias', a: 'ü' }],
    'repeats are joined': ['q=1&x=y&q=2', { q: '1,2', x: 'y' }],
    'a name without a value is empty': ['a&b=', { a: '', b: '' }],
    'what cannot be decoded stays': ['a=%zz&b=%41%zz', { a: '%zz', b: 'A%zz' }],
    'only the first = separates': ['a=b=c', { a: 'b=c' }],
    'an empty pair is none': ['&&', undefined],
  }
  for (const [rule, [query, parameters]] of Object.entries(QUERIES)) {
    test(rule, () =>
      expect(eventOf(functionUrl, { target: `/?${query}` })['queryStringParameters']).toEqual(parameters),
    )
  }

  test('names are lower-case, duplicates joined, what belongs to the connection gone', () => {
    const fields = [
      'Host',
      'a.test:81',
      'X-One',
      'a',
      'x-one',
      'b, c',
      'Connection',
      'keep-alive',
      'Transfer-Encoding',
      'chunked',
    ]
    expect(eventOf(functionUrl, { fields })['headers']).toEqual({
      host: 'a.test:81',
      'x-one': 'a,b, c',
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-port': '81',
      'x-forwarded-proto': 'https',
      'x-amzn-trace-id': 'Root=1-643eccfa-2c6028925c2b249524664087',
    })
  })

  test('cookies are a list, and stay a field', () => {
    const event = eventOf(functionUrl, { fields: ['Cookie', 'a=1; b="x y"', 'cookie', 'c=3'] })
    expect(event['cookies']).toEqual(['a=1', 'b="x y"', 'c=3'])
    expect(event['headers']).toMatchObject({ cookie: 'a=1; b="x y"; c=3' })
  })

  test('a field called __proto__ is a field like any other', () => {
    expect(functionUrl.event(frontEndRequest({ fields: ['__proto__', 'x'] }))).toContain('"__proto__":"x"')
  })

  const BODIES: Readonly<
    Record<string, readonly [type: string | undefined, body: string | Buffer, text: string, base64: boolean]>
  > = {
    'JSON is text': ['application/json', '{"ü":1}', '{"ü":1}', false],
    'JSON of a kind is text': ['application/problem+json; charset=utf-8', '{}', '{}', false],
    'text is text': ['text/plain', 'a', 'a', false],
    'XML is text': ['application/xml', '<a/>', '<a/>', false],
    'JavaScript is text': ['application/javascript', 'x', 'x', false],
    'a form is bytes': ['application/x-www-form-urlencoded', 'a=1', 'YT0x', true],
    'multipart is bytes': ['multipart/form-data; boundary=x', 'a', 'YQ==', true],
    'an unknown type is bytes': ['idk', '<idk/>', 'PGlkay8+', true],
    'no type is bytes': [undefined, 'a', 'YQ==', true],
    'text that is no UTF-8 is bytes': ['text/plain; charset=latin1', Buffer.from([0xe9]), '6Q==', true],
  }
  for (const [rule, [type, body, text, base64]] of Object.entries(BODIES)) {
    test(rule, () => {
      const fields = type === undefined ? [] : ['Content-Type', type]
      expect(eventOf(functionUrl, { method: 'POST', fields, body })).toMatchObject({
        body: text,
        isBase64Encoded: base64,
      })
    })
  }

  test('an empty body is no body', () => {
    expect(eventOf(functionUrl, { method: 'POST', body: '' })).not.toHaveProperty('body')
  })

  test('any target and any fields make JSON', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary' }),
        fc.array(fc.tuple(fc.string(), fc.string({ unit: 'binary' }))),
        (target, pairs) => {
          const event = eventOf(functionUrl, { target: `/${target}`, fields: pairs.flat() })
          expect(
            `${String(event['rawPath'])}${target.includes('?') ? '?' : ''}${String(event['rawQueryString'])}`,
          ).toBe(`/${target}`)
        },
      ),
    )
  })

  test('binary bodies survive the way there', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 1 }),
        fc.constantFrom('text/plain', 'application/octet-stream'),
        (bytes, type) => {
          const event = eventOf(functionUrl, { body: Buffer.from(bytes), fields: ['content-type', type] })
          const encoding = event['isBase64Encoded'] === true ? 'base64' : 'utf8'
          expect(Buffer.from(String(event['body']), encoding).equals(Buffer.from(bytes))).toBe(true)
        },
      ),
    )
  })
})

/** Recorded from the real service; only their shape is borrowed, and only where they are at hand. */
const RECORDED = join(import.meta.dirname, '../../../../shared/fixtures/lambda/events')

describe('function URL: recorded events', () => {
  if (!existsSync(RECORDED)) {
    test.skip('the same request makes the same event (not here: the recordings are not beside the project)')
    return
  }
  const names = readdirSync(RECORDED).filter((name) => name.startsWith('lambdaurl-'))
  for (const name of names) {
    test(`the same request makes the same event: ${name}`, () => {
      const recorded = JSON.parse(readFileSync(join(RECORDED, name), 'utf8')) as Event
      const { headers, requestContext } = recorded as unknown as {
        headers: Record<string, string>
        requestContext: { http: { method: string; path: string }; timeEpoch: number; requestId: string }
      }
      const sent = Object.entries(headers).filter(
        ([field]) => !field.startsWith('x-forwarded-') && field !== 'x-amzn-trace-id',
      )
      const query = String(recorded['rawQueryString'])
      const body = recorded['body'] as string | undefined
      const parts: RequestParts = {
        method: requestContext.http.method,
        target: String(recorded['rawPath']) + (query === '' ? '' : `?${query}`),
        fields: sent.flat(),
        receivedAt: requestContext.timeEpoch,
        ...(body === undefined
          ? {}
          : { body: Buffer.from(body, recorded['isBase64Encoded'] === true ? 'base64' : 'utf8') }),
      }
      const made = eventOf(functionUrl, parts) as unknown as typeof recorded & {
        requestContext: Record<string, unknown>
      }
      // What the account, the address and the port of the recording were is not the request's.
      const ours = {
        accountId: 'anonymous',
        apiId: 'tested',
        domainPrefix: 'tested',
        requestId: made.requestContext['requestId'],
      }
      const expected = {
        ...recorded,
        headers: { ...headers, 'x-amzn-trace-id': 'Root=1-643eccfa-2c6028925c2b249524664087' },
        requestContext: { ...requestContext, ...ours, authorizer: undefined },
      }
      expect(made).toEqual(expected)
    })
  }
})

describe('payload format 2.0: result → response', () => {
  const JSON_TYPE = ['content-type', 'application/json']
  const ANSWERS: Readonly<Record<string, readonly [result: unknown, answer: HttpAnswer | undefined]>> = {
    'a text is sent as it is': ['"hello"', { status: 200, fields: JSON_TYPE, body: 'hello' }],
    'a number is JSON': [3.1, { status: 200, fields: JSON_TYPE, body: '3.1' }],
    'true is JSON': [true, { status: 200, fields: JSON_TYPE, body: 'true' }],
    'null is JSON': [null, { status: 200, fields: JSON_TYPE, body: 'null' }],
    'a list is JSON': [['hello', 3, true], { status: 200, fields: JSON_TYPE, body: '["hello",3,true]' }],
    'an object without statusCode is JSON': [
      { hello: 'world' },
      { status: 200, fields: JSON_TYPE, body: '{"hello":"world"}' },
    ],
    'a status alone has an empty body': [{ statusCode: 204 }, { status: 204, fields: JSON_TYPE, body: '' }],
    'a status may be digits': [
      { statusCode: '418', body: 'tea' },
      { status: 418, fields: JSON_TYPE, body: 'tea' },
    ],
    'a body that is no text is JSON': [
      { statusCode: 200, body: { a: 1 } },
      { status: 200, fields: JSON_TYPE, body: '{"a":1}' },
    ],
    'Base64 is decoded': [
      { statusCode: 200, body: 'AP8=', isBase64Encoded: true },
      { status: 200, fields: JSON_TYPE, body: Buffer.from([0, 255]) },
    ],
    'fields keep their case and order': [
      { statusCode: 200, headers: { 'X-B': 'b', 'Content-Type': 'text/plain', a: 1, t: true } },
      { status: 200, fields: ['X-B', 'b', 'Content-Type', 'text/plain', 'a', '1', 't', 'true'], body: '' },
    ],
    'cookies are a field each': [
      { statusCode: 200, cookies: ['a=1; Path=/', 'b=2'] },
      { status: 200, fields: [...JSON_TYPE, 'set-cookie', 'a=1; Path=/', 'set-cookie', 'b=2'], body: '' },
    ],
    'multiValueHeaders and null fields are ignored': [
      { statusCode: 200, headers: { a: null }, multiValueHeaders: { b: ['1'] } },
      { status: 200, fields: JSON_TYPE, body: '' },
    ],
    'fields that frame the message are the server’s': [
      {
        statusCode: 200,
        headers: { 'Content-Length': '9', connection: 'close', 'Transfer-Encoding': 'chunked' },
      },
      { status: 200, fields: JSON_TYPE, body: '' },
    ],
    'a status that is a word makes no response': [{ statusCode: 'test' }, undefined],
    'a status below 200 makes no response': [{ statusCode: 101 }, undefined],
    'a status above 599 makes no response': [{ statusCode: 1000 }, undefined],
    'headers that are no map make no response': [{ statusCode: 200, headers: 'x' }, undefined],
    'a field that is a list makes no response': [{ statusCode: 200, headers: { a: ['b'] } }, undefined],
    'what is no JSON makes no response': ['{', undefined],
  }
  for (const [rule, [result, answer]] of Object.entries(ANSWERS)) {
    for (const [name, frontEnd] of [
      ['function URL', functionUrl],
      ['HTTP API', httpApi],
    ] as const) {
      test(`${rule} (${name})`, () => expect(answerOf(frontEnd, result)).toEqual(answer))
    }
  }

  test('errors are the endpoint’s own', () => {
    expect(functionUrl.refuse('function-error')).toMatchObject({ status: 502, body: 'Internal Server Error' })
    expect(functionUrl.refuse('throttled').status).toBe(429)
    expect(httpApi.refuse('function-error')).toMatchObject({
      status: 500,
      body: '{"message":"Internal Server Error"}',
    })
    expect(restApi.refuse('malformed-result')).toMatchObject({
      status: 502,
      body: '{"message": "Internal server error"}',
    })
  })
})

describe('HTTP API: request → event', () => {
  test('the route, its decoded parameters, the stage and its variables', () => {
    const options: RouteOptions = {
      frontEnd: 'http-api',
      routeKey: 'GET /a/{id}',
      stage: 'dev',
      stageVariables: { v: '1' },
    }
    expect(eventOf(httpApi, { target: '/a/x%20y', ...withRoute(options, { id: 'x%20y' }) })).toMatchObject({
      version: '2.0',
      routeKey: 'GET /a/{id}',
      rawPath: '/dev/a/x%20y',
      pathParameters: { id: 'x y' },
      stageVariables: { v: '1' },
      requestContext: { routeKey: 'GET /a/{id}', stage: 'dev', accountId: '123456789012' },
    })
  })

  test('payload format 1.0 is the shape of a REST API, and decodes Base64 always', () => {
    const parts = withRoute({ frontEnd: 'http-api', payloadFormat: '1.0', stage: '$default', resource: '/a' })
    expect(eventOf(httpApi, parts)).toMatchObject({
      version: '1.0',
      httpMethod: 'GET',
      resource: '/a',
      queryStringParameters: null,
    })
    expect(answerOf(httpApi, { body: 'YQ==', isBase64Encoded: true }, parts)?.body).toEqual(Buffer.from('a'))
  })
})

describe('REST API', () => {
  const route = (
    options: Partial<RouteOptions> = {},
    parameters: Record<string, string> = {},
  ): RequestParts =>
    withRoute({ frontEnd: 'rest-api', resource: '/{proxy+}', stage: 'prod', ...options }, parameters)

  test('every key is there, null when it is empty', () => {
    expect(eventOf(restApi, route())).toMatchObject({
      body: null,
      queryStringParameters: null,
      multiValueQueryStringParameters: null,
      pathParameters: null,
      stageVariables: null,
      isBase64Encoded: false,
    })
  })

  test('the last value of a name counts, all of them are listed, and + is a space', () => {
    expect(eventOf(restApi, { target: '/?plus=test+alias&q=1&q=2', ...route() })).toMatchObject({
      queryStringParameters: { plus: 'test alias', q: '2' },
      multiValueQueryStringParameters: { plus: ['test alias'], q: ['1', '2'] },
    })
  })

  test('paths stay encoded, a greedy parameter loses its trailing slash, a leading double slash is one', () => {
    expect(
      eventOf(restApi, { target: '//proxy-value%2B/', ...route({}, { proxy: 'proxy-value%2B/' }) }),
    ).toMatchObject({
      path: '/proxy-value%2B/',
      pathParameters: { proxy: 'proxy-value%2B' },
      requestContext: { path: '/prod//proxy-value%2B/', stage: 'prod', resourcePath: '/{proxy+}' },
    })
  })

  test('names keep their case but two, and some are dropped', () => {
    const fields = [
      'tEsT-HEADeR',
      'aValue',
      'authorization',
      'x',
      'user-agent',
      'y',
      'Connection',
      'close',
      'Content-Length',
      '0',
      'A',
      '1',
      'A',
      '2',
    ]
    const { headers, multiValueHeaders } = eventOf(restApi, { fields, ...route() }) as unknown as {
      headers: Record<string, string>
      multiValueHeaders: Record<string, string[]>
    }
    expect(Object.keys(headers)).toEqual([
      'tEsT-HEADeR',
      'Authorization',
      'User-Agent',
      'A',
      'X-Amzn-Trace-Id',
      'X-Forwarded-For',
      'X-Forwarded-Port',
      'X-Forwarded-Proto',
    ])
    expect(headers['A']).toBe('2')
    expect(multiValueHeaders['A']).toEqual(['1', '2'])
  })

  test('every address on the way is named, whatever field it came in', () => {
    const fields = ['X-Forwarded-For', '10.0.0.1', 'x-forwarded-for', '10.0.0.2']
    expect(eventOf(restApi, { fields, ...route() })['headers']).toMatchObject({
      'X-Forwarded-For': '10.0.0.1,10.0.0.2, 127.0.0.1',
    })
  })

  test('a body is bytes only when the API says so of its type', () => {
    const fields = ['Content-Type', 'image/png; x=y']
    const body = Buffer.from([1, 2])
    expect(eventOf(restApi, { fields, body, ...route({ binaryMediaTypes: ['image/png'] }) })).toMatchObject({
      body: 'AQI=',
      isBase64Encoded: true,
    })
    expect(eventOf(restApi, { fields, body, ...route({ binaryMediaTypes: ['image/jpeg'] }) })).toMatchObject({
      isBase64Encoded: false,
    })
    expect(eventOf(restApi, { fields, body, ...route({ binaryMediaTypes: ['*/*'] }) })).toMatchObject({
      isBase64Encoded: true,
    })
  })

  const JSON_TYPE = ['content-type', 'application/json']
  const ANSWERS: Readonly<Record<string, readonly [result: unknown, answer: HttpAnswer | undefined]>> = {
    'no key is needed': [
      { headers: { a: 'b' } },
      { status: 200, fields: ['a', 'b', ...JSON_TYPE], body: '' },
    ],
    'digits are a status': [
      { statusCode: '201', body: 'x' },
      { status: 201, fields: JSON_TYPE, body: 'x' },
    ],
    'true is "true", null is nothing': [
      { headers: { t: true, n: null } },
      { status: 200, fields: ['t', 'true', ...JSON_TYPE], body: '' },
    ],
    'null headers are none': [
      { headers: null, body: null },
      { status: 200, fields: JSON_TYPE, body: '' },
    ],
    'several values come first, and give the spelling': [
      { headers: { 'x-a': 'b' }, multiValueHeaders: { 'X-A': ['1', '2'] } },
      { status: 200, fields: ['X-A', '1, 2, b', ...JSON_TYPE], body: '' },
    ],
    'cookies stay apart': [
      { multiValueHeaders: { 'Set-Cookie': ['a=1', 'b=2'] } },
      { status: 200, fields: ['Set-Cookie', 'a=1', 'Set-Cookie', 'b=2', ...JSON_TYPE], body: '' },
    ],
    'Base64 for a client that takes no such type stays text': [
      { body: 'YQ==', isBase64Encoded: true },
      { status: 200, fields: JSON_TYPE, body: 'YQ==' },
    ],
    'an unknown key makes no response': [{ statusCode: 200, wrongValue: 1 }, undefined],
    'cookies make no response': [{ statusCode: 200, cookies: [] }, undefined],
    'a status that is a word makes no response': [{ statusCode: 'test' }, undefined],
    'a body that is no text makes no response': [{ statusCode: 200, body: { a: 1 } }, undefined],
    'several values that are no list make no response': [{ multiValueHeaders: { a: 'b' } }, undefined],
    'a text makes no response': ['"hello"', undefined],
    'null makes no response': [null, undefined],
  }
  for (const [rule, [result, answer]] of Object.entries(ANSWERS)) {
    test(rule, () => expect(answerOf(restApi, result, route())).toEqual(answer))
  }

  const ACCEPTS: readonly (readonly [
    accept: string | undefined,
    types: readonly string[],
    decoded: boolean,
  ])[] = [
    ['image/png', ['image/png'], true],
    ['image/png, text/html', ['image/png'], true],
    ['text/html, image/png', ['image/png'], false],
    ['image/*', ['image/png'], false],
    ['*/*', ['image/png'], false],
    ['anything/x', ['*/*'], true],
    [undefined, ['*/*'], true],
    [undefined, ['image/png'], false],
  ]
  test.each(ACCEPTS)(
    'Accept %s with binary types %j decodes Base64: %s',
    (accept, binaryMediaTypes, decoded) => {
      const fields = accept === undefined ? [] : ['Accept', accept]
      const answer = answerOf(
        restApi,
        { body: 'YQ==', isBase64Encoded: true },
        { fields, ...route({ binaryMediaTypes }) },
      )
      expect(answer?.body).toEqual(decoded ? Buffer.from('a') : 'YQ==')
    },
  )
})
