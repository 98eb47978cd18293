import { basename, dirname } from 'node:path'

import { asFlexiError, FlexiError } from '../core/errors.ts'
import type { DevEvent, FunctionSummary, RouteSummary } from '../core/events.ts'
import type { FunctionConfig } from '../core/function.ts'
import type { Logger } from '../core/log.ts'
import type { AbsolutePath } from '../core/place.ts'
import type { Project } from '../core/project.ts'
import type { OriginState } from '../core/upstream.ts'
import { emulatorOf } from '../emulators/registry.ts'
import type { RouteTable } from '../gateway/route-table.ts'
import { openWatcher } from '../watch/open-watcher.ts'
import type { Change, Watcher } from '../watch/watcher.ts'
import { changedSince, covers, makeStateDirectory } from './files.ts'
import { mergeFailures, projectWarnings } from './project-faults.ts'
import { openDestinations, summariseRoutes, type Bindings } from './routing.ts'
import { functionScope } from './scope.ts'
import { errorEvent, ServedFunction } from './served-function.ts'

export interface LiveProjectOptions {
  readonly directory: AbsolutePath
  readonly mode: 'dev' | 'serve'
  readonly threads: number
  readonly preallocationKb: number
  /** `/_flexi`; false when nothing is reserved. */
  readonly controlPrefix: string | false
  /** Starts functions at their first request, and again only those that run. */
  readonly lazy?: boolean | undefined
  readonly inspectPort?: number | undefined
  readonly log: Logger
  /** When the project that is opened began to be read, in ms since the epoch. */
  readonly readAt: number
  readonly origin: () => string | undefined
  /** Reads the project's files again. @throws FlexiError FLEXI_CONFIG. */
  readonly read: () => Promise<Project>
  readonly onEvent: (event: DevEvent) => void
}

/** More functions than this start at their first request instead of at once: fifty warm processes help nobody. */
const WARM_FUNCTIONS_MAX = 8

/** Files whose coming makes a new project even though none was read before. */
const CONFIG_FILES =
  /^(flexi\.jsonc?|proxy\.ini|wrangler\.(jsonc?|toml)|template\.(ya?ml|json)|serverless\.(ya?ml|json|ts|js))$/

/** The project that is being served: swaps code when files change and everything else when configuration does. */
export class LiveProject implements AsyncDisposable {
  readonly #options: LiveProjectOptions
  readonly #functions = new Map<string, ServedFunction>()
  readonly #destinations: Bindings
  #project: Project
  #gateway: { swap(table: RouteTable): void } | undefined
  #watcher: Watcher | undefined
  #watchesConfiguration = false
  #reading: Promise<unknown> = Promise.resolve()
  /** Functions of a new configuration, while they are built for the first time. */
  #arriving: readonly ServedFunction[] = []
  #inspectors = 0

  private constructor(project: Project, options: LiveProjectOptions) {
    this.#project = project
    this.#options = options
    this.#destinations = openDestinations(this.#functions, options.log)
  }

  /** @throws FlexiError FLEXI_CONFIG with the faults of every function. */
  static async open(project: Project, options: LiveProjectOptions): Promise<LiveProject> {
    const live = new LiveProject(project, options)
    if (options.mode === 'dev' && project.functions.length > 0) await makeStateDirectory(project.directory)
    for (const served of await live.#openFunctions(project.functions))
      live.#functions.set(served.name, served)
    return live
  }

  /** Opens what the routes lead to, besides functions. */
  async bind(): Promise<RouteTable> {
    return this.#destinations.bind(this.#project)
  }

  get project(): Project {
    return this.#project
  }

  get routes(): readonly RouteSummary[] {
    return summariseRoutes(this.#project.routes, this.#project.directory)
  }

  /** What is served at this moment, by name. */
  get served(): ReadonlyMap<string, ServedFunction> {
    return this.#functions
  }

  /** For metrics: how every server is that a route forwards to. */
  origins(): readonly OriginState[] {
    return this.#destinations.origins()
  }

  functions(url: string): readonly FunctionSummary[] {
    const { controlPrefix } = this.#options
    return this.#project.functions.map(({ name, provider }) => ({
      name,
      provider,
      url: controlPrefix === false ? `${url}/` : `${url}${controlPrefix}/f/${name}/`,
    }))
  }

  /** From now on this is told of every new table. */
  attach(gateway: { swap(table: RouteTable): void }): void {
    this.#gateway = gateway
  }

  /** Builds every function; resolves when each was built or has reported why not. */
  async start(): Promise<void> {
    this.#warn(this.#project)
    const warm = this.#functions.size <= WARM_FUNCTIONS_MAX
    await Promise.all([...this.#functions.values()].map((served) => served.start({ warm })))
  }

  /** Without `configuration`, only what functions are made of: the rest is read when somebody asks for it. */
  async watch({ configuration }: { readonly configuration: boolean }): Promise<void> {
    this.#watchesConfiguration = configuration
    this.#watcher = await openWatcher({
      whole: configuration,
      directory: this.#project.directory,
      onChange: (change) => void this.#react(change),
      onError: (error) => this.#options.log.warn('watch.fail', { error: error.message }),
    })
    this.#watchSources()
    await this.#catchUp()
  }

  /** What was saved after it was read and before anyone watched. */
  async #catchUp(): Promise<void> {
    const sources = [...this.#functions.values()].flatMap((served) => served.watched())
    const paths = await changedSince([...sources, ...this.#project.files], this.#options.readAt)
    if (paths.length > 0) await this.#react({ paths: new Set(paths), at: performance.now() })
  }

  async restart(): Promise<void> {
    const at = performance.now()
    this.#reading = this.#reading.then(() => this.#readChanged())
    await this.#reading
    await Promise.all([...this.#functions.values()].map((served) => served.restart(at)))
    this.#watchSources()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#watcher?.[Symbol.asyncDispose]()
    this.#supersede()
    await this.#reading
    await Promise.all([...this.#functions.values()].map((served) => served[Symbol.asyncDispose]()))
    await this.#destinations[Symbol.asyncDispose]()
  }

  /** Configuration first: what it adds or changes is then built from the newest sources, and the rest is built after it. */
  async #react({ paths, at }: Change): Promise<void> {
    const files = [...paths]
    if (this.#watchesConfiguration && files.some((path) => this.#isConfiguration(path))) {
      this.#supersede()
      this.#reading = this.#reading.then(() => this.#readChanged())
      await this.#reading
    }
    const rebuilt = [...this.#functions.values()].map(async (served) => {
      const concerned = files.filter((path) => covers(served.watched(), path))
      if (concerned.length > 0) await served.rebuild(concerned, at)
    })
    await Promise.all(rebuilt)
    this.#watchSources()
  }

  #isConfiguration(path: string): boolean {
    const isNew = dirname(path) === this.#project.directory && CONFIG_FILES.test(basename(path))
    return isNew || this.#project.files.some((file) => file === path)
  }

  /** A build may have found new files to watch. */
  #watchSources(): void {
    const sources = [...this.#functions.values()].flatMap((served) => served.watched())
    this.#watcher?.add([...sources, ...this.#project.files])
  }

  async #readChanged(): Promise<void> {
    const at = performance.now()
    if (!(await this.#reread())) return
    const url = this.#options.origin() ?? ''
    this.#options.onEvent({
      event: 'configuration',
      functions: this.functions(url),
      routes: this.routes,
      durationMs: performance.now() - at,
    })
  }

  /** Says whether the files' word counts now. What is wrong with them is an event, and the old serves on. */
  async #reread(): Promise<boolean> {
    try {
      await this.#adopt(await this.#options.read())
      this.#watchSources()
      return true
    } catch (error) {
      const failure = asFlexiError(error)
      if (failure.code !== 'FLEXI_SHUTTING_DOWN') this.#options.onEvent(errorEvent(failure))
      return false
    }
  }

  /** Ends builds of a configuration that is out of date before it is served: one that hangs would keep the next one waiting. */
  #supersede(): void {
    for (const served of this.#functions.values()) served.supersede()
    for (const served of this.#arriving) void served[Symbol.asyncDispose]()
    this.#arriving = []
  }

  /** All or nothing: everything new is opened and built before anything old is let go. */
  async #adopt(project: Project): Promise<void> {
    await this.#destinations.prepare(project.routes)
    const fresh = project.functions.filter((config) => !this.#keeps(config))
    const changed = fresh.filter((one) => this.#functions.get(one.name)?.config.provider === one.provider)
    const added = await this.#openFunctions(fresh.filter((config) => !changed.includes(config)))
    const changes = await this.#prepareChanges(changed).catch(async (error: unknown) => {
      await Promise.all(added.map((served) => served[Symbol.asyncDispose]()))
      throw error
    })
    await this.#startArriving(added).catch(async (error: unknown) => {
      await Promise.all(changes.map((change) => change.abandon()))
      throw error
    })
    const wanted = new Set(project.functions.map(({ name }) => name))
    const removed = [...this.#functions.values()].filter(
      ({ name }) => !wanted.has(name) || added.some((served) => served.name === name),
    )
    for (const served of removed) this.#functions.delete(served.name)
    for (const served of added) this.#functions.set(served.name, served)
    const table = await this.#destinations.bind(project)
    this.#project = project
    this.#gateway?.swap(table)
    await Promise.all(changes.map((change) => change.apply()))
    await Promise.all(removed.map((served) => served[Symbol.asyncDispose]()))
    this.#destinations.keep(project.routes)
    this.#warn(project)
  }

  /** @throws FlexiError FLEXI_SHUTTING_DOWN when a newer configuration came meanwhile. */
  async #startArriving(added: readonly ServedFunction[]): Promise<void> {
    this.#arriving = added
    await Promise.all(added.map((served) => served.start({ warm: true })))
    if (this.#arriving !== added)
      throw new FlexiError('FLEXI_SHUTTING_DOWN', 'a newer configuration is there')
    this.#arriving = []
  }

  async #prepareChanges(
    changed: readonly FunctionConfig[],
  ): Promise<readonly { apply(): Promise<void>; abandon(): Promise<void> }[]> {
    const prepared = await Promise.allSettled(
      changed.map(async (config) => this.#functions.get(config.name)?.reconfigure(config)),
    )
    const failure = prepared.find((outcome) => outcome.status === 'rejected')
    const ready = prepared.flatMap((outcome) =>
      outcome.status === 'fulfilled' && outcome.value !== undefined ? [outcome.value] : [],
    )
    if (failure === undefined) return ready
    await Promise.all(ready.map((change) => change.abandon()))
    throw failure.reason
  }

  #keeps(config: FunctionConfig): boolean {
    const served = this.#functions.get(config.name)
    return served !== undefined && JSON.stringify(served.config) === JSON.stringify(config)
  }

  async #openFunctions(configs: readonly FunctionConfig[]): Promise<ServedFunction[]> {
    const outcomes = await Promise.allSettled(configs.map((config) => this.#openFunction(config)))
    const failures = outcomes.flatMap((outcome) =>
      outcome.status === 'rejected' ? [outcome.reason as unknown] : [],
    )
    const opened = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []))
    if (failures.length === 0) return opened
    await Promise.all(opened.map((served) => served[Symbol.asyncDispose]()))
    throw mergeFailures(failures)
  }

  #openFunction(config: FunctionConfig): Promise<ServedFunction> {
    const { inspectPort, directory, onEvent } = this.#options
    const port = inspectPort === undefined ? undefined : inspectPort + this.#inspectors++
    return ServedFunction.open(config, {
      emulator: emulatorOf(config.provider),
      directory,
      onEvent,
      lazy: this.#options.lazy,
      scope: functionScope(config.name, this.#options, port),
    })
  }

  #warn(project: Project): void {
    for (const warning of projectWarnings(project)) this.#options.onEvent(warning)
  }
}
