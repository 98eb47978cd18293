import { FlexiError } from '../../core/errors.ts'
import type { Accounts } from '../accounts.ts'
import type { Caller, Group, Permission, TokenRecord } from '../model.ts'
import { requirePermission, type AccountsBase } from './base.ts'
import { groupsOf, has, ROOT_GROUPS } from './permissions.ts'
import { bearerToken, sameHash } from './tokens.ts'

/** Setting that holds the hash of the root token. */
export const ROOT_TOKEN = 'root-token'

/** A token's last use is written so seldom, in ms. */
const USED_MS = 60_000

type Authentication = Pick<Accounts, 'authenticate' | 'operator' | 'demand' | 'may'>

/** Who asks, and what they may do. */
export function openAuthentication(base: AccountsBase): Authentication {
  return {
    authenticate: (authorization, from) => authenticate(base, authorization, from),
    operator: () => ({ user: 'root', token: 'local', groups: ROOT_GROUPS, from: 'local' }),
    demand,
    may: (caller, permission, group) => may(caller, permission, group),
  }
}

function authenticate(base: AccountsBase, authorization: string | undefined, from: string): Caller {
  const token = bearerToken(authorization)
  if (token === undefined) {
    throw new FlexiError('FLEXI_UNAUTHENTICATED', 'no token: send "Authorization: Bearer TOKEN"', {
      hint: 'Sign in with "flexi login", or set FLEXI_TOKEN.',
      answerFields: { 'WWW-Authenticate': 'Bearer' },
    })
  }
  const hash = base.mint.hash(token)
  const seconds = base.throttle.waitSeconds(from, hash)
  if (seconds > 0) {
    throw new FlexiError('FLEXI_RATE_LIMIT', `too many wrong tokens from ${from}: wait ${seconds} s`, {
      retryAfterSeconds: seconds,
    })
  }
  const caller = rootOf(base, hash, from) ?? holderOf(base, hash, from)
  if (caller === undefined) {
    base.throttle.wrong(from, hash)
    throw new FlexiError('FLEXI_FORBIDDEN', 'this token is unknown, expired or revoked', {
      hint: 'Make a new one, and sign in with it: "flexi login".',
    })
  }
  base.throttle.right(hash)
  return caller
}

function rootOf({ store }: AccountsBase, hash: string, from: string): Caller | undefined {
  const root = store.settings.get(ROOT_TOKEN)
  if (root === undefined || !sameHash(root, hash)) return undefined
  return { user: 'root', token: 'root', groups: ROOT_GROUPS, from }
}

function holderOf({ store, clock }: AccountsBase, hash: string, from: string): Caller | undefined {
  const record = store.tokens.byHash(hash)
  if (record === undefined || !sameHash(record.hash, hash)) return undefined
  const now = clock()
  if (isExpired(record, now)) {
    store.tokens.removeExpired(now)
    return undefined
  }
  const user = store.users.get(record.user)
  if (user === undefined) return undefined
  if (now - (record.usedAt ?? 0) >= USED_MS) store.tokens.used(record.id, now)
  return { user: user.name, token: record.id, groups: groupsOf(user.name, user.groups, record.scopes), from }
}

/** It is worth nothing from the very moment on. */
export function isExpired(record: Pick<TokenRecord, 'expiresAt'>, now: number): boolean {
  return record.expiresAt !== undefined && record.expiresAt <= now
}

function may(caller: Caller, permission: Permission, group?: Group): boolean {
  return caller.groups.has(`permission:${permission}`) && (group === undefined || has(caller, group))
}

function demand(caller: Caller, permission: Permission, group?: Group): void {
  requirePermission(caller, permission)
  if (group === undefined || has(caller, group)) return
  throw new FlexiError('FLEXI_FORBIDDEN', `this belongs to ${group}, which ${caller.user} is not in`, {
    hint: 'Ask its owner or an admin.',
  })
}
