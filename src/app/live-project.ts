import { asFlexiError, errorMessage, type FlexiError } from '../core/errors.ts'
import type { DevEvent, FunctionSummary, RouteSummary } from '../core/events.ts'
import type { SocketFetcher } from '../core/fetcher.ts'
import type { FunctionConfig } from '../core/function.ts'
import type { Logger } from '../core/log.ts'
import type { AbsolutePath } from '../core/place.ts'
import type { Project } from '../core/project.ts'
import type { OriginState } from '../core/upstream.ts'
import { emulatorOf } from '../emulators/registry.ts'
import type { RouteTable } from '../gateway/route-table.ts'
import { openWatcher } from '../watch/open-watcher.ts'
import type { Change, Watcher } from '../watch/watcher.ts'
import { changedSince, covers, isConfigurationOf, makeStateDirectory } from './files.ts'
import { Overlays } from './overlays.ts'
import { projectWarnings } from './project-faults.ts'
import { openDestinations, summariseFunctions, summariseRoutes, type Bindings } from './routing.ts'
import { controlOf, functionScope, inspectPorts } from './scope.ts'
import { errorEvent, ServedFunction } from './served-function.ts'
import { ServedFunctions } from './served-functions.ts'
import { Turns } from './turns.ts'

export interface LiveProjectOptions {
  readonly directory: AbsolutePath
  readonly mode: 'dev' | 'serve'
  readonly threads: number
  readonly preallocationKb: number
  /** `/_flexi`; false when nothing is reserved. */
  readonly controlPrefix: string | false
  /** Starts functions at their first request, and again only those that run. */
  readonly lazy?: boolean | undefined
  /** Of the first function; each further one has the next. */
  readonly inspectPort?: number | undefined
  readonly breakAtStart?: boolean | undefined
  readonly passCredentials?: boolean | undefined
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

/** The project that is being served: swaps code when files change and everything else when configuration does. */
export class LiveProject implements AsyncDisposable {
  /** Functions that cannot have their own ports, by name. */
  readonly portless = new Set<string>()
  readonly #options: LiveProjectOptions
  readonly #functions: ServedFunctions
  readonly #overlays = new Overlays()
  readonly #closing = new AbortController()
  readonly #destinations: Bindings
  /** As the files have it. */
  #declared: Project
  /** With what APIs put over it. */
  #project: Project
  #gateway: { swap(table: RouteTable): void } | undefined
  #watcher: Watcher | undefined
  #watchesConfiguration = false
  readonly #turns = new Turns()
  readonly #inspectPortOf: (name: string) => number | undefined
  readonly #adoptions = new Set<() => void>()

  private constructor(project: Project, options: LiveProjectOptions) {
    this.#declared = project
    this.#project = project
    this.#options = options
    this.#inspectPortOf = inspectPorts(options.inspectPort)
    this.#functions = new ServedFunctions((config) => this.#openFunction(config))
    const { log } = options
    const closing = this.#closing.signal
    this.#destinations = openDestinations(this.#functions.byName, { log, app: this, closing })
  }

  /** @throws FlexiError FLEXI_CONFIG with the faults of every function. */
  static async open(project: Project, options: LiveProjectOptions): Promise<LiveProject> {
    const live = new LiveProject(project, options)
    if (options.mode === 'dev' && project.functions.length > 0) await makeStateDirectory(project.directory)
    await live.#functions.begin(project.functions)
    return live
  }

  /** Opens what the routes lead to, besides functions. */
  async bind(project = this.#project): Promise<RouteTable> {
    const table = await this.#destinations.bind(project)
    return { ...table, functions: new Map([...table.functions, ...this.#overlays.addresses]) }
  }

  get project(): Project {
    return this.#project
  }

  get routes(): readonly RouteSummary[] {
    return summariseRoutes(this.#project.routes, this.#project.directory)
  }

  /** What is served at this moment, by name. */
  get served(): ReadonlyMap<string, ServedFunction> {
    return this.#functions.byName
  }

  /** Whether the files alone say what is served under this name. */
  isDeclared(name: string): boolean {
    return !this.#overlays.has(name)
  }

  /** Serves a function in place of what the files say, or beside it. @throws FlexiError; nothing has changed then. */
  async put(config: FunctionConfig): Promise<void> {
    await this.#overlay(() => this.#overlays.put(config, this.#declared.functions))
  }

  /** Serves what the files say again. @throws FlexiError; nothing has changed then. */
  async remove(name: string): Promise<void> {
    await this.#overlay(() => this.#overlays.remove(name))
  }

  /** Answers a function's own address by something else. */
  address(name: string, fetcher: SocketFetcher | undefined): void {
    this.#overlays.address(name, fetcher)
    this.#turns
      .take(async () => this.#gateway?.swap(await this.bind()))
      .catch((error: unknown) =>
        this.#options.log.error('address.bind', { name, message: errorMessage(error) }),
      )
  }

  /** Calls back whenever other functions, or other configurations, are in force, until the result is called. */
  onAdopted(listener: () => void): () => boolean {
    this.#adoptions.add(listener)
    return () => this.#adoptions.delete(listener)
  }

  /** For metrics: how every server is that a route forwards to. */
  origins(): readonly OriginState[] {
    return this.#destinations.origins()
  }

  functions(url: string): readonly FunctionSummary[] {
    const control = controlOf(url, this.#options.controlPrefix)
    const functions = this.#project.functions.map((config) =>
      this.portless.has(config.name) ? { ...config, port: undefined } : config,
    )
    return summariseFunctions(functions, { url, control })
  }

  /** From now on this is told of every new table. */
  attach(gateway: { swap(table: RouteTable): void }): void {
    this.#gateway = gateway
  }

  /** Builds every function; resolves when each was built or has reported why not. */
  async start(): Promise<void> {
    for (const warning of projectWarnings(this.#project)) this.#options.onEvent(warning)
    const warm = this.#functions.all().length <= WARM_FUNCTIONS_MAX
    await Promise.all(this.#functions.all().map((served) => served.start({ warm })))
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
    const sources = this.#functions.all().flatMap((served) => served.watched())
    const paths = await changedSince([...sources, ...this.#project.files], this.#options.readAt)
    if (paths.length > 0) await this.#react({ paths: new Set(paths), at: performance.now() })
  }

  async restart(): Promise<void> {
    const at = performance.now()
    await this.#readChanged()
    await Promise.all(this.#functions.all().map((served) => served.restart(at)))
    this.#watchSources()
  }

  /** Tells those who hold connections open that the server is about to stop. */
  announceClosing(): void {
    this.#closing.abort()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#watcher?.[Symbol.asyncDispose]()
    const ended = this.#turns.end()
    this.#functions.supersede()
    await ended
    await this.#functions[Symbol.asyncDispose]()
    await this.#destinations[Symbol.asyncDispose]()
  }

  /** Configuration first: what it adds or changes is then built from the newest sources, and the rest is built after it. */
  async #react({ paths, at }: Change): Promise<void> {
    let files = [...paths]
    if (this.#watchesConfiguration && files.some((path) => this.#isConfiguration(path))) {
      this.#functions.supersede()
      const failure = await this.#readChanged()
      // What is wrong with a function's own file is not told again by its build.
      files = files.filter((path) => failure?.faults.every(({ place }) => place.file !== path) ?? true)
    }
    const rebuilt = this.#functions.all().map(async (served) => {
      const concerned = files.filter((path) => covers(served.watched(), path))
      if (concerned.length > 0) await served.rebuild(concerned, at)
    })
    await Promise.all(rebuilt)
    this.#watchSources()
  }

  #isConfiguration(path: string): boolean {
    const { directory, files } = this.#project
    return isConfigurationOf(directory, path) || files.some((file) => file === path)
  }

  /** A build may have found new files to watch. */
  #watchSources(): void {
    const sources = this.#functions.all().flatMap((served) => served.watched())
    this.#watcher?.add([...sources, ...this.#project.files])
  }

  /** Resolves with what keeps the files' word from counting: that has been told, and the old serves on. */
  async #readChanged(): Promise<FlexiError | undefined> {
    const at = performance.now()
    try {
      await this.#turns.take(async () => {
        const project = await this.#options.read()
        await this.#adopt(project)
        for (const warning of projectWarnings(project)) this.#options.onEvent(warning)
      })
      this.#watchSources()
    } catch (error) {
      const failure = asFlexiError(error)
      if (failure.code !== 'FLEXI_SHUTTING_DOWN') this.#options.onEvent(errorEvent(failure))
      return failure
    }
    const functions = this.functions(this.#options.origin() ?? '')
    const durationMs = performance.now() - at
    this.#options.onEvent({ event: 'configuration', functions, routes: this.routes, durationMs })
    return undefined
  }

  /** `change` puts something over the files' word; calling what it returns takes it back. */
  async #overlay(change: () => () => void): Promise<void> {
    try {
      await this.#turns.take(async () => {
        const takeBack = change()
        await this.#adopt(this.#declared).catch((error: unknown) => {
          takeBack()
          throw error
        })
      })
    } catch (error) {
      if (this.#turns.ended || asFlexiError(error).code !== 'FLEXI_SHUTTING_DOWN') throw error
      // A newer configuration came, whose turn is the next: it is put over that.
      await this.#overlay(change)
    }
  }

  /** All or nothing: everything new is opened and built before anything old is let go. */
  async #adopt(declared: Project): Promise<void> {
    const project = { ...declared, functions: this.#overlays.over(declared.functions) }
    await this.#destinations.prepare(project.routes)
    const set = await this.#functions.prepare(project.functions, ({ name }) => !this.#overlays.has(name))
    set.enter()
    try {
      this.#gateway?.swap(await this.bind(project))
    } catch (error) {
      await set.leave()
      throw error
    }
    this.#project = project
    this.#declared = declared
    this.#overlays.keep(declared.functions)
    await set.finish()
    this.#destinations.keep(project.routes)
    for (const adopted of this.#adoptions) adopted()
  }

  #openFunction(config: FunctionConfig): Promise<ServedFunction> {
    const { directory, onEvent, lazy } = this.#options
    return ServedFunction.open(config, {
      emulator: emulatorOf(config.provider),
      directory,
      onEvent,
      lazy,
      scope: functionScope(config.name, { ...this.#options, app: this }, this.#inspectPortOf(config.name)),
    })
  }
}
