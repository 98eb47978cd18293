import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, beforeEach, expect, test } from 'vitest'

import { ServedFunction } from '../../src/app/served-function.ts'
import type { DevEvent } from '../../src/core/events.ts'
import type { Code, Emulator, FunctionConfig, Instance } from '../../src/core/function.ts'
import type { AbsolutePath, Revision } from '../../src/core/place.ts'
import { testScope } from '../scope.ts'

/** A provider whose builds end when the test says so; its instances answer `invoke` with the revision they run. */
class Workshop {
  readonly builds: { readonly revision: string; readonly finish: () => void }[] = []
  /** What a build that begins now makes. */
  revision = 'r1'
  starts = 0

  readonly emulator: Emulator = {
    name: 'fake',
    detect: () => Promise.resolve({ functions: [], routes: [], files: [], faults: [] }),
    recognise: () => Promise.resolve(undefined),
    open: () =>
      Promise.resolve({
        build: () => this.#build(),
        watched: () => [],
        package: () => Promise.resolve([]),
        [Symbol.asyncDispose]: () => Promise.resolve(),
      }),
  }

  async #build(): Promise<Code> {
    const { revision } = this
    await new Promise<void>((resolve) => this.builds.push({ revision, finish: resolve }))
    return {
      revision: revision as Revision,
      concurrency: 1,
      exclusive: false,
      start: () => this.#start(revision),
    }
  }

  #start(revision: string): Promise<Instance> {
    this.starts += 1
    return Promise.resolve({
      handle: () => Promise.resolve(),
      invoke: () => Promise.resolve({ payload: Buffer.from(revision), contentType: 'text/plain', log: '' }),
      closed: new Promise<undefined>(() => undefined),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    })
  }
}

let directory: AbsolutePath
const events: DevEvent[] = []
beforeEach(async () => {
  directory = (await mkdtemp(join(tmpdir(), 'flexi-test-'))) as AbsolutePath
  events.length = 0
})
afterEach(() => rm(directory, { recursive: true }))

const config = (timeoutMs: number): FunctionConfig => ({
  name: 'f',
  provider: 'fake',
  directory,
  origin: { file: 'flexi.jsonc', line: 1, column: 1 },
  environment: {},
  timeoutMs,
  options: {},
})

async function open(workshop: Workshop): Promise<ServedFunction> {
  const scope = testScope(directory, { stateDirectory: directory })
  return ServedFunction.open(config(1), {
    emulator: workshop.emulator,
    scope,
    directory,
    onEvent: (event) => events.push(event),
  })
}

/** A function whose first build has begun; `finish` ends it. */
async function starting(workshop: Workshop): Promise<{ one: ServedFunction; finish: () => Promise<void> }> {
  const one = await open(workshop)
  const started = one.start({ warm: true })
  await expect.poll(() => workshop.builds.length).toBe(1)
  return {
    one,
    finish: () => {
      workshop.builds[0]?.finish()
      return started
    },
  }
}

async function served(one: ServedFunction): Promise<string> {
  const { payload } = await one.pool.invoke(new Uint8Array(), {
    id: '1',
    deadline: Date.now() + 1000,
    signal: AbortSignal.timeout(1000),
  })
  return Buffer.from(payload).toString()
}

test('a change during the first build is built after it, so the last save wins', async () => {
  const workshop = new Workshop()
  const { one, finish } = await starting(workshop)
  await using _end = one
  workshop.revision = 'r2'
  const rebuilt = one.rebuild([], performance.now())
  await finish()
  await expect.poll(() => workshop.builds.length).toBe(2)
  workshop.builds[1]?.finish()
  await rebuilt
  expect(workshop.builds.map(({ revision }) => revision)).toEqual(['r1', 'r2'])
  expect(await served(one)).toBe('r2')
})

test('a new configuration is not undone by a build that began before it', async () => {
  const workshop = new Workshop()
  const { one, finish } = await starting(workshop)
  await using _end = one
  await finish()
  workshop.revision = 'old, edited'
  const rebuilt = one.rebuild([], performance.now())
  await expect.poll(() => workshop.builds.length).toBe(2)
  workshop.revision = 'new'
  const prepared = one.reconfigure(config(2))
  await expect.poll(() => workshop.builds.length).toBe(3)
  workshop.builds[2]?.finish()
  const applied = prepared.then((change) => change.apply())
  workshop.builds[1]?.finish()
  await Promise.all([rebuilt, applied])
  expect(one.config.timeoutMs).toBe(2)
  expect(await served(one)).toBe('new')
})

test('changes that come in while one is built are built together, once, and all named', async () => {
  const workshop = new Workshop()
  const { one, finish } = await starting(workshop)
  await using _end = one
  const changes = ['a', 'b', 'c'].map((name) =>
    one.rebuild([join(directory, name) as AbsolutePath], performance.now()),
  )
  workshop.revision = 'r2'
  await finish()
  await expect.poll(() => workshop.builds.length).toBe(2)
  workshop.builds[1]?.finish()
  await Promise.all(changes)
  expect(workshop.builds.length).toBe(2)
  expect(events).toMatchObject([{ event: 'reload', files: ['a', 'b', 'c'] }])
})

test('a save that changes nothing starts nothing; a restart does', async () => {
  const workshop = new Workshop()
  const { one, finish } = await starting(workshop)
  await using _end = one
  await finish()
  const rebuilt = one.rebuild([], performance.now())
  await expect.poll(() => workshop.builds.length).toBe(2)
  workshop.builds[1]?.finish()
  await rebuilt
  expect(workshop.starts).toBe(1)
  const restarted = one.restart(performance.now())
  await expect.poll(() => workshop.builds.length).toBe(3)
  workshop.builds[2]?.finish()
  await restarted
  expect(workshop.starts).toBe(2)
})
