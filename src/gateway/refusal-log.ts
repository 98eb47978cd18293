import type { Duplex } from 'node:stream'
import type { Socket } from 'node:net'

import type { Logger } from '../core/log.ts'
import { Seldom } from '../core/seldom.ts'
import type { Refusal } from './head-check.ts'

/** Says what had no exchange and so has no access line. A scanner sends thousands of those. */
export class RefusalLog {
  readonly #log: Logger
  readonly #seldom = new Seldom()

  constructor(log: Logger) {
    this.#log = log
  }

  say({ status, message }: Refusal, socket: Duplex): void {
    const ending = this.#seldom.ending()
    if (ending === undefined) return
    const { remoteAddress = 'a client', remotePort } = socket as Socket
    const who = remotePort === undefined ? remoteAddress : `${remoteAddress}:${remotePort}`
    this.#log.warn('request.unreadable', {
      message: `${who} was refused with ${status}: ${message}${ending}`,
    })
  }
}
