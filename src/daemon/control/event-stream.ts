/** Events of something that goes on whether or not anybody reads them. One reader. */
export class EventStream<T> implements AsyncIterable<T> {
  readonly #sizeOf: (event: T) => number
  readonly #waiting: T[] = []
  #size = 0
  #wake: (() => void) | undefined
  #ended = false

  /** `sizeOf`: how many characters of an event somebody else decides about. */
  constructor(sizeOf: (event: T) => number = () => 0) {
    this.#sizeOf = sizeOf
  }

  push(event: T): void {
    this.#waiting.push(event)
    this.#size += this.#sizeOf(event)
    // Lines of a function that prints without end, to a reader that does not read: the newest matter.
    while (this.#waiting.length > EVENTS_MAX || this.#size > SIZE_MAX)
      for (const gone of this.#waiting.splice(0, 1)) this.#size -= this.#sizeOf(gone)
    this.#wake?.()
  }

  end(): void {
    this.#ended = true
    this.#wake?.()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void> {
    for (;;) {
      while (this.#waiting.length > 0) {
        this.#size = 0
        yield* this.#waiting.splice(0)
      }
      if (this.#ended) return
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }
}

const EVENTS_MAX = 10_000
const SIZE_MAX = 4 * 1024 * 1024
