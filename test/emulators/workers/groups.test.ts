import { afterEach, describe, expect, test } from 'vitest'

import { groupsOf } from '../../../src/emulators/workers/groups/groups.ts'
import { serveProject, type Project, type ProjectWorker } from './project.ts'
import { runtimes } from './serve.ts'

let project: Project | undefined

afterEach(async () => {
  await project?.[Symbol.asyncDispose]()
  project = undefined
})

const calls = (version: string) => `import { WorkerEntrypoint } from 'cloudflare:workers'
export default class extends WorkerEntrypoint<any> {
  async fetch() { return new Response('${version} ' + (await this.env.MATHS.add(1, 2))) }
}`
const maths = (plus: string) => `import { WorkerEntrypoint } from 'cloudflare:workers'
export default class extends WorkerEntrypoint {
  fetch() { return new Response('maths${plus}') }
  add(a: number, b: number) { return a + b + '${plus}' }
}`
const plain = (text: string) => `export default { fetch: () => new Response('${text}') }`
const BOUND = { services: [{ binding: 'MATHS', service: 'maths' }] }
const DURABLE = {
  durable_objects: { bindings: [{ name: 'COUNTER', class_name: 'Counter' }] },
  migrations: [{ tag: 'v1', new_sqlite_classes: ['Counter'] }],
}
const counter = (version: string) => `import { DurableObject } from 'cloudflare:workers'
export class Counter extends DurableObject {
  async next() {
    const count = ((await this.ctx.storage.get<number>('count')) ?? 0) + 1
    await this.ctx.storage.put('count', count)
    return count
  }
}
export default { async fetch(request: Request, env: any) {
  const stub = env.COUNTER.get(env.COUNTER.idFromName('one'))
  return new Response('${version} ' + (await stub.next()))
} }`

/** Asks without pause until it is told to stop; what came is not always the same, but always 200. */
function askWithoutPause(worker: ProjectWorker): { stop(): Promise<readonly string[]> } {
  const seen = new Set<string>()
  let stopped = false
  const asking = (async () => {
    while (!stopped) seen.add(await worker.text())
  })()
  return {
    async stop() {
      stopped = true
      await asking
      return [...seen]
    },
  }
}

describe('workers that are bound to each other', () => {
  test('share one process, call each other’s methods, and both answer while one of them is edited', async () => {
    project = await serveProject({
      front: { config: BOUND, code: calls('front') },
      maths: { code: maths('') },
    })
    const [front, back] = [project.worker('front'), project.worker('maths')]
    expect(await front.text()).toBe('front 3')
    expect(await back.text()).toBe('maths')
    expect(runtimes()).toHaveLength(1)
    const asking = [askWithoutPause(front), askWithoutPause(back)]
    await back.save({ code: maths('!') })
    expect(await front.text()).toBe('front 3!')
    const seen = await Promise.all(asking.map((one) => one.stop()))
    expect(seen.map((texts) => texts.toSorted())).toEqual([
      expect.arrayContaining(['front 3']),
      expect.arrayContaining(['maths']),
    ])
    expect(seen.flat().filter((text) => !/^(front 3!?|maths!?)$/.test(text))).toEqual([])
  }, 20_000)

  test('answer without a failure while one that they call is edited ten times', async () => {
    project = await serveProject({
      front: { config: BOUND, code: calls('front') },
      maths: { code: maths('') },
    })
    const asking = askWithoutPause(project.worker('front'))
    for (let version = 1; version <= 10; version += 1)
      await project.worker('maths').save({ code: maths(` v${version}`) })
    expect(await project.worker('front').text()).toBe('front 3 v10')
    expect((await asking.stop()).filter((text) => !/^front 3( v\d+)?$/.test(text))).toEqual([])
  }, 60_000)

  test('that crash come back with what they ran, and not with an edit that could not be loaded', async () => {
    project = await serveProject({
      front: { config: BOUND, code: calls('front') },
      maths: { code: maths('') },
    })
    const saving = project.worker('maths').save({ code: 'throw new Error("at once")\nexport default {}' })
    await expect(saving).rejects.toMatchObject({ code: 'FLEXI_FUNCTION_INIT' })
    await expect.poll(() => runtimes().length).toBe(1)
    process.kill(runtimes()[0] ?? 0, 'SIGKILL')
    await expect.poll(() => project?.worker('front').faults.length).toBe(1)
    expect(await project.worker('front').text()).toBe('front 3')
  }, 20_000)

  test('are started once, and not once each', async () => {
    const before = runtimes().length
    project = await serveProject({
      front: { config: BOUND, code: calls('front') },
      maths: { code: maths('') },
      third: { config: BOUND, code: calls('third') },
    })
    expect(runtimes().length - before).toBe(1)
    expect(await project.worker('third').text()).toBe('third 3')
  }, 20_000)

  test('go on when one of them cannot be built, and those that call it are told why; it joins them when it can', async () => {
    project = await serveProject({
      front: { config: BOUND, code: calls('front') },
      maths: { code: 'export default {' },
    })
    const front = project.worker('front')
    expect((await front.ask()).status).toBe(500)
    expect(front.faults[0]?.message).toContain('the worker maths cannot run')
    await project.worker('maths').save({ code: maths('') })
    expect(await front.text()).toBe('front 3')
  }, 20_000)

  test('keep what they run when an edit of one of them cannot be loaded', async () => {
    project = await serveProject({
      front: { config: BOUND, code: calls('front') },
      maths: { code: maths('') },
    })
    const saving = project.worker('maths').save({ code: 'throw new Error("at once")\nexport default {}' })
    await expect(saving).rejects.toMatchObject({
      code: 'FLEXI_FUNCTION_INIT',
      message: expect.stringContaining('at once'),
    })
    expect(await project.worker('front').text()).toBe('front 3')
  }, 20_000)

  test('a worker that cannot be loaded at the first start takes the others not down with it', async () => {
    project = await serveProject({
      front: { config: BOUND, code: calls('front') },
      maths: { code: 'throw new Error("at once")\nexport default {}' },
      good: { config: BOUND, code: plain('good') },
    })
    expect(await project.worker('good').text()).toBe('good')
    const front = project.worker('front')
    expect((await front.ask()).status).toBe(500)
    expect(front.faults[0]?.message).toContain('maths cannot be loaded: Error: at once')
  }, 20_000)

  test('move apart and together when their files say so, and no request fails', async () => {
    project = await serveProject({ front: { code: plain('alone') }, maths: { code: maths('') } })
    const [front, back] = [project.worker('front'), project.worker('maths')]
    expect(runtimes()).toHaveLength(2)
    const asking = [askWithoutPause(front), askWithoutPause(back)]
    await front.save({ config: BOUND, code: calls('bound') })
    expect(await front.text()).toBe('bound 3')
    await expect.poll(() => runtimes().length).toBe(1)
    await front.save({ config: {}, code: plain('alone') })
    await expect.poll(() => runtimes().length).toBe(2)
    const seen = await Promise.all(asking.map((one) => one.stop()))
    expect(seen.map((texts) => texts.toSorted())).toEqual([['alone', 'bound 3'], ['maths']])
  }, 20_000)

  test('go on without one that leaves the project', async () => {
    project = await serveProject({
      front: { config: BOUND, code: calls('front') },
      maths: { code: maths('') },
    })
    await project.worker('maths').remove()
    const front = project.worker('front')
    await expect.poll(() => front.text()).toBe('500 error code: 1101')
    expect(front.faults.at(-1)?.message).toContain(
      'it is the worker maths, which is not part of this project',
    )
    expect(runtimes()).toHaveLength(1)
    await front.save({ config: BOUND, code: plain('still here') })
    expect(await front.text()).toBe('still here')
  }, 20_000)
})

test('a function that got another name leaves nothing running: not its consumer either', async () => {
  const config = {
    kv_namespaces: [{ binding: 'KV', id: 'shared' }],
    queues: {
      producers: [{ binding: 'JOBS', queue: 'jobs' }],
      consumers: [{ queue: 'jobs', max_batch_timeout: 0 }],
    },
  }
  const code = (version: string) => `export default {
    async fetch(request: Request, env: any) {
      if (new URL(request.url).pathname === '/send') await env.JOBS.send('x')
      return new Response(await env.KV.get('taken'))
    },
    queue: (batch: any, env: any) => env.KV.put('taken', '${version}'),
  }`
  const { worker } = (project = await serveProject({
    first: { config, code: code('first') },
    other: { config, code: code('other') },
  }))
  const asked = async (name: string): Promise<string> => {
    await worker(name).text('/send')
    return await worker(name).text()
  }
  const names = ['first', 'other']
  await expect.poll(() => asked('first')).toMatch(/first|other/)
  const taker = await worker('first').text()
  const [rest = ''] = names.filter((name) => name !== taker)
  await worker(taker).remove()
  await expect.poll(() => asked(rest)).toBe(rest)
  expect(runtimes()).toHaveLength(1)
}, 20_000)

test('a worker keeps its process over a reload of one it has nothing to do with', async () => {
  project = await serveProject({ one: { code: plain('one') }, other: { code: plain('other') } })
  const pids = runtimes()
  expect(pids).toHaveLength(2)
  await project.worker('one').save({ code: plain('two') })
  expect(await project.worker('one').text()).toBe('two')
  expect(runtimes().filter((pid) => pids.includes(pid)).length).toBeGreaterThanOrEqual(1)
  expect(await project.worker('other').text()).toBe('other')
}, 20_000)

test('workers with the same stored data share a process, because only one may have it open', async () => {
  const config = { kv_namespaces: [{ binding: 'KV', id: 'shared' }] }
  const code = `export default { async fetch(request: Request, env: any) {
    if (new URL(request.url).pathname === '/put') await env.KV.put('key', 'kept')
    return new Response(await env.KV.get('key'))
  } }`
  project = await serveProject({ one: { config, code }, other: { config, code } })
  expect(runtimes()).toHaveLength(1)
  await project.worker('one').text('/put')
  expect(await project.worker('other').text()).toBe('kept')
}, 20_000)

test.each([
  ['images', { images: { binding: 'IMAGES' } }],
  ['stream', { stream: { binding: 'STREAM' } }],
])('workers with %s share a process: its data is in one place', async (_kind, config) => {
  project = await serveProject({ one: { config, code: plain('one') }, two: { config, code: plain('two') } })
  expect(await project.worker('one').text()).toBe('one')
  expect(await project.worker('two').text()).toBe('two')
  expect(runtimes()).toHaveLength(1)
})

test('workers that keep answers in the cache have it to themselves, and none waits for the other’s', async () => {
  const caching = `export default { async fetch(request) {
    const key = 'http://cache/' + crypto.randomUUID()
    await caches.default.put(key, new Response('kept', { headers: { 'cache-control': 'max-age=100' } }))
    return (await caches.default.match(key)) ?? new Response('missing')
  } }`
  project = await serveProject({ one: { code: caching }, two: { code: caching } })
  expect(runtimes()).toHaveLength(2)
  const both = [project.worker('one'), project.worker('two')]
  const asked = both.flatMap((worker) => Array.from({ length: 30 }, () => worker.text()))
  expect(new Set(await Promise.all(asked))).toEqual(new Set(['kept']))
}, 20_000)

test('a Durable Object counts on in order while its worker is reloaded twenty times under load, and no request fails', async () => {
  project = await serveProject({
    owner: { config: DURABLE, code: counter('v0') },
    user: {
      config: {
        durable_objects: { bindings: [{ name: 'COUNTER', class_name: 'Counter', script_name: 'owner' }] },
      },
      code: counter('user').replace(/export class[^]*?\n}\n/, ''),
    },
  })
  expect(runtimes()).toHaveLength(1)
  const counts: number[] = []
  let stopped = false
  const user = project.worker('user')
  const asking = (async () => {
    while (!stopped) counts.push(Number((await user.text()).replace('user ', '')))
  })()
  for (let version = 1; version <= 20; version += 1)
    await project.worker('owner').save({ config: DURABLE, code: counter(`v${version}`) })
  stopped = true
  await asking
  expect(counts).toEqual(counts.map((_, index) => index + 1))
  expect(await project.worker('owner').text()).toBe(`v20 ${counts.length + 1}`)
}, 60_000)

test('a request that outlasts the exchange of an exclusive runtime is told that the runtime ended, and where that was is nobody’s business', async () => {
  const code = counter('one').replace(
    'fetch(request: Request, env: any) {',
    (head) => `${head}
  if (request.url.endsWith('/long')) await new Promise((resolve) => setTimeout(resolve, 60_000))`,
  )
  project = await serveProject({ one: { config: DURABLE, code } })
  const one = project.worker('one')
  const long = one.text('/long')
  expect(await one.text()).toBe('one 1')
  await one.save({ config: DURABLE, code: counter('two') })
  expect(await long).toMatch(/^503 The Workers runtime ended/)
  expect(await one.text()).toBe('two 2')
  expect(one.faults).toEqual([])
}, 20_000)

test('requests that write to KV and R2 do not fail while their workers are reloaded ten times', async () => {
  const config = {
    kv_namespaces: [{ binding: 'KV', id: 'one' }],
    r2_buckets: [{ binding: 'R2', bucket_name: 'one' }],
  }
  const code = (version: string): string => `export default { async fetch(request: Request, env: any) {
    const key = String(Math.random())
    await Promise.all([env.KV.put(key, 'v'), env.R2.put(key, 'v')])
    const object = await env.R2.get(key)
    return new Response('${version} ' + (await env.KV.get(key)) + (await object.text()))
  } }`
  project = await serveProject({ one: { config, code: code('one') }, other: { config, code: code('other') } })
  const asking = ['one', 'one', 'other', 'other'].map((name) =>
    askWithoutPause((project as Project).worker(name)),
  )
  for (let version = 1; version <= 10; version += 1)
    await project.worker('one').save({ config, code: code(`v${version}`) })
  const seen = await Promise.all(asking.map((one) => one.stop()))
  expect(seen.flat().filter((text) => !/^\w+ vv$/.test(text))).toEqual([])
}, 60_000)

test('an exclusive worker whose edit cannot be loaded serves on with what it kept', async () => {
  project = await serveProject({ owner: { config: DURABLE, code: counter('v1') } })
  const owner = project.worker('owner')
  expect(await owner.text()).toBe('v1 1')
  await expect(
    owner.save({ config: DURABLE, code: 'throw new Error("bad")\nexport default {}' }),
  ).rejects.toMatchObject({
    code: 'FLEXI_FUNCTION_INIT',
  })
  expect(await owner.text()).toBe('v1 2')
}, 20_000)

test('a crash of the runtime ends it for all its workers, is told once, and all are there again with their data', async () => {
  project = await serveProject({
    owner: { config: DURABLE, code: counter('v1') },
    user: { config: { services: [{ binding: 'OWNER', service: 'owner' }] }, code: plain('user') },
  })
  const [owner, user] = [project.worker('owner'), project.worker('user')]
  expect(await owner.text()).toBe('v1 1')
  const [pid] = runtimes()
  process.kill(pid ?? 0, 'SIGKILL')
  await expect.poll(() => [...owner.faults, ...user.faults].map(({ kind }) => kind)).toEqual(['crash'])
  expect(await user.text()).toBe('user')
  expect(await owner.text()).toBe('v1 2')
  expect(runtimes()).toHaveLength(1)
  expect(runtimes()).not.toContain(pid)
}, 20_000)

describe('the control of a runtime', () => {
  test('is there without a request before it, and follows the worker over reloads', async () => {
    project = await serveProject({ one: { code: plain('one') } })
    const control = await groupsOf(project.app).control('one')
    const ask = async (): Promise<number> => {
      const { status, body } = await control.ask({ method: 'GET', target: '/nothing' })
      body.resume()
      return status
    }
    expect(await ask()).toBe(404)
    await project.worker('one').save({ code: plain('two') })
    expect(await ask()).toBe(404)
  }, 20_000)

  test('of a function that does not exist is refused', async () => {
    project = await serveProject({ one: { code: plain('one') } })
    await expect(groupsOf(project.app).control('two')).rejects.toMatchObject({
      code: 'FLEXI_FUNCTION_UNKNOWN',
    })
  }, 20_000)
})
