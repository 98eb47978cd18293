import { assets, assetsDirectory } from './bindings/assets.ts'
import { atConfig, blobPath, type BindingInputs, type Mapped, type Unavailable } from './bindings/inputs.ts'
import { email, pipelines, queues, workflows } from './bindings/messaging.ts'
import { otherWorkers } from './bindings/others.ts'
import { remoteWarnings } from './bindings/remote.ts'
import { secretsStore } from './bindings/secrets-store.ts'
import { certificates, hyperdrive, ownServices, unsafeBindings } from './bindings/services.ts'
import { files, storage } from './bindings/storage.ts'
import type { Config } from './configuration.ts'
import { durableObjects } from './durable-objects.ts'
import type { MiniflareBindings, MiniflareWorker } from './miniflare.ts'
import { unavailableBindings, unavailableStubs } from './unavailable.ts'

export { assetsDirectory, atConfig, blobPath }
export type { BindingInputs, Neighbours } from './bindings/inputs.ts'

/** What `env` holds in the worker. */
export interface Bindings {
  /** In miniflare's words, stubs of what is not available included. */
  readonly options: MiniflareBindings
  /** Workers that exist only to be bound, named `flexi-…`. Equal names are equal workers: a runtime has each once. */
  readonly workers: readonly MiniflareWorker[]
  /** Bindings without a local form: present, and throwing with a reason when used. */
  readonly unavailable: readonly Unavailable[]
  /** One sentence each, for the person at the terminal. */
  readonly warnings: readonly string[]
  /** Two revisions may not hold these at once: each would run its own copy of an object, or lock the other's database. */
  readonly exclusive: boolean
}

const KINDS: readonly ((inputs: BindingInputs) => Mapped)[] = [
  storage,
  durableObjects,
  queues,
  workflows,
  email,
  pipelines,
  ownServices,
  hyperdrive,
  certificates,
  secretsStore,
  files,
  assets,
  unavailableBindings,
  unsafeBindings,
]

/** Every binding of a configuration, local where there is a local one. */
export function mapBindings(inputs: BindingInputs): Bindings {
  const own = KINDS.map((map) => map(inputs))
  const others = otherWorkers(inputs)
  const mapped = [...own, others]
  const unavailable = mapped.flatMap((kind) => kind.unavailable ?? [])
  const stubs = unavailableStubs(unavailable)
  const { values, warnings } = variableBindings(inputs)
  const bound = merge([...mapped.map(({ options = {} }) => options), { wrappedBindings: stubs.bindings }])
  // Nobody knows yet whether the other workers are there.
  const told = inputs.neighbours === undefined ? own : mapped
  return {
    options: { ...bound, bindings: withoutBound(values, bound) },
    workers: [...mapped.flatMap((kind) => kind.workers ?? []), ...stubs.workers],
    unavailable,
    warnings: [
      ...warnings,
      ...told.flatMap((kind) => kind.unavailable ?? []).map(unavailableWarning),
      ...mapped.flatMap((kind) => kind.warnings ?? []),
      ...remoteWarnings(inputs.config, unavailable),
    ],
    exclusive: isExclusive(inputs.config),
  }
}

function unavailableWarning({ name, reason }: Unavailable): string {
  return `the binding ${name} is not available here and throws when used: ${reason}`
}

/** Lists follow each other, and so do records; of anything else the last one counts. */
function merge(list: readonly MiniflareBindings[]): MiniflareBindings {
  const merged: Record<string, unknown> = {}
  for (const [key, value] of list.flatMap((options) => Object.entries(options))) {
    const before = merged[key]
    if (isRecord(before) && isRecord(value)) merged[key] = { ...before, ...value }
    else merged[key] = value
  }
  return merged
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
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

/** Records of miniflare's options whose keys are names in `env`. */
const NAMED = [
  'kvNamespaces',
  'r2Buckets',
  'd1Databases',
  'secretsStoreSecrets',
  'analyticsEngineDatasets',
  'durableObjects',
  'queueProducers',
  'workflows',
  'serviceBindings',
  'wrappedBindings',
  'pipelines',
  'helloWorld',
  'hyperdrives',
  'ratelimits',
  'workerLoaders',
  'wasmBindings',
  'textBlobBindings',
  'dataBlobBindings',
] as const satisfies readonly (keyof MiniflareBindings)[]

/** A secret by the name of a binding would hide it. */
function withoutBound(
  values: Readonly<Record<string, unknown>>,
  options: MiniflareBindings,
): Readonly<Record<string, unknown>> {
  const single = [options.images, options.stream, options.browserRendering, options.assets].map(
    (item) => item?.binding,
  )
  const names = new Set([
    ...NAMED.flatMap((key) => Object.keys(options[key] ?? {})),
    ...single,
    options.versionMetadata,
    ...(options.email?.send_email ?? []).map(({ name }) => name),
  ])
  return Object.fromEntries(Object.entries(values).filter(([name]) => !names.has(name)))
}

function isExclusive(config: Config): boolean {
  const objects =
    config.durable_objects.bindings.length +
    config.migrations.length +
    Object.values(config.exports ?? {}).filter(({ type }) => type === 'durable-object').length
  const queued = (config.queues.producers?.length ?? 0) + (config.queues.consumers?.length ?? 0)
  return objects + queued + config.workflows.length + config.d1_databases.length > 0
}
