import type { Accounts } from '../accounts.ts'
import type { Store } from '../store.ts'
import { openAuthentication } from './authentication.ts'
import type { AccountsBase } from './base.ts'
import { openTokenDesk } from './token-desk.ts'
import { openThrottle } from './throttle.ts'
import { openMint } from './tokens.ts'
import { openUserDesk } from './user-desk.ts'

export interface AccountsOptions {
  readonly store: Store
  /** Of the data directory, 32 bytes: tokens are hashed with what is derived from it. */
  readonly key: Buffer
  readonly clock?: (() => number) | undefined
}

/** Users and tokens over the store. Nothing is kept in memory but who guessed: what one process changes, another sees at once. */
export function openAccounts({ store, key, clock = Date.now }: AccountsOptions): Accounts {
  const base: AccountsBase = { store, clock, mint: openMint(key), throttle: openThrottle(clock) }
  store.tokens.removeExpired(clock())
  return { ...openAuthentication(base), ...openUserDesk(base), ...openTokenDesk(base) }
}
