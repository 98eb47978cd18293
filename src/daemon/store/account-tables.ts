import { FlexiError } from '../../core/errors.ts'
import type { SettingTable, Store, TokenTable, UserTable, VariableTable } from '../store.ts'
import type { Driver } from './driver.ts'
import { json, number, text, tokenOf, userOf, variableOf } from './rows.ts'
import type { Sealing } from './sealing.ts'

/** A token's last use is written once in so long. */
const USE_WRITTEN_MS = 60_000

export function userTable(driver: Driver, transaction: Store['transaction']): UserTable {
  return {
    all: () => driver.all('SELECT * FROM users ORDER BY name').map(userOf),
    get(name) {
      const row = driver.get('SELECT * FROM users WHERE name = ?', [name])
      return row === undefined ? undefined : userOf(row)
    },
    add({ name, groups, createdAt }) {
      const added = driver.run(
        'INSERT INTO users (name, groups, created_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING',
        [name, JSON.stringify(groups), createdAt],
      )
      if (added === 0) throw new FlexiError('FLEXI_CONFLICT', `user "${name}" is there already`)
    },
    setGroups: (name, groups) =>
      driver.run('UPDATE users SET groups = ? WHERE name = ?', [JSON.stringify(groups), name]) === 1,
    remove: (name) =>
      transaction(() => {
        driver.run('DELETE FROM tokens WHERE user = ?', [name])
        return driver.run('DELETE FROM users WHERE name = ?', [name]) === 1
      }),
  }
}

export function tokenTable(driver: Driver): TokenTable {
  return {
    of: (user) =>
      driver
        .all('SELECT * FROM tokens WHERE ?1 IS NULL OR user = ?1 ORDER BY created_at, id', [user ?? null])
        .map(tokenOf),
    byHash(hash) {
      const row = driver.get('SELECT * FROM tokens WHERE hash = ?', [hash])
      return row === undefined ? undefined : tokenOf(row)
    },
    add(record) {
      const { id, user, label, hash, scopes, createdAt, expiresAt, usedAt } = record
      const added = driver.run(
        `INSERT INTO tokens (id, user, label, hash, scopes, created_at, expires_at, used_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
        [id, user, label, hash, json(scopes), createdAt, expiresAt ?? null, usedAt ?? null],
      )
      if (added === 0) throw new FlexiError('FLEXI_CONFLICT', `token ${id} is there already`)
    },
    used: (id, at) =>
      void driver.run('UPDATE tokens SET used_at = ?1 WHERE id = ?2 AND (used_at IS NULL OR used_at <= ?3)', [
        at,
        id,
        at - USE_WRITTEN_MS,
      ]),
    remove: (id) => driver.run('DELETE FROM tokens WHERE id = ?', [id]) === 1,
    removeExpired: (now) => driver.run('DELETE FROM tokens WHERE expires_at <= ?', [now]),
  }
}

export function variableTable(driver: Driver, sealing: Sealing): VariableTable {
  return {
    environment: (name) =>
      Object.fromEntries(
        driver
          .all('SELECT * FROM variables WHERE function = ? ORDER BY name', [name])
          .map((row) => [text(row, 'name'), valueOf(row, sealing)]),
      ),
    of: (name) =>
      driver.all('SELECT * FROM variables WHERE function = ? ORDER BY name', [name]).map(variableOf),
    set({ function: owner, name, secret, value, setAt, setBy }) {
      driver.run(
        `INSERT INTO variables (function, name, secret, value, set_at, set_by) VALUES (?, ?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET secret = excluded.secret, value = excluded.value,
           set_at = excluded.set_at, set_by = excluded.set_by`,
        [
          owner,
          name,
          secret ? 1 : 0,
          secret ? sealing.seal(value, placeOf(owner, name)) : value,
          setAt,
          setBy,
        ],
      )
    },
    remove: (name, variable) =>
      driver.run('DELETE FROM variables WHERE function = ? AND name = ?', [name, variable]) === 1,
  }
}

function valueOf(row: Readonly<Record<string, unknown>>, sealing: Sealing): string {
  const value = text(row, 'value')
  if (number(row, 'secret') === 0) return value
  const [owner, name] = [text(row, 'function'), text(row, 'name')]
  const opened = sealing.open(value, placeOf(owner, name))
  if (opened !== undefined) return opened
  throw new FlexiError('FLEXI_DAEMON', `the secret ${name} of "${owner}" was changed in the store's file`, {
    hint: 'Set the secret anew.',
  })
}

function placeOf(owner: string, name: string): string {
  return `${owner}\n${name}`
}

export function settingTable(driver: Driver): SettingTable {
  return {
    get(name) {
      const row = driver.get('SELECT value FROM settings WHERE name = ?', [name])
      return row === undefined ? undefined : text(row, 'value')
    },
    set: (name, value) =>
      void driver.run(
        'INSERT INTO settings (name, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value',
        [name, value],
      ),
    remove: (name) => void driver.run('DELETE FROM settings WHERE name = ?', [name]),
  }
}
