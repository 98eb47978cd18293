import { dirname } from 'node:path'

import { FlexiError } from '../../core/errors.ts'
import { createStandby } from '../../instances/standby.ts'
import { Dispatcher, IN_FLIGHT_MAX } from './dispatcher.ts'
import { startHost } from './host-process.ts'
import { openInstance } from './instance.ts'
import type { Isolation, IsolationOptions } from './isolation.ts'
import { loadError } from './load-error.ts'
import { libraryLabel } from './options.ts'

const PREPARE_AFTER_MS = 20

/** Each revision runs in a child process: what goes wrong in it ends the child and nothing else. */
export function isolateInProcesses({ config, scope, options, directory }: IsolationOptions): Isolation {
  const { threads, library, zig, preallocationKb } = options
  const dispatcher = new Dispatcher()
  const standby = createStandby(() =>
    startHost({ config, scope, threads, directory, libraryDirectory: dirname(library) }),
  )
  /** Somebody edits, or something crashes: the next start is prepared for. */
  let restless = false
  let disposed = false
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
    async start(copy, sequence) {
      const host = standby.take()
      try {
        const setup = { library: copy.path, zig, preallocationKb }
        await host.load(setup, (frame) => dispatcher.frame(host, frame))
      } catch (cause) {
        await host[Symbol.asyncDispose]()
        const error = loadError(cause, { library, copy: copy.path })
        if (!dispatcher.attached) dispatcher.fail(error)
        throw error
      }
      // Starting a process stops this one for milliseconds: requests come first.
      setTimeout(prepare, PREPARE_AFTER_MS).unref()
      const label = libraryLabel(options)
      const onCrash = (): void => void (restless = true)
      return openInstance({ config, scope, dispatcher, host, threads, sequence, library: label, onCrash })
    },
    async [Symbol.asyncDispose]() {
      disposed = true
      dispatcher.fail(new FlexiError('FLEXI_SHUTTING_DOWN', `${config.name} is shutting down`))
      await standby[Symbol.asyncDispose]()
    },
  }
}
