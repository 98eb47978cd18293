import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { FlexiError } from '../../../core/errors.ts'
import type { AbsolutePath } from '../../../core/place.ts'
import type { StateResource } from './ask.ts'
import { batch, execute } from './d1.ts'

/** Where a database's migrations are, and which table of it remembers them: `migrations_dir`, `migrations_table`. */
export interface MigrationSettings {
  readonly directory: AbsolutePath
  readonly table: string
}

export interface Migration {
  readonly name: string
  /** As SQLite writes it, in UTC; undefined for one that has not run. */
  readonly appliedAt?: string | undefined
}

/** The files of the folder in the order they run, with what the database remembers of them. */
export async function listMigrations(
  resource: StateResource,
  settings: MigrationSettings,
): Promise<readonly Migration[]> {
  const names = await migrationNames(settings.directory)
  const applied = await appliedMigrations(resource, settings.table)
  return names.map((name) => ({ name, appliedAt: applied.get(name) }))
}

/**
 * Runs those that have not run, each in one transaction with the note that it did. A failing one leaves nothing of itself, and ends it.
 * @throws FlexiError FLEXI_BAD_REQUEST with the place in the file.
 */
export async function applyMigrations(
  resource: StateResource,
  settings: MigrationSettings,
  onApplied: (name: string) => void,
): Promise<readonly string[]> {
  const pending = (await listMigrations(resource, settings)).filter(
    ({ appliedAt }) => appliedAt === undefined,
  )
  const table = quoted(settings.table)
  // The statement wrangler has: a database may be migrated by either.
  const columns =
    'id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL'
  await batch(resource, [{ sql: `CREATE TABLE IF NOT EXISTS ${table} (${columns})` }])
  for (const { name } of pending) {
    const file = join(settings.directory, name)
    const note = { sql: `INSERT INTO ${table} (name) VALUES (?)`, params: [name] }
    await execute(resource, { file, text: await readFile(file, 'utf8') }, [note])
    onApplied(name)
  }
  return pending.map(({ name }) => name)
}

/** Makes an empty one with the next number: `0002_add_users.sql`. */
export async function createMigration(directory: AbsolutePath, message: string): Promise<AbsolutePath> {
  const names = await migrationNames(directory).catch((error: unknown) => {
    if (error instanceof FlexiError) return []
    throw error
  })
  const next = Math.max(0, ...names.map(numberOf).filter((number) => !Number.isNaN(number))) + 1
  const number = String(next).padStart(4, '0')
  const name = `${number}_${message.trim().replace(/[\s/\\]+/g, '_')}.sql`
  const file = join(directory, name) as AbsolutePath
  await mkdir(directory, { recursive: true })
  await writeFile(file, `-- Migration number: ${number} \t ${new Date().toISOString()}\n`, { flag: 'wx' })
  return file
}

/** By their numbers, then by name; files without a number keep the place that their name gives them. */
async function migrationNames(directory: AbsolutePath): Promise<readonly string[]> {
  const names = await readdir(directory).catch((cause: unknown) => {
    throw new FlexiError('FLEXI_NO_INPUT', `there is no folder ${directory}`, {
      hint: 'Run "flexi d1 migrations create", or name the folder in "migrations_dir".',
      cause,
    })
  })
  return names
    .filter((name) => name.endsWith('.sql'))
    .toSorted()
    .toSorted((left, right) => numberOf(left) - numberOf(right) || 0)
}

const numberOf = (name: string): number => Number.parseInt(name.split('_')[0] ?? '', 10)

async function appliedMigrations(
  resource: StateResource,
  table: string,
): Promise<ReadonlyMap<string, string>> {
  const [there] = await batch(resource, [
    { sql: `SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?`, params: [table] },
  ])
  if (there?.results.length !== 1) return new Map()
  const [applied] = await batch(resource, [
    { sql: `SELECT name, applied_at FROM ${quoted(table)} ORDER BY id` },
  ])
  return new Map((applied?.results ?? []).map(({ name, applied_at }) => [String(name), String(applied_at)]))
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}
