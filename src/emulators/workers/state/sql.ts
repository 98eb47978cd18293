/** One statement of a text, without the `;` that ends it. */
export interface SqlStatement {
  readonly sql: string
  /** Where its first word stands in the text. */
  readonly offset: number
}

/** What may stand in SQL and is looked at as one: what is quoted, a comment, a word, any other character. */
const TOKEN =
  /\s+|'(?:[^']|'')*'?|"(?:[^"]|"")*"?|`(?:[^`]|``)*`?|\[[^\]]*\]?|--[^\n]*|\/\*[^]*?(?:\*\/|$)|[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*|[^]/gu

/**
 * Cuts SQL into statements as SQLite does: a `;` ends one, but not in quotes, in comments, and in a trigger's body, which only `; END;`
 * ends. Statements of comments alone are left out.
 */
export function splitSql(text: string): readonly SqlStatement[] {
  const statements: SqlStatement[] = []
  let start: number | undefined
  let words = new Words()
  const finish = (end: number): void => {
    if (start !== undefined) statements.push({ sql: text.slice(start, end).trimEnd(), offset: start })
    start = undefined
    words = new Words()
  }
  for (const match of text.matchAll(TOKEN)) {
    const [token] = match
    if (isBlank(token)) continue
    if (token === ';' && words.mayEnd()) {
      finish(match.index)
      continue
    }
    start ??= match.index
    words.add(token)
  }
  finish(text.length)
  return statements
}

function isBlank(token: string): boolean {
  return token.startsWith('--') || token.startsWith('/*') || token.trim() === ''
}

/** Knows of a statement whether it makes a trigger, and how it ends so far. */
class Words {
  readonly #first: string[] = []
  #last = ''
  #before = ''

  add(token: string): void {
    if (this.#first.length < 6) this.#first.push(token.toUpperCase())
    this.#before = this.#last
    this.#last = token.toUpperCase()
  }

  mayEnd(): boolean {
    return !this.#makesTrigger() || (this.#last === 'END' && this.#before === ';')
  }

  /** `CREATE TRIGGER`, `CREATE TEMP TRIGGER`, `EXPLAIN QUERY PLAN CREATE TRIGGER` … */
  #makesTrigger(): boolean {
    const words = this.#first.join(' ')
    return /^(?:EXPLAIN (?:QUERY PLAN )?)?CREATE (?:TEMP |TEMPORARY )?TRIGGER\b/.test(words)
  }
}

/**
 * What SQLite's `.dump` writes around a whole database is left out: D1 runs everything in one transaction of its own.
 * Others than that one stay, for the database to refuse them.
 */
export function withoutTransaction(statements: readonly SqlStatement[]): readonly SqlStatement[] {
  const begins = statements.filter(({ sql }) => /^BEGIN(?:\s+TRANSACTION)?$/i.test(sql))
  const commits = statements.filter(({ sql }) => /^(?:COMMIT|END)(?:\s+TRANSACTION)?$/i.test(sql))
  if (begins.length !== 1 || commits.length !== 1) return statements
  return statements.filter((statement) => statement !== begins[0] && statement !== commits[0])
}

/** Bytes. Source: Cloudflare docs, D1 limits. */
const STATEMENT_BYTES_MAX = 100_000
const PARAMETERS_MAX = 100

export function isTooLong(sql: string): boolean {
  return Buffer.byteLength(sql) > STATEMENT_BYTES_MAX
}

interface Literal {
  readonly start: number
  readonly end: number
}

/**
 * A statement that puts in more than a statement may be long, with its longest values as parameters: so that what an export or SQLite's
 * `.dump` writes of big rows comes in again.
 */
export function withinLimit(sql: string): { readonly sql: string; readonly params?: (string | number[])[] } {
  if (!isTooLong(sql) || !/^(?:INSERT|REPLACE|UPDATE)\b/i.test(sql)) return { sql }
  const chosen = literals(sql)
    .toSorted((left, right) => length(right) - length(left))
    .slice(0, PARAMETERS_MAX)
  let bytes = Buffer.byteLength(sql)
  const needed: Literal[] = []
  for (const literal of chosen) {
    if (bytes <= STATEMENT_BYTES_MAX) break
    bytes -= Buffer.byteLength(sql.slice(literal.start, literal.end))
    needed.push(literal)
  }
  needed.sort((left, right) => left.start - right.start)
  const parts = needed.map(
    ({ start }, index) => `${sql.slice(needed[index - 1]?.end ?? 0, start)}?${index + 1}`,
  )
  return {
    sql: `${parts.join('')}${sql.slice(needed.at(-1)?.end ?? 0)}`,
    params: needed.map(({ start, end }) => valueOf(sql.slice(start, end))),
  }
}

const length = ({ start, end }: Literal): number => end - start

/** `'text'` and `X'00'` */
function literals(sql: string): Literal[] {
  const found: Literal[] = []
  let before = ''
  for (const { 0: token, index } of sql.matchAll(TOKEN)) {
    const isBlob = before.toUpperCase() === 'X'
    if (token.startsWith("'")) found.push({ start: isBlob ? index - 1 : index, end: index + token.length })
    before = token
  }
  return found
}

function valueOf(literal: string): string | number[] {
  if (literal.startsWith("'")) return literal.slice(1, -1).replaceAll("''", "'")
  return [...Buffer.from(literal.slice(2, -1), 'hex')]
}
