import { FlexiError } from '../../core/errors.ts'
import type { Caller, Group, Permission, UserRecord } from '../model.ts'
import type { Store } from '../store.ts'
import { has } from './permissions.ts'
import type { Throttle } from './throttle.ts'
import type { TokenMint } from './tokens.ts'

/** What the parts of the accounts have in common. */
export interface AccountsBase {
  readonly store: Store
  readonly clock: () => number
  readonly mint: TokenMint
  readonly throttle: Throttle
}

/** A line of the audit log about a change of users or tokens. Nothing secret. */
export interface Change {
  readonly action: string
  readonly object: string
  readonly detail?: Readonly<Record<string, unknown>> | undefined
}

/** Does a change and its line of the audit log in one step; a refusal has its line too. */
export function audited<T>(base: AccountsBase, caller: Caller, change: Change, task: () => T): T {
  const add = (outcome: 'done' | 'refused', detail: Readonly<Record<string, unknown>>): void => {
    const { user, token, from } = caller
    base.store.audit.add({
      at: base.clock(),
      user,
      token,
      from,
      action: change.action,
      object: change.object,
      outcome,
      detail,
    })
  }
  try {
    return base.store.transaction(() => {
      const result = task()
      add('done', change.detail ?? {})
      return result
    })
  } catch (error) {
    if (error instanceof FlexiError) add('refused', { ...change.detail, reason: error.message })
    throw error
  }
}

/** @throws FlexiError FLEXI_FORBIDDEN */
export function requirePermission(caller: Caller, permission: Permission): void {
  if (caller.groups.has(`permission:${permission}`)) return
  throw new FlexiError('FLEXI_FORBIDDEN', `${caller.user} lacks permission:${permission}`, {
    hint: 'Ask an admin for it, or use a token that has it.',
  })
}

/** @throws FlexiError FLEXI_FORBIDDEN that names the first group the caller lacks. */
export function requireAll(caller: Caller, groups: Iterable<Group>, purpose: string): void {
  for (const group of groups) {
    if (has(caller, group)) continue
    throw new FlexiError('FLEXI_FORBIDDEN', `${caller.user} lacks ${group} and cannot ${purpose} it`)
  }
}

/** @throws FlexiError FLEXI_NO_INPUT (404); for `root` too, whose token is the operator's. */
export function existingUser(store: Store, name: string): UserRecord {
  const user = store.users.get(name.toLowerCase())
  if (user === undefined) throw new FlexiError('FLEXI_NO_INPUT', `there is no user ${name.toLowerCase()}`)
  return user
}
