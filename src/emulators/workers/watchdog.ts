import { connect } from 'node:net'

import type { Flight } from './fault-catcher.ts'
import { addressOf, type RuntimeSocket } from './runtime-socket.ts'

export interface WatchdogOptions {
  readonly flights: Iterable<Flight>
  readonly limitMs: number
  /** True when waiting counts too (a limit someone wrote down); else only a worker that computes without pause is ended. */
  readonly countsWaiting: boolean
  /** A person stands at a breakpoint, or may: no time passes. */
  paused?(): boolean
  /** Does the runtime still react? */
  probe(): Promise<boolean>
  /** The worker is stuck: end it. Resolves when it is gone. */
  onStuck(): Promise<void>
}

/** A request took longer than it may. */
export class LimitError extends Error {
  override readonly name = 'LimitError'
}

const LOOK_MS = 100

/**
 * Looks after requests that wait for a head. At the limit the runtime is probed: one that does not react runs an endless loop, in which
 * no other request is served either, so it is ended. One that reacts only waits for something, which Cloudflare does not limit.
 */
export function startWatchdog(options: WatchdogOptions): () => void {
  const { flights, limitMs } = options
  let looking = false
  const timer = setInterval(() => {
    const [oldest] = flights
    if (looking || oldest === undefined || performance.now() - oldest.since < limitMs) return
    if (options.paused?.() === true) {
      for (const flight of flights) flight.since = performance.now()
      return
    }
    looking = true
    void look(options).finally(() => (looking = false))
  }, LOOK_MS)
  timer.unref()
  return () => clearInterval(timer)
}

async function look(options: WatchdogOptions): Promise<void> {
  const { flights, limitMs, countsWaiting } = options
  const alive = await options.probe()
  const now = performance.now()
  const late = [...flights].filter(({ since }) => now - since >= limitMs)
  if (alive && !countsWaiting) {
    for (const flight of late) flight.since = now
    return
  }
  // The answer must not come before the pool knows that this runtime is gone: the client's next request would meet it.
  if (!alive) await options.onStuck()
  for (const flight of late) flight.abort(new LimitError())
}

/** Longer than V8's longest pause to collect garbage, and than a busy machine keeps a process waiting. */
const PROBE_MS = 1_000

/** Sends workerd a line that is no HTTP: it is refused without running any code of the user's, as long as the event loop turns. */
export function probeRuntime(runtime: RuntimeSocket): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(addressOf(runtime), () => socket.write('PROBE\r\n\r\n'))
    const settle = (alive: boolean) => (): void => {
      socket.destroy()
      resolve(alive)
    }
    socket.setTimeout(PROBE_MS, settle(false))
    socket.once('data', settle(true))
    socket.once('end', settle(true))
    // Nobody listens: the process is gone and stuck nowhere; its end tells itself.
    socket.once('error', settle(true))
  })
}
