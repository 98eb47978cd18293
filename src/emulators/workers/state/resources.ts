import { dirname, resolve } from 'node:path'

import type { Config } from '../configuration.ts'
import type { ControlBindings } from '../control/control.ts'
import type { Settings } from '../settings.ts'

/** Something stored that a worker is bound to. */
export interface StoredResource {
  /** Undefined for a queue that is only consumed. */
  readonly binding?: string | undefined
  /** What its data is kept under: a namespace's id, a bucket's or a queue's name, `STORE/NAME` of a secret. */
  readonly id: string
}

export interface StoredDatabase extends StoredResource {
  readonly name?: string | undefined
  /** Absolute. */
  readonly migrationsDirectory: string
  readonly migrationsTable: string
}

export interface StoredQueue extends StoredResource {
  readonly produces: boolean
  readonly consumes: boolean
  /** Seconds. */
  readonly deliveryDelay?: number | undefined
  readonly deadLetterQueue?: string | undefined
}

export interface StoredSecretName extends StoredResource {
  readonly store: string
  readonly name: string
  /** Its value is from `.dev.vars`, and no store is asked. */
  readonly given: boolean
}

/** What one worker keeps, as its settings name it. Plain data: it goes over HTTP. */
export interface WorkerResources {
  readonly function: string
  readonly kv: readonly StoredResource[]
  readonly r2: readonly StoredResource[]
  readonly d1: readonly StoredDatabase[]
  readonly queue: readonly StoredQueue[]
  readonly secret: readonly StoredSecretName[]
}

/** The ids are those that the bindings were made with. */
export function resourcesOf(name: string, { config, bindings }: Settings): WorkerResources {
  const { kvNamespaces, r2Buckets, secretsStoreSecrets } = bindings.options
  return {
    function: name,
    kv: stored(kvNamespaces),
    r2: stored(r2Buckets),
    d1: databases(config, stored(bindings.options.d1Databases)),
    queue: queues(config),
    secret: config.secrets_store_secrets.map(({ binding, store_id, secret_name }) => ({
      binding,
      id: `${store_id}/${secret_name}`,
      store: store_id,
      name: secret_name,
      given: secretsStoreSecrets?.[binding] === undefined,
    })),
  }
}

function stored(bound: Readonly<Record<string, string>> = {}): StoredResource[] {
  return Object.entries(bound).map(([binding, id]) => ({ binding, id }))
}

/** What wrangler takes where the file says nothing. */
const MIGRATIONS = { directory: 'migrations', table: 'd1_migrations' }

function databases(config: Config, bound: readonly StoredResource[]): StoredDatabase[] {
  const folder = dirname(config.configPath ?? '.')
  return bound.map((resource) => {
    const declared = config.d1_databases.find(({ binding }) => binding === resource.binding)
    return {
      ...resource,
      name: declared?.database_name,
      migrationsDirectory: resolve(folder, declared?.migrations_dir ?? MIGRATIONS.directory),
      migrationsTable: declared?.migrations_table ?? MIGRATIONS.table,
    }
  })
}

function queues(config: Config): StoredQueue[] {
  const { producers = [], consumers = [] } = config.queues
  const consumed = new Map(consumers.map((consumer) => [consumer.queue, consumer]))
  const produced = producers.map(({ binding, queue, delivery_delay }) => ({
    binding,
    id: queue,
    produces: true,
    consumes: consumed.has(queue),
    deliveryDelay: delivery_delay,
    deadLetterQueue: consumed.get(queue)?.dead_letter_queue,
  }))
  const names = new Set(produced.map(({ id }) => id))
  const others = consumers
    .filter(({ queue }) => !names.has(queue))
    .map(({ queue, dead_letter_queue }) => ({
      id: queue,
      produces: false,
      consumes: true,
      deadLetterQueue: dead_letter_queue,
    }))
  return [...produced, ...others]
}

/** What a runtime for all of them together is bound to. */
export function controlResources(all: readonly WorkerResources[]): Omit<ControlBindings, 'workers'> {
  const ids = (kind: 'kv' | 'r2' | 'd1' | 'queue'): string[] => [
    ...new Set(all.flatMap((resources) => resources[kind].map(({ id }) => id))),
  ]
  const secrets = new Map(
    all.flatMap(({ secret }) => secret.filter(({ given }) => !given).map((one) => [one.id, one] as const)),
  )
  return {
    kv: ids('kv'),
    r2: ids('r2'),
    d1: ids('d1'),
    queues: ids('queue'),
    secrets: [...secrets.values()].map(({ store, name }) => ({ store, name })),
  }
}
