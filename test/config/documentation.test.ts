import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { expect, test } from 'vitest'

import { readProject } from '../../src/config/project.ts'
import { parseProxyIni } from '../../src/config/proxy-ini.ts'
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

test('the example of docs/configuration.md is valid', async () => {
  const text = await example('configuration.md', 'jsonc')
  const directory = await folder({ 'flexi.jsonc': text, 'public/': '' })
  const { functions, routes, faults, server } = await readProject({ directory, emulators, environment: {} })
  expect(faults).toEqual([])
  expect(functions.map(({ name }) => name)).toEqual(['hello', 'edge', 'fib'])
  expect(routes).toHaveLength(4)
  expect(server).toEqual({ port: 8069 })
})
