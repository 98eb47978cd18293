import type { Cron, DayRule } from './cron.ts'

const DAY_MS = 86_400_000
const MINUTE_MS = 60_000

/**
 * The times at which a clock on the wall fits, ascending, from the minute of `from` on.
 * They are written as if that clock were UTC's: milliseconds since 1970.
 */
export function* wallTimes(cron: Cron, from: number): Generator<number, undefined> {
  const minutes = cron.hours.flatMap((hour) => cron.minutes.map((minute) => hour * 60 + minute))
  for (const midnight of midnights(cron, from)) {
    for (const minute of minutes) {
      const time = midnight + minute * MINUTE_MS
      if (time >= from) yield time
    }
  }
}

/** The days that fit, from that of `from` on. */
function* midnights(cron: Cron, from: number): Generator<number, undefined> {
  const first = from - (((from % DAY_MS) + DAY_MS) % DAY_MS)
  const year = new Date(first).getUTCFullYear()
  for (const one of cron.years) {
    if (one >= year) yield* midnightsOf(cron, one, first)
  }
}

function* midnightsOf(cron: Cron, year: number, first: number): Generator<number, undefined> {
  for (const month of cron.months) {
    if (Date.UTC(year, month) <= first) continue
    const days = datesOf(cron.days, year, month).map((date) => Date.UTC(year, month - 1, date))
    for (const day of days) if (day >= first) yield day
  }
}

/** Ascending, each once. */
function datesOf(rules: readonly DayRule[], year: number, month: number): readonly number[] {
  const shape: Month = {
    length: new Date(Date.UTC(year, month, 0)).getUTCDate(),
    firstWeekday: new Date(Date.UTC(year, month - 1)).getUTCDay() + 1,
  }
  const dates = new Set(rules.flatMap((rule) => ruleDates(rule, shape)))
  return [...dates].sort((one, other) => one - other)
}

interface Month {
  /** Days that it has. */
  readonly length: number
  /** Of its first day; 1 is Sunday. */
  readonly firstWeekday: number
}

function ruleDates(rule: DayRule, month: Month): readonly number[] {
  switch (rule.kind) {
    case 'dates':
      return rule.dates.filter((date) => date <= month.length)
    case 'last-date':
      return [month.length]
    case 'last-workday':
      return [nearestWorkday(month.length, month)]
    case 'nearest-workday':
      return rule.date > month.length ? [] : [nearestWorkday(rule.date, month)]
    case 'weekdays':
      return rule.weekdays.flatMap((weekday) => weekdayDates(weekday, month))
    case 'last-weekday':
      return weekdayDates(rule.weekday, month).slice(-1)
    case 'nth-weekday':
      return weekdayDates(rule.weekday, month).slice(rule.nth - 1, rule.nth)
  }
}

function weekdayDates(weekday: number, { length, firstWeekday }: Month): readonly number[] {
  const dates: number[] = []
  for (let date = 1 + ((weekday - firstWeekday + 7) % 7); date <= length; date += 7) dates.push(date)
  return dates
}

/** Monday to Friday, without leaving the month. */
function nearestWorkday(date: number, { length, firstWeekday }: Month): number {
  const weekday = ((firstWeekday - 1 + date - 1) % 7) + 1
  if (weekday === 7) return date === 1 ? 3 : date - 1
  if (weekday === 1) return date === length ? date - 2 : date + 1
  return date
}
