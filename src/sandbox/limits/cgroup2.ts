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

/** Where the daemon itself goes: a group that gives controllers to others may hold no process of its own. */
const DAEMON_GROUP = 'flexi-daemon'

const MIB = 1024 * 1024
const CPU_PERIOD_US = 100_000

/**
 * Limits by control groups of version 2, in the group that the daemon was started in: as a systemd service it needs `Delegate=yes`.
 * Undefined where they cannot be made.
 */
export async function openCgroup2(id: string, files: GroupFiles): Promise<Limiter | undefined> {
  const parent = ownFolder(files)
  if (parent === undefined || !hasControllers(getControl(parent, 'cgroup.controllers'))) return undefined
  try {
    const base = giveControllers(parent)
    await removeLeftOverGroups(base)
    const own = makeGroup(base, groupName(id))
    setControl(own, 'cgroup.subtree_control', ALL_CONTROLLERS)
    const trial = limit(own, 'trial', TRIAL_LIMITS)
    await trial.remove()
    return {
      kind: 'cgroup2',
      limit: (launch, limits) => limit(own, launch, limits),
      prefix: () => [],
      dispose: () => void removeGroup(own),
    }
  } catch {
    return undefined
  }
}

const ALL_CONTROLLERS = CONTROLLERS.map((name) => `+${name}`).join(' ')

function ownFolder({ membership, mounts }: GroupFiles): string | undefined {
  const path = membershipPath(membership, '')
  const mount = mounts
    .split('\n')
    .map(parseMount)
    .find(({ type }) => type === 'cgroup2')
  return path === undefined || mount === undefined
    ? undefined
    : join(mount.point, belowMount(path, mount.root))
}

/** A mounted version 2 may have no controller at all, where version 1 has them. */
function hasControllers(listed: string | undefined): boolean {
  const names = (listed ?? '').trim().split(' ')
  return CONTROLLERS.every((name) => names.includes(name))
}

/** The group that hands its controllers on. A daemon that was started by another of ours is in that one's own group. */
function giveControllers(group: string): string {
  const base = group.endsWith(`/${DAEMON_GROUP}`) ? group.slice(0, -DAEMON_GROUP.length - 1) : group
  try {
    setControl(base, 'cgroup.subtree_control', ALL_CONTROLLERS)
  } catch {
    const daemon = makeGroup(base, DAEMON_GROUP)
    for (const pid of (getControl(base, 'cgroup.procs') ?? '').trim().split('\n')) {
      if (pid !== '') setControl(daemon, 'cgroup.procs', pid)
    }
    setControl(base, 'cgroup.subtree_control', ALL_CONTROLLERS)
  }
  return base
}

function limit(own: string, name: string, limits: SandboxLimits): LaunchLimits {
  const group = makeGroup(own, name)
  setControl(group, 'memory.max', Math.floor(limits.memoryMb * MIB))
  // Not there where the kernel does not account swap.
  if (getControl(group, 'memory.swap.max') !== undefined) setControl(group, 'memory.swap.max', 0)
  // One that outgrows its memory ends as a whole: half an instance is none.
  if (getControl(group, 'memory.oom.group') !== undefined) setControl(group, 'memory.oom.group', 1)
  if (limits.processors !== undefined) {
    const quota = Math.max(1000, Math.round(limits.processors * CPU_PERIOD_US))
    setControl(group, 'cpu.max', `${quota} ${CPU_PERIOD_US}`)
  }
  setControl(group, 'pids.max', limits.processes + OWN_PROCESSES)
  return {
    add: (pid) => setControl(group, 'cgroup.procs', pid),
    reached() {
      const kills = /^oom_kill (\d+)$/m.exec(getControl(group, 'memory.events') ?? '')?.[1]
      return Number(kills ?? 0) > 0 ? 'memory' : undefined
    },
    remove: () => removeGroups([group]),
  }
}
