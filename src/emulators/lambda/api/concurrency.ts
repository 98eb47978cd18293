import type { Limiter } from '../../../core/function.ts'

/** Counts what runs of one function, whatever version or alias was named. */
export class Reservation implements Limiter {
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
