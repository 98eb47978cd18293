import { existsSync } from 'node:fs'
import { utimes, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'

import { afterEach, describe, expect, test } from 'vitest'

import type { AbsolutePath } from '../../src/core/place.ts'
import { ExclusiveTurn, type Holder } from '../../src/daemon/functions/exclusive-turn.ts'
import type { RuntimeOptions } from '../../src/daemon/functions/open-runtime.ts'
import { lockFile } from '../../src/daemon/functions/state-lock.ts'
import type { VersionStatus } from '../../src/daemon/model.ts'
import { Deployed, handler, LAMBDA, PROCESS, program } from './runtime-fixture.ts'

const open: AsyncDisposable[] = []
afterEach(async () => {
  for (const resource of open.splice(0).toReversed()) await resource[Symbol.asyncDispose]()
})

async function deployed(options: Partial<RuntimeOptions> = {}): Promise<Deployed> {
  const made = await Deployed.open(options)
  open.push(made)
  return made
}

/** Counts its starts in a file, because each is a process of its own. */
const COUNT = `import { appendFileSync, readFileSync } from 'node:fs'
appendFileSync(process.env.COUNT, 'x')
const starts = readFileSync(process.env.COUNT, 'utf8').length`

async function counted(
  made: Deployed,
  { body, before = '', ...config }: { body: string; before?: string; instances?: object },
) {
  const environment = { COUNT: join(made.directory, 'count') }
  return await made.add({
    files: program(body, `${COUNT}\n${before}`),
    config: { ...PROCESS, environment, ...config },
  })
}

describe('a version that ends by itself', () => {
  test('is started again and is told as what it is: how often, and how it ended', async () => {
    const made = await deployed()
    const body = `if (request.url === '/die') process.exit(7); response.end(String(starts))`
    const key = await counted(made, { body })
    expect((await made.ask(key)).text).toBe('1')
    expect((await made.ask(key, '/die')).status).toBe(502)
    await expect.poll(() => made.runtime.status(key)).toMatchObject({ state: 'running', restarts: 1 })
    expect(made.runtime.status(key)?.lastExit).toMatch(/7/)
    expect((await made.ask(key)).text).toBe('2')
    await expect
      .poll(() => made.logged('hello'))
      .toContainEqual(expect.stringMatching(/ended by itself: exit code 7/))
  })

  test('without an error is not started before somebody asks', async () => {
    const made = await deployed()
    const body = `response.end(String(starts)); if (request.url === '/end') setImmediate(() => process.exit(0))`
    const key = await counted(made, { body })
    await made.ask(key)
    await made.ask(key, '/end')
    await expect.poll(() => made.runtime.status(key)).toMatchObject({ state: 'idle', instances: 0 })
    expect((await made.ask(key)).text).toBe('2')
  })

  test('again and again is started later and later; requests are told so meanwhile, and its state is crashed', async () => {
    const made = await deployed({ limits: { restartDelayMs: 20 } })
    // It ends once somebody has found it listening.
    const before = `import { subscribe } from 'node:diagnostics_channel'
if (starts > 1) subscribe('net.server.socket', () => setTimeout(() => process.exit(1), 100))`
    const body = `process.exit(1)`
    const key = await counted(made, { body, before })
    await made.runtime.start(key)
    await made.ask(key)
    await expect
      .poll(() => made.logged('hello'), { timeout: 8_000 })
      .toContainEqual(expect.stringContaining('it keeps ending before it has answered anything'))
    expect(made.runtime.status(key)?.state).toBe('crashed')
    expect((await made.ask(key)).status).toBe(502)
  })

  test('never stops its neighbours', async () => {
    const made = await deployed()
    const bad = await counted(made, { body: 'process.exit(1)' })
    const good = await made.add({
      name: 'good',
      files: handler('return { statusCode: 200, body: "well" }'),
      config: LAMBDA,
    })
    await made.ask(good)
    const answers = await Promise.all([made.ask(bad), made.ask(good), made.ask(bad), made.ask(good)])
    expect(answers.filter(({ text }) => text === 'well')).toHaveLength(2)
  })

  test('that is to run unasked is tried again by itself when its start has failed', async () => {
    const made = await deployed({ limits: { restartDelayMs: 20 } })
    const before = `if (starts < 3) process.exit(1)`
    const key = await counted(made, { body: `response.end('up')`, before, instances: { min: 1 } })
    await expect(made.runtime.start(key)).rejects.toThrow(/ended before/)
    expect(made.runtime.status(key)?.state).toBe('crashed')
    await expect.poll(() => made.runtime.status(key)?.state, { timeout: 5_000 }).toBe('running')
  })

  test('that is to run unasked is tried again by itself when a later start fails', async () => {
    const made = await deployed({ limits: { restartDelayMs: 20 } })
    const before = `if (starts === 2 || starts === 3) process.exit(1)`
    const body = `if (request.url === '/die') process.exit(1); response.end(String(starts))`
    const key = await counted(made, { body, before, instances: { min: 1 } })
    await made.runtime.start(key)
    await made.ask(key)
    const states: unknown[] = []
    made.runtime.onState((changed) => states.push(made.runtime.status(changed)?.state))
    await made.ask(key, '/die')
    await expect.poll(() => states.at(-1), { timeout: 5_000 }).toBe('running')
    expect(states).toContain('crashed')
    expect((await made.ask(key)).text).toBe('4')
  })

  test('states are told as they change', async () => {
    const made = await deployed()
    const states: (VersionStatus['state'] | undefined)[] = []
    made.runtime.onState((changed) => states.push(made.runtime.status(changed)?.state))
    const key = await made.add({ files: handler('return { statusCode: 200 }'), config: LAMBDA })
    await made.runtime.start(key)
    await made.runtime.stop(key)
    expect(states).toEqual(['starting', 'running', 'stopped'])
  })
})

describe('scale to zero', () => {
  test('after idleMs without a request nothing runs, and the next request starts it', async () => {
    const made = await deployed()
    const key = await counted(made, { body: `response.end(String(starts))`, instances: { idleMs: 100 } })
    expect((await made.ask(key)).text).toBe('1')
    await expect.poll(() => made.runtime.status(key)).toMatchObject({ state: 'idle', instances: 0 })
    expect((await made.ask(key)).text).toBe('2')
  })

  test('leaves as many as are to run unasked', async () => {
    const made = await deployed()
    const key = await made.add({
      files: handler('return { statusCode: 200, body: "x" }'),
      config: { ...LAMBDA, instances: { min: 1, idleMs: 60 } },
    })
    await made.runtime.start(key)
    const since = made.runtime.status(key)?.since
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(made.runtime.status(key)).toMatchObject({ state: 'running', instances: 1, since })
  })

  test('an open WebSocket is use: its instance stays', async () => {
    const made = await deployed()
    const server = {
      'server.mjs': `import { createServer } from 'node:http'
const server = createServer((request, response) => response.end())
server.on('upgrade', (request, socket) => {
  socket.write('HTTP/1.1 101 Switching Protocols\\r\\nConnection: Upgrade\\r\\nUpgrade: websocket\\r\\n\\r\\n')
  socket.on('data', (bytes) => socket.write(bytes))
})
server.listen(Number(process.env.PORT), '127.0.0.1')`,
    }
    const key = await made.add({ files: server, config: { ...PROCESS, instances: { idleMs: 60 } } })
    const socket = connect(made.port, '127.0.0.1')
    let received = ''
    socket.on('data', (bytes: Buffer) => (received += bytes.toString()))
    socket.write(
      'GET / HTTP/1.1\r\nHost: hello.v1.localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n',
    )
    // The very first request of an idle version may be one that changes its protocol.
    await expect.poll(() => received).toContain('101 Switching Protocols')
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(made.runtime.status(key)).toMatchObject({ state: 'running', instances: 1 })
    socket.write('still here')
    await expect.poll(() => received).toContain('still here')
    socket.destroy()
    await expect.poll(() => made.runtime.status(key)?.state).toBe('idle')
  })

  test('of versions that nobody uses only so many stay open; a closed one opens again', async () => {
    const made = await deployed({ openUnusedMax: 1 })
    const config = { ...LAMBDA, instances: { idleMs: 50 } }
    const files = handler('return { statusCode: 200, body: process.env.AWS_LAMBDA_FUNCTION_NAME }')
    const keys = []
    for (const name of ['one', 'two', 'three']) keys.push(await made.add({ name, files, config }))
    for (const key of keys) await made.ask(key)
    await expect
      .poll(() => made.runtime.statuses().map(({ state }) => state))
      .toEqual(['idle', 'idle', 'idle'])
    for (const key of keys) expect((await made.ask(key)).text).toBe(key.name)
  })
})

describe('maximum', () => {
  test('never more instances than the configuration allows', async () => {
    const made = await deployed()
    const key = await made.add({
      files: handler('await new Promise((done) => setTimeout(done, 100)); return { statusCode: 200 }'),
      config: { ...LAMBDA, instances: { max: 2 } },
    })
    let most = 0
    made.runtime.onState(() => undefined)
    const look = setInterval(() => (most = Math.max(most, made.runtime.status(key)?.instances ?? 0)), 5)
    const answers = await Promise.all(Array.from({ length: 8 }, () => made.ask(key)))
    clearInterval(look)
    expect(answers.every(({ status }) => status === 200)).toBe(true)
    expect(most).toBe(2)
  })
})

describe('stored data that one version at a time may open', () => {
  function holder(name: string, events: string[]): Holder {
    return {
      name,
      rest: async () => {
        events.push(`${name} rests`)
        await new Promise((resolve) => setImmediate(resolve))
        events.push(`${name} has ended`)
      },
    }
  }

  test('the one that is asked has its turn once the other has ended', async () => {
    const events: string[] = []
    const turn = new ExclusiveTurn(() => Promise.resolve({ [Symbol.asyncDispose]: () => Promise.resolve() }))
    const [one, two] = [holder('v1', events), holder('v2', events)]
    await turn.enter(one)
    await turn.enter(one)
    await turn.enter(two).then(() => events.push('v2 starts'))
    expect(events).toEqual(['v1 rests', 'v1 has ended', 'v2 starts'])
  })

  test('nobody rests for one that comes after the holder has left', async () => {
    const events: string[] = []
    let locks = 0
    const turn = new ExclusiveTurn(() => {
      locks += 1
      return Promise.resolve({ [Symbol.asyncDispose]: () => Promise.resolve(void (locks -= 1)) })
    })
    const one = holder('v1', events)
    await turn.enter(one)
    expect(locks).toBe(1)
    await turn.leave(one)
    expect(locks).toBe(0)
    await turn.enter(holder('v2', events))
    expect(events).toEqual([])
  })

  test('who holds it lets go when another process wants it, and comes back when it is asked', async () => {
    const { directory } = await deployed()
    const path = join(directory, 'state', 'hello.lock') as AbsolutePath
    const events: string[] = []
    const here = new ExclusiveTurn((onWanted) => lockFile(path, { name: 'hello', onWanted }))
    const there = new ExclusiveTurn((onWanted) => lockFile(path, { name: 'hello', onWanted }))
    const [old, next] = [holder('old', events), holder('next', events)]
    await here.enter(old)
    await there.enter(next)
    await here.enter(old).then(() => events.push('old is back'))
    expect(events).toEqual(['old rests', 'old has ended', 'next rests', 'next has ended', 'old is back'])
    await here.leave(old)
  })

  test('another process is kept out until it lets go, and one that was killed holds nothing', async () => {
    const { directory } = await deployed()
    const path = join(directory, 'state', 'hello.lock') as AbsolutePath
    let wanted = 0
    const options = { name: 'hello', onWanted: () => void (wanted += 1) }
    const first = await lockFile(path, options)
    await expect(lockFile(path, { ...options, waitMs: 120 })).rejects.toMatchObject({
      code: 'FLEXI_FUNCTION_INIT',
      message: 'the data of hello is in use by another process',
    })
    expect(wanted).toBeGreaterThan(0)
    const second = lockFile(path, { ...options, waitMs: 5_000 })
    await first[Symbol.asyncDispose]()
    await (await second)[Symbol.asyncDispose]()
    expect(existsSync(path)).toBe(false)
    await writeFile(path, '999999999 1')
    await (await lockFile(path, { ...options, waitMs: 500 }))[Symbol.asyncDispose]()
    // Killed between the file and its first byte.
    await writeFile(path, '')
    await utimes(path, 0, Date.now() / 1_000 - 60)
    await (await lockFile(path, { ...options, waitMs: 500 }))[Symbol.asyncDispose]()
  })
})
