import { wallClock, type WallClock } from '../../../core/wall-clock.ts'
import { matches, type Cron } from './cron.ts'

const MINUTE_MS = 60_000
/** No clock is set by more at once. */
const CHANGE_MS_MAX = 3 * 3_600_000

export const UTC: WallClock = { name: 'UTC', wallTime: (instant) => instant }

/** `local` or a name such as `Europe/Berlin`. @throws RangeError for one that nobody knows. */
export function zoneOf(name: string): WallClock {
  if (name.toUpperCase() === 'UTC') return UTC
  return wallClock(name === 'local' ? undefined : name)
}

/**
 * Whether a cron is due in this minute (milliseconds, a multiple of 60 000) by the clocks of a zone. Where they are changed, what comes
 * at a time of day comes once: at the change when they leap over it, and the first time when they show it twice. What comes in
 * intervals follows what the clocks show. Source: Vixie cron; Cloudflare knows UTC only.
 */
export function isDue(cron: Cron, zone: WallClock, minute: number): boolean {
  const wallTime = zone.wallTime(minute)
  if (cron.isInterval || zone === UTC) return matches(cron, wallTime)
  for (let shown = zone.wallTime(minute - MINUTE_MS) + MINUTE_MS; shown < wallTime; shown += MINUTE_MS)
    if (matches(cron, shown)) return true
  return matches(cron, wallTime) && !wasShown(zone, minute, wallTime)
}

/** Whether the clocks showed this already, before they were set back. */
function wasShown(zone: WallClock, minute: number, wallTime: number): boolean {
  const earlier = minute - CHANGE_MS_MAX
  const setBackMs = zone.wallTime(earlier) - earlier - (wallTime - minute)
  return setBackMs > 0 && zone.wallTime(minute - setBackMs) === wallTime
}
