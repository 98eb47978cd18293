import { afterAll, beforeAll, expect, test } from 'vitest'

import type { FunctionConfig } from '../../../src/core/function.ts'
import { workers } from '../../../src/emulators/workers/index.ts'
import { testScope } from '../../scope.ts'
import { ship, type Shipped } from './deployed.ts'

let worker: Shipped

beforeAll(async () => {
  worker = await ship({
    files: {
      'wrangler.jsonc': JSON.stringify({
        name: 'nightly',
        main: 'index.ts',
        compatibility_date: '2026-01-01',
        triggers: { crons: ['0 7 * * MON-FRI', '*/5 * * * *', '*/5 * * * *'] },
      }),
      'index.ts': 'export default { scheduled() {} }\n',
    },
  })
}, 20_000)

afterAll(async () => {
  await worker[Symbol.asyncDispose]()
})

async function read(options: FunctionConfig['options'] = {}) {
  const config = { ...worker.config, options: { ...worker.config.options, ...options } }
  return (await workers.schedules?.())?.read(config)
}

test('the crons of a deployed worker are told as data, each once, and opened again without its files', async () => {
  const schedules = (await read({ time_zone: 'Europe/Berlin' })) ?? []
  expect(schedules).toEqual([
    { expression: '0 7 * * MON-FRI', timeZone: 'Europe/Berlin', retries: 0 },
    { expression: '*/5 * * * *', timeZone: 'Europe/Berlin', retries: 0 },
  ])
  const [first] = structuredClone(schedules)
  if (first === undefined) throw new Error('there is none')
  const opened = (await workers.schedules?.())?.open(first)
  const due = Date.parse('2026-01-02T06:00:00Z')
  expect(opened?.next(Date.parse('2026-01-01T12:00:00Z'), 0)).toBe(due)
  expect(opened?.event(due)).toEqual({
    source: 'workers:cron',
    event: { cron: '0 7 * * MON-FRI', scheduledTime: due },
  })
})

test('one whose crons are switched off has none, nor has what was not packed for a deployment', async () => {
  expect(await read({ crons: false })).toEqual([])
  expect(await read({ shipped: undefined })).toEqual([])
})

test('a deployed worker with crons alone may run beside another version: it does not fire them itself', async () => {
  const scope = testScope(worker.directory, { mode: 'serve' })
  await using source = await workers.open(worker.config, scope)
  expect((await source.build()).exclusive).toBe(false)
})
