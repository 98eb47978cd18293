/** The part of a stream that is written to. */
export interface Writable {
  write(text: string): unknown
}

/** Access lines may wait this long for company; people don't see it, and a busy server saves a system call a line. */
const COMPANY_MS = 10

/**
 * Lines to a stream, written together: at most one write a turn of the event loop, however many lines arrive.
 * Lines are given as functions, so that those nobody will see are never formatted.
 */
export class LineWriter {
  readonly #stream: Writable
  readonly #waiting: (() => string | undefined)[] = []
  #timer: NodeJS.Timeout | undefined
  #immediate: NodeJS.Immediate | undefined

  constructor(stream: Writable) {
    this.#stream = stream
  }

  /** Written at the end of this turn, after everything that waits. */
  soon(line: () => string | undefined): void {
    this.#waiting.push(line)
    this.#immediate ??= setImmediate(() => this.flush())
  }

  /** Written within `COMPANY_MS`, or together with the next line that is more urgent. */
  eventually(line: () => string | undefined): void {
    this.#waiting.push(line)
    if (this.#immediate === undefined) this.#timer ??= setTimeout(() => this.flush(), COMPANY_MS)
  }

  /** Writes what waits, now: before the process ends. */
  flush(): void {
    clearTimeout(this.#timer)
    clearImmediate(this.#immediate)
    this.#timer = undefined
    this.#immediate = undefined
    if (this.#waiting.length === 0) return
    const lines = this.#waiting.splice(0).flatMap((line) => line() ?? [])
    if (lines.length > 0) this.#stream.write(`${lines.join('\n')}\n`)
  }
}
