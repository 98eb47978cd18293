import type { Config } from '../configuration.ts'
import type { MiniflareBindings } from '../miniflare.ts'

/** A worker, as far as it decides who shares a runtime with whom. */
export interface Linked {
  /** The name that others bind to. */
  readonly name: string
  readonly config: Config
  readonly options: MiniflareBindings
}

/** Stored data that a worker is bound to, by kind. */
export interface Stored {
  readonly kv: readonly string[]
  readonly r2: readonly string[]
  readonly d1: readonly string[]
  readonly queues: readonly string[]
  readonly secrets: readonly { readonly store: string; readonly name: string }[]
}

/**
 * Sets of workers that are connected, directly or through others: one is bound to the other, or both are bound to the same stored data,
 * which only one process may have open. In the order of the list.
 */
export function connected<T>(
  members: readonly T[],
  linkedOf: (member: T) => Linked,
): readonly (readonly T[])[] {
  const names = new Set(members.map((member) => linkedOf(member).name))
  const sets: { readonly members: T[]; readonly links: Set<string> }[] = []
  for (const member of members) {
    const links = linksOf(linkedOf(member), names)
    const joined = sets.filter((set) => links.some((link) => set.links.has(link)))
    const merged = {
      members: [...joined.flatMap((set) => set.members), member],
      links: new Set([...joined.flatMap((set) => [...set.links]), ...links]),
    }
    for (const set of joined) sets.splice(sets.indexOf(set), 1)
    sets.push(merged)
  }
  return sets.map((set) => members.filter((member) => set.members.includes(member)))
}

/** What a worker holds on to; two with one of these in common are connected. */
function linksOf({ name, config, options }: Linked, names: ReadonlySet<string>): readonly string[] {
  const workers = boundWorkers(config).filter((bound) => names.has(bound))
  const { kv, r2, d1, queues, secrets } = storedBy({ config, options })
  return [
    ...[name, ...workers].map((worker) => `worker:${worker}`),
    ...kv.map((id) => `kv:${id}`),
    ...r2.map((bucket) => `r2:${bucket}`),
    ...d1.map((id) => `d1:${id}`),
    ...queues.map((queue) => `queue:${queue}`),
    ...secrets.map(({ store }) => `secrets:${store}`),
    ...config.workflows.map((workflow) => `workflow:${workflow.name}`),
    ...sharedBy(options),
  ]
}

/** What keeps its data in one place for everyone who is bound to it. */
export function sharedBy({ images, stream, helloWorld = {} }: MiniflareBindings): readonly string[] {
  return [
    ...(images === undefined ? [] : ['images']),
    ...(stream === undefined ? [] : ['stream']),
    ...(Object.keys(helloWorld).length === 0 ? [] : ['hello-world']),
  ]
}

/** The names of other workers in a wrangler file. */
function boundWorkers(config: Config): readonly string[] {
  const tails = [...(config.tail_consumers ?? []), ...(config.streaming_tail_consumers ?? [])]
  return [
    ...(config.services ?? []).map(({ service }) => service),
    ...config.durable_objects.bindings.flatMap(({ script_name }) => script_name ?? []),
    ...config.workflows.flatMap(({ script_name }) => script_name ?? []),
    ...tails.map(({ service }) => service),
  ]
}

/** The identifiers of everything stored that this worker reaches. */
export function storedBy({ config, options }: Pick<Linked, 'config' | 'options'>): Stored {
  const producers = Object.values(options.queueProducers ?? {}).map(({ queueName }) => queueName)
  const consumers = (config.queues.consumers ?? []).flatMap(({ queue, dead_letter_queue }) =>
    dead_letter_queue === undefined ? [queue] : [queue, dead_letter_queue],
  )
  return {
    kv: Object.values(options.kvNamespaces ?? {}).map(identifier),
    r2: Object.values(options.r2Buckets ?? {}).map(identifier),
    d1: Object.values(options.d1Databases ?? {}).map(identifier),
    queues: [...new Set([...producers, ...consumers])],
    secrets: Object.values(options.secretsStoreSecrets ?? {}).map(({ store_id, secret_name }) => ({
      store: store_id,
      name: secret_name,
    })),
  }
}

function identifier(value: string | { readonly id: string }): string {
  return typeof value === 'string' ? value : value.id
}
