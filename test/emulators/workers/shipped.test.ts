import { access, mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { afterEach, describe, expect, test } from 'vitest'

import type { AbsolutePath } from '../../../src/core/place.ts'
import { readConfiguration } from '../../../src/emulators/workers/configuration.ts'
import { workers } from '../../../src/emulators/workers/index.ts'
import { testScope } from '../../scope.ts'
import type { Served } from '../conformance.ts'
import { serveShipped, ship, type Shipped } from './deployed.ts'
import { write, type Laid } from './serve.ts'

const open: AsyncDisposable[] = []

afterEach(async () => {
  for (const item of open.splice(0).toReversed()) await item[Symbol.asyncDispose]()
})

async function shipped(laid: Laid): Promise<Shipped> {
  const result = await ship(laid)
  open.push(result)
  return result
}

async function deployed(laid: Laid, environment: Record<string, string> = {}): Promise<Served> {
  const served = await serveShipped(await shipped(laid), { environment })
  open.push(served)
  return served
}

async function text(served: Served, path = '/'): Promise<string> {
  const { status, body } = await served.ask(path)
  return `${status} ${body.toString()}`
}

const config = (keys: object = {}): string =>
  JSON.stringify({ name: 'worker', main: 'index.ts', compatibility_date: '2026-01-01', ...keys })

const ANSWER_ENV = 'export default { fetch: (_request, env) => Response.json(env) }\n'

describe('a shipped worker', () => {
  test('runs with everything it is bound to, where nothing else of its project is', async () => {
    const served = await deployed({ fixture: 'bindings', files: { '.dev.vars': 'TOKEN=from .dev.vars\n' } })
    expect(await text(served, '/kv/put')).toBe('200 null')
    expect(await text(served, '/kv')).toBe('200 "kept"')
    expect(await text(served, '/d1')).toBe('200 7')
    expect(await text(served, '/r2')).toBe('200 "object"')
    expect(await text(served, '/counter')).toBe('200 1')
    expect(await text(served, '/self')).toBe('200 5')
    expect(await text(served, '/modules')).toBe('200 ["from a text module",42]')
    expect(await text(served, '/node')).toContain('200 ["9dd4e461268c8034f5c8564e155c67a6","6869"]')
    expect(await text(served, '/asset')).toMatch(/^200 "<.*page/i)
    expect(await text(served, '/flow/start')).toBe('200 "one"')
    await expect.poll(() => text(served, '/flow'), { timeout: 5000 }).toBe('200 42')
  }, 30_000)

  test('leaves the secrets of development at home, and takes the variables of its deployment over those of the file', async () => {
    const worker = await shipped({
      files: {
        'wrangler.jsonc': config({ vars: { A: 'file', B: 'file' } }),
        '.dev.vars': 'A=secret\nC=secret\n',
        'index.ts': ANSWER_ENV,
      },
    })
    for (const { path } of worker.files)
      expect(await readFile(join(worker.directory, path), 'utf8')).not.toContain('secret')
    const served = await serveShipped(worker, { environment: { A: 'daemon', D: 'daemon' } })
    open.push(served)
    expect(await text(served)).toBe('200 {"A":"daemon","B":"file","D":"daemon"}')
  }, 20_000)

  test('is of one environment, and says nothing of routes, builds and paths', async () => {
    const { directory, files } = await shipped({
      files: {
        'wrangler.jsonc': config({
          routes: ['example.com/*'],
          workers_dev: true,
          main: 'built/index.js',
          build: { command: 'mkdir -p built && cp index.ts built/index.js' },
          vars: { STAGE: 'none' },
          env: { staging: { vars: { STAGE: 'staging' }, kv_namespaces: [{ binding: 'KV', id: 'k' }] } },
        }),
        'index.ts': ANSWER_ENV,
      },
      config: { options: { env: 'staging' } },
    })
    expect(JSON.parse(await readFile(join(directory, 'wrangler.json'), 'utf8'))).toEqual({
      name: 'worker-staging',
      main: 'index.js',
      compatibility_date: '2026-01-01',
      vars: { STAGE: 'staging' },
      kv_namespaces: [{ binding: 'KV', id: 'k' }],
    })
    expect(files.map(({ path }) => path).toSorted()).toEqual([
      'index.js',
      'index.js.map',
      'program.json',
      'wrangler.json',
    ])
  }, 20_000)

  test('has a wrangler file that Cloudflare’s own reader finds no fault in, whatever was in the first one', async () => {
    const { directory } = await shipped({ fixture: 'bindings' })
    const read = await readConfiguration(join(directory, 'wrangler.json') as AbsolutePath)
    expect(read.warnings).toEqual([])
    expect(read.config.durable_objects.bindings).toEqual([{ name: 'COUNTER', class_name: 'Counter' }])
  })

  test('of events in place of exports brings its blobs and the wasm that it imports along', async () => {
    const wasm = await readFile(join(import.meta.dirname, '../../fixtures/workers/bindings/src/add.wasm'))
    const served = await deployed({
      files: {
        'wrangler.jsonc': config({
          compatibility_date: '2026-01-01',
          text_blobs: { GREETING: 'texts/hello.txt' },
        }),
        'texts/hello.txt': 'hello',
        'add.wasm': '',
        'index.ts': `import add from './add.wasm'
addEventListener('fetch', (event) => event.respondWith(new Response(
  GREETING + new WebAssembly.Instance(add).exports.add(1, 2))))\n`,
      },
      more: (folder) => writeFile(join(folder, 'add.wasm'), wasm),
    })
    expect(await text(served)).toBe('200 hello3')
  }, 20_000)

  test('that is not bundled keeps its modules as they are', async () => {
    const served = await deployed({
      files: {
        'wrangler.jsonc': config({
          main: 'index.mjs',
          no_bundle: true,
          rules: [{ type: 'ESModule', globs: ['**/*.mjs'] }],
        }),
        'index.mjs': `import { name } from './lib/name.mjs'\nexport default { fetch: () => new Response(name) }\n`,
        'lib/name.mjs': `export const name = 'from a module'\n`,
      },
    })
    expect(await text(served)).toBe('200 from a module')
  }, 20_000)

  test('of assets alone serves them, and its site does where it has one', async () => {
    const served = await deployed({
      files: {
        'wrangler.jsonc': JSON.stringify({
          name: 'site',
          compatibility_date: '2026-01-01',
          assets: { directory: 'public' },
        }),
        'public/index.html': '<p>page</p>',
      },
    })
    expect(await text(served)).toBe('200 <p>page</p>')
  }, 20_000)

  test('tells where in its source it threw, because the map came along', async () => {
    const served = await deployed({
      files: {
        'wrangler.jsonc': config(),
        'index.ts': 'interface A { b: string }\n\nexport default { fetch() { throw new Error("broken") } }\n',
      },
    })
    expect((await served.ask('/')).status).toBe(500)
    await expect.poll(() => served.faults[0]?.frame?.place.line).toBe(3)
    expect(served.faults[0]?.frame?.place.file).toMatch(/index\.ts$/)
  }, 20_000)

  test('starts without a build: the same folder twice is the same revision', async () => {
    const worker = await shipped({ files: { 'wrangler.jsonc': config(), 'index.ts': ANSWER_ENV } })
    const source = await workers.open(worker.config, testScope(worker.directory, { mode: 'serve' }))
    open.push(source)
    const before = process.getActiveResourcesInfo().filter((kind) => kind === 'ProcessWrap').length
    const first = await source.build()
    expect(process.getActiveResourcesInfo().filter((kind) => kind === 'ProcessWrap')).toHaveLength(before)
    expect((await source.build()).revision).toBe(first.revision)
  })
})

describe('who wrote a shipped folder by hand', () => {
  const worker = (): Promise<Shipped> =>
    shipped({ files: { 'wrangler.jsonc': config(), 'index.ts': ANSWER_ENV } })

  async function build({ directory, config: own }: Shipped): Promise<unknown> {
    const source = await workers.open(own, testScope(directory, { mode: 'serve' }))
    open.push(source)
    return await source.build()
  }

  test.each([
    ['above it', '../../../../../../etc/hostname'],
    ['by its whole path', '/etc/hostname'],
    ['through a link', 'link'],
  ])('reads no file outside it: a module %s', async (_how, name) => {
    const { directory, ...rest } = await worker()
    await symlink('/etc/hostname', join(directory, 'link'))
    const list = {
      main: 'index.js',
      format: 'modules',
      exports: ['default'],
      modules: [{ name, type: 'Text' }],
    }
    await write(directory, { 'program.json': JSON.stringify(list) })
    await expect(build({ directory, ...rest })).rejects.toMatchObject({
      code: 'FLEXI_CONFIG',
      message: expect.stringContaining(name),
    })
  })

  test.each([
    ['assets', { assets: { directory: '/etc' } }, 'not in the folder'],
    ['a site', { site: { bucket: '../..' } }, 'not in the folder'],
    ['a blob', { text_blobs: { X: '../../../../../etc/passwd' } }, 'not in the folder'],
    ['a build', { build: { command: 'touch /tmp/flexi-was-here' } }, 'a build command'],
    [
      'a plugin',
      {
        unsafe: { bindings: [{ name: 'X', type: 'x', dev: { plugin: { package: './x.cjs', name: 'x' } } }] },
      },
      'the unsafe binding X',
    ],
  ])('has nothing read or run by us: %s', async (_what, keys, words) => {
    const { directory, ...rest } = await worker()
    await write(directory, { 'wrangler.json': config({ main: 'index.js', ...keys }) })
    await expect(build({ directory, ...rest })).rejects.toMatchObject({
      code: 'FLEXI_CONFIG',
      message: expect.stringContaining(words),
    })
    await expect(access('/tmp/flexi-was-here')).rejects.toThrow('ENOENT')
  })

  test('finds none of the daemon’s own variables in it', async () => {
    process.env['FLEXI_TEST_ROOT'] = 'root secret'
    try {
      const { directory, ...rest } = await worker()
      await write(directory, {
        'wrangler.json': config({ main: 'index.js', secrets: { required: ['FLEXI_TEST_ROOT', 'MINE'] } }),
        '.dev.vars': 'MINE=${FLEXI_TEST_ROOT}\n',
        '.env': 'MINE=${FLEXI_TEST_ROOT}\n',
      })
      const served = await serveShipped({ directory, ...rest }, { environment: { MINE: 'mine' } })
      open.push(served)
      expect(await text(served)).toBe('200 {"MINE":"mine"}')
    } finally {
      delete process.env['FLEXI_TEST_ROOT']
    }
  }, 20_000)

  test('is not led to another file by a build tool’s note', async () => {
    const { directory, ...rest } = await worker()
    await mkdir(join(directory, '.wrangler/deploy'), { recursive: true })
    await write(directory, { '.wrangler/deploy/config.json': '{ "configPath": "/etc/hostname" }' })
    await expect(build({ directory, ...rest })).resolves.toBeDefined()
  })

  test.each([
    ['no list', ''],
    ['a list of nothing', '{}'],
    ['another kind of list', '[1]'],
  ])('is told that it is not whole: %s', async (_what, list) => {
    const { directory, ...rest } = await worker()
    await write(directory, { 'program.json': list })
    await expect(build({ directory, ...rest })).rejects.toMatchObject({
      code: 'FLEXI_CONFIG',
      hint: expect.stringContaining('flexi deploy'),
    })
  })
})

test('a program with a module of the name of a deployment’s file is refused before anything is uploaded', async () => {
  const laid = {
    files: {
      'wrangler.jsonc': config({
        main: 'index.mjs',
        no_bundle: true,
        rules: [{ type: 'Text', globs: ['**/*.json'] }],
      }),
      'index.mjs': 'export default { fetch: () => new Response("x") }\n',
      'program.json': '{}',
    },
  }
  await expect(ship(laid)).rejects.toMatchObject({ code: 'FLEXI_BUILD' })
})
