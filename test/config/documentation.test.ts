import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { parse } from 'jsonc-parser'
import { expect, test } from 'vitest'

import type { JsonSchema } from '../../src/config/conforms.ts'
import { flexiSchemaText } from '../../src/config/flexi-schema.ts'
import { readProject } from '../../src/config/project.ts'
import { parseProxyIni } from '../../src/config/proxy-ini.ts'
import { keysAt } from '../../src/config/validation.ts'
import { makePem } from '../tls/pem.ts'
import { emulators, folder } from './fakes.ts'

/** The first code block of a language on a page. */
async function example(page: string, language: string): Promise<string> {
  const text = await readFile(join(import.meta.dirname, '../../docs', page), 'utf8')
  const block = new RegExp(`\`\`\`${language}\n([^]*?)\`\`\``).exec(text)?.[1]
  if (block === undefined) throw new Error(`${page} has no ${language} example`)
  return block
}

test('the example of docs/proxy-ini.md has no fault and leads where its comments say', async () => {
  const text = await example('proxy-ini.md', 'ini')
  expect(parseProxyIni(text, 'proxy.ini').faults).toEqual([])
  const directory = await folder({
    'proxy.ini': text,
    'flexi.jsonc': '{"functions":{"orders":{"provider":"lambda","handler":"o.handler"}}}',
    'src/hello.ts': '',
    'src/jobs.py': '',
    'edge/wrangler.fake': 'edge',
    'public/': '',
  })
  const { routes, faults } = await readProject({ directory, emulators, environment: {} })
  expect(faults).toEqual([])
  expect(routes.map(({ target }) => (target.kind === 'function' ? target.name : target.kind))).toEqual([
    'iam',
    'fib',
    'hello',
    'jobs',
    'edge',
    'orders',
    'upstream',
    'upstream',
    'static',
  ])
})

/** All code blocks of a language on a page. */
async function examples(page: string, language: string): Promise<string[]> {
  const text = await readFile(join(import.meta.dirname, '../../docs', page), 'utf8')
  return [...text.matchAll(new RegExp(`\`\`\`${language}\n([^]*?)\`\`\``, 'g'))].map(
    ([, block = '']) => block,
  )
}

const pem = await makePem({ names: ['flexi.test'] })

const FILES = {
  'public/index.html': '',
  'dist/index.html': '',
  'dist/assets/': '',
  'pki/ca.pem': pem.cert,
  'pki/flexi.pem': pem.cert,
  'pki/flexi.key': pem.key,
}

test.each([
  ['configuration.md', 4],
  ['static-folders.md', 1],
  ['protection.md', 1],
])('the examples of docs/%s are valid', async (page, count) => {
  const blocks = await examples(page, 'jsonc')
  expect(blocks).toHaveLength(count)
  for (const text of blocks) {
    const directory = await folder({ ...FILES, 'flexi.jsonc': text })
    const { faults } = await readProject({ directory, emulators, environment: {} })
    expect(faults).toEqual([])
  }
})

test('docs/configuration.md has an example of every key of routes and server, and explains it', async () => {
  const blocks = (await examples('configuration.md', 'jsonc')).map((text): unknown => parse(text))
  const used = new Set(blocks.flatMap((document) => keysIn(document, [])))
  const page = await readFile(join(import.meta.dirname, '../../docs/configuration.md'), 'utf8')
  const schema = JSON.parse(await flexiSchemaText()) as JsonSchema
  const all = ['routes', 'server'].flatMap((part) => keysBelow(schema, [part]).map((key) => `${part} ${key}`))
  expect(all.length).toBeGreaterThan(60)
  expect(all.filter((path) => !used.has(path))).toEqual([])
  // Those of a folder and of limits are explained on pages of their own.
  const explained = all.filter((path) => !/^routes (?:static|limits) /.test(path))
  expect(
    explained.filter((path) => !page.includes(`\`${path.split(' ').at(-1)}\``) && !/certificates/.test(path)),
  ).toEqual([])
})

/** `routes upstream tls ca`: keys from the top, without the places in lists. */
function keysIn(value: unknown, path: readonly string[]): string[] {
  if (Array.isArray(value)) return value.flatMap((part) => keysIn(part, path))
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, part]) => [
    [...path, key].join(' '),
    ...keysIn(part, [...path, key]),
  ])
}

/** The same of what a schema has below a path; the fields of a message have names of the user's choice. */
function keysBelow(schema: JsonSchema, path: readonly (string | number)[]): string[] {
  const at = keysAt(schema, path).length > 0 ? path : [...path, 0]
  return keysAt(schema, at).flatMap((key) => [
    key,
    ...keysBelow(schema, [...at, key]).map((inner) => `${key} ${inner}`),
  ])
}

test('the first example of docs/configuration.md says what its page says', async () => {
  const text = await example('configuration.md', 'jsonc')
  const directory = await folder({ 'flexi.jsonc': text, 'public/': '' })
  const { functions, routes, faults, server } = await readProject({ directory, emulators, environment: {} })
  expect(faults).toEqual([])
  expect(functions.map(({ name }) => name)).toEqual(['hello', 'edge', 'fib'])
  expect(routes).toHaveLength(4)
  expect(server).toEqual({ port: 8069 })
})
