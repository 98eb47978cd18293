import type { Confinement } from '../core/confinement.ts'
import type { AbsolutePath } from '../core/place.ts'

/** `egress`: the outside, but neither this machine nor the daemon; `none`: nothing; `host`: the machine's own network. */
export type NetworkMode = 'egress' | 'none' | 'host'

/** What one function may do. */
export interface SandboxPolicy {
  /** `hello@v3`; for messages and the names of its control groups. */
  readonly name: string
  /** The same small number for every version of a function, another for every function: its user id is made of it. */
  readonly number: number
  /** Read-only inside, under the same path. */
  readonly contents: AbsolutePath
  /** What it may change and finds again after a restart; made when it is not there. Same path inside. */
  readonly state?: AbsolutePath | undefined
  readonly network: NetworkMode
  /** Of system calls; undefined is the default deny list. */
  readonly systemCalls?: SystemCallPolicy | undefined
  readonly limits: SandboxLimits
  /** Host path → path inside, null for the same; what is not there is left out (YFASS: `ro_entries`). */
  readonly readOnly?: Readonly<Record<string, string | null>> | undefined
  /** Default: all of them. */
  readonly mounts?:
    | {
        readonly proc?: boolean | undefined
        readonly dev?: boolean | undefined
        readonly tmp?: boolean | undefined
      }
    | undefined
}

export interface SystemCallPolicy {
  /** `deny`: those named fail with EPERM besides the default list; `allow`: all others do. */
  readonly mode: 'deny' | 'allow'
  /** Names of the kernel's (`ptrace`), or of groups of ours (`fork`, `@network`). An unknown name is refused. */
  readonly names: readonly string[]
}

export interface SandboxLimits {
  /** Of one instance, MiB: a process that needs more is ended. */
  readonly memoryMb: number
  /** Processors: 0.5 is half of one. Undefined is no limit. */
  readonly processors?: number | undefined
  /** Processes and threads. */
  readonly processes: number
  /** Open files of one process. */
  readonly files: number
  /** MiB of each memory file system: `/tmp`, `/dev/shm`. */
  readonly temporaryMb: number
  /** MiB on disk in `state` and all that is writable: an instance that goes beyond is ended. Default 1024. */
  readonly stateMb?: number | undefined
}

/** What this machine can enforce, found out once at the start. Each has a sentence for people. */
export interface SandboxCapabilities {
  /** `bubblewrap 0.8.0`; undefined when functions run unprotected, as the operator said. */
  readonly isolation: string | undefined
  readonly systemCalls: boolean
  /** How memory, processors and processes are limited. */
  readonly limits: 'cgroup2' | 'cgroup1' | 'rlimit' | 'none'
  /** What joins a function to the outside: `slirp4netns 1.2.0`; undefined where `egress` cannot be had. */
  readonly egress: string | undefined
  /** Whether each function has a user id of its own: where the daemon runs as root. */
  readonly ownUsers: boolean
  /** What is not enforced here, and what to install or change. */
  readonly notes: readonly string[]
}

export interface OpenConfinement extends Confinement, AsyncDisposable {}

/** Opens confinements. Disposing it ends and removes everything it made. */
export interface Sandbox extends AsyncDisposable {
  readonly capabilities: SandboxCapabilities
  /** What is wrong with a policy on this machine, before anything is started: unknown system calls, `egress` without the means for it. */
  check(policy: SandboxPolicy): readonly string[]
  /** @throws FlexiError FLEXI_SANDBOX when the policy cannot be enforced: nothing runs unprotected. */
  open(policy: SandboxPolicy): Promise<OpenConfinement>
}

export interface SandboxOptions {
  /** `bwrap` (default), or `none` when the operator says so. */
  readonly kind: 'bwrap' | 'none'
  /** For run folders and staged programs; paths in it stay short. The sandbox's users can look into it. */
  readonly directory: AbsolutePath
  /** First of the user ids of functions, used when we run as root. Default 1,900,000,000: a range that no distribution hands out. */
  readonly firstUid?: number | undefined
  /** In place of the best way of limiting that this machine has. */
  readonly limits?: 'rlimit' | undefined
  /** What no user may have bound into a function: the daemon's data. Entries of `readOnly` in or above these are refused. */
  readonly hidden?: readonly AbsolutePath[] | undefined
}
