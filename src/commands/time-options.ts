import { FlexiError } from '../core/errors.ts'

const UNITS_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
}

/** `90s`, `10m`, `1h30m`, `2d` → milliseconds. Undefined for what is no duration. */
export function parseDuration(text: string): number | undefined {
  if (!/^(\d+(\.\d+)?(ms|[smhdw]))+$/.test(text)) return undefined
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|[smhdw])/g)]
  return parts.reduce((sum, [, count, unit = '']) => sum + Number(count) * (UNITS_MS[unit] ?? 0), 0)
}

/** The duration of a flag, in milliseconds. @throws FlexiError FLEXI_USAGE. */
export function durationFlag(flag: string, text: string): number {
  const ms = parseDuration(text)
  if (ms !== undefined) return ms
  throw new FlexiError('FLEXI_USAGE', `--${flag} ${text} is no duration`, {
    hint: 'Write a number with its unit: 90s, 10m, 1h30m, 2d.',
  })
}

/**
 * A moment as people write it: so long ago (`10m`), or a date with or without a time (local without an offset).
 * Milliseconds since the epoch. @throws FlexiError FLEXI_USAGE.
 */
export function sinceFlag(text: string, now: number): number {
  const ms = parseDuration(text)
  if (ms !== undefined) return Math.max(0, Math.floor(now - ms))
  // A date alone would be midnight in Greenwich; people mean their own.
  const time = /^\d{4}-\d{2}-\d{2}$/.test(text) ? Date.parse(`${text}T00:00:00`) : isoTime(text)
  if (Number.isFinite(time) && time >= 0) return time
  throw new FlexiError('FLEXI_USAGE', `--since ${text} is no time`, {
    hint: 'Write how long ago (10m, 2h, 3d), or a time (2026-11-21, 2026-11-21T14:00).',
  })
}

function isoTime(text: string): number {
  return /^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}/.test(text) ? Date.parse(text.replace(' ', 'T')) : Number.NaN
}
