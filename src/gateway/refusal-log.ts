import type { Duplex } from 'node:stream'
import type { Socket } from 'node:net'

import type { Logger } from '../core/log.ts'
import type { Refusal } from './head-check.ts'

const SILENT_MS = 1_000

/** Says what had no exchange and so has no access line. A scanner sends thousands of those: one line a second, with their number. */
export class RefusalLog {
  readonly #log: Logger
  #saidAt = -Infinity
  #unsaid = 0

  constructor(log: Logger) {
    this.#log = log
  }

  say({ status, message }: Refusal, socket: Duplex): void {
    const now = performance.now()
    if (now - this.#saidAt < SILENT_MS) {
      this.#unsaid += 1
      return
    }
    const { remoteAddress = 'a client', remotePort } = socket as Socket
    const who = remotePort === undefined ? remoteAddress : `${remoteAddress}:${remotePort}`
    const more = this.#unsaid === 0 ? '' : ` (and ${this.#unsaid} more since the last such line)`
    this.#saidAt = now
    this.#unsaid = 0
    this.#log.warn('request.unreadable', { message: `${who} was refused with ${status}: ${message}${more}` })
  }
}
