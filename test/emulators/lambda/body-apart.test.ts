import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { separateBody } from '../../../src/emulators/lambda/host/body-apart.ts'
import { lambda } from '../../../src/emulators/lambda/index.ts'
import { serveFunction, type Served } from '../conformance.ts'

const LIMIT = 6_291_556

describe('a large body that goes beside its result', () => {
  test('is the one that JSON would have brought, and only where that is within the limit', () => {
    const part = fc.oneof(
      fc.constantFrom('a', '"', '\\', 'ü', '😀', '\u0000', '\n', '\ud800', '\u2028'),
      fc.string(),
    )
    const count = fc.constantFrom(16_384, 200_000, 1_100_000)
    fc.assert(
      fc.property(part, count, (text, times) => {
        const body = text.repeat(Math.min(times, Math.ceil(2_000_000 / Math.max(1, text.length))))
        const result = { statusCode: 200, headers: { a: 'b' }, body }
        const apart = separateBody(result)
        if (apart === undefined) return
        expect(Buffer.byteLength(JSON.stringify(result))).toBeLessThanOrEqual(LIMIT)
        expect(apart.body.toString()).toBe(Buffer.from(body).toString())
        expect(JSON.parse(apart.head)).toEqual({ ...result, body: '' })
      }),
      { numRuns: 60 },
    )
  })

  const NOT: Readonly<Record<string, unknown>> = {
    'a text': 'x'.repeat(100_000),
    'a small body': { statusCode: 200, body: 'x' },
    Base64: { statusCode: 200, body: 'x'.repeat(100_000), isBase64Encoded: true },
    'no status, which makes the whole result the body': { body: 'x'.repeat(100_000) },
    'a result that makes its own JSON': { statusCode: 200, body: 'x'.repeat(100_000), toJSON: () => 1 },
    'what may be larger than 6 MiB as JSON': { statusCode: 200, body: '\u0001'.repeat(1_200_000) },
    'an object as body': { statusCode: 200, body: { a: 'x'.repeat(100_000) } },
    null: null,
  }
  for (const [what, result] of Object.entries(NOT)) {
    test(`is not made of ${what}`, () => expect(separateBody(result)).toBeUndefined())
  }
})

describe('behind HTTP', () => {
  let served: Served
  beforeAll(async () => {
    served = await serveFunction(lambda, async (directory) => {
      const code = `const bodies = {
        '/text': 'ü"\\\\\\n😀'.repeat(100_000), '/no': 'x'.repeat(7_000_000), '/most': 'x'.repeat(6_000_000), '/control': '\\u0001'.repeat(1_100_000),
      }
      export const handler = async ({ rawPath, requestContext }) => ({ statusCode: rawPath === '/none' ? 204 : 201, headers: { 'x-a': '1' }, cookies: ['c=1'], body: bodies[rawPath] ?? 'y'.repeat(50_000) })
      `
      await writeFile(join(directory, 'app.mjs'), code)
      return {
        name: 'app',
        provider: 'lambda',
        directory,
        memoryMb: 512,
        origin: { file: join(directory, 'flexi.jsonc'), line: 1, column: 1 },
        environment: {},
        options: { handler: 'app.handler' },
      }
    })
  })
  afterAll(() => served[Symbol.asyncDispose]())

  test('arrives with its head', async () => {
    const { status, headers, body } = await served.ask('/text')
    expect(status).toBe(201)
    expect(headers).toMatchObject({
      'x-a': '1',
      'set-cookie': ['c=1'],
      'content-length': String(body.length),
    })
    expect(body.toString()).toBe('ü"\\\n😀'.repeat(100_000))
  })

  test('is left out where an answer has none', async () => {
    const { status, body } = await served.ask('/none')
    expect([status, body.length]).toEqual([204, 0])
  })

  test('of nearly 6 MiB arrives; above that it is an error, counted as JSON', async () => {
    expect((await served.ask('/most')).body.length).toBe(6_000_000)
    expect((await served.ask('/no')).status).toBe(502)
    // Six bytes each: 1.1 million of them are more than 6 MiB.
    expect((await served.ask('/control')).status).toBe(502)
  })
})
