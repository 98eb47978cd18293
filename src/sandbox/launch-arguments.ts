import { INNER_ID } from './system-files.ts'
import type { SandboxPolicy } from './sandbox.ts'

/** Descriptors of the launched bwrap. 3 stays free: it is the frame channel of many a program. */
export const FDS = { args: 4, filter: 5, status: 6, gate: 7, ready: 8, go: 9 } as const satisfies Record<
  string,
  number
>

/** One folder or file from outside. */
export interface Bind {
  readonly source: string
  readonly target: string
  readonly writable: boolean
  /** Left out when it is not there. */
  readonly optional?: boolean | undefined
}

export interface LaunchParts {
  readonly policy: SandboxPolicy
  /** What every function sees of the system. */
  readonly systemArgs: readonly string[]
  readonly binds: readonly Bind[]
  readonly environment: Readonly<Record<string, string>>
  readonly cwd: string
}

const MIB = 1024 * 1024

/**
 * What bwrap is told through its arguments' descriptor: nothing of it shows in a process list, so secrets may be among the variables.
 * It is not started by root, for root's bwrap keeps every capability (and `--cap-drop ALL` would leave root's access to files).
 */
export function launchArguments(parts: LaunchParts): string[] {
  const { policy, environment, cwd } = parts
  return [
    ...namespaceArgs(policy),
    '--clearenv',
    ...Object.entries(environment).flatMap(([name, value]) => ['--setenv', name, value]),
    ...parts.systemArgs,
    ...mountArgs(policy),
    ...bindArgs(parts.binds),
    // Where YFASS puts it: commands of its configurations may begin with that.
    '--symlink',
    policy.contents,
    '/.__private_yfass_contents',
    // The root of a sandbox is a memory file system without a bound: nobody writes into it.
    '--remount-ro',
    '/',
    '--chdir',
    cwd,
    '--seccomp',
    String(FDS.filter),
  ]
}

function namespaceArgs({ name, network }: SandboxPolicy): string[] {
  const args = [
    '--unshare-all',
    '--unshare-user',
    '--disable-userns',
    '--die-with-parent',
    '--new-session',
    '--cap-drop',
    'ALL',
  ]
  if (network === 'host') args.push('--share-net')
  args.push('--uid', String(INNER_ID), '--gid', String(INNER_ID), '--hostname', hostName(name))
  return args
}

/** `hello@v3` → `hello-v3`: at most 63 letters, as a name has. */
function hostName(name: string): string {
  return name.replaceAll(/[^A-Za-z0-9-]/g, '-').slice(0, 63)
}

function mountArgs({ mounts, limits, network }: SandboxPolicy): string[] {
  const size = ['--size', String(Math.max(1, Math.floor(limits.temporaryMb * MIB)))]
  const args: string[] = []
  if (mounts?.proc !== false) args.push('--proc', '/proc')
  // /dev is a memory file system of its own, and /dev/shm a part of it: neither has a bound unless it is given one.
  if (mounts?.dev !== false)
    args.push('--dev', '/dev', ...size, '--tmpfs', '/dev/shm', '--remount-ro', '/dev')
  // bwrap makes the user namespace of the network one with a root only for the sake of a /dev, and who joins it has to be that.
  else if (network === 'egress') args.push('--dev', '/dev', '--tmpfs', '/dev', '--remount-ro', '/dev')
  if (mounts?.tmp !== false) args.push(...size, '--perms', '1777', '--tmpfs', '/tmp')
  return args
}

/** Folders before what is in them, so that none hides another. */
function bindArgs(binds: readonly Bind[]): string[] {
  return binds
    .toSorted((a, b) => a.target.length - b.target.length)
    .flatMap(({ source, target, writable, optional }) => [
      `--${writable ? '' : 'ro-'}bind${optional === true ? '-try' : ''}`,
      source,
      target,
    ])
}
