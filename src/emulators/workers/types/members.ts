import type { RawConfig } from '../configuration.ts'
import { importSpecifier, type EntryModule } from './entry-module.ts'
import type { AbsolutePath } from '../../../core/place.ts'

/** One property of `env`. */
export interface Member {
  readonly name: string
  readonly type: string
  /** It is a string of the environment too, where Node's `process.env` has them. */
  readonly isVariable?: boolean | undefined
}

export type RawEnvironment = Omit<RawConfig, 'env'>

export interface MemberContext {
  /** Names of secrets; their values are not told. */
  readonly secrets: readonly string[]
  readonly entry: EntryModule | undefined
  /** Programs of other workers of the project, by their names. */
  readonly others: ReadonlyMap<string, EntryModule>
  /** Where the types are written: imports start there. */
  readonly file: AbsolutePath
}

/** What `env` holds for one environment of a wrangler file. */
export function members(raw: RawEnvironment, context: MemberContext): readonly Member[] {
  return [
    ...lists(raw),
    ...singles(raw),
    ...variables(raw, context.secrets),
    ...classes(raw, context),
    ...(raw.unsafe?.bindings ?? []).map(({ name, type }) => ({
      name,
      type: type === 'ratelimit' ? 'RateLimit' : 'any',
    })),
    ...(raw.pipelines ?? []).map(({ binding }) => ({ name: binding, type: PIPELINE })),
    ...Object.keys(raw.data_blobs ?? {}).map((name) => ({ name, type: 'ArrayBuffer' })),
    ...Object.keys(raw.text_blobs ?? {}).map((name) => ({ name, type: 'string' })),
  ]
}

const PIPELINE = 'import("cloudflare:pipelines").Pipeline<import("cloudflare:pipelines").PipelineRecord>'

/** Keys with lists of `{ binding }`, and the type that the runtime gives to each. */
const LISTS = {
  kv_namespaces: 'KVNamespace',
  r2_buckets: 'R2Bucket',
  d1_databases: 'D1Database',
  vectorize: 'VectorizeIndex',
  hyperdrive: 'Hyperdrive',
  analytics_engine_datasets: 'AnalyticsEngineDataset',
  dispatch_namespaces: 'DispatchNamespace',
  mtls_certificates: 'Fetcher',
  secrets_store_secrets: 'SecretsStoreSecret',
  artifacts: 'Artifacts',
  unsafe_hello_world: 'HelloWorldBinding',
  flagship: 'Flagship',
  worker_loaders: 'WorkerLoader',
  vpc_services: 'Fetcher',
  vpc_networks: 'Fetcher',
  ai_search_namespaces: 'AiSearchNamespace',
  ai_search: 'AiSearchInstance',
  agent_memory: 'AgentMemoryNamespace',
} as const satisfies Partial<Record<keyof RawConfig, string>>

function lists(raw: RawEnvironment): readonly Member[] {
  const named = (list: readonly { name: string }[] | undefined, type: string): Member[] =>
    (list ?? []).map(({ name }) => ({ name, type }))
  return [
    ...Object.entries(LISTS).flatMap(([key, type]) =>
      listAt(raw, key as keyof typeof LISTS).map((name) => ({ name, type })),
    ),
    ...named(raw.send_email, 'SendEmail'),
    ...named(raw.ratelimits, 'RateLimit'),
    ...(raw.queues?.producers ?? []).map(({ binding }) => ({ name: binding, type: 'Queue' })),
    ...((raw.logfwdr?.bindings ?? []).length > 0 ? [{ name: 'LOGFWDR_SCHEMA', type: 'any' }] : []),
  ]
}

function listAt(raw: RawEnvironment, key: keyof typeof LISTS): readonly string[] {
  const list = raw[key] as readonly { readonly binding?: string }[] | undefined
  return (list ?? []).flatMap(({ binding }) => (binding === undefined ? [] : [binding]))
}

/** Keys with one `{ binding }`. */
const SINGLES = {
  browser: 'Fetcher',
  ai: 'Ai',
  images: 'ImagesBinding',
  stream: 'StreamBinding',
  media: 'MediaBinding',
  websearch: 'WebSearch',
  version_metadata: 'WorkerVersionMetadata',
  assets: 'Fetcher',
} as const satisfies Partial<Record<keyof RawConfig, string>>

function singles(raw: RawEnvironment): readonly Member[] {
  return Object.entries(SINGLES).flatMap(([key, type]) => {
    const name = raw[key as keyof typeof SINGLES]?.binding
    return name === undefined ? [] : [{ name, type }]
  })
}

/** A variable of the file has its own value as type: what is compared with it is checked. */
function variables(raw: RawEnvironment, secrets: readonly string[]): readonly Member[] {
  const own = Object.entries(raw.vars ?? {}).filter(([name]) => !secrets.includes(name))
  return [
    ...own.map(([name, value]) => ({ name, type: JSON.stringify(value), isVariable: true })),
    ...secrets.map((name) => ({ name, type: 'string', isVariable: true })),
  ]
}

/** Durable Objects, services and workflows: with their classes, where a program of the project exports them. */
function classes(raw: RawEnvironment, context: MemberContext): readonly Member[] {
  const { entry, others, file } = context
  const ofScript = (script: string | undefined): EntryModule | undefined =>
    script === undefined ? entry : others.get(script)
  const found = (module: EntryModule | undefined, name: string): string | undefined =>
    module?.exports.includes(name) === true
      ? `import("${importSpecifier(file, module.file)}").${name}`
      : undefined
  return [
    ...(raw.durable_objects?.bindings ?? []).map(({ name, class_name, script_name }) => {
      const known = found(ofScript(script_name), class_name)
      return {
        name,
        type: `DurableObjectNamespace${known ? `<${known}>` : elsewhere(class_name, script_name)}`,
      }
    }),
    ...(raw.services ?? []).map(({ binding, service, entrypoint }) => {
      const module = service === entry?.worker ? entry : others.get(service)
      const known = found(module, entrypoint ?? 'default')
      return { name: binding, type: serviceType(known, { service, entrypoint }) }
    }),
    ...(raw.workflows ?? []).map(({ binding, class_name, script_name }) => {
      const known = found(ofScript(script_name), class_name)
      const payload = known && `<Parameters<${known}['run']>[0]['payload']>`
      return { name: binding, type: `Workflow${payload ?? elsewhere(class_name, script_name)}` }
    }),
  ]
}

function elsewhere(className: string, script: string | undefined): string {
  return ` /* ${className}${script === undefined ? '' : ` from ${script}`} */`
}

function serviceType(
  known: string | undefined,
  { service, entrypoint }: { service: string; entrypoint?: string | undefined },
): string {
  if (known !== undefined) return `Service<typeof ${known}>`
  return entrypoint === undefined
    ? `Fetcher /* ${service} */`
    : `Service /* entrypoint ${entrypoint} from ${service} */`
}
