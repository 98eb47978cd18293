import type { ReceiveOptions } from '../../service/service.ts'
import type { StoredMessage } from './message.ts'

export interface WaitersOptions {
  readonly now: () => number
  /** When the next message is ready by itself. */
  readonly next: () => number | undefined
  readonly take: (options: ReceiveOptions) => StoredMessage[]
}

interface Waiter {
  readonly options: ReceiveOptions
  readonly until: number
  readonly resolve: (messages: StoredMessage[]) => void
  readonly leave: () => void
}

/** Who waits for messages of a queue, first come, first served. */
export class Waiters {
  readonly #options: WaitersOptions
  #waiting: Waiter[] = []
  #timer: NodeJS.Timeout | undefined
  #woken = false
  #closed = false

  constructor(options: WaitersOptions) {
    this.#options = options
  }

  receive(options: ReceiveOptions): Promise<StoredMessage[]> {
    if (options.signal.aborted || this.#closed) return Promise.resolve([])
    const taken = this.#waiting.length > 0 ? [] : this.#options.take(options)
    if (taken.length > 0 || options.waitMs <= 0) return Promise.resolve(taken)
    return new Promise((resolve) => {
      const leave = (): void => this.#settle(waiter, [])
      const until = this.#options.now() + options.waitMs
      const waiter: Waiter = { options, until, resolve, leave }
      options.signal.addEventListener('abort', leave, { once: true })
      this.#waiting.push(waiter)
      this.#arm()
    })
  }

  /** Something may be ready. What comes in the same moment is handed over together. */
  wake(): void {
    if (this.#woken || this.#waiting.length === 0) return
    this.#woken = true
    queueMicrotask(() => this.#serve())
  }

  close(): void {
    this.#closed = true
    for (const waiter of this.#waiting.slice()) this.#settle(waiter, [])
    clearTimeout(this.#timer)
  }

  #serve(): void {
    this.#woken = false
    for (const waiter of this.#waiting.slice()) {
      const messages = this.#options.take(waiter.options)
      if (messages.length > 0) this.#settle(waiter, messages)
      else break
    }
    const now = this.#options.now()
    for (const waiter of this.#waiting.filter(({ until }) => until <= now)) this.#settle(waiter, [])
    this.#arm()
  }

  #settle(waiter: Waiter, messages: StoredMessage[]): void {
    this.#waiting = this.#waiting.filter((one) => one !== waiter)
    waiter.options.signal.removeEventListener('abort', waiter.leave)
    waiter.resolve(messages)
  }

  /** One timer: for what is ready next, and for who has waited long enough first. */
  #arm(): void {
    clearTimeout(this.#timer)
    if (this.#waiting.length === 0) return
    const until = Math.min(this.#options.next() ?? Infinity, ...this.#waiting.map((waiter) => waiter.until))
    this.#timer = setTimeout(() => this.#serve(), Math.max(0, until - this.#options.now()))
  }
}
