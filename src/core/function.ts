import type { IncomingMessage, ServerResponse } from 'node:http'

import type { Confinement } from './confinement.ts'
import type { FlexiError } from './errors.ts'
import type { RequestContext, SocketFetcher } from './fetcher.ts'
import type { InvokeContext, InvokeResult } from './invoke.ts'
import type { Logger } from './log.ts'
import type { AbsolutePath, Fault, Place, Revision } from './place.ts'
import type { ProviderApi } from './provider-api.ts'
import type { RouteRule } from './route.ts'
import type { ProviderSchedules } from './schedule.ts'

export type { InvokeContext, InvokeResult, InvokeStream } from './invoke.ts'
export type { ApiFunction, ApiHost, Limiter, OpenApi, ProviderApi } from './provider-api.ts'

/** One function of a project, as its file says it. */
export interface FunctionConfig {
  /** Unique in the project; letters, digits, `-` and `_`: it is also a host label. */
  readonly name: string
  /** A key of the registry. */
  readonly provider: string
  /** Where the function's relative paths start. */
  readonly directory: AbsolutePath
  /** Where it was found, for messages. */
  readonly origin: Place
  /** Where an option stands, or what is nearest to it: `['sources', 0, 'queue']`. Undefined where its file's reader cannot say. */
  readonly placeOf?: ((option: readonly (string | number)[]) => Pick<Fault, 'place' | 'text'>) | undefined
  readonly environment: Readonly<Record<string, string>>
  readonly timeoutMs?: number | undefined
  readonly memoryMb?: number | undefined
  /** Of a server of its own, which answers with this function alone; besides its other addresses. */
  readonly port?: number | undefined
  /** How it runs once it is deployed; `dev` does as the person at the keyboard does. */
  readonly deploy?: DeploySettings | undefined
  /** What only the provider understands (`handler`, `config`, `library` …); it validates with its own schema. */
  readonly options: Readonly<Record<string, unknown>>
}

/** What a daemon is told of a function, where its file says it. */
export interface DeploySettings {
  readonly network?: 'egress' | 'none' | 'host' | undefined
  /** Instances that run without being asked, and how many there may be. */
  readonly min?: number | undefined
  readonly max?: number | undefined
  /** Without a request for so long, instances above `min` are ended. */
  readonly idleMs?: number | undefined
  /** A path that answers once the function is ready. */
  readonly health?: string | undefined
  /** 0.5 is half of one. */
  readonly processors?: number | undefined
  /** Processes and threads of an instance. */
  readonly processes?: number | undefined
  /** Open files of a process. */
  readonly files?: number | undefined
  /** MiB of each file system in memory: `/tmp`, `/dev/shm`. */
  readonly temporaryMb?: number | undefined
}

/** What user code printed, or what its platform says about it (START, REPORT). */
export interface OutputLine {
  readonly stream: 'stdout' | 'stderr' | 'platform'
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  readonly text: string
  readonly requestId?: string | undefined
}

/** User code failed: what its author needs to mend it. */
export interface FunctionFault {
  readonly function: string
  readonly kind: 'throw' | 'init' | 'crash' | 'timeout' | 'memory' | 'result' | 'build'
  /** `TypeError`, `Runtime.ExitError`, `SIGSEGV` … */
  readonly name: string
  readonly message: string
  /** Source-mapped stack, as V8 prints it. */
  readonly stack?: string | undefined
  /** The first frame in the user's own code, with its source line. */
  readonly frame?: Fault | undefined
  readonly requestId?: string | undefined
  readonly hint?: string | undefined
}

/** What a function is given for as long as it is part of the project. */
export interface FunctionScope {
  readonly log: Logger
  /** The same object for every function of one running application, and `ApiHost.app`: a key for what they have in common. */
  readonly app: object
  /** `dev` rebuilds and explains; `serve` runs what is there. */
  readonly mode: 'dev' | 'serve'
  /** `.flexi/` of the project: builds and state. Made on demand by who writes there. */
  readonly stateDirectory: AbsolutePath
  /** SERVER_THREAD_COUNT: how many calls of a native library run at once. */
  readonly threads: number
  /** RESPONSE_PREALLOCATION_KB: KiB of the arena that a native library's thread starts with; 8 when undefined. */
  readonly preallocationKb?: number | undefined
  /** DevTools port of the function, when `--inspect` is given. */
  readonly inspectPort?: number | undefined
  /** An instance waits for a debugger, and stops at the first line of the user's code. */
  readonly breakAtStart?: boolean | undefined
  /** Every process of the function is started through it. Undefined runs them as flexi runs. */
  readonly confinement?: Confinement | undefined
  /** The credentials of the person at the keyboard reach functions; without, they have some that open nothing. */
  readonly passCredentials?: boolean | undefined
  /** Addresses known once the server listens. Read at each start of an instance, not before. */
  endpoints(): {
    readonly origin: string | undefined
    /** Where flexi's own paths begin: `http://127.0.0.1:8069/_flexi`; undefined where none are reserved. */
    readonly control?: string | undefined
  }
  output(line: OutputLine): void
  report(fault: FunctionFault): void
}

/** One running copy. Disposing it ends it at once; drain first. */
export type Instance = SocketFetcher &
  AsyncDisposable & {
    /** Event-shaped providers: bytes in, bytes out. */
    invoke?(payload: Uint8Array, context: InvokeContext): Promise<InvokeResult>
    /** Resolves when the instance can serve no more: with the error that ended it, or undefined when it was disposed. */
    readonly closed: Promise<Error | undefined>
    /** Processor time, in ms, that it has used or stood ready to use since it began; undefined where nobody knows. */
    processorMs?(): number | undefined
    /** Whether it has answered anything, for one whose answers may go to requests that were leased to another. */
    answered?(): boolean
  }

/** One built revision of a function, ready to start. */
export interface Code {
  readonly revision: Revision
  /** Requests one instance serves at once: 1 for Lambda, Infinity for an isolate. */
  readonly concurrency: number
  /**
   * An instance may be handed one request more than it serves while it answers within a moment: it begins with the end of the one
   * before, without a wait for us. Where that lasts, `handle` rejects with FLEXI_NOT_STARTED, and the request goes to another instance.
   */
  readonly ahead?: boolean | undefined
  /** Instances that are started without being asked for, and kept; default 0: one is there once something asked. */
  readonly instancesMin?: number | undefined
  /** Instances at once, `LIMITS.instancesMax` when undefined. */
  readonly instancesMax?: number | undefined
  /** Its instances take connections that change their protocol (WebSocket); default false. */
  readonly upgrades?: boolean | undefined
  /** True when two revisions may not live at the same time (they own files): the old one is drained and closed before the new one starts. */
  readonly exclusive: boolean
  /** Its start waits for a person, at a debugger, and may do so for ever; default false. */
  readonly startsPaused?: boolean | undefined
  /**
   * Starts an instance and resolves when it can answer (Lambda's Init).
   * @throws FlexiError FLEXI_FUNCTION_INIT when the code cannot be loaded.
   */
  start(): Promise<Instance>
  /** Answers a request that could get no instance, as the provider would. The gateway answers when absent. */
  refuse?(
    error: FlexiError,
    exchange: { incoming: IncomingMessage; outgoing: ServerResponse; context: RequestContext },
  ): void
}

/** A function's source: builds it, and knows which files it came from. */
export interface FunctionSource extends AsyncDisposable {
  /**
   * Builds the current files. Called again after each change; incremental.
   * @throws FlexiError FLEXI_BUILD with `faults` when they cannot be built; the last good code stays usable.
   */
  build(): Promise<Code>
  /** Files and folders whose change means `build()` again. Valid after the first `build()`, failed or not. */
  watched(): readonly AbsolutePath[]
  /** Tells of changes at once, also while `build()` runs: one that is out of date and lasts may be given up for the next. */
  changed?(files: readonly AbsolutePath[]): void
  /** Whether what the last failed `build()` lacked has come since: asked by a request that finds no code. */
  lackedIsThere?(): Promise<boolean>
  /** Nobody will use this source again: a `build()` that is running rejects soon, with FLEXI_SHUTTING_DOWN. */
  cancel?(): void
  /** Writes what a deployment would ship into `directory`, and tells what it wrote (paths relative to it). */
  package(directory: AbsolutePath, options?: PackageOptions): Promise<readonly PackagedFile[]>
  /**
   * The options under which what `package` wrote is opened again, as a function whose directory that folder is, on a machine that has
   * nothing else of the project: paths are relative to it, and nothing is left to build. Valid after `package`.
   */
  shipped?(): Readonly<Record<string, unknown>>
}

export interface PackageOptions {
  /** Nothing of the provider is where it will run: what its runtimes bring is taken along. Default false. */
  readonly complete?: boolean | undefined
}

export interface PackagedFile {
  readonly path: string
  readonly bytes: number
  /** Files it was made from, relative to the project. */
  readonly inputs: readonly string[]
}

/** What a provider found in a folder by reading its own files. */
export interface Detection {
  readonly functions: readonly FunctionConfig[]
  readonly routes: readonly RouteRule[]
  /** The files read: a change in one of them means a new project. */
  readonly files: readonly AbsolutePath[]
  readonly faults: readonly Fault[]
  /** What else the files declare (queues, topics, rules): plain data, for the provider's own API alone. */
  readonly resources?: readonly unknown[] | undefined
}

/** Where a function wants to be found, by files of its own. */
export interface Exposure {
  /** After all other routes of the project. */
  readonly routes: readonly RouteRule[]
  readonly port?: number | undefined
  /** Besides those that its detection names: a change in one of them means a new project. */
  readonly files: readonly AbsolutePath[]
  readonly faults: readonly Fault[]
}

export interface DetectOptions {
  /** Values of the environment that configuration may name (`${env:STAGE}`), never read from process.env by the provider. */
  readonly environment: Readonly<Record<string, string | undefined>>
  /** A file of the provider's that a person named, in place of the one it would look for in the folder. */
  readonly file?: AbsolutePath | undefined
}

/** An address under which a function is asked. */
export interface FunctionAddress {
  readonly config: FunctionConfig
  /** The route's own; undefined for the function's own address. */
  readonly options: unknown
}

/** What guards are given of the project. */
export interface GuardHost {
  readonly log: Logger
  /** `ApiHost.app`. */
  readonly app: object
  /** Aborts when the application begins to stop, before the gateway drains: who holds connections open lets them go. */
  readonly closing?: AbortSignal | undefined
  /** Invokes another function of the project. @throws FlexiError FLEXI_FUNCTION_UNKNOWN, and what keeps an instance from being had. */
  invoke(name: string, payload: Uint8Array, context: InvokeContext): Promise<InvokeResult>
}

/** Puts before an address what its cloud asks there first: preflight requests, keys, authorizers. Undefined where nothing is asked. */
export type PlaceGuard = (
  address: FunctionAddress,
  target: SocketFetcher,
) => Promise<SocketFetcher | undefined>

/** An answer that is always the same. */
export interface FixedAnswer {
  readonly status: number
  readonly body: string
  readonly contentType?: string | undefined
  /** name, value, name, value … */
  readonly fields?: readonly string[] | undefined
}

/** An event for a function that is running. */
export interface ProviderEvent {
  /** `FunctionScope.app` */
  readonly app: object
  /** The function's. */
  readonly name: string
  /** `workers:cron` */
  readonly source: string
  /** Plain data, as the source's sample has it. */
  readonly event: unknown
}

/** How one provider runs functions. The registry's values. */
export interface Emulator {
  readonly name: string
  /** Its functions may be bound to each other: one that is run by itself needs the sources of the others open. Default false. */
  readonly connected?: boolean | undefined
  readonly api?: ProviderApi | undefined
  /**
   * Runs a function with an event of one of the provider's sources (`workers:cron`) that `Instance.invoke` does not take.
   * @throws FlexiError FLEXI_USAGE for a source that its functions have no handler for.
   */
  readonly runEvent?: ((event: ProviderEvent) => Promise<InvokeResult>) | undefined
  /** Where deployed functions run by the clock. Loaded when the first one is looked at. */
  schedules?(): Promise<ProviderSchedules>
  /** Called once a route table: what its guards remember ends with it. */
  openGuards?(host: GuardHost): PlaceGuard
  /** How an API that consists of these routes answers what none of them takes. Undefined where they are no API of this provider. */
  noRoute?(routes: readonly RouteRule[]): FixedAnswer | undefined
  /** Reads the provider's own files in the folder (wrangler.jsonc, template.yaml, serverless.yml). Cheap when there are none: no heavy import. */
  detect(directory: AbsolutePath, options: DetectOptions): Promise<Detection>
  /** Whether a person who names this file means one of the provider's: by its name alone. */
  ownsFile?(path: string): boolean
  /** What a function's own files say about its addresses. Files that are at fault say nothing: `open` tells. */
  exposure?(config: FunctionConfig): Promise<Exposure | undefined>
  /** Does a `proxy.ini` or route target name this provider's code by its shape (`./handler.ts`, `lib.so`, a folder with a wrangler file)? */
  recognise(target: string, directory: AbsolutePath): Promise<Readonly<Record<string, unknown>> | undefined>
  /** What is odd about a function's own files. @throws FlexiError FLEXI_CONFIG for what `open` lets pass and a build would not. */
  check?(config: FunctionConfig): Promise<readonly Fault[]>
  /** Validates `config.options`; nothing is built or started yet. @throws FlexiError FLEXI_CONFIG with `faults`. */
  open(config: FunctionConfig, scope: FunctionScope): Promise<FunctionSource>
}
