import type { Readable } from 'node:stream'

import type { SandboxCapabilities } from '../sandbox/sandbox.ts'
import type {
  AliasMove,
  AliasRecord,
  AuditRecord,
  Caller,
  DeploymentEvent,
  DeploymentRecord,
  DeploymentRequest,
  Digest,
  FunctionKey,
  FunctionRecord,
  Group,
  LogRecord,
  VariableRecord,
  VersionConfig,
  VersionRecord,
  VersionStatus,
} from './model.ts'
import type { LogFilter } from './runtime.ts'

/**
 * All that can be done to deployed functions, without HTTP. Permissions were asked before by who calls (the API), but for what depends on
 * what a request names: the group of each function it touches, which is demanded here. Every change is durable and in the audit log when
 * its promise resolves. A reference is a version or an alias: `hello@live`.
 */
export interface ControlPlane {
  info(): DaemonInfo

  // YFASS's verbs.
  /** @throws FlexiError FLEXI_CONFLICT (409) when the version is there, FLEXI_UPLOAD, FLEXI_QUOTA. Nothing is registered then. */
  upload(caller: Caller, key: FunctionKey, content: Readable): Promise<void>
  /** @throws FlexiError FLEXI_FUNCTION_UNKNOWN (404). */
  get(reference: FunctionKey): { readonly version: VersionRecord; readonly aliases: readonly string[] }
  override(caller: Caller, reference: FunctionKey, config: VersionConfig): Promise<void>
  /** YFASS's aliases: one name a version; null takes away those that lead to it. */
  alias(caller: Caller, reference: FunctionKey, alias: string | null): Promise<void>
  /** Stops it first. */
  remove(caller: Caller, reference: FunctionKey): Promise<void>
  /** @throws FlexiError FLEXI_CONFLICT when it runs. */
  start(caller: Caller, reference: FunctionKey): Promise<void>
  /** @throws FlexiError FLEXI_FUNCTION_UNKNOWN (404) also when it does not run. */
  stop(caller: Caller, reference: FunctionKey): Promise<void>
  status(reference: FunctionKey): VersionStatus | undefined

  // Deployments.
  /** False also for what is there and not theirs: they prove that they have it by sending it. */
  hasArtifact(caller: Caller, digest: Digest): Promise<boolean>
  /** @throws FlexiError FLEXI_UPLOAD, FLEXI_QUOTA. */
  putArtifact(caller: Caller, digest: Digest, content: Readable): Promise<void>
  /**
   * All parts or none: verify, unpack, start, probe, then move the alias of all in one step. Ends with `done` or `failed`, and does not
   * throw for what is wrong with the code. One deployment of a project at a time; the others wait.
   * @throws FlexiError before it begins: FLEXI_FORBIDDEN, FLEXI_CONFLICT, FLEXI_USAGE.
   */
  deploy(caller: Caller, request: DeploymentRequest, signal: AbortSignal): AsyncIterable<DeploymentEvent>
  deployments(filter: {
    readonly limit: number
    readonly project?: string | undefined
  }): readonly DeploymentRecord[]

  // Functions.
  functions(filter?: { readonly project?: string | undefined }): readonly FunctionSummary[]
  function(name: string): FunctionDetail
  setGroup(caller: Caller, name: string, group: Group | null): Promise<void>
  removeFunction(caller: Caller, name: string): Promise<void>
  /** Points an alias at a version, with a share of the requests for a second one (a canary). Starts what does not run first. */
  setAlias(caller: Caller, name: string, alias: string, to: AliasTarget): Promise<AliasRecord>
  removeAlias(caller: Caller, name: string, alias: string): Promise<void>
  /** Back to where the alias led before, or to a version named. @throws FlexiError FLEXI_USAGE when there is nothing to go back to. */
  rollback(caller: Caller, name: string, alias: string, to?: string): Promise<AliasRecord>
  aliasHistory(name: string, alias: string): readonly AliasMove[]
  logs(filter: LogFilter): AsyncIterable<LogRecord>
  variables(name: string): readonly VariableRecord[]
  /** Instances that run are exchanged for ones that see it, without a failed request. */
  setVariables(caller: Caller, name: string, changes: VariableChanges): Promise<void>
  audit(filter: { readonly limit: number; readonly since?: number | undefined }): readonly AuditRecord[]
}

export interface AliasTarget {
  readonly version: string
  readonly second?: { readonly version: string; readonly weight: number } | undefined
}

export interface VariableChanges {
  readonly secret: boolean
  /** null takes one away. */
  readonly values: Readonly<Record<string, string | null>>
}

export interface FunctionSummary extends FunctionRecord {
  readonly provider: string
  readonly versions: number
  readonly aliases: readonly AliasRecord[]
  readonly state: VersionStatus['state']
  readonly url: string
}

/** When something of a function is due next. */
export interface ScheduleTime {
  /** As its file has it. */
  readonly expression: string
  /** UTC when undefined. */
  readonly timeZone?: string | undefined
  /** Milliseconds since the epoch; undefined when it is over. */
  readonly next?: number | undefined
}

export interface FunctionDetail extends FunctionSummary {
  /** What the daemon runs it by; empty while it is stopped. */
  readonly schedules: readonly ScheduleTime[]
  /** Newest first. */
  readonly statuses: readonly (VersionStatus & {
    readonly createdAt: number
    readonly createdBy: string
    readonly artifact: Digest
  })[]
}

export interface DaemonInfo {
  readonly version: string
  readonly domain: string
  /** `http://example.com:8080` */
  readonly url: string
  readonly startedAt: number
  readonly sandbox: SandboxCapabilities
  readonly requiresSignature: boolean
  readonly functions: number
}
