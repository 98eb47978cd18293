/**
 * Compares a value with its target. The target is `{ atLeast }` or `{ atMost }`, of the value's own unit.
 * A value that was not measured is not judged.
 */
export function judge(value, target) {
  if (target === undefined) return ''
  if (value === undefined) return 'not measured'
  const met = 'atLeast' in target ? value >= target.atLeast : value <= target.atMost
  if (met) return 'met'
  const limit = target.atLeast ?? target.atMost
  if (limit === 0) return `missed: ${value}`
  const percent = (Math.abs(value - limit) / limit) * 100
  return `missed by ${percent < 10 ? percent.toFixed(1) : Math.round(percent)} %`
}

/** `≥ 4 ×`, `≤ 250 ms` */
export function targetText(target, unit) {
  if (target === undefined) return ''
  return 'atLeast' in target ? `≥ ${target.atLeast} ${unit}`.trim() : `≤ ${target.atMost} ${unit}`.trim()
}
