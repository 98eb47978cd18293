import { randomUUID } from 'node:crypto'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { env, kill as killProcess } from 'node:process'

import { errorMessage } from '../../core/errors.ts'
import { LIMITS } from '../../core/limits.ts'
import type { AbsolutePath } from '../../core/place.ts'
import {
  loadMiniflare,
  type Miniflare,
  type MiniflareLog,
  type MiniflareOptions,
  type MiniflareWorker,
} from './miniflare.ts'
import { REQUEST_CF } from './request-cf.ts'
import { readRuntimeLines, type RuntimeLine } from './runtime-log.ts'
import { prepareWorkerd } from './workerd.ts'

export interface RuntimeOptions {
  /** The first one answers; the others are what it is bound to. */
  readonly workers: readonly [MiniflareWorker, ...MiniflareWorker[]]
  readonly state: AbsolutePath
  readonly inspectPort?: number | undefined
  /** How long the program may take to be loaded; default `LIMITS.initMs`. */
  readonly loadMs?: number | undefined
  readonly onLine: (line: RuntimeLine) => void
  /** What miniflare has to say, about `_headers` and `_redirects` for example. */
  readonly onNote: (text: string) => void
}

/** One workerd process. */
export interface Runtime {
  readonly pid: number | undefined
  /** The worker's own socket, behind its assets. */
  readonly origin: URL
  /** miniflare's entry, which knows `/cdn-cgi/handler/scheduled`. */
  readonly entry: URL
  /** Resolves when workerd has ended by itself or was killed; never after `dispose()`. */
  readonly ended: Promise<void>
  kill(): void
  dispose(): Promise<void>
}

/** workerd could not start; the message is its own. */
export class RuntimeStartError extends Error {
  override readonly name = 'RuntimeStartError'
}

/**
 * Starts workerd and resolves when it answers.
 * @throws RuntimeStartError with workerd's own words when the program cannot be loaded.
 */
export async function startRuntime(options: RuntimeOptions): Promise<Runtime> {
  const scratch = join(options.state, 'run', randomUUID())
  await Promise.all([prepareWorkerd(options.state), mkdir(scratch, { recursive: true })])
  const launched = launch(options, scratch)
  const { miniflare, process } = launched
  const dispose = async (): Promise<void> => {
    // Rejects with the error of a failed start, which is told by then.
    await miniflare.dispose().catch(() => undefined)
    await rm(scratch, { recursive: true, force: true })
  }
  try {
    const entry = await ready(launched, options.loadMs ?? LIMITS.initMs)
    const origin = await miniflare.unsafeGetDirectURL(options.workers[0].name)
    return {
      pid: process.pid,
      origin,
      entry,
      // Without its process miniflare still holds a server; nobody else would close it.
      ended: process.ended.then(dispose),
      kill: () => kill(process.pid),
      dispose,
    }
  } catch (cause) {
    await dispose()
    throw new RuntimeStartError(process.complaints.join('\n') || errorMessage(cause), { cause })
  }
}

/** What is known of workerd's process; miniflare keeps it to itself. */
interface RuntimeProcess {
  pid: number | undefined
  /** Resolves when both of its streams have ended. */
  ended: Promise<unknown>
  readonly complaints: string[]
}

interface Launched {
  readonly miniflare: Miniflare
  readonly process: RuntimeProcess
}

function launch(options: RuntimeOptions, scratch: string): Launched {
  const process: RuntimeProcess = {
    pid: undefined,
    ended: new Promise(() => undefined),
    complaints: [],
  }
  const onLine = (line: RuntimeLine): void => {
    if (line.kind === 'pid') process.pid = line.pid
    if (line.kind === 'runtime' && line.level !== 'info') process.complaints.push(line.text)
    options.onLine(line)
  }
  const miniflare = withTemporaryFolder(scratch, () => {
    const { Miniflare: Runner } = loadMiniflare()
    return new Runner({
      ...sharedOptions(options),
      log: noteLog(options.onNote),
      handleRuntimeStdio: (stdout, stderr) => {
        process.ended = Promise.all([readRuntimeLines(stdout, onLine), readRuntimeLines(stderr, onLine)])
      },
    })
  })
  return { miniflare, process }
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

/** A program that loops while it is loaded would never be heard of. */
async function ready({ miniflare, process }: Launched, limitMs: number): Promise<URL> {
  const timer = setTimeout(() => {
    process.complaints.push(`the program was not loaded within ${limitMs} ms`)
    kill(process.pid)
  }, limitMs)
  try {
    return await miniflare.ready
  } finally {
    clearTimeout(timer)
  }
}

function sharedOptions({
  workers,
  state,
  inspectPort,
}: RuntimeOptions): Omit<MiniflareOptions, 'log' | 'handleRuntimeStdio'> {
  const [main, ...others] = workers
  return {
    host: '127.0.0.1',
    port: 0,
    // A value of our own: the default asks Cloudflare over the network.
    cf: REQUEST_CF,
    logRequests: false,
    structuredWorkerdLogs: true,
    unsafeTriggerHandlers: true,
    defaultPersistRoot: state,
    ...(inspectPort === undefined ? {} : { inspectorPort: inspectPort }),
    workers: [{ ...main, unsafeDirectSockets: [{ host: '127.0.0.1', port: 0 }] }, ...others],
  }
}

function noteLog(onNote: (text: string) => void): MiniflareLog {
  const miniflare = loadMiniflare()
  class NoteLog extends miniflare.Log {
    override log(text: string): void {
      onNote(text)
    }
  }
  return new NoteLog(miniflare.LogLevel.WARN)
}

function kill(pid: number | undefined): void {
  if (pid === undefined) return
  try {
    killProcess(pid, 'SIGKILL')
  } catch {
    // ESRCH: it is gone already.
  }
}
