/** What the clocks on the wall of a place show. */
export interface WallClock {
  /** The place by IANA's name. */
  readonly name: string
  /** Milliseconds since 1970 as such a clock says them, as if it were UTC's. */
  readonly wallTime: (instant: number) => number
}

/** By IANA's name, or of this machine, from the tables of the runtime. @throws RangeError for a name that is none. */
export function wallClock(timeZone: string | undefined): WallClock {
  const format = new Intl.DateTimeFormat('en-US', {
    ...(timeZone === undefined ? {} : { timeZone }),
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  })
  return {
    name: format.resolvedOptions().timeZone,
    wallTime(instant) {
      const parts = new Map(format.formatToParts(instant).map(({ type, value }) => [type, Number(value)]))
      const part = (type: Intl.DateTimeFormatPartTypes): number => parts.get(type) ?? 0
      const [year, month, day] = [part('year'), part('month'), part('day')]
      const seconds = Date.UTC(year, month - 1, day, part('hour'), part('minute'), part('second'))
      return seconds + (((instant % 1000) + 1000) % 1000)
    },
  }
}
