import type Libsql from 'libsql'

import { FlexiError, errorMessage } from '../../core/errors.ts'

export type SqlValue = string | number | null
export type Row = Readonly<Record<string, unknown>>

/** As much of SQLite as the store needs: what any binding of it can do. Text and numbers only, because bindings disagree about blobs. */
export interface Driver extends Disposable {
  readonly name: 'node:sqlite' | 'libsql'
  /** How many rows it changed. */
  run(sql: string, values?: readonly SqlValue[]): number
  get(sql: string, values?: readonly SqlValue[]): Row | undefined
  all(sql: string, values?: readonly SqlValue[]): readonly Row[]
  /** Statements without values. */
  script(sql: string): void
}

/** What both bindings have in common. */
interface Database {
  exec(sql: string): unknown
  prepare(sql: string): Statement
  close(): unknown
}

interface Statement {
  run(...values: SqlValue[]): { readonly changes: number | bigint }
  get(...values: SqlValue[]): unknown
  all(...values: SqlValue[]): readonly unknown[]
}

interface NodeSqlite {
  readonly DatabaseSync: new (file: string) => Database
}

/**
 * Node's own SQLite where this Node has one, else libsql's, which comes with flexi.
 * @throws FlexiError FLEXI_DAEMON when the file cannot be opened or is no database; FLEXI_TOOL_MISSING without any binding.
 */
export async function openDriver(file: string): Promise<Driver> {
  const node = nodeSqlite()
  if (node !== undefined)
    return driverOf(
      'node:sqlite',
      attempt(file, () => new node.DatabaseSync(file)),
      file,
    )
  const { default: Binding } = await import('libsql').catch((cause: unknown) => {
    throw new FlexiError('FLEXI_TOOL_MISSING', 'this Node has no SQLite, and libsql is not installed', {
      hint: 'Use Node 22.13 or newer, or install flexi with its optional packages.',
      cause,
    })
  })
  return driverOf(
    'libsql',
    attempt(file, () => libsqlDatabase(new Binding(file))),
    file,
  )
}

function nodeSqlite(): NodeSqlite | undefined {
  const emitWarning = process.emitWarning.bind(process)
  // Some releases of Node call it experimental, on stderr, at every start.
  process.emitWarning = () => undefined
  try {
    const module: unknown = process.getBuiltinModule('node:sqlite')
    return isNodeSqlite(module) ? module : undefined
  } finally {
    process.emitWarning = emitWarning
  }
}

function libsqlDatabase(database: Libsql.Database): Database {
  return {
    exec: (sql) => database.exec(sql),
    prepare(sql) {
      const statement = database.prepare<[SqlValue[]]>(sql)
      // As one list, because it takes a null that stands alone for an object with names.
      return {
        run: (...values) => statement.run(values),
        get: (...values) => statement.get(values),
        all: (...values) => statement.all(values),
      }
    },
    close: () => database.close(),
  }
}

function isNodeSqlite(module: unknown): module is NodeSqlite {
  return typeof module === 'object' && module !== null && 'DatabaseSync' in module
}

function driverOf(name: Driver['name'], database: Database, file: string): Driver {
  const statements = new Map<string, Statement>()
  let isOpen = true
  const prepared = (sql: string): Statement => {
    const known = statements.get(sql)
    if (known !== undefined) return known
    const statement = database.prepare(sql)
    statements.set(sql, statement)
    return statement
  }
  return {
    name,
    run: (sql, values = []) => attempt(file, () => Number(prepared(sql).run(...whole(values)).changes)),
    get: (sql, values = []) =>
      attempt(file, () => {
        const row = prepared(sql).get(...whole(values))
        return isRow(row) ? row : undefined
      }),
    all: (sql, values = []) =>
      attempt(file, () =>
        prepared(sql)
          .all(...whole(values))
          .filter(isRow),
      ),
    script: (sql) => attempt(file, () => void database.exec(sql)),
    [Symbol.dispose]() {
      // Node's own throws when it is closed again.
      if (isOpen) database.close()
      isOpen = false
    },
  }
}

/** A binding ends a text at its first NUL, without a word. @throws FlexiError FLEXI_BAD_REQUEST. */
function whole(values: readonly SqlValue[]): readonly SqlValue[] {
  if (values.some((value) => typeof value === 'string' && value.includes('\0')))
    throw new FlexiError('FLEXI_BAD_REQUEST', 'a text with a NUL character cannot be kept', {
      hint: 'Take the character out.',
    })
  return values
}

function isRow(value: unknown): value is Row {
  return typeof value === 'object' && value !== null
}

function attempt<T>(file: string, task: () => T): T {
  try {
    return task()
  } catch (error) {
    throw databaseError(file, error)
  }
}

/** SQLite's primary result codes that a person can do something about. Source: sqlite.org/rescode.html. */
const FAILURES: Readonly<Record<number, readonly [message: string, hint: string]>> = {
  5: ['is held by another process', 'Try again; end whatever else has the file open for long.'],
  8: ['cannot be written', 'Give the user that runs the daemon the right to write there.'],
  10: ['cannot be read or written: the disk fails', 'Look at the disk, then restore a copy of the file.'],
  11: ['is damaged', 'Restore a copy of the file.'],
  13: ['cannot grow: the disk is full', 'Free some room.'],
  14: ['cannot be opened', 'Give the user that runs the daemon the right to write there.'],
  26: ['is no SQLite database', 'Restore a copy of the file.'],
}

function databaseError(file: string, cause: unknown): unknown {
  const failure = FAILURES[resultCode(cause) & 0xff]
  if (failure === undefined) return cause
  const [message, hint] = failure
  return new FlexiError('FLEXI_DAEMON', `${file} ${message}: ${errorMessage(cause)}`, { hint, cause })
}

/** Node says `errcode`; libsql `rawCode`, and a name where it opens a file. */
function resultCode(error: unknown): number {
  if (typeof error !== 'object' || error === null) return 0
  if ('errcode' in error && typeof error.errcode === 'number') return error.errcode
  if ('rawCode' in error && typeof error.rawCode === 'number') return error.rawCode
  if ('code' in error && error.code === 'SQLITE_CANTOPEN') return 14
  return 0
}
