const SILENT_MS = 1_000

/** For a line that could be said thousands of times: one a second, with the number of those that were left out. */
export class Seldom {
  #saidAt = -Infinity
  #unsaid = 0

  /** The end of the line that is said now; undefined for one that comes too soon, which is counted. */
  ending(): string | undefined {
    const now = performance.now()
    if (now - this.#saidAt < SILENT_MS) {
      this.#unsaid += 1
      return undefined
    }
    const more = this.#unsaid === 0 ? '' : ` (and ${this.#unsaid} more since the last such line)`
    this.#saidAt = now
    this.#unsaid = 0
    return more
  }
}
