import type { NetworkMode } from '../sandbox/sandbox.ts'

/** What a caller may do. `root` implies all, `admin` implies read, write, remove and execute; write and remove imply read. */
export const PERMISSIONS = ['read', 'write', 'execute', 'remove', 'admin', 'root'] as const
export type Permission = (typeof PERMISSIONS)[number]

/** `permission:write`, `singular:ada` (met by being that user), `custom:team`, and `permission:host-net` for functions on the machine's network. */
export type Group = `permission:${Permission | 'host-net'}` | `singular:${string}` | `custom:${string}`

/** SHA-256 in lower-case hexadecimal, 64 characters. */
export type Digest = string & { readonly __brand: 'Digest' }

/** `hello` and `v3`; written `hello@v3`. Both match `[a-z0-9-]+`; neither begins nor ends with `-`; 63 characters at most: they are host labels. */
export interface FunctionKey {
  readonly name: string
  readonly version: string
}

/** What one version runs and how: a superset of YFASS's configuration, in its JSON form. Immutable once deployed by flexi; `override` replaces it. */
export interface VersionConfig {
  /** Who may change it, besides root and admins: without one, everybody with the permission. */
  readonly group?: Group | undefined
  /** `process` runs a program that listens; otherwise a key of the registry, or `routes` (a project's route table). */
  readonly provider: string
  /** The provider's own. */
  readonly options: Readonly<Record<string, unknown>>
  readonly environment: Readonly<Record<string, string>>
  readonly timeoutMs?: number | undefined
  readonly memoryMb?: number | undefined
  /** YFASS: `ip:port` that the program listens on; port 0 means that it is told one (PORT, YFASS_PORT). */
  readonly addr: string
  readonly sandbox: SandboxConfig
  readonly network: NetworkMode
  readonly limits: {
    readonly memoryMb?: number | undefined
    readonly processors?: number | undefined
    readonly processes?: number | undefined
    readonly files?: number | undefined
    readonly temporaryMb?: number | undefined
  }
  /** `min` run without being asked; default 0: the first request starts one. `idleMs` without a request, and `min` are left. */
  readonly instances: {
    readonly min?: number | undefined
    readonly max?: number | undefined
    readonly idleMs?: number | undefined
  }
  /** What has to answer, with a status below 500, before a deployment counts as started; without a path, a started instance does. */
  readonly health: { readonly path?: string | undefined; readonly timeoutMs?: number | undefined }
}

/** YFASS's own section. */
export interface SandboxConfig {
  readonly command: string
  readonly args: readonly string[]
  readonly ro_entries: Readonly<Record<string, string | null>>
  /** null takes a variable away. */
  readonly envs: Readonly<Record<string, string | null>>
  readonly inherit_stdout: boolean
  readonly syscall_filter_mode: 'Allow' | 'Deny'
  readonly syscall_filter: readonly string[]
  readonly mount_procfs: boolean
  readonly mount_devtmpfs: boolean
  readonly mount_tmpfs: boolean
}

/** Who asks: found by the token. */
export interface Caller {
  readonly user: string
  /** The token's own id, for the audit log; `root` for the root token. */
  readonly token: string
  /** What the user's groups and the token's scopes leave. */
  readonly groups: ReadonlySet<Group>
  /** From where: an address, or `local` for the operator's socket. */
  readonly from: string
}

export interface FunctionRecord {
  readonly name: string
  /** The project it was deployed with. */
  readonly project?: string | undefined
  /** Numbers users of the sandbox; never used again. */
  readonly number: number
  readonly group?: Group | undefined
  readonly createdAt: number
  readonly createdBy: string
}

export interface VersionRecord extends FunctionKey {
  /** Of the tar.gz (or tar) as it was uploaded. */
  readonly artifact: Digest
  readonly config: VersionConfig
  readonly createdAt: number
  readonly createdBy: string
  /** What the operator wants: `running` is started again after a restart of the daemon. */
  readonly wanted: 'running' | 'stopped'
}

export interface AliasRecord {
  readonly function: string
  readonly alias: string
  readonly version: string
  /** A canary: `weight` of all requests, 0 to 1, go to `version`. */
  readonly second?: { readonly version: string; readonly weight: number } | undefined
  readonly movedAt: number
  readonly movedBy: string
}

/** A line of an alias's history: where it led before. */
export interface AliasMove {
  readonly function: string
  readonly alias: string
  readonly version: string
  readonly second?: { readonly version: string; readonly weight: number } | undefined
  readonly at: number
  readonly by: string
}

export interface UserRecord {
  /** Lower-case. */
  readonly name: string
  readonly groups: readonly Group[]
  readonly createdAt: number
}

export interface TokenRecord {
  /** Short and public; not the token. */
  readonly id: string
  readonly user: string
  /** What people call it. */
  readonly label: string
  /** Keyed hash of the token, hexadecimal. */
  readonly hash: string
  /** Subset of what its user may do; undefined is all. */
  readonly scopes?: readonly Group[] | undefined
  readonly createdAt: number
  /** Milliseconds since the epoch; undefined never ends (root's alone). */
  readonly expiresAt?: number | undefined
  readonly usedAt?: number | undefined
}

/** Who changed what, and how it went. Nothing secret. */
export interface AuditRecord {
  readonly id: number
  readonly at: number
  readonly user: string
  readonly token: string
  readonly from: string
  /** `alias.set`, `user.add` … */
  readonly action: string
  /** `hello@v3`, `ada` … */
  readonly object: string
  readonly outcome: 'done' | 'refused' | 'failed'
  readonly detail: Readonly<Record<string, unknown>>
}

export type DeploymentState =
  | 'received'
  | 'verified'
  | 'unpacked'
  | 'starting'
  | 'probing'
  | 'ready'
  | 'switched'
  | 'failed'

export interface DeploymentRecord {
  readonly id: string
  readonly project: string
  readonly alias: string
  readonly state: DeploymentState
  readonly keys: readonly FunctionKey[]
  readonly startedAt: number
  readonly endedAt?: number | undefined
  readonly by: string
  readonly error?: string | undefined
}

/** One function of a deployment. */
export interface DeploymentPart {
  readonly name: string
  /** Undefined: the daemon counts, `v1`, `v2` …; equal content with equal configuration is the version that is there. */
  readonly version?: string | undefined
  /** Uploaded before. */
  readonly artifact: Digest
  readonly config: VersionConfig
  /** A sigstore bundle (JSON) over the artifact's bytes. */
  readonly signature?: unknown
}

export interface DeploymentRequest {
  readonly project: string
  readonly alias: string
  readonly parts: readonly DeploymentPart[]
  /** Host names besides those of the daemon's domain at which the project's routes are served. */
  readonly domains?: readonly string[] | undefined
  /** Checks everything, starts nothing, keeps nothing. */
  readonly dryRun?: boolean | undefined
}

/** What a deployment tells while it runs; the last one is `done` or `failed`. */
export type DeploymentEvent =
  | { readonly event: 'state'; readonly state: DeploymentState; readonly function?: string | undefined }
  | { readonly event: 'log'; readonly function: string; readonly text: string }
  | {
      readonly event: 'done'
      readonly id: string
      readonly functions: readonly (FunctionKey & {
        readonly urls: readonly string[]
        readonly changed: boolean
      })[]
      readonly durationMs: number
    }
  | {
      readonly event: 'failed'
      readonly id: string
      readonly code: string
      readonly message: string
      readonly hint?: string | undefined
      readonly function?: string | undefined
      /** The last lines the function printed. */
      readonly log: readonly string[]
    }

export interface VersionStatus extends FunctionKey {
  /** `idle`: started when a request comes. `crashed`: ended by itself and waits for its next start. */
  readonly state: 'running' | 'idle' | 'starting' | 'crashed' | 'stopped'
  readonly instances: number
  readonly inFlight: number
  /** Since when it is in this state. */
  readonly since: number
  readonly restarts: number
  /** How the last instance that ended by itself ended. */
  readonly lastExit?: string | undefined
  readonly aliases: readonly string[]
}

export interface LogRecord {
  readonly at: number
  readonly function: string
  readonly version: string
  readonly stream: 'stdout' | 'stderr' | 'platform'
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  readonly text: string
  readonly requestId?: string | undefined
}

/** What a variable of a function is: secrets are sealed at rest and never told. */
export interface VariableRecord {
  readonly function: string
  readonly name: string
  readonly secret: boolean
  /** Undefined for secrets when it is told to anyone but the function. */
  readonly value?: string | undefined
  readonly setAt: number
  readonly setBy: string
}
