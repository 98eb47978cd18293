import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import type { Duplex, Readable } from 'node:stream'

import { LIMITS } from '../core/limits.ts'
import { CHANNEL_FD, openChannel, type Channel, type Frame } from './channel.ts'

export interface ChildOptions {
  readonly command: string
  readonly args: readonly string[]
  readonly cwd?: string | undefined
  /** The whole environment: nothing of the server's own leaks in. */
  readonly environment: Readonly<Record<string, string>>
  /** Opens a frame channel on the child's fd 3. */
  onFrame?(frame: Frame): void
  onLine(stream: 'stdout' | 'stderr', text: string): void
}

export interface ChildExit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  /** Set when the command could not be started at all. */
  readonly error: Error | undefined
}

export interface Child {
  readonly pid: number | undefined
  readonly channel: Channel | undefined
  /** Resolves once, when the process is gone and its output has been read to the end. Never rejects. */
  readonly exited: Promise<ChildExit>
  /** Signals the child and everything it started. */
  kill(signal?: NodeJS.Signals): void
}

/**
 * Starts a process that does not outlive us: it leads its own process group, which `kill` ends as a whole, and on Linux
 * the kernel kills it when this process dies, SIGKILL included.
 */
export function startChild(options: ChildOptions): Child {
  const channelled = options.onFrame !== undefined
  const [command, ...args] = [...deathSignalPrefix(), options.command, ...options.args]
  const process_ = spawn(command ?? options.command, args, {
    cwd: options.cwd,
    env: { ...options.environment },
    detached: true,
    stdio: channelled ? ['ignore', 'pipe', 'pipe', 'pipe'] : ['ignore', 'pipe', 'pipe'],
  })
  readLines(process_.stdout, (text) => options.onLine('stdout', text))
  readLines(process_.stderr, (text) => options.onLine('stderr', text))
  const pipe = process_.stdio[CHANNEL_FD]
  return {
    pid: process_.pid,
    // A 'pipe' beyond stderr is a socket pair on both systems flexi runs on.
    channel:
      options.onFrame === undefined
        ? undefined
        : openChannel(pipe as Duplex, (frame) => options.onFrame?.(frame)),
    exited: exitOf(process_),
    kill: (signal = 'SIGKILL') => killGroup(process_, signal),
  }
}

function exitOf(process_: ChildProcess): Promise<ChildExit> {
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

/** Calls back once a line, without its line end; an over-long line is cut, and what follows is dropped up to its end. */
function readLines(stream: Readable | null, onLine: (text: string) => void): void {
  if (stream === null) return
  let rest = ''
  stream.setEncoding('utf8')
  stream.on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) onLine(line.endsWith('\r') ? line.slice(0, -1) : line)
    if (rest.length > LIMITS.logLineBytesMax) {
      onLine(`${rest.slice(0, LIMITS.logLineBytesMax)}…`)
      rest = ''
    }
  })
  stream.on('end', () => {
    if (rest !== '') onLine(rest)
  })
  stream.on('error', () => undefined)
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
