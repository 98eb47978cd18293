import type { Flight } from './dispatcher.ts'

const SLOTS = 512
const ID_MAX = 0x7fff_ffff

/**
 * The requests that a process holds, by the numbers they are sent with.
 * Not a Map: each table that a Map has outgrown keeps its entries until a full collection, once one of them is old. At 40,000 requests
 * a second that was every third request, and a third of the server's time.
 */
export class FlightTable {
  #slots: (Flight | undefined)[] = Array.from({ length: SLOTS }, () => undefined)
  #last = 0
  #size = 0

  get size(): number {
    return this.#size
  }

  /** Gives the request its number: never 0, and different from those of all that are here. */
  add(flight: Flight): void {
    if (this.#size * 2 >= this.#slots.length) this.#grow()
    do this.#last = this.#last >= ID_MAX ? 1 : this.#last + 1
    while (this.#slots[this.#slotOf(this.#last)] !== undefined)
    flight.id = this.#last
    this.#slots[this.#slotOf(flight.id)] = flight
    this.#size += 1
  }

  /** Removes it. Undefined when it is no longer here. */
  take(id: number): Flight | undefined {
    const slot = this.#slotOf(id)
    const flight = this.#slots[slot]
    if (flight?.id !== id) return undefined
    this.#slots[slot] = undefined
    this.#size -= 1
    return flight
  }

  values(): Flight[] {
    return this.#slots.filter((flight) => flight !== undefined)
  }

  #slotOf(id: number): number {
    return id & (this.#slots.length - 1)
  }

  /** Slots stay apart: numbers that differ in their last bits differ in one more of them. */
  #grow(): void {
    const flights = this.values()
    this.#slots = Array.from({ length: this.#slots.length * 2 }, () => undefined)
    for (const flight of flights) this.#slots[this.#slotOf(flight.id)] = flight
  }
}
