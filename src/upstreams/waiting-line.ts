import type { EventEmitter } from 'node:events'

import { FlexiError } from '../core/errors.ts'
import { LIMITS } from '../core/limits.ts'

interface Waiter {
  readonly resolve: () => void
}

/** Requests that wait because every origin has as many as it may have; first come, first served. */
export class WaitingLine {
  readonly #waitMs: number
  readonly #waiting: Waiter[] = []

  constructor(waitMs: number) {
    this.#waitMs = waitMs
  }

  /**
   * Resolves when a place may be free, or the client is gone (its `close` event). `again` keeps the place at the front.
   * @throws FlexiError FLEXI_QUEUE_FULL when too many wait, or the wait took too long.
   */
  async wait(client: EventEmitter, again: boolean): Promise<void> {
    if (this.#waiting.length >= LIMITS.queueLengthMax) throw full('too many requests wait for an origin')
    let timer: NodeJS.Timeout | undefined
    let onClose: (() => void) | undefined
    const waited = new Promise<void>((resolve, reject) => {
      const waiter = { resolve }
      if (again) this.#waiting.unshift(waiter)
      else this.#waiting.push(waiter)
      const leave = (): void => {
        const at = this.#waiting.indexOf(waiter)
        if (at !== -1) this.#waiting.splice(at, 1)
      }
      timer = setTimeout(() => {
        leave()
        reject(full('no origin had room for the request in time'))
      }, this.#waitMs)
      onClose = () => {
        leave()
        resolve()
      }
      client.once('close', onClose)
    })
    try {
      await waited
    } finally {
      clearTimeout(timer)
      if (onClose !== undefined) client.off('close', onClose)
    }
  }

  /** A place may be free: the first looks. */
  readonly wake = (): void => {
    this.#waiting.shift()?.resolve()
  }
}

function full(message: string): FlexiError {
  return new FlexiError('FLEXI_QUEUE_FULL', message, {
    hint: 'Raise "max_requests" of the origins, or add one.',
    retryAfterSeconds: 1,
  })
}
