/** Text of a `.env` or `.dev.vars` file → its values, by the grammar of the dotenv package, which wrangler reads them with. */
export function parseEnvText(text: string): Record<string, string> {
  const values: Record<string, string> = Object.create(null) as Record<string, string>
  for (const [, name = '', raw = ''] of text.replaceAll(/\r\n?/g, '\n').matchAll(ENTRY))
    values[name] = unquoted(raw.trim())
  return { ...values }
}

const SPACE = String.raw`\s*`
const NAME = String.raw`(?:export\s+)?([\w.-]+)`
const SEPARATOR = String.raw`(?:\s*=\s*?|:\s+?)`
/** A quoted value may have several lines, and its own quote after a backslash. */
const QUOTED = ["'", '"', '`'].map((quote) => String.raw`\s*${quote}(?:\\${quote}|[^${quote}])*${quote}`)
const BARE = String.raw`[^#\r\n]+`
const COMMENT = '(?:#.*)?'
const ENTRY = new RegExp(
  `^${SPACE}${NAME}${SEPARATOR}(${[...QUOTED, BARE].join('|')})?${SPACE}${COMMENT}$`,
  'gm',
)

function unquoted(value: string): string {
  const text = value.replace(/^(["'`])([\s\S]*)\1$/gm, '$2')
  return value.startsWith('"') ? text.replaceAll('\\n', '\n').replaceAll('\\r', '\r') : text
}

/** References that lead to references; a value that goes on growing ends there. */
const ROUNDS_MAX = 100

/**
 * `${NAME}`, `$NAME`, `${NAME:-default}`, `${NAME-default}`, `${NAME:+instead}` and `${NAME+instead}`. What stands above in the file is
 * known, and `shell`, which wins over it; `\$` is a dollar sign. Source: the dotenv-expand package, as wrangler calls it.
 */
export function expand(
  values: Readonly<Record<string, string>>,
  shell: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  const done: Record<string, string> = {}
  for (const [name, text] of Object.entries(values)) {
    const given = shell[name]
    const own = given !== undefined && given !== '' ? given : expandOne(text, { done, shell })
    done[name] = own.replaceAll('\\$', '$')
  }
  return done
}

interface Known {
  readonly done: Readonly<Record<string, string>>
  readonly shell: Readonly<Record<string, string | undefined>>
}

const REFERENCE = /(?<!\\)\$\{([^{}]+)\}|(?<!\\)\$([A-Za-z_]\w*)/

function expandOne(text: string, { done, shell }: Known): string {
  const seen = new Set<string>()
  let result = text
  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    const match = REFERENCE.exec(result)
    if (match === null) return result
    seen.add(result)
    const [written, braced, bare] = match
    const reference = parts(braced ?? bare ?? '')
    const chosen = replacement(reference, { known: { done, shell }, seen })
    // The string form on purpose: `$$` in a value means the same as where wrangler reads it.
    result = result.replace(written, chosen)
    if (result === done[reference.name]) return result
  }
  return result
}

interface Reference {
  readonly name: string
  /** `:-`, `-`, `:+`, `+`, or nothing. */
  readonly operator: string
  readonly rest: string
}

function replacement(
  { name, operator, rest }: Reference,
  { known: { done, shell }, seen }: { readonly known: Known; readonly seen: ReadonlySet<string> },
): string {
  const value = shell[name] ?? done[name] ?? ''
  if (operator.includes('+')) return value === '' ? '' : rest
  return value === '' || seen.has(value) ? rest : value
}

/** `NAME:-default` → its parts. */
function parts(expression: string): Reference {
  const match = /:\+|\+|:-|-/.exec(expression)
  if (match === null) return { name: expression, operator: '', rest: '' }
  const end = match.index + match[0].length
  return { name: expression.slice(0, match.index), operator: match[0], rest: expression.slice(end) }
}
