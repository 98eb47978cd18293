import { FlexiError } from '../../../../core/errors.ts'
import { parseCron } from './cron.ts'
import { timeZone, UTC, type TimeZone } from './time-zone.ts'
import { wallTimes } from './wall-times.ts'

/** When something is due. Times are milliseconds since 1970. */
export interface Schedule {
  /** The first time after `after`; undefined when there is none any more. `start` is when the schedule began to count. */
  next(after: number, start: number): number | undefined
}

const UNITS_MS: Readonly<Record<string, number>> = { minute: 60_000, hour: 3_600_000, day: 86_400_000 }

const PERIOD_MS_MAX = 36_525 * 86_400_000

/** What is wrong with an expression or its time zone, in words that follow a colon; undefined when nothing is. */
export function scheduleFault(expression: string, timezone?: string): string | undefined {
  try {
    parseSchedule(expression, timezone)
    return undefined
  } catch (error) {
    if (error instanceof FlexiError) return error.message
    throw error
  }
}

/**
 * `rate(5 minutes)`, `cron(0 10 * * ? *)`, `at(2026-11-21T10:00:00)`; the last two by the clocks of `timezone`, UTC by default.
 * A time that the clocks leap over is left out, and one that they show twice counts once. Source: EventBridge Scheduler guide.
 * @throws FlexiError FLEXI_CONFIG
 */
export function parseSchedule(expression: string, timezone?: string): Schedule {
  const zone = zoneOf(timezone)
  const [, kind, value = ''] = /^(rate|cron|at)\((.*)\)$/s.exec(expression.trim()) ?? []
  if (kind === 'rate') return rate(value)
  if (kind === 'cron') return cronSchedule(value, zone)
  if (kind === 'at') return at(value, zone)
  throw wrong('it is neither rate(…) nor cron(…) nor at(…)')
}

function zoneOf(name: string | undefined): TimeZone {
  if (name === undefined || name === 'UTC') return UTC
  try {
    return timeZone(name)
  } catch {
    throw wrong(`there is no time zone "${name}": write a name such as Europe/Berlin`)
  }
}

/** Counts from its start, so that a late timer moves nothing. */
function rate(value: string): Schedule {
  const [, digits = '', unit = '', plural] = /^\s*(\d+)\s+(minute|hour|day)(s?)\s*$/.exec(value) ?? []
  const count = Number(digits)
  const unitMs = UNITS_MS[unit]
  if (unitMs === undefined || count === 0) {
    throw wrong('a rate has a number from 1 on and minutes, hours or days')
  }
  if ((count === 1) !== (plural === '')) {
    throw wrong(`it is written rate(${count} ${unit}${count === 1 ? '' : 's'})`)
  }
  const periodMs = count * unitMs
  if (periodMs > PERIOD_MS_MAX) throw wrong('it comes less than once in a hundred years')
  return {
    next(after, start) {
      return start + Math.max(1, Math.floor((after - start) / periodMs) + 1) * periodMs
    },
  }
}

function cronSchedule(value: string, zone: TimeZone): Schedule {
  const cron = parseCron(value)
  if (wallTimes(cron, 0).next().done === true) throw wrong('it never comes, because no month has such a day')
  return {
    next(after) {
      for (const wallTime of wallTimes(cron, startOfMinute(zone.wallTime(after)))) {
        const instant = zone.instant(wallTime)
        if (instant !== undefined && instant > after) return instant
      }
      return undefined
    },
  }
}

function startOfMinute(time: number): number {
  return time - (((time % 60_000) + 60_000) % 60_000)
}

function at(value: string, zone: TimeZone): Schedule {
  const text = value.trim()
  const wallTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$/.test(text) ? Date.parse(`${text}Z`) : Number.NaN
  const isReal = !Number.isNaN(wallTime) && new Date(wallTime).toISOString().startsWith(text)
  if (!isReal) throw wrong('it is no time such as at(2026-11-21T10:00:00)')
  const instant = zone.instant(wallTime)
  if (instant === undefined) throw wrong('it never comes, because the clocks leap over it there')
  return { next: (after) => (instant > after ? instant : undefined) }
}

function wrong(message: string): FlexiError {
  return new FlexiError('FLEXI_CONFIG', message)
}
