/** Who waits, and its neighbours in the list: the list's to write. */
export interface Waiting {
  older: Waiting | undefined
  newer: Waiting | undefined
  /** `performance.now()` when it began. */
  since: number
  /** Gives it up, with this error. */
  abort(error: Error): void
}

/** Those who wait, oldest first. Not a Set: see OpenExchanges of the gateway for what one costs. */
export class WaitingList implements Iterable<Waiting> {
  #oldest: Waiting | undefined
  #newest: Waiting | undefined

  add(one: Waiting): void {
    one.older = this.#newest
    if (this.#newest === undefined) this.#oldest = one
    else this.#newest.newer = one
    this.#newest = one
  }

  /** Nothing happens to one that is not in the list. */
  delete(one: Waiting): void {
    if (one.older === undefined && this.#oldest !== one) return
    if (one.older === undefined) this.#oldest = one.newer
    else one.older.newer = one.newer
    if (one.newer === undefined) this.#newest = one.older
    else one.newer.older = one.older
    one.older = undefined
    one.newer = undefined
  }

  /** Those that are in it now, whatever is done with them. */
  *[Symbol.iterator](): Iterator<Waiting> {
    for (let one = this.#oldest; one !== undefined;) {
      const { newer } = one
      yield one
      one = newer
    }
  }
}
