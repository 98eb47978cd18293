import { duration } from './duration.ts'
import { type Paint } from './paint.ts'
import { statusColour } from './access-line.ts'

/** Lines a person can still see go by. */
const LINES_A_SECOND = 200
const SUMMARY_EVERY_MS = 500

/**
 * Says which access lines a terminal shows under load, and sums up the rest.
 * A terminal that scrolls 20,000 lines a second tells nothing and slows the server, since writes to it are synchronous.
 */
export class Burst {
  #left = LINES_A_SECOND
  #refilledAt = 0
  #since = 0
  readonly #hidden = new Map<number, number>()

  /** True when the line is to be shown; false when it was counted instead. */
  shows(status: number, nowMs: number): boolean {
    this.#refill(nowMs)
    // A summary comes before the next line, or numbers would appear under the wrong time.
    if (this.#left >= 1 && this.#hidden.size === 0) {
      this.#left -= 1
      return true
    }
    if (this.#hidden.size === 0) this.#since = nowMs
    this.#hidden.set(status, (this.#hidden.get(status) ?? 0) + 1)
    return false
  }

  /** Milliseconds until `summary` has something to say; undefined when nothing is hidden. */
  dueInMs(nowMs: number): number | undefined {
    return this.#hidden.size === 0 ? undefined : Math.max(0, this.#since + SUMMARY_EVERY_MS - nowMs)
  }

  /** `… 9,412 more in 500 ms: 200 ×9,400  500 ×12`, and a new count; undefined when nothing is hidden. */
  summary(nowMs: number, paint: Paint): string | undefined {
    if (this.#hidden.size === 0) return undefined
    const counts = [...this.#hidden].toSorted(([a], [b]) => a - b)
    const total = counts.reduce((sum, [, count]) => sum + count, 0)
    this.#hidden.clear()
    const parts = counts.map(
      ([status, count]) => `${paint[statusColour(status)](String(status))} ×${number(count)}`,
    )
    return `${paint.dim(`… ${number(total)} more in ${duration(nowMs - this.#since)}:`)} ${parts.join('  ')}`
  }

  #refill(nowMs: number): void {
    const passedMs = nowMs - this.#refilledAt
    this.#refilledAt = nowMs
    this.#left = Math.min(LINES_A_SECOND, this.#left + (passedMs * LINES_A_SECOND) / 1000)
  }
}

function number(value: number): string {
  return value.toLocaleString('en-US')
}
