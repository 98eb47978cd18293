import { cidrMatcher } from './cidr.ts'
import { patternFault } from './pattern-fault.ts'
import { wildcardMatcher } from './wildcard.ts'

/** A value of an event that has no parts: text, number, true, false or null. */
type Value = unknown

/** One value of a field's list. */
export interface Leaf {
  matches(value: Value): boolean
  /** Matches where there is no value. */
  readonly absent?: boolean | undefined
}

type Test = (value: Value) => boolean

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** `"shop"`, `42`, `null`, `{ "prefix": "eu-" }` … @throws FlexiError FLEXI_CONFIG. */
export function leafOf(pattern: unknown): Leaf {
  if (Array.isArray(pattern)) throw patternFault('Arrays within a match list are not allowed')
  if (!isRecord(pattern)) return { matches: (value) => value === pattern }
  const { kind, operand } = expressionOf(pattern)
  if (kind === 'exists') return existsLeaf(operand)
  const matcher = own(MATCHERS, kind)
  if (matcher === undefined) throw patternFault(`Unrecognized match type ${kind}`)
  return { matches: matcher(operand) }
}

/** Names come from outside: `constructor` is none that a table has. */
function own<Entry>(table: Readonly<Record<string, Entry | undefined>>, name: string): Entry | undefined {
  return Object.hasOwn(table, name) ? table[name] : undefined
}

function expressionOf(pattern: Readonly<Record<string, unknown>>): { kind: string; operand: unknown } {
  const [entry, ...more] = Object.entries(pattern)
  if (entry === undefined) throw patternFault('Empty match expressions are not allowed')
  if (more.length > 0) throw patternFault('Only one key allowed in match expression')
  return { kind: entry[0], operand: entry[1] }
}

function existsLeaf(operand: unknown): Leaf {
  if (typeof operand !== 'boolean') throw patternFault('exists match pattern must be either true or false.')
  return { matches: () => operand, absent: !operand }
}

const MATCHERS: Readonly<Record<string, ((operand: unknown) => Test) | undefined>> = {
  prefix: affix('prefix', (text, part) => text.startsWith(part)),
  suffix: affix('suffix', (text, part) => text.endsWith(part)),
  'equals-ignore-case': ignoreCase,
  wildcard: wildcard,
  numeric: numeric,
  cidr: cidr,
  'anything-but': anythingBut,
}

/** `{ "prefix": "eu-" }` or `{ "prefix": { "equals-ignore-case": "eu-" } }` */
function affix(kind: string, has: (text: string, part: string) => boolean): (operand: unknown) => Test {
  return (operand) => {
    const folded = isRecord(operand) ? foldedOperand(kind, operand) : undefined
    if (folded !== undefined) {
      return (value) => typeof value === 'string' && has(value.toLowerCase(), folded)
    }
    const part = textOf(kind, operand)
    return (value) => typeof value === 'string' && has(value, part)
  }
}

function foldedOperand(kind: string, operand: Readonly<Record<string, unknown>>): string {
  const { kind: inner, operand: part } = expressionOf(operand)
  if (inner !== 'equals-ignore-case') throw patternFault(`Unsupported anything within ${kind}: ${inner}`)
  return textOf(inner, part).toLowerCase()
}

function ignoreCase(operand: unknown): Test {
  const folded = textOf('equals-ignore-case', operand).toLowerCase()
  return (value) => typeof value === 'string' && value.toLowerCase() === folded
}

function wildcard(operand: unknown): Test {
  const matches = wildcardMatcher(textOf('wildcard', operand))
  return (value) => typeof value === 'string' && matches(value)
}

function cidr(operand: unknown): Test {
  const matches = cidrMatcher(textOf('cidr', operand))
  return (value) => typeof value === 'string' && matches(value)
}

function textOf(kind: string, operand: unknown): string {
  if (typeof operand !== 'string') throw patternFault(`${kind} match pattern must be a string`)
  return operand
}

const COMPARISONS: Readonly<Record<string, ((value: number, bound: number) => boolean) | undefined>> = {
  '=': (value, bound) => value === bound,
  '<': (value, bound) => value < bound,
  '<=': (value, bound) => value <= bound,
  '>': (value, bound) => value > bound,
  '>=': (value, bound) => value >= bound,
}

/** `["=", 3]`, `["<", 10]`, `[">", 0, "<=", 5]` */
function numeric(operand: unknown): Test {
  if (!Array.isArray(operand)) throw patternFault('Value of numeric must be an array.')
  const terms: readonly unknown[] = operand
  if (terms.length === 0) throw patternFault('Invalid member in numeric match: ]')
  if (terms.length > 4) throw patternFault('Too many elements in numeric expression')
  const [lower, bound, upper, upperBound] = terms
  const first = comparison(lower, bound)
  if (terms.length <= 2) return first
  if (!['>', '>='].includes(String(lower)) || !['<', '<='].includes(String(upper))) {
    throw patternFault('Bad numeric range operator: a range is [">", lower, "<", upper]')
  }
  if (Number(bound) >= Number(upperBound)) throw patternFault('Bottom must be less than top')
  const second = comparison(upper, upperBound)
  return (value) => first(value) && second(value)
}

function comparison(operator: unknown, bound: unknown): Test {
  const compare = typeof operator === 'string' ? own(COMPARISONS, operator) : undefined
  if (compare === undefined) throw patternFault(`Unrecognized numeric range operator: ${String(operator)}`)
  if (typeof bound !== 'number') throw patternFault('Value of numeric match operator must be numeric')
  return (value) => typeof value === 'number' && compare(value, bound)
}

/** What `anything-but` may hold instead of plain values; each takes one text or a list of them. */
const EXCEPTIONS: ReadonlySet<string> = new Set(['prefix', 'suffix', 'equals-ignore-case', 'wildcard'])

/** `"a"`, `["a", "b"]`, `[1, 2]`, `{ "prefix": "a" }`, `{ "suffix": ["a", "b"] }` … : any value that is none of them. */
function anythingBut(operand: unknown): Test {
  if (isRecord(operand)) {
    const { kind, operand: excluded } = expressionOf(operand)
    const matcher = EXCEPTIONS.has(kind) ? MATCHERS[kind] : undefined
    if (matcher === undefined) throw patternFault(`Unsupported anything-but pattern: ${kind}`)
    const tests = listOf(excluded).map(matcher)
    return (value) => !tests.some((test) => test(value))
  }
  const excluded = new Set(listOf(operand))
  const kinds = new Set([...excluded].map((value) => typeof value))
  const [kind] = kinds
  if (kinds.size !== 1 || (kind !== 'string' && kind !== 'number')) {
    throw patternFault(
      'Inside anything but list, either all values are number or string, mixed type is not supported',
    )
  }
  return (value) => !excluded.has(value)
}

function listOf(operand: unknown): readonly unknown[] {
  const list: readonly unknown[] = Array.isArray(operand) ? operand : [operand]
  if (list.length === 0) throw patternFault('Empty arrays are not allowed')
  return list
}
