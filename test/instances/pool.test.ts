import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { availableParallelism } from 'node:os'

import { afterEach, describe, expect, test } from 'vitest'

import { FlexiError } from '../../src/core/errors.ts'
import type { RequestContext } from '../../src/core/fetcher.ts'
import type { Code, Instance } from '../../src/core/function.ts'
import { silentLogger } from '../../src/core/log.ts'
import type { Revision } from '../../src/core/place.ts'
import { Pool, type PoolOptions } from '../../src/instances/pool.ts'

/** A provider in 40 lines: answers with its revision once released; everything that happens is in `events`. */
class Fake {
  readonly events: string[] = []
  readonly held: { readonly name: string; readonly finish: () => void }[] = []
  started = 0
  failStarts: FlexiError | undefined
  hold = false
  readonly crash = new Map<string, (error?: Error) => void>()

  code(revision: string, options: Partial<Code> = {}): Code {
    return {
      revision: revision as Revision,
      concurrency: 1,
      exclusive: false,
      start: () => this.start(revision),
      ...options,
    }
  }

  async start(revision: string): Promise<Instance> {
    if (this.failStarts !== undefined) throw this.failStarts
    this.started += 1
    const name = `${revision}#${this.started}`
    this.events.push(`start ${name}`)
    let close: (error?: Error) => void = () => undefined
    const closed = new Promise<Error | undefined>((resolve) => (close = resolve))
    this.crash.set(name, close)
    return {
      closed,
      handle: async (_incoming, outgoing) => {
        if (this.hold) await new Promise<void>((resolve) => this.held.push({ name, finish: resolve }))
        outgoing.end(name)
      },
      [Symbol.asyncDispose]: async () => {
        this.events.push(`dispose ${name}`)
        close()
      },
    }
  }
}

const open: AsyncDisposable[] = []
afterEach(async () => {
  await Promise.all(open.splice(0).map((resource) => resource[Symbol.asyncDispose]()))
})

function makePool(limits: PoolOptions['limits'] = {}): Pool {
  const pool = new Pool({ name: 'f', log: silentLogger, limits })
  open.push(pool)
  return pool
}

/** One request through a real server: the pool sees real sockets that really close. */
async function serve(pool: Pool): Promise<string> {
  const server: Server = createServer((incoming: IncomingMessage, outgoing: ServerResponse) => {
    const context = { note: () => undefined } as unknown as RequestContext
    pool.handle(incoming, outgoing, context).catch((error: FlexiError) => {
      outgoing.statusCode = error.status
      outgoing.end(error.code)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  open.push({ [Symbol.asyncDispose]: async () => void (server.closeAllConnections(), server.close()) })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
}

const text = async (url: string, init?: RequestInit): Promise<string> => (await fetch(url, init)).text()

describe('leases', () => {
  test('an instance with concurrency 1 serves one request at a time, and a queue that does not move starts more', async () => {
    const fake = new Fake()
    const pool = makePool({ scaleOutAfterMs: 5 })
    await pool.replace(fake.code('r1'))
    fake.hold = true
    const url = await serve(pool)
    const answers = Promise.all([text(url), text(url), text(url)])
    await expect.poll(() => fake.held.map(({ name }) => name).toSorted()).toEqual(['r1#1', 'r1#2', 'r1#3'])
    for (const { finish } of fake.held) finish()
    expect((await answers).toSorted()).toEqual(['r1#1', 'r1#2', 'r1#3'])
  })

  test('fast requests share one instance: a queue that moves starts no more', async () => {
    const fake = new Fake()
    const pool = makePool({ scaleOutAfterMs: 2_000 })
    await pool.replace(fake.code('r1'))
    const url = await serve(pool)
    await Promise.all(Array.from({ length: 100 }, () => text(url)))
    expect(fake.started).toBe(1)
  })

  test('an instance without a concurrency limit takes all at once', async () => {
    const fake = new Fake()
    const pool = makePool()
    await pool.replace(fake.code('r1', { concurrency: Infinity }))
    fake.hold = true
    const url = await serve(pool)
    const answers = Promise.all(Array.from({ length: 20 }, () => text(url)))
    await expect.poll(() => fake.held.length).toBe(20)
    for (const { finish } of fake.held) finish()
    expect(new Set(await answers)).toEqual(new Set(['r1#1']))
  })

  test('never more instances than the limit; a full queue answers 503 with the code', async () => {
    const fake = new Fake()
    const pool = makePool({ scaleOutAfterMs: 1, instancesMax: 2, queueLengthMax: 1 })
    await pool.replace(fake.code('r1'))
    fake.hold = true
    const url = await serve(pool)
    const first = text(url)
    await expect.poll(() => fake.held.length).toBe(1)
    const second = text(url)
    await expect.poll(() => fake.held.length).toBe(2)
    const third = text(url)
    await expect.poll(() => pool.state().queued).toBe(1)
    expect(await text(url)).toBe('FLEXI_QUEUE_FULL')
    expect(fake.started).toBe(2)
    fake.hold = false
    for (const { finish } of fake.held) finish()
    await Promise.all([first, second, third])
  })

  test('a request that waits too long gets 503', async () => {
    const fake = new Fake()
    const pool = makePool({ instancesMax: 1, queueWaitMs: 30, scaleOutAfterMs: 5 })
    await pool.replace(fake.code('r1'))
    fake.hold = true
    const url = await serve(pool)
    const first = text(url)
    await expect.poll(() => fake.held.length).toBe(1)
    expect(await text(url)).toBe('FLEXI_QUEUE_FULL')
    fake.held[0]?.finish()
    await first
  })

  test('a client that left while waiting is skipped', async () => {
    const fake = new Fake()
    const pool = makePool({ instancesMax: 1 })
    await pool.replace(fake.code('r1'))
    fake.hold = true
    const url = await serve(pool)
    const first = text(url)
    await expect.poll(() => fake.held.length).toBe(1)
    const leaver = new AbortController()
    const left = text(url, { signal: leaver.signal }).catch(() => 'left')
    await expect.poll(() => pool.state().queued).toBe(1)
    leaver.abort()
    expect(await left).toBe('left')
    const third = text(url)
    await expect.poll(() => pool.state().queued).toBe(2)
    fake.held[0]?.finish()
    await first
    await expect.poll(() => fake.held.length).toBe(2)
    fake.held[1]?.finish()
    expect(await third).toBe('r1#1')
    expect(fake.held.length).toBe(2)
  })

  test('instances that nobody needs are closed, the last one is kept', async () => {
    const fake = new Fake()
    const pool = makePool({ scaleOutAfterMs: 1, idleInstanceMs: 40 })
    await pool.replace(fake.code('r1'))
    fake.hold = true
    const url = await serve(pool)
    const answers = Promise.all([text(url), text(url)])
    await expect.poll(() => fake.held.length).toBe(2)
    for (const { finish } of fake.held) finish()
    await answers
    await expect.poll(() => pool.state().instances).toBe(1)
  })

  test('what is to be there unasked is started with the first, kept while idle, and replaced when one ends', async () => {
    const fake = new Fake()
    const pool = makePool({ idleInstanceMs: 40 })
    await pool.replace(fake.code('r1', { instancesMin: 3 }))
    await expect.poll(() => pool.state().instances).toBe(3)
    const url = await serve(pool)
    expect(await text(url)).toContain('r1')
    // Long enough idle for the reaper to have come by, which closes nothing.
    await expect.poll(() => text(url), { interval: 60 }).toContain('r1')
    expect(fake.events.filter((event) => event.startsWith('dispose'))).toEqual([])
    const answered = (await text(url)).trim()
    fake.crash.get(answered)?.(new Error('gone'))
    await expect.poll(() => fake.started).toBe(4)
    await expect.poll(() => pool.state().instances).toBe(3)
  })

  test('one of those that ends soon, while others run, is started again later', async () => {
    const fake = new Fake()
    const pool = makePool({ restartDelayMs: 20 })
    await pool.replace(fake.code('r1', { instancesMin: 2 }))
    for (let crashes = 0; crashes < 3; crashes += 1) {
      await expect.poll(() => pool.state().instances).toBe(2)
      fake.crash.get(`r1#${fake.started}`)?.(new Error('SIGSEGV'))
      await expect.poll(() => pool.state().instances, { interval: 1 }).toBe(1)
      expect(fake.started).toBe(2 + crashes)
      await expect.poll(() => fake.started).toBe(3 + crashes)
    }
  })

  test.each([
    ['compute', 1],
    ['wait', 0],
  ])('a queue before instances that %s starts as many as help', async (_what, share) => {
    const fake = new Fake()
    const pool = makePool({ scaleOutAfterMs: 5, instancesMax: 6 })
    const startedAt = performance.now()
    const processorMs = (): number => (performance.now() - startedAt) * share
    await pool.replace(
      fake.code('r1', { start: async () => Object.assign(await fake.start('r1'), { processorMs }) }),
    )
    fake.hold = true
    const url = await serve(pool)
    const answers = Promise.all(Array.from({ length: 8 }, () => text(url)))
    const limit = share === 1 ? Math.min(6, availableParallelism()) : 6
    await expect.poll(() => fake.held.length).toBe(limit)
    // The queue is looked at again and again meanwhile.
    await expect.poll(() => pool.state().queued, { interval: 40 }).toBe(8 - limit)
    expect(fake.started).toBe(limit)
    fake.hold = false
    for (const { finish } of fake.held) finish()
    await answers
  })

  test('no more is started unasked than may run at once', async () => {
    const fake = new Fake()
    const pool = makePool()
    await pool.replace(fake.code('r1', { instancesMin: 3, instancesMax: 1 }))
    expect(await text(await serve(pool))).toBe('r1#1')
    expect(fake.started).toBe(1)
  })
})

test('counts what it started, what failed to, what ended by itself and whom it turned away', async () => {
  const fake = new Fake()
  const pool = makePool({ queueLengthMax: 0 })
  await pool.replace(fake.code('r1'))
  fake.failStarts = new FlexiError('FLEXI_FUNCTION_INIT', 'no')
  await expect(pool.replace(fake.code('r2'))).rejects.toThrow('no')
  fake.failStarts = undefined
  fake.hold = true
  const held = text(await serve(pool))
  await expect.poll(() => fake.held.length).toBe(1)
  expect(await text(await serve(pool))).toBe('FLEXI_QUEUE_FULL')
  fake.held[0]?.finish()
  await held
  fake.crash.get('r1#1')?.(new Error('gone'))
  await expect.poll(() => pool.state().counts.started).toBe(2)
  expect(pool.state().counts).toMatchObject({ started: 2, startFailed: 1, ended: 1, refused: 1 })
})

test('a connection that asks for another protocol is taken only by code that says it can', async () => {
  const fake = new Fake()
  const pool = makePool()
  expect(pool.upgrade).toBeUndefined()
  await pool.replace(fake.code('r1'))
  expect(pool.upgrade).toBeUndefined()
  await pool.replace(fake.code('r2', { upgrades: true }))
  expect(pool.upgrade).toBeDefined()
})

describe('replacing code', () => {
  test('requests in flight finish on the old revision, new ones meet the new, and then the old closes', async () => {
    const fake = new Fake()
    const pool = makePool()
    await pool.replace(fake.code('r1'))
    fake.hold = true
    const url = await serve(pool)
    const old = text(url)
    await expect.poll(() => fake.held.length).toBe(1)
    await pool.replace(fake.code('r2'))
    fake.hold = false
    expect(await text(url)).toBe('r2#2')
    expect(fake.events).not.toContain('dispose r1#1')
    fake.held[0]?.finish()
    expect(await old).toBe('r1#1')
    await expect.poll(() => fake.events).toContain('dispose r1#1')
    expect(pool.state().draining).toBe(0)
  })

  test('code that cannot start changes nothing', async () => {
    const fake = new Fake()
    const pool = makePool()
    await pool.replace(fake.code('r1'))
    fake.failStarts = new FlexiError('FLEXI_FUNCTION_INIT', 'no')
    await expect(pool.replace(fake.code('r2'))).rejects.toThrow('no')
    expect(await text(await serve(pool))).toBe('r1#1')
  })

  test('an exclusive revision starts only after the old one closed, while requests wait', async () => {
    const fake = new Fake()
    const pool = makePool()
    await pool.replace(fake.code('r1', { exclusive: true }))
    fake.hold = true
    const url = await serve(pool)
    const old = text(url)
    await expect.poll(() => fake.held.length).toBe(1)
    fake.hold = false
    const replaced = pool.replace(fake.code('r2', { exclusive: true }))
    const waiting = text(url)
    await expect.poll(() => pool.state().queued).toBe(1)
    fake.held[0]?.finish()
    await replaced
    expect(await old).toBe('r1#1')
    expect(await waiting).toBe('r2#2')
    expect(fake.events).toEqual(['start r1#1', 'dispose r1#1', 'start r2#2'])
  })

  test('when an exclusive successor cannot start, the old code is started again', async () => {
    const fake = new Fake()
    const pool = makePool()
    await pool.replace(fake.code('r1', { exclusive: true }))
    const failing = {
      ...fake.code('r2', { exclusive: true }),
      start: () => Promise.reject(new FlexiError('FLEXI_FUNCTION_INIT', 'no')),
    }
    await expect(pool.replace(failing)).rejects.toThrow('no')
    expect(await text(await serve(pool))).toBe('r1#2')
  })

  test('when the old code cannot start either, requests are told at once', async () => {
    const fake = new Fake()
    const pool = makePool()
    await pool.replace(fake.code('r1', { exclusive: true }))
    fake.failStarts = new FlexiError('FLEXI_FUNCTION_INIT', 'no')
    await expect(pool.replace(fake.code('r2', { exclusive: true }))).rejects.toThrow('no')
    expect(await text(await serve(pool))).toBe('FLEXI_FUNCTION_INIT')
  })

  test('disposing ends the wait for an old revision that does not finish', async () => {
    const fake = new Fake()
    const pool = makePool()
    await pool.replace(fake.code('r1'))
    fake.hold = true
    const stuck = text(await serve(pool)).catch(() => 'cut')
    await expect.poll(() => fake.held.length).toBe(1)
    await pool.replace(fake.code('r2'))
    expect(pool.state().draining).toBe(1)
    await pool[Symbol.asyncDispose]()
    await expect.poll(() => pool.state().draining).toBe(0)
    fake.held[0]?.finish()
    await stuck
  })

  test('an old revision that never finishes is closed at the drain limit', async () => {
    const fake = new Fake()
    const pool = makePool({ drainMs: 20 })
    await pool.replace(fake.code('r1'))
    fake.hold = true
    const stuck = text(await serve(pool)).catch(() => 'cut')
    await expect.poll(() => fake.held.length).toBe(1)
    await pool.replace(fake.code('r2'))
    await expect.poll(() => fake.events).toContain('dispose r1#1')
    fake.held[0]?.finish()
    await stuck
  })

  test('a hundred replacements under load fail no request', async () => {
    const fake = new Fake()
    const pool = makePool()
    await pool.replace(fake.code('r0'))
    const url = await serve(pool)
    let running = true
    const client = async (): Promise<string[]> => {
      const seen: string[] = []
      while (running) seen.push(await text(url))
      return seen
    }
    const clients = Array.from({ length: 8 }, client)
    for (let turn = 1; turn <= 100; turn += 1) {
      await pool.replace(fake.code(`r${turn}`))
      expect(await text(url)).toMatch(new RegExp(`^r${turn}#`))
    }
    running = false
    const answers = (await Promise.all(clients)).flat()
    expect(answers.length).toBeGreaterThan(8)
    expect(answers.filter((answer) => !/^r\d+#\d+$/.test(answer))).toEqual([])
    await expect.poll(() => fake.events.filter((event) => event.startsWith('dispose')).length).toBe(100)
  })
})

describe('failures', () => {
  test('requests before the first build wait for it; a failed build answers them', async () => {
    const fake = new Fake()
    const pool = makePool()
    const url = await serve(pool)
    const early = text(url)
    await expect.poll(() => pool.state().queued).toBe(1)
    pool.fail(new FlexiError('FLEXI_BUILD', 'broken'))
    expect(await early).toBe('FLEXI_BUILD')
    await pool.replace(fake.code('r1'))
    expect(await text(url)).toBe('r1#1')
  })

  test('an instance that ends by itself is started again', async () => {
    const fake = new Fake()
    const pool = makePool()
    await pool.replace(fake.code('r1'))
    fake.crash.get('r1#1')?.(new Error('SIGSEGV'))
    await expect.poll(() => fake.started).toBe(2)
    expect(await text(await serve(pool))).toBe('r1#2')
  })

  test('instances that keep ending before they have served are started later and later, and requests are told meanwhile', async () => {
    const fake = new Fake()
    const pool = makePool({ restartDelayMs: 20 })
    await pool.replace(fake.code('r1'))
    const url = await serve(pool)
    for (let crashes = 1; crashes <= 4; crashes += 1) {
      await expect.poll(() => pool.state().instances).toBe(1)
      fake.crash.get(`r1#${crashes}`)?.(new Error('SIGSEGV'))
      await expect.poll(() => pool.state().instances, { interval: 1 }).toBe(crashes < 4 ? 1 : 0)
    }
    expect(await text(url)).toBe('FLEXI_FUNCTION_CRASHED')
    expect(fake.started).toBe(4)
    await expect.poll(() => text(url)).toBe('r1#5')
  })

  test('an instance that has served and then ends is replaced at once, however often', async () => {
    const fake = new Fake()
    const pool = makePool()
    await pool.replace(fake.code('r1'))
    const url = await serve(pool)
    for (let turn = 1; turn <= 12; turn += 1) {
      expect(await text(url)).toBe(`r1#${turn}`)
      fake.crash.get(`r1#${turn}`)?.(new Error('SIGSEGV'))
      await expect.poll(() => fake.started).toBe(turn + 1)
    }
  })

  test('a start that fails answers what waits with its error, and is tried again later', async () => {
    const fake = new Fake()
    const pool = makePool({ restartDelayMs: 10 })
    await pool.replace(fake.code('r1'), { warm: false })
    fake.failStarts = new FlexiError('FLEXI_FUNCTION_INIT', 'no')
    const url = await serve(pool)
    expect(await text(url)).toBe('FLEXI_FUNCTION_INIT')
    fake.failStarts = undefined
    await expect.poll(() => text(url)).toBe('r1#1')
  })

  test('disposing answers what waits and closes every instance', async () => {
    const fake = new Fake()
    const pool = makePool({ instancesMax: 1 })
    await pool.replace(fake.code('r1'))
    fake.hold = true
    const url = await serve(pool)
    const first = text(url)
    await expect.poll(() => fake.held.length).toBe(1)
    const second = text(url)
    await expect.poll(() => pool.state().queued).toBe(1)
    await pool[Symbol.asyncDispose]()
    expect(await second).toBe('FLEXI_SHUTTING_DOWN')
    expect(fake.events).toContain('dispose r1#1')
    fake.held[0]?.finish()
    await first
  })
})

describe('instances that nobody asks for', () => {
  test('one is kept, unless none is to be: then the next request starts one', async () => {
    const fake = new Fake()
    const changes: string[] = []
    const pool = new Pool({
      name: 'f',
      log: silentLogger,
      limits: { idleInstanceMs: 30, instancesKept: 0 },
      onChange: ({ kind }) => changes.push(kind),
    })
    open.push(pool)
    await pool.replace(fake.code('r1'))
    const url = await serve(pool)
    expect(await text(url)).toBe('r1#1')
    await expect.poll(() => pool.state().instances).toBe(0)
    expect(fake.events).toContain('dispose r1#1')
    expect(await text(url)).toBe('r1#2')
    expect(changes).toEqual(['starting', 'started', 'retired', 'starting', 'started'])
  })

  test('end after a shorter time from when that is asked for on', async () => {
    const fake = new Fake()
    const pool = makePool({ idleInstanceMs: 600_000, instancesKept: 0 })
    await pool.replace(fake.code('r1'))
    expect(pool.state().instances).toBe(1)
    pool.idleAfter(30)
    await expect.poll(() => pool.state().instances).toBe(0)
    pool.idleAfter(600_000)
    expect(await text(await serve(pool))).toBe('r1#2')
  })

  test('one that is leased is busy as with a request, whatever comes of it, and idle after that', async () => {
    const fake = new Fake()
    const pool = makePool({ idleInstanceMs: 30, instancesKept: 0 })
    await pool.replace(fake.code('r1'), { warm: false })
    let end: (reason: Error) => void = () => undefined
    const leased = pool.lease(() => new Promise((_, reject) => (end = reject)))
    await expect.poll(() => pool.state().inFlight).toBe(1)
    expect(await text(await serve(pool))).toBe('r1#2')
    end(new Error('no luck'))
    await expect(leased).rejects.toThrow('no luck')
    await expect.poll(() => pool.state().instances).toBe(0)
  })

  test('one that came to its end without an error is not started again before somebody asks, where none is kept', async () => {
    const fake = new Fake()
    const pool = makePool({ instancesKept: 0 })
    await pool.replace(fake.code('r1'))
    fake.crash.get('r1#1')?.()
    await expect.poll(() => pool.state().instances).toBe(0)
    expect(fake.started).toBe(1)
    expect(await text(await serve(pool))).toBe('r1#2')
  })

  test('one that came to its end without an error is started again where one is kept', async () => {
    const fake = new Fake()
    const pool = makePool()
    await pool.replace(fake.code('r1'))
    fake.crash.get('r1#1')?.()
    await expect.poll(() => fake.started).toBe(2)
  })

  test('whoever waits when it comes to its end without an error gets another', async () => {
    const fake = new Fake()
    const pool = makePool({ instancesKept: 0, instancesMax: 1 })
    await pool.replace(fake.code('r1'))
    fake.hold = true
    const url = await serve(pool)
    const first = text(url)
    await expect.poll(() => fake.held.length).toBe(1)
    const second = text(url)
    await expect.poll(() => pool.state().queued).toBe(1)
    fake.crash.get('r1#1')?.()
    await expect.poll(() => fake.held.length).toBe(2)
    for (const { finish } of fake.held) finish()
    expect([await first, await second]).toEqual(['r1#1', 'r1#2'])
  })

  test('a loop of crashes ends, where none is kept and nobody asks; the next request tries again', async () => {
    const fake = new Fake()
    const rests: unknown[] = []
    const limits = { instancesKept: 0, restartDelayMs: 5, restartDelayMaxMs: 80 }
    const pool = new Pool({
      name: 'f',
      log: silentLogger,
      limits,
      onChange: (change) => change.kind === 'resting' && rests.push(change.againMs),
    })
    open.push(pool)
    await pool.replace(fake.code('r1'))
    for (let crashes = 1; rests.at(-1) !== undefined || rests.length === 0; crashes += 1) {
      await expect.poll(() => fake.started, { interval: 1 }).toBe(crashes)
      fake.crash.get(`r1#${crashes}`)?.(new Error('SIGSEGV'))
      await expect.poll(() => pool.state().counts.ended, { interval: 1 }).toBe(crashes)
    }
    expect(rests.at(-1)).toBeUndefined()
    const { started } = fake
    await expect.poll(() => serve(pool).then(text)).toBe(`r1#${started + 1}`)
  })
})

describe('drain', () => {
  test('of all does not keep an old revision from ending as soon as it is drained', async () => {
    const fake = new Fake()
    const pool = makePool({ drainMs: 10_000 })
    await pool.replace(fake.code('v1'))
    const url = await serve(pool)
    fake.hold = true
    const first = text(url)
    await expect.poll(() => fake.held.length).toBe(1)
    await pool.replace(fake.code('v2'))
    const drained = pool.drain()
    await new Promise((resolve) => setImmediate(resolve))
    fake.held.splice(0).forEach(({ finish }) => finish())
    expect(await first).toBe('v1#1')
    await drained
    await expect.poll(() => fake.events, { timeout: 1_000 }).toContain('dispose v1#1')
  })

  test('those that wait are served too', async () => {
    const fake = new Fake()
    const pool = makePool({ instancesMax: 1 })
    await pool.replace(fake.code('r1'))
    fake.hold = true
    const url = await serve(pool)
    const answers = [text(url)]
    await expect.poll(() => fake.held.length).toBe(1)
    answers.push(text(url))
    await expect.poll(() => pool.state().queued).toBe(1)
    const drained = pool.drain().then(() => pool[Symbol.asyncDispose]())
    fake.hold = false
    fake.held[0]?.finish()
    expect(await Promise.all(answers)).toEqual(['r1#1', 'r1#1'])
    await drained
  })

  test('has its limit, also for those that wait', async () => {
    const fake = new Fake()
    const pool = makePool({ instancesMax: 1, drainMs: 50 })
    await pool.replace(fake.code('r1'))
    fake.hold = true
    const url = await serve(pool)
    const answers = [text(url), text(url)]
    await expect.poll(() => pool.state().queued).toBe(1)
    await pool.drain()
    await pool[Symbol.asyncDispose]()
    for (const { finish } of fake.held) finish()
    expect((await Promise.all(answers)).toSorted()).toEqual(['FLEXI_SHUTTING_DOWN', 'r1#1'])
  })
})

describe('rest', () => {
  test('ends what runs once it is done; what comes meanwhile waits, and starts anew', async () => {
    const fake = new Fake()
    const pool = makePool()
    await pool.replace(fake.code('r1'))
    fake.hold = true
    const url = await serve(pool)
    const first = text(url)
    await expect.poll(() => fake.held.length).toBe(1)
    const rested = pool.rest()
    const second = text(url)
    await expect.poll(() => pool.state().queued).toBe(1)
    expect(fake.started).toBe(1)
    fake.hold = false
    fake.held[0]?.finish()
    await rested
    expect([await first, await second]).toEqual(['r1#1', 'r1#2'])
    expect(fake.events).toEqual(['start r1#1', 'dispose r1#1', 'start r1#2'])
  })
})
