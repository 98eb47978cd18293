import { wallClock, type WallClock } from '../../../../core/wall-clock.ts'

/** How the clocks of a place stand. */
export interface TimeZone extends Pick<WallClock, 'wallTime'> {
  /** When the clocks there show it for the first time; undefined where they leap over it. */
  instant(wallTime: number): number | undefined
}

export const UTC: TimeZone = { wallTime: (instant) => instant, instant: (wallTime) => wallTime }

/** By IANA's name, from the tables of the runtime. @throws RangeError for a name that is none. */
export function timeZone(name: string): TimeZone {
  const { wallTime } = wallClock(name)
  return { wallTime, instant: (wall) => firstInstant(wall, wallTime) }
}

const DAY_MS = 86_400_000

/** A zone changes its clocks at most once within two days, so the two distances to UTC are those of the days around. */
function firstInstant(wall: number, wallTime: TimeZone['wallTime']): number | undefined {
  const candidates = [wall - DAY_MS, wall + DAY_MS].map((around) => wall - (wallTime(around) - around))
  const [first, second] = candidates.sort((one, other) => one - other)
  return [first, second].find((instant) => instant !== undefined && wallTime(instant) === wall)
}
