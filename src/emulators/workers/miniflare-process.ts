import type { EventEmitter } from 'node:events'
import process, { env } from 'node:process'
import type { Readable } from 'node:stream'

import { loadMiniflare, type Miniflare, type MiniflareOptions } from './miniflare.ts'
import { readRuntimeLines, type RuntimeLine } from './runtime-log.ts'
import { complain, type Complaints } from './start-error.ts'

/** What is known of workerd's process; miniflare keeps it to itself. */
interface RuntimeProcess {
  /** Undefined while it is not known, and where it is somebody else's to know. */
  pid: number | undefined
  /** Resolves when both of its streams have ended. */
  ended: Promise<unknown>
  readonly complaints: Complaints
  kill(): void
}

export interface Launched {
  readonly miniflare: Miniflare
  readonly child: RuntimeProcess
}

export interface LaunchOptions {
  readonly miniflare: Omit<MiniflareOptions, 'handleRuntimeStdio'>
  /** For miniflare's own files. */
  readonly scratch: string
  readonly onLine: (line: RuntimeLine) => void
  /** In a confinement: how its process is started and ended. */
  readonly kept?: { run<T>(make: () => T): T; kill(): void } | undefined
  readonly complaints: Complaints
}

export function launchMiniflare(launch: LaunchOptions): Launched {
  const { miniflare: options, scratch, onLine, kept, complaints } = launch
  const child: RuntimeProcess = {
    pid: undefined,
    ended: new Promise(() => undefined),
    complaints,
    kill: () => (kept === undefined ? kill(child.pid) : kept.kill()),
  }
  const heard = (line: RuntimeLine): void => {
    // What is confined may say anything.
    if (line.kind === 'pid' && kept === undefined) child.pid = line.pid
    complain(complaints, line)
    onLine(line)
  }
  const construct = (): Miniflare => {
    const { Miniflare: Runner } = loadMiniflare()
    return new Runner({
      ...options,
      handleRuntimeStdio: (stdout, stderr) => {
        child.ended = heardOut([stdout, stderr], heard).then(() => {
          // Its number may be another one's from now on.
          child.pid = undefined
        })
      },
    })
  }
  const make = (): Miniflare => withOurSignals(() => withTemporaryFolder(scratch, construct))
  return { miniflare: kept === undefined ? make() : kept.run(make), child }
}

async function heardOut(streams: readonly Readable[], onLine: (line: RuntimeLine) => void): Promise<void> {
  await Promise.all(streams.map((stream) => readRuntimeLines(stream, onLine)))
}

/** miniflare chooses its scratch folder while it is constructed, and forgets it when it is disposed in a hurry. */
function withTemporaryFolder<T>(folder: string, make: () => T): T {
  const before = env['TMPDIR']
  env['TMPDIR'] = folder
  try {
    return make()
  } finally {
    if (before === undefined) delete env['TMPDIR']
    else env['TMPDIR'] = before
  }
}

/** miniflare ends the whole process at a signal, before anything is drained. What it does at `exit` stays. */
function withOurSignals<T>(make: () => T): T {
  const emitter: EventEmitter = process
  const events = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGBREAK', 'message', 'beforeExit']
  const before = new Set(events.flatMap((event) => emitter.listeners(event)))
  try {
    return make()
  } finally {
    for (const event of events) {
      const added = emitter.listeners(event).filter((listener) => !before.has(listener))
      for (const listener of added) emitter.off(event, listener as () => void)
    }
  }
}

/** A program that loops while it is loaded would never be heard of. */
export async function ready({ miniflare, child }: Launched, limitMs: number): Promise<void> {
  const timer = setTimeout(() => {
    child.complaints.words.push(`the program was not loaded within ${limitMs} ms`)
    child.kill()
  }, limitMs)
  try {
    await miniflare.ready
  } finally {
    clearTimeout(timer)
  }
}

const DISPOSE_MS = 3_000

/** Ends the process, whatever miniflare makes of it. */
export async function disposed({ miniflare, child }: Launched): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(() => {
      child.kill()
      resolve()
    }, DISPOSE_MS)
  })
  // Rejects with the error of a failed start, which is told by then.
  await Promise.race([miniflare.dispose().catch(() => undefined), late])
  clearTimeout(timer)
}

function kill(pid: number | undefined): void {
  if (pid === undefined) return
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // ESRCH: it is gone already.
  }
}
