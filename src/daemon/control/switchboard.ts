import { isDeepStrictEqual } from 'node:util'

import { emulatorOf } from '../../emulators/registry.ts'
import { FlexiError } from '../../core/errors.ts'
import type { Fetcher, RequestContext, SocketFetcher } from '../../core/fetcher.ts'
import type { FunctionConfig } from '../../core/function.ts'
import type { AbsolutePath } from '../../core/place.ts'
import { overSockets } from '../../gateway/web.ts'
import type { AliasRecord, FunctionKey, VersionRecord } from '../model.ts'
import { AliasTarget, type Askable, type Led } from '../routing/alias-target.ts'
import { HostTable, type HostEntry, type Served } from '../routing/host-table.ts'
import type { RoutesHost } from '../routing/project-routes.ts'
import type { Runtime } from '../runtime.ts'
import type { Store } from '../store.ts'
import { Domains } from './domains.ts'
import { keyText } from './keys.ts'
import { LIVE } from './parts.ts'
import { RouteTables } from './route-tables.ts'

export const ROUTES = 'routes'

interface Admitted {
  /** As the runtime has it. */
  readonly record: VersionRecord
  /** What answers at its own host; undefined for the routes of a project, whose tables are elsewhere. */
  readonly address: SocketFetcher | undefined
  readonly askable: Askable
}

export interface SwitchboardOptions extends RoutesHost {
  readonly store: Store
  readonly runtime: Runtime
  readonly domain: string
  /** Called with what was published. */
  readonly onPublish?: ((name: string) => void) | undefined
}

/** Which versions can be asked, and under which names. What it shows is what the store says; only `publish` changes that. */
export class Switchboard implements AsyncDisposable {
  readonly domains: Domains
  readonly tables: RouteTables
  readonly #options: SwitchboardOptions
  readonly #hosts: HostTable
  readonly #admitted = new Map<string, Map<string, Admitted>>()
  readonly #targets = new Map<string, Map<string, AliasTarget>>()

  constructor(options: SwitchboardOptions) {
    this.#options = options
    this.#hosts = new HostTable(options.domain)
    this.domains = new Domains(options.store, options.domain)
    this.tables = new RouteTables(options)
  }

  hosts(host: string, context: RequestContext | undefined): Served | undefined {
    return this.#hosts.find(host, context)
  }

  /**
   * Makes a version askable for who publishes it, with the configuration that this record has. Without an alias that leads to it
   * (`led`) nothing of it runs unasked.
   * @throws FlexiError what a refresh of one that runs throws.
   */
  async admit(record: VersionRecord, { led }: { readonly led: boolean }): Promise<void> {
    const wanted = led ? record : retired(record)
    const { name, version, config } = wanted
    const known = this.#admitted.get(name)?.get(version)
    if (known !== undefined && isDeepStrictEqual(known.record.config, config)) return
    if (config.provider === ROUTES) {
      this.#put(wanted, { record: wanted, address: undefined, askable: NO_FUNCTION })
      return
    }
    const { runtime } = this.#options
    if (known === undefined) runtime.add(wanted)
    else await runtime.refresh(wanted)
    const fetcher = runtime.fetcher(wanted)
    if (fetcher === undefined)
      throw new FlexiError('FLEXI_BUG', `${keyText(wanted)} was added and is not there`)
    const askable = askableOf(fetcher, wanted, runtime)
    this.#put(wanted, { record: wanted, address: await this.#guarded(wanted, askable), askable })
  }

  /** What the runtime was given. */
  admitted(key: FunctionKey): VersionRecord | undefined {
    return this.#admitted.get(key.name)?.get(key.version)?.record
  }

  versions(name: string): readonly VersionRecord[] {
    return [...(this.#admitted.get(name)?.values() ?? [])].map(({ record }) => record)
  }

  /** Nobody asks it any more, once its function is published. */
  dismiss({ name, version }: FunctionKey): void {
    const versions = this.#admitted.get(name)
    versions?.delete(version)
    if (versions?.size === 0) this.#admitted.delete(name)
  }

  /** An alias as routes reach it: the same object wherever it leads. One that is not there is where `live` is. */
  target(name: string, alias: string): AliasTarget {
    const targets = this.#targets.get(name) ?? new Map<string, AliasTarget>()
    this.#targets.set(name, targets)
    const known = targets.get(alias)
    if (known !== undefined) return known
    const made = new AliasTarget(`${name}@${alias}`, alias === LIVE ? undefined : this.target(name, LIVE))
    targets.set(alias, made)
    made.lead(this.#led(this.#options.store.aliases.get(name, alias)))
    return made
  }

  /** One version as routes reach it; `live` where it is there no more. */
  pinned(key: FunctionKey): Askable {
    const live = this.target(key.name, LIVE)
    const find = (): Askable => this.#admitted.get(key.name)?.get(key.version)?.askable ?? live
    return {
      handle: (incoming, outgoing, context) => find().handle(incoming, outgoing, context),
      invoke: (payload, context) => find().invoke(payload, context),
      get upgrade() {
        return find().upgrade
      },
    }
  }

  /** Puts in force what the store says about a function. Synchronous: several in one turn are one step. */
  publish(name: string): void {
    const aliases = new Map(this.#options.store.aliases.of(name).map((record) => [record.alias, record]))
    const entries = new Map<string, HostEntry>()
    for (const [version, { record }] of this.#admitted.get(name) ?? []) {
      const one = this.#served(record, undefined)
      if (one !== undefined) entries.set(`${version}.${name}.${this.#options.domain}`, { one })
    }
    for (const record of aliases.values()) {
      const entry = this.#entry(record)
      if (entry === undefined) continue
      for (const host of this.#hostsOf(record)) entries.set(host, entry)
    }
    this.#hosts.put(name, entries)
    for (const [alias, target] of this.#targets.get(name) ?? []) target.lead(this.#led(aliases.get(alias)))
    this.tables.keep(name, aliases)
    this.#options.onPublish?.(name)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.tables[Symbol.asyncDispose]()
  }

  #put({ name, version }: FunctionKey, admitted: Admitted): void {
    const versions = this.#admitted.get(name) ?? new Map<string, Admitted>()
    versions.set(version, admitted)
    this.#admitted.set(name, versions)
  }

  #hostsOf({ function: name, alias }: AliasRecord): readonly string[] {
    const { domain } = this.#options
    const own = `${alias}.${name}.${domain}`
    return alias === LIVE ? [own, `${name}.${domain}`, ...this.domains.of(name)] : [own]
  }

  #entry({ function: name, alias, version, second }: AliasRecord): HostEntry | undefined {
    const one = this.#served({ name, version }, alias)
    if (one === undefined) return undefined
    const other = second === undefined ? undefined : this.#served({ name, version: second.version }, alias)
    if (second === undefined || other === undefined) return { one }
    return { split: { first: one, second: other, weight: second.weight, salt: `${name}@${alias}` } }
  }

  #served(key: FunctionKey, alias: string | undefined): Served | undefined {
    const admitted = this.#admitted.get(key.name)?.get(key.version)
    if (admitted === undefined) return undefined
    return admitted.address ?? this.tables.table(key, alias)
  }

  #led(record: AliasRecord | undefined): Led {
    if (record === undefined) return undefined
    const { function: name, alias, version, second } = record
    const versions = this.#admitted.get(name)
    const first = versions?.get(version)?.askable
    const other = second === undefined ? undefined : versions?.get(second.version)?.askable
    if (first === undefined || second === undefined || other === undefined) return first
    return { first, second: other, weight: second.weight, salt: `${name}@${alias}` }
  }

  /** What its provider asks before the function's own address: keys, preflight. */
  async #guarded(record: VersionRecord, askable: Askable): Promise<SocketFetcher> {
    const { log, app, closing } = this.#options
    const invoke = (name: string, ...call: Parameters<Askable['invoke']>): ReturnType<Askable['invoke']> =>
      this.target(name, LIVE).invoke(...call)
    const guards = emulatorOf(record.config.provider).openGuards?.({ log, app, closing, invoke })
    return (await guards?.({ config: configOf(record), options: undefined }, askable)) ?? askable
  }
}

/** What nobody leads to is asked seldom, if ever. */
const RETIRED_IDLE_MS = 10_000

/** The same, with nothing that runs unasked, nor long after it was asked. */
function retired(record: VersionRecord): VersionRecord {
  if (isRetired(record)) return record
  const { config } = record
  const idleMs = Math.min(config.instances.idleMs ?? Infinity, RETIRED_IDLE_MS)
  return { ...record, config: { ...config, instances: { ...config.instances, min: 0, idleMs } } }
}

export function isRetired({ config: { instances, provider } }: VersionRecord): boolean {
  const { min = 0, idleMs = Infinity } = instances
  return provider === ROUTES || (min === 0 && idleMs <= RETIRED_IDLE_MS)
}

function askableOf(fetcher: Fetcher, key: FunctionKey, runtime: Runtime): Askable {
  const socket = fetcher.handle === undefined ? overSockets(fetcher) : fetcher
  return {
    handle: (incoming, outgoing, context) => socket.handle(incoming, outgoing, context),
    invoke: (payload, context) => runtime.invoke(key, payload, context),
    get upgrade() {
      return fetcher.upgrade
    },
  }
}

const NO_FUNCTION: Askable = {
  handle: () => Promise.reject(noFunction()),
  invoke: () => Promise.reject(noFunction()),
}

function noFunction(): FlexiError {
  return new FlexiError('FLEXI_USAGE', 'the routes of a project are no function', {
    hint: 'Name one of its functions.',
  })
}

/** As guards see it: they look at options alone. */
export function configOf(record: VersionRecord): FunctionConfig {
  const { name, config } = record
  return {
    name,
    provider: config.provider,
    directory: '/' as AbsolutePath,
    origin: { file: keyText(record), line: 1, column: 1 },
    environment: config.environment,
    options: config.options,
  }
}
