import type { AsyncEvent, KeptEvent, Outcome } from './async-event.ts'
import type { Clock } from '../sources/clock.ts'

/** An event and what became of it so far. */
export interface Job {
  readonly event: KeptEvent
  /** In the journal. */
  readonly key: string
  /** Counts up in the order of arrival. */
  readonly number: number
  attempts: number
  /** Times that its function was not there. */
  misses: number
  /** It outlived a flexi: its next attempt is made however old it is. */
  outlived: boolean
  invoked: Outcome['invoked']
}

export function newJob(event: KeptEvent, as: Pick<Job, 'key' | 'number'>): Job {
  return { event, ...as, attempts: 0, misses: 0, outlived: false, invoked: undefined }
}

export interface BackOff {
  readonly firstMs: number
  readonly maxMs: number
}

/** The events of one function: those that may run now, in the order in which they came, and how many run. */
export class Lane {
  readonly function: AsyncEvent['function']
  running = 0
  #fresh: Job[] = []
  /** Of those before it in `#fresh` nothing is left. */
  #head = 0
  /** They came before all others and are tried again. */
  readonly #again: Job[] = []
  #resume: (() => void) | undefined
  #delayMs = 0

  constructor(name: string) {
    this.function = name
  }

  get waiting(): number {
    return this.#again.length + this.#fresh.length - this.#head
  }

  add(job: Job): void {
    this.#fresh.push(job)
  }

  /** In its old place. */
  addAgain(job: Job): void {
    const after = this.#again.findLastIndex(({ number }) => number < job.number)
    this.#again.splice(after + 1, 0, job)
  }

  take(): Job | undefined {
    if (this.#resume !== undefined) return undefined
    return this.#again.shift() ?? this.#takeFresh()
  }

  /** There is no room for the function: nothing is taken for a while, twice as long each time. */
  pause(clock: Clock, { firstMs, maxMs }: BackOff, resumed: () => void): void {
    if (this.#resume !== undefined) return
    this.#delayMs = Math.min(this.#delayMs === 0 ? firstMs : this.#delayMs * 2, maxMs)
    this.#resume = clock.after(this.#delayMs, () => {
      this.#resume = undefined
      resumed()
    })
  }

  /** There is room again: one of its own has ended. */
  unpause(): void {
    this.#delayMs = 0
    this.stop()
  }

  stop(): void {
    this.#resume?.()
    this.#resume = undefined
  }

  #takeFresh(): Job | undefined {
    const job = this.#fresh[this.#head]
    if (job === undefined) return undefined
    this.#head += 1
    // An array that is shifted moves all that is behind: only now and then.
    if (this.#head === this.#fresh.length || this.#head > 1024) {
      this.#fresh = this.#fresh.slice(this.#head)
      this.#head = 0
    }
    return job
  }
}
