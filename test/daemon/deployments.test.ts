import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'

import { describe, expect, test } from 'vitest'

import { FlexiError } from '../../src/core/errors.ts'
import type { DeploymentRecord, Digest } from '../../src/daemon/model.ts'
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
} from './control-harness.ts'

describe('a deployment', () => {
  test('counts its versions, moves the alias, and tells each step and where it can be asked', async () => {
    await using test_ = await openTestControl()
    await using front = await openFront(test_)
    const { events, last } = await deploy(test_, [partOf('hello', await test_.artifact())])
    expect(events.filter(({ event }) => event === 'state')).toEqual(
      ['received', 'verified', 'unpacked', 'starting']
        .map((state): object => ({ event: 'state', state }))
        .concat([
          { event: 'state', state: 'ready', function: 'hello' },
          { event: 'state', state: 'ready' },
          { event: 'state', state: 'switched' },
        ]),
    )
    expect(last).toMatchObject({
      event: 'done',
      functions: [
        {
          name: 'hello',
          version: 'v1',
          changed: true,
          urls: ['http://hello.fn.test:8080/', 'http://v1.hello.fn.test:8080/'],
        },
      ],
    })
    await deploy(test_, [partOf('hello', await test_.artifact())])
    expect(await ask(front, 'hello.fn.test')).toEqual({ status: 200, text: 'hello@v2' })
    expect(await ask(front, 'v1.hello.fn.test')).toEqual({ status: 200, text: 'hello@v1' })
    expect(test_.control.deployments({ limit: 10 })).toMatchObject([
      { state: 'switched', keys: [{ name: 'hello', version: 'v2' }], by: 'root' },
      { state: 'switched', keys: [{ name: 'hello', version: 'v1' }] },
    ])
  })

  test('of the same content and configuration is the version that is there', async () => {
    await using test_ = await openTestControl()
    const digest = await test_.artifact()
    await deploy(test_, [partOf('hello', digest)])
    await deploy(test_, [partOf('hello', digest, { timeoutMs: 5 })])
    const { last } = await deploy(test_, [partOf('hello', digest, { group: 'custom:team' })])
    expect(last).toMatchObject({ event: 'done', functions: [{ version: 'v1', changed: false }] })
    expect(test_.store.aliases.get('hello', 'live')?.version).toBe('v1')
    expect(test_.store.versions.of('hello')).toHaveLength(2)
    // Again: nothing moves, so nothing is remembered.
    await deploy(test_, [partOf('hello', digest)])
    expect(test_.control.aliasHistory('hello', 'live')).toHaveLength(2)
  })

  test('that fails leaves the alias, the versions and the functions as they were, and shows what was printed', async () => {
    await using test_ = await openTestControl()
    await using front = await openFront(test_)
    await deploy(test_, [partOf('hello', await test_.artifact())])
    const { last } = await deploy(test_, [
      partOf('hello', await test_.artifact()),
      partOf('other', await test_.artifact(), { options: { fail: 'exit status 3' } }),
    ])
    expect(last).toMatchObject({
      event: 'failed',
      code: 'FLEXI_DEPLOY',
      message: 'exit status 3',
      function: 'other',
      log: ['about to fail'],
    })
    expect(await ask(front, 'hello.fn.test')).toEqual({ status: 200, text: 'hello@v1' })
    expect((await ask(front, 'v2.hello.fn.test')).status).toBe(403)
    expect(test_.store.functions.all().map(({ name }) => name)).toEqual(['hello'])
    expect([...test_.runtime.known.keys()]).toEqual(['hello@v1'])
    expect(test_.control.deployments({ limit: 1 })).toMatchObject([
      { state: 'failed', error: 'exit status 3' },
    ])
    expect(test_.control.audit({ limit: 1 })).toMatchObject([{ action: 'deploy', outcome: 'failed' }])
  })

  test('all parts appear in one step', async () => {
    await using test_ = await openTestControl()
    const seen: string[] = []
    const look = (): string =>
      ['one', 'two'].map((name) => test_.store.aliases.get(name, 'live')?.version ?? '-').join()
    await deploy(test_, [partOf('one', await test_.artifact()), partOf('two', await test_.artifact())])
    test_.runtime.onStart = () => {
      seen.push(look())
      return Promise.resolve()
    }
    await deploy(test_, [partOf('one', await test_.artifact()), partOf('two', await test_.artifact())])
    expect([...seen, look()]).toEqual(['v1,v1', 'v1,v1', 'v2,v2'])
  })

  test('waits for the one before it of the same project, and for no other', async () => {
    await using test_ = await openTestControl()
    const began: string[] = []
    let release: () => void = () => undefined
    const held = new Promise<void>((resolve) => (release = resolve))
    test_.runtime.onStart = async ({ name, version }) => {
      began.push(`${name}@${version}`)
      if (name === 'slow') await held
    }
    const digest = await test_.artifact()
    const first = deploy(test_, [partOf('slow', digest)])
    await expect.poll(() => began).toEqual(['slow@v1'])
    const second = deploy(test_, [partOf('hello', digest)])
    await deploy(test_, [partOf('free', digest)], { project: 'elsewhere' })
    expect(began).toEqual(['slow@v1', 'free@v1'])
    release()
    await Promise.all([first, second])
    expect(began).toEqual(['slow@v1', 'free@v1', 'hello@v1'])
  })

  test('that is given up before the switch changes nothing', async () => {
    await using test_ = await openTestControl()
    const controller = new AbortController()
    test_.runtime.onStart = async (_record, options) => {
      controller.abort()
      await new Promise((_, reject) => {
        options?.signal?.throwIfAborted()
        options?.signal?.addEventListener('abort', () => reject(new Error('aborted')))
      })
    }
    const { last } = await deploy(test_, [partOf('hello', await test_.artifact())], {
      signal: controller.signal,
    })
    expect(last).toMatchObject({ event: 'failed', code: 'FLEXI_CLIENT_GONE' })
    expect(test_.store.functions.all()).toEqual([])
    expect([...test_.runtime.known.keys()]).toEqual([])
  })

  test('ends the starts of the others when one fails, and tells of that one', async () => {
    await using test_ = await openTestControl()
    test_.runtime.onStart = async ({ name }, options) => {
      if (name === 'broken') throw new FlexiError('FLEXI_DEPLOY', 'broken')
      await new Promise((_, reject) =>
        options?.signal?.addEventListener('abort', () => reject(new Error('ended'))),
      )
    }
    const { last } = await deploy(test_, [
      partOf('slow', await test_.artifact()),
      partOf('broken', await test_.artifact()),
    ])
    expect(last).toMatchObject({ event: 'failed', message: 'broken', function: 'broken' })
  })

  test('that takes longer than its limit fails', async () => {
    await using test_ = await openTestControl({ deployMs: 20 })
    test_.runtime.onStart = (_record, options) =>
      new Promise((_, reject) =>
        options?.signal?.addEventListener('abort', () => reject(options.signal?.reason)),
      )
    const { last } = await deploy(test_, [partOf('hello', await test_.artifact())])
    expect(last).toMatchObject({ event: 'failed', code: 'FLEXI_DEPLOY', message: /longer than 20 ms/ })
  })

  test('of an artifact that was not uploaded fails, and says which', async () => {
    await using test_ = await openTestControl()
    const { last } = await deploy(test_, [partOf('hello', 'a'.repeat(64) as Digest)])
    expect(last).toMatchObject({ event: 'failed', code: 'FLEXI_NO_INPUT', function: 'hello' })
  })

  test('that is only tried checks, and leaves nothing', async () => {
    await using test_ = await openTestControl()
    const { last } = await deploy(test_, [partOf('hello', 'a'.repeat(64) as Digest)], { dryRun: true })
    expect(last).toMatchObject({ event: 'done', functions: [{ version: 'v1', changed: true }] })
    expect(test_.store.functions.all()).toEqual([])
    expect(test_.control.deployments({ limit: 1 })).toEqual([])
    expect(test_.runtime.calls).toEqual([])
    await deploy(test_, [partOf('hello', await test_.artifact())])
    expect(test_.store.aliases.get('hello', 'live')?.version).toBe('v1')
  })

  test('is refused before it begins for names, providers and versions that cannot be', async () => {
    await using test_ = await openTestControl()
    const digest = await test_.artifact()
    await deploy(test_, [{ ...partOf('hello', digest), version: 'one' }])
    const code = (parts: readonly ReturnType<typeof partOf>[], given = {}): string => {
      const request = { project: 'shop', alias: 'live', parts, ...given }
      try {
        test_.control.deploy(ROOT, request, new AbortController().signal)
      } catch (error) {
        if (error instanceof FlexiError) return error.code
      }
      return 'begun'
    }
    expect(code([partOf('Hello', digest)])).toBe('FLEXI_USAGE')
    expect(code([partOf('hello', digest), partOf('hello', digest)])).toBe('FLEXI_USAGE')
    expect(code([])).toBe('FLEXI_USAGE')
    expect(code([partOf('hello', digest, { provider: 'cobol' })])).toBe('FLEXI_USAGE')
    expect(code([partOf('hello', digest)], { alias: 'a.b' })).toBe('FLEXI_USAGE')
    expect(code([{ ...partOf('hello', digest, { timeoutMs: 1 }), version: 'one' }])).toBe('FLEXI_CONFLICT')
    expect(code([{ ...partOf('hello', digest), version: 'live' }])).toBe('FLEXI_CONFLICT')
    expect(code([partOf('hello', digest)], { alias: 'one' })).toBe('FLEXI_CONFLICT')
    expect(code([partOf('hello', digest)], { project: 'other' })).toBe('FLEXI_CONFLICT')
    expect(code([partOf('hello', digest)], { domains: ['x.fn.test'] })).toBe('FLEXI_USAGE')
    expect(code([partOf('hello', digest)], { domains: ['127.0.0.1'] })).toBe('FLEXI_USAGE')
  })

  test('of another one’s function, or on the network of the machine, needs the right to it', async () => {
    await using test_ = await openTestControl()
    const digest = await test_.artifact()
    await deploy(test_, [partOf('hello', digest)], { caller: ADA })
    expect(test_.store.functions.get('hello')?.group).toBe('singular:ada')
    await expect(
      deploy(test_, [partOf('hello', await test_.artifact())], { caller: BOB }),
    ).rejects.toMatchObject({
      code: 'FLEXI_FORBIDDEN',
    })
    expect(test_.control.audit({ limit: 1 })).toMatchObject([{ user: 'bob', outcome: 'refused' }])
    const host = [partOf('net', digest, { network: 'host' })]
    await expect(deploy(test_, host, { caller: ADA })).rejects.toMatchObject({ code: 'FLEXI_FORBIDDEN' })
    const granted = callerOf('ada', ...ADA.groups, 'permission:host-net')
    expect((await deploy(test_, host, { caller: granted })).last).toMatchObject({ event: 'done' })
    // A variable may be code.
    const change = { secret: false, values: { NODE_OPTIONS: '--require=/tmp/x' } }
    await expect(test_.control.setVariables(ADA, 'net', change)).rejects.toMatchObject({
      code: 'FLEXI_FORBIDDEN',
    })
    await test_.control.setVariables(granted, 'net', change)
  })

  test('takes what its caller has uploaded, or may change: a digest is no content', async () => {
    await using test_ = await openTestControl()
    const files = { 'index.js': 'the one and only' }
    const digest = await test_.artifact(files, [ADA])
    await deploy(test_, [partOf('hello', digest)], { caller: ADA })
    const taken = await deploy(test_, [partOf('taken', digest)], { caller: BOB, project: 'other' })
    expect(taken.last).toMatchObject({ event: 'failed', code: 'FLEXI_NO_INPUT' })
    const { control } = test_
    const are = (): Promise<readonly boolean[]> =>
      Promise.all([ADA, BOB, ROOT].map((caller) => control.hasArtifact(caller, digest)))
    expect(await are()).toEqual([true, false, true])
    await control.setGroup(ADA, 'hello', null)
    expect(await are()).toEqual([true, true, true])
    await control.setGroup(ADA, 'hello', 'singular:ada')
    await test_.artifact(files, [BOB])
    expect(await are()).toEqual([true, true, true])
    const own = await deploy(test_, [partOf('own', digest)], { caller: BOB, project: 'other' })
    expect(own.last).toMatchObject({ event: 'done' })
  })

  test('takes no domain from a project of others, nor takes one away', async () => {
    await using test_ = await openTestControl()
    const digest = await test_.artifact()
    const domains = ['shop.example']
    await deploy(test_, [partOf('hello', digest)], { caller: ADA, domains })
    for (const asked of [domains, [], ['other.example']]) {
      await expect(
        deploy(test_, [partOf('evil', digest)], { caller: BOB, domains: asked }),
      ).rejects.toMatchObject({ code: 'FLEXI_FORBIDDEN' })
    }
    expect((await deploy(test_, [partOf('evil', digest)], { caller: BOB })).last).toMatchObject({
      event: 'done',
    })
    await using front = await openFront(test_)
    expect((await ask(front, 'shop.example')).text).toBe('hello@v1')
    const moved = await deploy(test_, [partOf('hello', digest)], { caller: ADA, domains: ['other.example'] })
    expect(moved.last).toMatchObject({ event: 'done' })
  })

  test('is not for others where variables were set before: neither reads they them, nor do they run in it', async () => {
    await using test_ = await openTestControl()
    const digest = await test_.artifact()
    await test_.control.setVariables(ADA, 'hello', { secret: true, values: { KEY: 'secret' } })
    await expect(deploy(test_, [partOf('hello', digest)], { caller: BOB })).rejects.toMatchObject({
      code: 'FLEXI_FORBIDDEN',
      message: 'ada has set variables for hello',
    })
    expect((await deploy(test_, [partOf('hello', digest)], { caller: ADA })).last).toMatchObject({
      event: 'done',
    })
  })

  test('whose signature fails is refused, with nothing registered', async () => {
    const verify = (): Promise<undefined> =>
      Promise.reject(new FlexiError('FLEXI_SIGNATURE', 'signed by nobody known'))
    await using test_ = await openTestControl({ signatures: { required: true, verify } })
    const { last } = await deploy(test_, [partOf('hello', await test_.artifact())])
    expect(last).toMatchObject({ event: 'failed', code: 'FLEXI_SIGNATURE' })
    expect(test_.store.functions.all()).toEqual([])
    expect(test_.control.info().requiresSignature).toBe(true)
    const upload = test_.control.upload(ROOT, { name: 'hello', version: 'a0' }, await archive(test_))
    await expect(upload).rejects.toMatchObject({ code: 'FLEXI_SIGNATURE' })
  })

  test('tells the audit log whose signature each artifact has', async () => {
    const verify = (): Promise<{ readonly key: string }> => Promise.resolve({ key: 'release' })
    await using test_ = await openTestControl({ signatures: { required: true, verify } })
    const artifact = await test_.artifact()
    await deploy(test_, [partOf('hello', artifact)])
    expect(test_.control.audit({ limit: 1 })).toMatchObject([
      { action: 'deploy', detail: { versions: [{ version: 'hello@v1', artifact, signedBy: 'release' }] } },
    ])
  })

  test('brings back a version that was stopped, and stops it again when the rest fails', async () => {
    await using test_ = await openTestControl()
    const digest = await test_.artifact()
    await deploy(test_, [partOf('hello', digest)])
    await test_.control.stop(ROOT, { name: 'hello', version: 'v1' })
    const broken = partOf('other', await test_.artifact(), { options: { fail: 'no' } })
    await deploy(test_, [partOf('hello', digest), broken])
    expect(test_.control.status({ name: 'hello', version: 'v1' })?.state).toBe('stopped')
    expect([...test_.runtime.known.keys()]).toEqual([])
    await deploy(test_, [partOf('hello', digest)])
    expect(test_.control.status({ name: 'hello', version: 'v1' })?.state).toBe('running')
  })

  test('removes the oldest versions it counted, but none that is used, named or led to lately', async () => {
    await using test_ = await openTestControl({ keepVersions: 3 })
    const used = test_.runtime.status.bind(test_.runtime)
    // Nobody uses any version but the second.
    test_.runtime.status = (key) => {
      const status = used(key)
      return status === undefined ? undefined : { ...status, instances: key.version === 'v2' ? 1 : 0 }
    }
    const named = { ...partOf('hello', await test_.artifact()), version: 'first' }
    await deploy(test_, [named], { alias: 'other' })
    await test_.control.removeAlias(ROOT, 'hello', 'other')
    for (let i = 0; i < 10; i++) await deploy(test_, [partOf('hello', await test_.artifact())])
    const versions = (): string[] =>
      test_.store.versions
        .of('hello')
        .map(({ version }) => version)
        .sort()
    // v5 to v9 are where the alias has been lately.
    await expect.poll(versions).toEqual(['first', 'v10', 'v2', 'v5', 'v6', 'v7', 'v8', 'v9'])
    expect(test_.control.audit({ limit: 1 })).toMatchObject([{ action: 'version.prune', object: 'hello@v4' }])
    await expect.poll(() => [...test_.runtime.known.keys()]).not.toContain('hello@v1')
  })

  test('fails when what it would lead to is stopped meanwhile', async () => {
    await using test_ = await openTestControl()
    await using front = await openFront(test_)
    const artifact = await test_.artifact()
    await deploy(test_, [partOf('hello', artifact)])
    await deploy(test_, [partOf('hello', await test_.artifact())])
    test_.runtime.onStart = async ({ name }) => {
      if (name === 'other') await test_.control.stop(ROOT, { name: 'hello', version: 'v1' })
    }
    const { last } = await deploy(test_, [partOf('hello', artifact), partOf('other', artifact)])
    expect(last).toMatchObject({ event: 'failed', code: 'FLEXI_CONFLICT' })
    expect(await ask(front, 'hello.fn.test')).toEqual({ status: 200, text: 'hello@v2' })
  })

  test('starts no more functions at once than the machine has processors for', async () => {
    await using test_ = await openTestControl()
    let [now, most] = [0, 0]
    test_.runtime.onStart = async () => {
      most = Math.max(most, (now += 1))
      await new Promise((resolve) => setImmediate(resolve))
      now -= 1
    }
    const artifact = await test_.artifact()
    const { last } = await deploy(
      test_,
      Array.from({ length: 20 }, (_, i) => partOf(`f${i}`, artifact)),
    )
    expect(last).toMatchObject({ event: 'done' })
    expect(most).toBe(Math.max(2, availableParallelism()))
  })

  test('goes on when nobody reads what it tells', async () => {
    await using test_ = await openTestControl()
    const request = { project: 'shop', alias: 'live', parts: [partOf('hello', await test_.artifact())] }
    test_.control.deploy(ROOT, request, new AbortController().signal)
    await expect.poll(() => test_.store.aliases.get('hello', 'live')?.version).toBe('v1')
  })
})

describe('after a crash', () => {
  test('at whatever step of a deployment, all of it is there or nothing', async () => {
    await using test_ = await openTestControl()
    await deploy(test_, [partOf('one', await test_.artifact()), partOf('two', await test_.artifact())])
    const parts = [partOf('one', await test_.artifact()), partOf('three', await test_.artifact())]
    const copies: { readonly directory: string; readonly at: string }[] = []
    // The disk as it is at that moment; within the transaction of the switch as well.
    const crash = (at: string): void => {
      const directory = mkdtempSync(join(tmpdir(), 'flexi-crash-'))
      cpSync(test_.directory, directory, { recursive: true })
      rmSync(join(directory, 'flexi.db.lock'), { force: true })
      copies.push({ directory, at })
    }
    const { deployments } = test_.store
    const put = deployments.put.bind(deployments)
    Reflect.set(deployments, 'put', (record: DeploymentRecord) => {
      put(record)
      crash(record.state)
    })
    test_.runtime.onStart = ({ name }) => Promise.resolve(crash(`start of ${name}`))
    await deploy(test_, parts)
    crash('done')
    const seen: string[] = []
    for (const { directory, at } of copies) {
      await using after = await openTestControl({ directory })
      const rows = ['one', 'two', 'three'].map(
        (name) => after.store.aliases.get(name, 'live')?.version ?? '-',
      )
      const known = [...after.runtime.known.keys()].sort().join(' ')
      const last = after.control.deployments({ limit: 1 })[0]?.state ?? ''
      seen.push(`${at}: ${rows.join()} ${last} (${known}) ${after.store.functions.all().length}`)
    }
    const before = 'v1,v1,- failed (one@v1 two@v1) 2'
    expect(seen).toEqual([
      `received: ${before}`,
      `received: ${before}`,
      `verified: ${before}`,
      `unpacked: ${before}`,
      `starting: ${before}`,
      `start of one: ${before}`,
      `start of three: ${before}`,
      `ready: ${before}`,
      `switched: ${before}`,
      'done: v2,v1,v1 switched (one@v1 one@v2 three@v1 two@v1) 3',
    ])
  })

  test('what was acknowledged is served, and a deployment that was under way has failed', async () => {
    await using before = await openTestControl()
    await deploy(before, [partOf('hello', await before.artifact(), { instances: { min: 1 } })])
    await deploy(before, [partOf('hello', await before.artifact())], { alias: 'next' })
    const at = Date.now()
    before.store.functions.add({ name: 'half', project: 'shop', createdAt: at, createdBy: 'root' })
    const keys = [{ name: 'half', version: 'v1' }]
    const half = { id: 'h', project: 'shop', alias: 'live', keys, startedAt: at, by: 'root' }
    before.store.deployments.put({ ...half, state: 'starting' })
    await using after = await before.reopened()
    await using front = await openFront(after)
    expect(await ask(front, 'hello.fn.test')).toEqual({ status: 200, text: 'hello@v1' })
    expect(await ask(front, 'next.hello.fn.test')).toEqual({ status: 200, text: 'hello@v2' })
    expect(after.store.deployments.get('h')).toMatchObject({ state: 'failed' })
    expect(after.store.functions.get('half')).toBeUndefined()
    // What is to run unasked does; the rest waits for its first request.
    await expect
      .poll(() => after.runtime.calls.filter((call) => call.startsWith('start')))
      .toEqual(['start hello@v1'])
  })

  test('a version that cannot be had costs the others nothing', async () => {
    await using before = await openTestControl()
    const rules = [{ matcher: { kind: 'path', path: '/' }, target: { kind: 'function', name: 'hello' } }]
    const named = rules.map((rule) => ({ ...rule, pattern: '/', origin: { file: 'f', line: 1, column: 1 } }))
    await deploy(before, [
      partOf('hello', await before.artifact()),
      partOf('shop', await before.artifact(), { provider: 'routes', options: { rules: named } }),
    ])
    before.store.versions.setConfig(
      { name: 'shop', version: 'v1' },
      configOf({ provider: 'routes', options: {} }),
    )
    await using after = await before.reopened()
    await using front = await openFront(after)
    expect((await ask(front, 'hello.fn.test')).text).toBe('hello@v1')
    expect((await ask(front, 'shop.fn.test')).status).toBe(403)
    expect(after.log).toContainEqual(expect.objectContaining({ event: 'version.restore', level: 'error' }))
  })
})

async function archive(test_: Parameters<typeof deploy>[0] & { artifact(): Promise<Digest> }) {
  const { createReadStream } = await import('node:fs')
  const { directory } = test_ as unknown as { readonly directory: string }
  await test_.artifact()
  return createReadStream(`${directory}/packed.tgz`)
}
