import { cp, readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { afterEach, describe, expect, test } from 'vitest'

import type { FunctionKey, VersionRecord } from '../../src/daemon/model.ts'
import { ship } from '../emulators/workers/deployed.ts'
import { Deployed } from './runtime-fixture.ts'

const open: AsyncDisposable[] = []
afterEach(async () => {
  for (const resource of open.splice(0).toReversed()) await resource[Symbol.asyncDispose]()
})

const CONTEXT = { id: 'a', signal: new AbortController().signal }

async function start(): Promise<Deployed> {
  const made = await Deployed.open({ limits: { idleInstanceMs: 50 } })
  open.push(made)
  return made
}

async function addWorker(made: Deployed): Promise<VersionRecord> {
  const wrangler = { name: 'nightly', main: 'index.ts', compatibility_date: '2026-01-01' }
  const shipped = await ship({
    files: {
      'wrangler.jsonc': JSON.stringify({ ...wrangler, triggers: { crons: ['* * * * *'] } }),
      'index.ts': `export default {
        scheduled(controller) {
          if (controller.cron === 'bad') throw new TypeError('no luck')
          console.log('fired ' + controller.cron + ' ' + controller.scheduledTime)
        },
      }`,
    },
  })
  open.push(shipped)
  const record = await made.ship({
    files: { 'wrangler.json': await readFile(join(shipped.directory, 'wrangler.json'), 'utf8') },
    config: { provider: 'workers', options: shipped.config.options },
  })
  await cp(shipped.directory, join(made.directory, 'artifacts', record.artifact), { recursive: true })
  made.runtime.add(record)
  return record
}

async function log(made: Deployed, { name }: FunctionKey): Promise<string> {
  let text = ''
  for await (const line of made.runtime.logs.read({ function: name })) text += `${line.text}\n`
  return text
}

describe('a version that is run with an event', () => {
  test('a Lambda is opened and started for it, and ends as after a request', async () => {
    const made = await start()
    const record = await made.ship({
      files: { 'index.mjs': 'export const handler = async (event) => ({ got: event.job })' },
      config: { options: { handler: 'index.handler', built: true } },
    })
    made.runtime.add(record)
    const { payload } = await made.runtime.run(record, { event: { job: 'bill' } }, CONTEXT)
    expect(JSON.parse(Buffer.from(payload).toString())).toEqual({ got: 'bill' })
    await expect.poll(() => made.runtime.status(record)?.state, { timeout: 5_000 }).toBe('idle')
  })

  test('a Worker runs its scheduled handler on an instance that is busy meanwhile', async () => {
    const made = await start()
    const record = await addWorker(made)
    const event = (cron: string) => ({ source: 'workers:cron', event: { cron, scheduledTime: 60_000 } })
    const result = await made.runtime.run(record, event('* * * * *'), CONTEXT)
    expect(result.functionError).toBeUndefined()
    const failed = await made.runtime.run(record, event('bad'), CONTEXT)
    expect(failed.functionError).toBe('Unhandled')
    await expect.poll(() => log(made, record)).toContain('fired * * * * * 60000')
    await expect.poll(() => log(made, record)).toContain('no luck')
    await expect.poll(() => made.runtime.status(record)?.state, { timeout: 5_000 }).toBe('idle')
  }, 30_000)

  test('one that is stopped is not run', async () => {
    const made = await start()
    const record = await made.ship({
      files: { 'index.mjs': '' },
      config: { options: { handler: 'index.handler' } },
    })
    made.runtime.add(record)
    await made.runtime.stop(record)
    await expect(made.runtime.run(record, { event: {} }, CONTEXT)).rejects.toThrow('is stopped')
  })
})
