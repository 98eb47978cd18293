/**
 * The candidate a person most likely meant, for "did you mean" hints: `wrokers` → `workers`.
 * Undefined when none is near: at most one edit in three characters, case not counted.
 */
export function closest(word: string, candidates: readonly string[]): string | undefined {
  const editsMax = Math.max(1, Math.floor(word.length / 3))
  let best: { candidate: string; edits: number } | undefined
  for (const candidate of candidates) {
    const edits = distance(word.toLowerCase(), candidate.toLowerCase(), editsMax)
    const near = edits <= editsMax && edits < candidate.length
    if (near && edits < (best?.edits ?? Infinity)) best = { candidate, edits }
  }
  return best?.candidate
}

/** Insertions, deletions, replacements and swaps of neighbours (Damerau and Levenshtein); Infinity when certainly above the limit. */
function distance(left: string, right: string, limit: number): number {
  if (Math.abs(left.length - right.length) > limit) return Infinity
  let before: readonly number[] = []
  let row: readonly number[] = Array.from({ length: right.length + 1 }, (_, column) => column)
  for (let line = 1; line <= left.length; line++) {
    const next = [line]
    for (let column = 1; column <= right.length; column++) {
      const same = left[line - 1] === right[column - 1]
      const swapped = left[line - 1] === right[column - 2] && left[line - 2] === right[column - 1]
      next[column] = Math.min(
        at(row, column) + 1,
        at(next, column - 1) + 1,
        at(row, column - 1) + (same ? 0 : 1),
        swapped ? at(before, column - 2) + 1 : Infinity,
      )
    }
    before = row
    row = next
  }
  return at(row, right.length)
}

function at(row: readonly number[], column: number): number {
  return row[column] ?? Infinity
}
