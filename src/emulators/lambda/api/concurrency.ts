import type { Limiter } from '../../../core/function.ts'

/** Counts what runs of one function, whatever version or alias was named. */
class Reservation implements Limiter {
  #max: number
  #running = 0

  constructor(max: number) {
    this.#max = max
  }

  get max(): number {
    return this.#max
  }

  /** What runs already goes on; it counts. */
  resize(max: number): void {
    this.#max = max
  }

  enter(): boolean {
    if (this.#running >= this.#max) return false
    this.#running += 1
    return true
  }

  leave(): void {
    this.#running -= 1
  }
}

/** The part of a reservation that is not provisioned for a version: what has nothing provisioned shares it. */
class Rest implements Limiter {
  readonly #whole: Reservation
  readonly #own: Reservation

  constructor(whole: Reservation) {
    this.#whole = whole
    this.#own = new Reservation(whole.max)
  }

  resize(provisioned: number): void {
    this.#own.resize(this.#whole.max - provisioned)
  }

  enter(): boolean {
    if (!this.#own.enter()) return false
    if (this.#whole.enter()) return true
    this.#own.leave()
    return false
  }

  leave(): void {
    this.#own.leave()
    this.#whole.leave()
  }
}

/** What a function may use at once. */
export interface ConcurrencyLimits {
  /** Undefined where nothing is reserved. */
  readonly max: number | undefined
  /** For all of its versions. */
  readonly provisioned: number
  /** For the version that is limited. */
  readonly own: number
}

/** The limiters of all functions; what runs is counted on while limits change. */
export class Reservations {
  readonly #all = new Map<string, { readonly whole: Reservation; readonly rest: Rest }>()

  /** A version that has something provisioned may use all that is reserved; the others leave it what it has. */
  limiter(name: string, { max, provisioned, own }: ConcurrencyLimits): Limiter | undefined {
    if (max === undefined) {
      this.#all.delete(name)
      return undefined
    }
    const { whole, rest } = this.#all.get(name) ?? reservationOf(max)
    this.#all.set(name, { whole, rest })
    whole.resize(max)
    rest.resize(provisioned)
    return provisioned === 0 || own > 0 ? whole : rest
  }

  delete(name: string): void {
    this.#all.delete(name)
  }
}

function reservationOf(max: number): { readonly whole: Reservation; readonly rest: Rest } {
  const whole = new Reservation(max)
  return { whole, rest: new Rest(whole) }
}
