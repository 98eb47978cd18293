import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import type { AbsolutePath } from '../../../src/core/place.ts'
import { mapBindings } from '../../../src/emulators/workers/bindings.ts'
import { readConfiguration, type Config } from '../../../src/emulators/workers/configuration.ts'
import { write } from './serve.ts'

const PEERS = join(import.meta.dirname, '../../../bench/peers')
const WRANGLER = join(PEERS, 'node_modules/wrangler')

type Options = Record<string, unknown>

interface Wrangler {
  unstable_getMiniflareWorkerOptions(path: string, env?: string): { workerOptions: Options }
}

/** Wrangler files, and what differs on purpose: key of miniflare's options → why. */
interface Case {
  readonly name: string
  readonly file: Options
  readonly env?: string
  readonly files?: Readonly<Record<string, string>>
  readonly differs?: Readonly<Record<string, string>>
}

const REMOTE_ONLY = 'miniflare needs an account for it: here it is a stub that throws, by wrappedBindings'
const FLAGS = 'wrangler dev hands the flags on, its own function for other tools forgets them'

const CASES: readonly Case[] = [
  {
    name: 'stored data',
    file: {
      kv_namespaces: [
        { binding: 'A', id: 'a' },
        { binding: 'B' },
        { binding: 'C', id: 'c', preview_id: 'p' },
      ],
      r2_buckets: [
        { binding: 'D', bucket_name: 'bucket-d', jurisdiction: 'eu' },
        { binding: 'E', bucket_name: 'bucket-e', preview_bucket_name: 'preview-e' },
      ],
      d1_databases: [
        { binding: 'F', database_name: 'f', database_id: 'f-id' },
        { binding: 'G', database_name: 'g', database_id: 'g-id', preview_database_id: 'r' },
        { binding: 'H' },
      ],
      analytics_engine_datasets: [{ binding: 'I', dataset: 'i' }],
      unsafe_hello_world: [{ binding: 'J', enable_timer: true }],
      secrets_store_secrets: [{ binding: 'K', store_id: 's', secret_name: 'k' }],
    },
  },
  {
    name: 'objects, their migrations, and those of another worker',
    file: {
      durable_objects: {
        bindings: [
          { name: 'A', class_name: 'Renamed' },
          { name: 'B', class_name: 'Plain' },
          { name: 'C', class_name: 'Theirs', script_name: 'other' },
        ],
      },
      migrations: [
        { tag: '1', new_sqlite_classes: ['Old', 'Gone', 'Unbound'], new_classes: ['Plain'] },
        { tag: '2', renamed_classes: [{ from: 'Old', to: 'Renamed' }], deleted_classes: ['Gone'] },
      ],
    },
    differs: {
      durableObjects: 'wrangler dev does not know how the other worker stores its class, and lets it decide',
    },
  },
  {
    name: 'queues and workflows',
    file: {
      compatibility_flags: ['nodejs_compat'],
      queues: {
        producers: [{ binding: 'A', queue: 'a', delivery_delay: 3 }],
        consumers: [
          {
            queue: 'a',
            max_batch_size: 2,
            max_batch_timeout: 1,
            max_retries: 4,
            dead_letter_queue: 'b',
            retry_delay: 5,
            max_concurrency: 2,
          },
          { queue: 'b' },
        ],
      },
      workflows: [
        { binding: 'C', name: 'c', class_name: 'Flow', limits: { steps: 7 } },
        { binding: 'D', name: 'd', class_name: 'Theirs', script_name: 'other' },
      ],
    },
    differs: { workflows: FLAGS },
  },
  {
    name: 'services and what stands beside them',
    file: {
      services: [
        { binding: 'A', service: 'other' },
        { binding: 'B', service: 'other', entrypoint: 'Api', props: { tenant: 1 } },
        { binding: 'C', service: 'worker', entrypoint: 'Own' },
      ],
      tail_consumers: [{ service: 'other' }],
      streaming_tail_consumers: [{ service: 'other' }],
      ratelimits: [{ name: 'D', namespace_id: '1', simple: { limit: 2, period: 10 } }],
      worker_loaders: [{ binding: 'E' }],
      version_metadata: { binding: 'F' },
      images: { binding: 'G' },
      stream: { binding: 'H' },
      browser: { binding: 'I' },
      hyperdrive: [{ binding: 'J', id: 'j', localConnectionString: 'postgres://u:p@127.0.0.1:1/db' }],
      pipelines: [{ binding: 'K', pipeline: 'k' }],
      send_email: [
        { name: 'L' },
        { name: 'M', destination_address: 'a@example.com' },
        {
          name: 'N',
          allowed_destination_addresses: ['a@example.com'],
          allowed_sender_addresses: ['b@e.com'],
        },
      ],
      unsafe: {
        bindings: [
          { name: 'O', type: 'ratelimit', namespace_id: '2', simple: { limit: 5, period: 60 } },
          {
            name: 'P',
            type: 'thing',
            value: 1,
            dev: { plugin: { package: 'p', name: 'q' }, options: { x: 2 } },
          },
        ],
      },
    },
    differs: {
      serviceBindings: 'wrangler dev hands props on, its own function for other tools forgets them',
    },
  },
  {
    name: 'what only the network has',
    file: {
      ai: { binding: 'A' },
      media: { binding: 'B' },
      vectorize: [{ binding: 'C', index_name: 'c' }],
      dispatch_namespaces: [{ binding: 'D', namespace: 'd' }],
      mtls_certificates: [{ binding: 'E', certificate_id: 'e' }],
      vpc_services: [{ binding: 'F', service_id: 'f' }],
    },
    differs: {
      ai: REMOTE_ONLY,
      media: REMOTE_ONLY,
      vectorize: REMOTE_ONLY,
      dispatchNamespaces: REMOTE_ONLY,
      mtlsCertificates: REMOTE_ONLY,
      vpcServices: REMOTE_ONLY,
      wrappedBindings: REMOTE_ONLY,
    },
  },
  {
    name: 'assets with rules',
    file: {
      assets: {
        directory: './public',
        binding: 'ASSETS',
        html_handling: 'drop-trailing-slash',
        not_found_handling: 'single-page-application',
        run_worker_first: ['/api/*', '!/api/docs/*'],
      },
    },
    files: { 'public/index.html': 'x' },
  },
  {
    name: 'assets behind the worker',
    file: { assets: { directory: 'public', binding: 'ASSETS', run_worker_first: true } },
    files: { 'public/index.html': 'x' },
  },
  {
    name: 'Workers Sites',
    file: { site: { bucket: './public', include: ['*.html'], exclude: ['x.html'] } },
    files: { 'public/index.html': 'x' },
  },
  {
    name: 'variables, secrets and an environment',
    file: {
      vars: { A: 'a', B: { deep: [1] }, C: 'c' },
      kv_namespaces: [{ binding: 'KV', id: 'top' }],
      env: { staging: { vars: { A: 'staged' }, kv_namespaces: [{ binding: 'KV', id: 'staged' }] } },
    },
    env: 'staging',
    files: { '.dev.vars.staging': 'C=secret\nD=more\nKV=hidden\n' },
  },
]

let directory: AbsolutePath
let wrangler: Wrangler
/** wrangler reads these when it is loaded: nothing is sent, and nothing of what it warns about is printed. */
const QUIET = { WRANGLER_SEND_METRICS: 'false', WRANGLER_LOG: 'none' }
const before = Object.keys(QUIET).map((name) => [name, process.env[name]] as const)

describe.skipIf(!existsSync(WRANGLER))(
  `what wrangler hands to miniflare (skipped where bench/peers has no wrangler)`,
  () => {
    beforeAll(async () => {
      directory = (await mkdtemp(join(tmpdir(), 'flexi-bindings-'))) as AbsolutePath
      Object.assign(process.env, QUIET)
      wrangler = createRequire(import.meta.url)(WRANGLER) as Wrangler
    }, 30_000)
    afterAll(async () => {
      for (const [name, value] of before)
        if (value === undefined) delete process.env[name]
        else process.env[name] = value
      await rm(directory, { recursive: true, force: true })
    })

    test.each(CASES)('$name: the same, but for what has a reason', async (given) => {
      const { theirs, ours } = await both(given)
      const differing = [...new Set([...Object.keys(theirs), ...Object.keys(ours)])].filter(
        (key) => JSON.stringify(theirs[key]) !== JSON.stringify(ours[key]),
      )
      expect(
        Object.fromEntries(differing.map((key) => [key, { theirs: theirs[key], ours: ours[key] }])),
      ).toEqual(Object.fromEntries(Object.keys(given.differs ?? {}).map((key) => [key, expect.anything()])))
    })
  },
)

async function both(given: Case): Promise<{ theirs: Options; ours: Options }> {
  const folder = join(directory, given.name.replaceAll(/\W+/g, '-'))
  const text = JSON.stringify({
    name: 'worker',
    main: 'index.js',
    compatibility_date: '2026-01-01',
    ...given.file,
  })
  await write(folder, { 'wrangler.json': text, 'index.js': 'export default {}', ...given.files })
  const file = join(folder, 'wrangler.json') as AbsolutePath
  const { config } = await readConfiguration(file, given.env)
  const variables = given.env === undefined ? {} : { C: 'secret', D: 'more', KV: 'hidden' }
  const neighbours = new Map<string, Config>([['other', await otherConfig(folder)]])
  const { options } = mapBindings({ config, variables, environment: {}, neighbours })
  const { workerOptions } = wrangler.unstable_getMiniflareWorkerOptions(file, given.env)
  return { theirs: plain(workerOptions, config.name), ours: plain({ ...options }, config.name) }
}

async function otherConfig(folder: string): Promise<Config> {
  await write(join(folder, 'other'), {
    'wrangler.json': JSON.stringify({
      name: 'other',
      migrations: [{ tag: '1', new_sqlite_classes: ['Theirs'] }],
    }),
  })
  return (await readConfiguration(join(folder, 'other/wrangler.json') as AbsolutePath)).config
}

/** Without what means nothing: keys without a value, defaults, and the worker's own name in two notations. */
function plain(options: Options, own: string | undefined): Options {
  const { compatibilityDate: _date, compatibilityFlags: _flags, modulesRules: _rules, ...rest } = options
  const simple = simplify(rest, own) as Options
  const meaningful = Object.entries(simple).filter(([, value]) => !isEmpty(value))
  return Object.fromEntries(meaningful.map(([key, value]) => [key, SHAPES[key]?.(value as Options) ?? value]))
}

const only =
  (...keys: readonly string[]) =>
  (record: Options): Options =>
    Object.fromEntries(
      Object.entries(record).map(([name, value]) => [
        name,
        Object.fromEntries(
          keys.flatMap((key) =>
            (value as Options)[key] === undefined ? [] : [[key, (value as Options)[key]]],
          ),
        ),
      ]),
    )

const ids = (record: Options): Options =>
  Object.fromEntries(
    Object.entries(record).map(([name, value]) => [
      name,
      typeof value === 'string' ? value : (value as Options)['id'],
    ]),
  )

/** Options that may be written in two ways, or that carry what miniflare does not look at. */
const SHAPES: Readonly<Record<string, (value: Options) => unknown>> = {
  kvNamespaces: ids,
  r2Buckets: ids,
  d1Databases: ids,
  pipelines: only('pipeline'),
  secretsStoreSecrets: only('secret_name', 'store_id'),
  helloWorld: only('enable_timer'),
  ratelimits: only('simple'),
}

function simplify(value: unknown, own: string | undefined): unknown {
  if (typeof value === 'symbol') return own
  if (Array.isArray(value)) return value.map((item) => simplify(item, own))
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value)
    .filter(([key]) => !key.startsWith('compatibility_'))
    .map(([key, item]) => [key, simplify(item, own)] as const)
    .filter(([key, item]) => item !== undefined && !DEFAULTS.has(`${key}=${JSON.stringify(item)}`))
    .filter(([, item]) => !(Array.isArray(item) && item.length === 0))
  return Object.fromEntries(entries.toSorted(([left], [right]) => (left < right ? -1 : 1)))
}

const DEFAULTS = new Set(['invoke_user_worker_ahead_of_assets=false', 'useSQLite=false'])

function isEmpty(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.values(value).every(isEmpty)
}
