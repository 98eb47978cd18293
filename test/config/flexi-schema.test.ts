import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { z } from 'zod'

import { conforms, type JsonSchema } from '../../src/config/conforms.ts'
import { flexiSchema, flexiSchemaText } from '../../src/config/flexi-schema.ts'
import { keysAt } from '../../src/config/validation.ts'

const FILE = join(import.meta.dirname, '../../flexi.schema.json')

test('flexi.schema.json is what flexi-schema.ts says; UPDATE_SCHEMA=1 npx vitest run test/config writes it', async () => {
  const text = await flexiSchemaText()
  if (process.env['UPDATE_SCHEMA'] === '1') await writeFile(FILE, text)
  const shipped = await readFile(FILE, 'utf8').catch(() => '')
  expect(shipped === text, 'run UPDATE_SCHEMA=1 npx vitest run test/config').toBe(true)
})

test('the keys that are suggested are those of the object at the place, whichever of its forms it has', async () => {
  const schema = JSON.parse(await flexiSchemaText()) as JsonSchema
  expect(keysAt(schema, [])).toEqual(['$schema', 'functions', 'routes', 'server'])
  expect(keysAt(schema, ['functions', 'hello'])).toContain('provider')
  expect(keysAt(schema, ['routes', 0, 'to', 1])).toEqual(['url', 'weight', 'max_requests', 'backup'])
  expect(keysAt(schema, ['routes', 7, 'upstream', 'health'])).toContain('interval')
  expect(keysAt(schema, ['routes', 0, 'upstream', 'eject'])).toEqual(['fails', 'seconds'])
  expect(keysAt(schema, ['server', 'https', 'certificates', 2])).toEqual(['cert', 'key'])
  expect(keysAt(schema, ['server', 'nothing'])).toEqual([])
})

const VALID = {
  functions: {
    'a-1': { provider: 'lambda', timeout: 0.5, memory: 1, environment: { A: '' }, x: [null] },
    b_: { provider: 'native', watch: ['x'], library: 'l' },
  },
  routes: [
    { path: '/', to: 'a' },
    { path: '/x', header: 'Host:', to: ['http://a'] },
    {
      path: '/y',
      to: ['http://a', { url: 'http://b', weight: 0, max_requests: 1, backup: true }],
      strip_prefix: true,
      upstream: {
        balance: 'hash',
        hash: 'cookie id',
        host: 'keep',
        http2: true,
        tls: { verify: false, ca: 'a', cert: 'b', key: 'c', server_name: 'd' },
        timeouts: { connect: 0.5, try: 1, total: 2, idle: 3 },
        retries: 0,
        retry_status: [502],
        health: { path: '/', interval: 1, timeout: 1, passes: 1, fails: 1, status: [200, 299] },
        eject: { fails: 1, seconds: 1 },
        request_headers: { 'X-A': 'a', 'X-B': null },
        response_headers: {},
      },
      static: { index: false, fallback: 'index.html', precompressed: false, cache_control: 'no-store' },
      limits: { rate: { requests: 1, seconds: 1, burst: 0, by: 'header X-A' }, body: '1.5 mb', headers: 0 },
      allow: ['::1'],
      deny: [],
      compress: true,
    },
  ],
  server: {
    port: 0,
    host: 'h',
    https: { certificates: [{ cert: 'a', key: 'b' }] },
    trusted_proxies: ['10.0.0.0/8'],
    paths: 'raw',
  },
}

/** Every path inside the last route. */
const ROUTE_PATHS = pathsIn(VALID.routes.at(-1), 'routes.2')

function pathsIn(value: unknown, path: string): string[] {
  if (typeof value !== 'object' || value === null) return [path]
  return [
    path,
    `${path}.other`,
    ...Object.entries(value).flatMap(([key, part]) => pathsIn(part, `${path}.${key}`)),
  ]
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
          ...ROUTE_PATHS,
          'server.port',
          'server.https',
          'server.https.certificates',
          'server.https.certificates.0.key',
          'server.trusted_proxies.0',
          'server.paths',
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
          false,
          599,
          'hash',
          'header A',
          '1mb',
          '1 MB ',
          'a\r\nb',
          'é',
          '€',
          [200, 399],
          [200, 399, 400],
          [{ url: 'x' }],
          { path: '/' },
          { fails: 0 },
          { 'A B': 'x' },
          { 'X-A': 'a\nb' },
          { requests: 1 },
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
    { numRuns: 3_000 },
  )
  expect(seen).toEqual(new Set([true, false]))
})

test('a keyword it does not know makes the quick check unsure', () => {
  expect(conforms({ type: 'string' }, 'x')).toBe(true)
  expect(conforms({ type: 'string', format: 'uri' }, 'x')).toBe(false)
})
