import { FlexiError } from '../../../../core/errors.ts'

/** `cron(minutes hours day-of-month month day-of-week year)`, read. Source: EventBridge guide, cron expressions. */
export interface Cron {
  readonly minutes: readonly number[]
  readonly hours: readonly number[]
  /** A day counts when one of them says so. */
  readonly days: readonly DayRule[]
  readonly months: readonly number[]
  readonly years: readonly number[]
}

/** Weekdays are 1 to 7 from Sunday on. */
export type DayRule =
  | { readonly kind: 'dates'; readonly dates: readonly number[] }
  | { readonly kind: 'last-date' }
  | { readonly kind: 'last-workday' }
  | { readonly kind: 'nearest-workday'; readonly date: number }
  | { readonly kind: 'weekdays'; readonly weekdays: readonly number[] }
  | { readonly kind: 'last-weekday'; readonly weekday: number }
  | { readonly kind: 'nth-weekday'; readonly weekday: number; readonly nth: number }

interface Field {
  readonly name: string
  readonly min: number
  readonly max: number
  /** In the order of the numbers, from `min` on. */
  readonly names?: readonly string[] | undefined
  /** A range may go over the end: FRI-MON. */
  readonly wraps: boolean
}

const MINUTES: Field = { name: 'minutes', min: 0, max: 59, wraps: true }
const HOURS: Field = { name: 'hours', min: 0, max: 23, wraps: true }
const DATES: Field = { name: 'day of month', min: 1, max: 31, wraps: true }
const MONTHS: Field = {
  name: 'month',
  min: 1,
  max: 12,
  wraps: true,
  names: ['JAN', 'FEB', 'MAR', 'APR', 'MAY', 'JUN', 'JUL', 'AUG', 'SEP', 'OCT', 'NOV', 'DEC'],
}
const WEEKDAYS: Field = {
  name: 'day of week',
  min: 1,
  max: 7,
  wraps: true,
  names: ['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT'],
}
const YEARS: Field = { name: 'year', min: 1970, max: 2199, wraps: false }

/**
 * `0 10 ? * MON-FRI *`: what is between the parentheses.
 * @throws FlexiError FLEXI_CONFIG that says which field cannot be, and why.
 */
export function parseCron(text: string): Cron {
  const fields = text.trim().split(/\s+/)
  const [minutes = '', hours = '', dates = '', months = '', weekdays = '', years = ''] = fields
  if (fields.length !== 6) throw wrongCount(fields)
  checkDays(dates, weekdays)
  return {
    minutes: valuesOf(minutes, MINUTES),
    hours: valuesOf(hours, HOURS),
    days: dates === '?' ? items(weekdays).map(weekdayRule) : items(dates).map(dateRule),
    months: valuesOf(months, MONTHS),
    years: valuesOf(years, YEARS),
  }
}

function wrongCount(fields: readonly string[]): FlexiError {
  const count = fields[0] === '' ? 0 : fields.length
  const advice = count === 5 ? ` A cron of five fields becomes "${sixFields(fields)}".` : ''
  return wrong(
    `it has ${count} fields in place of six: minutes, hours, day of month, month, day of week, year.${advice}`,
  )
}

/** The usual cron in AWS's form: weekdays from 1 on, and `?` where nothing is said. */
function sixFields([minutes, hours, dates, months, weekdays = '*']: readonly string[]): string {
  const shifted = weekdays.replaceAll(/(?<![/#\w])[0-7]/g, (day) => String((Number(day) % 7) + 1))
  const days = weekdays === '*' ? [dates, months, '?'] : ['?', months, shifted]
  return [minutes, hours, ...days, '*'].join(' ')
}

function checkDays(dates: string, weekdays: string): void {
  if ((dates === '?') !== (weekdays === '?')) return
  throw wrong(
    `day of month is "${dates}" and day of week is "${weekdays}": exactly one of the two has to be "?"`,
  )
}

function items(text: string): string[] {
  const parts = text.split(',')
  if (parts.length > 1 && text.includes('#')) {
    throw wrong(`day of week "${text}" cannot be: with "#" there is one day only`)
  }
  return parts
}

function dateRule(item: string): DayRule {
  if (item === 'L') return { kind: 'last-date' }
  if (item === 'LW') return { kind: 'last-workday' }
  const near = /^(\d+)W$/.exec(item)?.[1]
  if (near !== undefined) return { kind: 'nearest-workday', date: valueOf(near, DATES) }
  return { kind: 'dates', dates: itemValues(item, DATES) }
}

function weekdayRule(item: string): DayRule {
  if (item === 'L') return { kind: 'weekdays', weekdays: [7] }
  const last = /^(\w+)L$/.exec(item)?.[1]
  if (last !== undefined) return { kind: 'last-weekday', weekday: valueOf(last, WEEKDAYS) }
  const [, weekday, nth] = /^(\w+)#(\w*)$/.exec(item) ?? []
  if (weekday === undefined) return { kind: 'weekdays', weekdays: itemValues(item, WEEKDAYS) }
  if (nth === undefined || !/^[1-5]$/.test(nth)) {
    throw wrong(`day of week "${item}" cannot be: after "#" there is a number from 1 to 5`)
  }
  return { kind: 'nth-weekday', weekday: valueOf(weekday, WEEKDAYS), nth: Number(nth) }
}

/** Ascending, each once. */
function valuesOf(text: string, field: Field): number[] {
  const values = new Set(text.split(',').flatMap((item) => itemValues(item, field)))
  return [...values].sort((one, other) => one - other)
}

/** `5`, `1-5`, `*`, each also with a step: `0/15`. */
function itemValues(item: string, field: Field): number[] {
  const [, range = '', step] = /^([^/]+)(?:\/([^/]*))?$/.exec(item) ?? []
  if (range === '') throw wrong(`${field.name} "${item}" cannot be`)
  if (step !== undefined && !/^[1-9]\d*$/.test(step)) {
    throw wrong(`${field.name} "${item}" cannot be: after "/" there is a number from 1 on`)
  }
  const [from, to] = bounds(range, field, step !== undefined)
  const length = from <= to ? to - from : to - from + (field.max - field.min + 1)
  const values: number[] = []
  for (let distance = 0; distance <= length; distance += Number(step ?? 1)) {
    const value = from + distance
    values.push(value > field.max ? value - (field.max - field.min + 1) : value)
  }
  return values
}

function bounds(range: string, field: Field, stepped: boolean): readonly [number, number] {
  if (range === '*') return [field.min, field.max]
  const [first = '', last, ...more] = range.split('-')
  if (more.length > 0) throw wrong(`${field.name} "${range}" cannot be`)
  const from = valueOf(first, field)
  if (last === undefined) return [from, stepped ? field.max : from]
  const to = valueOf(last, field)
  if (from > to && !field.wraps) throw wrong(`${field.name} "${range}" cannot be: it ends before it begins`)
  return [from, to]
}

function valueOf(text: string, field: Field): number {
  const named = field.names?.indexOf(text.toUpperCase()) ?? -1
  if (named !== -1) return named + field.min
  const value = /^\d{1,4}$/.test(text) ? Number(text) : Number.NaN
  if (value >= field.min && value <= field.max) return value
  const names = field.names === undefined ? '' : `, or ${field.names[0]} to ${field.names.at(-1)}`
  throw wrong(`${field.name} "${text}" cannot be: it has ${field.min} to ${field.max}${names}`)
}

function wrong(message: string): FlexiError {
  return new FlexiError('FLEXI_CONFIG', message)
}
