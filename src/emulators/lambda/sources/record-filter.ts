import { compilePattern, type Matches } from '../patterns/pattern.ts'
import { memberOf } from './batch-failures.ts'

type Filters = readonly Readonly<Record<string, unknown>>[] | undefined

/**
 * Whether a record is for the function: without filters all are, else one of them has to match.
 * `content` is the field whose text may be JSON: `body` of a queue's message, `data` of Kinesis. A pattern with an object there
 * wants JSON, and one with a list wants plain text: where the two differ, nothing matches. Source: Lambda guide, event filtering.
 * @throws FlexiError FLEXI_CONFIG for a pattern that cannot be.
 */
export function recordFilter(
  filters: Filters,
  content?: string,
): (record: Readonly<Record<string, unknown>>) => boolean {
  if (filters === undefined || filters.length === 0) return () => true
  const patterns = filters.map((pattern) => compiled(pattern, content))
  return (record) => patterns.some((matches) => matches(record))
}

function compiled(
  pattern: Readonly<Record<string, unknown>>,
  content: string | undefined,
): (record: Readonly<Record<string, unknown>>) => boolean {
  if (Object.keys(pattern).length === 0) return () => true
  const matches: Matches = compilePattern(pattern)
  const wanted = content === undefined ? undefined : pattern[content]
  if (content === undefined || wanted === undefined) return matches
  const wantsJson = !Array.isArray(wanted)
  return (record) => {
    const json = objectOf(memberOf(record, content))
    if (wantsJson !== (json !== undefined)) return false
    return matches(wantsJson ? { ...record, [content]: json } : record)
  }
}

/** What a text holds as JSON, where that is an object or a list. */
function objectOf(text: unknown): object | undefined {
  if (typeof text !== 'string') return undefined
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? value : undefined
  } catch {
    return undefined
  }
}
