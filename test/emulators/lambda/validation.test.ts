import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { openSchema, type JsonSchema } from '../../../src/emulators/lambda/front-ends/json-schema.ts'
import type { ValidationOptions } from '../../../src/emulators/lambda/front-ends/route-options.ts'
import { serveApi, type AskOptions, type ServedApi } from './http-harness.ts'

const USER: JsonSchema = {
  $schema: 'http://json-schema.org/draft-04/schema#',
  type: 'object',
  required: ['name'],
  properties: { name: { type: 'string', minLength: 1 }, age: { type: 'integer', minimum: 0 } },
  additionalProperties: false,
}

const CASES: [JsonSchema, readonly unknown[], readonly unknown[]][] = [
  [
    USER,
    [{ name: 'a' }, { name: 'a', age: 0 }],
    [{}, { name: '' }, { name: 'a', age: -1 }, { name: 'a', x: 1 }, [], 'a', null],
  ],
  [{ type: ['string', 'null'] }, ['a', null], [1, {}]],
  [{ enum: ['a', { b: [1] }] }, ['a', { b: [1] }], ['b', { b: [2] }]],
  [{ const: { a: 1, b: 2 } }, [{ b: 2, a: 1 }], [{ a: 1 }]],
  [{ minimum: 1, exclusiveMinimum: true, maximum: 3 }, [2, 3, 'text'], [1, 3.5]],
  [{ exclusiveMinimum: 1, exclusiveMaximum: 3 }, [2], [1, 3]],
  [{ multipleOf: 5 }, [10, 0], [3]],
  [{ pattern: '^a+$', maxLength: 3 }, ['aaa', 1], ['b', 'aaaa']],
  [{ pattern: '^\\d\\-\\d$' }, ['1-2'], ['12']],
  [{ pattern: '(?<' }, ['a pattern that cannot be read asks nothing'], []],
  [
    { items: { type: 'integer' }, minItems: 1, maxItems: 2, uniqueItems: true },
    [[1], [1, 2], {}],
    [[], ['a'], [1, 1], [1, 2, 3]],
  ],
  [{ items: [{ type: 'string' }], additionalItems: false }, [['a'], []], [[1], ['a', 1]]],
  [
    { patternProperties: { '^x-': { type: 'string' } }, additionalProperties: { type: 'number' } },
    [{ 'x-a': 'b', c: 1 }],
    [{ 'x-a': 1 }, { c: 'd' }],
  ],
  [{ minProperties: 1, maxProperties: 1 }, [{ a: 1 }], [{}, { a: 1, b: 2 }]],
  [{ allOf: [{ type: 'object' }, { required: ['a'] }] }, [{ a: 1 }], [{}, 1]],
  [{ anyOf: [{ type: 'string' }, { type: 'number' }] }, ['a', 1], [null]],
  [{ oneOf: [{ minimum: 2 }, { maximum: 3 }] }, [1, 4], [2]],
  [{ not: { type: 'string' } }, [1], ['a']],
  [
    {
      definitions: { node: { type: 'object', properties: { next: { $ref: '#/definitions/node' } } } },
      $ref: '#/definitions/node',
    },
    [{ next: { next: {} } }],
    [{ next: { next: 1 } }],
  ],
  [{ $ref: 'https://elsewhere.test/model' }, ['what is elsewhere asks nothing'], []],
]

test.each(CASES)('a schema takes what it says: %j', (schema, good, bad) => {
  const isValid = openSchema(schema)
  expect(good.filter((value) => !isValid(value))).toEqual([])
  expect(bad.filter((value) => isValid(value))).toEqual([])
})

test('a schema that points to itself ends', () => {
  expect(openSchema({ $ref: '#' })({})).toBe(true)
})

describe('a REST API’s request validator', () => {
  let api: ServedApi
  const validation: ValidationOptions = {
    parameters: ['querystring.page', 'header.X-Tenant'],
    models: { 'application/json': USER },
  }
  beforeAll(async () => {
    api = await serveApi({
      code: 'export const hello = async (event) => ({ statusCode: 200, body: String(event.body) })',
      functions: ['hello'],
      routes: [
        { route: 'POST /whole', function: 'hello', options: { frontEnd: 'rest-api', validation } },
        {
          route: 'POST /body',
          function: 'hello',
          options: { frontEnd: 'rest-api', validation: { models: { $default: USER } } },
        },
      ],
    })
  })
  afterAll(() => api[Symbol.asyncDispose]())

  const post = async (path: string, options: AskOptions): Promise<[number, string]> => {
    const { status, body } = await api.ask(path, { method: 'POST', ...options })
    return [status, body]
  }
  const headers = { 'x-tenant': 'a' }

  test('what is missing is named, and the function does not run', async () => {
    expect(await post('/whole?page=', {})).toEqual([
      400,
      '{"message":"Missing required request parameters: [page, X-Tenant]"}',
    ])
    expect(await post('/whole?page=1', {})).toEqual([
      400,
      '{"message":"Missing required request parameters: [X-Tenant]"}',
    ])
  })

  test('a body must be what its model says, and reaches the function whole', async () => {
    const body = '{ "name": "Ada" }'
    expect(await post('/whole?page=1', { headers, body })).toEqual([200, body])
    for (const wrong of ['{"name":1}', 'text', ''])
      expect(await post('/whole?page=1', { headers, body: wrong })).toEqual([
        400,
        '{"message":"Invalid request body"}',
      ])
  })

  test('a body of a type that no model is for is not looked at, unless one is for all', async () => {
    const type = { ...headers, 'content-type': 'text/plain; charset=utf-8' }
    expect(await post('/whole?page=1', { headers: type, body: 'text' })).toEqual([200, 'text'])
    expect((await post('/body', { headers: type, body: 'text' }))[0]).toBe(400)
  })

  test('a body that is too large is told so by the endpoint', async () => {
    const body = Buffer.alloc(10 * 1024 * 1024 + 1)
    expect(await post('/body', { body })).toEqual([413, '{"message":"Request Too Long"}'])
  })
})
