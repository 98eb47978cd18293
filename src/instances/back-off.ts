import type { FlexiError } from '../core/errors.ts'
import type { PoolLimits } from './pool-options.ts'

/** By how much the delay has grown when restarts begin to wait: after three ends in a row. */
const CRASHES_FREE = 8
/** While somebody asks, another start is tried this soon after the last, whatever the delay. */
const REST_MS_MAX = 1_000

/** When an instance that does not come up, or does not stay, is tried again. */
export class BackOff {
  readonly #limits: PoolLimits
  #failure: { readonly error: FlexiError; readonly until: number } | undefined
  /** Requests that were refused since that was last told. */
  #refused = 0
  #delayMs: number

  constructor(limits: PoolLimits) {
    this.#limits = limits
    this.#delayMs = limits.restartDelayMs
  }

  /** Until the next start without somebody asking, ms. */
  get delayMs(): number {
    return this.#delayMs
  }

  /** The same, for a start that is tried again then: the one after it comes later. */
  next(): number {
    const delayMs = this.#delayMs
    this.#delayMs = Math.min(delayMs * 2, this.#limits.restartDelayMaxMs)
    return delayMs
  }

  /** All is well. */
  reset(): void {
    this.#failure = undefined
    this.#delayMs = this.#limits.restartDelayMs
  }

  /** For how long requests are refused, ms. */
  get restMs(): number {
    return Math.min(this.#delayMs, REST_MS_MAX)
  }

  /** Why nothing could be started a moment ago. Undefined once it is worth trying again. */
  refusal(): FlexiError | undefined {
    if (this.#failure === undefined || performance.now() >= this.#failure.until) return undefined
    this.#refused += 1
    return this.#failure.error
  }

  startFailed(error: FlexiError): void {
    this.rest(error)
    this.next()
  }

  started(): void {
    this.#failure = undefined
  }

  /** `loops`: it ended soon after its start, of no use to anyone. Whether the next start has to wait. */
  ended(loops: boolean): boolean {
    const { restartDelayMs, restartDelayMaxMs } = this.#limits
    this.#delayMs = loops ? Math.min(this.#delayMs * 2, restartDelayMaxMs) : restartDelayMs
    return this.#delayMs > restartDelayMs * CRASHES_FREE
  }

  /** Requests are answered with the reason, instead of starting yet another process. */
  rest(error: FlexiError): void {
    this.#failure = { error, until: performance.now() + this.restMs }
  }

  /** How many requests were refused since this was last asked. */
  takeRefused(): number {
    const refused = this.#refused
    this.#refused = 0
    return refused
  }
}
