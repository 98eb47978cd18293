import { FlexiError } from '../../../core/errors.ts'
import { placeAt, type Fault } from '../../../core/place.ts'
import { askJson, StateRefusal, type StateResource } from './ask.ts'
import { isTooLong, splitSql, withinLimit, withoutTransaction, type SqlStatement } from './sql.ts'

export type D1Value = string | number | null | readonly number[]

export interface D1Result {
  readonly results: readonly Readonly<Record<string, D1Value>>[]
  readonly success: boolean
  readonly meta: D1Meta
}

/** As `D1Result.meta` in a worker. */
interface D1Meta {
  /** In ms. */
  readonly duration: number
  readonly changes: number
  readonly last_row_id: number
  readonly rows_read: number
  readonly rows_written: number
  /** Bytes. */
  readonly size_after: number
}

export interface D1Statement {
  readonly sql: string
  readonly params?: readonly D1Value[] | undefined
}

/** SQL somebody wrote, and where: a file, or what an argument is called. */
export interface SqlSource {
  readonly text: string
  readonly file: string
}

/** Runs statements in one transaction, which leaves nothing of itself when one fails. @throws StateRefusal with the statement's number. */
export function batch(
  resource: StateResource,
  statements: readonly D1Statement[],
): Promise<readonly D1Result[]> {
  const body = Buffer.from(JSON.stringify({ statements }))
  return askJson(resource, { method: 'POST', operation: 'batch', body })
}

/**
 * Runs what was written, and `more` after it, in one transaction.
 * @throws FlexiError FLEXI_BAD_REQUEST with the place of the statement that failed.
 */
export async function execute(
  resource: StateResource,
  source: SqlSource,
  more: readonly D1Statement[] = [],
): Promise<readonly D1Result[]> {
  const statements = withoutTransaction(splitSql(source.text))
  if (statements.length + more.length === 0)
    throw new FlexiError('FLEXI_BAD_REQUEST', `${source.file} has no SQL statement`)
  try {
    return await batch(resource, [...statements.map(({ sql }) => withinLimit(sql)), ...more])
  } catch (error) {
    throw error instanceof StateRefusal ? sqlError(error, statements, source) : error
  }
}

/** `near "selec": syntax error at offset 0: SQLITE_ERROR` → at the statement's own place in the text. */
function sqlError(refusal: StateRefusal, statements: readonly SqlStatement[], source: SqlSource): FlexiError {
  const statement = statements[refusal.statement ?? -1]
  if (statement === undefined) return refusal
  const told = /^(.*?)(?: at offset (\d+))?: SQLITE_[A-Z_]+(?: \(extended: \w+\))?$/s.exec(refusal.message)
  const message = told?.[1] ?? refusal.message
  const { sql } = statement
  // What was too long has run in another form, whose offsets are not those of the text.
  const inside = isTooLong(sql) ? 0 : characters(sql, Number(told?.[2] ?? 0))
  const offset = statement.offset + inside
  const fault: Fault = { ...placeAt(source.file, source.text, offset), message, ...hintOf(message) }
  return new FlexiError('FLEXI_BAD_REQUEST', `the SQL failed, and nothing of it was kept: ${message}`, {
    faults: [fault],
    cause: refusal,
  })
}

function hintOf(message: string): Pick<Fault, 'hint'> {
  return /transaction/i.test(message) && /cannot start|BEGIN/.test(message)
    ? { hint: 'Leave BEGIN and COMMIT out: D1 runs everything in one transaction.' }
    : {}
}

/** SQLite counts bytes of UTF-8. */
function characters(sql: string, bytes: number): number {
  return Buffer.from(sql).subarray(0, bytes).toString().length
}
