import { FlexiError } from '../../../core/errors.ts'
import { dayRule, fits, monthLength, weekdayRule, type DayRule } from './cron-days.ts'
import { fieldValues, type CronField } from './cron-field.ts'

/** A cron trigger, read. Source: Cloudflare docs, Cron Triggers, and cloudflare/saffron, which runs them. */
export interface Cron {
  readonly minutes: ReadonlySet<number>
  readonly hours: ReadonlySet<number>
  /** A day counts when one of them says so. */
  readonly days: readonly DayRule[]
  readonly months: ReadonlySet<number>
  /** It goes by what has passed and not by the time of day: its minutes or its hours begin with `*`. */
  readonly isInterval: boolean
}

const MINUTES: CronField = { name: 'minutes', min: 0, max: 59 }
const HOURS: CronField = { name: 'hours', min: 0, max: 23 }
const MONTHS: CronField = {
  name: 'month',
  min: 1,
  max: 12,
  names: ['JAN', 'FEB', 'MAR', 'APR', 'MAY', 'JUN', 'JUL', 'AUG', 'SEP', 'OCT', 'NOV', 'DEC'],
}
const LEAP_YEAR = 2024

/**
 * `minutes hours day-of-month month day-of-week`; days of the week are 1 to 7 from Sunday on.
 * @throws FlexiError FLEXI_CONFIG that says which field cannot be, and why.
 */
export function parseCron(text: string): Cron {
  const fields = text.trim().split(/[ \t]+/)
  const [minutes = '', hours = '', dates = '', months = '', weekdays = ''] = fields
  if (fields.length !== 5) throw wrongCount(fields)
  const cron: Cron = {
    minutes: fieldValues(minutes, MINUTES),
    hours: fieldValues(hours, HOURS),
    days: [...dayRule(dates), ...weekdayRule(weekdays)],
    months: fieldValues(months, MONTHS),
    isInterval: minutes.startsWith('*') || hours.startsWith('*'),
  }
  if (!comes(cron)) throw new FlexiError('FLEXI_CONFIG', 'it never comes, because no month has such a day')
  return cron
}

function wrongCount(fields: readonly string[]): FlexiError {
  const count = fields[0] === '' ? 0 : fields.length
  const advice = fields[0]?.startsWith('@') ? '; names such as @daily are not known' : ''
  return new FlexiError(
    'FLEXI_CONFIG',
    `it has ${count} field${count === 1 ? '' : 's'} in place of five: minutes, hours, day of month, month, day of week${advice}`,
  )
}

function comes({ days, months }: Cron): boolean {
  return [...months].some((month) => {
    const length = monthLength(LEAP_YEAR, month)
    for (let date = 1; date <= length; date += 1) {
      const time = new Date(Date.UTC(LEAP_YEAR, month - 1, date))
      // The weekday of a date changes from year to year: what asks for one comes in some.
      if (days.length === 0 || days.some((rule) => rule.kind !== 'dates' || fits(rule, time))) return true
    }
    return false
  })
}

/** Whether it is due at this time of a clock on the wall: milliseconds, as if that clock showed UTC. */
export function matches(cron: Cron, wallTime: number): boolean {
  const time = new Date(wallTime)
  return (
    cron.minutes.has(time.getUTCMinutes()) && cron.hours.has(time.getUTCHours()) && comesOn(cron, wallTime)
  )
}

/** Whether it is due at some time of the day that such a clock shows. */
export function comesOn({ months, days }: Cron, wallTime: number): boolean {
  const time = new Date(wallTime)
  return months.has(time.getUTCMonth() + 1) && (days.length === 0 || days.some((rule) => fits(rule, time)))
}
