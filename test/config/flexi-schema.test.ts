import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { z } from 'zod'

import { conforms, type JsonSchema } from '../../src/config/conforms.ts'
import { FLEXI_KEYS, flexiSchema, flexiSchemaText } from '../../src/config/flexi-schema.ts'

const FILE = join(import.meta.dirname, '../../flexi.schema.json')

test('flexi.schema.json is what flexi-schema.ts says; UPDATE_SCHEMA=1 npx vitest run test/config writes it', async () => {
  const text = await flexiSchemaText()
  if (process.env['UPDATE_SCHEMA'] === '1') await writeFile(FILE, text)
  const shipped = await readFile(FILE, 'utf8').catch(() => '')
  expect(shipped === text, 'run UPDATE_SCHEMA=1 npx vitest run test/config').toBe(true)
})

test('every key that is suggested is a key that is taken', () => {
  const { shape } = flexiSchema(z)
  expect(Object.keys(shape)).toEqual(FLEXI_KEYS.document)
  expect(Object.keys(shape.routes.unwrap().element.shape)).toEqual(FLEXI_KEYS.routes)
  expect(Object.keys(shape.server.unwrap().shape)).toEqual(FLEXI_KEYS.server)
})

const VALID = {
  functions: {
    'a-1': { provider: 'lambda', timeout: 0.5, memory: 1, environment: { A: '' }, x: [null] },
    b_: { provider: 'native', watch: ['x'], library: 'l' },
  },
  routes: [
    { path: '/', to: 'a' },
    { path: '/x', header: 'Host:', to: ['http://a'] },
  ],
  server: { port: 0, host: 'h' },
}

/** Valid documents, spoilt in a few places. */
const document = fc
  .tuple(
    fc.array(
      fc.tuple(
        fc.constantFrom(
          'functions',
          'routes',
          'server',
          '$schema',
          'functions.a-1',
          'functions.9',
          'functions.b_.provider',
          'functions.a-1.timeout',
          'functions.a-1.memory',
          'functions.a-1.environment.A',
          'functions.a-1.environment.A-B',
          'functions.b_.watch',
          'functions.b_.library',
          'functions.b_.env_file',
          'functions.b_.other',
          'routes.0',
          'routes.0.path',
          'routes.1.header',
          'routes.1.to',
          'routes.1.other',
          'server.port',
          'server.host',
          'server.other',
        ),
        fc.constantFrom(
          undefined,
          null,
          true,
          0,
          -1,
          1.5,
          1e308 * 10,
          65_536,
          2 ** 53,
          '',
          'a',
          '/a',
          '/a b',
          'Host: x',
          {},
          [],
          [''],
          ['a'],
          { a: 1 },
        ),
      ),
      { maxLength: 3 },
    ),
    fc.boolean(),
  )
  .map(([changes]) => {
    const copy: unknown = structuredClone(VALID)
    for (const [path, value] of changes) put(copy, path.split('.'), value)
    return copy
  })

function put(target: unknown, [key = '', ...rest]: readonly string[], value: unknown): void {
  if (typeof target !== 'object' || target === null) return
  const owner = target as Record<string, unknown>
  if (rest.length > 0) put(owner[key], rest, value)
  else if (value === undefined && Array.isArray(target)) target.splice(Number(key), 1)
  else if (value === undefined) delete owner[key]
  else owner[key] = value
}

test('the quick check and zod agree on every document', async () => {
  const schema = JSON.parse(await flexiSchemaText()) as JsonSchema
  const zod = flexiSchema(z)
  const seen = new Set<boolean>()
  fc.assert(
    fc.property(fc.oneof(document, fc.jsonValue()), (value) => {
      const valid = zod.safeParse(value).success
      seen.add(valid)
      expect(conforms(schema, value)).toBe(valid)
    }),
    { numRuns: 1_000 },
  )
  expect(seen).toEqual(new Set([true, false]))
})

test('a keyword it does not know makes the quick check unsure', () => {
  expect(conforms({ type: 'string' }, 'x')).toBe(true)
  expect(conforms({ type: 'string', format: 'uri' }, 'x')).toBe(false)
})
