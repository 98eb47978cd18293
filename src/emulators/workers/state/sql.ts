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
