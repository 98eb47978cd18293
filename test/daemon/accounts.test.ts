import { randomBytes } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import type { FlexiError } from '../../src/core/errors.ts'
import type { Accounts } from '../../src/daemon/accounts.ts'
import { openAccounts } from '../../src/daemon/accounts/open-accounts.ts'
import { groupsOf, permissionsOf, shownGroups } from '../../src/daemon/accounts/permissions.ts'
import { PERMISSIONS, type Caller, type Group, type Permission } from '../../src/daemon/model.ts'
import type { Store } from '../../src/daemon/store.ts'
import { openStore } from '../../src/daemon/store/open-store.ts'

const DAY_MS = 86_400_000
const key = randomBytes(32)

let directory: string
let store: Store
let accounts: Accounts
let now: number
let rootToken: string
let root: Caller

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'flexi-accounts-'))
  store = await openStore({ file: join(directory, 'flexi.db'), key })
  now = Date.parse('2026-03-01T12:00:00Z')
  accounts = openAccounts({ store, key, clock: () => now })
  rootToken = accounts.firstRootToken() ?? ''
  root = accounts.authenticate(`Bearer ${rootToken}`, '203.0.113.1')
})

afterEach(async () => {
  store[Symbol.dispose]()
  await rm(directory, { recursive: true })
})

/** Adds a user and signs in as them. */
function signIn(name: string, groups: readonly Group[], scopes?: readonly Group[]): Caller {
  if (accounts.user(name) === undefined) accounts.addUser(root, name, groups)
  const { token } = accounts.issueToken(root, { user: name, scopes })
  return accounts.authenticate(`Bearer ${token}`, '203.0.113.2')
}

function codeOf(task: () => unknown): string {
  try {
    task()
    return 'done'
  } catch (error) {
    return (error as FlexiError).code
  }
}

describe('permissions', () => {
  /** Who has the row's may do the column's: the whole table. */
  const TABLE: Readonly<Record<Permission, string>> = {
    //      read write execute remove admin root
    read: '  yes  -     -       -      -     -',
    write: ' yes  yes   -       -      -     -',
    execute: '-   -     yes     -      -     -',
    remove: 'yes  -     -       yes    -     -',
    admin: ' yes  yes   yes     yes    yes   -',
    root: '  yes  yes   yes     yes    yes   yes',
  }

  test.each(PERMISSIONS)('permission:%s means what the table says', (permission) => {
    const caller = signIn('ada', [`permission:${permission}`])
    const expected = TABLE[permission].trim().split(/\s+/)
    expect(PERMISSIONS.map((asked) => (accounts.may(caller, asked) ? 'yes' : '-'))).toEqual(expected)
    for (const [index, asked] of PERMISSIONS.entries()) {
      expect(codeOf(() => accounts.demand(caller, asked))).toBe(
        expected[index] === 'yes' ? 'done' : 'FLEXI_FORBIDDEN',
      )
    }
  })

  test('a refusal names what is missing', () => {
    expect(() => accounts.demand(signIn('ada', []), 'write')).toThrow('ada lacks permission:write')
  })

  test('the network of the machine is for root and those who were given it, not for admins', () => {
    expect(root.groups).toContain('permission:host-net')
    expect(signIn('ada', ['permission:admin']).groups).not.toContain('permission:host-net')
    expect(signIn('bob', ['permission:host-net']).groups).toContain('permission:host-net')
  })

  test('shown groups leave out what another one implies', () => {
    expect(shownGroups(groupsOf('ada', ['permission:write', 'custom:team'], undefined))).toEqual([
      'permission:write',
      'custom:team',
      'singular:ada',
    ])
    expect(permissionsOf(root.groups)).toEqual(['root', 'admin', 'remove', 'execute', 'write', 'read'])
  })
})

describe('the group of a function', () => {
  test('is met by its user, by members, by admins and by root, and by nobody else', () => {
    const writer = ['permission:write'] as const
    const ada = signIn('ada', writer)
    const team = signIn('tess', [...writer, 'custom:team'])
    const other = signIn('otto', writer)
    const admin = signIn('anna', ['permission:admin'])
    const may = (group: Group): string[] =>
      [ada, team, other, admin, root]
        .filter((caller) => accounts.may(caller, 'write', group))
        .map(({ user }) => user)
    expect(may('singular:ada')).toEqual(['ada', 'anna', 'root'])
    expect(may('custom:team')).toEqual(['tess', 'anna', 'root'])
    expect(() => accounts.demand(other, 'write', 'singular:ada')).toThrow('belongs to singular:ada')
  })

  test('does not replace the permission', () => {
    const reader = signIn('ada', ['permission:read'])
    expect(accounts.may(reader, 'write', 'singular:ada')).toBe(false)
    expect(accounts.may(reader, 'read', 'singular:ada')).toBe(true)
  })

  test('without one, everybody with the permission may', () => {
    expect(accounts.may(signIn('otto', ['permission:write']), 'write')).toBe(true)
  })

  test('of a user is told by their name in any case', () => {
    expect(accounts.may(signIn('ada', ['permission:write']), 'write', 'singular:Ada')).toBe(true)
  })
})

describe('signing in', () => {
  test.each([undefined, '', 'Bearer', 'Bearer ', 'Basic YTpi', 'Token x'])(
    'without a bearer token (%s) is unauthenticated, and the answer says how to',
    (field) => {
      expect(codeOf(() => accounts.authenticate(field, '203.0.113.9'))).toBe('FLEXI_UNAUTHENTICATED')
      try {
        accounts.authenticate(field, '203.0.113.9')
      } catch (error) {
        expect((error as FlexiError).answerFields).toEqual({ 'WWW-Authenticate': 'Bearer' })
      }
    },
  )

  test('with an unknown token is forbidden', () => {
    expect(codeOf(() => accounts.authenticate('Bearer nonsense', '203.0.113.9'))).toBe('FLEXI_FORBIDDEN')
  })

  test('takes the scheme in any case, and spaces around the token', () => {
    expect(accounts.authenticate(`bearer   ${rootToken}  `, '203.0.113.9').user).toBe('root')
  })

  test('a token is 43 characters of base64url and works for ten days when nobody says', () => {
    accounts.addUser(root, 'ada', ['permission:read'])
    const { token, record } = accounts.issueToken(root, { user: 'ada' })
    expect(token).toMatch(/^[A-Za-z0-9_-]{43}$/)
    expect(record.expiresAt).toBe(now + 10 * DAY_MS)
    now += 10 * DAY_MS - 1
    expect(accounts.authenticate(`Bearer ${token}`, '::1').user).toBe('ada')
    now += 1
    expect(codeOf(() => accounts.authenticate(`Bearer ${token}`, '::1'))).toBe('FLEXI_FORBIDDEN')
    expect(store.tokens.of('ada')).toEqual([])
  })

  test('fractions of a day count', () => {
    accounts.addUser(root, 'ada', [])
    expect(accounts.issueToken(root, { user: 'ada', days: 0.5 }).record.expiresAt).toBe(now + DAY_MS / 2)
  })

  test('sees at once what a user is given and loses', () => {
    accounts.addUser(root, 'ada', ['permission:read'])
    const { token } = accounts.issueToken(root, { user: 'ada' })
    const may = (): boolean => accounts.may(accounts.authenticate(`Bearer ${token}`, '::1'), 'write')
    expect(may()).toBe(false)
    accounts.modifyUser(root, 'ada', ['permission:write'])
    expect(may()).toBe(true)
    accounts.removeUser(root, 'ada')
    expect(codeOf(may)).toBe('FLEXI_FORBIDDEN')
  })

  test("notes a token's use once a minute, not at each request", () => {
    accounts.addUser(root, 'ada', [])
    const { token } = accounts.issueToken(root, { user: 'ada' })
    const usedAt = (): number | undefined => store.tokens.of('ada')[0]?.usedAt
    const first = now
    accounts.authenticate(`Bearer ${token}`, '::1')
    expect(usedAt()).toBe(first)
    now += 59_000
    accounts.authenticate(`Bearer ${token}`, '::1')
    expect(usedAt()).toBe(first)
    now += 1_000
    accounts.authenticate(`Bearer ${token}`, '::1')
    expect(usedAt()).toBe(now)
  })

  test('never crashes, whatever the field holds', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 2_000 }), (text) => {
        const code = codeOf(() => accounts.authenticate(`Bearer ${text}`, '198.51.100.7'))
        expect(code).toMatch(/^FLEXI_(FORBIDDEN|UNAUTHENTICATED|RATE_LIMIT)$/)
      }),
    )
  })
})

describe('guessing', () => {
  const guess = (token: string, from = '198.51.100.1'): string =>
    codeOf(() => accounts.authenticate(`Bearer ${token}`, from))

  test('is throttled after ten wrong tokens, with the time to wait, and goes on one by one', () => {
    for (let count = 0; count < 10; count++) expect(guess(`wrong-${count}`)).toBe('FLEXI_FORBIDDEN')
    expect(guess('wrong-10')).toBe('FLEXI_RATE_LIMIT')
    try {
      accounts.authenticate('Bearer wrong-11', '198.51.100.1')
    } catch (error) {
      expect((error as FlexiError).retryAfterSeconds).toBe(6)
    }
    now += 6_000
    expect(guess('wrong-12')).toBe('FLEXI_FORBIDDEN')
    expect(guess('wrong-13')).toBe('FLEXI_RATE_LIMIT')
    expect(guess('wrong-14', '198.51.100.2')).toBe('FLEXI_FORBIDDEN')
  })

  test('counts no token twice: a client with an old token locks nobody out', () => {
    for (let count = 0; count < 50; count++) expect(guess('old')).toBe('FLEXI_FORBIDDEN')
    expect(guess('another')).toBe('FLEXI_FORBIDDEN')
  })

  test('right tokens that were used before pass meanwhile, and others do not: a guess that hits is not told', () => {
    accounts.addUser(root, 'ada', [])
    const { token: fresh } = accounts.issueToken(root, { user: 'ada' })
    for (let count = 0; count < 10; count++) guess(`wrong-${count}`)
    expect(guess(rootToken)).toBe('done')
    expect(guess(fresh)).toBe('FLEXI_RATE_LIMIT')
    now += 6_000
    expect(guess(fresh)).toBe('done')
  })

  test('from one network of IPv6 is one guesser', () => {
    for (let count = 0; count < 10; count++) guess(`wrong-${count}`, `2001:db8:0:1::${count}`)
    expect(guess('wrong-10', '2001:db8::1:0:0:0:ffff')).toBe('FLEXI_RATE_LIMIT')
    expect(guess('wrong-11', '2001:db8:0:2::1')).toBe('FLEXI_FORBIDDEN')
  })
})

describe('scopes', () => {
  const user: readonly Group[] = ['permission:admin', 'custom:team', 'custom:other']

  test('leave of the permissions what is in both', () => {
    const caller = signIn('ada', user, ['permission:write'])
    expect(permissionsOf(caller.groups)).toEqual(['write', 'read'])
  })

  test('of permissions leave memberships alone', () => {
    const caller = signIn('ada', user, ['permission:write'])
    expect(accounts.may(caller, 'write', 'custom:team')).toBe(true)
    expect(accounts.may(caller, 'write', 'singular:ada')).toBe(true)
    expect(accounts.may(caller, 'write', 'custom:third')).toBe(false)
  })

  test('that name a group leave that one alone, and make no admin', () => {
    const caller = signIn('ada', user, ['custom:team'])
    expect(permissionsOf(caller.groups)).toEqual(['remove', 'execute', 'write', 'read'])
    expect(accounts.may(caller, 'write', 'custom:team')).toBe(true)
    expect(accounts.may(caller, 'write', 'custom:other')).toBe(false)
    expect(accounts.may(caller, 'write', 'singular:ada')).toBe(false)
  })

  test('never add anything', () => {
    const caller = signIn('bob', ['permission:read'], ['permission:root', 'custom:team'])
    expect([...caller.groups]).toEqual(['permission:read'])
  })

  test('never leave more than the user has, whatever they are', () => {
    const group = fc.constantFrom<Group>(
      ...PERMISSIONS.map((permission) => `permission:${permission}` as const),
      'permission:host-net',
      'custom:team',
      'singular:bob',
      'singular:ada',
    )
    fc.assert(
      fc.property(fc.array(group), fc.array(group), (groups, scopes) => {
        const all = groupsOf('ada', groups, undefined)
        const added = [...groupsOf('ada', groups, scopes)].filter((left) => !all.has(left))
        expect(added).toEqual([])
      }),
    )
  })
})

describe('users', () => {
  test('are kept in lower case, and found in any', () => {
    accounts.addUser(root, 'Ada-L', ['permission:read', 'permission:read', 'singular:Bob'])
    expect(accounts.user('ADA-l')).toMatchObject({
      name: 'ada-l',
      groups: ['permission:read', 'singular:bob'],
    })
    expect(codeOf(() => accounts.addUser(root, 'aDa-L', []))).toBe('FLEXI_CONFLICT')
    accounts.modifyUser(root, 'ADA-L', [])
    expect(accounts.user('ada-l')?.groups).toEqual([])
    accounts.removeUser(root, 'Ada-l')
    expect(accounts.users()).toEqual([])
  })

  test('root is there by itself, and can be neither added, changed nor removed', () => {
    expect(accounts.user('Root')).toMatchObject({ name: 'root', groups: ['permission:root'] })
    expect(codeOf(() => accounts.addUser(root, 'Root', []))).toBe('FLEXI_CONFLICT')
    expect(codeOf(() => accounts.modifyUser(root, 'ROOT', []))).toBe('FLEXI_FORBIDDEN')
    expect(codeOf(() => accounts.removeUser(root, 'root'))).toBe('FLEXI_NO_INPUT')
    expect(codeOf(() => accounts.issueToken(root, { user: 'root' }))).toBe('FLEXI_NO_INPUT')
  })

  test.each(['', 'a b', 'ada@home', 'a/b', '..', 'é', 'x'.repeat(64)])('%j is no name', (name) => {
    expect(codeOf(() => accounts.addUser(root, name, []))).toBe('FLEXI_FORBIDDEN')
  })

  test('nobody gives or takes what they lack: an admin makes no root', () => {
    const admin = signIn('anna', ['permission:admin', 'custom:team'])
    for (const group of ['permission:root', 'permission:host-net'] as const) {
      expect(codeOf(() => accounts.addUser(admin, 'eve', [group]))).toBe('FLEXI_FORBIDDEN')
    }
    expect(accounts.user('eve')).toBeUndefined()
    accounts.addUser(admin, 'bob', ['permission:admin', 'permission:remove', 'custom:any'])
    expect(codeOf(() => accounts.modifyUser(admin, 'bob', ['permission:root']))).toBe('FLEXI_FORBIDDEN')
    expect(codeOf(() => accounts.modifyUser(admin, 'anna', ['permission:root']))).toBe('FLEXI_FORBIDDEN')
    accounts.addUser(root, 'rita', ['permission:root'])
    expect(codeOf(() => accounts.modifyUser(admin, 'rita', []))).toBe('FLEXI_FORBIDDEN')
    expect(accounts.user('rita')?.groups).toEqual(['permission:root'])
    expect(accounts.modifyUser(admin, 'bob', []).groups).toEqual([])
  })

  test('are added and changed by admins, removed by root alone, and who is none of them does nothing', () => {
    const writer = signIn('walt', ['permission:write', 'permission:remove', 'permission:execute'])
    const admin = signIn('anna', ['permission:admin'])
    expect(codeOf(() => accounts.addUser(writer, 'eve', []))).toBe('FLEXI_FORBIDDEN')
    expect(codeOf(() => accounts.modifyUser(writer, 'walt', ['permission:admin']))).toBe('FLEXI_FORBIDDEN')
    expect(codeOf(() => accounts.removeUser(admin, 'walt'))).toBe('FLEXI_FORBIDDEN')
    expect(codeOf(() => accounts.removeUser(root, 'walt'))).toBe('done')
    expect(codeOf(() => accounts.removeUser(root, 'walt'))).toBe('FLEXI_NO_INPUT')
    expect(codeOf(() => accounts.modifyUser(root, 'walt', []))).toBe('FLEXI_NO_INPUT')
  })
})

describe('tokens', () => {
  test('are made by admins for others, and by users for themselves', () => {
    const ada = signIn('ada', ['permission:write'])
    const bob = signIn('bob', ['permission:write'])
    expect(codeOf(() => accounts.issueToken(ada, { user: 'ada', days: 1 }))).toBe('done')
    expect(codeOf(() => accounts.issueToken(ada, { user: 'bob', days: 1 }))).toBe('FLEXI_FORBIDDEN')
    expect(codeOf(() => accounts.issueToken(signIn('anna', ['permission:admin']), { user: 'bob' }))).toBe(
      'done',
    )
    expect(codeOf(() => accounts.issueToken(root, { user: 'nobody' }))).toBe('FLEXI_NO_INPUT')
    expect(bob.user).toBe('bob')
  })

  test('an admin makes none for a user who may more', () => {
    accounts.addUser(root, 'rita', ['permission:root'])
    const admin = signIn('anna', ['permission:admin'])
    expect(codeOf(() => accounts.issueToken(admin, { user: 'rita' }))).toBe('FLEXI_FORBIDDEN')
    const scoped = accounts.issueToken(admin, { user: 'rita', scopes: ['permission:read'] })
    expect(permissionsOf(accounts.authenticate(`Bearer ${scoped.token}`, '::1').groups)).toEqual(['read'])
  })

  test('one with scopes makes none that may more', () => {
    const scoped = signIn(
      'ada',
      ['permission:write', 'permission:execute', 'custom:team'],
      ['permission:write'],
    )
    expect(codeOf(() => accounts.issueToken(scoped, { user: 'ada' }))).toBe('FLEXI_FORBIDDEN')
    expect(codeOf(() => accounts.issueToken(scoped, { user: 'ada', scopes: ['permission:write'] }))).toBe(
      'done',
    )
    const member = signIn('ada', [], ['custom:team'])
    expect(codeOf(() => accounts.issueToken(member, { user: 'ada', scopes: ['permission:read'] }))).toBe(
      'FLEXI_FORBIDDEN',
    )
  })

  test('who is no admin makes none that outlives the one they have', () => {
    accounts.addUser(root, 'ada', ['permission:write'])
    const { token } = accounts.issueToken(root, { user: 'ada', days: 3 })
    const ada = accounts.authenticate(`Bearer ${token}`, '::1')
    expect(codeOf(() => accounts.issueToken(ada, { user: 'ada', days: 4 }))).toBe('FLEXI_FORBIDDEN')
    expect(accounts.issueToken(ada, { user: 'ada' }).record.expiresAt).toBe(now + 3 * DAY_MS)
    expect(accounts.issueToken(ada, { user: 'ada', days: 1 }).record.expiresAt).toBe(now + DAY_MS)
  })

  test('are revoked by their user and by admins; those of others are not there for anybody else', () => {
    accounts.addUser(root, 'ada', [])
    const first = accounts.issueToken(root, { user: 'ada' })
    const second = accounts.issueToken(root, { user: 'ada' })
    const ada = accounts.authenticate(`Bearer ${first.token}`, '::1')
    expect(accounts.revokeToken(signIn('bob', ['permission:write']), second.record.id)).toBe(false)
    expect(accounts.revokeToken(ada, second.record.id)).toBe(true)
    expect(accounts.revokeToken(ada, second.record.id)).toBe(false)
    expect(codeOf(() => accounts.authenticate(`Bearer ${second.token}`, '::1'))).toBe('FLEXI_FORBIDDEN')
    expect(accounts.revokeToken(signIn('anna', ['permission:admin']), first.record.id)).toBe(true)
    expect(accounts.tokens('ada')).toEqual([])
  })

  test('are not listed once they have expired', () => {
    accounts.addUser(root, 'ada', [])
    accounts.issueToken(root, { user: 'ada', days: 1 })
    accounts.issueToken(root, { user: 'ada', days: 2, label: 'laptop' })
    now += DAY_MS
    expect(accounts.tokens('Ada').map(({ label }) => label)).toEqual(['laptop'])
  })

  test('have a bound a user', () => {
    accounts.addUser(root, 'ada', [])
    store.transaction(() => {
      for (let count = 0; count < 1_000; count++) accounts.issueToken(root, { user: 'ada' })
    })
    expect(codeOf(() => accounts.issueToken(root, { user: 'ada' }))).toBe('FLEXI_CONFLICT')
    now += 11 * DAY_MS
    expect(codeOf(() => accounts.issueToken(root, { user: 'ada' }))).toBe('done')
  })
})

describe('the root token', () => {
  test('is made once, told once, and outlives the process', () => {
    expect(rootToken).toMatch(/^[A-Za-z0-9_-]{43}$/)
    expect(accounts.firstRootToken()).toBeUndefined()
    const again = openAccounts({ store, key })
    expect(again.firstRootToken()).toBeUndefined()
    expect(again.authenticate(`Bearer ${rootToken}`, '::1').user).toBe('root')
  })

  test('is made anew by the operator, and the old one is worth nothing', () => {
    const renewed = accounts.renewRootToken()
    expect(renewed).not.toBe(rootToken)
    expect(codeOf(() => accounts.authenticate(`Bearer ${rootToken}`, '::1'))).toBe('FLEXI_FORBIDDEN')
    expect(accounts.authenticate(`Bearer ${renewed}`, '::1').user).toBe('root')
  })

  test('is worth nothing under another key', () => {
    const other = openAccounts({ store, key: randomBytes(32) })
    expect(codeOf(() => other.authenticate(`Bearer ${rootToken}`, '::1'))).toBe('FLEXI_FORBIDDEN')
  })
})

describe('what is written', () => {
  test('no token is in the files, nor in the audit log', async () => {
    accounts.addUser(root, 'ada', [])
    const { token, record } = accounts.issueToken(root, { user: 'ada' })
    const files = (await readdir(directory)).map((name) => join(directory, name))
    const bytes = await Promise.all(files.map((file) => readFile(file)))
    expect(bytes.some((content) => content.includes(record.hash))).toBe(true)
    expect(bytes.some((content) => content.includes(token) || content.includes(rootToken))).toBe(false)
    expect(JSON.stringify(store.audit.recent({ limit: 100 }))).not.toContain(token)
  })

  test('every change is in the audit log, with who, from where and how it went', () => {
    const admin = signIn('anna', ['permission:admin'])
    accounts.addUser(admin, 'bob', ['permission:read'])
    codeOf(() => accounts.addUser(admin, 'eve', ['permission:root']))
    accounts.modifyUser(admin, 'bob', [])
    const { record } = accounts.issueToken(admin, { user: 'bob', label: 'ci' })
    accounts.revokeToken(admin, record.id)
    accounts.removeUser(root, 'bob')
    accounts.renewRootToken()
    const lines = store.audit.recent({ limit: 7 }).toReversed()
    expect(
      lines.map(({ user, action, object, outcome }) => `${user} ${action} ${object} ${outcome}`),
    ).toEqual([
      'anna user.add bob done',
      'anna user.add eve refused',
      'anna user.modify bob done',
      'anna token.issue bob done',
      'anna token.revoke bob done',
      'root user.remove bob done',
      'root root-token.renew root done',
    ])
    expect(lines[0]).toMatchObject({ token: admin.token, from: '203.0.113.2', at: now })
    expect(lines[1]?.detail).toMatchObject({ groups: ['permission:root'] })
    expect(store.audit.verify()).toEqual({ intact: true })
  })
})
