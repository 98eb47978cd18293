import type { Clock } from '../../../core/clock.ts'

export { systemClock, type Clock } from '../../../core/clock.ts'

/** Resolves after `ms`, or as soon as `signal` aborts. */
export function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => {
    const end = (): void => {
      cancel()
      signal.removeEventListener('abort', end)
      resolve()
    }
    const cancel = clock.after(ms, end)
    signal.addEventListener('abort', end)
  })
}

/** Runs with a signal that aborts with `signal`, or after `ms`: without leaving anything at a signal that lives long. */
export async function within<Result>(
  ms: number,
  signal: AbortSignal | undefined,
  run: (both: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const both = new AbortController()
  const end = (): void => both.abort(signal?.reason)
  if (signal?.aborted === true) end()
  signal?.addEventListener('abort', end)
  const timer = setTimeout(() => both.abort(new Error(`no answer within ${ms / 1000} s`)), ms)
  try {
    return await run(both.signal)
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', end)
  }
}

/** A rest that doubles each time, up to `maxMs`, until it is over. */
export class Backoff {
  readonly #firstMs: number
  readonly #maxMs: number
  #ms = 0

  constructor(firstMs: number, maxMs: number) {
    this.#firstMs = firstMs
    this.#maxMs = maxMs
  }

  /** Milliseconds to rest now; 0 when nothing went wrong. */
  get ms(): number {
    return this.#ms
  }

  grow(): number {
    this.#ms = Math.min(Math.max(this.#firstMs, this.#ms * 2), this.#maxMs)
    return this.#ms
  }

  reset(): void {
    this.#ms = 0
  }
}
