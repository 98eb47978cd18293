import { FlexiError } from '../../../core/errors.ts'
import { closest } from '../../../core/suggest.ts'
import type { StateKind } from './ask.ts'
import type { WorkerResources } from './resources.ts'

type Of<Kind extends StateKind> = WorkerResources[Kind][number]

/** What is looked for among the resources of all workers. */
export interface Wanted {
  /** A binding, an id or a database's name; undefined is the only one there is. */
  readonly name?: string | undefined
  /** The flag or argument that names it, for the hint: `--binding`. */
  readonly by: string
}

const WORDS = {
  kv: ['KV namespace', 'KV namespaces'],
  r2: ['R2 bucket', 'R2 buckets'],
  d1: ['D1 database', 'D1 databases'],
  queue: ['queue', 'queues'],
  secret: ['secret of a Secrets Store', 'secrets of a Secrets Store'],
} as const satisfies Record<StateKind, readonly [one: string, several: string]>

/** @throws FlexiError FLEXI_NO_INPUT when there is none, FLEXI_USAGE when it may be several; both say which there are. */
export function findResource<Kind extends StateKind>(
  all: readonly WorkerResources[],
  kind: Kind,
  { name, by }: Wanted,
): Of<Kind> {
  const list = all.flatMap((resources) =>
    resources[kind].map((resource) => ({ worker: resources.function, resource: resource as Of<Kind> })),
  )
  const [one, several] = WORDS[kind]
  if (list.length === 0) throw new FlexiError('FLEXI_NO_INPUT', `no worker here is bound to a ${one}`)
  const found = name === undefined ? list : list.filter(({ resource }) => namesOf(resource).includes(name))
  const shown = list.map(({ worker, resource }) => `${labelOf(resource)} (${worker})`)
  const [first] = found
  if (first === undefined)
    throw unknown(name ?? '', { one, shown, names: list.flatMap(({ resource }) => namesOf(resource)) })
  if (new Set(found.map(({ resource }) => resource.id)).size === 1) return first.resource
  if (name === undefined)
    throw new FlexiError('FLEXI_USAGE', `there are ${list.length} ${several}: name one`, {
      hint: `Give ${by}: ${shown.join(', ')}.`,
    })
  throw new FlexiError('FLEXI_USAGE', `${name} is a different ${one} for each worker`, {
    hint: `Add --function: ${found.map(({ worker }) => worker).join(', ')}.`,
  })
}

function unknown(
  name: string,
  { one, shown, names }: { one: string; shown: readonly string[]; names: readonly string[] },
): FlexiError {
  const near = closest(name, names)
  const there = `There is: ${shown.join(', ')}.`
  return new FlexiError('FLEXI_NO_INPUT', `there is no ${one} "${name}"`, {
    hint: near === undefined ? there : `Did you mean ${near}? ${there}`,
  })
}

/** What it may be called by: a binding, an id, a database's name. */
export function namesOf(resource: Of<StateKind>): string[] {
  const name = 'name' in resource ? resource.name : undefined
  return [resource.binding, resource.id, name].filter((one) => one !== undefined)
}

function labelOf(resource: Of<StateKind>): string {
  return resource.binding ?? resource.id
}
