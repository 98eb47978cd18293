import { expect, test } from 'vitest'

import { FlexiError } from '../../src/core/errors.ts'
import type { Code, InvokeContext, InvokeResult } from '../../src/core/function.ts'
import { silentLogger } from '../../src/core/log.ts'
import type { Revision } from '../../src/core/place.ts'
import { Pool } from '../../src/instances/pool.ts'

interface Held {
  readonly id: string
  finish(result?: Partial<InvokeResult>): void
  fail(error: Error): void
}

/** One instance of a provider whose invocations end when the test says so. */
async function opened(options: Partial<Code> = {}): Promise<{ readonly pool: Pool; readonly held: Held[] }> {
  const held: Held[] = []
  const invoke = (_payload: Uint8Array, { id }: InvokeContext): Promise<InvokeResult> =>
    new Promise((resolve, reject) => {
      const finish = (): void => resolve({ payload: Buffer.from(id), contentType: 'text/plain', log: '' })
      held.push({ id, finish, fail: reject })
    })
  const code: Code = {
    revision: 'r1' as Revision,
    concurrency: 1,
    instancesMax: 1,
    exclusive: false,
    start: () =>
      Promise.resolve({
        handle: () => Promise.resolve(),
        invoke,
        closed: new Promise<undefined>(() => undefined),
        [Symbol.asyncDispose]: () => Promise.resolve(),
      }),
    ...options,
  }
  const pool = new Pool({ name: 'f', log: silentLogger })
  await pool.replace(code)
  return { pool, held }
}

function invocation(id: string, more: Partial<InvokeContext> = {}): InvokeContext {
  return { id, deadline: Infinity, signal: new AbortController().signal, ...more }
}

test('invocations that wait are served in the order in which they came, so that none waits for ever', async () => {
  const { pool, held } = await opened()
  const answers = ['a', 'b', 'c', 'd'].map((id) => pool.invoke(new Uint8Array(), invocation(id)))
  for (let count = 0; count < answers.length; count += 1) {
    await expect.poll(() => held.length).toBe(count + 1)
    held[count]?.finish()
  }
  await Promise.all(answers)
  expect(held.map(({ id }) => id)).toEqual(['a', 'b', 'c', 'd'])
  await pool[Symbol.asyncDispose]()
})

test('an invocation that was handed over ahead and comes back is run when the instance is free', async () => {
  const { pool, held } = await opened({ ahead: true })
  const warm = pool.invoke(new Uint8Array(), invocation('warm', { unlogged: true }))
  held[0]?.finish()
  await warm
  const first = pool.invoke(new Uint8Array(), invocation('first', { unlogged: true }))
  const second = pool.invoke(new Uint8Array(), invocation('second', { unlogged: true }))
  expect(held.map(({ id }) => id)).toEqual(['warm', 'first', 'second'])
  held[2]?.fail(new FlexiError('FLEXI_NOT_STARTED', 'busy'))
  await expect.poll(() => pool.state().queued).toBe(1)
  held[1]?.finish()
  await first
  await expect.poll(() => held.length).toBe(4)
  held[3]?.finish()
  expect(Buffer.from((await second).payload).toString()).toBe('second')
  await pool[Symbol.asyncDispose]()
})

test('an invocation whose log is read is not handed over ahead, because its lines must be its own', async () => {
  const { pool, held } = await opened({ ahead: true })
  const warm = pool.invoke(new Uint8Array(), invocation('warm', { unlogged: true }))
  held[0]?.finish()
  await warm
  const first = pool.invoke(new Uint8Array(), invocation('first', { unlogged: true }))
  const logged = pool.invoke(new Uint8Array(), invocation('logged'))
  await expect.poll(() => pool.state().queued).toBe(1)
  expect(held.map(({ id }) => id)).toEqual(['warm', 'first'])
  held[1]?.finish()
  await first
  await expect.poll(() => held.length).toBe(3)
  held[2]?.finish()
  await logged
  await pool[Symbol.asyncDispose]()
})
