import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'

import { describe, expect, test } from 'vitest'

import type { VersionConfig } from '../../src/daemon/model.ts'
import {
  ADA,
  ask,
  BOB,
  callerOf,
  configOf,
  deploy,
  openFront,
  openTestControl,
  partOf,
  ROOT,
  type TestControl,
} from './control-harness.ts'

const A0 = { name: 'test', version: 'a0' }
const HOST = 'a0.test.fn.test'

async function upload(test_: TestControl, key = A0, caller = ADA): Promise<void> {
  await test_.artifact()
  await test_.control.upload(caller, key, createReadStream(join(test_.directory, 'packed.tgz')))
}

async function started(test_: TestControl, key = A0): Promise<void> {
  await upload(test_, key)
  await test_.control.override(ADA, key, configOf({ group: 'singular:ada' }))
  await test_.control.start(ADA, key)
}

describe('the verbs of YFASS', () => {
  test('upload registers a version of its uploader’s, once', async () => {
    await using test_ = await openTestControl()
    await upload(test_)
    const { version, aliases } = test_.control.get(A0)
    expect(version).toMatchObject({
      ...A0,
      createdBy: 'ada',
      wanted: 'stopped',
      config: { group: 'singular:ada', addr: '127.0.0.1:0', sandbox: { command: '', mount_procfs: true } },
    })
    expect(aliases).toEqual([])
    await expect(upload(test_)).rejects.toMatchObject({ code: 'FLEXI_CONFLICT' })
    await expect(upload(test_, { name: 'test', version: 'a1' }, BOB)).rejects.toMatchObject({
      code: 'FLEXI_FORBIDDEN',
    })
    expect(test_.control.audit({ limit: 3 }).map(({ action, outcome }) => `${action} ${outcome}`)).toEqual([
      'version.upload refused',
      'version.upload failed',
      'version.upload done',
    ])
  })

  test('upload of what is no archive registers nothing, and the name stays free', async () => {
    await using test_ = await openTestControl()
    await expect(test_.control.upload(ADA, A0, Readable.from(['no archive']))).rejects.toMatchObject({
      code: 'FLEXI_UPLOAD',
    })
    expect(test_.store.functions.all()).toEqual([])
    await upload(test_)
  })

  test('two uploads of one version at once: one is registered', async () => {
    await using test_ = await openTestControl()
    await test_.artifact()
    const file = join(test_.directory, 'packed.tgz')
    const both = await Promise.allSettled(
      [1, 2].map(() => test_.control.upload(ADA, A0, createReadStream(file))),
    )
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
  })

  test('override replaces the configuration, and get gives it back as it was sent', async () => {
    await using test_ = await openTestControl()
    await upload(test_)
    const config: VersionConfig = configOf({
      group: 'custom:team',
      addr: '127.0.0.1:4000',
      environment: { A: 'b' },
      limits: { memoryMb: 64 },
    })
    await test_.control.override(ADA, A0, config)
    expect(test_.control.get(A0).version.config).toEqual(config)
    const open = configOf()
    await test_.control.override(callerOf('eve', ...BOB.groups, 'custom:team'), A0, open)
    expect(test_.control.get(A0).version.config).toEqual(open)
    // Without a group everybody with the permission may.
    await test_.control.override(BOB, A0, config)
    await expect(test_.control.override(BOB, A0, open)).rejects.toMatchObject({ code: 'FLEXI_FORBIDDEN' })
    const host = configOf({ network: 'host' })
    await expect(test_.control.override(ROOT, A0, host)).resolves.toBeUndefined()
    await expect(
      test_.control.override(ADA, A0, configOf({ network: 'host', timeoutMs: 1 })),
    ).rejects.toMatchObject({
      code: 'FLEXI_FORBIDDEN',
    })
  })

  test('override takes no provider that nobody has, nor the routes of a project', async () => {
    await using test_ = await openTestControl()
    await upload(test_)
    for (const provider of ['cobol', 'routes', 'toString'])
      await expect(test_.control.override(ADA, A0, configOf({ provider }))).rejects.toMatchObject({
        code: 'FLEXI_USAGE',
      })
  })

  test('override of what runs exchanges it, and changes nothing when that does not come up', async () => {
    await using test_ = await openTestControl()
    await started(test_)
    await test_.control.override(ADA, A0, configOf({ group: 'singular:ada', timeoutMs: 7 }))
    expect(test_.runtime.known.get('test@a0')?.record.config.timeoutMs).toBe(7)
    test_.runtime.onRefresh = () => Promise.reject(new Error('no'))
    await expect(test_.control.override(ADA, A0, configOf({ timeoutMs: 8 }))).rejects.toThrow('no')
    expect(test_.control.get(A0).version.config).toMatchObject({ timeoutMs: 7, group: 'singular:ada' })
  })

  test('start, status and stop: what runs cannot start again, what does not cannot stop', async () => {
    await using test_ = await openTestControl()
    await using front = await openFront(test_)
    expect(test_.control.status(A0)).toBeUndefined()
    await upload(test_)
    await test_.control.override(ADA, A0, configOf({ group: 'singular:ada' }))
    expect(test_.control.status(A0)?.state).toBe('stopped')
    await expect(test_.control.stop(ADA, A0)).rejects.toMatchObject({ code: 'FLEXI_FUNCTION_UNKNOWN' })
    expect((await ask(front, HOST)).status).toBe(403)
    const twice = await Promise.allSettled([test_.control.start(ADA, A0), test_.control.start(ADA, A0)])
    expect(twice.map(({ status }) => status)).toEqual(['fulfilled', 'rejected'])
    expect(test_.runtime.calls.filter((call) => call.startsWith('start'))).toEqual(['start test@a0'])
    expect(test_.control.status(A0)?.state).toBe('running')
    expect((await ask(front, HOST)).text).toBe('test@a0')
    await expect(test_.control.start(ADA, A0)).rejects.toMatchObject({ code: 'FLEXI_CONFLICT' })
    await expect(test_.control.stop(BOB, A0)).rejects.toMatchObject({ code: 'FLEXI_FORBIDDEN' })
    await test_.control.stop(ADA, A0)
    expect((await ask(front, HOST)).status).toBe(403)
    await expect(test_.control.stop(ADA, A0)).rejects.toMatchObject({ code: 'FLEXI_FUNCTION_UNKNOWN' })
    expect([...test_.runtime.known.keys()]).toEqual([])
  })

  test('a version that crashed starts again without being stopped, and one that fails to start is stopped', async () => {
    await using test_ = await openTestControl()
    await started(test_)
    const entry = test_.runtime.known.get('test@a0')
    if (entry !== undefined) entry.state = 'crashed'
    expect(test_.control.status(A0)?.state).toBe('crashed')
    await test_.control.start(ADA, A0)
    expect(test_.control.status(A0)?.state).toBe('running')
    await test_.control.stop(ADA, A0)
    test_.runtime.onStart = () => Promise.reject(new Error('no'))
    await expect(test_.control.start(ADA, A0)).rejects.toThrow('no')
    expect(test_.control.status(A0)?.state).toBe('stopped')
    expect([...test_.runtime.known.keys()]).toEqual([])
  })

  test('alias: one name a version, found at once, also as a reference', async () => {
    await using test_ = await openTestControl()
    await using front = await openFront(test_)
    const a1 = { name: 'test', version: 'a1' }
    await started(test_)
    await started(test_, a1)
    await test_.control.alias(ADA, A0, 'stable')
    expect((await ask(front, 'stable.test.fn.test')).text).toBe('test@a0')
    await test_.control.alias(ADA, a1, 'stable')
    expect((await ask(front, 'stable.test.fn.test')).text).toBe('test@a1')
    expect(test_.control.get({ name: 'test', version: 'stable' }).version.version).toBe('a1')
    await test_.control.alias(ADA, a1, 'newest')
    expect(test_.control.get(a1).aliases).toEqual(['newest'])
    expect((await ask(front, 'stable.test.fn.test')).status).toBe(403)
    await test_.control.alias(ADA, a1, null)
    expect(test_.control.get(a1).aliases).toEqual([])
    expect((await ask(front, 'newest.test.fn.test')).status).toBe(403)
  })

  test('alias of a version that does not run waits for its start', async () => {
    await using test_ = await openTestControl()
    await using front = await openFront(test_)
    await upload(test_)
    await test_.control.override(ADA, A0, configOf({ group: 'singular:ada' }))
    await test_.control.alias(ADA, A0, 'live')
    expect((await ask(front, 'test.fn.test')).status).toBe(403)
    await test_.control.start(ADA, { name: 'test', version: 'live' })
    expect((await ask(front, 'test.fn.test')).text).toBe('test@a0')
  })

  test('remove of a version that runs stops it first, and nothing leads there', async () => {
    await using test_ = await openTestControl()
    await using front = await openFront(test_)
    await started(test_)
    await test_.control.alias(ADA, A0, 'live')
    await test_.control.remove(ADA, A0)
    expect((await ask(front, HOST)).status).toBe(403)
    expect((await ask(front, 'test.fn.test')).status).toBe(403)
    expect([...test_.runtime.known.keys()]).toEqual([])
    expect(() => test_.control.get(A0)).toThrow(/no function is called test/)
    // The name is free for anybody.
    await upload(test_, A0, BOB)
  })
})

describe('functions', () => {
  test('are listed by project, with what answers and where', async () => {
    await using test_ = await openTestControl()
    await deploy(test_, [partOf('hello', await test_.artifact())])
    await deploy(test_, [partOf('hello', await test_.artifact())])
    await deploy(test_, [partOf('other', await test_.artifact())], { project: 'else' })
    expect(test_.control.functions({ project: 'shop' })).toMatchObject([
      {
        name: 'hello',
        project: 'shop',
        provider: 'native',
        versions: 2,
        state: 'running',
        url: 'http://hello.fn.test:8080/',
        aliases: [{ alias: 'live', version: 'v2' }],
      },
    ])
    expect(test_.control.functions()).toHaveLength(2)
    const { statuses } = test_.control.function('hello')
    expect(statuses.map(({ version, aliases }) => [version, aliases])).toEqual([
      ['v2', ['live']],
      ['v1', []],
    ])
    expect(() => test_.control.function('helo')).toThrow(/no function is called helo/)
    expect(test_.control.info()).toMatchObject({
      functions: 2,
      domain: 'fn.test',
      url: 'http://fn.test:8080',
    })
  })

  test('belong to a group, which its members may change', async () => {
    await using test_ = await openTestControl()
    await deploy(test_, [partOf('hello', await test_.artifact())], { caller: ADA })
    await expect(test_.control.setGroup(BOB, 'hello', null)).rejects.toMatchObject({
      code: 'FLEXI_FORBIDDEN',
    })
    await test_.control.setGroup(ADA, 'hello', 'singular:bob')
    await expect(test_.control.removeFunction(ADA, 'hello')).rejects.toMatchObject({
      code: 'FLEXI_FORBIDDEN',
    })
    await test_.control.removeFunction(BOB, 'hello')
    expect(test_.store.functions.all()).toEqual([])
  })

  test('that are removed are counted from one again', async () => {
    await using test_ = await openTestControl()
    await deploy(test_, [partOf('hello', await test_.artifact())])
    await test_.control.removeFunction(ROOT, 'hello')
    const { last } = await deploy(test_, [partOf('hello', await test_.artifact())])
    expect(last).toMatchObject({ functions: [{ version: 'v1' }] })
  })
})

describe('variables', () => {
  test('reach what runs, before the function is there as well, and no secret is told', async () => {
    await using test_ = await openTestControl()
    await test_.control.setVariables(ADA, 'hello', { secret: true, values: { KEY: 's3cret' } })
    await deploy(test_, [partOf('hello', await test_.artifact())], { caller: ADA })
    await test_.control.setVariables(ADA, 'hello', { secret: false, values: { COLOR: 'red', NONE: null } })
    expect(test_.runtime.calls.at(-1)).toBe('refresh hello@v1')
    expect(test_.store.variables.environment('hello')).toEqual({ KEY: 's3cret', COLOR: 'red' })
    const told = JSON.stringify([test_.control.variables('hello'), test_.control.audit({ limit: 99 })])
    expect(told).not.toContain('s3cret')
    expect(JSON.stringify(test_.control.audit({ limit: 99 }))).not.toContain('red')
    await expect(
      test_.control.setVariables(BOB, 'hello', { secret: false, values: { A: 'b' } }),
    ).rejects.toMatchObject({ code: 'FLEXI_FORBIDDEN' })
    expect(() => test_.control.variables('nobody')).toThrow(/no function is called nobody/)
  })

  test('with which a function does not come up are as before', async () => {
    await using test_ = await openTestControl()
    await deploy(test_, [partOf('hello', await test_.artifact())])
    await test_.control.setVariables(ROOT, 'hello', { secret: true, values: { KEY: 'good', OLD: 'x' } })
    test_.runtime.onRefresh = () =>
      test_.store.variables.environment('hello')['KEY'] === 'good'
        ? Promise.resolve()
        : Promise.reject(new Error('bad key'))
    const bad = { secret: false, values: { KEY: 'bad', OLD: null, NEW: 'y' } }
    await expect(test_.control.setVariables(ROOT, 'hello', bad)).rejects.toMatchObject({
      code: 'FLEXI_DEPLOY',
    })
    expect(test_.store.variables.environment('hello')).toEqual({ KEY: 'good', OLD: 'x' })
    expect(test_.control.variables('hello').every(({ secret }) => secret)).toBe(true)
  })

  test('that break a version nobody is led to do not keep others from them', async () => {
    await using test_ = await openTestControl()
    await deploy(test_, [partOf('hello', await test_.artifact())])
    await deploy(test_, [partOf('hello', await test_.artifact())])
    test_.runtime.onRefresh = ({ version }) =>
      version === 'v1' ? Promise.reject(new Error('old')) : Promise.resolve()
    await test_.control.setVariables(ROOT, 'hello', { secret: false, values: { A: 'b' } })
    expect(test_.store.variables.environment('hello')).toEqual({ A: 'b' })
  })
})

describe('what is durable', () => {
  test('is everything that was answered, in its own words, after a crash', async () => {
    await using before = await openTestControl()
    await started(before)
    await before.control.alias(ADA, A0, 'live')
    await upload(before, { name: 'test', version: 'a1' })
    await using after = await before.reopened()
    await using front = await openFront(after)
    expect((await ask(front, 'test.fn.test')).text).toBe('test@a0')
    expect(after.control.status({ name: 'test', version: 'a1' })?.state).toBe('stopped')
    expect((await ask(front, 'a1.test.fn.test')).status).toBe(403)
    expect(after.control.get(A0).version.config.group).toBe('singular:ada')
    expect(after.store.audit.verify()).toEqual({ intact: true })
  })
})
