import type { DevEvent } from '../core/events.ts'
import { LineWriter, type Writable } from './line-writer.ts'

/**
 * `flexi dev --json`: one event, one JSON object, one line. `ready` is the first line of a server that started:
 * what is said before (a port that was taken) follows it, so that a reader needs to look at one line only.
 */
export class JsonEvents {
  readonly #writer: LineWriter
  #held: DevEvent[] | undefined = []

  constructor(results: Writable) {
    this.#writer = new LineWriter(results)
  }

  show(event: DevEvent): void {
    if (event.event === 'ready') {
      this.#write(event)
      this.#release()
    } else if (this.#held === undefined) this.#write(event)
    else this.#held.push(event)
  }

  /** Writes what waits, `ready` or not: before the process ends. */
  flush(): void {
    this.#release()
    this.#writer.flush()
  }

  #release(): void {
    const held = this.#held ?? []
    this.#held = undefined
    for (const event of held) this.#write(event)
  }

  #write(event: DevEvent): void {
    if (event.event === 'request') this.#writer.eventually(() => JSON.stringify(event))
    else this.#writer.soon(() => JSON.stringify(event))
  }
}
