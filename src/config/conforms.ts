/** A JSON Schema, draft 7, as far as zod writes it. */
export type JsonSchema = Readonly<Record<string, unknown>>

/**
 * Is this JSON value certainly valid? False also means "not sure": a keyword that is not known here.
 * It exists because it costs nothing, while zod, which can say what is wrong, takes longer to load than a project to start.
 */
export function conforms(schema: JsonSchema, value: unknown): boolean {
  return Object.entries(schema).every(([keyword, rule]) => {
    if (ANNOTATIONS.has(keyword)) return true
    return KEYWORDS.get(keyword)?.(rule, value, schema) === true
  })
}

const ANNOTATIONS = new Set([
  '$schema',
  'title',
  'description',
  'examples',
  'allowComments',
  'allowTrailingCommas',
])

type Check = (rule: unknown, value: unknown, schema: JsonSchema) => boolean

/** Each says nothing about values of other types, as JSON Schema has it. */
const KEYWORDS: ReadonlyMap<string, Check> = new Map<string, Check>([
  ['type', (rule, value) => [rule].flat().some((type) => isOfType(value, type))],
  ['const', (rule, value) => value === rule],
  ['enum', (rule, value) => listOf(rule).includes(value)],
  [
    'properties',
    (rule, value) =>
      entriesOf(value).every(([key, part]) => {
        const schema = new Map(entriesOf(rule)).get(key)
        return schema === undefined || conforms(schema as JsonSchema, part)
      }),
  ],
  ['required', (rule, value) => listOf(rule).every((key) => entriesOf(value).some(([name]) => name === key))],
  [
    'additionalProperties',
    (rule, value, { properties }) => {
      const known = new Set(entriesOf(properties).map(([key]) => key))
      const others = entriesOf(value).filter(([key]) => !known.has(key))
      return others.every(([, part]) => rule !== false && conforms(rule as JsonSchema, part))
    },
  ],
  ['propertyNames', (rule, value) => entriesOf(value).every(([key]) => conforms(rule as JsonSchema, key))],
  ['items', (rule, value) => listOf(value).every((part) => conforms(rule as JsonSchema, part))],
  ['anyOf', (rule, value) => listOf(rule).some((schema) => conforms(schema as JsonSchema, value))],
  ['pattern', (rule, value) => typeof value !== 'string' || new RegExp(String(rule)).test(value)],
  ['minLength', (rule, value) => typeof value !== 'string' || value.length >= Number(rule)],
  ['minItems', (rule, value) => !Array.isArray(value) || value.length >= Number(rule)],
  ['maxItems', (rule, value) => !Array.isArray(value) || value.length <= Number(rule)],
  ['minimum', (rule, value) => typeof value !== 'number' || value >= Number(rule)],
  ['maximum', (rule, value) => typeof value !== 'number' || value <= Number(rule)],
  ['exclusiveMinimum', (rule, value) => typeof value !== 'number' || value > Number(rule)],
])

function isOfType(value: unknown, type: unknown): boolean {
  const own = typeOf(value)
  return own === type || (own === 'integer' && type === 'number')
}

function typeOf(value: unknown): string | undefined {
  if (Number.isInteger(value)) return 'integer'
  // 1e999 is JSON, and Infinity is what becomes of it.
  if (value === Infinity || value === -Infinity) return undefined
  if (value === null) return 'null'
  return Array.isArray(value) ? 'array' : typeof value
}

function entriesOf(value: unknown): [string, unknown][] {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.entries(value) : []
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}
