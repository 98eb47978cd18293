import { FlexiError } from '../../core/errors.ts'
import type { AliasRecord, FunctionKey } from '../model.ts'
import type { AliasTable, DeploymentTable, FunctionTable, Store, VersionTable } from '../store.ts'
import type { Driver } from './driver.ts'
import { aliasOf, deploymentOf, functionOf, json, moveOf, text, versionOf } from './rows.ts'

type Transaction = Store['transaction']

/** Moves that an alias remembers, and deployments that a project does. */
const HISTORY_MAX = 1000

export function functionTable(driver: Driver, transaction: Transaction): FunctionTable {
  const get: FunctionTable['get'] = (name) => {
    const row = driver.get('SELECT * FROM functions WHERE name = ?', [name])
    return row === undefined ? undefined : functionOf(row)
  }
  return {
    all: () => driver.all('SELECT * FROM functions ORDER BY name').map(functionOf),
    get,
    add(record) {
      const { name, project, group, createdAt, createdBy } = record
      const added = driver.get(
        `INSERT INTO functions (name, project, owners, created_at, created_by) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT DO NOTHING RETURNING *`,
        [name, project ?? null, group ?? null, createdAt, createdBy],
      )
      if (added === undefined) throw new FlexiError('FLEXI_CONFLICT', `function "${name}" is there already`)
      return functionOf(added)
    },
    setGroup: (name, group) =>
      void driver.run('UPDATE functions SET owners = ? WHERE name = ?', [group ?? null, name]),
    remove: (name) =>
      transaction(() => {
        driver.run('DELETE FROM variables WHERE function = ?', [name])
        return driver.run('DELETE FROM functions WHERE name = ?', [name]) === 1
      }),
  }
}

export function versionTable(driver: Driver): VersionTable {
  const where = 'WHERE function = ? AND version = ?'
  const change = (sql: string, value: string, { name, version }: FunctionKey): boolean =>
    driver.run(sql, [value, name, version]) === 1
  return {
    all: () => driver.all('SELECT * FROM versions ORDER BY sequence').map(versionOf),
    of: (name) =>
      driver.all('SELECT * FROM versions WHERE function = ? ORDER BY sequence', [name]).map(versionOf),
    get({ name, version }) {
      const row = driver.get(`SELECT * FROM versions ${where}`, [name, version])
      return row === undefined ? undefined : versionOf(row)
    },
    add(record) {
      const { name, version, artifact, config, createdAt, createdBy, wanted } = record
      if (driver.get('SELECT 1 FROM functions WHERE name = ?', [name]) === undefined)
        throw new FlexiError('FLEXI_FUNCTION_UNKNOWN', `there is no function "${name}"`)
      const added = driver.run(
        `INSERT INTO versions (function, version, artifact, config, created_at, created_by, wanted)
         VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
        [name, version, artifact, JSON.stringify(config), createdAt, createdBy, wanted],
      )
      if (added === 0) throw new FlexiError('FLEXI_CONFLICT', `${name}@${version} is there already`)
    },
    setConfig: (key, config) =>
      change(`UPDATE versions SET config = ? ${where}`, JSON.stringify(config), key),
    setWanted: (key, wanted) => void change(`UPDATE versions SET wanted = ? ${where}`, wanted, key),
    remove: ({ name, version }) => driver.run(`DELETE FROM versions ${where}`, [name, version]) === 1,
    artifacts: () =>
      new Set(
        driver
          .all('SELECT DISTINCT artifact FROM versions')
          .map((row) => text(row, 'artifact') as ReturnType<typeof versionOf>['artifact']),
      ),
  }
}

export function aliasTable(driver: Driver, transaction: Transaction): AliasTable {
  const get: AliasTable['get'] = (name, alias) => {
    const row = driver.get('SELECT * FROM aliases WHERE function = ? AND alias = ?', [name, alias])
    return row === undefined ? undefined : aliasOf(row)
  }
  return {
    all: () => driver.all('SELECT * FROM aliases ORDER BY function, alias').map(aliasOf),
    of: (name) => driver.all('SELECT * FROM aliases WHERE function = ? ORDER BY alias', [name]).map(aliasOf),
    get,
    set: (record) =>
      transaction(() => {
        const before = get(record.function, record.alias)
        if (before !== undefined && !sameTarget(before, record)) remember(driver, before)
        driver.run(
          `INSERT INTO aliases (function, alias, version, second, moved_at, moved_by) VALUES (?, ?, ?, ?, ?, ?)
           ON CONFLICT DO UPDATE SET version = excluded.version, second = excluded.second,
             moved_at = excluded.moved_at, moved_by = excluded.moved_by`,
          [
            record.function,
            record.alias,
            record.version,
            json(record.second),
            record.movedAt,
            record.movedBy,
          ],
        )
      }),
    remove: (name, alias) =>
      transaction(() => {
        const before = get(name, alias)
        if (before === undefined) return false
        remember(driver, before)
        return driver.run('DELETE FROM aliases WHERE function = ? AND alias = ?', [name, alias]) === 1
      }),
    history: (name, alias, limit = 100) =>
      driver
        .all('SELECT * FROM alias_moves WHERE function = ? AND alias = ? ORDER BY sequence DESC LIMIT ?', [
          name,
          alias,
          limit,
        ])
        .map(moveOf),
  }
}

function sameTarget(one: AliasRecord, other: AliasRecord): boolean {
  return (
    one.version === other.version &&
    one.second?.version === other.second?.version &&
    one.second?.weight === other.second?.weight
  )
}

function remember(driver: Driver, before: AliasRecord): void {
  driver.run('INSERT INTO alias_moves (function, alias, version, second, at, by) VALUES (?, ?, ?, ?, ?, ?)', [
    before.function,
    before.alias,
    before.version,
    json(before.second),
    before.movedAt,
    before.movedBy,
  ])
  driver.run(
    `DELETE FROM alias_moves WHERE function = ?1 AND alias = ?2 AND sequence <=
       (SELECT sequence FROM alias_moves WHERE function = ?1 AND alias = ?2 ORDER BY sequence DESC LIMIT 1 OFFSET ?3)`,
    [before.function, before.alias, HISTORY_MAX],
  )
}

export function deploymentTable(driver: Driver, transaction: Transaction): DeploymentTable {
  return {
    put: (record) =>
      transaction(() => {
        const { id, project, alias, state, keys, startedAt, endedAt, by, error } = record
        driver.run(
          `INSERT INTO deployments (id, project, alias, state, keys, started_at, ended_at, by, error)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
           ON CONFLICT (id) DO UPDATE SET state = excluded.state, keys = excluded.keys,
             ended_at = excluded.ended_at, error = excluded.error`,
          [id, project, alias, state, JSON.stringify(keys), startedAt, endedAt ?? null, by, error ?? null],
        )
        driver.run(
          `DELETE FROM deployments WHERE project = ?1 AND sequence <=
             (SELECT sequence FROM deployments WHERE project = ?1 ORDER BY sequence DESC LIMIT 1 OFFSET ?2)`,
          [project, HISTORY_MAX],
        )
      }),
    get(id) {
      const row = driver.get('SELECT * FROM deployments WHERE id = ?', [id])
      return row === undefined ? undefined : deploymentOf(row)
    },
    recent: (limit, project) =>
      driver
        .all('SELECT * FROM deployments WHERE ?1 IS NULL OR project = ?1 ORDER BY sequence DESC LIMIT ?2', [
          project ?? null,
          limit,
        ])
        .map(deploymentOf),
  }
}
