import { FlexiError } from '../../../core/errors.ts'
import { fieldValues, valueOf, type CronField } from './cron-field.ts'

/** Which days of a month it is. Weekdays are 1 to 7 from Sunday on. */
export type DayRule =
  | { readonly kind: 'dates'; readonly dates: ReadonlySet<number> }
  /** `L`, `L-3`: that many days before the last one. */
  | { readonly kind: 'last'; readonly before: number }
  /** `LW`, `L-3W` */
  | { readonly kind: 'last-workday'; readonly before: number }
  /** `15W`: the workday nearest to it, in the same month. */
  | { readonly kind: 'workday'; readonly date: number }
  | { readonly kind: 'weekdays'; readonly weekdays: ReadonlySet<number> }
  /** `6L`: the last one of the month. */
  | { readonly kind: 'last-weekday'; readonly weekday: number }
  /** `2#1`: the first Monday. */
  | { readonly kind: 'nth-weekday'; readonly weekday: number; readonly nth: number }

const DATES: CronField = { name: 'day of month', min: 1, max: 31 }
const WEEKDAYS: CronField = {
  name: 'day of week',
  min: 1,
  max: 7,
  names: ['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT'],
}

/** Empty for `*`. @throws FlexiError FLEXI_CONFIG. */
export function dayRule(text: string): readonly DayRule[] {
  if (text === '*') return []
  const [isLast, before, isWorkday] = /^L(?:-(\d+))?(W)?$/.exec(text) ?? []
  if (isLast !== undefined)
    return [{ kind: isWorkday === undefined ? 'last' : 'last-workday', before: offsetOf(text, before) }]
  const near = /^(\d+)W$/.exec(text)?.[1]
  if (near !== undefined) return [{ kind: 'workday', date: valueOf(near, DATES) }]
  if (/[LW]/.test(text))
    throw wrong(`day of month "${text}" cannot be: with "L" or "W" there is one day only`)
  return [{ kind: 'dates', dates: fieldValues(text, DATES) }]
}

function offsetOf(text: string, before: string | undefined): number {
  const value = Number(before ?? 0)
  if (before === undefined || (value >= 1 && value <= 30)) return value
  throw wrong(`day of month "${text}" cannot be: after "L-" there is a number from 1 to 30`)
}

/** Empty for `*`. @throws FlexiError FLEXI_CONFIG. */
export function weekdayRule(text: string): readonly DayRule[] {
  if (text === '*') return []
  if (text === 'L') return [{ kind: 'weekdays', weekdays: new Set([7]) }]
  if (text === '0') throw wrong('day of week "0" cannot be: 1 is Sunday and 7 is Saturday')
  const last = /^(\w+)L$/.exec(text)?.[1]
  if (last !== undefined) return [{ kind: 'last-weekday', weekday: valueOf(last, WEEKDAYS) }]
  const [, weekday, nth = ''] = /^(\w+)#(.*)$/.exec(text) ?? []
  if (weekday === undefined) return [{ kind: 'weekdays', weekdays: fieldValues(text, WEEKDAYS) }]
  if (!/^[1-5]$/.test(nth))
    throw wrong(`day of week "${text}" cannot be: after "#" there is a number from 1 to 5`)
  return [{ kind: 'nth-weekday', weekday: valueOf(weekday, WEEKDAYS), nth: Number(nth) }]
}

/** Whether a day, read in UTC, is one of the rule's. */
export function fits(rule: DayRule, time: Date): boolean {
  const date = time.getUTCDate()
  const weekday = time.getUTCDay() + 1
  const length = monthLength(time.getUTCFullYear(), time.getUTCMonth() + 1)
  switch (rule.kind) {
    case 'dates':
      return rule.dates.has(date)
    case 'last':
      return date === length - rule.before
    case 'last-workday':
      return date === nearestWorkday(length - rule.before, { date, weekday, length })
    case 'workday':
      return date === nearestWorkday(rule.date, { date, weekday, length })
    case 'weekdays':
      return rule.weekdays.has(weekday)
    case 'last-weekday':
      return rule.weekday === weekday && date + 7 > length
    case 'nth-weekday':
      return rule.weekday === weekday && Math.ceil(date / 7) === rule.nth
  }
}

/** A day of a month: its weekday tells those of all others. */
interface KnownDay {
  readonly date: number
  readonly weekday: number
  readonly length: number
}

/** Monday to Friday, without leaving the month; undefined for a date that the month does not have. */
function nearestWorkday(wanted: number, { date, weekday, length }: KnownDay): number | undefined {
  if (wanted < 1 || wanted > length) return undefined
  const wantedWeekday = ((((weekday - 1 + wanted - date) % 7) + 7) % 7) + 1
  if (wantedWeekday === 7) return wanted === 1 ? 3 : wanted - 1
  if (wantedWeekday === 1) return wanted === length ? wanted - 2 : wanted + 1
  return wanted
}

/** `month` from 1 on. */
export function monthLength(year: number, month: number): number {
  return new Date(Date.UTC(year, month, 0)).getUTCDate()
}

function wrong(message: string): FlexiError {
  return new FlexiError('FLEXI_CONFIG', message)
}
