import { PATH_INSIDE } from '../../core/confinement.ts'
import type { FunctionConfig, FunctionScope } from '../../core/function.ts'
import { startChild, type Child } from '../../instances/child.ts'
import { openGuest } from '../../instances/guest/guest.ts'
import type { ListenPlace } from './place.ts'
import type { Program } from './program.ts'
import type { ProcessOptions } from './options.ts'
import { untilOpen, type Reached } from './reach.ts'

export interface LaunchOptions {
  readonly config: FunctionConfig
  readonly scope: FunctionScope
  readonly options: ProcessOptions
  readonly program: Program
}

export interface Launched {
  readonly child: Child
  /** Resolves once it takes connections, which may be never. Rejects when `signal` aborts. */
  listens(signal: AbortSignal): Promise<Reached>
  /** Ends what was started beside it. */
  close(): Promise<void>
}

/** Starts a program that is to listen at a place. */
export function launch(parts: LaunchOptions, place: ListenPlace): Launched {
  const { config, scope, options, program } = parts
  const { confinement } = scope
  const { socketPath, port } = place
  const own = {
    command: program.command,
    args: options.args,
    cwd: config.directory,
    environment: environmentOf(parts, place),
    onLine: (stream: 'stdout' | 'stderr', text: string) =>
      scope.output({ stream, level: stream === 'stderr' ? 'error' : 'info', text }),
  }
  if (confinement === undefined || socketPath === undefined || port === undefined) {
    const child = startChild({ ...own, confinement, readable: program.readable })
    return {
      child,
      listens: (signal) => untilOpen(place, confinement !== undefined, signal),
      close: () => Promise.resolve(),
    }
  }
  // Its port is in a network of its own: a process of ours in there leads to it.
  const guest = openGuest({
    confinement,
    cwd: config.directory,
    readable: program.readable,
    onLine: own.onLine,
  })
  return {
    child: guest.start(own),
    async listens(signal) {
      await guest.open(socketPath, port)
      return untilOpen(place, true, signal)
    },
    close: async () => {
      await guest[Symbol.asyncDispose]()
    },
  }
}

/** Names of a machine's environment that a program can expect; the others stay out. */
const INHERITED = ['LANG', 'LC_ALL', 'TZ'] as const
/** These are of the person whose machine it is. */
const INHERITED_UNCONFINED = ['PATH', 'HOME', 'USER', 'TMPDIR', 'SHELL', 'LD_LIBRARY_PATH'] as const

function environmentOf({ config, scope }: LaunchOptions, place: ListenPlace): Record<string, string> {
  const names = scope.confinement === undefined ? [...INHERITED, ...INHERITED_UNCONFINED] : INHERITED
  const inherited = names.flatMap((name) => {
    const value = process.env[name]
    return value === undefined ? [] : [[name, value] as const]
  })
  const home = scope.confinement === undefined ? {} : { PATH: PATH_INSIDE, HOME: '/tmp' }
  return { FLEXI: '1', ...Object.fromEntries(inherited), ...home, ...config.environment, ...place.variables }
}
