import { expect, test } from 'vitest'

import { isDue, UTC, zoneOf } from '../../../src/emulators/workers/events/cron-clock.ts'
import { nextDue } from '../../../src/emulators/workers/events/cron-next.ts'
import { parseCron } from '../../../src/emulators/workers/events/cron.ts'

const MINUTE_MS = 60_000

function times(cron: string, zone: string, after: string, many: number): readonly string[] {
  const found: string[] = []
  let at = Date.parse(after)
  for (let count = 0; count < many; count += 1) {
    const next = nextDue(parseCron(cron), zoneOf(zone), at)
    if (next === undefined) break
    found.push(new Date(next).toISOString().slice(0, 16))
    at = next
  }
  return found
}

test('tells the minutes in which a cron is due, one after the other', () => {
  expect(times('*/30 9 * * MON-FRI', 'UTC', '2026-01-02T09:00:00Z', 3)).toEqual([
    '2026-01-02T09:30',
    '2026-01-05T09:00',
    '2026-01-05T09:30',
  ])
  expect(times('0 0 L * *', 'UTC', '2026-01-31T00:00:00Z', 2)).toEqual([
    '2026-02-28T00:00',
    '2026-03-31T00:00',
  ])
})

test('a minute that has begun is over', () => {
  expect(times('* * * * *', 'UTC', '2026-01-01T12:00:00.001Z', 1)).toEqual(['2026-01-01T12:01'])
  expect(times('* * * * *', 'UTC', '2026-01-01T11:59:59.999Z', 1)).toEqual(['2026-01-01T12:00'])
})

test('the 29th of February is found over the turn of a century that has none', () => {
  expect(times('0 12 29 2 *', 'UTC', '2096-03-01T00:00:00Z', 1)).toEqual(['2104-02-29T12:00'])
})

test('what the clocks leap over comes at the change, and what they show twice comes once', () => {
  expect(times('30 2 * * *', 'Europe/Berlin', '2026-03-28T02:00:00Z', 2)).toEqual([
    '2026-03-29T01:00',
    '2026-03-30T00:30',
  ])
  expect(times('30 2 * * *', 'Europe/Berlin', '2026-10-24T10:00:00Z', 2)).toEqual([
    '2026-10-25T00:30',
    '2026-10-26T01:30',
  ])
})

test.each([
  ['America/New_York', '2026-03-07T12:00:00Z'],
  ['Africa/Cairo', '2026-04-23T12:00:00Z'],
  ['Africa/Cairo', '2026-10-29T12:00:00Z'],
  ['Australia/Lord_Howe', '2026-04-04T00:00:00Z'],
  ['Australia/Lord_Howe', '2026-10-03T00:00:00Z'],
])('agrees with what is asked minute by minute while %s changes its clocks', (zone, from) => {
  const clock = zoneOf(zone)
  const start = Date.parse(from)
  const end = start + 36 * 3_600_000
  for (const cron of ['15 0 * * *', '5 23 * * *', '*/20 1,23 * * *', '45 1-2 * * *'].map(parseCron)) {
    const wanted: number[] = []
    for (let minute = start + MINUTE_MS; minute < end; minute += MINUTE_MS)
      if (isDue(cron, clock, minute)) wanted.push(minute)
    const found: number[] = []
    for (let at = nextDue(cron, clock, start) ?? end; at < end; at = nextDue(cron, clock, at) ?? end)
      found.push(at)
    expect(found).toEqual(wanted)
  }
})

test('a cron of one day a year is found within milliseconds', () => {
  const from = performance.now()
  expect(nextDue(parseCron('0 0 1 1 *'), UTC, Date.parse('2026-01-01T00:00:00Z'))).toBe(
    Date.parse('2027-01-01T00:00:00Z'),
  )
  expect(performance.now() - from).toBeLessThan(100)
})
