import type { Config } from './configuration.ts'
import { isOwn } from './durable-objects.ts'
import type { MiniflareWorker } from './miniflare.ts'

/** A binding without a local counterpart. */
export interface Unavailable {
  readonly name: string
  /** Why, and what to do: the end of a sentence. */
  readonly reason: string
}

const NETWORK = 'it exists only on Cloudflare’s network'
const OTHER_WORKER = 'workers are not connected to each other yet'
const BROWSER = 'it needs a browser that would have to be downloaded'

/** The bindings of a configuration that cannot work here, in the order of the file's own documentation. */
export function unavailableBindings(
  config: Config,
  environment: Readonly<Record<string, string | undefined>>,
): readonly Unavailable[] {
  const named = (list: readonly { binding: string }[] | undefined, reason: string): Unavailable[] =>
    (list ?? []).map(({ binding }) => ({ name: binding, reason }))
  const single = (item: { binding: string } | undefined, reason = NETWORK): Unavailable[] =>
    item === undefined ? [] : [{ name: item.binding, reason }]
  return [
    ...single(config.ai),
    ...single(config.browser, BROWSER),
    ...single(config.media),
    ...single(config.stream),
    ...single(config.websearch),
    ...REMOTE_LISTS.flatMap((key) => named(config[key], NETWORK)),
    ...elsewhere(config),
    ...withoutDatabase(config, environment),
    ...config.logfwdr.bindings.map(({ name }) => ({ name, reason: NETWORK })),
    ...(config.unsafe.bindings ?? []).map(({ name }) => ({
      name,
      reason: 'unsafe bindings are not emulated',
    })),
  ]
}

/** Lists of `{ binding, … }` whose services have no local form. */
const REMOTE_LISTS = [
  'vectorize',
  'ai_search_namespaces',
  'ai_search',
  'agent_memory',
  'dispatch_namespaces',
  'mtls_certificates',
  'pipelines',
  'artifacts',
  'flagship',
  'vpc_services',
  'vpc_networks',
] as const satisfies readonly (keyof Config)[]

/** What another worker exports. */
function elsewhere(config: Config): readonly Unavailable[] {
  const services = (config.services ?? [])
    .filter(({ service }) => service !== config.name)
    .map(({ binding, service }) => ({
      name: binding,
      reason: `it is the worker ${service}, and ${OTHER_WORKER}`,
    }))
  const objects = config.durable_objects.bindings
    .filter((binding) => !isOwn(config, binding))
    .map(({ name, script_name }) => ({
      name,
      reason: `it belongs to the worker ${script_name}, and ${OTHER_WORKER}`,
    }))
  return [...services, ...objects]
}

function withoutDatabase(
  config: Config,
  environment: Readonly<Record<string, string | undefined>>,
): readonly Unavailable[] {
  return config.hyperdrive
    .filter(
      ({ binding, localConnectionString }) =>
        localConnectionString === undefined && connectionString(binding, environment) === undefined,
    )
    .map(({ binding }) => ({
      name: binding,
      reason: 'write "localConnectionString" beside its id to name a database on this machine',
    }))
}

/** Where wrangler looks for a database on this machine before it looks into the file. */
export function connectionString(
  binding: string,
  environment: Readonly<Record<string, string | undefined>>,
): string | undefined {
  return (
    environment[`CLOUDFLARE_HYPERDRIVE_LOCAL_CONNECTION_STRING_${binding}`] ??
    environment[`WRANGLER_HYPERDRIVE_LOCAL_CONNECTION_STRING_${binding}`]
  )
}

const STUB_WORKER = 'flexi-unavailable'

/**
 * Wrapped bindings that throw their reason on the first use, in place of `undefined` and a TypeError about it.
 * The stub answers nothing to what the runtime itself looks for while it starts: symbols, `then` and `toJSON`.
 */
export function unavailableStubs(unavailable: readonly Unavailable[]): {
  bindings: NonNullable<MiniflareWorker['wrappedBindings']>
  workers: readonly MiniflareWorker[]
} {
  if (unavailable.length === 0) return { bindings: {}, workers: [] }
  const bindings = unavailable.map(({ name, reason }) => [
    name,
    {
      scriptName: STUB_WORKER,
      bindings: { MESSAGE: `the binding ${name} is not available here: ${reason}` },
    },
  ])
  const modules = [{ type: 'ESModule' as const, path: 'stub.mjs', contents: STUB }]
  return {
    bindings: Object.fromEntries(bindings) as NonNullable<MiniflareWorker['wrappedBindings']>,
    workers: [{ name: STUB_WORKER, modules }],
  }
}

const STUB = `export default ({ MESSAGE }) => new Proxy({}, {
  get(target, key) {
    if (typeof key === 'symbol' || key === 'then' || key === 'toJSON') return undefined
    return () => { throw new Error(MESSAGE) }
  },
})
`
