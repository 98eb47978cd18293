import { Readable } from 'node:stream'

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { FlexiError } from '../../../src/core/errors.ts'
import type { Clock } from '../../../src/core/clock.ts'
import { Crons } from '../../../src/emulators/workers/api/crons.ts'
import type { ControlRequest } from '../../../src/emulators/workers/control/control.ts'
import type { WallClock } from '../../../src/core/wall-clock.ts'
import { isDue, UTC, zoneOf } from '../../../src/emulators/workers/events/cron-clock.ts'
import type { Member } from '../../../src/emulators/workers/groups/groups.ts'
import { matches, parseCron } from '../../../src/emulators/workers/events/cron.ts'

const MINUTE_MS = 60_000

/** The first firings after a moment, as `2026-11-22T17:00`. */
function firings(
  cron: string,
  after: string,
  { count = 3, zone = UTC }: { count?: number; zone?: WallClock } = {},
) {
  const parsed = parseCron(cron)
  const found: string[] = []
  const from = Date.parse(after)
  for (
    let minute = from + MINUTE_MS;
    found.length < count && minute < from + 500 * 86_400_000;
    minute += MINUTE_MS
  )
    if (isDue(parsed, zone, minute)) found.push(new Date(minute).toISOString().slice(0, 16))
  return found
}

const NOW = '2026-11-21T17:30Z'

describe('crons of Cloudflare', () => {
  // The examples of Cloudflare's documentation, Cron Triggers, first.
  test.each([
    ['* * * * *', '2026-11-21T17:31 2026-11-21T17:32 2026-11-21T17:33'],
    ['*/30 * * * *', '2026-11-21T18:00 2026-11-21T18:30 2026-11-21T19:00'],
    ['45 * * * *', '2026-11-21T17:45 2026-11-21T18:45 2026-11-21T19:45'],
    ['0 17 * * sun', '2026-11-22T17:00 2026-11-29T17:00 2026-12-06T17:00'],
    ['0 17 * * 1', '2026-11-22T17:00 2026-11-29T17:00 2026-12-06T17:00'],
    ['10 7 * * mon-fri', '2026-11-23T07:10 2026-11-24T07:10 2026-11-25T07:10'],
    ['10 7 * * 2-6', '2026-11-23T07:10 2026-11-24T07:10 2026-11-25T07:10'],
    ['0 15 1 * *', '2026-12-01T15:00 2027-01-01T15:00 2027-02-01T15:00'],
    ['0 18 * * 6L', '2026-11-27T18:00 2026-12-25T18:00 2027-01-29T18:00'],
    ['0 18 * * friL', '2026-11-27T18:00 2026-12-25T18:00 2027-01-29T18:00'],
    ['59 23 LW * *', '2026-11-30T23:59 2026-12-31T23:59 2027-01-29T23:59'],
    ['0 0 L * *', '2026-11-30T00:00 2026-12-31T00:00 2027-01-31T00:00'],
    ['0 0 L-3 * *', '2026-11-27T00:00 2026-12-28T00:00 2027-01-28T00:00'],
    ['0 0 L-3W * *', '2026-11-27T00:00 2026-12-28T00:00 2027-01-28T00:00'],
    ['0 0 15W * *', '2026-12-15T00:00 2027-01-15T00:00 2027-02-15T00:00'],
    ['0 0 1W 8 *', '2027-08-02T00:00'],
    ['0 0 * * 2#1', '2026-12-07T00:00 2027-01-04T00:00 2027-02-01T00:00'],
    ['0 0 * * L', '2026-11-28T00:00 2026-12-05T00:00 2026-12-12T00:00'],
    ['5/20 12 * * *', '2026-11-22T12:05 2026-11-22T12:25 2026-11-22T12:45'],
    ['0 0 1 JAN-MAR/2 *', '2027-01-01T00:00 2027-03-01T00:00 2028-01-01T00:00'],
    ['0 22-1 * * *', '2026-11-21T22:00 2026-11-21T23:00 2026-11-22T00:00'],
    ['0 0 * * FRI-MON', '2026-11-22T00:00 2026-11-23T00:00 2026-11-27T00:00'],
  ])('%s fires at %s', (cron, expected) => {
    const times = expected.split(' ')
    expect(firings(cron, NOW, { count: times.length })).toEqual(times)
  })

  test('a day counts when day of month or day of week says so, where both are given', () => {
    expect(firings('0 0 13 * FRI', '2026-11-09T00:00Z')).toEqual([
      '2026-11-13T00:00',
      '2026-11-20T00:00',
      '2026-11-27T00:00',
    ])
    expect(firings('0 0 12 * FRI', '2026-11-09T00:00Z', { count: 2 })).toEqual([
      '2026-11-12T00:00',
      '2026-11-13T00:00',
    ])
  })

  test.each([
    ['* * * *', 'it has 4 fields'],
    ['', 'it has 0 fields'],
    ['0 0 * * * *', 'it has 6 fields'],
    ['@daily', 'names such as @daily are not known'],
    ['60 * * * *', 'minutes "60" cannot be: it has 0 to 59'],
    ['*/60 * * * *', 'minutes "*/60" cannot be: after "/" there is a number from 1 to 59'],
    ['* 24 * * *', 'hours "24"'],
    ['* * 0 * *', 'day of month "0" cannot be: it has 1 to 31'],
    ['* * ? * *', 'day of month "?" cannot be'],
    ['* * L,3 * *', 'there is one day only'],
    ['* * L-31 * *', 'a number from 1 to 30'],
    ['* * * 13 *', 'month "13" cannot be: it has 1 to 12, or JAN to DEC'],
    ['* * * * 0', '1 is Sunday and 7 is Saturday'],
    ['* * * * 8', 'day of week "8" cannot be: it has 1 to 7, or SUN to SAT'],
    ['* * * * 2#6', 'a number from 1 to 5'],
    ['1-2-3 * * * *', 'minutes "1-2-3" cannot be'],
    ['1,,2 * * * *', 'minutes "" cannot be'],
    ['0 0 31 2,4 *', 'it never comes'],
  ])('%s cannot be: %s', (cron, reason) => {
    expect(() => parseCron(cron)).toThrow(reason)
  })

  test('any text is a cron or is refused, and a cron that is one names some minute', () => {
    const part = fc.stringMatching(/^[0-9*/,\-LW#A-Z?]{1,6}$/)
    fc.assert(
      fc.property(fc.array(part, { minLength: 4, maxLength: 6 }), (parts) => {
        try {
          const cron = parseCron(parts.join(' '))
          expect(cron.minutes.size * cron.hours.size * cron.months.size).toBeGreaterThan(0)
        } catch (error) {
          expect(error).toBeInstanceOf(FlexiError)
        }
      }),
    )
  })

  test('numbers mean what they say, in any place', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 59 }), fc.integer({ min: 0, max: 23 }), (minute, hour) => {
        const cron = parseCron(`${minute} ${hour} * * *`)
        expect(matches(cron, Date.UTC(2026, 5, 7, hour, minute))).toBe(true)
        expect(matches(cron, Date.UTC(2026, 5, 7, hour, (minute + 1) % 60))).toBe(false)
      }),
    )
  })
})

describe('where clocks are changed', () => {
  const berlin = zoneOf('Europe/Berlin')
  // 2027-03-28 02:00 becomes 03:00 (01:00 UTC); 2026-10-25 03:00 becomes 02:00 (01:00 UTC).

  test('the clocks of the zone count', () => {
    expect(firings('0 7 * * *', '2026-11-21T00:00Z', { count: 1, zone: berlin })).toEqual([
      '2026-11-21T06:00',
    ])
    expect(firings('0 7 * * *', '2026-07-21T00:00Z', { count: 1, zone: berlin })).toEqual([
      '2026-07-21T05:00',
    ])
  })

  test('a time of day that they leap over comes at the change', () => {
    const times = firings('30 2 * * *', '2027-03-27T00:00Z', { zone: berlin })
    expect(times).toEqual(['2027-03-27T01:30', '2027-03-28T01:00', '2027-03-29T00:30'])
  })

  test('a time of day that they show twice comes once', () => {
    const times = firings('30 2 * * *', '2026-10-24T12:00Z', { count: 2, zone: berlin })
    expect(times).toEqual(['2026-10-25T00:30', '2026-10-26T01:30'])
  })

  test('what comes in intervals goes on through both', () => {
    expect(firings('*/30 * * * *', '2026-10-24T23:59Z', { count: 5, zone: berlin })).toEqual([
      '2026-10-25T00:00',
      '2026-10-25T00:30',
      '2026-10-25T01:00',
      '2026-10-25T01:30',
      '2026-10-25T02:00',
    ])
    expect(firings('*/30 * * * *', '2027-03-28T00:29Z', { zone: berlin })).toEqual([
      '2027-03-28T00:30',
      '2027-03-28T01:00',
      '2027-03-28T01:30',
    ])
  })

  test('in UTC, as Cloudflare runs them, nothing is ever changed', () => {
    const times = firings('30 1 * * *', '2026-10-24T12:00Z', { count: 2, zone: zoneOf('utc') })
    expect(times).toEqual(['2026-10-25T01:30', '2026-10-26T01:30'])
  })

  test('"local" is the zone of this machine', () => {
    const instant = Date.UTC(2026, 10, 21, 12, 30)
    const shown = new Date(instant)
    expect(zoneOf('local').wallTime(instant)).toBe(
      Date.UTC(shown.getFullYear(), shown.getMonth(), shown.getDate(), shown.getHours(), shown.getMinutes()),
    )
  })
})

/** Time that passes when a test says so. */
class TestClock implements Clock {
  #time: number
  #timers: { readonly at: number; readonly call: () => void }[] = []

  constructor(start: string) {
    this.#time = Date.parse(start)
  }

  now(): number {
    return this.#time
  }

  after(ms: number, call: () => void): () => void {
    const timer = { at: this.#time + ms, call }
    this.#timers.push(timer)
    return () => {
      this.#timers = this.#timers.filter((one) => one !== timer)
    }
  }

  /** Calls what comes due until then, each at its time, or all of it late as after a sleep of the machine. */
  pass(ms: number, { asleep = false } = {}): void {
    const end = this.#time + ms
    for (let due = this.#due(end); due !== undefined; due = this.#due(end)) {
      this.#timers = this.#timers.filter((one) => one !== due)
      this.#time = asleep ? end : Math.max(this.#time, due.at)
      due.call()
    }
    this.#time = end
  }

  /** Timers go on as they were. */
  setBack(ms: number): void {
    this.#time -= ms
    this.#timers = this.#timers.map(({ at, call }) => ({ at: at - ms, call }))
  }

  get waiting(): number {
    return this.#timers.length
  }

  #due(end: number) {
    return this.#timers.filter(({ at }) => at <= end).toSorted((one, other) => one.at - other.at)[0]
  }
}

interface FakeWorker {
  crons: string[]
  readonly options?: Readonly<Record<string, unknown>>
  built?: boolean
}

/** Workers without a runtime: what would reach one is kept. */
function keep(start: string, workers: Record<string, FakeWorker>) {
  const clock = new TestClock(start)
  const fired: string[] = []
  const said: string[] = []
  const announced: string[] = []
  const ends: { outcome: string; wait?: Promise<void> } = { outcome: 'ok' }
  const members = () =>
    Object.entries(workers).map(([name, { crons, options = {} }]) => ({
      config: { name, options },
      scope: {
        output({ text }: { text: string }) {
          if (text.startsWith('crons ')) announced.push(`${name}: ${text}`)
          else said.push(text.replace(/\d+ ms/, 'N ms'))
        },
      },
      settings: () => ({ config: { name: `${name}-worker`, triggers: { crons } } }),
    }))
  const control = (name: string) => ({
    async ask({ target, body }: ControlRequest) {
      const { cron, scheduledTime } = JSON.parse(Buffer.from(body as Uint8Array).toString()) as {
        cron: string
        scheduledTime: number
      }
      const worker = new URLSearchParams(target.split('?')[1]).get('worker')
      fired.push(`${name} ${worker} ${cron} ${new Date(scheduledTime).toISOString().slice(11, 19)}`)
      await ends.wait
      if (ends.outcome === 'gone') throw new Error('the runtime ended')
      const answer = Readable.from([JSON.stringify({ outcome: ends.outcome, noRetry: false })])
      return { status: 200, fields: {}, body: answer }
    },
  })
  const crons = new Crons({
    clock,
    isBuilt: (name) => workers[name]?.built !== false,
    groups: {
      members: () => members() as unknown as Member[],
      control: (name) => Promise.resolve(control(name)),
    },
  })
  return { clock, crons, fired, said, announced, ends }
}

describe('by the clock', () => {
  test('each cron fires at the start of its minute, with that minute as its time', async () => {
    await using kept = disposing(
      keep('2026-11-21T17:29:40.500Z', {
        edge: { crons: ['30 17 * * *', '*/2 * * * *'] },
        api: { crons: ['31 17 * * *'] },
      }),
    )
    const { clock, crons, fired, said } = kept
    clock.pass(19_000)
    expect(fired).toEqual([])
    clock.pass(120_000)
    await crons.settled()
    expect(fired).toEqual([
      'edge edge-worker 30 17 * * * 17:30:00',
      'edge edge-worker */2 * * * * 17:30:00',
      'api api-worker 31 17 * * * 17:31:00',
    ])
    expect(said).toEqual([
      'cron 30 17 * * *: ok in N ms',
      'cron */2 * * * *: ok in N ms',
      'cron 31 17 * * *: ok in N ms',
    ])
  })

  test('a handler that throws, and a runtime that ends, are said', async () => {
    await using kept = disposing(keep('2026-11-21T17:29:00Z', { edge: { crons: ['* * * * *'] } }))
    const { clock, crons, said, ends } = kept
    ends.outcome = 'exception'
    clock.pass(60_000)
    await crons.settled()
    ends.outcome = 'gone'
    clock.pass(60_000)
    await crons.settled()
    expect(said).toEqual([
      'cron * * * * *: exception after N ms',
      'cron * * * * *: failed: edge-worker: the runtime ended while the handler ran: the runtime ended',
    ])
  })

  test('a run that lasts does not keep the next from starting', async () => {
    await using kept = disposing(keep('2026-11-21T17:29:00Z', { edge: { crons: ['* * * * *'] } }))
    const { clock, crons, fired, said, ends } = kept
    let finish: () => void = () => undefined
    ends.wait = new Promise((resolve) => {
      finish = resolve
    })
    clock.pass(120_000)
    await expect.poll(() => fired).toHaveLength(2)
    expect(said).toEqual([])
    finish()
    await crons.settled()
    expect(said).toHaveLength(2)
  })

  test('what was missed while the machine slept is not made up for', async () => {
    await using kept = disposing(keep('2026-11-21T17:29:00Z', { edge: { crons: ['* * * * *'] } }))
    const { clock, crons, fired } = kept
    clock.pass(10 * 60_000 + 45_000, { asleep: true })
    expect(fired).toEqual([])
    clock.pass(15_000)
    await crons.settled()
    expect(fired).toEqual(['edge edge-worker * * * * * 17:40:00'])
  })

  test('nothing fires while there is no good build, and what the file says counts at once', async () => {
    const edge: FakeWorker = { crons: ['* * * * *'], built: false }
    await using kept = disposing(keep('2026-11-21T17:29:00Z', { edge }))
    const { clock, crons, fired } = kept
    clock.pass(60_000)
    edge.built = true
    clock.pass(60_000)
    edge.crons = ['32 * * * *']
    clock.pass(60_000)
    edge.crons = []
    clock.pass(60_000)
    await crons.settled()
    expect(fired).toEqual(['edge edge-worker * * * * * 17:31:00', 'edge edge-worker 32 * * * * 17:32:00'])
  })

  test('a clock that is set right fires nothing twice, and one that is set back by hours begins anew', async () => {
    await using kept = disposing(keep('2026-11-21T17:29:00Z', { edge: { crons: ['* * * * *'] } }))
    const { clock, crons, fired } = kept
    clock.pass(60_000)
    clock.setBack(90_000)
    clock.pass(150_000)
    await crons.settled()
    expect(fired).toEqual(['edge edge-worker * * * * * 17:30:00', 'edge edge-worker * * * * * 17:31:00'])
    clock.setBack(3_600_000)
    clock.pass(60_000)
    await crons.settled()
    expect(fired.at(-1)).toBe('edge edge-worker * * * * * 16:32:00')
  })

  test('"crons": false keeps them still, "time_zone" goes by the clocks of a place', async () => {
    await using kept = disposing(
      keep('2026-11-21T05:59:00Z', {
        still: { crons: ['* * * * *'], options: { crons: false } },
        berlin: { crons: ['0 7 * * *'], options: { time_zone: 'Europe/Berlin' } },
        utc: { crons: ['0 7 * * *'] },
      }),
    )
    const { clock, crons, fired } = kept
    clock.pass(61 * 60_000)
    await crons.settled()
    expect(fired).toEqual(['berlin berlin-worker 0 7 * * * 06:00:00', 'utc utc-worker 0 7 * * * 07:00:00'])
  })

  test('what fires is announced at the start, and again when it is news', () => {
    const edge: FakeWorker = { crons: ['* * * * *'] }
    const site: FakeWorker = { crons: [] }
    const berlin: FakeWorker = { crons: ['0 7 * * *', '0 8 * * *'], options: { time_zone: 'Europe/Berlin' } }
    const { crons, announced } = keep('2026-11-21T17:29:00Z', { edge, site, berlin })
    edge.crons = ['0 1 * * *']
    crons.announce()
    crons.announce()
    expect(announced).toEqual([
      'edge: crons fire by the clocks of UTC: * * * * *',
      'berlin: crons fire by the clocks of Europe/Berlin: 0 7 * * *, 0 8 * * *',
      'edge: crons fire by the clocks of UTC: 0 1 * * *',
    ])
    crons.stop()
  })

  test('disposing leaves no timer, and lets end what runs', async () => {
    const { clock, crons, said, ends } = keep('2026-11-21T17:29:00Z', { edge: { crons: ['* * * * *'] } })
    let finish: () => void = () => undefined
    ends.wait = new Promise((resolve) => {
      finish = resolve
    })
    clock.pass(60_000)
    expect(clock.waiting).toBe(1)
    const disposed = crons[Symbol.asyncDispose]()
    expect(clock.waiting).toBe(0)
    finish()
    await disposed
    expect(said).toEqual(['cron * * * * *: ok in N ms'])
  })
})

function disposing<Kept extends { readonly crons: Crons }>(kept: Kept): Kept & AsyncDisposable {
  return { ...kept, [Symbol.asyncDispose]: () => kept.crons[Symbol.asyncDispose]() }
}
