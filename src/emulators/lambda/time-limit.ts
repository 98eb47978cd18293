/** One timer for all invocations of an environment, which come much faster than it goes off: then it looks who runs, and waits for the rest. */
export class TimeLimit {
  readonly #limitMs: number
  readonly #reached: () => void
  #timer: NodeJS.Timeout | undefined
  /** Undefined between two invocations. */
  #startedAt: number | undefined

  constructor(limitMs: number, reached: () => void) {
    this.#limitMs = limitMs
    this.#reached = reached
  }

  begin(now: number): void {
    this.#startedAt = now
    if (this.#timer === undefined) this.#wait(this.#limitMs)
  }

  rest(): void {
    this.#startedAt = undefined
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#startedAt = undefined
  }

  #wait(waitMs: number): void {
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      if (this.#startedAt === undefined) return
      const leftMs = this.#startedAt + this.#limitMs - performance.now()
      if (leftMs <= 0) this.#reached()
      else this.#wait(Math.ceil(leftMs))
    }, waitMs)
    this.#timer.unref()
  }
}
