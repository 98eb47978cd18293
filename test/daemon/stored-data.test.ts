import { cp, readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { afterEach, expect, test } from 'vitest'

import type { VersionRecord } from '../../src/daemon/model.ts'
import { ship } from '../emulators/workers/deployed.ts'
import { Deployed } from './runtime-fixture.ts'

const open: AsyncDisposable[] = []
afterEach(async () => {
  for (const resource of open.splice(0).toReversed()) await resource[Symbol.asyncDispose]()
})

const WRANGLER = JSON.stringify({
  name: 'worker',
  main: 'index.ts',
  compatibility_date: '2026-01-01',
  kv_namespaces: [{ binding: 'KEPT', id: 'kept' }],
})

/** Appends its version to what is stored, and answers all of it. */
function program(version: string): string {
  return `export default { async fetch(_request, env) {
  const kept = ((await env.KEPT.get('who')) ?? '') + '${version} '
  await env.KEPT.put('who', kept)
  return new Response(kept)
} }`
}

async function add(made: Deployed, version: string): Promise<VersionRecord> {
  const shipped = await ship({ files: { 'wrangler.jsonc': WRANGLER, 'index.ts': program(version) } })
  open.push(shipped)
  const record = await made.ship({
    version,
    files: { 'wrangler.json': await readFile(join(shipped.directory, 'wrangler.json'), 'utf8') },
    config: { provider: 'workers', options: shipped.config.options },
  })
  await cp(shipped.directory, join(made.directory, 'artifacts', record.artifact), { recursive: true })
  made.runtime.add(record)
  return record
}

test('two versions of a worker with stored data see the same, one at a time, and no request fails', async () => {
  const made = await Deployed.open()
  open.push(made)
  const [one, two] = [await add(made, 'v1'), await add(made, 'v2')]
  expect(await made.ask(one)).toEqual({ status: 200, text: 'v1 ' })
  // As a deployment does: the new version starts while the old one is asked.
  const started = made.runtime.start(two)
  const early = made.ask(one)
  await started
  expect((await early).status).toBe(200)
  const answers = await Promise.all([made.ask(two), made.ask(one), made.ask(two)])
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200])
  const last = (await made.ask(one)).text
  expect(last.split(' ').filter((version) => version === 'v1')).toHaveLength(4)
  const running = made.runtime.statuses().filter(({ state }) => state === 'running')
  expect(running.map(({ version }) => version)).toEqual(['v1'])
  await made.runtime.stop(one)
  expect((await made.ask(two)).text).toMatch(/^v1 .*v2 $/)
}, 40_000)
