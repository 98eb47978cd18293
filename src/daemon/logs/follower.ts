import type { LogRecord } from '../model.ts'

/** What is kept for a reader that does not keep up: lines, and characters of them all. */
const KEPT_MAX = 10_000
const CHARACTERS_MAX = 4 * 1024 * 1024

/** One reader of what comes. */
export class Follower implements Disposable {
  readonly #leave: () => void
  #waiting: LogRecord[] = []
  #characters = 0
  #dropped = 0
  #wake: (() => void) | undefined

  constructor(leave: () => void) {
    this.#leave = leave
  }

  push(record: LogRecord): void {
    if (this.#waiting.length < KEPT_MAX && this.#characters < CHARACTERS_MAX) {
      this.#waiting.push(record)
      this.#characters += record.text.length
    } else this.#dropped += 1
    this.#wake?.()
  }

  /** Ends when the signal aborts, or when it is disposed of. */
  async *records(signal: AbortSignal | undefined): AsyncGenerator<LogRecord> {
    const wake = (): void => this.#wake?.()
    signal?.addEventListener('abort', wake)
    try {
      while (signal?.aborted !== true) {
        const records = this.#waiting
        this.#waiting = []
        this.#characters = 0
        for (const record of records) yield record
        if (this.#dropped > 0) yield this.#gap(records.at(-1))
        else if (records.length === 0) await this.#news()
      }
    } finally {
      signal?.removeEventListener('abort', wake)
    }
  }

  [Symbol.dispose](): void {
    this.#leave()
  }

  async #news(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve
    })
    this.#wake = undefined
  }

  #gap(before: LogRecord | undefined): LogRecord {
    const text = `${this.#dropped} lines are left out here: they came faster than they were read`
    this.#dropped = 0
    return {
      at: before?.at ?? 0,
      function: before?.function ?? '',
      version: before?.version ?? '',
      stream: 'platform',
      level: 'warn',
      text,
    }
  }
}
