import childProcess, { type ChildProcess } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'

import type { Launch } from '../../../core/confinement.ts'

/** The system's own: while miniflare starts something, what the module has is ours, and would come back here. */
const { spawn } = childProcess

/** The last descriptor that is the runtime's own: 3 takes its news. */
const OWN_FD_MAX = 3

export interface ConfinedSpawn {
  readonly child: ChildProcess
  /** Rejects when the process could not be put under its limits; it is ended then. */
  readonly started: Promise<void>
  /** Whether it held too much memory, once it has ended. */
  readonly ranOut: () => boolean
}

/** Starts a process as its confinement says, with pipes at the descriptors 1 to 3, and at 0 where it is asked for. */
export function spawnConfined(launch: Launch, stdin: 'ignore' | 'pipe'): ConfinedSpawn {
  const { inputs, outputs, gates, uid, gid } = launch
  const own = new Set([...inputs.keys(), ...outputs, ...gates])
  const stdio = Array.from({ length: Math.max(OWN_FD_MAX, ...own) + 1 }, (_, fd) => {
    if (fd === 0) return stdin
    return fd <= OWN_FD_MAX || own.has(fd) ? 'pipe' : 'ignore'
  })
  const child = spawn(launch.command, [...launch.args], {
    cwd: launch.cwd,
    stdio,
    // Signals of the terminal are for us: what runs is drained before it ends.
    detached: true,
    env: { ...launch.environment },
    ...(uid === undefined ? {} : { uid }),
    ...(gid === undefined ? {} : { gid }),
  })
  const pipe = (fd: number): Readable & Writable => child.stdio[fd] as Readable & Writable
  // Whoever ends early reads nothing: its end is told elsewhere.
  for (const fd of own) pipe(fd).on('error', () => undefined)
  for (const [fd, bytes] of inputs) pipe(fd).end(bytes)
  const started = admit(child, launch, pipe)
  // Told where the start fails: its process is ended.
  started.catch(() => undefined)
  return {
    child,
    started,
    ranOut: () => launch.reached?.() === 'memory',
  }
}

/** Ends a process that leads a group, and what it had begun: bwrap's own child follows it only from its first steps on. */
export function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // ESRCH: the group is gone already.
  }
}

async function admit(
  child: ChildProcess,
  launch: Launch,
  pipe: (fd: number) => Readable & Writable,
): Promise<void> {
  const { pid } = child
  if (pid === undefined) return
  const byFd = (list: readonly number[]): Map<number, Readable & Writable> =>
    new Map(list.map((fd) => [fd, pipe(fd)]))
  try {
    await launch.started({ pid, outputs: byFd(launch.outputs), gates: byFd(launch.gates) })
  } catch (error) {
    killGroup(child)
    // Whoever is left of it keeps nobody waiting for news.
    pipe(OWN_FD_MAX).destroy()
    throw error
  }
}
