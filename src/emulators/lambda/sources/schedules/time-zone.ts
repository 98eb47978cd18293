/** How the clocks of a place stand. */
export interface TimeZone {
  /** Milliseconds since 1970, as a clock on the wall there would say it if it were UTC's. */
  wallTime(instant: number): number
  /** When the clocks there show it for the first time; undefined where they leap over it. */
  instant(wallTime: number): number | undefined
}

export const UTC: TimeZone = { wallTime: (instant) => instant, instant: (wallTime) => wallTime }

/** By IANA's name, from the tables of the runtime. @throws RangeError for a name that is none. */
export function timeZone(name: string): TimeZone {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: name,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  })
  const wallTime = (instant: number): number => {
    const parts = new Map(format.formatToParts(instant).map(({ type, value }) => [type, Number(value)]))
    const part = (type: Intl.DateTimeFormatPartTypes): number => parts.get(type) ?? 0
    const seconds = Date.UTC(
      part('year'),
      part('month') - 1,
      part('day'),
      part('hour'),
      part('minute'),
      part('second'),
    )
    return seconds + (((instant % 1000) + 1000) % 1000)
  }
  return { wallTime, instant: (wall) => firstInstant(wall, wallTime) }
}

const DAY_MS = 86_400_000

/** A zone changes its clocks at most once within two days, so the two distances to UTC are those of the days around. */
function firstInstant(wall: number, wallTime: TimeZone['wallTime']): number | undefined {
  const candidates = [wall - DAY_MS, wall + DAY_MS].map((around) => wall - (wallTime(around) - around))
  const [first, second] = candidates.sort((one, other) => one - other)
  return [first, second].find((instant) => instant !== undefined && wallTime(instant) === wall)
}
