import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

import type { Confinement } from '../../core/confinement.ts'
import { LIMITS } from '../../core/limits.ts'
import type { AbsolutePath } from '../../core/place.ts'
import { noteOf, type Note } from './bindings/notes.ts'
import { openControl } from './control/client.ts'
import { CONTROL_ENTRYPOINT, CONTROL_NAME, type Control } from './control/control.ts'
import { controlWorker, type ControlResources } from './control/worker.ts'
import { disposed, launchMiniflare, ready } from './miniflare-process.ts'
import { loadMiniflare, type MiniflareLog, type MiniflareOptions, type MiniflareWorker } from './miniflare.ts'
import { REQUEST_CF } from './request-cf.ts'
import type { RuntimeLine } from './runtime-log.ts'
import { openPlace, type RuntimePlace } from './runtime-place.ts'
import type { RuntimeSocket } from './runtime-socket.ts'
import { RuntimeStartError, startFailure } from './start-error.ts'

export interface RuntimeOptions {
  /** In miniflare's words, each under its own name. */
  readonly workers: readonly MiniflareWorker[]
  /** The names of those that get a socket of their own. */
  readonly served: readonly string[]
  /** What flexi's own worker in this runtime is bound to. */
  readonly resources: ControlResources
  readonly state: AbsolutePath
  /** Where its process is kept apart; undefined runs it as we run. */
  readonly confinement?: Confinement | undefined
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
  socketOf(worker: string): RuntimeSocket
  readonly control: Control
  /** Where workerd speaks the DevTools protocol, when it was asked to: `ws://127.0.0.1:PORT`. */
  readonly inspector: URL | undefined
  /** Resolves when workerd has ended by itself or was killed; never after `dispose()`. */
  readonly ended: Promise<void>
  /** Whether the system ended it for the memory that it held; to be asked after its end. */
  ranOut(): boolean
  kill(): void
  /** Resolves when the process is gone and its ports are free. */
  dispose(): Promise<void>
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

/** How long the last words of a process may take that could not start. */
const LAST_WORDS_MS = 200

async function startOnce(options: RuntimeOptions): Promise<Runtime> {
  const token = randomBytes(16).toString('hex')
  const place = await openPlace(options)
  const launched = launchMiniflare({
    miniflare: { ...sharedOptions(options, { token, place }), log: noteLog(options) },
    scratch: place.folder.path,
    onLine: options.onLine,
    kept: place.kept,
    complaints: place.complaints,
  })
  const { miniflare, child } = launched
  const dispose = async (): Promise<void> => {
    await disposed(launched)
    await place[Symbol.asyncDispose]()
  }
  try {
    await ready(launched, options.loadMs ?? LIMITS.initMs)
    void place.folder.belongsTo(child.pid)
    const socketOf = async (name: string, entrypoint?: string): Promise<RuntimeSocket> => ({
      origin: await miniflare.unsafeGetDirectURL(name, entrypoint),
      path: place.pathOf(name),
    })
    const named = options.served.map(async (name) => [name, await socketOf(name)] as const)
    const sockets = new Map(await Promise.all(named))
    const control = openControl(await socketOf(CONTROL_NAME, CONTROL_ENTRYPOINT), token)
    return {
      pid: child.pid,
      control,
      inspector: isInspected(options) ? await miniflare.getInspectorURL() : undefined,
      socketOf: (worker) => socketAmong(sockets, worker),
      // Without its process miniflare still holds a server; nobody else would close it.
      ended: Promise.all([child.ended, place.kept?.exited()]).then(() => void dispose()),
      ranOut: () => place.kept?.ranOut() === true,
      kill: () => child.kill(),
      async dispose() {
        control.close()
        await dispose()
      },
    }
  } catch (cause) {
    // miniflare takes away what is not read by then.
    await Promise.race([child.ended, delay(LAST_WORDS_MS)])
    await dispose()
    throw await startFailure(place.complaints, cause)
  }
}

/** A debugger finds no port in a confinement. */
function isInspected({ inspectPort, confinement }: RuntimeOptions): boolean {
  return inspectPort !== undefined && confinement === undefined
}

function socketAmong(sockets: ReadonlyMap<string, RuntimeSocket>, worker: string): RuntimeSocket {
  const socket = sockets.get(worker)
  if (socket === undefined) throw new Error(`${worker} has no socket`)
  return socket
}

function sharedOptions(
  options: RuntimeOptions,
  { token, place }: { readonly token: string; readonly place: RuntimePlace },
): Omit<MiniflareOptions, 'log' | 'handleRuntimeStdio'> {
  const { workers, served, resources, state, inspectPort } = options
  const unsafeDirectSockets = [{ host: '127.0.0.1', port: 0 }]
  return {
    host: '127.0.0.1',
    port: 0,
    // A value of our own: the default asks Cloudflare over the network.
    cf: REQUEST_CF,
    logRequests: false,
    structuredWorkerdLogs: true,
    defaultPersistRoot: state,
    ...(workers.length === 0 ? {} : { cachePersist: place.cache }),
    ...(isInspected(options) ? { inspectorPort: inspectPort } : {}),
    workers: [
      ...workers.map((worker) =>
        served.includes(worker.name) ? { ...worker, unsafeDirectSockets } : worker,
      ),
      controlWorker(resources, token),
    ],
  }
}

function noteLog({ onNote, state, confinement }: RuntimeOptions): MiniflareLog {
  const miniflare = loadMiniflare()
  // What comes out of a confinement names no file for us to copy.
  const mail = confinement === undefined ? join(state, 'email') : undefined
  class NoteLog extends miniflare.Log {
    override logWithLevel(level: number, message: string): void {
      void noteOf({ level, message }, mail).then((note) => {
        if (note !== undefined) onNote(note)
      })
    }
  }
  return new NoteLog(miniflare.LogLevel.INFO)
}
