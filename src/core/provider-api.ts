import type { SocketFetcher } from './fetcher.ts'
import type { FunctionConfig, PackagedFile } from './function.ts'
import type { InvokeContext, InvokeResult } from './invoke.ts'
import type { Logger } from './log.ts'
import type { AbsolutePath } from './place.ts'

/** Decides whether one more may run at this moment; several functions may share one. */
export interface Limiter {
  /** False refuses; whoever was let in leaves once. */
  enter(): boolean
  leave(): void
}

/** A function that is being served, as its provider's own API sees it. */
export interface ApiFunction {
  readonly config: FunctionConfig
  /** False for one that the API put there, or changed, itself. */
  readonly declared: boolean
  /** The function's own address. */
  readonly url: string
  /** Of the code in force; undefined until the first build is done. */
  readonly revision: string | undefined
  /** That can answer at this moment. */
  readonly instances: number
  /** None can, because the last one could not be started. */
  readonly startFailed: boolean
  /** As HTTP reaches it, without what addresses ask before. */
  readonly fetcher: SocketFetcher
  /** @throws FlexiError what keeps an instance from being had: FLEXI_QUEUE_FULL, FLEXI_THROTTLED, FLEXI_FUNCTION_INIT, FLEXI_BUILD … */
  invoke(payload: Uint8Array, context: InvokeContext): Promise<InvokeResult>
  /** From now on whatever this turns away is FLEXI_THROTTLED, at once. Undefined takes it away. */
  limit(limiter: Limiter | undefined): void
  /** Writes what a deployment would ship into `directory`. @throws FlexiError FLEXI_BUILD. */
  package(directory: AbsolutePath): Promise<readonly PackagedFile[]>
}

/** What a provider's own API is given. Every call tells what is served at that moment. */
export interface ApiHost {
  readonly log: Logger
  /** Aborts when the server is about to stop: whoever lets requests wait answers them. */
  readonly closing?: AbortSignal | undefined
  /** The same object for all that one running application gives to a provider: a key for what is to live as long as that. */
  readonly app: object
  readonly mode: 'dev' | 'serve'
  /** `.flexi/` of the project. Made on demand by who writes there. */
  readonly stateDirectory: AbsolutePath
  /** `http://127.0.0.1:8069/_flexi`; undefined until the server listens. */
  control(): string | undefined
  /** Of this provider alone, in the project's order; what `put` added comes last. */
  functions(): readonly ApiFunction[]
  find(name: string): ApiFunction | undefined
  /** What the provider's files declare besides functions. */
  resources(): readonly unknown[]
  /**
   * Serves a function that no file names, or another configuration of one that is served. Resolves once it is built and in force.
   * What a file says counts again as soon as that file says something else. Nothing of it is kept over a restart.
   * A name with a `:` (`hello:3`) is no host label, and not listed to people.
   * @throws FlexiError FLEXI_CONFIG, FLEXI_BUILD, FLEXI_FUNCTION_INIT; nothing has changed then.
   */
  put(config: FunctionConfig): Promise<void>
  /** Ends what `put` added; requests under way are finished. A function of the project's files is as they say again. */
  remove(name: string): Promise<void>
  /** Serves `/_flexi/f/NAME/` by something else than a function of that name; undefined takes it away. */
  address(name: string, fetcher: SocketFetcher | undefined): void
}

/** A provider's API that runs. Disposing ends what it still has to do by itself. */
export type OpenApi = SocketFetcher &
  AsyncDisposable & {
    /** Other functions, or other configurations of them, are in force now. */
    changed?(): void
  }

/** The API a provider's SDKs talk to, below flexi's own paths; to programs of this machine alone. */
export interface ProviderApi {
  /** `aws` is `/_flexi/aws`, which is gone from the targets that it sees. */
  readonly mount: string
  /** Whether it has something to do that no request asks for (event sources, what it kept): it is opened at the start then. Cheap. */
  wanted?(host: ApiHost): Promise<boolean>
  /** Called at the first request at the latest. */
  open(host: ApiHost): Promise<OpenApi>
}
