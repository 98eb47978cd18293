import { isRecord, leafOf, type Leaf } from './leaf.ts'
import { patternFault } from './pattern-fault.ts'

/** Whether an event, as JSON.parse gives it, is meant. */
export type Matches = (event: unknown) => boolean

interface Field {
  readonly name: string
  readonly matches: Matches
}

/** Deeper patterns are refused; EventBridge's own limit is on the whole text. */
const DEPTH_MAX = 100

/**
 * An event pattern of EventBridge, ready to be asked often. All fields must match, and one value of each field's list:
 * `{ "source": ["shop"], "detail": { "total": [{ "numeric": [">", 100] }] } }`.
 * A list in the event matches when one of its items does.
 * @throws FlexiError FLEXI_CONFIG for a pattern that cannot be.
 */
export function compilePattern(pattern: unknown): Matches {
  if (!isRecord(pattern)) throw patternFault('Filter is not an object')
  if (Object.keys(pattern).length === 0) throw patternFault('Empty patterns are not allowed')
  return compileObject(pattern, 0)
}

/** As `compilePattern`, from JSON text. @throws FlexiError FLEXI_CONFIG. */
export function parsePattern(text: string): Matches {
  let pattern: unknown
  try {
    pattern = JSON.parse(text)
  } catch {
    throw patternFault('Pattern is not valid JSON')
  }
  return compilePattern(pattern)
}

function compileObject(pattern: Readonly<Record<string, unknown>>, depth: number): Matches {
  if (depth > DEPTH_MAX) throw patternFault('Pattern is nested too deep')
  const alternatives: Matches[][] = []
  const fields: Field[] = []
  for (const [name, value] of Object.entries(pattern)) {
    if (name === '$or' && isAlternatives(value))
      alternatives.push(value.map((one) => compileObject(one, depth + 1)))
    else fields.push({ name, matches: compileField(name, value, depth) })
  }
  return (event) =>
    fields.every(({ name, matches }) => matches(memberOf(event, name))) &&
    alternatives.every((either) => either.some((matches) => matches(event)))
}

/** Own members alone: `constructor` is no field of an event. */
function memberOf(event: unknown, name: string): unknown {
  return isRecord(event) && Object.hasOwn(event, name) ? event[name] : undefined
}

/** A list of one, or of anything but objects, is an ordinary field that happens to be called `$or`. */
function isAlternatives(value: unknown): value is readonly Readonly<Record<string, unknown>>[] {
  return Array.isArray(value) && value.length > 1 && value.every((one) => isRecord(one))
}

function compileField(name: string, value: unknown, depth: number): Matches {
  if (Array.isArray(value)) return compileValues(value)
  if (!isRecord(value)) throw patternFault(`"${name}" must be an object or an array`)
  if (Object.keys(value).length === 0) throw patternFault('Empty objects are not allowed')
  const object = compileObject(value, depth + 1)
  return (member) => someObject(member, object)
}

/** All fields of an object in a list must match on the same item. A missing object is asked too: `exists` may be false below it. */
function someObject(member: unknown, matches: Matches): boolean {
  return Array.isArray(member) && member.length > 0
    ? member.some((one) => someObject(one, matches))
    : matches(member)
}

function compileValues(values: readonly unknown[]): Matches {
  if (values.length === 0) throw patternFault('Empty arrays are not allowed')
  const leaves = values.map(leafOf)
  const absentMatches = leaves.some(({ absent }) => absent === true)
  return (member) => matchesMember(member, leaves, absentMatches)
}

function matchesMember(member: unknown, leaves: readonly Leaf[], absentMatches: boolean): boolean {
  if (Array.isArray(member) && member.length > 0) {
    return member.some((one) => matchesMember(one, leaves, absentMatches))
  }
  // Only values count as being there: an object, or an empty list, has none of its own.
  if (member === undefined || (typeof member === 'object' && member !== null)) return absentMatches
  return leaves.some((leaf) => leaf.matches(member))
}
