import { errorMessage, FlexiError } from '../core/errors.ts'
import type { SocketFetcher } from '../core/fetcher.ts'
import type { ApiFunction, ApiHost, Emulator, OpenApi, ProviderApi } from '../core/function.ts'
import type { Logger } from '../core/log.ts'
import type { AbsolutePath } from '../core/place.ts'
import { stateDirectoryOf } from './files.ts'
import type { LiveProject } from './live-project.ts'
import type { ServedFunction } from './served-function.ts'

export interface ProviderApisOptions {
  readonly emulators: Readonly<Record<string, Emulator>>
  readonly live: LiveProject
  readonly mode: 'dev' | 'serve'
  readonly directory: AbsolutePath
  readonly log: Logger
  /** Where flexi's own paths begin; undefined until the server listens. */
  readonly control: () => string | undefined
}

export interface ProviderApis extends AsyncDisposable {
  /** For the gateway, by the segment below the control prefix. */
  readonly mounts: ReadonlyMap<string, SocketFetcher>
  /** Opens those that have something to do unasked, and tells all of them when other functions are in force. Never rejects. */
  start(): Promise<void>
  /** Tells those who let requests wait that the server is about to stop. */
  announceClosing(): void
}

/** The APIs that providers' SDKs talk to. Nothing of one is loaded before it is needed. */
export function openProviderApis(options: ProviderApisOptions): ProviderApis {
  const closing = new AbortController()
  const apis = Object.values(options.emulators).flatMap(({ name, api }) =>
    api === undefined ? [] : [new MountedApi(api, hostOf(name, options, closing.signal))],
  )
  let forget = (): unknown => undefined
  const wake = async (): Promise<void> => void (await Promise.all(apis.map((api) => api.wake())))
  return {
    mounts: new Map(apis.map((api) => [api.mount, api])),
    async start() {
      if (options.control() === undefined) return
      // Before anything is opened: what comes into force meanwhile is told as well.
      forget = options.live.onAdopted(() => void wake())
      await wake()
    },
    announceClosing: () => closing.abort(),
    async [Symbol.asyncDispose]() {
      forget()
      await Promise.all(apis.map((api) => api[Symbol.asyncDispose]()))
    },
  }
}

/** An API that is opened when somebody asks it, or when it says that it has something to do. */
class MountedApi implements SocketFetcher, AsyncDisposable {
  readonly mount: string
  readonly #api: ProviderApi
  readonly #host: ApiHost
  #opening: Promise<OpenApi> | undefined
  #disposed = false

  constructor(api: ProviderApi, host: ApiHost) {
    this.mount = api.mount
    this.#api = api
    this.#host = host
  }

  async handle(...exchange: Parameters<SocketFetcher['handle']>): Promise<void> {
    await (await this.#opened()).handle(...exchange)
  }

  async wake(): Promise<void> {
    try {
      if (this.#opening !== undefined) (await this.#opening).changed?.()
      else if ((await this.#api.wanted?.(this.#host)) === true && !this.#disposed) await this.#opened()
    } catch (error) {
      this.#host.log.error('api.open', { message: errorMessage(error) })
    }
  }

  /** A failure is not remembered: what was in the way may be gone at the next request. */
  #opened(): Promise<OpenApi> {
    this.#opening ??= this.#api.open(this.#host).catch((error: unknown) => {
      this.#opening = undefined
      throw error
    })
    return this.#opening
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true
    const opened = await this.#opening?.catch(() => undefined)
    await opened?.[Symbol.asyncDispose]()
  }
}

function hostOf(provider: string, options: ProviderApisOptions, closing: AbortSignal): ApiHost {
  const { live, log, control, mode, directory } = options
  const find = (name: string): ApiFunction | undefined => {
    const served = live.served.get(name)
    return served?.config.provider === provider ? apiFunction(served, options) : undefined
  }
  return {
    log: log.child({ api: provider }),
    app: live,
    closing,
    mode,
    stateDirectory: stateDirectoryOf(directory),
    control,
    functions: () => live.project.functions.flatMap(({ name }) => find(name) ?? []),
    find,
    resources: () => live.project.resources[provider] ?? [],
    async put(config) {
      const other = live.served.get(config.name)?.config.provider ?? provider
      if (other !== provider)
        throw new FlexiError('FLEXI_CONFIG', `${config.name} is the name of a function of ${other}`)
      await live.put(config)
    },
    remove: (name) => live.remove(name),
    address: (name, fetcher) => live.address(name, fetcher),
  }
}

function apiFunction(served: ServedFunction, { live, control }: ProviderApisOptions): ApiFunction {
  const { name, pool, entry } = served
  return {
    config: served.config,
    get declared() {
      return live.isDeclared(name)
    },
    get url() {
      return `${control() ?? ''}/f/${name}/`
    },
    get revision() {
      return pool.state().revision
    },
    get instances() {
      return pool.state().instances
    },
    get startFailed() {
      const { instances, counts } = pool.state()
      return instances === 0 && counts.startFailed > 0
    },
    fetcher: entry,
    invoke: (payload, context) => entry.invoke(payload, context),
    limit: (limiter) => entry.limit(limiter),
    package: (directory) => served.package(directory),
  }
}
