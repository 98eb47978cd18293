import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import type { Duplex } from 'node:stream'

import type { Confinement, ReachedLimit } from '../core/confinement.ts'
import { asFlexiError, FlexiError } from '../core/errors.ts'
import { CHANNEL_FD, openChannel, type Channel, type Frame } from './channel.ts'
import { launchConfined, type LaunchedChild } from './launch.ts'
import { readLines } from './lines.ts'
import { type FoundProgram, programBehind, programsBehind } from './process-tree.ts'

export interface ChildOptions {
  readonly command: string
  readonly args: readonly string[]
  readonly cwd?: string | undefined
  /** The whole environment: nothing of the server's own leaks in. */
  readonly environment: Readonly<Record<string, string>>
  /** Keeps it apart from the machine. */
  readonly confinement?: Confinement | undefined
  /** What it has to see there besides its function's own files. */
  readonly readable?: readonly string[] | undefined
  /** What it may change there. */
  readonly writable?: readonly string[] | undefined
  /** Opens a frame channel on the child's fd 3. */
  onFrame?(frame: Frame): void
  onLine(stream: 'stdout' | 'stderr', text: string): void
}

export interface ChildExit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  /** Set when the command could not be started at all. */
  readonly error: Error | undefined
  /** The limit that ended it, when one of what confines it did. */
  readonly reached?: ReachedLimit | undefined
}

export interface Child {
  /** Of what was started: where that is a launcher, `programPid` is what it launched. */
  readonly pid: number | undefined
  /** The program's own number, for who measures it. Of a confined one it is known a moment after its start. */
  programPid(): number | undefined
  /** The limit of what confines it that something in there has run into. */
  reached(): ReachedLimit | undefined
  readonly channel: Channel | undefined
  /** Resolves once, when the process is gone and its output has been read to the end. Never rejects. */
  readonly exited: Promise<ChildExit>
  /** Signals the child and everything it started. Any other signal than SIGKILL reaches programs alone, not what confines them. */
  kill(signal?: NodeJS.Signals): void
}

/**
 * Starts a process that does not outlive us: it leads its own process group, which `kill` ends as a whole, and on Linux
 * the kernel kills it when this process dies, SIGKILL included.
 */
export function startChild(options: ChildOptions): Child {
  const { confinement } = options
  const started =
    confinement === undefined
      ? { process: spawnPlain(options), failed: undefined, reached: () => undefined }
      : launchConfined(confinement, options, deathSignalPrefix())
  const process_ = started.process
  const said: { last?: string } = {}
  readLines(process_.stdout, (text) => options.onLine('stdout', text))
  readLines(process_.stderr, (text) => {
    said.last = text
    options.onLine('stderr', text)
  })
  const pipe = process_.stdio[CHANNEL_FD]
  const isConfined = confinement !== undefined
  return {
    pid: process_.pid,
    programPid: isConfined ? programFinder(process_.pid) : () => process_.pid,
    // A 'pipe' beyond stderr is a socket pair on both systems flexi runs on.
    channel:
      options.onFrame === undefined
        ? undefined
        : openChannel(pipe as Duplex, (frame) => options.onFrame?.(frame)),
    reached: started.reached,
    exited: exitOf(started, said),
    kill(signal = 'SIGKILL') {
      if (isConfined && signal !== 'SIGKILL') signalPrograms(process_, signal)
      else killGroup(process_, signal)
    },
  }
}

/** Once it is found, it is not looked for again. */
function programFinder(launcher: number | undefined): () => number | undefined {
  if (launcher === undefined) return () => undefined
  let found: FoundProgram = { pid: launcher, isFinal: false }
  return () => {
    if (!found.isFinal) found = programBehind(launcher)
    return found.pid
  }
}

function spawnPlain(options: ChildOptions): ChildProcess {
  const [command, ...args] = [...deathSignalPrefix(), options.command, ...options.args]
  return spawn(command ?? options.command, args, {
    cwd: options.cwd,
    env: { ...options.environment },
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe', ...(options.onFrame === undefined ? [] : (['pipe'] as const))],
  })
}

/** A failure to put its limits on it is how it ended; what confines it may have said more. */
async function exitOf(
  { process: process_, failed, reached }: LaunchedChild,
  said: { last?: string },
): Promise<ChildExit> {
  let failure: unknown
  failed?.catch((error: unknown) => {
    failure = error
    killGroup(process_, 'SIGKILL')
  })
  const exit = await exitOfProcess(process_)
  if (failure !== undefined) return { code: null, signal: null, error: withWords(failure, said.last) }
  return failed === undefined ? exit : { ...asOfProgram(exit), reached: reached() }
}

function withWords(failure: unknown, last: string | undefined): Error {
  const error = asFlexiError(failure, 'FLEXI_SANDBOX')
  if (last === undefined || error.message.includes(last)) return error
  const hint = error.hint === undefined ? {} : { hint: error.hint }
  return new FlexiError(error.code, `${error.message}: ${last.slice(0, WORDS_MAX)}`, {
    cause: failure,
    ...hint,
  })
}

const WORDS_MAX = 500

/** What confines a program ends as a shell would: 128 and the signal that ended the program. Our own hosts use 128 and 129. */
function asOfProgram(exit: ChildExit): ChildExit {
  const signal = exit.code === null ? undefined : FATAL[exit.code - 128]
  return signal === undefined ? exit : { code: null, signal, error: undefined }
}

/** Alike on every Linux that flexi runs on. */
const FATAL: Readonly<Record<number, NodeJS.Signals>> = {
  4: 'SIGILL', 5: 'SIGTRAP', 6: 'SIGABRT', 7: 'SIGBUS', 8: 'SIGFPE', 9: 'SIGKILL', 11: 'SIGSEGV', 15: 'SIGTERM', 31: 'SIGSYS',
} // prettier-ignore

function exitOfProcess(process_: ChildProcess): Promise<ChildExit> {
  return new Promise((resolve) => {
    process_.once('error', (error) => {
      if (process_.pid === undefined) resolve({ code: null, signal: null, error })
    })
    process_.once('exit', (code, signal) => {
      // What the child started may hold its output open: the group goes, and then the pipes end.
      killGroup(process_, 'SIGKILL')
      const done = (): void => resolve({ code, signal, error: undefined })
      process_.once('close', done)
      setTimeout(done, 200).unref()
    })
  })
}

function killGroup(process_: ChildProcess, signal: NodeJS.Signals): void {
  if (process_.pid === undefined) return
  try {
    process.kill(-process_.pid, signal)
  } catch {
    // ESRCH: the group is already gone.
  }
}

/** A launcher would die of it, and what it confines with it: only what runs inside hears of it. */
function signalPrograms(process_: ChildProcess, signal: NodeJS.Signals): void {
  if (process_.pid === undefined || process_.exitCode !== null) return
  const programs = programsBehind(process_.pid)
  if (programs.length === 0) killGroup(process_, signal)
  for (const pid of programs) {
    try {
      process.kill(pid, signal)
    } catch {
      // ESRCH: it is gone.
    }
  }
}

let prefix: readonly string[] | undefined

/**
 * `setpriv --pdeathsig` (util-linux) has the kernel end the child with us. It replaces itself by the command, so it costs one exec.
 * Elsewhere a child ends when its channel closes, which an endless loop would not notice.
 */
function deathSignalPrefix(): readonly string[] {
  if (prefix !== undefined) return prefix
  const command = ['setpriv', '--pdeathsig', 'KILL']
  const works =
    process.platform === 'linux' && spawnSync('setpriv', [...command.slice(1), 'true']).status === 0
  prefix = works ? command : []
  return prefix
}
