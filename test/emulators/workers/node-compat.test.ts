import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { FlexiError } from '../../../src/core/errors.ts'
import type { FunctionConfig } from '../../../src/core/function.ts'
import type { AbsolutePath } from '../../../src/core/place.ts'
import { createSettingsReader, programEntry } from '../../../src/emulators/workers/settings.ts'
import { openWorkerBundle, type Program } from '../../../src/emulators/workers/worker-bundle.ts'
import { serveWorker, write } from './serve.ts'

const WRANGLER = resolve(import.meta.dirname, '../../../bench/peers/node_modules/wrangler/bin/wrangler.js')

/** How packages of npm use Node: ES modules with and without the prefix, `require` of CommonJS, globals. */
const PROGRAM = {
  'src/index.ts': `import crypto, { createHash } from 'node:crypto'
import fs from 'fs'
import { createServer } from 'node:http'
import { EOL } from 'os'
import * as vm from 'vm'
import { spawn } from 'node:child_process'
import { AsyncLocalStorage } from 'node:async_hooks'
import cjs from 'cjs-package'
const storage = new AsyncLocalStorage()
export default {
  fetch: (_, env) => storage.run('stored', () => Response.json({
    hash: createHash('sha256').update('a').digest('hex').slice(0, 8),
    uuid: crypto.randomUUID().length,
    types: [typeof fs.readFileSync, typeof createServer, EOL, typeof vm.Script, typeof spawn],
    stored: storage.getStore(),
    cjs,
    buffer: Buffer.from('hi').toString('base64'),
    env: process.env.MODE,
    platform: process.platform,
    global: global === globalThis,
    tick: typeof process.nextTick,
    immediate: typeof setImmediate,
  })),
}
`,
  'node_modules/cjs-package/package.json': '{ "name": "cjs-package", "main": "index.js" }',
  'node_modules/cjs-package/index.js': `const net = require('net')
const tls = require('node:tls')
const util = require('util')
const { EventEmitter } = require('events')
const stream = require('stream')
const dns = require('dns')
class Client extends EventEmitter {}
module.exports = [typeof net.connect, typeof tls.connect, util.inspect({ a: 1 }), typeof new Client().on, typeof stream.Readable, typeof dns.lookup]
`,
} as const

const configured = (date: string, flags: readonly string[] = ['nodejs_compat']): string =>
  JSON.stringify({
    name: 'worker',
    main: 'src/index.ts',
    compatibility_date: date,
    compatibility_flags: flags,
    vars: { MODE: 'from vars' },
  })

let directory: AbsolutePath

beforeAll(async () => {
  directory = (await mkdtemp(join(tmpdir(), 'flexi-test-'))) as AbsolutePath
})
afterAll(async () => rm(directory, { recursive: true }))

async function built(files: Record<string, string>): Promise<Program> {
  await write(directory, files)
  const file = join(directory, 'wrangler.jsonc') as AbsolutePath
  const config = { environment: {} } as FunctionConfig
  await using reader = createSettingsReader({ file, env: undefined, config })
  const settings = await reader.read()
  const entry = await programEntry(settings)
  if (entry === undefined) throw new Error('no program')
  await using bundle = await openWorkerBundle({ ...settings, entry, mode: 'production' })
  const program = await bundle.build()
  expect(bundle.watched().filter((path) => !path.startsWith(directory))).toEqual([])
  return program
}

const imports = (code: string): readonly string[] =>
  [
    ...new Set(
      [...code.matchAll(/^\s*(?:import|export)\b[^"'\n]*["']([^"'\n]+)["']/gm)].map(([, name = '']) => name),
    ),
  ].toSorted()

describe('nodejs_compat', () => {
  test.each(['2024-09-23', '2025-09-15', '2026-01-01'])(
    'a program of %s finds what Node has, the runtime’s own or filled in',
    async (date) => {
      await using served = await serveWorker({ files: { ...PROGRAM, 'wrangler.jsonc': configured(date) } })
      const { body } = await served.ask('/')
      expect(JSON.parse(body.toString())).toEqual({
        hash: 'ca978112',
        uuid: 36,
        types: ['function', 'function', '\n', 'function', 'function'],
        stored: 'stored',
        cjs: ['function', 'function', '{ a: 1 }', 'function', 'function', 'function'],
        buffer: 'aGk=',
        ...(date >= '2025-04-01' ? { env: 'from vars' } : {}),
        platform: 'linux',
        global: true,
        tick: 'function',
        immediate: 'function',
      })
    },
  )

  test.skipIf(!existsSync(WRANGLER))(
    'leaves the same modules to the runtime as wrangler 4.86, at each date',
    async () => {
      for (const date of ['2024-09-23', '2025-09-15', '2026-01-01']) {
        const { code } = await built({ ...PROGRAM, 'wrangler.jsonc': configured(date) })
        await promisify(execFile)(process.execPath, [WRANGLER, 'deploy', '--dry-run', '--outdir', 'out'], {
          cwd: directory,
          env: { ...process.env, WRANGLER_SEND_METRICS: 'false' },
        })
        const theirs = await readFile(join(directory, 'out/index.js'), 'utf8')
        expect({ date, imports: imports(code) }).toEqual({ date, imports: imports(theirs) })
        expect(imports(code).length).toBeGreaterThan(5)
        expect(Math.abs(code.length / theirs.length - 1)).toBeLessThan(0.1)
      }
    },
    60_000,
  )

  test('nothing of it is loaded for a program without the flag', async () => {
    const { code, inputs } = await built({
      'wrangler.jsonc': configured('2026-01-01', []),
      'src/index.ts': `export default { fetch: () => new Response('x') }`,
    })
    expect(code.length).toBeLessThan(500)
    expect(inputs).toEqual([join(directory, 'src/index.ts')])
  })

  test('an import of Node without the flag is a warning at its line', async () => {
    const { warnings, code } = await built({
      'wrangler.jsonc': configured('2026-01-01', []),
      'src/index.ts': `\nimport fs from 'node:fs'\nexport default { fetch: () => fs }`,
    })
    expect(warnings).toMatchObject([
      { place: { line: 2 }, message: expect.stringContaining('"nodejs_compat"'), severity: 'warning' },
    ])
    expect(imports(code)).toEqual(['node:fs'])
  })

  test('nodejs_als has async_hooks alone', async () => {
    const { warnings } = await built({
      'wrangler.jsonc': configured('2026-01-01', ['nodejs_als']),
      'src/index.ts': `import 'node:async_hooks'\nimport fs from 'node:fs'\nexport default { fetch: () => fs }`,
    })
    expect(warnings.map(({ place }) => place.line)).toEqual([2])
  })

  test.each([
    ['2026-01-01', [], 'nodejs_compat'],
    ['2024-01-01', ['nodejs_compat'], 'Write "node:fs"'],
  ])('a name without its prefix that nobody has says what to write (%s %s)', async (date, flags, words) => {
    const error = await built({
      'wrangler.jsonc': configured(date, flags),
      'src/index.ts': `import fs from 'fs'\nexport default { fetch: () => fs }`,
    }).catch((cause: unknown) => cause)
    expect(error).toBeInstanceOf(FlexiError)
    expect((error as FlexiError).faults[0]?.hint).toContain(words)
  })
})
