import { bounded, type Pattern } from '../../../core/expressions.ts'
/** A schema of API Gateway's models: JSON Schema, draft 4, and what of later drafts means the same. */
export type JsonSchema = Readonly<Record<string, unknown>>

/** Schemas that point to themselves end here; what is deeper is taken for valid. */
const DEPTH_MAX = 64

/** Holds values against a schema. Keywords that are not known, `format` too, ask nothing. */
export function openSchema(schema: JsonSchema): (value: unknown) => boolean {
  return (value) => isValid(schema, value, { root: schema, depth: 0 })
}

interface Walk {
  readonly root: JsonSchema
  readonly depth: number
}

function isValid(schema: unknown, value: unknown, walk: Walk): boolean {
  if (typeof schema === 'boolean') return schema
  if (!isObject(schema) || walk.depth > DEPTH_MAX) return true
  const deeper = { ...walk, depth: walk.depth + 1 }
  if (typeof schema['$ref'] === 'string') return isValid(referred(schema['$ref'], walk.root), value, deeper)
  return Object.keys(schema).every(
    (keyword) => CHECKS.get(keyword)?.({ schema, value, walk: deeper }) !== false,
  )
}

/** `#/definitions/user` in the schema itself; other places are not looked at. */
function referred(reference: string, root: JsonSchema): unknown {
  if (!reference.startsWith('#')) return true
  let found: unknown = root
  for (const part of reference.slice(1).split('/').filter(Boolean)) {
    const name = decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~')
    found = isObject(found) || Array.isArray(found) ? (found as JsonSchema)[name] : undefined
  }
  return found
}

interface Asked {
  readonly schema: JsonSchema
  readonly value: unknown
  readonly walk: Walk
}

type Check = (asked: Asked) => boolean

/** A check for values of one type; any other value is not its business. */
function forType<Value>(
  is: (value: unknown) => value is Value,
  check: (value: Value, asked: Asked) => boolean,
): Check {
  return (asked) => !is(asked.value) || check(asked.value, asked)
}

/** A bound that a keyword sets; without a number it sets none. */
function bound<Value>(
  keyword: string,
  is: (value: unknown) => value is Value,
  holds: (value: Value, limit: number, schema: JsonSchema) => boolean,
): [string, Check] {
  return [
    keyword,
    forType(is, (value, { schema }) => {
      const limit = schema[keyword]
      return typeof limit !== 'number' || holds(value, limit, schema)
    }),
  ]
}

const CHECKS: ReadonlyMap<string, Check> = new Map<string, Check>([
  ['type', ({ schema, value }) => listOf(schema['type']).some((type) => isOfType(value, type))],
  ['enum', ({ schema, value }) => listOf(schema['enum']).some((one) => isSame(one, value))],
  ['const', ({ schema, value }) => isSame(schema['const'], value)],
  ['required', forType(isObject, (value, { schema }) => namesIn(schema['required']).every((name) => Object.hasOwn(value, name)))],
  ['properties', forType(isObject, hasValidProperties)],
  ['patternProperties', forType(isObject, hasValidPatterns)],
  ['additionalProperties', forType(isObject, hasValidRest)],
  ['items', forType(Array.isArray, hasValidItems)],
  ['uniqueItems', forType(Array.isArray, (value: readonly unknown[], { schema }) => schema['uniqueItems'] !== true || isUnique(value))],
  ['pattern', forType(isText, (value, { schema }) => matches(schema['pattern'], value))],
  ['allOf', ({ schema, value, walk }) => listOf(schema['allOf']).every((one) => isValid(one, value, walk))],
  ['anyOf', ({ schema, value, walk }) => listOf(schema['anyOf']).some((one) => isValid(one, value, walk))],
  ['oneOf', ({ schema, value, walk }) => listOf(schema['oneOf']).filter((one) => isValid(one, value, walk)).length === 1],
  ['not', ({ schema, value, walk }) => !isValid(schema['not'], value, walk)],
  bound('minLength', isText, (value, limit) => Array.from(value).length >= limit),
  bound('maxLength', isText, (value, limit) => Array.from(value).length <= limit),
  bound('minimum', isNumber, (value, limit, schema) => (schema['exclusiveMinimum'] === true ? value > limit : value >= limit)),
  bound('maximum', isNumber, (value, limit, schema) => (schema['exclusiveMaximum'] === true ? value < limit : value <= limit)),
  bound('exclusiveMinimum', isNumber, (value, limit) => value > limit),
  bound('exclusiveMaximum', isNumber, (value, limit) => value < limit),
  bound('multipleOf', isNumber, (value, limit) => limit === 0 || Number.isInteger(value / limit)),
  bound('minItems', Array.isArray, (value: readonly unknown[], limit) => value.length >= limit),
  bound('maxItems', Array.isArray, (value: readonly unknown[], limit) => value.length <= limit),
  bound('minProperties', isObject, (value, limit) => Object.keys(value).length >= limit),
  bound('maxProperties', isObject, (value, limit) => Object.keys(value).length <= limit),
]) // prettier-ignore

function hasValidProperties(value: JsonSchema, { schema, walk }: Asked): boolean {
  const properties = isObject(schema['properties']) ? schema['properties'] : {}
  return Object.entries(properties).every(
    ([name, one]) => !Object.hasOwn(value, name) || isValid(one, value[name], walk),
  )
}

function hasValidPatterns(value: JsonSchema, { schema, walk }: Asked): boolean {
  const patterns = isObject(schema['patternProperties']) ? Object.entries(schema['patternProperties']) : []
  return Object.entries(value).every(([name, one]) =>
    patterns.every(([pattern, part]) => !matches(pattern, name) || isValid(part, one, walk)),
  )
}

/** What no other keyword names. */
function hasValidRest(value: JsonSchema, { schema, walk }: Asked): boolean {
  const properties = isObject(schema['properties']) ? schema['properties'] : {}
  const patterns = isObject(schema['patternProperties']) ? Object.keys(schema['patternProperties']) : []
  const rest = Object.entries(value).filter(
    ([name]) => !Object.hasOwn(properties, name) && !patterns.some((pattern) => matches(pattern, name)),
  )
  return rest.every(([, one]) => isValid(schema['additionalProperties'], one, walk))
}

/** One schema for all, or one for each place. */
function hasValidItems(value: readonly unknown[], { schema, walk }: Asked): boolean {
  const { items, additionalItems = true } = schema
  if (!Array.isArray(items)) return value.every((one) => isValid(items, one, walk))
  return value.every((one, index) =>
    isValid(index < items.length ? items[index] : additionalItems, one, walk),
  )
}

function isOfType(value: unknown, type: unknown): boolean {
  switch (type) {
    case 'null':
      return value === null
    case 'array':
      return Array.isArray(value)
    case 'object':
      return isObject(value)
    case 'integer':
      return Number.isInteger(value)
    default:
      return typeof value === type
  }
}

/** Patterns of the configuration, so there are few. */
const expressions = new Map<string, Pattern | undefined>()

/** Patterns are written for Java: one that cannot be read here asks nothing. */
function matches(pattern: unknown, text: string): boolean {
  if (typeof pattern !== 'string') return true
  if (!expressions.has(pattern)) expressions.set(pattern, expression(pattern, 'u') ?? expression(pattern, ''))
  return expressions.get(pattern)?.test(text) !== false
}

/** Without `u`, what is escaped for no reason is what it is. */
function expression(pattern: string, flags: 'u' | ''): Pattern | undefined {
  try {
    return bounded(new RegExp(pattern, flags))
  } catch {
    return undefined
  }
}

function isUnique(values: readonly unknown[]): boolean {
  return new Set(values.map(canonical)).size === values.length
}

function isSame(left: unknown, right: unknown): boolean {
  return canonical(left) === canonical(right)
}

/** JSON whose names are in order, so that equal values are equal texts. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_name, one: unknown) =>
    isObject(one) ? Object.fromEntries(Object.entries(one).toSorted(([a], [b]) => (a < b ? -1 : 1))) : one,
  )
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as readonly unknown[]) : [value]
}

function namesIn(value: unknown): readonly string[] {
  return listOf(value).filter((one) => typeof one === 'string')
}

function isObject(value: unknown): value is JsonSchema {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isText(value: unknown): value is string {
  return typeof value === 'string'
}

function isNumber(value: unknown): value is number {
  return typeof value === 'number'
}
