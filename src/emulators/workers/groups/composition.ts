import { dirname } from 'node:path'

import { mapBindings, type Bindings, type Neighbours } from '../bindings.ts'
import type { ConsoleMark } from '../console-module.ts'
import type { ControlResources } from '../control/worker.ts'
import { CALLED_ENTRYPOINT, FACADE_NAME, facadeScript, SELF_ENTRYPOINT, type FacadeNames } from '../facade.ts'
import type { MiniflareWorker } from '../miniflare.ts'
import type { Settings } from '../settings.ts'
import type { Program } from '../program.ts'
import { scriptRoot, shiftMap, type StackOptions } from '../stack.ts'
import { workerSource } from '../worker-code.ts'
import type { BuiltWorker, Member } from './groups.ts'
import { storedBy } from './links.ts'
import { failedWorker } from './failed-worker.ts'

/** A member's share of a runtime. */
export interface Part {
  readonly member: Member
  /** Its name in the runtime. */
  readonly name: string
  /** Undefined for a worker that cannot run: `reason` says why, to those who call it. */
  readonly built: BuiltWorker | undefined
  readonly reason?: string | undefined
}

/** A part with what only this start of it knows. */
export interface ComposedPart extends Part {
  readonly names: FacadeNames
  /** What its stacks are read by. */
  readonly script: StackOptions
  readonly bindings: Bindings | undefined
}

export interface Composition {
  readonly parts: readonly ComposedPart[]
  readonly workers: readonly MiniflareWorker[]
  readonly resources: ControlResources
}

/** The name that other workers bind to. */
export function workerName(member: Member, settings: Settings): string {
  return settings.config.name ?? member.config.name
}

/** All parts as the workers of one runtime. `token` is known to nobody else. */
export function compose(parts: readonly Part[], token: string): Composition {
  const composed = parts.map((part, index) => composePart(part, { parts, console: { token, index } }))
  const extra = new Map(
    composed.flatMap(({ bindings }) => bindings?.workers ?? []).map((worker) => [worker.name, worker]),
  )
  return {
    parts: composed,
    workers: [...composed.map((part) => workerOf(part, parts)), ...extra.values()],
    resources: resourcesOf(composed),
  }
}

function composePart(
  part: Part,
  { parts, console }: { readonly parts: readonly Part[]; readonly console: ConsoleMark },
): ComposedPart {
  const { built } = part
  return {
    ...part,
    names: namesOf(console),
    script: scriptOf(part, console),
    bindings:
      built === undefined
        ? undefined
        : mapBindings({ ...built.settings.inputs, name: part.name, neighbours: neighboursOf(part, parts) }),
  }
}

function namesOf(console: ConsoleMark): FacadeNames {
  const mark = `flexi-fault-${console.token}-${console.index}`
  return { faultField: mark, logMark: `${mark} `, console }
}

/** What the stacks of a part are read by, whatever token it was started with. */
export function scriptOf(
  { member, built, name }: Part,
  console: ConsoleMark = { token: '', index: 0 },
): StackOptions {
  const { program, settings } = built ?? { program: undefined, settings: member.settings() }
  const directory = dirname(settings.config.configPath ?? '.')
  return {
    name: program?.name ?? FACADE_NAME,
    sourceMap: sourceMapOf(program, namesOf(console)),
    modules: program?.modules,
    directory,
    root: scriptRoot(directory, name),
    owner: member.config.name,
  }
}

/** Before a script stands what is around it. */
function sourceMapOf(program: Program | undefined, names: FacadeNames): string | undefined {
  if (program?.format !== 'service-worker') return program?.sourceMap
  return shiftMap(program.sourceMap, facadeScript('', { names }).lines)
}

function neighboursOf(part: Part, parts: readonly Part[]): Neighbours {
  return new Map(
    parts
      .filter((other) => other !== part)
      .map(({ name, member, built }) => [name, (built?.settings ?? member.settings()).config]),
  )
}

function workerOf(part: ComposedPart, parts: readonly Part[]): MiniflareWorker {
  const { name, built, bindings, names } = part
  if (built === undefined || bindings === undefined) return failedWorker(part, parts)
  const { compatibility } = built.settings
  return {
    name,
    compatibilityDate: compatibility.date,
    compatibilityFlags: [...compatibility.flags],
    ...bindings.options,
    ...calledServices(bindings.options, parts),
    ...workerSource(built, { name, names, breakAtStart: part.member.scope.breakAtStart }),
  }
}

/** What a worker throws rejects its caller's promise; only to clients it is an answer. Assets come before a worker without a name. */
function calledServices(
  { serviceBindings = {} }: Bindings['options'],
  parts: readonly Part[],
): Pick<Bindings['options'], 'serviceBindings'> {
  const callable = new Set(parts.filter(isCallable).map(({ name }) => name))
  const entries = Object.entries(serviceBindings).map(([binding, service]) => {
    const isOurs = 'name' in service && service.entrypoint === undefined && callable.has(service.name)
    return [binding, isOurs ? { ...service, entrypoint: CALLED_ENTRYPOINT } : service] as const
  })
  return entries.length === 0 ? {} : { serviceBindings: Object.fromEntries(entries) }
}

function isCallable({ built }: Part): boolean {
  return built?.program?.format === 'modules' && built.settings.bindings.options.assets === undefined
}

/** Everything that a member is bound to, each once. */
function resourcesOf(parts: readonly ComposedPart[]): ControlResources {
  const stored = parts.map(({ member, built, bindings }) => {
    const { config, bindings: alone } = built?.settings ?? member.settings()
    return storedBy({ config, options: (bindings ?? alone).options })
  })
  const all = (list: (item: (typeof stored)[number]) => readonly string[]): readonly string[] => [
    ...new Set(stored.flatMap(list)),
  ]
  const secrets = stored.flatMap((item) => item.secrets)
  return {
    workers: parts.map(({ name }) => name),
    entrypoints: Object.fromEntries(
      parts.filter(isBehindAssets).map(({ name }) => [name, SELF_ENTRYPOINT] as const),
    ),
    kv: all(({ kv }) => kv),
    r2: all(({ r2 }) => r2),
    d1: all(({ d1 }) => d1),
    queues: all(({ queues }) => queues),
    secrets: secrets.filter(
      ({ store, name }, index) =>
        secrets.findIndex((other) => other.store === store && other.name === name) === index,
    ),
  }
}

/** A binding to such a worker leads to its assets first, unless it names an entrypoint. */
function isBehindAssets({ built, bindings }: ComposedPart): boolean {
  return bindings?.options.assets !== undefined && built?.program?.format === 'modules'
}
