import { setImmediate as turn } from 'node:timers/promises'

import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'

import type { DevEvent } from '../../src/core/events.ts'
import { Burst } from '../../src/terminal/burst.ts'
import { DevScreen, type DevScreenOptions } from '../../src/terminal/dev-screen.ts'
import { JsonEvents } from '../../src/terminal/json-events.ts'
import { LineWriter } from '../../src/terminal/line-writer.ts'
import { NO_PAINT } from '../../src/terminal/paint.ts'
import { accessRecord, Collected } from './collect.ts'

const READY: DevEvent = {
  event: 'ready',
  url: 'http://127.0.0.1:8069',
  functions: [],
  routes: [],
  durationMs: 1,
}
const REQUEST: DevEvent = { event: 'request', ...accessRecord() }
const FAULT: DevEvent = { event: 'fault', function: 'hello', kind: 'throw', name: 'Error', message: 'no' }

function screen(log: Collected, more: Partial<DevScreenOptions> = {}): DevScreen {
  return new DevScreen({
    log,
    results: new Collected(),
    paint: NO_PAINT,
    directory: '/',
    level: 'info',
    version: '0.1.0',
    networkAddresses: [],
    keys: false,
    ...more,
  })
}

describe('the tables of functions and routes', () => {
  test('are shown again when they have changed, and not because a file was saved', async () => {
    const log = new Collected()
    const shown = screen(log)
    const functions = [{ name: 'edge', provider: 'workers', url: 'http://edge.localhost:8069' }]
    const configuration: DevEvent = { event: 'configuration', functions, routes: [], durationMs: 3 }
    shown.show({ ...configuration, event: 'ready', url: 'http://127.0.0.1:8069' })
    shown.show(configuration)
    shown.show({ ...configuration, functions: [] })
    shown.show({ ...configuration, functions: [] })
    await turn()
    const lines = log.lines.filter((line) => line !== '')
    expect(lines.filter((line) => line.includes('edge.localhost'))).toHaveLength(1)
    expect(lines.slice(-3)).toEqual([
      '↻ configuration  3.0 ms',
      expect.stringContaining('nothing to serve'),
      '↻ configuration  3.0 ms',
    ])
  })
})

describe('lines are written together', () => {
  test('one write a turn of the event loop, in order', async () => {
    const stream = new Collected()
    const writer = new LineWriter(stream)
    for (let index = 0; index < 1_000; index++) writer.soon(() => String(index))
    expect(stream.writes).toEqual([])
    await turn()
    expect(stream.writes).toHaveLength(1)
    expect(stream.lines).toEqual(Array.from({ length: 1_000 }, (_, index) => String(index)))
  })

  test('what may wait comes with what may not, and before it', async () => {
    const stream = new Collected()
    const writer = new LineWriter(stream)
    writer.eventually(() => 'patient')
    await turn()
    expect(stream.writes).toEqual([])
    writer.soon(() => 'urgent')
    await turn()
    expect(stream.writes).toEqual(['patient\nurgent\n'])
  })

  test('what may wait does not wait for ever', async () => {
    const stream = new Collected()
    new LineWriter(stream).eventually(() => 'patient')
    await expect.poll(() => stream.writes).toEqual(['patient\n'])
  })

  test('nothing is written when no line has anything to say', () => {
    const stream = new Collected()
    const writer = new LineWriter(stream)
    writer.soon(() => undefined)
    writer.flush()
    expect(stream.writes).toEqual([])
  })
})

describe('under load', () => {
  test('a terminal shows 200 lines a second and sums up the rest', () => {
    const burst = new Burst()
    const shown = Array.from({ length: 10_000 }, (_, index) =>
      burst.shows(index % 100 === 0 ? 500 : 200, 1_000),
    ).filter(Boolean)
    expect(shown).toHaveLength(200)
    expect(burst.dueInMs(1_100)).toBe(400)
    expect(burst.summary(1_500, NO_PAINT)).toBe('… 9,800 more in 500 ms: 200 ×9,702  500 ×98')
    expect(burst.summary(1_500, NO_PAINT)).toBeUndefined()
    expect(burst.shows(200, 1_500)).toBe(true)
  })

  test('a file gets every line', async () => {
    const log = new Collected(false)
    const one = screen(log)
    for (let index = 0; index < 5_000; index++) one.show(REQUEST)
    one.flush()
    expect(log.lines).toHaveLength(5_000)
  })

  test('a terminal gets what a person can read, and the sum at the end', () => {
    const log = new Collected(true)
    const one = screen(log)
    for (let index = 0; index < 5_000; index++) one.show(REQUEST)
    one.flush()
    expect(log.lines.length).toBeGreaterThan(200)
    expect(log.lines.length).toBeLessThan(400)
    const hidden = 5_000 - (log.lines.length - 1)
    expect(log.lines.at(-1)).toMatch(new RegExp(`^… ${hidden.toLocaleString('en-US')} more in .*: 200 ×`))
  })
})

describe('a fault that repeats', () => {
  beforeEach(() => {
    vi.useFakeTimers()
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  test('is shown once a second, with the count of the others', () => {
    const log = new Collected()
    const one = screen(log)
    for (let index = 0; index < 4; index++) one.show(FAULT)
    vi.advanceTimersByTime(1_100)
    one.show(FAULT)
    one.flush()
    expect(log.lines).toEqual([
      '✖ hello threw  Error: no',
      '  the same 3 times more',
      '✖ hello threw  Error: no',
    ])
  })

  test('is another one when its message is another', () => {
    const log = new Collected()
    const one = screen(log)
    one.show(FAULT)
    one.show({ ...FAULT, message: 'not that either' } as DevEvent)
    one.flush()
    expect(log.lines).toHaveLength(2)
  })
})

describe('where things go', () => {
  test('lines for programs go to stdout, everything else to stderr', () => {
    const [log, results] = [new Collected(), new Collected()]
    const one = screen(log, { results, accessFormat: (record) => `LINE ${record.target}` })
    one.show(READY)
    one.show(REQUEST)
    one.flush()
    expect(results.lines).toEqual(['LINE /hello?x=1'])
    expect(log.lines.join('\n')).toContain('ready in')
  })

  test('nothing less serious than the level is shown', () => {
    const log = new Collected()
    const one = screen(log, { level: 'warn' })
    for (const event of [READY, REQUEST, FAULT]) one.show(event)
    one.flush()
    expect(log.lines).toEqual(['✖ hello threw  Error: no'])
  })
})

describe('--json', () => {
  test('one event a line, and ready is the first, whatever came before it', () => {
    const results = new Collected()
    const events = new JsonEvents(results)
    const warning: DevEvent = { event: 'warning', message: 'port 8069 is taken\n' }
    for (const event of [warning, READY, REQUEST]) events.show(event)
    events.flush()
    expect(results.lines.map((line) => JSON.parse(line) as DevEvent)).toEqual([READY, warning, REQUEST])
  })

  test('a start that failed still tells what it had to say', () => {
    const results = new Collected()
    const events = new JsonEvents(results)
    events.show({ event: 'error', code: 'FLEXI_CONFIG', message: 'no', faults: [] })
    events.flush()
    expect(results.lines).toEqual(['{"event":"error","code":"FLEXI_CONFIG","message":"no","faults":[]}'])
  })
})
