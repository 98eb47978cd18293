import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import type { AbsolutePath } from '../../../src/core/place.ts'
import { mapBindings, type BindingInputs, type Bindings } from '../../../src/emulators/workers/bindings.ts'
import { readConfiguration, type Config } from '../../../src/emulators/workers/configuration.ts'
import { write } from './serve.ts'

let directory: AbsolutePath

beforeEach(async () => {
  directory = (await mkdtemp(join(tmpdir(), 'flexi-bindings-'))) as AbsolutePath
})
afterEach(async () => rm(directory, { recursive: true, force: true }))

async function read(name: string, file: object): Promise<Config> {
  const text = JSON.stringify({ name, compatibility_date: '2026-01-01', ...file })
  await write(directory, { [`${name}/wrangler.json`]: text })
  return (await readConfiguration(join(directory, name, 'wrangler.json') as AbsolutePath)).config
}

async function bindingsOf(file: object, more: Partial<BindingInputs> = {}): Promise<Bindings> {
  return mapBindings({ config: await read('own', file), variables: {}, environment: {}, ...more })
}

async function among(file: object, others: Readonly<Record<string, object>>): Promise<Bindings> {
  const list = Object.entries(others).map(async ([name, other]) => [name, await read(name, other)] as const)
  return bindingsOf(file, { neighbours: new Map(await Promise.all(list)) })
}

test('workers that own an object, a queue, a workflow or a database may not run twice', async () => {
  const exclusive = async (file: object): Promise<boolean> => (await bindingsOf(file)).exclusive
  expect(await exclusive({ kv_namespaces: [{ binding: 'A' }], r2_buckets: [{ binding: 'B' }] })).toBe(false)
  expect(await exclusive({ d1_databases: [{ binding: 'A' }] })).toBe(true)
  expect(await exclusive({ queues: { producers: [{ binding: 'A', queue: 'q' }] } })).toBe(true)
  expect(await exclusive({ durable_objects: { bindings: [{ name: 'A', class_name: 'C' }] } })).toBe(true)
  expect(await exclusive({ exports: { C: { type: 'durable-object', storage: 'sqlite' } } })).toBe(true)
})

describe('Durable Objects', () => {
  test('migrations decide where a class is stored, and a class that only they name exists', async () => {
    const { options } = await bindingsOf({
      durable_objects: { bindings: [{ name: 'A', class_name: 'New' }] },
      migrations: [
        { tag: '1', new_sqlite_classes: ['Old', 'Gone'], new_classes: ['Plain'] },
        { tag: '2', renamed_classes: [{ from: 'Old', to: 'New' }], deleted_classes: ['Gone'] },
      ],
    })
    expect(options.durableObjects).toEqual({ A: { className: 'New', useSQLite: true } })
    expect(options.additionalUnboundDurableObjects).toEqual([{ className: 'Plain', useSQLite: false }])
  })

  test('"exports" in place of migrations decide it too', async () => {
    const { options } = await bindingsOf({
      durable_objects: { bindings: [{ name: 'A', class_name: 'Room' }] },
      exports: {
        Room: { type: 'durable-object', storage: 'sqlite' },
        Old: { type: 'durable-object', state: 'deleted' },
        Unbound: { type: 'durable-object', storage: 'legacy-kv' },
      },
    })
    expect(options.durableObjects).toEqual({ A: { className: 'Room', useSQLite: true } })
    expect(options.additionalUnboundDurableObjects).toEqual([{ className: 'Unbound', useSQLite: false }])
  })

  test('of a class of another worker, that worker decides', async () => {
    const { options } = await among(
      { durable_objects: { bindings: [{ name: 'A', class_name: 'Room', script_name: 'rooms' }] } },
      { rooms: { migrations: [{ tag: '1', new_sqlite_classes: ['Room'] }] } },
    )
    expect(options.durableObjects).toEqual({ A: { className: 'Room', scriptName: 'rooms', useSQLite: true } })
  })

  test('a container is not started, and said', async () => {
    const { warnings } = await bindingsOf({
      containers: [{ class_name: 'Box', image: 'registry.cloudflare.com/a/b:1' }],
      durable_objects: { bindings: [{ name: 'A', class_name: 'Box' }] },
      migrations: [{ tag: '1', new_sqlite_classes: ['Box'] }],
    })
    expect(warnings).toEqual([expect.stringContaining('the container of Box is not started')])
  })
})

describe('other workers', () => {
  const file = {
    services: [{ binding: 'API', service: 'other', entrypoint: 'Api', props: { a: 1 } }],
    durable_objects: { bindings: [{ name: 'ROOM', class_name: 'Room', script_name: 'other' }] },
    workflows: [{ binding: 'FLOW', name: 'flow', class_name: 'Flow', script_name: 'other' }],
    tail_consumers: [{ service: 'other' }],
    streaming_tail_consumers: [{ service: 'other' }],
  }

  test('are bound when they are there, and nothing is to be said', async () => {
    const other = { workflows: [{ binding: 'F', name: 'flow', class_name: 'Flow', limits: { steps: 9 } }] }
    const { options, unavailable, warnings } = await among(file, { other })
    expect(options).toMatchObject({
      serviceBindings: { API: { name: 'other', entrypoint: 'Api', props: { a: 1 } } },
      durableObjects: { ROOM: { className: 'Room', scriptName: 'other' } },
      workflows: { FLOW: { name: 'flow', className: 'Flow', scriptName: 'other', stepLimit: 9 } },
      tails: [{ name: 'other' }],
      streamingTails: [{ name: 'other' }],
    })
    expect([unavailable, warnings]).toEqual([[], []])
  })

  test('throw and are named when they are not part of the project', async () => {
    const { options, unavailable, warnings } = await among(file, {})
    expect(unavailable.map(({ name }) => name)).toEqual(['API', 'ROOM', 'FLOW'])
    expect(Object.keys(options.wrappedBindings ?? {})).toEqual(['API', 'ROOM', 'FLOW'])
    expect(options.tails).toBeUndefined()
    expect(warnings.filter((text) => text.includes('other'))).toHaveLength(5)
    expect(warnings[0]).toContain('it is the worker other, which is not part of this project')
  })

  test('throw when deployed, and are not said to be missing from the project that they are in', async () => {
    const { unavailable, warnings } = await bindingsOf(file, { isShipped: true, neighbours: new Map() })
    expect(unavailable.map(({ name }) => name)).toEqual(['API', 'ROOM', 'FLOW'])
    const about = warnings.filter((text) => text.includes('other'))
    expect(about).toHaveLength(5)
    for (const text of about) expect(text).toContain('other, which is a function apart from this one')
  })

  test('throw while nobody knows them, and nothing is said yet', async () => {
    const { unavailable, warnings } = await bindingsOf(file)
    expect(unavailable.map(({ name }) => name)).toEqual(['API', 'ROOM', 'FLOW'])
    expect(warnings).toEqual([])
  })
})

describe('queues', () => {
  const consumer = (queue: string, more: object = {}): object => ({
    queues: { consumers: [{ queue, ...more }] },
  })

  test('a queue that two workers consume is the first one’s by name, and that is said', async () => {
    const behind = await among(consumer('q'), { first: consumer('q') })
    expect(behind.options.queueConsumers).toEqual({})
    expect(behind.warnings).toEqual(['the queue q is consumed by first too, which alone gets its messages'])
    const file = await read('worker', consumer('q'))
    const twice = (name: string, other: string) =>
      bindingsOf(consumer('q'), { name, neighbours: new Map([[other, file]]) })
    const [one, two] = [await twice('worker', 'worker--two'), await twice('worker--two', 'worker')]
    expect(Object.keys(one.options.queueConsumers ?? {})).toEqual(['q'])
    expect(two.options.queueConsumers).toEqual({})
    const before = await among(consumer('q'), { zebra: consumer('q') })
    expect(Object.keys(before.options.queueConsumers ?? {})).toEqual(['q'])
  })

  test('queues that nobody consumes are named, those to a dead letter queue too', async () => {
    const file = { queues: { producers: [{ binding: 'Q', queue: 'jobs' }] } }
    expect((await among(file, {})).warnings).toEqual([
      'no worker here consumes the queue jobs: its messages wait',
    ])
    expect((await among(file, { other: consumer('jobs') })).warnings).toEqual([])
    expect((await among(consumer('jobs', { dead_letter_queue: 'dead' }), {})).warnings).toEqual([
      'no worker here consumes the queue dead: its messages wait',
    ])
  })

  test('a queue that is its own dead letter queue has none, because miniflare would not start', async () => {
    const { options, warnings } = await bindingsOf(consumer('q', { dead_letter_queue: 'q' }))
    expect(options.queueConsumers?.['q']?.deadLetterQueue).toBeUndefined()
    expect(warnings).toEqual(['the queue q cannot be its own dead letter queue: it has none'])
  })

  test('a queue has one batch at a time, because miniflare’s broker waits for it', async () => {
    expect((await bindingsOf(consumer('q', { max_concurrency: 5 }))).warnings).toEqual([
      'the queue q has one batch at a time: max_concurrency has no effect',
    ])
  })
})

describe('Hyperdrive', () => {
  const file = (localConnectionString?: string): object => ({
    hyperdrive: [
      { binding: 'DB', id: 'x', ...(localConnectionString === undefined ? {} : { localConnectionString }) },
    ],
  })
  const [A, B, C] = ['a', 'b', 'c'].map((name) => `postgres://u:p@127.0.0.1:1/${name}`)

  test('the environment wins over the file, and its new name over the old one', async () => {
    const old = { WRANGLER_HYPERDRIVE_LOCAL_CONNECTION_STRING_DB: B }
    const both = { ...old, CLOUDFLARE_HYPERDRIVE_LOCAL_CONNECTION_STRING_DB: C }
    expect((await bindingsOf(file(A))).options.hyperdrives).toEqual({ DB: A })
    expect((await bindingsOf(file(A), { environment: old })).options.hyperdrives).toEqual({ DB: B })
    expect((await bindingsOf(file(A), { environment: both })).options.hyperdrives).toEqual({ DB: C })
  })

  test('without a database, or with one that cannot be meant, the binding throws', async () => {
    expect((await bindingsOf(file())).unavailable[0]?.reason).toContain('localConnectionString')
    for (const url of ['postgres://127.0.0.1/db', 'redis://u:p@h/1', 'postgres://u:p@h'])
      expect((await bindingsOf(file(url))).unavailable[0]?.reason).toContain('postgres://user:password@host')
  })
})

test('a secret of a store has the value of .dev.vars, else the local store’s', async () => {
  const file = {
    secrets_store_secrets: [
      { binding: 'KEY', store_id: 's', secret_name: 'api-key' },
      { binding: 'OTHER', store_id: 's', secret_name: 'other' },
    ],
  }
  const { options, workers, warnings } = await bindingsOf(file, { variables: { 'api-key': 'v' } })
  expect(options.wrappedBindings).toEqual({ KEY: { scriptName: 'flexi-secret', bindings: { VALUE: 'v' } } })
  expect(options.secretsStoreSecrets).toEqual({ OTHER: { store_id: 's', secret_name: 'other' } })
  expect(workers.map(({ name }) => name)).toEqual(['flexi-secret'])
  expect(warnings).toEqual([expect.stringContaining('write other=… into .dev.vars')])
})

test('a certificate is read from the files that the environment names, else the binding throws', async () => {
  const file = { mtls_certificates: [{ binding: 'CERT', certificate_id: 'c' }] }
  expect((await bindingsOf(file)).unavailable).toEqual([
    { name: 'CERT', reason: 'set FLEXI_MTLS_CERTIFICATE_CERT to a PEM file of this machine' },
  ])
  await write(directory, { 'own/c.pem': 'certificate', 'own/k.pem': 'key' })
  const environment = { FLEXI_MTLS_CERTIFICATE_CERT: 'c.pem', FLEXI_MTLS_KEY_CERT: 'k.pem' }
  const { options } = await bindingsOf(file, { environment })
  expect(options.serviceBindings?.['CERT']).toMatchObject({
    network: { tlsOptions: { keypair: { certificateChain: 'certificate', privateKey: 'key' } } },
  })
})

test('a secret by a binding’s name does not hide the binding', async () => {
  const file = { kv_namespaces: [{ binding: 'KV' }], send_email: [{ name: 'MAIL' }] }
  const { options } = await bindingsOf(file, { variables: { KV: 'x', MAIL: 'y', OTHER: 'z' } })
  expect(options.bindings).toEqual({ OTHER: 'z' })
})

test('a binding that asks for the account’s resource and gets a local one is named', async () => {
  const remote = true
  const { warnings } = await bindingsOf({
    kv_namespaces: [{ binding: 'A', id: 'a', remote }],
    r2_buckets: [{ binding: 'B', remote }],
    d1_databases: [{ binding: 'C', database_id: 'c', remote }],
    send_email: [{ name: 'D', remote }],
    images: { binding: 'E', remote },
    services: [{ binding: 'F', service: 'own', remote }],
    workflows: [{ binding: 'G', name: 'g', class_name: 'G', remote }],
  })
  expect(warnings).toEqual(
    ['A', 'B', 'C', 'G', 'F', 'E', 'D'].map(
      (name) => `the binding ${name} asks for the remote resource; a local one is used`,
    ),
  )
})

test('rules of run_worker_first that match nothing, and a worker that cannot reach its assets, are named', async () => {
  const assets = (more: object): object => ({ main: 'x.js', assets: { directory: 'public', ...more } })
  expect((await bindingsOf(assets({ run_worker_first: true }))).warnings[0]).toContain('assets.binding')
  expect((await bindingsOf(assets({ run_worker_first: ['api/*', '/x'] }))).warnings).toEqual([
    'the rule "api/*" of assets.run_worker_first matches nothing: begin it with / or !/',
  ])
})

/** Everything that a wrangler file can bind and that has no form on this machine: the docs' list. */
const UNAVAILABLE: Readonly<Record<string, object>> = {
  AI: { ai: { binding: 'AI' } },
  MEDIA: { media: { binding: 'MEDIA' } },
  SEARCH: { websearch: { binding: 'SEARCH' } },
  VECTORS: { vectorize: [{ binding: 'VECTORS', index_name: 'i' }] },
  SPACE: { ai_search_namespaces: [{ binding: 'SPACE', namespace: 'n' }] },
  FIND: { ai_search: [{ binding: 'FIND', instance_name: 'n' }] },
  MEMORY: { agent_memory: [{ binding: 'MEMORY', namespace: 'n' }] },
  ARTIFACTS: { artifacts: [{ binding: 'ARTIFACTS', namespace: 'n' }] },
  FLAGS: { flagship: [{ binding: 'FLAGS', app_id: 'a' }] },
  VPC: { vpc_services: [{ binding: 'VPC', service_id: 's' }] },
  NETWORK: { vpc_networks: [{ binding: 'NETWORK', tunnel_id: 't' }] },
  DISPATCH: { dispatch_namespaces: [{ binding: 'DISPATCH', namespace: 'n' }] },
  LOG: { logfwdr: { bindings: [{ name: 'LOG', destination: 'd' }] } },
  ODD: { unsafe: { bindings: [{ name: 'ODD', type: 'odd' }] } },
}

test.each(Object.entries(UNAVAILABLE))('%s has no local form: a stub, and a sentence', async (name, file) => {
  const { options, unavailable, warnings, workers } = await bindingsOf(file)
  expect(unavailable.map((item) => item.name)).toEqual([name])
  expect(Object.keys(options.wrappedBindings ?? {})).toEqual([name])
  expect(workers.map((worker) => worker.name)).toEqual(['flexi-unavailable'])
  expect(warnings).toEqual([
    expect.stringContaining(`the binding ${name} is not available here and throws when used: `),
  ])
})

/** Keys of the configuration that bind something, each mapped in some test of this room; a new one of Cloudflare's fails here. */
const BINDING_KEYS = [
  'agent_memory',
  'ai',
  'ai_search',
  'ai_search_namespaces',
  'analytics_engine_datasets',
  'artifacts',
  'browser',
  'd1_databases',
  'data_blobs',
  'dispatch_namespaces',
  'durable_objects',
  'flagship',
  'hyperdrive',
  'images',
  'kv_namespaces',
  'logfwdr',
  'media',
  'mtls_certificates',
  'pipelines',
  'queues',
  'r2_buckets',
  'ratelimits',
  'secrets_store_secrets',
  'send_email',
  'services',
  'stream',
  'text_blobs',
  'unsafe',
  'unsafe_hello_world',
  'vectorize',
  'version_metadata',
  'vpc_networks',
  'vpc_services',
  'wasm_modules',
  'websearch',
  'worker_loaders',
  'workflows',
]

/** What of the configuration is no binding. */
const OTHER_KEYS =
  /^(?:\$schema|account_id|addresses|alias|assets|base_dir|build|cache|cloudchamber|compatibility_(?:date|flags)|compliance_region|config(?:Path)?|containers|define|definedEnvironments|dependencies_instrumentation|dev|env|exports|find_additional_modules|first_party_worker|jsx_\w+|keep_(?:names|vars)|legacy_\w+|limits|logpush|main|migrations|minify|name|no_bundle|node_compat|observability|original\w+|pages_build_output_dir|placement|preserve_file_names|preview_urls|previews|python_modules|routes?|rules|secrets|send_metrics|site|streaming_tail_consumers|tail_consumers|targetEnvironment|topLevelName|triggers|tsconfig|upload_source_maps|usage_model|userConfigPath|vars|workers_dev|access)$/

test('no key of the configuration that binds something is unknown here', async () => {
  const config = await read('own', {})
  const unknown = Object.keys(config).filter((key) => !BINDING_KEYS.includes(key) && !OTHER_KEYS.test(key))
  expect(Object.keys(config).length).toBeGreaterThan(60)
  expect(unknown).toEqual([])
})
