import type { AbsolutePath } from '../core/place.ts'
import type { Limiter } from './limits/limiter.ts'
import type { Egress } from './network/egress.ts'
import type { OwnPlace } from './place.ts'
import type { SandboxCapabilities, SandboxLimits } from './sandbox.ts'
import type { CallTable } from './seccomp/call-names.ts'
import type { Staging } from './staging.ts'
import type { SystemFiles } from './system-files.ts'
import type { Tools } from './tools.ts'

/** What all confinements of a sandbox have in common. */
export interface Machine {
  readonly tools: Tools
  readonly capabilities: SandboxCapabilities
  readonly place: OwnPlace
  readonly systemFiles: SystemFiles
  readonly staging: Staging
  readonly limiter: Limiter
  readonly egress: Egress | undefined
  /** Why there is none. */
  readonly egressFault: string | undefined
  readonly calls: CallTable | undefined
  /** What no configuration may bind: the daemon's data. */
  readonly hidden: readonly AbsolutePath[]
  /** Whether each function has a user of its own, and the first of them. */
  readonly firstUid: number | undefined
  /** Arguments of prlimit. */
  rlimits(limits: SandboxLimits): readonly string[]
}
