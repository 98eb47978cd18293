import { spawn, type ChildProcess, type StdioPipe } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'

import type { Confinement, Launch, ProcessSpec, ReachedLimit } from '../core/confinement.ts'
import { CHANNEL_FD } from './channel.ts'

export interface LaunchedChild {
  readonly process: ChildProcess
  /** Settles when its limits are on it. Rejects with what kept them from it: the process is to be ended then. */
  readonly failed: Promise<void> | undefined
  /** The limit that ended it, when one did. */
  readonly reached: () => ReachedLimit | undefined
}

interface LaunchOptions extends ProcessSpec {
  /** Whether its descriptor 3 is a frame channel. */
  readonly onFrame?: unknown
}

/** Starts a process through a confinement. `prefix` is a command that starts the rest of its line. */
export function launchConfined(
  confinement: Confinement,
  options: LaunchOptions,
  prefix: readonly string[],
): LaunchedChild {
  const { command, args, cwd, environment, readable, writable } = options
  const launch = confinement.launch({ command, args, cwd, environment, readable, writable })
  const [first = launch.command, ...rest] = [...prefix, launch.command, ...launch.args]
  const process_ = spawn(first, rest, {
    cwd: launch.cwd,
    env: { ...launch.environment },
    detached: true,
    stdio: stdioOf(launch, options.onFrame !== undefined),
    ...(launch.uid === undefined ? {} : { uid: launch.uid }),
    ...(launch.gid === undefined ? {} : { gid: launch.gid }),
  })
  return { process: process_, failed: begin(launch, process_), reached: () => launch.reached?.() }
}

function stdioOf({ inputs, outputs, gates }: Launch, isChannelled: boolean): ('ignore' | StdioPipe)[] {
  const used = new Set([...inputs.keys(), ...outputs, ...gates])
  const last = Math.max(CHANNEL_FD, ...used)
  const stdio: ('ignore' | StdioPipe)[] = ['ignore', 'pipe', 'pipe', isChannelled ? 'pipe' : 'ignore']
  for (let fd = CHANNEL_FD + 1; fd <= last; fd += 1) stdio.push(used.has(fd) ? 'pipe' : 'ignore')
  return stdio
}

function begin(launch: Launch, process_: ChildProcess): Promise<void> | undefined {
  const { pid } = process_
  // It could not be started: its own `error` event tells.
  if (pid === undefined) return undefined
  for (const [fd, bytes] of launch.inputs) writer(process_, fd).end(bytes)
  return launch.started({
    pid,
    outputs: new Map(launch.outputs.map((fd) => [fd, reader(process_, fd)])),
    gates: new Map(launch.gates.map((fd) => [fd, writer(process_, fd)])),
  })
}

// Node's types know the first five descriptors only, and a 'pipe' is a duplex beyond the third.
function pipeOf(process_: ChildProcess, fd: number): Writable & Readable {
  const pipe = process_.stdio[fd] as (Writable & Readable) | null | undefined
  if (pipe === null || pipe === undefined) throw new Error(`descriptor ${fd} is no pipe`)
  return pipe
}

function writer(process_: ChildProcess, fd: number): Writable {
  // Who reads it may be gone: its exit is what is told.
  return pipeOf(process_, fd).on('error', () => undefined)
}

function reader(process_: ChildProcess, fd: number): Readable {
  return pipeOf(process_, fd).on('error', () => undefined)
}
