/** Something that comes to be so, and who waits for it. */
export class Condition {
  readonly #isMet: () => boolean
  readonly #waiting = new Set<() => void>()

  constructor(isMet: () => boolean) {
    this.#isMet = isMet
  }

  /** To be called when it may have come to be so. */
  check(): void {
    if (this.#waiting.size > 0 && this.#isMet()) for (const resolve of this.#waiting) resolve()
  }

  /** Resolves when it is so, or at the limit. */
  async met(limitMs: number): Promise<void> {
    if (this.#isMet()) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => end(), limitMs)
      const end = (): void => {
        clearTimeout(timer)
        this.#waiting.delete(end)
        resolve()
      }
      this.#waiting.add(end)
    })
  }
}
