import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { parseSchedule, scheduleFault } from '../../../src/emulators/lambda/sources/schedules/schedule.ts'
import { ScheduleTimer } from '../../../src/emulators/lambda/sources/schedules/schedule-timer.ts'
import { scheduledEvent } from '../../../src/emulators/lambda/sources/schedules/scheduled-event.ts'
import { FakeClock } from './source-harness.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

/** The first times after `after`, as ISO. */
function times(
  expression: string,
  after: string,
  { count = 1, zone }: { readonly count?: number; readonly zone?: string } = {},
): string[] {
  const schedule = parseSchedule(expression, zone)
  const found: string[] = []
  let time: number | undefined = Date.parse(after)
  const start = time
  while (found.length < count) {
    time = schedule.next(time, start)
    if (time === undefined) break
    found.push(new Date(time).toISOString().replace(':00.000Z', 'Z'))
  }
  return found
}

describe('cron', () => {
  test.each([
    ['cron(0 10 * * ? *)', '2026-11-21T10:00:00Z', '2026-11-22T10:00Z'],
    ['cron(15 12 * * ? *)', '2026-11-21T10:00:00Z', '2026-11-21T12:15Z'],
    ['cron(0 18 ? * MON-FRI *)', '2026-11-20T18:00:00Z', '2026-11-23T18:00Z'],
    ['cron(0 8 1 * ? *)', '2026-11-21T10:00:00Z', '2026-12-01T08:00Z'],
    ['cron(0/15 * * * ? *)', '2026-11-21T10:01:00Z', '2026-11-21T10:15Z'],
    ['cron(0/5 8-17 ? * MON-FRI *)', '2026-11-20T17:55:00Z', '2026-11-23T08:00Z'],
    // Weekdays begin with Sunday, which is 1.
    ['cron(0 0 ? * 1 *)', '2026-11-21T00:00:00Z', '2026-11-22T00:00Z'],
    ['cron(0 0 ? * SUN *)', '2026-11-21T00:00:00Z', '2026-11-22T00:00Z'],
    ['cron(0 0 ? * L *)', '2026-11-21T00:00:00Z', '2026-11-28T00:00Z'],
    ['cron(0 0 ? * 6L *)', '2026-11-21T00:00:00Z', '2026-11-27T00:00Z'],
    ['cron(0 0 ? * FRIL *)', '2026-11-27T00:00:00Z', '2026-12-25T00:00Z'],
    ['cron(0 0 ? * 3#2 *)', '2026-11-21T00:00:00Z', '2026-12-08T00:00Z'],
    ['cron(0 0 ? * MON#5 *)', '2026-12-01T00:00:00Z', '2027-03-29T00:00Z'],
    ['cron(0 0 L * ? *)', '2026-11-21T00:00:00Z', '2026-11-30T00:00Z'],
    ['cron(0 0 L FEB ? *)', '2026-11-21T00:00:00Z', '2027-02-28T00:00Z'],
    ['cron(0 0 29 2 ? *)', '2026-11-21T00:00:00Z', '2028-02-29T00:00Z'],
    // The 1st of August 2026 is a Saturday: the nearest workday of the same month is the 3rd.
    ['cron(0 0 1W 8 ? *)', '2026-01-01T00:00:00Z', '2026-08-03T00:00Z'],
    ['cron(0 0 15W 8 ? *)', '2026-01-01T00:00:00Z', '2026-08-14T00:00Z'],
    ['cron(0 0 16W 8 ? *)', '2026-01-01T00:00:00Z', '2026-08-17T00:00Z'],
    // The 31st of May 2026 is a Sunday.
    ['cron(0 0 31W 5 ? *)', '2026-01-01T00:00:00Z', '2026-05-29T00:00Z'],
    ['cron(0 0 LW 5 ? *)', '2026-01-01T00:00:00Z', '2026-05-29T00:00Z'],
    ['cron(0 0 ? * FRI-MON *)', '2026-11-23T00:00:00Z', '2026-11-27T00:00Z'],
    ['cron(0 22-2 * * ? *)', '2026-11-21T22:30:00Z', '2026-11-21T23:00Z'],
    ['cron(0 0 1 1 ? 2030)', '2026-11-21T00:00:00Z', '2030-01-01T00:00Z'],
    ['cron(0 0 1 jan,jul ? *)', '2026-11-21T00:00:00Z', '2027-01-01T00:00Z'],
    ['cron(0 0 1 1 ? 2027/3)', '2027-11-21T00:00:00Z', '2030-01-01T00:00Z'],
  ])('%s after %s is %s', (expression, after, next) => {
    expect(times(expression, after)).toEqual([next])
  })

  test('a year that is over runs no more', () => {
    expect(times('cron(0 0 * * ? 2020)', '2026-11-21T00:00:00Z')).toEqual([])
  })
})

describe('time zones', () => {
  test('the clocks of the place count', () => {
    expect(times('cron(0 9 * * ? *)', '2026-10-24T00:00:00Z', { count: 3, zone: 'Europe/Berlin' })).toEqual([
      '2026-10-24T07:00Z',
      '2026-10-25T08:00Z',
      '2026-10-26T08:00Z',
    ])
  })

  test('an hour that the clocks leap over is left out, as EventBridge Scheduler does', () => {
    expect(times('cron(30 2 * * ? *)', '2026-03-28T00:00:00Z', { count: 2, zone: 'Europe/Berlin' })).toEqual([
      '2026-03-28T01:30Z',
      '2026-03-30T00:30Z',
    ])
  })

  test('an hour that the clocks show twice counts once, as EventBridge Scheduler does', () => {
    expect(times('cron(30 2 * * ? *)', '2026-10-24T12:00:00Z', { count: 2, zone: 'Europe/Berlin' })).toEqual([
      '2026-10-25T00:30Z',
      '2026-10-26T01:30Z',
    ])
    expect(
      times('cron(0/30 * * * ? *)', '2026-10-25T00:00:00Z', { count: 3, zone: 'Europe/Berlin' }),
    ).toEqual(['2026-10-25T00:30Z', '2026-10-25T02:00Z', '2026-10-25T02:30Z'])
  })

  test('at() is one time in its zone', () => {
    expect(
      times('at(2026-11-21T10:00:00)', '2026-11-01T00:00:00Z', { count: 2, zone: 'Asia/Tokyo' }),
    ).toEqual(['2026-11-21T01:00Z'])
    expect(times('at(2026-11-21T10:00:00)', '2026-11-21T10:00:00Z')).toEqual([])
  })
})

describe('faults', () => {
  test.each([
    ['rate(5 minute)', 'it is written rate(5 minutes)'],
    ['rate(1 minutes)', 'it is written rate(1 minute)'],
    ['rate(99999999999999999999 days)', 'less than once in a hundred years'],
    ['rate(0 minutes)', 'a number from 1 on'],
    ['rate(5 seconds)', 'minutes, hours or days'],
    ['every 5 minutes', 'neither rate(…) nor cron(…) nor at(…)'],
    ['cron(0 10 * * *)', 'becomes "0 10 * * ? *"'],
    ['cron(0 10 * * 1-5)', 'becomes "0 10 ? * 2-6 *"'],
    ['cron(0 10 * * * *)', 'exactly one of the two has to be "?"'],
    ['cron(0 10 ? * ? *)', 'exactly one of the two has to be "?"'],
    ['cron(60 10 * * ? *)', 'minutes "60" cannot be: it has 0 to 59'],
    ['cron(0 24 * * ? *)', 'hours "24"'],
    ['cron(0 0 ? * MOON *)', 'SUN to SAT'],
    ['cron(0 0 ? * 0 *)', 'day of week "0" cannot be: it has 1 to 7'],
    ['cron(0 0 ? * 3#6 *)', 'a number from 1 to 5'],
    ['cron(0 0 ? * 3#1,6#3 *)', 'one day only'],
    ['cron(*/0 0 * * ? *)', 'a number from 1 on'],
    ['cron(0 0 31 2 ? *)', 'never comes'],
    ['cron(0 0 * * ? 2030-2020)', 'ends before it begins'],
    ['at(2026-02-30T10:00:00)', 'no time such as'],
    ['at(2026-11-21)', 'at(2026-11-21T10:00:00)'],
  ])('%s: %s', (expression, message) => {
    expect(scheduleFault(expression)).toContain(message)
  })

  test('a time zone that is none is named', () => {
    expect(scheduleFault('cron(0 10 * * ? *)', 'Europe/Atlantis')).toContain('"Europe/Atlantis"')
    expect(scheduleFault('cron(0 10 * * ? *)', 'Europe/Berlin')).toBeUndefined()
  })

  test('a time that the clocks leap over is no time', () => {
    expect(scheduleFault('at(2026-03-29T02:30:00)', 'Europe/Berlin')).toContain('never comes')
  })

  test('whatever is written, it is a schedule or a fault with a reason', () => {
    const piece = fc.constantFrom(
      '0',
      '5',
      '*',
      '?',
      'L',
      'W',
      '#',
      '/',
      '-',
      ',',
      ' ',
      'MON',
      '2026',
      'x',
      '99',
    )
    const text = fc.array(piece, { maxLength: 14 }).map((pieces) => `cron(${pieces.join('')})`)
    fc.assert(
      fc.property(fc.oneof(text, fc.string()), (expression) => {
        const fault = scheduleFault(expression)
        expect(fault).not.toBe('')
        if (fault === undefined) parseSchedule(expression).next(0, 0)
      }),
    )
  })
})

/** A field as text, and what it means, made side by side: the reference knows nothing of the parser. */
interface Meant<Value> {
  readonly text: string
  readonly fits: (value: Value) => boolean
}

function numbers(min: number, max: number): fc.Arbitrary<Meant<number>> {
  const value = fc.integer({ min, max })
  const step = fc.integer({ min: 1, max: max - min + 1 })
  const single = value.map((one) => ({ text: String(one), fits: (given: number) => given === one }))
  const range = fc.tuple(value, value).map(([one, other]): Meant<number> => {
    const [from, to] = [Math.min(one, other), Math.max(one, other)]
    return { text: `${from}-${to}`, fits: (given) => given >= from && given <= to }
  })
  const stepped = fc.tuple(value, step).map(([from, by]): Meant<number> => ({
    text: `${from}/${by}`,
    fits: (given) => given >= from && (given - from) % by === 0,
  }))
  const all = fc.constant({ text: '*', fits: () => true })
  const list = fc.array(fc.oneof(single, range, stepped), { minLength: 1, maxLength: 3 }).map((meant) => ({
    text: meant.map(({ text }) => text).join(','),
    fits: (given: number) => meant.some(({ fits }) => fits(given)),
  }))
  return fc.oneof(all, single, range, stepped, list)
}

/** A day, as milliseconds at its midnight in UTC. */
const days: fc.Arbitrary<{
  readonly dates: string
  readonly weekdays: string
  readonly fits: (day: number) => boolean
}> = fc.oneof(
  numbers(1, 31).map(({ text, fits }) => ({
    dates: text,
    weekdays: '?',
    fits: (day: number) => fits(new Date(day).getUTCDate()),
  })),
  numbers(1, 7).map(({ text, fits }) => ({
    dates: '?',
    weekdays: text,
    fits: (day: number) => fits(new Date(day).getUTCDay() + 1),
  })),
  fc.constant({ dates: 'L', weekdays: '?', fits: (day: number) => new Date(day + DAY).getUTCDate() === 1 }),
  fc.integer({ min: 1, max: 7 }).map((weekday) => ({
    dates: '?',
    weekdays: `${weekday}L`,
    fits: (day: number) =>
      new Date(day).getUTCDay() + 1 === weekday &&
      new Date(day + 7 * DAY).getUTCMonth() !== new Date(day).getUTCMonth(),
  })),
  fc.tuple(fc.integer({ min: 1, max: 7 }), fc.integer({ min: 1, max: 5 })).map(([weekday, nth]) => ({
    dates: '?',
    weekdays: `${weekday}#${nth}`,
    fits: (day: number) =>
      new Date(day).getUTCDay() + 1 === weekday && Math.ceil(new Date(day).getUTCDate() / 7) === nth,
  })),
  fc.integer({ min: 1, max: 31 }).map((date) => ({
    dates: `${date}W`,
    weekdays: '?',
    fits: (day: number) => day === nearestWorkday(day, date),
  })),
)

function isWorkday(day: number): boolean {
  return ![0, 6].includes(new Date(day).getUTCDay())
}

/** By trying the days around, nearest first, earlier before later. */
function nearestWorkday(day: number, date: number): number | undefined {
  const month = new Date(day).getUTCMonth()
  const wanted = Date.UTC(new Date(day).getUTCFullYear(), month, date)
  if (new Date(wanted).getUTCMonth() !== month) return undefined
  return [0, -1, 1, -2, 2]
    .map((distance) => wanted + distance * DAY)
    .find((one) => new Date(one).getUTCMonth() === month && isWorkday(one))
}

describe('against a reference that tries every minute', () => {
  const instant = fc.integer({ min: Date.UTC(2024, 0), max: Date.UTC(2030, 0) })

  test('in UTC', () => {
    fc.assert(
      fc.property(
        fc.tuple(numbers(0, 59), numbers(0, 23)),
        fc.tuple(days, numbers(1, 12)),
        instant,
        ([minutes, hours], [day, months], after) => {
          const expression = `cron(${minutes.text} ${hours.text} ${day.dates} ${months.text} ${day.weekdays} *)`
          const fits = (time: number): boolean => {
            const date = new Date(time)
            return minutes.fits(date.getUTCMinutes()) && hours.fits(date.getUTCHours())
          }
          const isDay = (midnight: number): boolean =>
            months.fits(new Date(midnight).getUTCMonth() + 1) && day.fits(midnight)
          const end = after + 400 * DAY
          const wanted = (() => {
            for (let midnight = after - (after % DAY); midnight < end; midnight += DAY) {
              if (!isDay(midnight)) continue
              for (let time = midnight; time < midnight + DAY; time += MINUTE) {
                if (time > after && fits(time)) return time
              }
            }
            return undefined
          })()
          if (scheduleFault(expression)?.includes('never comes') === true) {
            expect(wanted).toBeUndefined()
            return
          }
          const found = parseSchedule(expression).next(after, after)
          if (wanted === undefined) expect(found ?? Infinity).toBeGreaterThanOrEqual(end - DAY)
          else expect(found).toBe(wanted)
        },
      ),
      { numRuns: 300 },
    )
  })

  const CHANGES: readonly (readonly [string, string])[] = [
    ['Europe/Berlin', '2026-03-29T01:00:00Z'],
    ['Europe/Berlin', '2026-10-25T01:00:00Z'],
    ['America/New_York', '2026-03-08T07:00:00Z'],
    ['America/New_York', '2026-11-01T06:00:00Z'],
    // Half an hour.
    ['Australia/Lord_Howe', '2026-04-04T15:00:00Z'],
    ['Australia/Lord_Howe', '2026-10-03T15:30:00Z'],
    // At midnight.
    ['America/Havana', '2026-03-08T05:00:00Z'],
    ['Asia/Kathmandu', '2026-06-01T00:00:00Z'],
  ]

  test('where clocks are changed', () => {
    fc.assert(
      fc.property(
        numbers(0, 59),
        numbers(0, 23),
        fc.constantFrom(...CHANGES),
        fc.integer({ min: -26 * 60, max: 4 * 60 }),
        (minutes, hours, [zone, change], distance) => {
          const after = Date.parse(change) + distance * MINUTE
          const found = parseSchedule(`cron(${minutes.text} ${hours.text} * * ? *)`, zone).next(after, after)
          const clock = new Intl.DateTimeFormat('sv-SE', {
            timeZone: zone,
            dateStyle: 'short',
            timeStyle: 'short',
          })
          // Begins earlier, to know which times the clocks have shown already.
          const shown = new Set<string>()
          let wanted: number | undefined
          for (let time = after - 3 * HOUR; wanted === undefined && time < after + 3 * DAY; time += MINUTE) {
            const wall = clock.format(time)
            const [hour = '', minute = ''] = (wall.split(' ')[1] ?? '').split(':')
            const isFirst = !shown.has(wall)
            shown.add(wall)
            if (isFirst && time > after && hours.fits(Number(hour)) && minutes.fits(Number(minute)))
              wanted = time
          }
          expect(found).toBe(wanted)
        },
      ),
      { numRuns: 150 },
    )
  })
})

describe('the timer', () => {
  function timed(
    expression: string,
    clock: FakeClock,
  ): { readonly fired: number[]; readonly timer: ScheduleTimer } {
    const fired: number[] = []
    const timer = new ScheduleTimer(clock)
    timer.add({ schedule: parseSchedule(expression), fire: (due) => fired.push(due) })
    return { fired, timer }
  }

  test('a rate counts from its start and does not drift, however late a timer is', async () => {
    const clock = new FakeClock(1_234)
    const { fired } = timed('rate(1 minute)', clock)
    await clock.advance(MINUTE)
    // Busy for a while: the timer is late.
    clock.late(20_500)
    await clock.advance(2 * MINUTE)
    expect(fired).toEqual([1, 2, 3].map((count) => 1_234 + count * MINUTE))
  })

  test('what was missed while the machine slept is called once, with the time at which it was due first', async () => {
    const clock = new FakeClock('2026-11-21T02:00:00Z')
    const { fired } = timed('cron(0 * * * ? *)', clock)
    clock.sleep(9 * HOUR + 10 * MINUTE)
    await clock.advance(30_000)
    expect(fired.map((due) => new Date(due).toISOString())).toEqual(['2026-11-21T03:00:00.000Z'])
    await clock.advance(HOUR)
    expect(fired).toHaveLength(2)
  })

  test('one timer waits for all, and none when there is nothing to wait for', async () => {
    const clock = new FakeClock()
    const timer = new ScheduleTimer(clock)
    const fired: string[] = []
    const stops = ['rate(1 minute)', 'rate(2 minutes)', 'rate(3 minutes)'].map((expression) =>
      timer.add({ schedule: parseSchedule(expression), fire: () => fired.push(expression) }),
    )
    expect(clock.waiting).toBe(1)
    await clock.advance(6 * MINUTE)
    expect(fired).toHaveLength(6 + 3 + 2)
    for (const added of stops) added.stop()
    expect(clock.waiting).toBe(0)
  })

  test('one that is over is not waited for', async () => {
    const clock = new FakeClock('2026-11-21T09:59:00Z')
    const { fired } = timed('at(2026-11-21T10:00:00)', clock)
    await clock.advance(HOUR)
    expect(fired).toHaveLength(1)
    expect(clock.waiting).toBe(0)
  })
})

describe('the event', () => {
  const due = Date.parse('2026-11-21T10:00:00Z')
  const occasion = { name: 'nightly', region: 'us-east-1', due }
  const made = (source: object): unknown =>
    JSON.parse(
      Buffer.from(
        scheduledEvent({
          ...occasion,
          source: { type: 'schedule', expression: 'rate(1 minute)', ...source },
        }),
      ).toString(),
    )

  test('is the one that a rule of EventBridge makes', () => {
    expect(made({})).toEqual({
      version: '0',
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      'detail-type': 'Scheduled Event',
      source: 'aws.events',
      account: '123456789012',
      time: '2026-11-21T10:00:00Z',
      region: 'us-east-1',
      resources: ['arn:aws:events:us-east-1:123456789012:rule/nightly'],
      detail: {},
    })
  })

  test('is EventBridge Scheduler’s for what a rule cannot say: a time zone, or a single time', () => {
    expect(made({ timezone: 'Europe/Berlin' })).toMatchObject({ source: 'aws.scheduler', detail: '{}' })
    expect(made({ expression: 'at(2026-11-21T10:00:00)' })).toMatchObject({
      resources: ['arn:aws:scheduler:us-east-1:123456789012:schedule/default/nightly'],
    })
  })

  test('is the input, where there is one', () => {
    expect(made({ input: { job: 'clean' } })).toEqual({ job: 'clean' })
    expect(made({ input: null })).toBeNull()
    expect(made({ input: { at: '<aws.scheduler.scheduled-time>' } })).toEqual({ at: '2026-11-21T10:00:00Z' })
  })
})
