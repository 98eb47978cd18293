import { join } from 'node:path'

import type { SandboxLimits } from '../sandbox.ts'
import { belowMount, membershipPath, parseMount, type GroupFiles } from './group-files.ts'
import {
  getControl,
  groupName,
  makeGroup,
  removeGroup,
  removeGroups,
  removeLeftOverGroups,
  setControl,
} from './groups.ts'
import { OWN_PROCESSES, TRIAL_LIMITS, type LaunchLimits, type Limiter } from './limiter.ts'

const CONTROLLERS = ['memory', 'cpu', 'pids'] as const
type Controller = (typeof CONTROLLERS)[number]

const MIB = 1024 * 1024
const CPU_PERIOD_US = 100_000

/** Limits by control groups of version 1, below those the daemon itself is in. Undefined where they cannot be made. */
export async function openCgroup1(id: string, files: GroupFiles): Promise<Limiter | undefined> {
  const parents = controllerFolders(files)
  if (parents === undefined) return undefined
  const name = groupName(id)
  try {
    for (const parent of new Set(Object.values(parents))) await removeLeftOverGroups(parent)
    const own = mapControllers((controller) => makeGroup(parents[controller], name))
    // Refused here and now rather than at the first start of a function.
    const trial = limit(own, 'trial', TRIAL_LIMITS)
    await trial.remove()
    return {
      kind: 'cgroup1',
      limit: (launch, limits) => limit(own, launch, limits),
      prefix: () => [],
      dispose: () => {
        for (const group of Object.values(own)) removeGroup(group)
      },
    }
  } catch {
    return undefined
  }
}

function limit(own: Record<Controller, string>, name: string, limits: SandboxLimits): LaunchLimits {
  const groups = mapControllers((controller) => makeGroup(own[controller], name))
  const bytes = Math.floor(limits.memoryMb * MIB)
  setControl(groups.memory, 'memory.limit_in_bytes', bytes)
  // Memory and swap together; where the kernel does not account swap, there is no such file.
  if (getControl(groups.memory, 'memory.memsw.limit_in_bytes') !== undefined) {
    setControl(groups.memory, 'memory.memsw.limit_in_bytes', bytes)
  }
  if (limits.processors !== undefined) {
    setControl(groups.cpu, 'cpu.cfs_period_us', CPU_PERIOD_US)
    setControl(groups.cpu, 'cpu.cfs_quota_us', Math.max(1000, Math.round(limits.processors * CPU_PERIOD_US)))
  }
  setControl(groups.pids, 'pids.max', limits.processes + OWN_PROCESSES)
  const all = [...new Set(Object.values(groups))]
  return {
    add(pid) {
      for (const group of all) setControl(group, 'cgroup.procs', pid)
    },
    reached() {
      const kills = /^oom_kill (\d+)$/m.exec(getControl(groups.memory, 'memory.oom_control') ?? '')?.[1]
      return Number(kills ?? 0) > 0 ? 'memory' : undefined
    },
    remove: () => removeGroups(all),
  }
}

function mapControllers(each: (controller: Controller) => string): Record<Controller, string> {
  return { memory: each('memory'), cpu: each('cpu'), pids: each('pids') }
}

/** `4:memory:/a/b` and the mount of that controller → its folder on disk. Undefined unless all three are there. */
function controllerFolders(files: GroupFiles): Record<Controller, string> | undefined {
  const found = new Map(
    CONTROLLERS.flatMap((controller) => {
      const folder = controllerFolder(files, controller)
      return folder === undefined ? [] : [[controller, folder] as const]
    }),
  )
  const [memory, cpu, pids] = [found.get('memory'), found.get('cpu'), found.get('pids')]
  return memory === undefined || cpu === undefined || pids === undefined ? undefined : { memory, cpu, pids }
}

function controllerFolder({ membership, mounts }: GroupFiles, controller: string): string | undefined {
  const path = membershipPath(membership, controller)
  const mount = mounts
    .split('\n')
    .map(parseMount)
    .find(({ type, options }) => type === 'cgroup' && options.includes(controller))
  if (path === undefined || mount === undefined) return undefined
  return join(mount.point, belowMount(path, mount.root))
}
