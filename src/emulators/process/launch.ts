import { connect } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'

import type { FunctionConfig, FunctionScope } from '../../core/function.ts'
import { startChild, type Child } from '../../instances/child.ts'
import { openGuest } from '../../instances/guest/guest.ts'
import type { ListenPlace } from './place.ts'
import type { Program } from './program.ts'
import type { ProcessOptions } from './options.ts'

export interface LaunchOptions {
  readonly config: FunctionConfig
  readonly scope: FunctionScope
  readonly options: ProcessOptions
  readonly program: Program
}

export interface Launched {
  readonly child: Child
  /** Resolves once it takes connections; never rejects, and may never resolve. `signal` ends what looks for it. */
  listens(signal: AbortSignal): Promise<void>
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
      listens: (signal) =>
        untilOpen(socketPath === undefined ? { port: port ?? 0 } : { path: socketPath }, signal),
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
    listens: () => guest.open(socketPath, port),
    close: async () => {
      await guest[Symbol.asyncDispose]()
    },
  }
}

/** Names of a machine's environment that a program can expect; the others stay out. */
const INHERITED = ['PATH', 'LANG', 'LC_ALL', 'TZ'] as const
/** These are of the person whose machine it is. */
const INHERITED_UNCONFINED = ['HOME', 'USER', 'TMPDIR', 'SHELL', 'LD_LIBRARY_PATH'] as const

function environmentOf({ config, scope }: LaunchOptions, place: ListenPlace): Record<string, string> {
  const names = scope.confinement === undefined ? [...INHERITED, ...INHERITED_UNCONFINED] : INHERITED
  const inherited = names.flatMap((name) => {
    const value = process.env[name]
    return value === undefined ? [] : [[name, value] as const]
  })
  const home = scope.confinement === undefined ? {} : { HOME: '/tmp' }
  return { FLEXI: '1', ...Object.fromEntries(inherited), ...home, ...config.environment, ...place.variables }
}

const LOOK_MS_MIN = 3
const LOOK_MS_MAX = 50
const LOOPBACKS = ['127.0.0.1', '::1'] as const

/** There is no event for a port that somebody begins to listen on: it is looked at, often at first. */
async function untilOpen(
  to: { readonly port: number } | { readonly path: string },
  signal: AbortSignal,
): Promise<void> {
  const places = 'path' in to ? [to] : LOOPBACKS.map((host) => ({ host, port: to.port }))
  for (let ms = LOOK_MS_MIN; !signal.aborted; ms = Math.min(LOOK_MS_MAX, ms * 1.5)) {
    for (const place of places) if (await accepts(place)) return
    await wait(ms)
  }
}

function accepts(
  place: { readonly path: string } | { readonly host: string; readonly port: number },
): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(place)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
