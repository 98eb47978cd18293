import { randomBytes } from 'node:crypto'

import { FlexiError } from '../../core/errors.ts'
import { isAlive, startedAt } from '../../core/processes.ts'
import type { Store } from '../store.ts'

const SETTING = 'changed by'

/**
 * One process changes what is deployed, the one that began last: at a restart two of them have the store open for a while, and what the
 * old one would change, the new one would never serve.
 */
export class Tenure {
  readonly #store: Store
  readonly #own = `${process.pid} ${startedAt(process.pid) ?? ''} ${randomBytes(8).toString('hex')}`

  constructor(store: Store) {
    this.#store = store
  }

  /** Whoever had it before changes nothing from now on: what is read of the store after this is all there is. */
  begin(): void {
    this.#store.settings.set(SETTING, this.#own)
  }

  /** Within the transaction of a change. @throws FlexiError FLEXI_SHUTTING_DOWN when another process has taken over. */
  demand(): void {
    const holder = this.#store.settings.get(SETTING)
    if (holder === this.#own) return
    if (holder !== undefined && isThere(holder)) throw takenOver()
    // The one that was to take over has ended before it could serve.
    this.begin()
  }
}

export function takenOver(): FlexiError {
  return new FlexiError('FLEXI_SHUTTING_DOWN', 'the daemon is being restarted, and nothing was changed', {
    hint: 'Do it again.',
    retryAfterSeconds: 1,
  })
}

function isThere(holder: string): boolean {
  const [pid, start] = holder.split(' ')
  return isAlive(Number(pid)) && (startedAt(Number(pid)) ?? '') === start
}
