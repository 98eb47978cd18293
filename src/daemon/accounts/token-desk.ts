import { FlexiError } from '../../core/errors.ts'
import type { Accounts, TokenRequest } from '../accounts.ts'
import type { Caller, Group, TokenRecord } from '../model.ts'
import { isExpired, ROOT_TOKEN } from './authentication.ts'
import { audited, existingUser, requireAll, requirePermission, type AccountsBase } from './base.ts'
import { canonicalGroup, groupsOf, ROOT_GROUPS } from './permissions.ts'
import { makeTokenId } from './tokens.ts'

const DAY_MS = 86_400_000

/** How long a token lives when nobody says (YFASS). */
const DAYS = 10

/** Live tokens of one user. */
const TOKENS_MAX = 1_000

type TokenDesk = Pick<Accounts, 'issueToken' | 'tokens' | 'revokeToken' | 'renewRootToken' | 'firstRootToken'>

/** Makes, lists and revokes tokens. */
export function openTokenDesk(base: AccountsBase): TokenDesk {
  const { store, clock } = base
  return {
    issueToken: (caller, request) => issueToken(base, caller, request),
    tokens: (user) => store.tokens.of(user?.toLowerCase()).filter((record) => !isExpired(record, clock())),
    revokeToken: (caller, id) => revokeToken(base, caller, id),
    renewRootToken: () => renewRootToken(base, 'root-token.renew'),
    firstRootToken: () =>
      store.settings.get(ROOT_TOKEN) === undefined ? renewRootToken(base, 'root-token.make') : undefined,
  }
}

function issueToken(base: AccountsBase, caller: Caller, request: TokenRequest) {
  const id = makeTokenId()
  const { user, label = '', days, scopes } = request
  const detail = { id, label, days, scopes }
  return audited(base, caller, { action: 'token.issue', object: user.toLowerCase(), detail }, () => {
    const { name, groups } = existingUser(base.store, user)
    if (name !== caller.user) requirePermission(caller, 'admin')
    requireNoMore(caller, groupsOf(name, groups, scopes))
    const now = base.clock()
    base.store.tokens.removeExpired(now)
    requireRoom(base, name)
    const token = base.mint.make()
    const record: TokenRecord = {
      id,
      user: name,
      label,
      hash: base.mint.hash(token),
      scopes: scopes?.map(canonicalGroup),
      createdAt: now,
      expiresAt: expiryOf(base, caller, days),
    }
    base.store.tokens.add(record)
    return { token, record }
  })
}

/** Nobody makes a token that may more than they do. */
function requireNoMore(caller: Caller, groups: ReadonlySet<Group>): void {
  try {
    requireAll(caller, groups, 'make a token that has')
  } catch (error) {
    throw new FlexiError('FLEXI_FORBIDDEN', error instanceof Error ? error.message : String(error), {
      hint: 'Name scopes that leave it out.',
      cause: error,
    })
  }
}

function requireRoom({ store }: AccountsBase, user: string): void {
  if (store.tokens.of(user).length < TOKENS_MAX) return
  throw new FlexiError('FLEXI_CONFLICT', `${user} has ${TOKENS_MAX} tokens`, {
    hint: 'Revoke some: "flexi tokens revoke".',
  })
}

/** Who is no admin cannot outlive the token they have by making another: a stolen one would last for ever. */
function expiryOf({ store, clock }: AccountsBase, caller: Caller, days: number | undefined): number {
  const wanted = clock() + Math.round((days ?? DAYS) * DAY_MS)
  if (caller.groups.has('permission:admin')) return wanted
  const own = store.tokens.of(caller.user).find(({ id }) => id === caller.token)?.expiresAt ?? wanted
  if (wanted <= own || days === undefined) return Math.min(wanted, own)
  throw new FlexiError(
    'FLEXI_FORBIDDEN',
    `the token would outlive the one it is made with, which expires on ${new Date(own).toISOString()}`,
    { hint: 'Ask for fewer days, or have an admin make it.' },
  )
}

function revokeToken(base: AccountsBase, caller: Caller, id: string): boolean {
  const record = base.store.tokens.of().find((token) => token.id === id)
  if (record === undefined) return false
  // Whose ids exist is nobody's business but an admin's.
  if (record.user !== caller.user && !caller.groups.has('permission:admin')) return false
  const change = { action: 'token.revoke', object: record.user, detail: { id, label: record.label } }
  return audited(base, caller, change, () => base.store.tokens.remove(id))
}

function renewRootToken(base: AccountsBase, action: string): string {
  const token = base.mint.make()
  const operator: Caller = { user: 'root', token: 'local', groups: ROOT_GROUPS, from: 'local' }
  audited(base, operator, { action, object: 'root' }, () =>
    base.store.settings.set(ROOT_TOKEN, base.mint.hash(token)),
  )
  return token
}
