import { randomBytes } from 'node:crypto'
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import Libsql from 'libsql'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import type {
  AuditRecord,
  Digest,
  FunctionKey,
  VersionConfig,
  VersionRecord,
} from '../../src/daemon/model.ts'
import type { Store } from '../../src/daemon/store.ts'
import { openStore } from '../../src/daemon/store/open-store.ts'

const key = randomBytes(32)
const stores: Store[] = []
let directory: string
let file: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'flexi-store-'))
  file = join(directory, 'flexi.db')
})

afterEach(async () => {
  for (const store of stores.splice(0)) close(store)
  await rm(directory, { recursive: true })
})

async function opened(): Promise<Store> {
  const store = await openStore({ file, key })
  stores.push(store)
  return store
}

/** What is there after everything in memory is gone. */
async function reopened(): Promise<Store> {
  for (const store of stores.splice(0)) close(store)
  return await opened()
}

function close(store: Store): void {
  store[Symbol.dispose]()
}

const config: VersionConfig = {
  group: 'singular:ada',
  provider: 'process',
  options: { nested: { list: [1, 'two', null] } },
  environment: { GREETING: 'grüß dich "you"' },
  timeoutMs: 1500,
  addr: '127.0.0.1:0',
  sandbox: {
    command: './serve',
    args: ['--port', '0'],
    ro_entries: { '/usr': null, '/opt/a b': '/a' },
    envs: { HOME: null, A: '1' },
    inherit_stdout: true,
    syscall_filter_mode: 'Deny',
    syscall_filter: ['ptrace'],
    mount_procfs: true,
    mount_devtmpfs: true,
    mount_tmpfs: false,
  },
  network: 'egress',
  limits: { memoryMb: 128 },
  instances: { max: 4 },
  health: { path: '/healthz' },
}

function addFunction(store: Store, name: string): void {
  store.functions.add({ name, createdAt: 1, createdBy: 'ada' })
}

function version(name: string, label: string, artifact = 'a'.repeat(64)): VersionRecord {
  const given = { config, createdAt: 1_763_757_000_123, createdBy: 'ada', wanted: 'running' } as const
  return { name, version: label, artifact: artifact as Digest, ...given }
}

function alias(label: string, movedAt: number, second?: { version: string; weight: number }) {
  return { function: 'hello', alias: 'live', version: label, second, movedAt, movedBy: 'ada' }
}

function auditLine(object: string, detail: AuditRecord['detail'] = {}): Omit<AuditRecord, 'id'> {
  const who = { user: 'ada', token: 't1', from: '127.0.0.1' }
  return { at: 5, ...who, action: 'alias.set', object, outcome: 'done', detail }
}

/** As somebody who can write into the file and does not have the key. */
function tamper(sql: string): void {
  const database = new Libsql(file)
  database.exec(sql)
  database.close()
}

describe('functions and versions', () => {
  test('a version is the same after a restart, because nothing of it is only in memory', async () => {
    const store = await opened()
    addFunction(store, 'hello')
    store.versions.add(version('hello', 'v1'))
    expect((await reopened()).versions.get({ name: 'hello', version: 'v1' })).toEqual(version('hello', 'v1'))
  })

  test('a number is never given twice, because what a removed function left behind belongs to its user', async () => {
    const store = await opened()
    addFunction(store, 'one')
    addFunction(store, 'two')
    store.functions.remove('two')
    addFunction(store, 'three')
    expect(store.functions.all().map(({ name, number }) => [name, number])).toEqual([
      ['one', 1],
      ['three', 3],
    ])
  })

  test('what is there already is a conflict', async () => {
    const store = await opened()
    addFunction(store, 'hello')
    store.versions.add(version('hello', 'v1'))
    expect(() => addFunction(store, 'hello')).toThrow(expect.objectContaining({ code: 'FLEXI_CONFLICT' }))
    expect(() => store.versions.add(version('hello', 'v1'))).toThrow(
      expect.objectContaining({ code: 'FLEXI_CONFLICT', message: 'hello@v1 is there already' }),
    )
  })

  test('a version of a function that is not there is refused', async () => {
    const store = await opened()
    expect(() => store.versions.add(version('nobody', 'v1'))).toThrow(
      expect.objectContaining({ code: 'FLEXI_FUNCTION_UNKNOWN' }),
    )
  })

  test('a function takes its versions, aliases, their history and its variables along', async () => {
    const store = await opened()
    addFunction(store, 'hello')
    store.versions.add(version('hello', 'v1'))
    store.aliases.set(alias('v1', 1))
    store.aliases.set(alias('v2', 2))
    store.variables.set({ function: 'hello', name: 'A', secret: false, value: '1', setAt: 1, setBy: 'ada' })
    expect(store.functions.remove('hello')).toBe(true)
    expect(store.functions.remove('hello')).toBe(false)
    expect([store.versions.all(), store.aliases.all(), store.variables.of('hello')]).toEqual([[], [], []])
    addFunction(store, 'hello')
    expect(store.aliases.history('hello', 'live')).toEqual([])
  })

  test('group, configuration and what is wanted change in place; the artifacts still named are told', async () => {
    const store = await opened()
    addFunction(store, 'hello')
    store.versions.add(version('hello', 'v1'))
    store.versions.add(version('hello', 'v2', 'b'.repeat(64)))
    const v1: FunctionKey = { name: 'hello', version: 'v1' }
    store.functions.setGroup('hello', 'custom:team')
    expect(store.versions.setConfig(v1, { ...config, provider: 'lambda' })).toBe(true)
    expect(store.versions.setConfig({ name: 'hello', version: 'v9' }, config)).toBe(false)
    store.versions.setWanted(v1, 'stopped')
    const again = await reopened()
    expect(again.functions.get('hello')?.group).toBe('custom:team')
    expect(again.versions.get(v1)).toMatchObject({ wanted: 'stopped', config: { provider: 'lambda' } })
    expect(again.versions.remove(v1)).toBe(true)
    expect([...again.versions.artifacts()]).toEqual(['b'.repeat(64)])
    expect(again.versions.of('hello').map((one) => one.version)).toEqual(['v2'])
  })
})

describe('aliases', () => {
  test('remember where they led, newest first, with who moved them there and when', async () => {
    const store = await opened()
    addFunction(store, 'hello')
    store.aliases.set(alias('v1', 10))
    store.aliases.set(alias('v1', 20, { version: 'v2', weight: 0.1 }))
    store.aliases.set(alias('v2', 30))
    expect(store.aliases.get('hello', 'live')).toEqual(alias('v2', 30))
    expect(
      store.aliases.history('hello', 'live').map(({ version: to, at, second }) => [to, at, second]),
    ).toEqual([
      ['v1', 20, { version: 'v2', weight: 0.1 }],
      ['v1', 10, undefined],
    ])
    expect(store.aliases.history('hello', 'live', 1)).toHaveLength(1)
  })

  test('pointing one where it leads already is no move, so that a rollback does not go back to the same', async () => {
    const store = await opened()
    addFunction(store, 'hello')
    store.aliases.set(alias('v1', 10))
    store.aliases.set(alias('v1', 20))
    expect(store.aliases.history('hello', 'live')).toEqual([])
    expect(store.aliases.get('hello', 'live')?.movedAt).toBe(20)
  })

  test('one that was taken away can be put back, because its last place is in its history', async () => {
    const store = await opened()
    addFunction(store, 'hello')
    store.aliases.set(alias('v1', 10))
    expect(store.aliases.remove('hello', 'live')).toBe(true)
    expect(store.aliases.remove('hello', 'live')).toBe(false)
    expect(store.aliases.history('hello', 'live')[0]?.version).toBe('v1')
  })

  test('keep the last thousand moves', async () => {
    const store = await opened()
    addFunction(store, 'hello')
    store.transaction(() => {
      for (let at = 0; at <= 1010; at++) store.aliases.set(alias(`v${at}`, at))
    })
    const history = store.aliases.history('hello', 'live', 5000)
    expect([history.length, history[0]?.version, history.at(-1)?.version]).toEqual([1000, 'v1009', 'v10'])
  })
})

describe('deployments', () => {
  const one = {
    id: 'd1',
    project: 'shop',
    alias: 'live',
    state: 'received',
    keys: [],
    startedAt: 1,
    by: 'ada',
  } as const

  test('are one record each, newest first, of one project or of all', async () => {
    const store = await opened()
    store.deployments.put(one)
    store.deployments.put({ ...one, id: 'd2', project: 'blog' })
    const keys = [{ name: 'hello', version: 'v1' }]
    store.deployments.put({ ...one, state: 'failed', keys, endedAt: 9, error: 'no answer' })
    expect(store.deployments.get('d1')).toEqual({
      ...one,
      state: 'failed',
      keys,
      endedAt: 9,
      error: 'no answer',
    })
    expect(store.deployments.recent(10).map(({ id }) => id)).toEqual(['d2', 'd1'])
    expect(store.deployments.recent(10, 'shop').map(({ id }) => id)).toEqual(['d1'])
    expect(store.deployments.recent(1)).toHaveLength(1)
    expect(store.deployments.get('d9')).toBeUndefined()
  })
})

describe('users and tokens', () => {
  const token = { id: 't1', user: 'ada', label: 'laptop', hash: 'h1', createdAt: 1, expiresAt: 1000 }

  test('a user goes with the tokens', async () => {
    const store = await opened()
    store.users.add({ name: 'ada', groups: ['permission:admin', 'custom:team'], createdAt: 1 })
    expect(() => store.users.add({ name: 'ada', groups: [], createdAt: 2 })).toThrow(
      expect.objectContaining({ code: 'FLEXI_CONFLICT' }),
    )
    store.tokens.add(token)
    expect(store.users.setGroups('ada', ['permission:read'])).toBe(true)
    expect(store.users.setGroups('bob', [])).toBe(false)
    expect(store.users.all()).toEqual([{ name: 'ada', groups: ['permission:read'], createdAt: 1 }])
    expect([store.users.remove('ada'), store.users.remove('ada')]).toEqual([true, false])
    expect(store.tokens.of()).toEqual([])
  })

  test('a token is found by its hash until its time is over', async () => {
    const store = await opened()
    store.tokens.add(token)
    store.tokens.add({ ...token, id: 't2', hash: 'h2', expiresAt: undefined, scopes: ['permission:read'] })
    expect(store.tokens.byHash('h2')).toMatchObject({
      id: 't2',
      scopes: ['permission:read'],
      expiresAt: undefined,
    })
    expect(store.tokens.removeExpired(999)).toBe(0)
    expect(store.tokens.removeExpired(1000)).toBe(1)
    expect(store.tokens.byHash('h1')).toBeUndefined()
    expect([store.tokens.remove('t2'), store.tokens.remove('t2')]).toEqual([true, false])
  })

  test('its use is written once a minute, because a write waits for the disk', async () => {
    const store = await opened()
    store.tokens.add(token)
    const usedAt = () => store.tokens.byHash('h1')?.usedAt
    store.tokens.used('t1', 100_000)
    store.tokens.used('t1', 159_999)
    expect(usedAt()).toBe(100_000)
    store.tokens.used('t1', 160_000)
    expect(usedAt()).toBe(160_000)
  })
})

describe('variables', () => {
  const secret = {
    function: 'hello',
    name: 'PASSWORD',
    secret: true,
    value: 'swordfish-π',
    setAt: 1,
    setBy: 'ada',
  }

  test('a secret is told to its function alone, and is nowhere on the disk', async () => {
    const store = await opened()
    store.variables.set(secret)
    store.variables.set({ ...secret, name: 'COLOUR', secret: false, value: 'blue' })
    expect(store.variables.environment('hello')).toEqual({ COLOUR: 'blue', PASSWORD: 'swordfish-π' })
    expect(store.variables.of('hello').map(({ name, value }) => [name, value])).toEqual([
      ['COLOUR', 'blue'],
      ['PASSWORD', undefined],
    ])
    const bytes = await Promise.all([file, `${file}-wal`].map((path) => readFile(path)))
    expect(Buffer.concat(bytes).includes('blue')).toBe(true)
    expect(Buffer.concat(bytes).includes('swordfish')).toBe(false)
    expect(store.variables.remove('hello', 'PASSWORD')).toBe(true)
    expect(store.variables.environment('hello')).toEqual({ COLOUR: 'blue' })
  })

  test('a sealed value that was moved to another function is refused, because it is bound to its place', async () => {
    const store = await opened()
    store.variables.set(secret)
    tamper("UPDATE variables SET function = 'mallory'")
    expect(() => store.variables.environment('mallory')).toThrow(
      'the secret PASSWORD of "mallory" was changed',
    )
  })

  test('whatever text goes in comes out', async () => {
    const store = await opened()
    const text = fc
      .string({ unit: 'binary', maxLength: 300 })
      .filter((value) => Buffer.from(value).toString() === value && !value.includes('\0'))
    fc.assert(
      fc.property(text, fc.boolean(), (value, sealed) => {
        store.variables.set({ ...secret, value, secret: sealed })
        expect(store.variables.environment('hello')['PASSWORD']).toBe(value)
      }),
      { numRuns: 100 },
    )
  })
})

test('a text with a NUL is refused, because half of it would be kept', async () => {
  const store = await opened()
  expect(() => store.settings.set('domains', 'a\0b')).toThrow(
    expect.objectContaining({ code: 'FLEXI_BAD_REQUEST' }),
  )
  expect(store.settings.get('domains')).toBeUndefined()
})

describe('the audit log', () => {
  test('is intact as long as nobody wrote into the file, also over a restart', async () => {
    const store = await opened()
    expect(store.audit.verify()).toEqual({ intact: true })
    for (const object of ['a', 'b', 'c']) store.audit.add(auditLine(object, { to: 'v2', none: undefined }))
    const again = await reopened()
    again.audit.add(auditLine('d'))
    expect(again.audit.verify()).toEqual({ intact: true })
    expect(again.audit.recent({ limit: 10 }).map(({ id, object }) => [id, object])).toEqual([
      [4, 'd'],
      [3, 'c'],
      [2, 'b'],
      [1, 'a'],
    ])
  })

  test('finds lines by time, user and object', async () => {
    const store = await opened()
    store.audit.add(auditLine('a'))
    store.audit.add({ ...auditLine('b'), at: 9, user: 'bob' })
    const objects = (filter: object) =>
      store.audit.recent({ limit: 10, ...filter }).map(({ object }) => object)
    expect([objects({ since: 6 }), objects({ user: 'ada' }), objects({ object: 'b' }), objects({})]).toEqual([
      ['b'],
      ['a'],
      ['b'],
      ['b', 'a'],
    ])
  })

  test.each([
    ['a line that was changed', "UPDATE audit SET user = 'eve' WHERE id = 2", 2],
    ['a line that was taken out', 'DELETE FROM audit WHERE id = 2', 2],
    ['lines that were cut off at the end', 'DELETE FROM audit WHERE id > 2', 3],
    ['all lines gone', 'DELETE FROM audit', 1],
    [
      'a line put in',
      'INSERT INTO audit SELECT 5, at, user, token, source, action, object, outcome, detail, hash FROM audit WHERE id = 4',
      5,
    ],
  ])('tells %s', async (_, sql, from) => {
    const store = await opened()
    for (const object of ['a', 'b', 'c', 'd']) store.audit.add(auditLine(object))
    tamper(sql)
    expect(store.audit.verify()).toEqual({ intact: false, from })
  })
})

describe('transactions', () => {
  test('are nothing when they throw', async () => {
    const store = await opened()
    expect(() =>
      store.transaction(() => {
        addFunction(store, 'hello')
        store.versions.add(version('hello', 'v1'))
        throw new Error('no')
      }),
    ).toThrow('no')
    expect(store.functions.all()).toEqual([])
    addFunction(store, 'hello')
    expect((await reopened()).functions.all()).toHaveLength(1)
  })

  test('a nested one that throws is undone alone, and the outer one goes on', async () => {
    const store = await opened()
    const result = store.transaction(() => {
      addFunction(store, 'outer')
      expect(() =>
        store.transaction(() => {
          addFunction(store, 'inner')
          throw new Error('no')
        }),
      ).toThrow('no')
      return 'done'
    })
    expect([result, store.functions.all().map(({ name }) => name)]).toEqual(['done', ['outer']])
  })

  test('a nested one is nothing when the outer one throws', async () => {
    const store = await opened()
    expect(() =>
      store.transaction(() => {
        store.transaction(() => addFunction(store, 'inner'))
        throw new Error('no')
      }),
    ).toThrow('no')
    expect(store.functions.all()).toEqual([])
  })

  test('a task that would go on afterwards is refused and undone', async () => {
    const store = await opened()
    expect(() => store.transaction(() => Promise.resolve(addFunction(store, 'late')))).toThrow('synchronous')
    expect(store.functions.all()).toEqual([])
  })

  test('settings are set, replaced and taken away', async () => {
    const store = await opened()
    store.settings.set('domains', '1')
    store.settings.set('domains', '2')
    const again = await reopened()
    expect(again.settings.get('domains')).toBe('2')
    again.settings.remove('domains')
    expect(again.settings.get('domains')).toBeUndefined()
  })
})

describe('the file', () => {
  test('is closed once, however often that is asked: who crashes half-way closes again', async () => {
    const store = await openStore({ file, key })
    close(store)
    expect(() => close(store)).not.toThrow()
  })

  test('is read by its user alone, also after a copy was put back', async () => {
    close(await openStore({ file, key }))
    await chmod(file, 0o644)
    await opened()
    const modes = await Promise.all([file, `${file}-wal`, `${file}-shm`].map((path) => stat(path)))
    expect(modes.map(({ mode }) => mode & 0o777)).toEqual([0o600, 0o600, 0o600])
  })

  test('is open in two processes while one takes over from the other, and the audit log stays one chain', async () => {
    const [before, after] = [await opened(), await opened()]
    for (const object of ['a', 'b', 'c']) {
      before.audit.add(auditLine(object))
      after.audit.add(auditLine(object))
    }
    expect(before.audit.verify()).toEqual({ intact: true })
    expect(after.audit.recent({ limit: 10 }).map(({ id }) => id)).toEqual([6, 5, 4, 3, 2, 1])
    addFunction(before, 'hello')
    expect(after.functions.get('hello')?.name).toBe('hello')
  })

  test('can be copied while it is open', async () => {
    const store = await opened()
    addFunction(store, 'hello')
    tamper(`VACUUM INTO '${join(directory, 'copy.db')}'`)
    const copy = await openStore({ file: join(directory, 'copy.db'), key })
    stores.push(copy)
    expect(copy.functions.all().map(({ name }) => name)).toEqual(['hello'])
  })

  test('is refused under another key, before a function starts without its secrets', async () => {
    close(await openStore({ file, key }))
    await expect(openStore({ file, key: randomBytes(32) })).rejects.toMatchObject({
      code: 'FLEXI_DAEMON',
      hint: 'Put back the key file that was beside it.',
    })
    // What failed holds nothing.
    await opened()
  })

  test('of a newer flexi is refused and not touched', async () => {
    close(await openStore({ file, key }))
    tamper('PRAGMA user_version = 99')
    await expect(openStore({ file, key })).rejects.toThrow('was written by a newer flexi (format 99')
  })

  test('that is none is refused with its name', async () => {
    await writeFile(file, 'this is no database, but long enough to be looked at as one'.repeat(20))
    await expect(openStore({ file, key })).rejects.toMatchObject({
      code: 'FLEXI_DAEMON',
      message: expect.stringContaining(`${file} is no SQLite database`),
    })
  })

  test('that cannot be there is told with the folder', async () => {
    await expect(openStore({ file: join(directory, 'none', 'flexi.db'), key })).rejects.toMatchObject({
      code: 'FLEXI_DAEMON',
      hint: expect.stringContaining('Make its folder'),
    })
  })
})
