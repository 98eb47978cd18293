import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'

import { writeWorkerTypes } from '../../../src/app/worker-types.ts'
import type { AbsolutePath } from '../../../src/core/place.ts'
import { write } from './serve.ts'

const ROOT = resolve(import.meta.dirname, '../../..')
const WRANGLER = join(ROOT, 'bench/peers/node_modules/wrangler/bin/wrangler.js')
const TSC = join(ROOT, 'node_modules/typescript/bin/tsc')
const run = promisify(execFile)

/** Every kind of binding that has a type. */
const CONFIG = {
  name: 'typed',
  main: 'src/index.ts',
  compatibility_date: '2026-01-01',
  compatibility_flags: ['nodejs_compat'],
  vars: { MODE: 'dev', N: 3, J: { a: [1, 'x'] }, B: true, 'my-var': 'q"uote', LIST: [1, 2] },
  kv_namespaces: [{ binding: 'KV', id: '1' }],
  r2_buckets: [{ binding: 'R2', bucket_name: 'bucket' }],
  d1_databases: [{ binding: 'DB', database_name: 'd', database_id: '1' }],
  queues: { producers: [{ binding: 'QUEUE', queue: 'q' }] },
  ai: { binding: 'AI' },
  assets: { directory: 'public', binding: 'ASSETS' },
  durable_objects: {
    bindings: [
      { name: 'ROOM', class_name: 'Room' },
      { name: 'FAR', class_name: 'Far', script_name: 'other' },
      { name: 'MISSING', class_name: 'Missing' },
    ],
  },
  migrations: [{ tag: '1', new_sqlite_classes: ['Room', 'Missing'] }],
  workflows: [{ binding: 'FLOW', name: 'flow', class_name: 'Flow' }],
  services: [
    { binding: 'SELF', service: 'typed' },
    { binding: 'API', service: 'typed', entrypoint: 'Api' },
    { binding: 'OTHER', service: 'other' },
    { binding: 'OTHER_API', service: 'other', entrypoint: 'X' },
  ],
  ratelimits: [{ name: 'LIMIT', namespace_id: '1', simple: { limit: 1, period: 10 } }],
  version_metadata: { binding: 'VERSION' },
  send_email: [{ name: 'MAIL' }],
  hyperdrive: [{ binding: 'HYPER', id: '1' }],
  analytics_engine_datasets: [{ binding: 'ANALYTICS' }],
  browser: { binding: 'BROWSER' },
  images: { binding: 'IMAGES' },
  vectorize: [{ binding: 'VECTORS', index_name: 'i' }],
  secrets_store_secrets: [{ binding: 'STORED', store_id: 's', secret_name: 'n' }],
  pipelines: [{ binding: 'PIPE', pipeline: 'p' }],
  mtls_certificates: [{ binding: 'MTLS', certificate_id: 'c' }],
  dispatch_namespaces: [{ binding: 'DISPATCH', namespace: 'n' }],
  worker_loaders: [{ binding: 'LOADER' }],
  unsafe: {
    bindings: [
      { name: 'UNSAFE', type: 'x' },
      { name: 'UNSAFE_LIMIT', type: 'ratelimit' },
    ],
  },
  rules: [{ type: 'Text', globs: ['**/*.md'], fallthrough: true }],
}

const PROGRAM = `import { DurableObject, WorkerEntrypoint, WorkflowEntrypoint, type WorkflowEvent, type WorkflowStep } from 'cloudflare:workers'
import text from './a.md'
export class Room extends DurableObject<Env> {
  hello(name: string): string { return name + this.env.MODE }
}
export class Api extends WorkerEntrypoint<Env> {
  add(a: number): number { return a + this.env.N }
}
export class Flow extends WorkflowEntrypoint<Env, { id: string }> {
  async run(event: WorkflowEvent<{ id: string }>, step: WorkflowStep): Promise<void> { await step.do('x', async () => event.payload.id) }
}
export default {
  async fetch(request, env, ctx): Promise<Response> {
    const mode: 'dev' = env.MODE
    const secret: string = env.SECRET
    const list: [1, 2] = env.LIST
    const said: string = await env.ROOM.getByName('a').hello('b')
    const sum: number = await env.API.add(1)
    await env.FLOW.create({ params: { id: 'x' } })
    const value: string | null = await env.KV.get('k')
    const rows = await env.DB.prepare('select 1').all<{ a: number }>()
    ctx.waitUntil(env.QUEUE.send({ a: 1 }))
    // @ts-expect-error
    await env.API.add('no number')
    // @ts-expect-error
    env.NOT_THERE
    return Response.json({ mode, secret, list, said, sum, value, text, rows: rows.results[0]?.a })
  },
} satisfies ExportedHandler<Env>
`

let directory: AbsolutePath
/** The runtime's types take a second to make. */
let state: string

beforeAll(async () => {
  state = await mkdtemp(join(tmpdir(), 'flexi-test-'))
})
beforeEach(async () => {
  directory = (await mkdtemp(join(tmpdir(), 'flexi-test-'))) as AbsolutePath
  return async () => {
    await cp(join(directory, '.flexi'), state, { recursive: true }).catch(() => undefined)
    await rm(directory, { recursive: true })
  }
})
afterAll(async () => rm(state, { recursive: true }))

type Options = Partial<Parameters<typeof writeWorkerTypes>[0]>

const types = (options: Options = {}) =>
  writeWorkerTypes({
    directory,
    environment: {},
    interfaceName: 'Env',
    includeRuntime: false,
    check: false,
    ...options,
  })
const generated = (name = 'worker-configuration.d.ts'): Promise<string> =>
  readFile(join(directory, name), 'utf8')

async function lay(config: object = CONFIG): Promise<void> {
  await write(directory, {
    'wrangler.json': JSON.stringify(config),
    'src/index.ts': PROGRAM,
    'src/a.md': 'words',
    'public/x': '',
    '.dev.vars': 'SECRET=1',
  })
}

/** Declarations without order and comments of their heads. */
const lines = (text: string): readonly string[] =>
  text
    .split('\n')
    .filter(
      (line) =>
        line.trim() !== '' &&
        !/^\/[/*] (?:eslint|Generated|Runtime)/.test(line) &&
        line !== '/* eslint-disable */',
    )
    .map((line) => line.trim())
    .toSorted()

async function byWrangler(...flags: string[]): Promise<string> {
  await run(process.execPath, [WRANGLER, 'types', 'theirs.d.ts', '--include-runtime=false', ...flags], {
    cwd: directory,
    env: { ...process.env, WRANGLER_SEND_METRICS: 'false' },
  })
  return await generated('theirs.d.ts')
}

describe('Env', () => {
  test.skipIf(!existsSync(WRANGLER))(
    'is what wrangler 4.86 makes of the same file',
    async () => {
      await lay()
      await types()
      expect(lines(await generated())).toEqual(lines(await byWrangler()))
    },
    20_000,
  )

  test.skipIf(!existsSync(WRANGLER))(
    'tells every environment, and what is not in all of them is optional, as wrangler has it',
    async () => {
      await lay({
        ...CONFIG,
        unsafe: undefined,
        env: {
          staging: { vars: { MODE: 'staging', EXTRA: 1 }, kv_namespaces: [{ binding: 'KV', id: '2' }] },
          'my-prod': { vars: { MODE: 'prod' }, d1_databases: [{ binding: 'DB2', database_id: '1' }] },
          empty: {},
        },
      })
      await types()
      const ours = await generated()
      expect(ours).toContain('interface MyProdEnv {')
      expect(lines(ours)).toEqual(lines(await byWrangler()))
      await types({ environment: { CLOUDFLARE_ENV: 'staging' } })
      // wrangler forgets the assets' binding there, which the environment inherits, and has when it runs.
      const theirs = [...lines(await byWrangler('--env', 'staging')), 'ASSETS: Fetcher;'].toSorted()
      expect(lines(await generated())).toEqual(theirs)
    },
    20_000,
  )

  test.skipIf(!existsSync(WRANGLER))(
    'has the names of required secrets, and the globals of a service worker, as wrangler has them',
    async () => {
      await lay({ ...CONFIG, unsafe: undefined, secrets: { required: ['TOKEN'] } })
      await types({ interfaceName: 'Bindings' })
      const ours = await generated()
      expect(ours).toContain('interface Bindings extends Cloudflare.Env {}')
      expect(lines(ours)).toEqual(lines(await byWrangler('--env-interface', 'Bindings')))
      await lay({ ...CONFIG, unsafe: undefined, durable_objects: undefined, workflows: [] })
      await write(directory, { 'src/index.ts': `addEventListener('fetch', () => undefined)` })
      await types()
      expect(lines(await generated())).toEqual(lines(await byWrangler()))
    },
    20_000,
  )

  test('types of another worker of the project are imported from its program', async () => {
    await write(directory, {
      'a/wrangler.json':
        '{ "name": "a", "main": "index.ts", "compatibility_date": "2026-01-01", "services": [{ "binding": "B", "service": "b", "entrypoint": "Api" }] }',
      'a/index.ts': 'export default { fetch: () => new Response() }',
      'b/wrangler.json': '{ "name": "b", "main": "src/index.ts", "compatibility_date": "2026-01-01" }',
      'b/src/index.ts': `export * from './api'\nexport default {}`,
      'b/src/api.ts': 'export class Api {}',
      'flexi.jsonc':
        '{ "functions": { "a": { "provider": "workers", "config": "a/wrangler.json" }, "b": { "provider": "workers", "config": "b/wrangler.json" } } }',
    })
    const reports = await types()
    expect(reports.map(({ file }) => file)).toEqual([
      'a/worker-configuration.d.ts',
      'b/worker-configuration.d.ts',
    ])
    expect(await generated('a/worker-configuration.d.ts')).toContain(
      'B: Service<typeof import("../b/src/index").Api>;',
    )
  })
})

describe('the file', () => {
  test('type-checks with the program it is for, runtime and all, and is up to date then', async () => {
    await lay({ ...CONFIG, compatibility_flags: [] })
    await write(directory, {
      'tsconfig.json': JSON.stringify({
        compilerOptions: {
          strict: true,
          noEmit: true,
          target: 'es2024',
          lib: ['es2024'],
          module: 'esnext',
          moduleResolution: 'bundler',
          types: ['./worker-configuration.d.ts'],
        },
        include: ['src'],
      }),
    })
    const [report] = await types({ includeRuntime: true })
    expect(report?.upToDate).toBe(false)
    expect(await generated()).toMatch(/\n\/\/ Runtime types of workerd@\S+ 2026-01-01\n/)
    await run(process.execPath, [TSC, '-p', directory]).catch((error: unknown) => {
      throw new Error((error as { stdout: string }).stdout, { cause: error })
    })
    expect((await types({ includeRuntime: true, check: true }))[0]?.upToDate).toBe(true)
  }, 40_000)

  test('is out of date once the configuration says something else', async () => {
    await lay()
    expect((await types({ check: true }))[0]?.upToDate).toBe(false)
    await types()
    expect((await types({ check: true }))[0]?.upToDate).toBe(true)
    await lay({ ...CONFIG, vars: { MODE: 'prod' } })
    expect((await types({ check: true }))[0]?.upToDate).toBe(false)
  })

  test('makes the command line end with 1 when it is out of date', async () => {
    await lay()
    const flexi = (...args: string[]): Promise<{ stdout: string }> =>
      run(process.execPath, [join(ROOT, 'bin/run.js'), 'types', '--no-include-runtime', ...args, directory])
    await expect(flexi('--check')).rejects.toMatchObject({
      code: 1,
      stdout: expect.stringContaining('out of date'),
    })
    expect((await flexi()).stdout).toContain('worker-configuration.d.ts')
    expect((await flexi('--check')).stdout).toContain('up to date')
  }, 20_000)

  test('that somebody wrote by hand is left alone', async () => {
    await lay()
    await writeFile(join(directory, 'worker-configuration.d.ts'), 'interface Env {}\n')
    await expect(types()).rejects.toMatchObject({ code: 'FLEXI_USAGE' })
    expect(await generated()).toBe('interface Env {}\n')
  })

  test('a worker that is not there is named, with the nearest one', async () => {
    await lay()
    await expect(types({ name: 'tpyed' })).rejects.toMatchObject({ hint: 'Did you mean typed?' })
  })
})
