import { createWriteStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'

import type { D1Result, D1Value, StoredDatabase } from '../app/worker-state.ts'
import { FlexiError } from '../core/errors.ts'
import { paintFor, type Paint } from '../terminal/paint.ts'
import { table } from '../terminal/table.ts'
import { FlexiCommand } from './flexi-command.ts'
import { printBytes, stateFlags, withState } from './state-options.ts'

export const databaseArg = Args.string({
  ignoreStdin: true,
  description: 'the database: its name, binding or id; not needed for the only one',
})

export function wantedDatabase(name: string | undefined): { name: string | undefined; by: string } {
  return { name, by: 'DATABASE' }
}

export class D1Databases extends FlexiCommand {
  static override readonly summary = 'List the D1 databases that workers here are bound to.'
  static override readonly examples = [
    { description: 'Of the folder you are in', command: '<%= config.bin %> d1 databases' },
  ]
  static override readonly hiddenAliases = ['d1:list']
  static override readonly flags = stateFlags

  async run(): Promise<readonly (StoredDatabase & { readonly function: string })[]> {
    const { flags } = await this.parse(D1Databases)
    return await withState(flags, async ({ resources }) => {
      const list = resources.flatMap(({ function: name, d1 }) =>
        d1.map((one) => ({ ...one, function: name })),
      )
      const rows = list.map((one) => [one.binding ?? '', one.name ?? '', one.id, one.function])
      const paint = paintFor(process.stdout, process.env)
      this.print(
        table(['BINDING', 'NAME', 'ID', 'WORKER'], rows, { paint, indent: 0, columns: [paint.cyan] }),
      )
      return await Promise.resolve(list)
    })
  }
}

export class D1Execute extends FlexiCommand {
  static override readonly summary = 'Run SQL on a D1 database.'
  static override readonly description =
    'All statements run in one transaction: when one fails, nothing of them is kept, and its place is printed.'
  static override readonly examples = [
    { description: 'A statement', command: `<%= config.bin %> d1 execute --command "SELECT * FROM users"` },
    { description: 'A file', command: '<%= config.bin %> d1 execute app-db --file seed.sql' },
    {
      description: 'For a program',
      command: `<%= config.bin %> d1 execute --json --command "SELECT count(*) AS n FROM users"`,
    },
  ]
  static override readonly args = { database: databaseArg }
  static override readonly flags = {
    ...stateFlags,
    command: Flags.string({ helpValue: 'SQL', summary: 'One or more statements.', exclusive: ['file'] }),
    file: Flags.string({ helpValue: 'FILE', summary: 'A file of statements; - is standard input.' }),
  }

  async run(): Promise<readonly D1Result[]> {
    const { args, flags } = await this.parse(D1Execute)
    const source = await sqlOf(flags)
    const { execute } = await import('../app/worker-state.ts')
    return await withState(flags, async (state) => {
      const database = await state.find('d1', wantedDatabase(args.database))
      const results = await execute(database, source)
      const paint = paintFor(process.stdout, process.env)
      this.print(resultLines(results, paint))
      return results
    })
  }
}

/** @throws FlexiError FLEXI_USAGE when there is none, FLEXI_NO_INPUT. */
async function sqlOf(flags: {
  readonly command: string | undefined
  readonly file: string | undefined
}): Promise<{ text: string; file: string }> {
  const { command, file } = flags
  if (command !== undefined) return { text: command, file: '--command' }
  if (file === undefined)
    throw new FlexiError('FLEXI_USAGE', 'there is no SQL', { hint: 'Give --command or --file.' })
  if (file === '-') return { text: await (await import('node:stream/consumers')).text(process.stdin), file }
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new FlexiError('FLEXI_NO_INPUT', `there is no file ${file}`, { cause })
  })
  if (text.startsWith('SQLite format 3\0'))
    throw new FlexiError('FLEXI_USAGE', `${file} is a database, and no SQL`, {
      hint: `Make SQL of it: sqlite3 ${file} .dump > dump.sql`,
    })
  return { text, file }
}

/** A table of what each statement found. Those that find nothing are told together: a dump has thousands. */
function resultLines(results: readonly D1Result[], paint: Paint): string[] {
  const lines: string[] = []
  let silent: D1Result[] = []
  const tell = (): void => {
    if (silent.length > 0) lines.push(paint.dim(changesOf(silent)))
    silent = []
  }
  for (const result of results) {
    if (result.results.length === 0) silent.push(result)
    else {
      tell()
      lines.push(...rowLines(result, paint))
    }
  }
  tell()
  return lines
}

function changesOf(results: readonly D1Result[]): string {
  const count = results.reduce((sum, { meta }) => sum + meta.changes, 0)
  const changes = count === 0 ? 'no rows' : count === 1 ? '1 row changed' : `${count} rows changed`
  return results.length === 1 ? changes : `${results.length} statements, ${changes}`
}

function rowLines({ results }: D1Result, paint: Paint): string[] {
  const columns = Object.keys(results[0] ?? {})
  const cells = results.map((row) => columns.map((column) => cell(row[column] ?? null)))
  const rows = results.length === 1 ? '1 row' : `${results.length} rows`
  return [...table(columns, cells, { paint, indent: 0 }), paint.dim(rows), '']
}

function cell(value: D1Value): string {
  if (value === null) return 'NULL'
  return typeof value === 'object' ? `X'${Buffer.from(value).toString('hex')}'` : String(value)
}

export class D1Export extends FlexiCommand {
  static override readonly summary = 'Write a D1 database as SQL.'
  static override readonly description = 'The SQL makes the same database again with "d1 execute --file".'
  static override readonly examples = [
    { description: 'Into a file', command: '<%= config.bin %> d1 export app-db --output backup.sql' },
    {
      description: 'The rows of two tables',
      command: '<%= config.bin %> d1 export --table users --table posts --no-schema',
    },
  ]
  static override readonly args = { database: databaseArg }
  static override readonly flags = {
    ...stateFlags,
    output: Flags.string({
      char: 'o',
      helpValue: 'FILE',
      summary: 'Write it there. Default: standard output.',
    }),
    table: Flags.string({
      multiple: true,
      multipleNonGreedy: true,
      helpValue: 'NAME',
      summary: 'Only this table. May be given again.',
      default: [],
    }),
    'no-schema': Flags.boolean({ summary: 'Only rows.', exclusive: ['no-data'] }),
    'no-data': Flags.boolean({ summary: 'Only tables, without rows.' }),
  }

  async run(): Promise<{ readonly sql: string } | { readonly file: string }> {
    const { args, flags } = await this.parse(D1Export)
    const { exportSql } = await import('../app/worker-state.ts')
    return await withState(flags, async (state) => {
      const database = await state.find('d1', wantedDatabase(args.database))
      const options = { tables: flags.table, schema: !flags['no-schema'], data: !flags['no-data'] }
      const lines = exportSql(database, options)
      if (flags.output === undefined && this.jsonEnabled()) return { sql: await textOf(lines) }
      // Before the file is begun: what is at fault leaves no empty one.
      const text = Readable.from(withLineEnds(await ahead(lines)))
      if (flags.output === undefined) {
        await printBytes(text)
        return { sql: '' }
      }
      await pipeline(text, createWriteStream(flags.output))
      this.print([`written: ${flags.output}`])
      return { file: flags.output }
    })
  }
}

/** Resolves when the first line is there. */
async function ahead(lines: AsyncGenerator<string>): Promise<AsyncIterable<string>> {
  const first = await lines.next()
  return (async function* all() {
    if (first.done !== true) yield first.value
    yield* lines
  })()
}

async function* withLineEnds(lines: AsyncIterable<string>): AsyncGenerator<string> {
  for await (const line of lines) yield `${line}\n`
}

async function textOf(lines: AsyncIterable<string>): Promise<string> {
  let whole = ''
  for await (const line of withLineEnds(lines)) whole += line
  return whole
}
