/** Events of something that goes on whether or not anybody reads them. One reader. */
export class EventStream<T> implements AsyncIterable<T> {
  readonly #waiting: T[] = []
  #wake: (() => void) | undefined
  #ended = false

  push(event: T): void {
    // Lines of a function that prints without end, to a reader that does not read: the newest matter.
    if (this.#waiting.length >= EVENTS_MAX) this.#waiting.shift()
    this.#waiting.push(event)
    this.#wake?.()
  }

  end(): void {
    this.#ended = true
    this.#wake?.()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void> {
    for (;;) {
      while (this.#waiting.length > 0) yield* this.#waiting.splice(0)
      if (this.#ended) return
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }
}

const EVENTS_MAX = 10_000
