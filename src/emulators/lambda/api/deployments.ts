import { randomUUID } from 'node:crypto'

import { errorMessage } from '../../../core/errors.ts'
import type { ApiFunction, ApiHost, FunctionConfig } from '../../../core/function.ts'
import { VERSION } from '../definition.ts'
import { awsNameOf, settingsOf } from '../service/function-settings.ts'
import { notFound } from './api-error.ts'
import type { CodeStore } from './code-store.ts'
import { Reservations } from './concurrency.ts'
import type { FoundFunction, Functions } from './functions.ts'
import { withoutQualifier, type OwnConfiguration, type StoredConfig, type VersionState } from './state.ts'
import { movable, versionConfig, withoutCode } from './version-config.ts'

/** Puts into force what the API says of functions, and the versions that it has published. */
export class Deployments {
  readonly functions: Functions
  readonly codes: CodeStore
  readonly #host: ApiHost
  readonly #reservations = new Reservations()
  /** Versions that are being put, so that each is put once. */
  readonly #coming = new Map<string, Promise<void>>()
  #turn: Promise<unknown> = Promise.resolve()

  constructor(functions: Functions, codes: CodeStore) {
    this.functions = functions
    this.codes = codes
    this.#host = functions.host
  }

  /** One change after the other. */
  exclusive<T>(change: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(change)
    this.#turn = turn.catch(() => undefined)
    return turn
  }

  /** Serves again what was kept. What a file says differently now counts as the file says it. */
  async restore(): Promise<void> {
    for (const [name, { own, created }] of Object.entries(this.functions.store.state.functions)) {
      if (own === undefined) continue
      const served = this.functions.served(name)
      const stands =
        created === true ? served === undefined : served !== undefined && own.over === said(served)
      // The file may name it again one day; what was published of it is kept.
      if (!stands && served === undefined) continue
      if (!stands) await this.#forget(name)
      else
        await this.#host
          .put(this.configOf(name, own, served))
          .catch((error: unknown) => this.#warn(name, error))
    }
    this.limitAll()
    for (const served of this.functions.all()) {
      const name = awsNameOf(served.config)
      await this.provision({ name, served }).catch((error: unknown) => this.#warn(name, error))
    }
  }

  /** Other functions are in force: takes over what the files say of those that the API had changed. */
  async reconcile(): Promise<void> {
    for (const [name, { own }] of Object.entries(this.functions.store.state.functions)) {
      const served = own === undefined ? undefined : this.functions.served(name)
      if (served?.declared === true) await this.#forget(name)
    }
    this.limitAll()
  }

  /** `$LATEST` as the API has it. @throws FlexiError FLEXI_CONFIG, FLEXI_BUILD; nothing has changed then. */
  async deploy(name: string, own: OwnConfiguration, created: boolean): Promise<void> {
    const served = this.functions.served(name)
    await this.#host.put(this.configOf(name, own, served))
    await this.functions.keep(name, (kept) => ({ ...kept, own, ...(created ? { created } : {}) }))
    this.limitAll()
  }

  /** A function of the API's, with everything that belongs to it. */
  async remove(name: string): Promise<void> {
    const served = this.functions.served(name)
    const own = this.functions.kept(name)
    await this.functions.store.change((state) => {
      const { [name]: _gone, ...functions } = state.functions
      const kept = Object.entries(state.mappings).filter(([, mapping]) => !isOf(mapping.function, name))
      return { ...state, functions, mappings: Object.fromEntries(kept) }
    })
    for (const number of Object.keys(own.versions))
      await this.#unserve(`${served?.config.name ?? name}:${number}`)
    if (served !== undefined) await this.#host.remove(served.config.name)
    this.#reservations.delete(name)
  }

  async publish(name: string, number: string, version: VersionState): Promise<void> {
    await this.functions.keep(name, (kept) => ({
      ...kept,
      lastVersion: Math.max(kept.lastVersion, Number(number)),
      versions: { ...kept.versions, [number]: version },
    }))
    const served = this.functions.served(name)
    if (served === undefined) return
    try {
      await this.runs({ name, qualifier: number, served }, number)
    } catch (error) {
      await this.unpublish(name, number)
      throw error
    }
  }

  async unpublish(name: string, number: string): Promise<void> {
    const served = this.functions.served(name)
    await this.functions.keep(name, (kept) => withoutQualifier(kept, number))
    await this.#unserve(`${served?.config.name ?? name}:${number}`)
  }

  /** What runs when this version is asked for; versions are put when somebody asks for them. */
  runs({ name, served }: FoundFunction, version: string): ApiFunction | Promise<ApiFunction> {
    if (version === VERSION) return served
    const full = `${served.config.name}:${version}`
    return this.#host.find(full) ?? this.#served(name, version, full)
  }

  /** What is in force, as it is kept. */
  ownOf({ name, served }: Pick<FoundFunction, 'name' | 'served'>): OwnConfiguration {
    const { own } = this.functions.kept(name)
    if (own !== undefined) return own
    const { environment, timeoutMs, memoryMb, options } = served.config
    return {
      config: { environment, timeoutMs, memoryMb, options },
      details: {},
      over: said(served),
      modifiedAt: Date.now(),
      revisionId: randomUUID(),
    }
  }

  configOf(
    name: string,
    { config, code }: OwnConfiguration,
    served: ApiFunction | undefined,
  ): FunctionConfig {
    const { directory, origin } = served?.config ?? CREATED
    return {
      name: served?.config.name ?? name,
      provider: 'lambda',
      directory: code === undefined ? directory : this.codes.pathOf(code),
      origin,
      ...config,
      options: code === undefined ? config.options : withoutCode(config.options),
    }
  }

  /** What a version has of the function it is made of; layers stay where they are. */
  versionConfig({ name, served }: FoundFunction): StoredConfig {
    return versionConfig(name, movable(this.ownOf({ name, served }).config, served))
  }

  /** Of the function as a whole; undefined where it has no limit. */
  reservedOf({ name, served }: Pick<FoundFunction, 'name' | 'served'>): number | undefined {
    const { reserved } = this.functions.kept(name)
    if (reserved === null) return undefined
    return reserved ?? settingsOf(served.config).reservedConcurrency
  }

  /** Lets no more in than was reserved, whichever version it is. */
  limitAll(): void {
    const all = this.functions.all()
    const names = new Map(all.map((served) => [served.config.name, served]))
    for (const served of this.#host.functions()) {
      const base = names.get(served.config.name.replace(/:.*$/, ''))
      if (base === undefined) continue
      const name = awsNameOf(base.config)
      const [, version = VERSION] = served.config.name.split(':')
      const requests = Object.values(this.functions.kept(name).provisioned)
      const limits = {
        max: this.reservedOf({ name, served: base }),
        provisioned: requests.reduce((sum, { requested }) => sum + requested, 0),
        own: this.functions.provisionedOf(name, version),
      }
      served.limit(this.#reservations.limiter(name, limits))
    }
  }

  /** Starts what is provisioned of a function's versions, and gives back what no longer is. */
  async provision({ name, served }: Pick<FoundFunction, 'name' | 'served'>): Promise<void> {
    for (const [version, kept] of Object.entries(this.functions.kept(name).versions)) {
      const full = `${served.config.name}:${version}`
      const running = this.#host.find(full)
      const now = running === undefined ? 0 : (settingsOf(running.config).provisionedConcurrency ?? 0)
      if (now !== this.functions.provisionedOf(name, version)) await this.#put(full, { name, version }, kept)
    }
  }

  /** What runs a version or an alias at this moment; undefined before somebody asked for it. */
  running({ name, served }: FoundFunction, qualifier: string): ApiFunction | undefined {
    const version = this.functions.versionOf({ name, qualifier, served })
    return version === VERSION ? served : this.#host.find(`${served.config.name}:${version}`)
  }

  async #served(name: string, version: string, full: string): Promise<ApiFunction> {
    const kept = this.functions.kept(name).versions[version]
    if (kept === undefined) throw notFound(`Function not found: ${full}`)
    const coming = this.#coming.get(full) ?? this.#put(full, { name, version }, kept)
    this.#coming.set(full, coming)
    try {
      await coming
    } finally {
      this.#coming.delete(full)
    }
    const served = this.#host.find(full)
    if (served === undefined) throw notFound(`Function not found: ${full}`)
    return served
  }

  async #put(full: string, { name, version }: Published, { config, code }: VersionState): Promise<void> {
    const provisioned = this.functions.provisionedOf(name, version)
    await this.#host.put({
      name: full,
      provider: 'lambda',
      directory: this.codes.pathOf(code),
      origin: CREATED.origin,
      ...config,
      options: {
        ...config.options,
        version,
        ...(provisioned === 0 ? {} : { provisionedConcurrency: provisioned }),
      },
    })
    this.limitAll()
  }

  async #unserve(full: string): Promise<void> {
    if (this.#host.find(full) !== undefined) await this.#host.remove(full)
  }

  async #forget(name: string): Promise<void> {
    this.#host.log.info('function.files', { message: `${name} is as its file says again` })
    await this.functions.keep(name, ({ own: _own, created: _created, ...kept }) => kept)
  }

  #warn(name: string, error: unknown): void {
    this.#host.log.warn('function.restore', {
      function: name,
      message: `${name}, which was made through the API, cannot be served: ${errorMessage(error)}`,
    })
  }
}

/** A version of a function. */
interface Published {
  readonly name: string
  readonly version: string
}

const CREATED = {
  directory: '/' as FunctionConfig['directory'],
  origin: { file: 'Lambda API', line: 1, column: 1 },
} as const

/** Where in its file it stands says nothing of it. */
function said({ config }: ApiFunction): string {
  return JSON.stringify({ ...config, origin: undefined })
}

function isOf(reference: string, name: string): boolean {
  return reference === name || reference.startsWith(`${name}:`)
}
