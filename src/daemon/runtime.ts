import type { Fetcher } from '../core/fetcher.ts'
import type { FunctionConfig, InvokeContext, InvokeResult } from '../core/function.ts'
import type { FunctionEvent } from '../core/schedule.ts'
import type { FunctionKey, LogRecord, VersionRecord, VersionStatus } from './model.ts'

/**
 * The versions that can be asked: each a pool of its own, of whatever provider, in its sandbox. It knows nothing of aliases, users or HTTP
 * APIs. A version that is `added` costs next to nothing until its first request.
 */
export interface Runtime extends AsyncDisposable {
  /** Makes it askable, idle: its first request opens the code and starts an instance, and waits for it. Known ones stay as they are. */
  add(record: VersionRecord): void
  /**
   * Opens its code, starts one instance (`instances.min` when that is more) and asks its health check.
   * @throws FlexiError FLEXI_DEPLOY, FLEXI_SANDBOX, FLEXI_FUNCTION_INIT …, `LogTail` with what it printed until then.
   */
  start(key: FunctionKey, options?: StartOptions): Promise<void>
  /** New requests are refused (503); those under way finish, at most `LIMITS.drainMs`; then all its processes end. It stays known. */
  stop(key: FunctionKey): Promise<void>
  /** `stop`, and it is not known any more. */
  remove(key: FunctionKey): Promise<void>
  /** Nothing is called so any more: what it printed and stored goes. */
  forget(name: string): Promise<void>
  /** Its environment or configuration is another: new instances take the place of the old without a failed request. */
  refresh(record: VersionRecord): Promise<void>
  /** Answers its requests; undefined for one that is not known. The same object for as long as it is known. */
  fetcher(key: FunctionKey): Fetcher | undefined
  /** As its emulator is given it, for what a provider puts before an address. @throws FlexiError what unpacking throws. */
  configOf(key: FunctionKey): Promise<FunctionConfig | undefined>
  invoke(key: FunctionKey, payload: Uint8Array, context: InvokeContext): Promise<InvokeResult>
  /**
   * What is no request: opens it and leases an instance as a request does. Takes at most 15 minutes, as both clouds allow.
   * @throws FlexiError FLEXI_USAGE for an event that its provider does not take, FLEXI_FUNCTION_TIMEOUT, and why no instance can be had.
   */
  run(key: FunctionKey, event: FunctionEvent, context: RunContext): Promise<InvokeResult>
  status(key: FunctionKey): Omit<VersionStatus, 'aliases'> | undefined
  statuses(): readonly Omit<VersionStatus, 'aliases'>[]
  readonly logs: Logs
  /** Calls back when one changes its state. */
  onState(listener: (key: FunctionKey) => void): () => void
}

export type RunContext = Pick<InvokeContext, 'id' | 'signal'>

export interface StartOptions {
  /** What it prints meanwhile. */
  readonly onLog?: ((text: string) => void) | undefined
  readonly signal?: AbortSignal | undefined
}

/** The last lines a function printed before it failed. */
export interface LogTail {
  readonly log: readonly string[]
}

/** What functions print, kept on disk with a limit for each function; the oldest goes first. */
export interface Logs {
  append(record: LogRecord): void
  /** Oldest first. With `follow` it ends only when the signal aborts. */
  read(filter: LogFilter): AsyncIterable<LogRecord>
  /** Forgets what a function printed, because there is none of that name any more. */
  remove(name: string): Promise<void>
}

export interface LogFilter {
  readonly function: string
  readonly version?: string | undefined
  /** Milliseconds since the epoch. */
  readonly since?: number | undefined
  /** The last so many, before what is followed. */
  readonly limit?: number | undefined
  readonly follow?: boolean | undefined
  readonly signal?: AbortSignal | undefined
}
