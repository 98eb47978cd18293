import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

import { afterEach, beforeEach, expect, test } from 'vitest'

import type { FunctionScope } from '../../../src/core/function.ts'
import type { AbsolutePath } from '../../../src/core/place.ts'
import { NO_RESOURCES } from '../../../src/emulators/workers/control/worker.ts'
import { workers } from '../../../src/emulators/workers/index.ts'
import { startRuntime } from '../../../src/emulators/workers/runtime.ts'
import { lay, MINIMAL, runtimes, serveWorker, write } from './serve.ts'
import { testScope } from '../../scope.ts'

const DIST = resolve(import.meta.dirname, '../../../dist/emulators/workers/index.js')

let directory: AbsolutePath

beforeEach(async () => {
  directory = (await mkdtemp(join(tmpdir(), 'flexi-test-'))) as AbsolutePath
})
afterEach(async () => rm(directory, { recursive: true, force: true }))

const scope = (): FunctionScope => testScope(directory)

/** A program of its own that starts the worker in `directory`, tells workerd's pid and then does what `ending` says. */
async function startParent(ending: string): Promise<{ parent: ChildProcess; pid: number }> {
  await lay(directory, { files: { 'index.ts': 'export default { fetch: () => new Response("hi") }\n' } })
  const script = `
    import { execFileSync } from 'node:child_process'
    import { workers } from ${JSON.stringify(DIST)}
    const quiet = () => undefined
    const log = { level: 'silent', debug: quiet, info: quiet, warn: quiet, error: quiet, child: () => log }
    const scope = { log, app: {}, mode: 'dev', stateDirectory: ${JSON.stringify(join(directory, '.flexi'))}, threads: 1,
      endpoints: () => ({}), output: quiet, report: quiet }
    const { functions: [config] } = await workers.detect(${JSON.stringify(directory)}, { environment: {} })
    const source = await workers.open(config, scope)
    const instance = await (await source.build()).start()
    const rows = execFileSync('ps', ['-e', '-o', 'pid=,ppid=,args=']).toString().split('\\n')
    const row = rows.map((text) => text.trim().split(/\\s+/)).find(([, ppid, path]) => ppid === String(process.pid) && path.endsWith('/workerd'))
    console.log(row[0])
    ${ending}`
  const parent = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = (await once(parent.stdout ?? parent, 'data')) as [Buffer]
  return { parent, pid: Number(line.toString()) }
}

/** `undefined` when there is no such process, or only its remains. */
async function stateOf(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  const state = stat.slice(stat.lastIndexOf(')') + 2)[0]
  return state === 'Z' ? undefined : state
}

const isLinux = process.platform === 'linux'

test.runIf(isLinux)(
  'workerd ends with us, even when nobody can clean up (only where the kernel does it)',
  async () => {
    const { parent, pid } = await startParent('setInterval(() => undefined, 1000)')
    expect(await stateOf(pid)).toBeDefined()
    parent.kill('SIGKILL')
    await expect.poll(() => stateOf(pid), { timeout: 5000 }).toBeUndefined()
  },
  20_000,
)

test.runIf(isLinux)(
  'a process whose worker is disposed ends by itself, and its workerd before it',
  async () => {
    const { parent, pid } = await startParent(
      'await instance[Symbol.asyncDispose](); await source[Symbol.asyncDispose]()',
    )
    const [code] = (await once(parent, 'exit')) as [number | null]
    expect(code).toBe(0)
    expect(await stateOf(pid)).toBeUndefined()
  },
  20_000,
)

test('KV keeps what was stored over a reload and over a restart', async () => {
  const kept = MINIMAL.replace('}', ', "kv_namespaces": [{ "binding": "KV", "id": "1" }] }')
  const files = (version: string): Record<string, string> => ({
    'wrangler.jsonc': kept,
    'index.ts': `export default {
      async fetch(request: Request, env: any) {
        if (request.method === 'PUT') await env.KV.put('key', await request.text())
        return new Response('${version} ' + (await env.KV.get('key')))
      },
    }`,
  })
  await using served = await serveWorker({ files: files('v1') })
  expect((await served.ask('/', { method: 'PUT', body: Buffer.from('x') })).body.toString()).toBe('v1 x')
  await write(served.directory, files('v2'))
  await served.rebuild()
  expect((await served.ask('/')).body.toString()).toBe('v2 x')
  await expect.poll(() => runtimes().length, { timeout: 5000 }).toBe(1)
  for (const pid of runtimes()) process.kill(pid, 'SIGKILL')
  await expect.poll(() => served.faults.map(({ kind }) => kind)).toEqual(['crash'])
  expect((await served.ask('/')).body.toString()).toBe('v2 x')
}, 20_000)

test('a program that loops while it is loaded is given up, and leaves nothing', async () => {
  const loop = { type: 'ESModule', path: join(directory, 'loop.mjs'), contents: 'for (;;);' } as const
  const starting = startRuntime({
    workers: [{ name: 'loop', modules: [loop], modulesRoot: directory, compatibilityDate: '2026-01-01' }],
    served: ['loop'],
    resources: { ...NO_RESOURCES, workers: ['loop'] },
    state: directory,
    loadMs: 500,
    onLine: () => undefined,
    onNote: () => undefined,
  })
  await expect(starting).rejects.toThrow('the program was not loaded within 500 ms')
  expect(runtimes()).toEqual([])
  expect(await readdir(join(directory, 'run'))).toEqual([])
})

test('a change of the wrangler file, of a secret or of an asset is a new revision; none is the old one', async () => {
  const config = await lay(directory, {
    files: {
      'wrangler.jsonc': MINIMAL.replace('}', ', "assets": { "directory": "public" } }'),
      'index.ts': 'export default { fetch: () => new Response("hi") }\n',
      'public/a.txt': 'a',
    },
  })
  const source = await workers.open(config, scope())
  const revisions = [(await source.build()).revision]
  const again = (await source.build()).revision
  expect(again).toBe(revisions[0])
  await lay(directory, {
    files: {
      'wrangler.jsonc': MINIMAL.replace('}', ', "vars": { "A": 1 }, "assets": { "directory": "public" } }'),
    },
  })
  revisions.push((await source.build()).revision)
  await lay(directory, {
    files: {
      '.dev.vars': 'A=2',
      'wrangler.jsonc': MINIMAL.replace('}', ', "vars": { "A": 1 }, "assets": { "directory": "public" } }'),
    },
  })
  revisions.push((await source.build()).revision)
  expect(new Set(revisions).size).toBe(3)
  expect(source.watched()).toEqual(
    expect.arrayContaining(
      ['wrangler.jsonc', '.dev.vars', '.env', 'index.ts', 'public'].map((path) => join(directory, path)),
    ),
  )
  await source[Symbol.asyncDispose]()
}, 20_000)

test('a package is the production bundle without anything of ours', async () => {
  const config = await lay(directory, { fixture: 'bindings' })
  const source = await workers.open(config, scope())
  const target = join(directory, 'out') as AbsolutePath
  const files = await source.package(target)
  expect(files.map(({ path }) => path.replace(/^[0-9a-f]{40}/, 'HASH')).toSorted()).toEqual([
    'HASH-add.wasm',
    'HASH-greeting.txt',
    'assets/_headers',
    'assets/_redirects',
    'assets/page.html',
    'index.js',
    'index.js.map',
    'program.json',
    'wrangler.json',
  ])
  expect(files.find(({ path }) => path === 'index.js')?.inputs).toContain('src/index.ts')
  const code = await readFile(join(target, 'index.js'), 'utf8')
  expect(code).toContain('cloudflare:workers')
  // esbuild writes the names of our plugins' namespaces into comments.
  expect(code.replaceAll(/^ *\/\/.*$/gm, '')).not.toContain('flexi')
  await source[Symbol.asyncDispose]()
}, 20_000)

test('what is missing is named at its key', async () => {
  const config = await lay(directory, {
    files: { 'wrangler.jsonc': '{\n  "name": "x",\n  "main": "src/nope.ts"\n}' },
  })
  const source = await workers.open(config, scope())
  await expect(source.build()).rejects.toMatchObject({
    code: 'FLEXI_CONFIG',
    faults: [
      { place: { line: 3, column: 3 }, message: expect.stringContaining('src/nope.ts does not exist') },
    ],
  })
  await lay(directory, {
    files: {
      'wrangler.jsonc': MINIMAL,
      'index.ts': 'import fs from "fs"\nexport default { fetch: () => fs }\n',
    },
  })
  await expect(source.build()).rejects.toMatchObject({
    code: 'FLEXI_BUILD',
    faults: [{ place: { line: 1 }, hint: expect.stringContaining('"nodejs_compat"') }],
  })
  await source[Symbol.asyncDispose]()
}, 20_000)

test('warnings are said once, however often the worker is built', async () => {
  const config = await lay(directory, {
    files: {
      'wrangler.jsonc': '{ "name": "x", "main": "index.ts", "bogus": 1 }',
      'index.ts': 'export default {}\n',
    },
  })
  const lines: string[] = []
  const source = await workers.open(config, { ...scope(), output: ({ text: line }) => lines.push(line) })
  await source.build()
  await source.build()
  expect(lines).toEqual([
    expect.stringContaining('"bogus"'),
    expect.stringContaining('no compatibility_date is set'),
  ])
  await source[Symbol.asyncDispose]()
}, 20_000)
