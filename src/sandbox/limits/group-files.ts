import { readFileSync } from 'node:fs'

/** Where the kernel shows its groups, and which are ours; tests give others. */
export interface GroupFiles {
  /** As /proc/self/cgroup. */
  readonly membership: string
  /** As /proc/self/mountinfo. */
  readonly mounts: string
}

export function ownGroupFiles(): GroupFiles {
  return {
    membership: readFileSync('/proc/self/cgroup', 'utf8'),
    mounts: readFileSync('/proc/self/mountinfo', 'utf8'),
  }
}

/** `4:memory:/a/b` → `/a/b` for `memory`; the empty name is that of version 2. */
export function membershipPath(membership: string, controller: string): string | undefined {
  return membership
    .split('\n')
    .map((line) => line.split(':'))
    .find(([id = '', names = '']) => (controller === '' ? id === '0' : names.split(',').includes(controller)))
    ?.slice(2)
    .join(':')
}

export interface Mount {
  readonly type: string
  readonly options: readonly string[]
  /** What of the file system is shown, and where. */
  readonly root: string
  readonly point: string
}

/** `33 25 0:28 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory` */
export function parseMount(line: string): Mount {
  const [front = '', back = ''] = line.split(' - ')
  const [, , , root = '/', point = ''] = front.split(' ')
  const [type = '', , options = ''] = back.split(' ')
  return { type, options: options.split(','), root, point }
}

/** In a container the mount may show a part of the tree alone: its root is where we are then. */
export function belowMount(path: string, root: string): string {
  if (root === '/') return path
  return path.startsWith(root) ? path.slice(root.length) : '/'
}
