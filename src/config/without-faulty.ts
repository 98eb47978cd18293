import type { core, ZodSafeParseResult } from 'zod'

import type { Path } from './flexi-faults.ts'
import type { FlexiDocument } from './flexi-schema.ts'

/** Of a value that may be one of several things, the issues of the one it is meant to be, if its type tells. */
export function innermost(issue: core.$ZodIssue): core.$ZodIssue[] {
  if (issue.code !== 'invalid_union') return [issue]
  const [meant, ...others] = issue.errors.filter((issues) => !issues.some(isOfOtherType))
  if (meant === undefined || others.length > 0) return [issue]
  return meant.flatMap((inner) => innermost({ ...inner, path: [...issue.path, ...inner.path] }))
}

function isOfOtherType({ code, path }: core.$ZodIssue): boolean {
  return path.length === 0 && (code === 'invalid_type' || code === 'invalid_value')
}

export interface Rest {
  readonly document: FlexiDocument
  /** Where each route of the document stands in the file's list. */
  readonly routeIndexes: readonly number[]
}

/** What is left of a value without all that has an issue: what else is wrong with it can then be found too. */
export function withoutFaulty(
  value: unknown,
  issues: readonly core.$ZodIssue[],
  parse: (value: unknown) => ZodSafeParseResult<FlexiDocument>,
): Rest {
  let removed: ReadonlySet<string> = new Set()
  // What lacks a key that is wanted goes with it: each round ends further up.
  for (let wrong = issues; wrong.length > 0;) {
    const more = wrong.flatMap(placesOf).map((path) => removable(path, removed))
    const before = removed.size
    removed = new Set([...removed, ...more])
    const { rest, routeIndexes } = copyWithout(value, removed)
    const result = parse(rest)
    if (result.success) return { document: result.data, routeIndexes }
    wrong = result.error.issues.flatMap(innermost).map((issue) => inFile(issue, routeIndexes))
    if (removed.size === before) break
  }
  return { document: {}, routeIndexes: [] }
}

/** The same issue with the index that the route has in the file. */
function inFile(issue: core.$ZodIssue, routeIndexes: readonly number[]): core.$ZodIssue {
  const [part, index, ...deeper] = issue.path
  if (part !== 'routes' || typeof index !== 'number') return issue
  return { ...issue, path: [part, routeIndexes[index] ?? index, ...deeper] }
}

function placesOf(issue: core.$ZodIssue): Path[] {
  const path = issue.path.map((step) => (typeof step === 'number' ? step : String(step)))
  return issue.code === 'unrecognized_keys' ? issue.keys.map((key) => [...path, key]) : [path]
}

/** The nearest thing that can be left out: not one of a list, whose others would move, nor what is gone already. */
function removable(path: Path, removed: ReadonlySet<string>): string {
  const inList = path.findIndex((step, depth) => typeof step === 'number' && path[depth - 1] !== 'routes')
  let place = inList === -1 ? path : path.slice(0, inList)
  while (place.length > 0 && removed.has(JSON.stringify(place))) place = place.slice(0, -1)
  return JSON.stringify(place)
}

function copyWithout(
  value: unknown,
  removed: ReadonlySet<string>,
): { rest: unknown; routeIndexes: number[] } {
  const isKept = (path: Path): boolean => !removed.has(JSON.stringify(path))
  const routeIndexes: number[] = []
  const copy = (part: unknown, path: Path): unknown => {
    if (typeof part !== 'object' || part === null) return part
    if (!Array.isArray(part)) {
      const kept = Object.entries(part).filter(([key]) => isKept([...path, key]))
      return Object.fromEntries(
        kept.map(([key, inner]: [string, unknown]) => [key, copy(inner, [...path, key])]),
      )
    }
    if (path.length !== 1 || path[0] !== 'routes') return part
    const kept = [...part.keys()].filter((index) => isKept([...path, index]))
    routeIndexes.push(...kept)
    return kept.map((index) => copy(part[index], [...path, index]))
  }
  return { rest: copy(value, []), routeIndexes }
}
