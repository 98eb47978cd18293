import { describe, expect, test } from 'vitest'

import { FlexiError } from '../../src/core/errors.ts'
import { EventStream } from '../../src/daemon/control/event-stream.ts'
import {
  ADA,
  ask,
  BOB,
  configOf,
  deploy,
  openFront,
  openTestControl,
  partOf,
  ROOT,
  type TestControl,
} from './control-harness.ts'

/** Starts of these functions wait until they are let go. */
function holdStarts(
  test_: TestControl,
  ...names: string[]
): { readonly release: () => void; readonly began: string[] } {
  const began: string[] = []
  let release: () => void = () => undefined
  const held = new Promise<void>((resolve) => (release = resolve))
  test_.runtime.onStart = async ({ name, version }) => {
    began.push(`${name}@${version}`)
    if (names.includes(name)) await held
  }
  return { began, release: () => release() }
}

describe('rights', () => {
  test('are those of the moment it begins, for a deployment that has waited', async () => {
    await using test_ = await openTestControl()
    const digest = await test_.artifact()
    const { began, release } = holdStarts(test_, 'slow')
    const first = deploy(test_, [partOf('slow', digest)], { project: 'bobs', caller: BOB })
    await expect.poll(() => began).toEqual(['slow@v1'])
    const second = deploy(test_, [partOf('hello', digest)], { project: 'bobs', caller: BOB })
    await deploy(test_, [partOf('hello', await test_.artifact())], { project: 'adas', caller: ADA })
    const { version } = test_.store.aliases.get('hello', 'live') ?? {}
    release()
    expect((await first).last).toMatchObject({ event: 'done' })
    expect((await second).last).toMatchObject({ event: 'failed', code: 'FLEXI_FORBIDDEN' })
    expect(test_.store.aliases.get('hello', 'live')?.version).toBe(version)
    // Nothing of it ran: it would have had the secrets of the other.
    expect(began).toEqual(['slow@v1', `hello@${version}`])
    expect(test_.control.audit({ limit: 1 })).toMatchObject([{ action: 'deploy', user: 'bob' }])
  })

  test('to a name that two projects take at once go to one of them', async () => {
    await using test_ = await openTestControl()
    const digests = [await test_.artifact(), await test_.artifact()]
    const both = await Promise.all(
      digests.map((digest, i) => deploy(test_, [partOf('hello', digest)], { project: `p${i}` })),
    )
    expect(both.filter(({ last }) => last?.event === 'done')).toHaveLength(1)
    expect(both.find(({ last }) => last?.event === 'failed')?.last).toMatchObject({ code: 'FLEXI_CONFLICT' })
    expect(test_.store.versions.of('hello')).toHaveLength(1)
    expect(test_.runtime.known.size).toBe(1)
  })

  test('end with the function: one that was removed and made again is another', async () => {
    await using test_ = await openTestControl()
    const digest = await test_.artifact()
    const { began, release } = holdStarts(test_, 'slow')
    const parts = [{ ...partOf('hello', digest), version: 'bobs' }, partOf('slow', digest)]
    const deployed = deploy(test_, parts, { project: 'bobs', caller: BOB })
    await expect.poll(() => began).toContain('slow@v1')
    await test_.control.removeFunction(ROOT, 'hello')
    await deploy(test_, [partOf('hello', digest)], { project: 'adas', caller: ADA })
    release()
    expect((await deployed).last).toMatchObject({ event: 'failed', code: 'FLEXI_CONFLICT' })
    expect(test_.store.functions.get('hello')).toMatchObject({ project: 'adas', group: 'singular:ada' })
    expect(test_.store.versions.of('hello')).toHaveLength(1)
  })
})

describe('names', () => {
  test('a deployment does not become a version that an alias was called meanwhile', async () => {
    await using test_ = await openTestControl()
    const digest = await test_.artifact()
    await deploy(test_, [partOf('hello', digest)])
    const { began, release } = holdStarts(test_, 'hello')
    const deployed = deploy(test_, [partOf('hello', await test_.artifact())])
    await expect.poll(() => began).toEqual(['hello@v2'])
    await test_.control.setAlias(ROOT, 'hello', 'v2', { version: 'v1' })
    release()
    expect((await deployed).last).toMatchObject({ event: 'failed', code: 'FLEXI_CONFLICT' })
    expect(test_.store.versions.of('hello')).toHaveLength(1)
  })
})

describe('what was brought up for nothing', () => {
  const warm = { instances: { min: 1 } }

  test('by a deployment that failed does not go on unasked', async () => {
    await using test_ = await openTestControl({ keepWarmMs: 30 })
    const digest = await test_.artifact()
    await deploy(test_, [partOf('hello', digest, warm)])
    await deploy(test_, [partOf('hello', await test_.artifact(), warm)])
    const min = (): number | undefined => test_.runtime.known.get('hello@v1')?.record.config.instances.min
    await expect.poll(min).toBe(0)
    const mins: unknown[] = []
    test_.runtime.onStart = ({ name }) => {
      if (name === 'other') mins.push(min())
      return Promise.resolve()
    }
    const broken = partOf('other', digest, { options: { fail: 'no' } })
    await deploy(test_, [partOf('hello', digest, warm), broken])
    expect(mins).toEqual([1])
    await expect.poll(min).toBe(0)
  })

  test('by a canary whose other version does not start is stopped again', async () => {
    await using test_ = await openTestControl()
    await using front = await openFront(test_)
    for (let i = 0; i < 3; i++) await deploy(test_, [partOf('hello', await test_.artifact())])
    for (const version of ['v1', 'v2']) await test_.control.stop(ROOT, { name: 'hello', version })
    test_.runtime.onStart = async ({ version }) => {
      await new Promise((resolve) => setImmediate(resolve))
      if (version === 'v2') throw new FlexiError('FLEXI_DEPLOY', 'no')
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    const canary = { version: 'v1', second: { version: 'v2', weight: 0.5 } }
    await expect(test_.control.setAlias(ROOT, 'hello', 'live', canary)).rejects.toThrow('no')
    expect([...test_.runtime.known.keys()]).toEqual(['hello@v3'])
    expect((await ask(front, 'v1.hello.fn.test')).status).toBe(403)
    expect((await ask(front, 'hello.fn.test')).text).toBe('hello@v3')
  })
})

describe('an override', () => {
  test('to a provider that does not start leaves what served', async () => {
    await using test_ = await openTestControl()
    await using front = await openFront(test_)
    await deploy(test_, [partOf('hello', await test_.artifact())])
    const next = configOf({ provider: 'process', options: { fail: 'no' } })
    const hello = { name: 'hello', version: 'v1' }
    await expect(test_.control.override(ROOT, hello, next)).rejects.toThrow('no')
    expect((await ask(front, 'hello.fn.test')).text).toBe('hello@v1')
    expect(test_.control.status(hello)).toMatchObject({ state: 'running' })
    expect(test_.runtime.known.get('hello@v1')?.record.config.provider).toBe('native')
  })

  test('of a version that nothing leads to does not keep it warm for good', async () => {
    await using test_ = await openTestControl({ keepWarmMs: 30 })
    const warm = { instances: { min: 1 } }
    for (let i = 0; i < 2; i++) await deploy(test_, [partOf('hello', await test_.artifact(), warm)])
    const min = (): number | undefined => test_.runtime.known.get('hello@v1')?.record.config.instances.min
    await expect.poll(min).toBe(0)
    await test_.control.override(ROOT, { name: 'hello', version: 'v1' }, configOf({ ...warm, timeoutMs: 5 }))
    await expect.poll(min).toBe(0)
    expect(test_.runtime.known.get('hello@v1')?.record.config.timeoutMs).toBe(5)
  })
})

describe('a reader that does not read', () => {
  test('costs so many events, and so many characters; the newest are kept', async () => {
    const events = new EventStream<string>((event) => event.length)
    for (let i = 0; i < 100; i++) events.push(`${i}`.padEnd(256 * 1024))
    events.push('end')
    events.end()
    const read: string[] = []
    for await (const event of events) read.push(event.trim())
    expect(read).toHaveLength(16)
    expect(read.slice(-2)).toEqual(['99', 'end'])
  })
})

describe('a deployment that cannot even fail', () => {
  test('ends, and is told in the log of the daemon, which goes on', async () => {
    await using test_ = await openTestControl()
    const digest = await test_.artifact()
    test_.runtime.onStart = () => {
      Reflect.set(test_.store.aliases, 'of', () => {
        throw new Error('the disk fails')
      })
      return Promise.reject(new Error('no'))
    }
    await deploy(test_, [partOf('hello', digest)])
    const told = { event: 'deployment.bug', level: 'error' }
    await expect.poll(() => test_.log).toContainEqual(expect.objectContaining(told))
  })
})

describe('two processes on one store, while one takes over', () => {
  test('the old one changes nothing any more, and says so; the new one does', async () => {
    await using old = await openTestControl()
    await deploy(old, [partOf('hello', await old.artifact())])
    const { began, release } = holdStarts(old, 'hello')
    const under = deploy(old, [partOf('hello', await old.artifact())])
    await expect.poll(() => began).toEqual(['hello@v2'])
    const next = await openTestControl({ directory: old.directory })
    const refused = { code: 'FLEXI_SHUTTING_DOWN' }
    await expect(old.control.setAlias(ROOT, 'hello', 'next', { version: 'v1' })).rejects.toMatchObject(
      refused,
    )
    await expect(old.control.stop(ROOT, { name: 'hello', version: 'v1' })).rejects.toMatchObject(refused)
    release()
    expect((await under).last).toMatchObject({ event: 'failed', ...refused })
    expect(next.store.aliases.of('hello')).toMatchObject([{ alias: 'live', version: 'v1' }])
    expect((await deploy(next, [partOf('hello', await next.artifact())])).last).toMatchObject({
      event: 'done',
    })
    expect(next.store.aliases.get('hello', 'live')?.version).toBe('v3')
    await next.control[Symbol.asyncDispose]()
    next.store[Symbol.dispose]()
  })

  test('a deployment under way is given up at once, and not when it has started', async () => {
    const retiring = new AbortController()
    await using old = await openTestControl({ retiring: retiring.signal })
    old.runtime.onStart = (_record, options) =>
      new Promise((_, reject) => {
        options?.signal?.addEventListener('abort', () => reject(options.signal?.reason))
        retiring.abort(new FlexiError('FLEXI_SHUTTING_DOWN', 'another one serves'))
      })
    const { last } = await deploy(old, [partOf('hello', await old.artifact())])
    expect(last).toMatchObject({ event: 'failed', code: 'FLEXI_SHUTTING_DOWN' })
    expect(old.store.functions.all()).toEqual([])
  })

  test('one that has ended before it could serve holds nothing back', async () => {
    await using old = await openTestControl()
    old.store.settings.set('changed by', '999999999 1 ab')
    const { last } = await deploy(old, [partOf('hello', await old.artifact())])
    expect(last).toMatchObject({ event: 'done' })
  })
})
