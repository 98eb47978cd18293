import type { Writable } from './line-writer.ts'

/** Progress is drawn this often; people cannot read faster, and a fast upload should not wait for a terminal. */
const REDRAW_MS = 60

/**
 * Lines, and below them one that is rewritten: how far something has come. Without a terminal the line is left out, so that
 * a log holds what happened and nothing else.
 */
export class StatusLine {
  readonly #stream: Writable
  readonly #drawn: boolean
  readonly #clock: () => number
  #shown = false
  #drawnAt = -Infinity

  constructor(stream: Writable, options: { readonly terminal: boolean; readonly clock?: () => number }) {
    this.#stream = stream
    this.#drawn = options.terminal
    this.#clock = options.clock ?? (() => performance.now())
  }

  /** Rewrites the line; called more often than it can be read, it is left out. */
  status(text: () => string): void {
    if (!this.#drawn || this.#clock() - this.#drawnAt < REDRAW_MS) return
    this.#drawnAt = this.#clock()
    this.#shown = true
    this.#stream.write(`\r${text()}\u001b[K`)
  }

  /** A line that stays, above the one that is rewritten. */
  print(line: string): void {
    this.clear()
    this.#stream.write(`${line}\n`)
  }

  clear(): void {
    if (this.#shown) this.#stream.write('\r\u001b[K')
    this.#shown = false
    this.#drawnAt = -Infinity
  }
}
