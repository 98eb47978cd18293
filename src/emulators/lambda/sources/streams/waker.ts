import { pause, type Clock } from '../clock.ts'

/** Waits that somebody may cut short. */
export class Waker {
  readonly #waits = new Set<() => void>()

  /** Ends the waits under way, not later ones. */
  wake(): void {
    for (const end of this.#waits) end()
  }

  async pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
    const waiting = new AbortController()
    const end = (): void => waiting.abort()
    this.#waits.add(end)
    signal.addEventListener('abort', end)
    if (!signal.aborted) await pause(clock, ms, waiting.signal)
    signal.removeEventListener('abort', end)
    this.#waits.delete(end)
  }
}
