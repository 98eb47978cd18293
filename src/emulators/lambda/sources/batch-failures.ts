/** Which of a batch failed: none, all, or those of these identifiers. */
export type BatchOutcome = 'none' | 'all' | ReadonlySet<string>

/**
 * Reads `{ "batchItemFailures": [{ "itemIdentifier": "…" }] }`. An answer that names nothing is a success;
 * one that names what is not in the batch, or nothing where a name should be, failed as a whole.
 * Source: Lambda guide, reporting batch item failures.
 */
export function batchOutcome(payload: Uint8Array, identifiers: ReadonlySet<string>): BatchOutcome {
  if (payload.length === 0) return 'none'
  const result = parse(payload)
  if (result === undefined) return 'all'
  const failures = memberOf(result, 'batchItemFailures') ?? []
  if (!Array.isArray(failures)) return 'all'
  const failed = new Set<string>()
  for (const failure of failures) {
    const identifier = memberOf(failure, 'itemIdentifier')
    if (typeof identifier !== 'string' || !identifiers.has(identifier)) return 'all'
    failed.add(identifier)
  }
  return failed.size === 0 ? 'none' : failed
}

/** Undefined for what is no JSON. */
function parse(payload: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(payload).toString())
  } catch {
    return undefined
  }
}

export function memberOf(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined
  return (value as Readonly<Record<string, unknown>>)[name]
}
