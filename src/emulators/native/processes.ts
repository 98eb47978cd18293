import { dirname } from 'node:path'

import { FlexiError } from '../../core/errors.ts'
import { createStandby } from '../../instances/standby.ts'
import { Dispatcher, IN_FLIGHT_MAX } from './dispatcher.ts'
import { startHost, type HostProcess } from './host-process.ts'
import { openInstance } from './instance.ts'
import type { Isolation, IsolationOptions } from './isolation.ts'
import { loadError } from './load-error.ts'
import { libraryLabel } from './options.ts'

const PREPARE_AFTER_MS = 20
/** What a load may take although its file has changed meanwhile: most of those that began are nearly done. */
const STALE_LOAD_MS = 1_000

interface Load {
  readonly host: HostProcess
  readonly startedAt: number
  /** Its file changed, after so many ms. */
  staleMs?: number
}

/** Each revision runs in a child process: what goes wrong in it ends the child and nothing else. */
export function isolateInProcesses({ config, scope, options, directory }: IsolationOptions): Isolation {
  const { threads, library, zig, preallocationKb } = options
  const dispatcher = new Dispatcher()
  const hosts = { config, scope, threads, directory, libraryDirectory: dirname(library) }
  const standby = createStandby(() => startHost(hosts))
  /** Somebody edits, or something crashes: the next start is prepared for. */
  let restless = false
  let disposed = false
  const loads = new Set<Load>()
  const label = libraryLabel(options)
  const onCrash = (): void => void (restless = true)
  const prepare = (): void => {
    if (restless && !disposed) standby.prepare()
  }
  return {
    // More than threads, so that a fast library never waits for the server: see dispatcher.ts.
    concurrency: IN_FLIGHT_MAX,
    prepare() {
      restless = true
      prepare()
    },
    endLoad() {
      for (const load of loads) endWhenLong(load, () => loads.has(load))
    },
    async start(copy, sequence) {
      const host = standby.take()
      const load: Load = { host, startedAt: performance.now() }
      loads.add(load)
      try {
        const setup = { library: copy.path, zig, preallocationKb }
        await host.load(setup, (frame) => dispatcher.frame(host, frame))
      } catch (cause) {
        await host[Symbol.asyncDispose]()
        const error = loadError(reasonOf(load, cause), { library, copy: copy.path })
        if (!dispatcher.attached) dispatcher.fail(error)
        throw error
      } finally {
        loads.delete(load)
      }
      // Starting a process stops this one for milliseconds: requests come first.
      setTimeout(prepare, PREPARE_AFTER_MS).unref()
      return openInstance({ config, scope, dispatcher, host, threads, sequence, library: label, onCrash })
    },
    async [Symbol.asyncDispose]() {
      disposed = true
      dispatcher.fail(new FlexiError('FLEXI_SHUTTING_DOWN', `${config.name} is shutting down`))
      await standby[Symbol.asyncDispose]()
    },
  }
}

function endWhenLong(load: Load, loading: () => boolean): void {
  const end = (): void => {
    if (!loading()) return
    load.staleMs ??= performance.now() - load.startedAt
    load.host.kill()
  }
  setTimeout(end, load.startedAt + STALE_LOAD_MS - performance.now()).unref()
}

function reasonOf({ staleMs }: Load, cause: unknown): unknown {
  if (staleMs === undefined) return cause
  return new Error(`it was still being loaded after ${(staleMs / 1000).toFixed(1)} s, and has changed since`)
}
