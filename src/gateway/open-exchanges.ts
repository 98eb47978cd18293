import type { Exchange } from './context.ts'

/**
 * The exchanges under way.
 * Not a Set: each table that a Set has outgrown keeps its members until a full collection, once one of them is old. At 40,000 requests
 * a second that was every third exchange, and a third of the server's time.
 */
export class OpenExchanges implements Iterable<Exchange> {
  readonly #exchanges: Exchange[] = []

  get size(): number {
    return this.#exchanges.length
  }

  add(exchange: Exchange): void {
    exchange.place = this.#exchanges.length
    this.#exchanges.push(exchange)
  }

  has(exchange: Exchange): boolean {
    return this.#exchanges[exchange.place] === exchange
  }

  /** The last one takes its place. False when it was not here. */
  delete(exchange: Exchange): boolean {
    if (!this.has(exchange)) return false
    const last = this.#exchanges.pop()
    if (last !== undefined && last !== exchange) {
      this.#exchanges[exchange.place] = last
      last.place = exchange.place
    }
    return true
  }

  /** Of those that are there now, whatever is done with them. */
  [Symbol.iterator](): Iterator<Exchange> {
    return [...this.#exchanges][Symbol.iterator]()
  }
}
