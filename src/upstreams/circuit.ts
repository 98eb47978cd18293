import type { Logger } from '../core/log.ts'
import type { OriginState } from '../core/upstream.ts'

export interface CircuitOptions {
  /** Failed requests in a row that take the origin out. */
  readonly fails: number
  /** For so long; then one request is let through to see. */
  readonly forMs: number
  readonly log: Logger
  /** Called when the origin may take requests again. */
  onReturn(): void
}

/** Whether an origin may be asked, by its health checks and by how its last requests went. */
export class Circuit {
  readonly #url: string
  readonly #options: CircuitOptions
  #down = false
  #failures = 0
  /** Milliseconds since the epoch; 0 when it is not ejected. */
  #ejectedUntil = 0
  #probing = false

  constructor(url: string, options: CircuitOptions) {
    this.#url = url
    this.#options = options
  }

  get state(): OriginState['circuit'] {
    if (this.#down) return 'down'
    if (this.#ejectedUntil === 0) return 'closed'
    return this.#probing || Date.now() >= this.#ejectedUntil ? 'probing' : 'ejected'
  }

  /** True when a request may go there although others could take it. */
  get usable(): boolean {
    if (this.#down) return false
    return this.#ejectedUntil === 0 || (!this.#probing && Date.now() >= this.#ejectedUntil)
  }

  /** Its health checks fail: it is asked nothing. */
  get down(): boolean {
    return this.#down
  }

  /** A request goes there; true when it is the one that shows whether the origin is back. */
  enter(): boolean {
    if (this.#ejectedUntil === 0 || this.#probing || Date.now() < this.#ejectedUntil) return false
    this.#probing = true
    return true
  }

  succeeded(): void {
    this.#failures = 0
    this.#probing = false
    if (this.#ejectedUntil === 0) return
    this.#ejectedUntil = 0
    this.#options.log.info('upstream.return', { origin: this.#url })
    this.#options.onReturn()
  }

  /** `ejects` is false for an origin that stands alone: nobody else could take its requests. */
  failed(reason: string, ejects: boolean): void {
    this.#failures++
    this.#probing = false
    const { fails, forMs, log } = this.#options
    if (!ejects || (this.#ejectedUntil === 0 && this.#failures < fails)) return
    const isNew = this.#ejectedUntil === 0
    this.#ejectedUntil = Date.now() + forMs
    if (isNew) log.warn('upstream.eject', { origin: this.#url, reason, forMs })
  }

  /** The request that was to show it ended before it did, by no fault of the origin. */
  probeLost(): void {
    this.#probing = false
  }

  checkFailed(reason: string): void {
    if (this.#down) return
    this.#down = true
    this.#options.log.warn('upstream.down', { origin: this.#url, reason })
  }

  checkPassed(): void {
    if (!this.#down) return
    this.#down = false
    this.#failures = 0
    this.#ejectedUntil = 0
    this.#options.log.info('upstream.up', { origin: this.#url })
    this.#options.onReturn()
  }
}
