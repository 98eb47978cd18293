import type { Clock } from '../clock.ts'
import type { Schedule } from './schedule.ts'

/** Timers stand still while a machine sleeps, so the time is looked at this often. */
const LOOK_MS = 30_000

/** What is due at times. */
export interface Timed {
  readonly schedule: Schedule
  /** `due` is when it should have been: not the moment at which a timer got round to it. */
  fire(due: number): void
}

interface Entry extends Timed {
  readonly start: number
  /** Undefined once it is over. */
  due: number | undefined
}

/** Calls everything that is due, with one timer for all. What was missed several times, because the machine slept, is called once. */
export class ScheduleTimer implements Disposable {
  readonly #clock: Clock
  readonly #entries = new Set<Entry>()
  #cancel: (() => void) | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Begins to count now. `next` is when it is due first; `stop` ends it. */
  add(timed: Timed): { readonly next: number | undefined; stop(): void } {
    const start = this.#clock.now()
    const entry: Entry = { ...timed, start, due: timed.schedule.next(start, start) }
    this.#entries.add(entry)
    this.#arm()
    return {
      next: entry.due,
      stop: () => {
        this.#entries.delete(entry)
        this.#arm()
      },
    }
  }

  [Symbol.dispose](): void {
    this.#entries.clear()
    this.#cancel?.()
  }

  #arm(): void {
    this.#cancel?.()
    this.#cancel = undefined
    const due = Math.min(...[...this.#entries].map((entry) => entry.due ?? Infinity))
    if (due === Infinity) return
    const waitMs = Math.max(0, due - this.#clock.now())
    this.#cancel = this.#clock.after(Math.min(waitMs, LOOK_MS), () => this.#look())
  }

  #look(): void {
    const now = this.#clock.now()
    for (const entry of this.#entries) {
      const { due } = entry
      if (due === undefined || due > now) continue
      entry.due = entry.schedule.next(now, entry.start)
      entry.fire(due)
    }
    this.#arm()
  }
}
