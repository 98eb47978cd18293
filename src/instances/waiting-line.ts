import { FlexiError } from '../core/errors.ts'
import { queueFull, waitedTooLong } from './pool-errors.ts'
import type { PoolCounts, PoolLimits, Slot } from './pool-options.ts'

/** A request that waits for an instance. */
export interface Waiter {
  /** On the clock of `performance.now()`. */
  readonly since: number
  /** Takes only an instance that is free. */
  readonly free: boolean
  /** The client left while waiting: its turn is passed on. */
  gone(): boolean
  resolve(slot: Slot): void
  reject(error: FlexiError): void
}

export interface WaitingLineOptions {
  /** Of the function, for messages. */
  readonly name: string
  readonly limits: PoolLimits
  readonly counts: PoolCounts
  /** Called again and again while the head waits longer than is worth another instance. */
  readonly onWaiting: (head: Waiter) => void
}

/** Requests that wait for an instance, first come first served, and not for ever. */
export class WaitingLine {
  readonly #options: WaitingLineOptions
  readonly #waiters: Waiter[] = []
  #timer: NodeJS.Timeout | undefined
  #whenEmpty: (() => void) | undefined

  constructor(options: WaitingLineOptions) {
    this.#options = options
  }

  get length(): number {
    return this.#waiters.length
  }

  get head(): Waiter | undefined {
    return this.#waiters[0]
  }

  /** Why nobody more may wait. */
  full(): FlexiError | undefined {
    if (this.#waiters.length < this.#options.limits.queueLengthMax) return undefined
    this.#options.counts.refused += 1
    return queueFull(this.#options.name, this.#waiters.length)
  }

  /** `first` for one that was promised an instance before. */
  join(gone: () => boolean, { first, free }: { readonly first: boolean; readonly free: boolean }) {
    const turn = new Promise<Slot>((resolve, reject) => {
      const waiter = { since: performance.now(), free, gone, resolve, reject }
      if (first) this.#waiters.unshift(waiter)
      else this.#waiters.push(waiter)
    })
    this.#timer ??= setTimeout(() => this.#tend(), this.#options.limits.scaleOutAfterMs)
    return turn
  }

  /** The head's turn has come; without an instance its client has left. */
  leave(slot: Slot | undefined): void {
    const waiter = this.#waiters.shift()
    if (slot === undefined)
      waiter?.reject(new FlexiError('FLEXI_CLIENT_GONE', 'the client left while its request waited'))
    else waiter?.resolve(slot)
    this.#tellEmpty()
  }

  rejectAll(error: FlexiError): void {
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error)
    this.#tellEmpty()
  }

  /** Resolves when nobody waits any more, or at the limit. Nobody new may come meanwhile. */
  async emptied(limitMs: number): Promise<void> {
    if (this.#waiters.length === 0) return
    let timer: NodeJS.Timeout | undefined
    await new Promise<void>((resolve) => {
      timer = setTimeout(resolve, limitMs)
      this.#whenEmpty = resolve
    })
    clearTimeout(timer)
  }

  /** Nobody comes any more. */
  close(error: FlexiError): void {
    clearTimeout(this.#timer)
    this.rejectAll(error)
  }

  #tellEmpty(): void {
    if (this.#waiters.length > 0) return
    this.#whenEmpty?.()
    this.#whenEmpty = undefined
  }

  /** Runs while somebody waits: turns away who waited too long, and tells of a head that has waited long enough for another instance. */
  #tend(): void {
    this.#timer = undefined
    const { name, limits, counts, onWaiting } = this.#options
    const now = performance.now()
    while (this.#waiters[0] !== undefined && now - this.#waiters[0].since > limits.queueWaitMs) {
      counts.refused += 1
      const waitedMs = now - this.#waiters[0].since
      this.#waiters.shift()?.reject(waitedTooLong(name, waitedMs))
    }
    this.#tellEmpty()
    const head = this.#waiters[0]
    if (head === undefined) return
    if (now - head.since >= limits.scaleOutAfterMs) onWaiting(head)
    this.#timer = setTimeout(() => this.#tend(), limits.scaleOutAfterMs)
  }
}
