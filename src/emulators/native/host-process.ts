import { closeSync, fchmodSync, ftruncateSync, openSync, readSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { randomUUID } from 'node:crypto'

import { PATH_INSIDE } from '../../core/confinement.ts'
import { FlexiError } from '../../core/errors.ts'
import type { FunctionConfig, FunctionScope } from '../../core/function.ts'
import { LIMITS } from '../../core/limits.ts'
import type { Frame, FramePayload } from '../../instances/channel.ts'
import { startChild, type Child, type ChildExit, type ChildOptions } from '../../instances/child.ts'
import { hostFiles } from '../../instances/host-files.ts'
import { koffiFiles } from './koffi-files.ts'
import { FROM_CHILD, TO_CHILD, type Loaded, type Setup } from './wire.ts'

export interface HostOptions {
  readonly config: FunctionConfig
  readonly scope: FunctionScope
  readonly threads: number
  /** A folder for files of the process; made when it is not there. */
  readonly directory: () => string
  /** Where the library lies: libraries it needs are looked for beside it, although a copy of it is loaded. */
  readonly libraryDirectory: string
}

/** A child process that waits for a library, or runs one. Usable as a spare until `load`. */
export interface HostProcess extends AsyncDisposable {
  readonly pid: number | undefined
  /** False once the process is gone. */
  readonly alive: boolean
  /** Resolves as soon as it can serve no more: its channel has closed, a moment before it is known how it exited. */
  readonly ended: Promise<void>
  readonly exited: Promise<ChildExit>
  /** It was ended by us because its channel had closed while it ran on. */
  readonly unreachable: boolean
  /**
   * Resolves when the library can be called.
   * @throws FlexiError FLEXI_FUNCTION_INIT with the dynamic loader's message, or when it takes longer than `LIMITS.initMs`.
   */
  load(setup: Omit<Setup, 'recorder'>, onFrame: (frame: Frame) => void): Promise<Loaded>
  send(kind: number, payload: FramePayload): void
  /** The requests that threads are in, or were in when the process died. */
  running(): ReadonlySet<number>
  kill(): void
}

/** A process whose channel has closed is ending by itself, or is killed after this long. */
const UNREACHABLE_MS = 1_000
/** How long a child may take to run its library's destructors before it is killed. */
const EXIT_MS = 1_000

export function startHost(options: HostOptions): HostProcess {
  const recorder = createRecorder(options)
  let onFrame: (frame: Frame) => void = () => undefined
  const child = startHostChild(options, (frame) => onFrame(frame))
  const life = watchLife(child)
  return {
    get pid() {
      return child.programPid()
    },
    ended: life.ended,
    exited: child.exited,
    get alive() {
      return life.alive
    },
    get unreachable() {
      return life.unreachable
    },
    async load(setup, onCallFrame) {
      const answer = new Promise<Frame>((resolve) => void (onFrame = resolve))
      const text: Setup = { ...setup, recorder: recorder.path }
      child.channel?.send(TO_CHILD.setup, 0, JSON.stringify(text))
      const frame = await firstAnswer(answer, child.exited)
      recorder.unlink()
      onFrame = onCallFrame
      if (frame.kind === FROM_CHILD.loaded) return JSON.parse(frame.payload.toString()) as Loaded
      throw initError(frame.payload.toString())
    },
    send: (kind, payload) => void child.channel?.send(kind, 0, payload),
    running: () => recorder.read(),
    kill: () => child.kill(),
    async [Symbol.asyncDispose]() {
      // The end of the channel lets the library's destructors run.
      child.channel?.end()
      const timer = setTimeout(() => child.kill(), EXIT_MS)
      await child.exited
      clearTimeout(timer)
      recorder.close()
    },
  }
}

function confinedBy(
  { confinement }: FunctionScope,
  host: string,
): Pick<ChildOptions, 'confinement' | 'readable'> {
  return confinement === undefined ? {} : { confinement, readable: [...hostFiles(host), ...koffiFiles()] }
}

function startHostChild(options: HostOptions, onFrame: (frame: Frame) => void): Child {
  const { config, scope, threads } = options
  const host = fileURLToPath(import.meta.resolve('#host/native'))
  return startChild({
    command: process.execPath,
    args: [host, String(threads)],
    cwd: config.directory,
    environment: hostEnvironment(options),
    ...confinedBy(scope, host),
    onFrame,
    onLine: (stream, text) => scope.output({ stream, level: stream === 'stderr' ? 'error' : 'info', text }),
  })
}

interface Life {
  alive: boolean
  unreachable: boolean
  readonly ended: Promise<void>
}

function watchLife(child: Child): Life {
  const ended = Promise.race([child.channel?.closed, child.exited]).then(() => {
    life.alive = false
    // A library that only closed our channel cannot be reached any more. One that crashed may be writing its core.
    const timer = setTimeout(() => {
      life.unreachable = true
      child.kill()
    }, UNREACHABLE_MS)
    void child.exited.then(() => clearTimeout(timer))
  })
  const life: Life = { alive: true, unreachable: false, ended }
  return life
}

async function firstAnswer(answer: Promise<Frame>, exited: Promise<ChildExit>): Promise<Frame> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(
      () => reject(initError(`it was not loaded within ${LIMITS.initMs / 1000} s`)),
      LIMITS.initMs,
    )
  })
  const died = exited.then((exit) => {
    throw initError(`its process ended while loading it (${describeExit(exit)})`)
  })
  try {
    return await Promise.race([answer, late, died])
  } finally {
    clearTimeout(timer)
    died.catch(() => undefined)
  }
}

/** `SIGSEGV`, `exit(3)`, or why it could not be started. */
export function describeExit({ signal, code, error }: ChildExit): string {
  return signal ?? (code === null ? (error?.message ?? 'unknown end') : `exit(${code})`)
}

function initError(message: string): FlexiError {
  return new FlexiError('FLEXI_FUNCTION_INIT', message)
}

const INHERITED = ['LANG', 'LC_ALL', 'TZ']
/** These are of the person whose machine it is. */
const INHERITED_UNCONFINED = ['PATH', 'HOME', 'USER', 'TMPDIR', 'LD_LIBRARY_PATH']

/** Node's own variables stay out; a library that expects PATH or HOME finds them. */
function hostEnvironment({ config, libraryDirectory, scope }: HostOptions): Record<string, string> {
  const isApart = scope.confinement !== undefined
  const inherited = isApart ? INHERITED : [...INHERITED, ...INHERITED_UNCONFINED]
  const environment: Record<string, string> = isApart ? { PATH: PATH_INSIDE, HOME: '/tmp' } : {}
  for (const name of inherited) {
    const value = process.env[name]
    if (value !== undefined) environment[name] = value
  }
  Object.assign(environment, config.environment)
  const variable = process.platform === 'darwin' ? 'DYLD_LIBRARY_PATH' : 'LD_LIBRARY_PATH'
  environment[variable] = [libraryDirectory, environment[variable]].filter(Boolean).join(':')
  return environment
}

interface Recorder {
  readonly path: string
  read(): ReadonlySet<number>
  /** The file has no name any more once the child has mapped it. */
  unlink(): void
  close(): void
}

/** A file the child maps into its memory: what it wrote there is still readable after it was killed. */
function createRecorder({ directory, threads, scope: { confinement } }: HostOptions): Recorder {
  const path = join(confinement?.runDirectory ?? directory(), `${randomUUID()}.calls`)
  const file = openSync(path, 'wx+', 0o600)
  // What is kept apart may be another user, and nobody else comes into its folder.
  if (confinement !== undefined) fchmodSync(file, 0o666)
  ftruncateSync(file, threads * 4)
  const bytes = Buffer.alloc(threads * 4)
  let open = true
  // Whatever it has become by then.
  const unlink = (): void => rmSync(path, { force: true, recursive: true })
  return {
    path,
    read() {
      if (open) readSync(file, bytes, 0, bytes.length, 0)
      const running = new Set<number>()
      for (let offset = 0; offset < bytes.length; offset += 4) running.add(bytes.readUInt32LE(offset))
      running.delete(0)
      return running
    },
    unlink,
    close() {
      unlink()
      if (open) closeSync(file)
      open = false
    },
  }
}
