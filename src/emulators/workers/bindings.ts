import { dirname, resolve } from 'node:path'

import type { Config } from './configuration.ts'
import { durableObjects } from './durable-objects.ts'
import type { MiniflareBindings, Sender } from './miniflare.ts'
import { connectionString, unavailableBindings, type Unavailable } from './unavailable.ts'

export interface BindingInputs {
  readonly config: Config
  /** `.dev.vars`, `.env` and the function's own environment; they win over `vars`. */
  readonly variables: Readonly<Record<string, string>>
  /** The shell's environment, for Hyperdrive's connection strings. */
  readonly environment: Readonly<Record<string, string | undefined>>
}

/** What `env` holds in the worker. */
export interface Bindings {
  /** In miniflare's words. */
  readonly options: MiniflareBindings
  /** Bindings that only Cloudflare's network has: present, and throwing with a reason when used. */
  readonly unavailable: readonly Unavailable[]
  /** One sentence each, for the person at the terminal. */
  readonly warnings: readonly string[]
  /** Two revisions may not hold these at once: each would run its own copy of an object, or lock the other's database. */
  readonly exclusive: boolean
}

/** Every binding of a configuration, local where there is a local one. */
export function mapBindings(inputs: BindingInputs): Bindings {
  const { config, environment } = inputs
  const unavailable = unavailableBindings(config, environment)
  const { values, warnings } = variableBindings(inputs)
  return {
    options: {
      bindings: values,
      ...storage(config),
      ...durableObjects(config),
      ...messaging(config),
      ...services(config, environment),
      ...files(config),
      ...assets(config),
    },
    unavailable,
    warnings: [
      ...warnings,
      ...unavailable.map(
        ({ name, reason }) => `the binding ${name} is not available here and throws when used: ${reason}`,
      ),
      ...remoteWarnings(config),
    ],
    exclusive: isExclusive(config),
  }
}

function variableBindings({ config, variables }: BindingInputs): {
  values: Readonly<Record<string, unknown>>
  warnings: readonly string[]
} {
  const required = config.secrets?.required
  if (required === undefined) return { values: { ...config.vars, ...variables }, warnings: [] }
  // A list of secrets is also a fence: what it does not name stays out.
  const named = Object.entries(variables).filter(([name]) => required.includes(name) || name in config.vars)
  const missing = required.filter((name) => variables[name] === undefined)
  return {
    values: { ...config.vars, ...Object.fromEntries(named) },
    warnings: missing.map(
      (name) =>
        `the required secret ${name} is not set: write ${name}=… into .dev.vars beside the wrangler file`,
    ),
  }
}

/** Binding name → what it stands for, for lists of `{ binding, … }`. */
function keyed<T extends { readonly binding: string }, V>(
  list: readonly T[] | undefined,
  value: (item: T) => V,
): Record<string, V> {
  return Object.fromEntries((list ?? []).map((item) => [item.binding, value(item)]))
}

/** Identifiers fall back to the binding's name, as they do in wrangler before anything is deployed. */
function storage(config: Config): MiniflareBindings {
  return {
    kvNamespaces: keyed(config.kv_namespaces, ({ id, preview_id, binding }) => preview_id ?? id ?? binding),
    r2Buckets: keyed(
      config.r2_buckets,
      ({ bucket_name, preview_bucket_name, binding }) => preview_bucket_name ?? bucket_name ?? binding,
    ),
    d1Databases: keyed(
      config.d1_databases,
      ({ database_id, preview_database_id, binding }) => preview_database_id ?? database_id ?? binding,
    ),
    secretsStoreSecrets: keyed(config.secrets_store_secrets, ({ store_id, secret_name }) => ({
      store_id,
      secret_name,
    })),
    analyticsEngineDatasets: keyed(config.analytics_engine_datasets, ({ dataset, binding }) => ({
      dataset: dataset ?? binding,
    })),
  }
}

function messaging(config: Config): MiniflareBindings {
  const consumers = (config.queues.consumers ?? []).map(
    (consumer) =>
      [
        consumer.queue,
        {
          maxBatchSize: consumer.max_batch_size,
          maxBatchTimeout: consumer.max_batch_timeout,
          maxRetries: consumer.max_retries,
          deadLetterQueue: consumer.dead_letter_queue,
          retryDelay: consumer.retry_delay,
        },
      ] as const,
  )
  return {
    queueProducers: keyed(config.queues.producers, ({ queue, delivery_delay }) => ({
      queueName: queue,
      deliveryDelay: delivery_delay,
    })),
    queueConsumers: Object.fromEntries(consumers),
    ...(config.workflows.length === 0
      ? {}
      : { workflows: keyed(config.workflows, ({ name, class_name }) => ({ name, className: class_name })) }),
    ...(config.send_email.length === 0 ? {} : { email: { send_email: config.send_email.map(senderOf) } }),
  }
}

/** A key that is there without a value is one that workerd refuses. */
function senderOf(binding: Config['send_email'][number]): Sender {
  const { name, destination_address, allowed_destination_addresses, allowed_sender_addresses } = binding
  const given = { destination_address, allowed_destination_addresses, allowed_sender_addresses }
  return { name, ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) }
}

function services(config: Config, environment: BindingInputs['environment']): MiniflareBindings {
  const own = (config.services ?? []).filter(({ service }) => service === config.name)
  const databases = config.hyperdrive.flatMap(({ binding, localConnectionString }) => {
    const url = connectionString(binding, environment) ?? localConnectionString
    return url === undefined ? [] : [[binding, url] as const]
  })
  return {
    serviceBindings: keyed(own, ({ service, entrypoint, props }) => ({
      name: service,
      ...(entrypoint === undefined ? {} : { entrypoint }),
      ...(props === undefined ? {} : { props }),
    })),
    hyperdrives: Object.fromEntries(databases),
    ratelimits: Object.fromEntries(config.ratelimits.map(({ name, simple }) => [name, { simple }])),
    workerLoaders: keyed(config.worker_loaders, () => ({})),
    ...(config.version_metadata === undefined ? {} : { versionMetadata: config.version_metadata.binding }),
    ...(config.images === undefined ? {} : { images: { binding: config.images.binding } }),
  }
}

/** `wasm_modules`, `text_blobs` and `data_blobs` of service workers. */
function files(config: Config): MiniflareBindings {
  const absolute = (paths: Readonly<Record<string, string>> | undefined): Record<string, string> =>
    Object.fromEntries(Object.entries(paths ?? {}).map(([name, path]) => [name, atConfig(config, path)]))
  return {
    wasmBindings: absolute(config.wasm_modules),
    textBlobBindings: absolute(config.text_blobs),
    dataBlobBindings: absolute(config.data_blobs),
  }
}

/** A path of the file starts at the file. */
export function atConfig(config: Config, path: string): string {
  return resolve(dirname(config.configPath ?? '.'), path)
}

/** The folder of static assets, absolute. */
export function assetsDirectory(config: Config): string | undefined {
  return config.assets?.directory === undefined ? undefined : atConfig(config, config.assets.directory)
}

function assets(config: Config): MiniflareBindings {
  const directory = assetsDirectory(config)
  if (directory === undefined || config.assets === undefined) return {}
  const { binding, html_handling, not_found_handling, run_worker_first } = config.assets
  const rules = Array.isArray(run_worker_first) ? run_worker_first : undefined
  const routing = rules === undefined ? {} : { static_routing: staticRouting(rules) }
  return {
    assets: {
      directory,
      ...(binding === undefined ? {} : { binding }),
      routerConfig: {
        has_user_worker: config.main !== undefined,
        invoke_user_worker_ahead_of_assets: run_worker_first === true,
        ...routing,
      },
      // miniflare adds _redirects and _headers of the folder.
      assetConfig: { html_handling, not_found_handling },
    },
  }
}

/** `["/api/*", "!/api/docs/*"]` → the worker's paths, and the ones that stay with the assets. */
function staticRouting(rules: readonly string[]): { user_worker: string[]; asset_worker?: string[] } {
  const kept = rules.filter((rule) => rule.startsWith('!')).map((rule) => rule.slice(1))
  const user_worker = rules.filter((rule) => !rule.startsWith('!'))
  return kept.length === 0 ? { user_worker } : { user_worker, asset_worker: kept }
}

function remoteWarnings(config: Config): readonly string[] {
  const lists = [config.kv_namespaces, config.r2_buckets, config.d1_databases, config.queues.producers ?? []]
  return lists
    .flatMap((list) => list.filter((item) => item.remote === true))
    .map(({ binding }) => `the binding ${binding} asks for the remote resource; a local one is used`)
}

function isExclusive(config: Config): boolean {
  const objects = config.durable_objects.bindings.length + config.migrations.length
  const queues = (config.queues.producers?.length ?? 0) + (config.queues.consumers?.length ?? 0)
  return objects + queues + config.workflows.length + config.d1_databases.length > 0
}
