import { randomBytes } from 'node:crypto'
import type { EventEmitter } from 'node:events'
import { join } from 'node:path'
import process, { env } from 'node:process'
import type { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'

import { errorMessage } from '../../core/errors.ts'
import { LIMITS } from '../../core/limits.ts'
import type { AbsolutePath } from '../../core/place.ts'
import { noteOf, type Note } from './bindings/notes.ts'
import { openControl } from './control/client.ts'
import { CONTROL_ENTRYPOINT, CONTROL_NAME, type Control } from './control/control.ts'
import { controlWorker, type ControlResources } from './control/worker.ts'
import {
  loadMiniflare,
  type Miniflare,
  type MiniflareLog,
  type MiniflareOptions,
  type MiniflareWorker,
} from './miniflare.ts'
import { REQUEST_CF } from './request-cf.ts'
import { readRuntimeLines, type RuntimeLine } from './runtime-log.ts'
import { openRunFolder } from './run-folder.ts'
import { prepareWorkerd } from './workerd.ts'

export interface RuntimeOptions {
  /** In miniflare's words, each under its own name. */
  readonly workers: readonly MiniflareWorker[]
  /** The names of those that get a socket of their own. */
  readonly served: readonly string[]
  /** What flexi's own worker in this runtime is bound to. */
  readonly resources: ControlResources
  readonly state: AbsolutePath
  readonly inspectPort?: number | undefined
  /** How long the programs may take to be loaded; default `LIMITS.initMs`. */
  readonly loadMs?: number | undefined
  readonly onLine: (line: RuntimeLine) => void
  /** What miniflare has to say, about `_headers` and `_redirects` for example. */
  readonly onNote: (note: Note) => void
}

/** One workerd process. */
export interface Runtime {
  readonly pid: number | undefined
  /** The socket of one of the served workers, behind its assets. */
  socketOf(worker: string): URL
  /** The Unix socket that leads where this one does, where there is one: requests cost less over it. */
  pathBeside?(socket: URL): string | undefined
  readonly control: Control
  /** Where workerd speaks the DevTools protocol, when it was asked to: `ws://127.0.0.1:PORT`. */
  readonly inspector: URL | undefined
  /** Resolves when workerd has ended by itself or was killed; never after `dispose()`. */
  readonly ended: Promise<void>
  kill(): void
  /** Resolves when the process is gone and its ports are free. */
  dispose(): Promise<void>
}

/** workerd could not start; the message is its own. */
export class RuntimeStartError extends Error {
  override readonly name = 'RuntimeStartError'
}

/** A runtime without workers, for what the control worker does with stored data. */
export function startControlRuntime(options: {
  readonly state: AbsolutePath
  readonly resources: ControlResources
}): Promise<Runtime> {
  const quiet = (): void => undefined
  return startRuntime({ ...options, workers: [], served: [], onLine: quiet, onNote: quiet })
}

/** What workerd says when another process starts on the same stored data at the same moment. */
const LOCKED = /SQLITE_BUSY|database is locked/
const LOCKED_MS_MAX = 5_000

/**
 * Starts workerd and resolves when it answers.
 * @throws RuntimeStartError with workerd's own words when a program cannot be loaded.
 */
export async function startRuntime(options: RuntimeOptions): Promise<Runtime> {
  for (const until = performance.now() + LOCKED_MS_MAX; ;) {
    try {
      return await startOnce(options)
    } catch (error) {
      const isLocked = error instanceof RuntimeStartError && LOCKED.test(error.message)
      if (!isLocked || performance.now() > until) throw error
      // The other one is through with it in a moment; two that wait must not come back together.
      await delay(50 + Math.random() * 200)
    }
  }
}

async function startOnce(options: RuntimeOptions): Promise<Runtime> {
  const token = randomBytes(16).toString('hex')
  const [folder] = await Promise.all([openRunFolder(options.state), prepareWorkerd(options.state)])
  const launched = launch(options, { scratch: folder.path, token })
  const { miniflare, child } = launched
  const dispose = async (): Promise<void> => {
    await disposed(miniflare, child)
    await folder.remove()
  }
  try {
    await ready(launched, options.loadMs ?? LIMITS.initMs)
    void folder.belongsTo(child.pid)
    const sockets = await socketsOf(miniflare, options.served)
    const control = openControl(await miniflare.unsafeGetDirectURL(CONTROL_NAME, CONTROL_ENTRYPOINT), token)
    return {
      pid: child.pid,
      control,
      inspector: options.inspectPort === undefined ? undefined : await miniflare.getInspectorURL(),
      socketOf: (worker) => socketAmong(sockets, worker),
      // Without its process miniflare still holds a server; nobody else would close it.
      ended: child.ended.then(() => void dispose()),
      kill: () => kill(child.pid),
      async dispose() {
        control.close()
        await dispose()
      },
    }
  } catch (cause) {
    await dispose()
    throw new RuntimeStartError(child.complaints.join('\n') || errorMessage(cause), { cause })
  }
}

async function socketsOf(miniflare: Miniflare, served: readonly string[]): Promise<ReadonlyMap<string, URL>> {
  const urls = served.map(async (name) => [name, await miniflare.unsafeGetDirectURL(name)] as const)
  return new Map(await Promise.all(urls))
}

function socketAmong(sockets: ReadonlyMap<string, URL>, worker: string): URL {
  const socket = sockets.get(worker)
  if (socket === undefined) throw new Error(`${worker} has no socket`)
  return socket
}

const DISPOSE_MS = 3_000

/** Ends the process, whatever miniflare makes of it. */
async function disposed(miniflare: Miniflare, child: RuntimeProcess): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(() => {
      kill(child.pid)
      resolve()
    }, DISPOSE_MS)
  })
  // Rejects with the error of a failed start, which is told by then.
  await Promise.race([miniflare.dispose().catch(() => undefined), late])
  clearTimeout(timer)
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
  readonly child: RuntimeProcess
}

function launch(options: RuntimeOptions, { scratch, token }: { scratch: string; token: string }): Launched {
  const child: RuntimeProcess = {
    pid: undefined,
    ended: new Promise(() => undefined),
    complaints: [],
  }
  const onLine = (line: RuntimeLine): void => {
    if (line.kind === 'pid') child.pid = line.pid
    if (line.kind === 'runtime' && line.level !== 'info') child.complaints.push(line.text)
    options.onLine(line)
  }
  const miniflare = withOurSignals(() =>
    withTemporaryFolder(scratch, () => {
      const { Miniflare: Runner } = loadMiniflare()
      return new Runner({
        ...sharedOptions(options, token),
        log: noteLog(options),
        handleRuntimeStdio: (stdout, stderr) => {
          child.ended = heardOut([stdout, stderr], onLine).then(() => {
            // Its number may be another one's from now on.
            child.pid = undefined
          })
        },
      })
    }),
  )
  return { miniflare, child }
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
async function ready({ miniflare, child }: Launched, limitMs: number): Promise<void> {
  const timer = setTimeout(() => {
    child.complaints.push(`the program was not loaded within ${limitMs} ms`)
    kill(child.pid)
  }, limitMs)
  try {
    await miniflare.ready
  } finally {
    clearTimeout(timer)
  }
}

function sharedOptions(
  { workers, served, resources, state, inspectPort }: RuntimeOptions,
  token: string,
): Omit<MiniflareOptions, 'log' | 'handleRuntimeStdio'> {
  const unsafeDirectSockets = [{ host: '127.0.0.1', port: 0 }]
  return {
    host: '127.0.0.1',
    port: 0,
    // A value of our own: the default asks Cloudflare over the network.
    cf: REQUEST_CF,
    logRequests: false,
    structuredWorkerdLogs: true,
    defaultPersistRoot: state,
    ...cacheOf(workers, state),
    ...(inspectPort === undefined ? {} : { inspectorPort: inspectPort }),
    workers: [
      ...workers.map((worker) =>
        served.includes(worker.name) ? { ...worker, unsafeDirectSockets } : worker,
      ),
      controlWorker(resources, token),
    ],
  }
}

/** What is cached is a database as well, and no binding tells who may share it: a process has its own. */
function cacheOf(
  [first]: RuntimeOptions['workers'],
  state: AbsolutePath,
): Pick<MiniflareOptions, 'cachePersist'> {
  return first === undefined ? {} : { cachePersist: join(state, 'cache', encodeURIComponent(first.name)) }
}

function noteLog({ onNote, state }: RuntimeOptions): MiniflareLog {
  const miniflare = loadMiniflare()
  const mail = join(state, 'email')
  class NoteLog extends miniflare.Log {
    override logWithLevel(level: number, message: string): void {
      void noteOf({ level, message }, mail).then((note) => {
        if (note !== undefined) onNote(note)
      })
    }
  }
  return new NoteLog(miniflare.LogLevel.INFO)
}

function kill(pid: number | undefined): void {
  if (pid === undefined) return
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // ESRCH: it is gone already.
  }
}
