import type { Fault } from '../../core/place.ts'
import { faultAt, type ConfigText } from './config-faults.ts'
import type { Config } from './configuration.ts'
import { nodeFlagFaults, type Compatibility } from './node-compat.ts'

/** The runtime knows no behaviour newer than itself, and miniflare none newer than today. */
export function compatibilityOf(
  config: Pick<Config, 'compatibility_date' | 'compatibility_flags'>,
  newest: string,
  today = new Date().toISOString().slice(0, 10),
): { compatibility: Compatibility; warnings: readonly string[] } {
  const limit = newest < today ? newest : today
  const wanted = config.compatibility_date
  const flags = config.compatibility_flags
  if (wanted === undefined) {
    const text = `no compatibility_date is set, so the runtime's own is used: write "compatibility_date": "${limit}" to keep today's behaviour`
    return { compatibility: { date: limit, flags }, warnings: [text] }
  }
  if (wanted <= limit) return { compatibility: { date: wanted, flags }, warnings: [] }
  const text = `the runtime knows behaviour up to ${limit}, and compatibility_date asks for ${wanted}: ${limit} is used`
  return { compatibility: { date: limit, flags }, warnings: [text] }
}

/** A date that is none, and flags that cannot be meant together. */
export async function compatibilityFaults(
  { compatibility_date: date, compatibility_flags: flags }: Config,
  origin: ConfigText,
): Promise<readonly Fault[]> {
  const bad =
    date === undefined || isDate(date)
      ? []
      : [{ message: `"${date}" is no date`, hint: 'Write it as 2026-01-31.' }]
  return await Promise.all([
    ...bad.map((fault) => faultAt(origin, ['compatibility_date'], fault)),
    ...nodeFlagFaults(flags).map((fault) => faultAt(origin, ['compatibility_flags'], fault)),
  ])
}

function isDate(text: string): boolean {
  const time = /^\d{4}-\d{2}-\d{2}$/.test(text) ? Date.parse(text) : NaN
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(text)
}
