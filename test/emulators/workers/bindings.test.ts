import { afterAll, beforeAll, expect, test } from 'vitest'

import type { Served } from '../conformance.ts'
import { serveWorker } from './serve.ts'

let served: Served

beforeAll(async () => {
  served = await serveWorker({
    fixture: 'bindings',
    files: { '.dev.vars': 'TOKEN="from .dev.vars"\nONLY_SECRET=s3cret\n', '.env': 'TOKEN=from .env\n' },
  })
}, 20_000)
afterAll(async () => served?.[Symbol.asyncDispose]())

async function json(path: string): Promise<unknown> {
  const { status, body } = await served.ask(path)
  expect(`${status} ${body.toString()}`).toMatch(/^200 /)
  return JSON.parse(body.toString())
}

test('vars keep their types, and secrets of .dev.vars win over vars and .env', async () => {
  expect(await json('/vars')).toEqual(['hello', { deep: [1, 2] }, 'from .dev.vars', 's3cret'])
})

test('KV, R2, D1 and the cache store and return', async () => {
  await json('/kv/put')
  expect(await json('/kv')).toBe('kept')
  expect(await json('/r2')).toBe('object')
  expect(await json('/d1')).toBe(7)
  expect(await json('/cache')).toBe('cached')
})

test('a Durable Object counts on over a reload, because its storage is kept', async () => {
  expect(await json('/counter')).toBe(1)
  expect(await json('/counter')).toBe(2)
  await served.rebuild()
  expect(await json('/counter')).toBe(3)
  expect(await json('/kv')).toBe('kept')
})

test('a queue hands its messages to the consumer', async () => {
  await json('/queue/send')
  await expect.poll(() => json('/queue'), { timeout: 5000 }).toBe('[{"n":1}]')
})

test('a workflow runs its steps', async () => {
  expect(await json('/flow/start')).toBe('one')
  await expect.poll(() => json('/flow'), { timeout: 5000 }).toBe(42)
})

test('rate limits, analytics, version metadata and entrypoints of the worker itself are there', async () => {
  expect([await json('/limit'), await json('/limit'), await json('/limit')]).toEqual([true, true, false])
  expect(await json('/events')).toBe(null)
  expect(await json('/version')).toBe('string')
  expect(await json('/self')).toBe(5)
})

test('text and wasm are modules, and nodejs_compat has node modules by both names', async () => {
  expect(await json('/modules')).toEqual(['from a text module', 42])
  expect(await json('/node')).toEqual(['9dd4e461268c8034f5c8564e155c67a6', '6869'])
})

test('assets are served in front of the worker, with their redirects and fields', async () => {
  const page = await served.ask('/page')
  expect(page.body.toString()).toBe('<h1>page</h1>\n')
  expect(page.headers['x-page']).toBe('yes')
  const old = await served.ask('/old')
  expect([old.status, old.headers.location]).toEqual([302, '/page'])
  expect((await served.ask('/nothing')).body.toString()).toBe('no such route')
})

test('a binding that only the network has throws its reason, and is announced at the start', async () => {
  const warning = served.lines.find(({ text }) => text.includes('AI'))
  expect(warning?.text).toContain('the binding AI is not available here')
  expect((await served.ask('/ai')).status).toBe(500)
  await expect
    .poll(() => served.faults.map(({ message }) => message))
    .toEqual([expect.stringMatching(/^the binding AI is not available here: .* network$/)])
  expect(served.faults[0]?.stack).not.toContain('stub.mjs')
})
