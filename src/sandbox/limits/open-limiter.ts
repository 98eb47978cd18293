import type { SandboxCapabilities } from '../sandbox.ts'
import type { Tools } from '../tools.ts'
import { openCgroup1 } from './cgroup1.ts'
import { openCgroup2 } from './cgroup2.ts'
import { ownGroupFiles } from './group-files.ts'
import type { Limiter } from './limiter.ts'
import { openRlimits, UNLIMITED } from './rlimit.ts'

/** The best that this machine has. `id` names the sandbox. */
export async function openLimiter(id: string, { prlimit }: Tools, asked?: 'rlimit'): Promise<Limiter> {
  if (process.platform !== 'linux' || prlimit === undefined) return UNLIMITED
  if (asked === 'rlimit') return openRlimits(prlimit)
  const files = ownGroupFiles()
  return (await openCgroup2(id, files)) ?? (await openCgroup1(id, files)) ?? openRlimits(prlimit)
}

/** What is not enforced so. */
export function limitNotes(kind: SandboxCapabilities['limits']): readonly string[] {
  switch (kind) {
    case 'cgroup2':
    case 'cgroup1':
      return []
    case 'rlimit':
      return [
        'processors are not limited, and memory is looked at four times a second: no control groups can be made here (run the daemon as root, or as a systemd service with Delegate=yes)',
      ]
    case 'none':
      return ['memory, processors and processes are not limited']
  }
}
