/** Nearest rank. `at` is 0.5 for the median; undefined of nothing. */
export function percentile(values, at) {
  if (values.length === 0) return undefined
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(at * sorted.length) - 1))]
}

/** The middle value, or the mean of the two in the middle. */
export function median(values) {
  if (values.length === 0) return undefined
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/** How far apart the rounds are: half of what lies between the best and the worst, as a share of the median. */
export function spread(values) {
  if (values.length < 2) return undefined
  return (Math.max(...values) - Math.min(...values)) / 2 / median(values)
}
