import { open } from 'node:fs/promises'
import { dirname } from 'node:path'

import { FlexiError } from '../../core/errors.ts'
import type { Store } from '../store.ts'
import { settingTable, tokenTable, userTable, variableTable } from './account-tables.ts'
import { auditTable } from './audit-table.ts'
import { openDriver, type Driver } from './driver.ts'
import { aliasTable, deploymentTable, functionTable, versionTable } from './function-tables.ts'
import { text } from './rows.ts'
import { migrate } from './schema.ts'
import { createSealing, type Sealing } from './sealing.ts'

export interface StoreOptions {
  /** `flexi.db`; made when it is not there. A daemon that is being replaced may have it open too. */
  readonly file: string
  /** 32 bytes: seals secrets and marks the audit log. */
  readonly key: Buffer
}

/** How long a write waits for another process's, before it fails. */
const BUSY_MS = 5000

/**
 * @throws FlexiError FLEXI_DAEMON when it cannot be read or written, was written by a
 * newer flexi, or belongs to another key.
 */
export async function openStore({ file, key }: StoreOptions): Promise<Store> {
  await makePrivate(file)
  const driver = await openDriver(file)
  try {
    driver.script(`PRAGMA busy_timeout = ${BUSY_MS}; PRAGMA journal_mode = WAL`)
    // FULL: a commit is on the disk when it returns, also when the machine loses its power a moment later.
    driver.script('PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON')
    migrate(driver, file)
    const sealing = createSealing(key)
    checkKey(driver, sealing, file)
    return storeOf(driver, sealing)
  } catch (error) {
    driver[Symbol.dispose]()
    throw error
  }
}

/** SQLite, and who puts back a copy, makes files readable for everybody; its other files take the mode of the first. */
async function makePrivate(file: string): Promise<void> {
  const handle = await open(file, 'a', 0o600).catch((cause: unknown) => {
    throw new FlexiError('FLEXI_DAEMON', `${file} cannot be opened for writing`, {
      hint: 'Make its folder, and give the user that runs the daemon the right to write there.',
      cause,
    })
  })
  await handle.chmod(0o600)
  await handle.close()
  const folder = await open(dirname(file), 'r')
  await folder.sync()
  await folder.close()
}

/** A key that is lost or mixed up is noticed here, before a function starts without its secrets. */
function checkKey(driver: Driver, sealing: Sealing, file: string): void {
  const row = driver.get("SELECT value FROM internal WHERE name = 'key'")
  if (row === undefined) {
    driver.run("INSERT INTO internal (name, value) VALUES ('key', ?)", [sealing.seal('flexi', 'key')])
    return
  }
  if (sealing.open(text(row, 'value'), 'key') === 'flexi') return
  throw new FlexiError('FLEXI_DAEMON', `the key does not belong to ${file}`, {
    hint: 'Put back the key file that was beside it.',
  })
}

function storeOf(driver: Driver, sealing: Sealing): Store {
  const transaction = transactionOf(driver)
  return {
    transaction,
    functions: functionTable(driver, transaction),
    versions: versionTable(driver),
    aliases: aliasTable(driver, transaction),
    deployments: deploymentTable(driver, transaction),
    users: userTable(driver, transaction),
    tokens: tokenTable(driver),
    variables: variableTable(driver, sealing),
    audit: auditTable(driver, sealing, transaction),
    settings: settingTable(driver),
    [Symbol.dispose]: () => driver[Symbol.dispose](),
  }
}

/** A nested one is a savepoint of the outer one: undone alone when it throws, done with the outer one. */
function transactionOf(driver: Driver): Store['transaction'] {
  let depth = 0
  return (task) => {
    const name = `nested_${depth}`
    driver.script(depth === 0 ? 'BEGIN IMMEDIATE' : `SAVEPOINT ${name}`)
    depth++
    try {
      const result = task()
      // It would go on outside.
      if (result instanceof Promise) throw new TypeError('a transaction of the store is synchronous')
      driver.script(depth === 1 ? 'COMMIT' : `RELEASE ${name}`)
      return result
    } catch (error) {
      undo(driver, depth === 1 ? 'ROLLBACK' : `ROLLBACK TO ${name}; RELEASE ${name}`)
      throw error
    } finally {
      depth--
    }
  }
}

function undo(driver: Driver, sql: string): void {
  try {
    driver.script(sql)
  } catch {
    // Where the disk was full, SQLite has undone it by itself; what failed first is what is told.
  }
}
