import { relative } from 'node:path'

import * as Args from '@oclif/core/args'

import type { Migration, StoredDatabase } from '../app/worker-state.ts'
import type { AbsolutePath } from '../core/place.ts'
import { paintFor } from '../terminal/paint.ts'
import { table } from '../terminal/table.ts'
import { databaseArg, wantedDatabase } from './d1.ts'
import { FlexiCommand } from './flexi-command.ts'
import { stateFlags, withState } from './state-options.ts'

function settingsOf({ migrationsDirectory, migrationsTable }: StoredDatabase): {
  directory: AbsolutePath
  table: string
} {
  return { directory: migrationsDirectory as AbsolutePath, table: migrationsTable }
}

export class D1MigrationsList extends FlexiCommand {
  static override readonly summary = 'List the migrations of a D1 database, and which have run.'
  static override readonly examples = [
    { description: 'Of the only database', command: '<%= config.bin %> d1 migrations list' },
  ]
  static override readonly args = { database: databaseArg }
  static override readonly flags = stateFlags

  async run(): Promise<readonly Migration[]> {
    const { args, flags } = await this.parse(D1MigrationsList)
    const { listMigrations } = await import('../app/worker-state.ts')
    return await withState(flags, async (state) => {
      const database = await state.find('d1', wantedDatabase(args.database))
      const migrations = await listMigrations(database, settingsOf(database.found))
      const rows = migrations.map(({ name, appliedAt }) => [name, appliedAt ?? 'not yet'])
      const paint = paintFor(process.stdout, process.env)
      this.print(table(['MIGRATION', 'APPLIED'], rows, { paint, indent: 0, columns: [paint.cyan] }))
      return migrations
    })
  }
}

export class D1MigrationsApply extends FlexiCommand {
  static override readonly summary = 'Run the migrations of a D1 database that have not run.'
  static override readonly description =
    'In the order of their numbers, each in a transaction of its own: one that fails leaves nothing of itself, and ends it.'
  static override readonly examples = [
    { description: 'Of the only database', command: '<%= config.bin %> d1 migrations apply' },
    { description: 'By its name', command: '<%= config.bin %> d1 migrations apply app-db' },
  ]
  static override readonly args = { database: databaseArg }
  static override readonly flags = stateFlags

  async run(): Promise<{ readonly applied: readonly string[] }> {
    const { args, flags } = await this.parse(D1MigrationsApply)
    const { applyMigrations } = await import('../app/worker-state.ts')
    return await withState(flags, async (state) => {
      const database = await state.find('d1', wantedDatabase(args.database))
      const paint = paintFor(process.stdout, process.env)
      const applied = await applyMigrations(database, settingsOf(database.found), (name) =>
        this.print([`${paint.green('✔')} ${name}`]),
      )
      if (applied.length === 0) this.print(['nothing to apply'])
      return { applied }
    })
  }
}

export class D1MigrationsCreate extends FlexiCommand {
  static override readonly summary = 'Make an empty migration with the next number.'
  static override readonly examples = [
    { description: 'For the only database', command: '<%= config.bin %> d1 migrations create "add users"' },
    { description: 'By its name', command: '<%= config.bin %> d1 migrations create app-db add_users' },
  ]
  static override readonly args = {
    database: Args.string({
      ignoreStdin: true,
      required: true,
      description: 'the database; may be left out where there is one',
    }),
    message: Args.string({ ignoreStdin: true, description: 'what it does' }),
  }
  static override readonly flags = stateFlags

  async run(): Promise<{ readonly file: string }> {
    const { args, flags } = await this.parse(D1MigrationsCreate)
    const [name, message] =
      args.message === undefined ? [undefined, args.database] : [args.database, args.message]
    const { createMigration, findResource } = await import('../app/worker-state.ts')
    return await withState(flags, async ({ resources }) => {
      const database = findResource(resources, 'd1', wantedDatabase(name))
      const file = await createMigration(settingsOf(database).directory, message)
      this.print([`created: ${relative(process.cwd(), file)}`])
      return { file }
    })
  }
}
