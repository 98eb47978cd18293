import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'

import { afterEach, beforeEach, expect, test } from 'vitest'

import type { OutputLine } from '../../../src/core/function.ts'
import type { Clock } from '../../../src/emulators/workers/api/crons.ts'
import type { Control } from '../../../src/emulators/workers/control/control.ts'
import { groupsOf, type Member } from '../../../src/emulators/workers/groups/groups.ts'
import { workers } from '../../../src/emulators/workers/index.ts'
import { keepCrons } from '../../../src/emulators/workers/shipped/kept-crons.ts'
import { testScope } from '../../scope.ts'
import { ship, type Shipped } from './deployed.ts'

let directory: string
let worker: Shipped

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'flexi-test-'))
  worker = await ship({
    files: {
      'wrangler.jsonc': JSON.stringify({
        name: 'nightly',
        main: 'index.ts',
        compatibility_date: '2026-01-01',
        triggers: { crons: ['* * * * *'] },
      }),
      'index.ts': 'export default { scheduled() { console.log("fired") }, fetch: () => new Response("x") }\n',
    },
  })
}, 20_000)

afterEach(async () => {
  await worker[Symbol.asyncDispose]()
  await rm(directory, { recursive: true, force: true })
})

/** Time that passes when it is told to. */
function fakeClock(): Clock & { pass(ms: number): void; readonly isArmed: boolean } {
  let now = Date.UTC(2026, 0, 1)
  let timer: { readonly at: number; readonly call: () => void } | undefined
  return {
    now: () => now,
    after(ms, call) {
      const armed = { at: now + ms, call }
      timer = armed
      return () => {
        if (timer === armed) timer = undefined
      }
    },
    pass(ms) {
      now += ms
      if (timer === undefined || timer.at > now) return
      const { call } = timer
      timer = undefined
      call()
    },
    get isArmed() {
      return timer !== undefined
    },
  }
}

test('a deployed worker’s crons fire while an instance of it runs, and not a minute longer', async () => {
  const app = {}
  const lines: OutputLine[] = []
  const scope = testScope(directory, { app, mode: 'serve', output: (line) => lines.push(line) })
  await using source = await workers.open(worker.config, scope)
  await source.build()
  const [member] = groupsOf(app).members()
  const asked: string[] = []
  const control: Control = {
    ask: ({ target }) => {
      asked.push(target)
      return Promise.resolve({ status: 200, fields: {}, body: Readable.from(['{"outcome":"ok"}']) })
    },
  }
  const clock = fakeClock()
  let close: (error: undefined) => void = () => undefined
  const closed = new Promise<undefined>((resolve) => (close = resolve))
  const groups = { members: () => [member] as Member[], control: () => Promise.resolve(control) }
  keepCrons({ closed }, { groups, clock })
  clock.pass(60_000)
  clock.pass(60_000)
  await expect.poll(() => asked.filter((target) => target.startsWith('/trigger/scheduled')).length).toBe(2)
  close(undefined)
  await expect.poll(() => clock.isArmed).toBe(false)
  clock.pass(60_000)
  expect(asked).toHaveLength(2)
  expect(lines.some(({ text }) => text.startsWith('crons fire'))).toBe(true)
}, 20_000)

test('a version with crons is exclusive: two would fire them twice', async () => {
  await using source = await workers.open(worker.config, testScope(directory, { mode: 'serve' }))
  expect((await source.build()).exclusive).toBe(true)
})
