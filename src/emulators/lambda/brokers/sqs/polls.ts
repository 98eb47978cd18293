/** Requests that wait for messages. All of them end when flexi is about to stop: nobody has to wait for those who wait. */
export class Polls {
  readonly #waiting = new Set<AbortController>()
  #over = false

  /** Runs with a signal that aborts with `signal`, and at the end. */
  async during<Result>(
    signal: AbortSignal,
    run: (both: AbortSignal) => Result | Promise<Result>,
  ): Promise<Result> {
    const both = new AbortController()
    const end = (): void => both.abort()
    if (signal.aborted || this.#over) end()
    signal.addEventListener('abort', end)
    this.#waiting.add(both)
    try {
      return await run(both.signal)
    } finally {
      this.#waiting.delete(both)
      signal.removeEventListener('abort', end)
    }
  }

  endAll(): void {
    this.#over = true
    for (const waiting of this.#waiting) waiting.abort()
  }
}
