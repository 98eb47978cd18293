import { describe, expect, test } from 'vitest'

import type { RequestContext } from '../../src/core/fetcher.ts'
import { pick } from '../../src/daemon/routing/split.ts'
import {
  ADA,
  ask,
  deploy,
  openFront,
  openTestControl,
  partOf,
  ROOT,
  type TestControl,
} from './control-harness.ts'

const HOST = 'hello.fn.test'

async function twoVersions(test_: TestControl): Promise<void> {
  await deploy(test_, [partOf('hello', await test_.artifact())])
  await deploy(test_, [partOf('hello', await test_.artifact())])
  await test_.control.rollback(ROOT, 'hello', 'live')
}

function withKey(key: string): RequestContext {
  return {
    raw: { method: 'GET', target: '/', fields: ['Flexi-Version-Key', key] },
  } as unknown as RequestContext
}

function withCookie(key: string): RequestContext {
  const fields = ['Cookie', `a=b; flexi-version-key=${key}`]
  return { raw: { method: 'GET', target: '/', fields } } as unknown as RequestContext
}

describe('an alias of two versions', () => {
  test('gives the second its share of the requests', async () => {
    await using test_ = await openTestControl()
    await using front = await openFront(test_)
    await twoVersions(test_)
    await test_.control.setAlias(ROOT, 'hello', 'live', {
      version: 'v1',
      second: { version: 'v2', weight: 0.5 },
    })
    const counts = { 'hello@v1': 0, 'hello@v2': 0 }
    for (let i = 0; i < 60; i++) counts[(await ask(front, HOST)).text as keyof typeof counts] += 1
    // 60 even draws give fewer than 8 of a kind once in 10^9.
    expect(counts['hello@v1']).toBeGreaterThan(8)
    expect(counts['hello@v2']).toBeGreaterThan(8)
    expect(counts['hello@v1'] + counts['hello@v2']).toBe(60)
  })

  test('with a weight of 0 or 1 leads to one of them alone', async () => {
    await using test_ = await openTestControl()
    await using front = await openFront(test_)
    await twoVersions(test_)
    for (const [weight, text] of [
      [0, 'hello@v1'],
      [1, 'hello@v2'],
    ] as const) {
      await test_.control.setAlias(ROOT, 'hello', 'live', {
        version: 'v1',
        second: { version: 'v2', weight },
      })
      for (let i = 0; i < 8; i++) expect((await ask(front, HOST)).text).toBe(text)
    }
  })

  test('keeps a client that names itself, by field or cookie, on one side', async () => {
    await using test_ = await openTestControl()
    await using front = await openFront(test_)
    await twoVersions(test_)
    await test_.control.setAlias(ROOT, 'hello', 'live', {
      version: 'v1',
      second: { version: 'v2', weight: 0.5 },
    })
    for (const key of ['ada', 'bob', 'eve']) {
      const fields = `Flexi-Version-Key: ${key}\r\n`
      const cookie = `Cookie: x=1; flexi-version-key=${key}\r\n`
      const first = (await ask(front, HOST, { fields })).text
      for (let i = 0; i < 5; i++) expect((await ask(front, HOST, { fields })).text).toBe(first)
      expect((await ask(front, HOST, { fields: cookie })).text).toBe(first)
    }
  })

  test('spreads keys by weight, and a weight that grows moves none back', () => {
    const split = (weight: number) => ({ first: 1, second: 2, weight, salt: 'hello@live' })
    const keys = Array.from({ length: 4_000 }, (_, i) => `client-${i}`)
    const side = (weight: number): number[] => keys.map((key) => pick(split(weight), withKey(key)))
    const [small, large] = [side(0.1), side(0.4)]
    const share = (sides: number[]): number => sides.filter((one) => one === 2).length / keys.length
    expect(share(small)).toBeCloseTo(0.1, 1)
    expect(share(large)).toBeCloseTo(0.4, 1)
    expect(small.filter((one, i) => one === 2 && large[i] === 1)).toEqual([])
    expect(keys.map((key) => pick(split(0.4), withCookie(key)))).toEqual(large)
  })

  test('of another function puts other clients first', () => {
    const keys = Array.from({ length: 400 }, (_, i) => `client-${i}`)
    const chosen = (salt: string): string[] =>
      keys.filter((key) => pick({ first: 1, second: 2, weight: 0.1, salt }, withKey(key)) === 2)
    expect(chosen('a@live')).not.toEqual(chosen('b@live'))
  })

  test('is over with a rollback, and then leads where it led before', async () => {
    await using test_ = await openTestControl()
    await twoVersions(test_)
    await test_.control.setAlias(ROOT, 'hello', 'live', {
      version: 'v1',
      second: { version: 'v2', weight: 0.1 },
    })
    const record = await test_.control.rollback(ROOT, 'hello', 'live')
    expect(record).toMatchObject({ version: 'v1' })
    expect(record.second).toBeUndefined()
  })

  test('goes to its first version with a rollback, also when the second was live before', async () => {
    await using test_ = await openTestControl()
    await twoVersions(test_)
    const { control } = test_
    await control.setAlias(ROOT, 'hello', 'live', { version: 'v2' })
    for (const weight of [0.5, 0.1])
      await control.setAlias(ROOT, 'hello', 'live', { version: 'v1', second: { version: 'v2', weight } })
    const record = await control.rollback(ROOT, 'hello', 'live')
    expect(record).toMatchObject({ version: 'v1' })
    expect(record.second).toBeUndefined()
  })

  test('loses its second version when that is removed, and is gone with its first', async () => {
    await using test_ = await openTestControl()
    await using front = await openFront(test_)
    await twoVersions(test_)
    await test_.control.setAlias(ROOT, 'hello', 'live', {
      version: 'v1',
      second: { version: 'v2', weight: 1 },
    })
    await test_.control.remove(ROOT, { name: 'hello', version: 'v2' })
    expect((await ask(front, HOST)).text).toBe('hello@v1')
    await test_.control.remove(ROOT, { name: 'hello', version: 'v1' })
    expect((await ask(front, HOST)).status).toBe(403)
    expect(test_.store.functions.get('hello')).toBeUndefined()
  })
})

describe('an alias', () => {
  test('moves by hand, back with rollback, and remembers', async () => {
    await using test_ = await openTestControl()
    await using front = await openFront(test_)
    await twoVersions(test_)
    expect((await ask(front, HOST)).text).toBe('hello@v1')
    await test_.control.setAlias(ROOT, 'hello', 'live', { version: 'v2' })
    expect((await ask(front, HOST)).text).toBe('hello@v2')
    await test_.control.rollback(ROOT, 'hello', 'live')
    expect((await ask(front, HOST)).text).toBe('hello@v1')
    // Twice is where one began.
    await test_.control.rollback(ROOT, 'hello', 'live')
    expect((await ask(front, HOST)).text).toBe('hello@v2')
    await test_.control.rollback(ROOT, 'hello', 'live', 'v1')
    expect((await ask(front, HOST)).text).toBe('hello@v1')
    const history = test_.control.aliasHistory('hello', 'live')
    expect(history.map(({ version }) => version)).toEqual(['v2', 'v1', 'v2', 'v1', 'v2', 'v1'])
    await test_.control.setAlias(ROOT, 'hello', 'blue', { version: 'v2' })
    expect((await ask(front, `blue.${HOST}`)).text).toBe('hello@v2')
    await test_.control.removeAlias(ROOT, 'hello', 'blue')
    expect((await ask(front, `blue.${HOST}`)).status).toBe(403)
  })

  test('does not move to a version that does not start', async () => {
    await using test_ = await openTestControl()
    await using front = await openFront(test_)
    await twoVersions(test_)
    await test_.control.stop(ROOT, { name: 'hello', version: 'v2' })
    test_.runtime.onStart = () => Promise.reject(new Error('no'))
    await expect(test_.control.setAlias(ROOT, 'hello', 'live', { version: 'v2' })).rejects.toThrow('no')
    expect((await ask(front, HOST)).text).toBe('hello@v1')
    expect([...test_.runtime.known.keys()]).toEqual(['hello@v1'])
  })

  test('is refused what it cannot be', async () => {
    await using test_ = await openTestControl()
    await twoVersions(test_)
    const { control } = test_
    const set = (
      alias: string,
      to: Parameters<typeof control.setAlias>[3],
      caller = ROOT,
    ): Promise<unknown> => control.setAlias(caller, 'hello', alias, to)
    await expect(set('v2', { version: 'v1' })).rejects.toMatchObject({ code: 'FLEXI_CONFLICT' })
    await expect(set('A', { version: 'v1' })).rejects.toMatchObject({ code: 'FLEXI_USAGE' })
    await expect(set('a', { version: 'v3' })).rejects.toMatchObject({ code: 'FLEXI_FUNCTION_UNKNOWN' })
    const twice = { version: 'v1', second: { version: 'v1', weight: 0.5 } }
    await expect(set('a', twice)).rejects.toMatchObject({ code: 'FLEXI_USAGE' })
    const heavy = { version: 'v1', second: { version: 'v2', weight: 2 } }
    await expect(set('a', heavy)).rejects.toMatchObject({ code: 'FLEXI_USAGE' })
    await expect(set('a', { version: 'v1' }, ADA)).rejects.toMatchObject({ code: 'FLEXI_FORBIDDEN' })
    await expect(control.setAlias(ROOT, 'helo', 'a', { version: 'v1' })).rejects.toMatchObject({
      code: 'FLEXI_FUNCTION_UNKNOWN',
      hint: 'Did you mean hello?',
    })
    await expect(control.rollback(ROOT, 'hello', 'blue')).rejects.toMatchObject({ code: 'FLEXI_USAGE' })
    await expect(control.removeAlias(ROOT, 'hello', 'blue')).rejects.toMatchObject({
      code: 'FLEXI_FUNCTION_UNKNOWN',
    })
  })
})

describe('a version that no alias leads to any more', () => {
  test('stays warm for a while, and then runs nothing unasked', async () => {
    await using test_ = await openTestControl({ keepWarmMs: 30 })
    const warm = { instances: { min: 2 } }
    await deploy(test_, [partOf('hello', await test_.artifact(), warm)])
    await deploy(test_, [partOf('hello', await test_.artifact(), warm)])
    const minOf = (key: string): number | undefined =>
      test_.runtime.known.get(key)?.record.config.instances.min
    expect(minOf('hello@v1')).toBe(2)
    await expect.poll(() => minOf('hello@v1')).toBe(0)
    expect(minOf('hello@v2')).toBe(2)
    await test_.control.rollback(ROOT, 'hello', 'live')
    expect(minOf('hello@v1')).toBe(2)
    await expect.poll(() => minOf('hello@v2')).toBe(0)
  })

  test('is led to again in time: nothing of it ends', async () => {
    await using test_ = await openTestControl({ keepWarmMs: 60 })
    const warm = { instances: { min: 1 } }
    await deploy(test_, [partOf('hello', await test_.artifact(), warm)])
    await deploy(test_, [partOf('hello', await test_.artifact(), warm)])
    await test_.control.rollback(ROOT, 'hello', 'live')
    await expect
      .poll(() => test_.runtime.calls.filter((call) => call.startsWith('refresh')))
      .toEqual(['refresh hello@v2'])
  })

  test('is one of two at most: the third deployment lets go of the first version', async () => {
    await using test_ = await openTestControl()
    for (let i = 0; i < 4; i++) await deploy(test_, [partOf('hello', await test_.artifact())])
    const idle = (): unknown[] =>
      ['v1', 'v2', 'v3', 'v4'].map(
        (version) => test_.runtime.known.get(`hello@${version}`)?.record.config.instances.idleMs,
      )
    await expect.poll(idle).toEqual([10_000, undefined, undefined, undefined])
  })
})
