import { FlexiError } from '../../../core/errors.ts'
import type { StateResource } from './ask.ts'
import { batch, type D1Result, type D1Value } from './d1.ts'

export interface D1ExportOptions {
  /** All when undefined or empty. */
  readonly tables?: readonly string[] | undefined
  readonly schema: boolean
  readonly data: boolean
}

interface SchemaEntry {
  readonly type: string
  readonly name: string
  readonly table: string
  readonly sql: string
}

/** Values that keep their type on the way: text is marked, numbers come as SQLite writes them, because JSON has fewer. */
const marked = (column: string): string =>
  `CASE typeof(${column}) WHEN 'text' THEN 't' || ${column} WHEN 'blob' THEN ${column} WHEN 'null' THEN NULL ELSE 'n' || quote(${column}) END`

/**
 * SQL that makes the database again, line by line: tables with their rows, then what is built on them.
 * All rows are read in one transaction.
 * @throws FlexiError FLEXI_BAD_REQUEST when a table cannot be exported, or is not there.
 */
export async function* exportSql(resource: StateResource, options: D1ExportOptions): AsyncGenerator<string> {
  const schema = await readSchema(resource)
  const tables = chosen(schema, options.tables ?? [])
  const names = new Set(tables.map(({ name }) => name))
  const rows = options.data ? await readRows(resource, tables) : new Map<string, string[]>()
  yield 'PRAGMA defer_foreign_keys=TRUE;'
  for (const { name, sql } of tables) {
    if (options.schema) yield ended(sql)
    yield* rows.get(name) ?? []
  }
  if (options.data) yield* sequenceLines(await readSequences(resource, names))
  if (options.schema) yield* laterLines(schema, options.tables ?? [])
}

/** What is built on tables, of the wanted ones alone. */
function laterLines(schema: readonly SchemaEntry[], wanted: readonly string[]): string[] {
  return schema
    .filter(({ type, table }) => type !== 'table' && (wanted.length === 0 || wanted.includes(table)))
    .map(({ sql }) => ended(sql))
}

/** SQLite keeps a comment that stands behind a statement: a `;` on its line would be a part of it. */
function ended(sql: string): string {
  return sql.includes('--') ? `${sql}\n;` : `${sql};`
}

async function readSchema(resource: StateResource): Promise<readonly SchemaEntry[]> {
  // Views come after what they read, and triggers last: nothing of theirs may run while rows are put in.
  const sql = `SELECT type, name, tbl_name AS "table", sql FROM sqlite_schema
    WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT LIKE '\\_cf\\_%' ESCAPE '\\'
    ORDER BY CASE type WHEN 'table' THEN 0 WHEN 'index' THEN 1 WHEN 'view' THEN 2 ELSE 3 END, rowid`
  const rows = await only(resource, sql)
  return rows.map(({ type, name, table, sql: statement }) => ({
    type: String(type),
    name: String(name),
    table: String(table),
    sql: String(statement),
  }))
}

function chosen(schema: readonly SchemaEntry[], wanted: readonly string[]): readonly SchemaEntry[] {
  const tables = schema.filter(({ type }) => type === 'table')
  const missing = wanted.filter((name) => !tables.some((table) => table.name === name))
  if (missing.length > 0) {
    const names = tables.map(({ name }) => name).join(', ')
    throw new FlexiError('FLEXI_BAD_REQUEST', `there is no table ${missing.join(', ')}`, {
      hint: `The database has: ${names === '' ? 'no tables' : names}.`,
    })
  }
  const list = wanted.length === 0 ? tables : tables.filter(({ name }) => wanted.includes(name))
  const virtual = list.find(({ sql }) => /^CREATE\s+VIRTUAL\b/i.test(sql))
  if (virtual === undefined) return list
  throw new FlexiError('FLEXI_BAD_REQUEST', `${virtual.name} is a virtual table, which D1 does not export`, {
    hint: 'Name the other tables with --table.',
  })
}

/** Of each table its INSERT statements. */
async function readRows(
  resource: StateResource,
  tables: readonly SchemaEntry[],
): Promise<ReadonlyMap<string, string[]>> {
  if (tables.length === 0) return new Map()
  // Generated columns are not among them.
  const described = await batch(
    resource,
    tables.map(({ name }) => ({ sql: `PRAGMA table_info(${quoted(name)})` })),
  )
  const columns = described.map(({ results }) => results.map(({ name }) => quoted(String(name))))
  const results = await batch(
    resource,
    tables.map(({ name }, index) => ({ sql: selectOf(name, columns[index] ?? []) })),
  )
  return new Map(
    tables.map(({ name }, index) => [name, insertsOf(name, columns[index] ?? [], results[index])]),
  )
}

function selectOf(table: string, columns: readonly string[]): string {
  const values = columns.map((column, index) => `${marked(column)} AS c${index}`)
  return `SELECT ${values.join(', ')} FROM ${quoted(table)}`
}

function insertsOf(table: string, columns: readonly string[], result: D1Result | undefined): string[] {
  const head = `INSERT INTO ${quoted(table)} (${columns.join(',')}) VALUES(`
  return (result?.results ?? []).map(
    (row) => `${head}${columns.map((_, index) => literal(row[`c${index}`] ?? null)).join(',')});`,
  )
}

/** Where AUTOINCREMENT goes on. */
async function readSequences(
  resource: StateResource,
  tables: ReadonlySet<string>,
): Promise<readonly (readonly [table: string, last: string])[]> {
  const there = await only(resource, `SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_sequence'`)
  if (there.length === 0) return []
  const rows = await only(resource, `SELECT name, quote(seq) AS last FROM sqlite_sequence`)
  return rows
    .map(({ name, last }) => [String(name), String(last)] as const)
    .filter(([name]) => tables.has(name))
}

/** Rows of tables with AUTOINCREMENT have made entries of their own by then. */
function sequenceLines(sequences: readonly (readonly [table: string, last: string])[]): string[] {
  return sequences.flatMap(([table, last]) => [
    `DELETE FROM sqlite_sequence WHERE name = ${text(table)};`,
    `INSERT INTO sqlite_sequence (name,seq) VALUES(${text(table)},${last});`,
  ])
}

async function only(resource: StateResource, sql: string): Promise<D1Result['results']> {
  return (await batch(resource, [{ sql }]))[0]?.results ?? []
}

function literal(value: D1Value): string {
  if (value === null) return 'NULL'
  if (typeof value === 'number') return String(value)
  if (typeof value !== 'string') return `X'${Buffer.from(value).toString('hex').toUpperCase()}'`
  return value.startsWith('n') ? value.slice(1) : text(value.slice(1))
}

function text(value: string): string {
  // SQL ends at a NUL.
  if (value.includes('\0')) return `CAST(X'${Buffer.from(value).toString('hex').toUpperCase()}' AS TEXT)`
  return `'${value.replaceAll("'", "''")}'`
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}
