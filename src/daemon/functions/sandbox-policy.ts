import type { AbsolutePath } from '../../core/place.ts'
import type { SandboxLimits, SandboxPolicy } from '../../sandbox/sandbox.ts'
import type { VersionConfig, VersionRecord } from '../model.ts'

/** What an instance may use where its configuration does not say. */
const INSTANCE_LIMITS = {
  /** More where the function is told that it has more. */
  memoryMb: 512,
  processes: 256,
  files: 4_096,
  /** As Lambda's /tmp. */
  temporaryMb: 512,
} as const

/** workerd keeps up to 640 MiB of freed pages, besides the 128 of the program. */
const WORKERS_MEMORY_MB = 1_024

/** An instance of a provider that watches its memory is ended by it, with its own words, before the system ends it without any. */
const SLACK = 1.25

export interface PolicyPlaces {
  readonly contents: AbsolutePath
  readonly state: AbsolutePath
  /** `FunctionRecord.number` */
  readonly number: number
}

/** The sandbox of a version, as its configuration wants it. */
export function sandboxPolicy(record: VersionRecord, places: PolicyPlaces): SandboxPolicy {
  const { sandbox, network } = record.config
  return {
    ...places,
    name: `${record.name}@${record.version}`,
    network,
    systemCalls: systemCalls(sandbox),
    limits: limitsOf(record.config),
    readOnly: sandbox.ro_entries,
    mounts: mountsOf(sandbox),
  }
}

/** An empty list of what is denied denies nothing besides the default list. */
function systemCalls(sandbox: VersionConfig['sandbox']): SandboxPolicy['systemCalls'] {
  const { syscall_filter: names, syscall_filter_mode: mode } = sandbox
  if (mode === 'Deny' && names.length === 0) return undefined
  return { mode: mode === 'Deny' ? 'deny' : 'allow', names }
}

/** YFASS's section counts as a whole where it names a command: its `/tmp` has to be asked for. Everything else has all of them. */
function mountsOf(sandbox: VersionConfig['sandbox']): SandboxPolicy['mounts'] {
  if (sandbox.command === '') return undefined
  return { proc: sandbox.mount_procfs, dev: sandbox.mount_devtmpfs, tmp: sandbox.mount_tmpfs }
}

function limitsOf({ provider, limits, memoryMb }: VersionConfig): SandboxLimits {
  const usual = provider === 'workers' ? WORKERS_MEMORY_MB : INSTANCE_LIMITS.memoryMb
  return {
    memoryMb: limits.memoryMb ?? Math.max(usual, Math.ceil((memoryMb ?? 0) * SLACK)),
    processors: limits.processors,
    processes: limits.processes ?? INSTANCE_LIMITS.processes,
    files: limits.files ?? INSTANCE_LIMITS.files,
    temporaryMb: limits.temporaryMb ?? INSTANCE_LIMITS.temporaryMb,
  }
}
