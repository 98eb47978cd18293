import type { WallClock } from '../../../core/wall-clock.ts'
import { isDue } from './cron-clock.ts'
import { comesOn, type Cron } from './cron.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 3_600_000
const DAY_MS = 86_400_000
/** Clocks are set at quarters of an hour: no change is between two of them. */
const QUARTER_MS = 900_000
/** No clock is set by more at once. */
const CHANGE_MS_MAX = 3 * HOUR_MS
/** The 29th of February comes after eight years, where a century begins. */
const YEARS_MS_MAX = 9 * 366 * DAY_MS

/** The first minute after `after` in which a cron is due by the clocks of a zone: milliseconds since 1970. */
export function nextDue(cron: Cron, zone: WallClock, after: number): number | undefined {
  const end = after + YEARS_MS_MAX
  let minute = after - (after % MINUTE_MS) + MINUTE_MS
  while (minute < end) {
    const wallTime = zone.wallTime(minute)
    const isDay = comesOn(cron, wallTime)
    if (isDay && isDue(cron, zone, minute)) return minute
    minute += isDay ? withinDay(cron, wallTime) : untilEnd(endOf(cron, wallTime) - wallTime, wallTime)
  }
  return undefined
}

function withinDay({ hours }: Cron, wallTime: number): number {
  const hour = Math.floor((wallTime % DAY_MS) / HOUR_MS)
  return hours.has(hour) ? MINUTE_MS : QUARTER_MS - (wallTime % QUARTER_MS)
}

/** Of a day, or of a month, in which it does not come. */
function endOf({ months }: Cron, wallTime: number): number {
  const time = new Date(wallTime)
  const month = time.getUTCMonth() + 1
  if (months.has(month)) return wallTime - (wallTime % DAY_MS) + DAY_MS
  return Date.UTC(time.getUTCFullYear(), month)
}

/** Most of what is left; near the end only as far as clocks cannot leap over it. */
function untilEnd(leftMs: number, wallTime: number): number {
  return leftMs > CHANGE_MS_MAX + QUARTER_MS ? leftMs - CHANGE_MS_MAX : QUARTER_MS - (wallTime % QUARTER_MS)
}
