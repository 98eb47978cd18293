import { matches, type Cron } from './cron.ts'

/** What clocks on the wall of a place show. */
export interface Zone {
  /** In messages. */
  readonly name: string
  /** Of an instant, both in milliseconds, the result as if that clock showed UTC. */
  wallTime(instant: number): number
}

const MINUTE_MS = 60_000
/** No clock is set by more at once. */
const CHANGE_MS_MAX = 3 * 3_600_000

export const UTC: Zone = { name: 'UTC', wallTime: (instant) => instant }

/** `local` or a name such as `Europe/Berlin`. @throws RangeError for one that nobody knows. */
export function zoneOf(name: string): Zone {
  if (name.toUpperCase() === 'UTC') return UTC
  const format = new Intl.DateTimeFormat('en-US', {
    ...(name === 'local' ? {} : { timeZone: name }),
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
  })
  return {
    name: format.resolvedOptions().timeZone,
    wallTime(instant) {
      const parts = new Map(format.formatToParts(instant).map(({ type, value }) => [type, Number(value)]))
      const [year = 0, month = 1, day, hour, minute] = (
        ['year', 'month', 'day', 'hour', 'minute'] as const
      ).map((part) => parts.get(part))
      return Date.UTC(year, month - 1, day, hour, minute)
    },
  }
}

/**
 * Whether a cron is due in this minute (milliseconds, a multiple of 60 000) by the clocks of a zone. Where they are changed, what comes
 * at a time of day comes once: at the change when they leap over it, and the first time when they show it twice. What comes in
 * intervals follows what the clocks show. Source: Vixie cron; Cloudflare knows UTC only.
 */
export function isDue(cron: Cron, zone: Zone, minute: number): boolean {
  const wallTime = zone.wallTime(minute)
  if (cron.isInterval || zone === UTC) return matches(cron, wallTime)
  for (let shown = zone.wallTime(minute - MINUTE_MS) + MINUTE_MS; shown < wallTime; shown += MINUTE_MS)
    if (matches(cron, shown)) return true
  return matches(cron, wallTime) && !wasShown(zone, minute, wallTime)
}

/** Whether the clocks showed this already, before they were set back. */
function wasShown(zone: Zone, minute: number, wallTime: number): boolean {
  const earlier = minute - CHANGE_MS_MAX
  const setBackMs = zone.wallTime(earlier) - earlier - (wallTime - minute)
  return setBackMs > 0 && zone.wallTime(minute - setBackMs) === wallTime
}
