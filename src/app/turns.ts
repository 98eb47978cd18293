import { FlexiError } from '../core/errors.ts'

/** Changes of one thing, one after the other, in the order they were asked for. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve()
  #ended = false

  get ended(): boolean {
    return this.#ended
  }

  /** Rejects as the change does. @throws FlexiError FLEXI_SHUTTING_DOWN after `end()`. */
  take(change: () => Promise<void>): Promise<void> {
    const turn = this.#last.then(() => {
      if (this.#ended) throw new FlexiError('FLEXI_SHUTTING_DOWN', 'flexi stops', { retryAfterSeconds: 1 })
      return change()
    })
    this.#last = turn.catch(() => undefined)
    return turn
  }

  /** No other change begins. Resolves when the one under way is over. */
  async end(): Promise<void> {
    this.#ended = true
    await this.#last
  }
}
