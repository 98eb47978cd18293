interface Entry<T> {
  readonly value: Promise<T>
  readonly until: number
}

const ENTRIES_MAX = 10_000

/** Answers that count for a while. Who asks while one is on its way shares it. */
export class Remembered<T> {
  readonly #entries = new Map<string, Entry<T>>()
  readonly #ttlMs: number
  readonly #keeps: (value: T) => boolean

  /** `keeps` says whether an answer is worth it: failures are not. 0 ms remembers nothing. */
  constructor(ttlMs: number, keeps: (value: T) => boolean) {
    this.#ttlMs = ttlMs
    this.#keeps = keeps
  }

  get(key: string, ask: () => Promise<T>): Promise<T> {
    if (this.#ttlMs <= 0) return ask()
    const known = this.#entries.get(key)
    if (known !== undefined && known.until > performance.now()) return known.value
    const value = ask()
    this.#entries.delete(key)
    this.#entries.set(key, { value, until: performance.now() + this.#ttlMs })
    this.#dropOldest()
    void value.then(
      (answer) => this.#settle(key, value, this.#keeps(answer)),
      () => this.#settle(key, value, false),
    )
    return value
  }

  #settle(key: string, value: Promise<T>, isKept: boolean): void {
    if (!isKept && this.#entries.get(key)?.value === value) this.#entries.delete(key)
  }

  #dropOldest(): void {
    if (this.#entries.size <= ENTRIES_MAX) return
    for (const oldest of this.#entries.keys()) {
      this.#entries.delete(oldest)
      return
    }
  }
}
