import { afterEach, describe, expect, test } from 'vitest'

import type { Clock } from '../../src/core/clock.ts'
import { FlexiError } from '../../src/core/errors.ts'
import type { FunctionEvent } from '../../src/core/schedule.ts'
import type { DeploymentPart, FunctionKey } from '../../src/daemon/model.ts'
import {
  configOf,
  deploy,
  openTestControl,
  partOf,
  ROOT,
  type TestControl,
  type ToDeploy,
} from './control-harness.ts'

const open: AsyncDisposable[] = []
afterEach(async () => {
  for (const one of open.splice(0).toReversed()) await one[Symbol.asyncDispose]()
})

const NOON = Date.UTC(2026, 0, 1, 12)
const MINUTE = 60_000

/** Time that passes when it is told to. */
class FakeClock implements Clock {
  time = NOON
  readonly #timers = new Map<object, { readonly at: number; readonly call: () => void }>()

  now(): number {
    return this.time
  }

  after(ms: number, call: () => void): () => void {
    const key = {}
    this.#timers.set(key, { at: this.time + ms, call })
    return () => void this.#timers.delete(key)
  }

  get timers(): number {
    return this.#timers.size
  }

  /** Timers come at their times, and between them whatever they have begun goes on. */
  async pass(ms: number): Promise<void> {
    const end = this.time + ms
    for (;;) {
      await settle()
      const [next] = [...this.#timers].sort(([, one], [, other]) => one.at - other.at)
      if (next === undefined || next[1].at > end) break
      this.time = Math.max(this.time, next[1].at)
      this.#timers.delete(next[0])
      next[1].call()
    }
    this.time = end
    await settle()
  }

  /** As a machine that sleeps: nothing happens meanwhile. */
  leap(ms: number): void {
    this.time += ms
  }

  /** Timers know nothing of it. */
  setBack(ms: number): void {
    this.time -= ms
    for (const [key, { at, call }] of this.#timers) this.#timers.set(key, { at: at - ms, call })
  }
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}

interface Fired extends FunctionKey {
  readonly at: number
  readonly event: FunctionEvent
}

interface Tested {
  readonly made: TestControl
  readonly clock: FakeClock
  readonly fired: Fired[]
}

async function start(
  given: { readonly clock?: FakeClock; readonly directory?: string } = {},
): Promise<Tested> {
  const { clock = new FakeClock(), ...rest } = given
  const made = await openTestControl({ timer: clock, clock: () => clock.now(), ...rest })
  open.push(made)
  return watch(made, clock)
}

function watch(made: TestControl, clock: FakeClock): Tested {
  const fired: Fired[] = []
  made.runtime.onRun = (key, event) => {
    fired.push({ name: key.name, version: key.version, event, at: clock.now() - NOON })
    return Promise.resolve({ payload: Buffer.from('null'), contentType: 'application/json', log: '' })
  }
  return { made, clock, fired }
}

const EVERY_MINUTE = { type: 'schedule', expression: 'cron(* * * * ? *)' }

async function part(
  { made }: Tested,
  sources: readonly object[] = [EVERY_MINUTE],
  more: Readonly<Record<string, unknown>> = {},
): Promise<DeploymentPart> {
  const options = { handler: 'index.handler', sources, ...more }
  return partOf('hello', await made.artifact(), { provider: 'lambda', options })
}

async function deployed(tested: Tested, parts: readonly DeploymentPart[], how?: ToDeploy): Promise<void> {
  expect((await deploy(tested.made, parts, how)).last).toMatchObject({ event: 'done' })
  await settle()
}

function told(fired: readonly Fired[]): readonly string[] {
  return fired.map(({ name, version, at }) => `${name}@${version} ${at / MINUTE}`)
}

describe('what is fired', () => {
  test('a function runs at each of its times, with the event that its service makes', async () => {
    const tested = await start()
    tested.made.control.startSchedules()
    await deployed(tested, [await part(tested)])
    await tested.clock.pass(2 * MINUTE)
    expect(told(tested.fired)).toEqual(['hello@v1 1', 'hello@v1 2'])
    expect(tested.fired[0]?.event).toMatchObject({
      event: { 'detail-type': 'Scheduled Event', source: 'aws.events', time: '2026-01-01T12:01:00Z' },
    })
  })

  test('a rate counts from when the function was made, so that deployments put nothing off', async () => {
    const tested = await start()
    tested.made.control.startSchedules()
    const hourly = [{ type: 'schedule', expression: 'rate(1 hour)', input: { job: 'bill' } }]
    await deployed(tested, [await part(tested, hourly)])
    await tested.clock.pass(30 * MINUTE)
    await deployed(tested, [await part(tested, hourly)])
    await tested.clock.pass(40 * MINUTE)
    expect(told(tested.fired)).toEqual(['hello@v2 60'])
    expect(tested.fired[0]?.event).toEqual({ event: { job: 'bill' } })
  })

  test('schedules of two functions and of one all have their times', async () => {
    const tested = await start()
    tested.made.control.startSchedules()
    const two = [EVERY_MINUTE, { type: 'schedule', expression: 'cron(2 12 * * ? *)', input: 'noon' }]
    const other = { ...(await part(tested)), name: 'other' }
    await deployed(tested, [await part(tested, two), other])
    await tested.clock.pass(2 * MINUTE)
    expect([...told(tested.fired)].sort()).toEqual([
      'hello@v1 1',
      'hello@v1 2',
      'hello@v1 2',
      'other@v1 1',
      'other@v1 2',
    ])
  })

  test('one that its file switches off is not fired, and functions without schedules arm no timer', async () => {
    const tested = await start()
    tested.made.control.startSchedules()
    const plain = partOf('plain', await tested.made.artifact())
    await deployed(tested, [await part(tested, [{ ...EVERY_MINUTE, enabled: false }]), plain])
    expect(tested.clock.timers).toBe(0)
  })

  test('more schedules than a function may have are no deployment', async () => {
    const tested = await start()
    const many = Array.from({ length: 51 }, () => EVERY_MINUTE)
    const { last } = await deploy(tested.made, [await part(tested, many)])
    expect(last).toMatchObject({ event: 'failed', code: 'FLEXI_CONFIG' })
  })

  test('nothing is fired before it is started', async () => {
    const tested = await start()
    await deployed(tested, [await part(tested)])
    await tested.clock.pass(2 * MINUTE)
    expect(tested.fired).toEqual([])
  })
})

describe('where it is fired', () => {
  test('a deployment and a rollback take effect at once, and lose no minute', async () => {
    const tested = await start()
    const { made, clock, fired } = tested
    made.control.startSchedules()
    await deployed(tested, [await part(tested)])
    await clock.pass(MINUTE)
    // The minute has begun, and nobody has looked at the clock yet.
    clock.leap(MINUTE)
    await deployed(tested, [await part(tested)])
    await clock.pass(10)
    await made.control.rollback(ROOT, 'hello', 'live')
    await clock.pass(MINUTE)
    expect(fired.map(({ version }) => version)).toEqual(['v1', 'v2', 'v1'])
  })

  test('of a canary the first version is fired, and other aliases are not', async () => {
    const tested = await start()
    const { made, clock, fired } = tested
    made.control.startSchedules()
    await deployed(tested, [await part(tested)])
    await deployed(tested, [await part(tested)], { alias: 'staging' })
    await made.control.setAlias(ROOT, 'hello', 'live', {
      version: 'v1',
      second: { version: 'v2', weight: 0.9 },
    })
    await clock.pass(2 * MINUTE)
    expect(told(fired)).toEqual(['hello@v1 1', 'hello@v1 2'])
  })

  test('a function that is stopped, removed or has lost its alias is not fired', async () => {
    const tested = await start()
    const { made, clock, fired } = tested
    made.control.startSchedules()
    await deployed(tested, [await part(tested)])
    await made.control.stop(ROOT, { name: 'hello', version: 'v1' })
    await clock.pass(2 * MINUTE)
    expect(fired).toEqual([])
    await made.control.start(ROOT, { name: 'hello', version: 'v1' })
    await clock.pass(MINUTE)
    expect(told(fired)).toEqual(['hello@v1 3'])
    await made.control.removeAlias(ROOT, 'hello', 'live')
    await clock.pass(MINUTE)
    await made.control.setAlias(ROOT, 'hello', 'live', { version: 'v1' })
    await made.control.removeFunction(ROOT, 'hello')
    await clock.pass(MINUTE)
    expect(told(fired)).toEqual(['hello@v1 3'])
    expect(made.store.settings.get('schedules:hello@v1')).toBeUndefined()
    expect(made.store.settings.get('fired:hello')).toBeUndefined()
  })

  test('a configuration that is overridden says other times', async () => {
    const tested = await start()
    const { made, clock, fired } = tested
    made.control.startSchedules()
    await deployed(tested, [await part(tested)])
    const options = {
      handler: 'index.handler',
      sources: [{ type: 'schedule', expression: 'rate(5 minutes)' }],
    }
    const config = configOf({ provider: 'lambda', options })
    await made.control.override(ROOT, { name: 'hello', version: 'v1' }, config)
    await clock.pass(6 * MINUTE)
    expect(told(fired)).toEqual(['hello@v1 5'])
  })

  test('a schedule that cannot be is told in the log, and keeps no other from being fired', async () => {
    const tested = await start()
    const { made, clock, fired } = tested
    made.control.startSchedules()
    await deployed(tested, [await part(tested), { ...(await part(tested)), name: 'other' }])
    const options = { handler: 'index.handler', sources: [{ type: 'schedule', expression: 'never' }] }
    const config = configOf({ provider: 'lambda', options })
    await made.control.override(ROOT, { name: 'hello', version: 'v1' }, config)
    await clock.pass(MINUTE)
    expect(told(fired)).toEqual(['other@v1 1'])
    expect(made.runtime.lines).toContainEqual(
      expect.objectContaining({
        level: 'error',
        text: expect.stringContaining('its schedules cannot be read'),
      }),
    )
  })
})

describe('a restart', () => {
  test('of some seconds loses no minute, and repeats none', async () => {
    const tested = await start()
    tested.made.control.startSchedules()
    await deployed(tested, [await part(tested)])
    await tested.clock.pass(MINUTE)
    tested.clock.leap(MINUTE - 10_000)
    const again = watch(await tested.made.reopened(), tested.clock)
    open.splice(0, open.length, again.made)
    tested.clock.leap(15_000)
    again.made.control.startSchedules()
    await tested.clock.pass(0)
    expect(told(again.fired)).toHaveLength(1)
    const third = watch(await again.made.reopened(), tested.clock)
    open.splice(0, open.length, third.made)
    third.made.control.startSchedules()
    await tested.clock.pass(10_000)
    expect(third.fired).toEqual([])
    await tested.clock.pass(MINUTE)
    expect(third.fired).toHaveLength(1)
  })

  test('of a longer stop makes up for nothing', async () => {
    const tested = await start()
    tested.made.control.startSchedules()
    await deployed(tested, [await part(tested)])
    const again = watch(await tested.made.reopened(), tested.clock)
    open.splice(0, open.length, again.made)
    tested.clock.leap(5 * MINUTE + 31_000)
    again.made.control.startSchedules()
    await tested.clock.pass(10_000)
    expect(again.fired).toEqual([])
  })

  test('two processes that both serve fire each time once, and the old one nothing once it retires', async () => {
    const old = await start()
    old.made.control.startSchedules()
    await deployed(old, [await part(old)])
    const next = await start({ clock: old.clock, directory: old.made.directory })
    next.made.control.startSchedules()
    await old.clock.pass(3 * MINUTE)
    expect(old.fired.length + next.fired.length).toBe(3)
    await old.made.control.drainSchedules(1_000)
    const before = old.fired.length
    await old.clock.pass(2 * MINUTE)
    expect([old.fired.length, old.fired.length + next.fired.length]).toEqual([before, 5])
  })

  test('reads no file of what it has read before', async () => {
    const tested = await start()
    await deployed(tested, [await part(tested)])
    const again = watch(await tested.made.reopened(), tested.clock)
    open.splice(0, open.length, again.made)
    again.made.runtime.configOf = () => Promise.reject(new Error('no file may be opened'))
    again.made.control.startSchedules()
    await tested.clock.pass(MINUTE)
    expect(again.fired).toHaveLength(1)
  })

  test('a machine that slept fires what is due now, once', async () => {
    const tested = await start()
    tested.made.control.startSchedules()
    await deployed(tested, [await part(tested)])
    await tested.clock.pass(MINUTE)
    tested.clock.leap(60 * MINUTE + 5_000)
    await tested.clock.pass(0)
    expect(told(tested.fired)).toHaveLength(2)
    await tested.clock.pass(MINUTE)
    expect(told(tested.fired)).toHaveLength(3)
  })

  test('a clock that is set back by an hour shows another time', async () => {
    const tested = await start()
    tested.made.control.startSchedules()
    await deployed(tested, [await part(tested)])
    await tested.clock.pass(MINUTE)
    tested.clock.setBack(60 * MINUTE)
    await tested.clock.pass(2 * MINUTE)
    expect(tested.fired).toHaveLength(3)
  })
})

describe('a run that fails', () => {
  test('is in the log and is tried again twice, after one and two minutes, as Lambda does', async () => {
    const tested = await start()
    const { made, clock } = tested
    made.control.startSchedules()
    await deployed(tested, [await part(tested, [{ type: 'schedule', expression: 'rate(1 hour)' }])])
    const at: number[] = []
    made.runtime.onRun = () => {
      at.push((clock.now() - NOON) / MINUTE)
      const payload = Buffer.from('{"errorType":"Error","errorMessage":"no luck"}')
      return Promise.resolve({
        payload,
        contentType: 'application/json',
        functionError: 'Unhandled',
        log: '',
      })
    }
    await clock.pass(80 * MINUTE)
    expect(at).toEqual([60, 61, 63])
    const errors = made.runtime.lines.filter(({ level }) => level === 'error')
    expect(errors).toHaveLength(3)
    expect(errors[0]?.text).toMatch(
      /^schedule rate\(1 hour\): failed after \d+ ms: .*no luck.*; it is tried again in 60 s$/,
    )
    await clock.pass(40 * MINUTE)
    expect(at).toHaveLength(4)
  })

  test('is tried as often as maximumRetryAttempts says, and not after the function was stopped', async () => {
    const tested = await start()
    const { made, clock } = tested
    made.control.startSchedules()
    const hourly = [{ type: 'schedule', expression: 'rate(1 hour)' }]
    const once = await part(tested, hourly, { maximumRetryAttempts: 0 })
    await deployed(tested, [once, { ...(await part(tested, hourly)), name: 'other' }])
    const runs: string[] = []
    made.runtime.onRun = ({ name }) => {
      runs.push(name)
      return Promise.reject(new FlexiError('FLEXI_QUEUE_FULL', 'there is no room'))
    }
    await clock.pass(60 * MINUTE)
    await made.control.stop(ROOT, { name: 'other', version: 'v1' })
    await clock.pass(10 * MINUTE)
    expect(runs.sort()).toEqual(['hello', 'other'])
    expect(made.runtime.lines).toContainEqual(
      expect.objectContaining({ text: 'schedule rate(1 hour): failed: there is no room' }),
    )
  })

  test('one that runs is waited for at the end, and no longer than that may take', async () => {
    const tested = await start()
    const { made, clock } = tested
    made.control.startSchedules()
    await deployed(tested, [await part(tested)])
    made.runtime.onRun = (_key, _event, { signal }) =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as Error))
      })
    await clock.pass(MINUTE)
    const long = made.control.drainSchedules(60_000)
    await made.control.drainSchedules(10)
    await long
    expect(made.runtime.lines.at(-1)?.text).toContain('the daemon stops')
  })
})
