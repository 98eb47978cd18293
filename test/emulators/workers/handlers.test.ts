import { join } from 'node:path'

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'

import { runEvent } from '../../../src/emulators/workers/events/run-event.ts'
import { serveProject, type Project, type ProjectWorker, type WorkerText } from './project.ts'

/** What ran is kept in the isolate; `/seen` tells it and forgets it. */
const SEEN = `
const seen: unknown[] = []
const tell = () => Response.json(seen.splice(0))
`

const BARE: WorkerText = {
  code: `${SEEN}
export default {
  fetch: tell,
  async scheduled({ cron }, env, ctx) {
    seen.push(cron)
    if (cron === 'throws') {
      throw new TypeError('bad cron')
    }
    if (cron === 'late') ctx.waitUntil(scheduler.wait(20).then(() => {
      throw new Error('bad afterwards')
    }))
    ctx.waitUntil(scheduler.wait(30).then(() => seen.push('waited')))
  },
}`,
}

const SITE: WorkerText = {
  config: { assets: { directory: './public', binding: 'ASSETS' } },
  code: `${SEEN}
export default {
  fetch: tell,
  async scheduled({ cron }, env) {
    const asset = await env.ASSETS.fetch('http://x/page.txt')
    seen.push(cron, await asset.text())
  },
}`,
  files: { 'public/page.txt': 'an asset' },
}

const TEAM: WorkerText = {
  config: {
    services: [{ binding: 'OTHER', service: 'classy' }],
    kv_namespaces: [{ binding: 'KV', id: 'team' }],
  },
  code: `${SEEN}
export default {
  fetch: tell,
  async scheduled({ cron }, env) {
    await env.KV.put('cron', cron)
    seen.push(await env.OTHER.greet(await env.KV.get('cron')))
  },
}`,
}

const CLASSY: WorkerText = {
  code: `import { WorkerEntrypoint } from 'cloudflare:workers'
${SEEN}
export default class extends WorkerEntrypoint {
  fetch() {
    return tell()
  }
  greet(name: string) {
    return 'hello ' + name
  }
  async scheduled({ cron }) {
    seen.push('class ' + cron)
    if (cron === 'throws') {
      throw new Error('bad class')
    }
  }
  async queue(batch) {
    seen.push(batch.messages.map(({ body }) => body))
  }
  async email(message) {
    seen.push(message.from)
  }
}`,
}

const QUEUES: WorkerText = {
  config: {
    queues: {
      producers: [{ binding: 'JOBS', queue: 'jobs' }],
      consumers: [
        { queue: 'jobs', max_batch_timeout: 0, max_retries: 1, retry_delay: 0, dead_letter_queue: 'dead' },
        { queue: 'dead', max_batch_timeout: 0 },
      ],
    },
  },
  code: `${SEEN}
export default {
  async fetch(request, env) {
    const body = new URL(request.url).searchParams.get('send')
    if (body === null) return tell()
    await env.JOBS.send(body)
    return new Response('sent')
  },
  async queue(batch) {
    seen.push([batch.queue, ...batch.messages.map(({ body, attempts }) => body + ' ' + attempts)])
    if (batch.queue === 'jobs' && batch.messages[0].body === 'bad') {
      throw new Error('bad message')
    }
  },
}`,
}

const OBJECTS: WorkerText = {
  config: {
    durable_objects: { bindings: [{ name: 'TIMER', class_name: 'Timer' }] },
    migrations: [{ tag: 'v1', new_sqlite_classes: ['Timer'] }],
  },
  code: `import { DurableObject } from 'cloudflare:workers'
${SEEN}
export class Timer extends DurableObject {
  async start(fails: boolean) {
    await this.ctx.storage.put('fails', fails)
    await this.ctx.storage.setAlarm(Date.now() + 10)
  }
  async alarm(info) {
    seen.push('alarm ' + info.retryCount)
    const fails = await this.ctx.storage.get('fails')
    await this.ctx.storage.put('fails', false)
    if (fails) {
      throw new RangeError('bad alarm')
    }
  }
}
export default {
  async fetch(request, env) {
    const { pathname } = new URL(request.url)
    if (pathname === '/seen') return tell()
    await env.TIMER.getByName('one').start(pathname === '/fails')
    return new Response('set')
  },
}`,
}

const HEARD: WorkerText = {
  config: { tail_consumers: [{ service: 'ear' }] },
  code: `export default {
  fetch() {
    console.log('said')
    return new Response('ok')
  },
  scheduled() {
    console.log('on time')
  },
}`,
}

const EAR: WorkerText = {
  code: `${SEEN}
export default {
  fetch: tell,
  async tail(events) {
    for (const { logs, outcome, event } of events)
      seen.push([outcome, event?.cron ?? event?.request?.method, ...logs.flatMap(({ message }) => message)])
    if (events[0].event?.cron === 'throws') {
      throw new Error('bad ear')
    }
  },
}`,
}

let project: Project

beforeAll(async () => {
  project = await serveProject({
    bare: BARE,
    site: SITE,
    team: TEAM,
    classy: CLASSY,
    queues: QUEUES,
    objects: OBJECTS,
    heard: HEARD,
    ear: EAR,
  })
}, 40_000)
beforeEach(() => {
  for (const worker of Object.values(workers())) worker.faults.length = 0
})
afterAll(async () => project?.[Symbol.asyncDispose]())

function workers(): Record<
  'bare' | 'site' | 'team' | 'classy' | 'queues' | 'objects' | 'heard' | 'ear',
  ProjectWorker
> {
  return {
    bare: project.worker('bare'),
    site: project.worker('site'),
    team: project.worker('team'),
    classy: project.worker('classy'),
    queues: project.worker('queues'),
    objects: project.worker('objects'),
    heard: project.worker('heard'),
    ear: project.worker('ear'),
  }
}

async function seen(worker: ProjectWorker): Promise<unknown[]> {
  const text = await worker.text('/seen')
  return JSON.parse(text) as unknown[]
}

function run(worker: ProjectWorker, cron: string): Promise<string> {
  return worker.text(`/cdn-cgi/handler/scheduled?cron=${encodeURIComponent(cron)}`)
}

/** Of the line of its code that holds this text. */
function frameOf(name: string, { code }: WorkerText, text: string): object {
  const line = code.split('\n').findIndex((one) => one.includes(text)) + 1
  return { place: { file: join(project.directory, name, 'index.ts'), line } }
}

describe('scheduled', () => {
  test('runs in a runtime of flexi’s own, and ends with what it waits for', async () => {
    const { bare } = workers()
    expect(await run(bare, '* * * * *')).toBe('ok')
    expect(await seen(bare)).toEqual(['* * * * *', 'waited'])
    expect(bare.faults).toEqual([])
  })

  test('runs in a worker with assets, where miniflare 4 asks the assets', async () => {
    const { site } = workers()
    expect(await run(site, 'x')).toBe('ok')
    expect(await seen(site)).toEqual(['x', 'an asset'])
  })

  test('runs in each worker of a group, with its bindings', async () => {
    const { team, classy } = workers()
    expect(await run(team, 'x')).toBe('ok')
    expect(await run(classy, 'y')).toBe('ok')
    expect(await seen(team)).toEqual(['hello x'])
    expect(await seen(classy)).toEqual(['class y'])
  })

  test('a throw is an exception, and its author gets the line; from a class as well', async () => {
    const { bare, classy } = workers()
    await Promise.all([seen(bare), seen(classy)])
    expect(await run(bare, 'throws')).toBe('500 exception')
    expect(await run(classy, 'throws')).toBe('500 exception')
    await expect
      .poll(() => [...bare.faults, ...classy.faults])
      .toMatchObject([
        {
          kind: 'throw',
          name: 'TypeError',
          message: 'bad cron (scheduled)',
          frame: frameOf('bare', BARE, "TypeError('bad cron')"),
        },
        {
          kind: 'throw',
          name: 'Error',
          message: expect.stringContaining('bad class') as string,
          frame: frameOf('classy', CLASSY, "Error('bad class')"),
        },
      ])
    await seen(bare)
    await seen(classy)
  })

  test('what fails after the handler is told too', async () => {
    const { bare } = workers()
    await run(bare, 'late')
    await expect
      .poll(() => bare.faults)
      .toMatchObject([
        {
          message: expect.stringContaining('bad afterwards') as string,
          frame: frameOf('bare', BARE, "Error('bad afterwards')"),
        },
      ])
    await seen(bare)
  })

  test('a handler that is not there is an exception, as in the cloud, and its author reads which', async () => {
    const { queues } = workers()
    expect(await run(queues, 'x')).toBe('500 exception')
    await expect
      .poll(() => queues.faults)
      .toMatchObject([{ message: expect.stringContaining('a scheduled handler') as string }])
  })

  test('the paths are not there on a server that others reach: they are the worker’s own', async () => {
    await using serving = await serveProject({ bare: BARE }, { mode: 'serve' })
    expect(await run(serving.worker('bare'), 'x')).toBe('[]')
  })
})

test('a reload lets a handler end that no request waits for', async () => {
  const code = (version: string) => `${SEEN}
export default {
  fetch: () => new Response('${version}'),
  async scheduled(event, env) {
    await env.KV.put('begun', '${version}')
    await scheduler.wait(600)
    await env.KV.put('ended', '${version}')
  },
}`
  const config = { kv_namespaces: [{ binding: 'KV', id: 'x' }] }
  await using slow = await serveProject({ slow: { code: code('one'), config } })
  const worker = slow.worker('slow')
  const running = runEvent({ app: slow.app, name: 'slow', source: 'workers:cron', event: {} })
  const began = performance.now()
  await expect.poll(() => performance.now() - began).toBeGreaterThan(100)
  await worker.save({ code: code('two'), config })
  expect(await worker.text()).toBe('two')
  expect((await running).functionError).toBeUndefined()
})

test('a handler that computes without end is ended at the limit, and the next one runs', async () => {
  const code = `export default {
  fetch: () => new Response('there'),
  scheduled({ cron }) {
    while (cron === 'loops');
  },
}`
  await using looping = await serveProject({ loop: { code, config: { limits: { cpu_ms: 300 } } } })
  const worker = looping.worker('loop')
  expect(await run(worker, 'loops')).toContain('500 loop: the runtime ended while the handler ran')
  await expect.poll(() => worker.faults).toMatchObject([{ kind: 'timeout' }])
  await expect.poll(() => run(worker, 'x'), { timeout: 5_000 }).toBe('ok')
})

test('a consumer that computes without end is ended too, though no request waits', async () => {
  const code = `export default {
  async fetch(request, env) {
    await env.JOBS.send('loop')
    return new Response('sent')
  },
  queue() {
    while (true);
  },
}`
  const queues = {
    producers: [{ binding: 'JOBS', queue: 'loops' }],
    consumers: [{ queue: 'loops', max_batch_timeout: 0, max_retries: 0 }],
  }
  await using looping = await serveProject({ loop: { code, config: { queues, limits: { cpu_ms: 300 } } } })
  const worker = looping.worker('loop')
  await worker.text('/')
  await expect.poll(() => worker.faults, { timeout: 8_000 }).toMatchObject([{ kind: 'timeout' }])
}, 20_000)

describe('queue', () => {
  test('a message that fails comes again, then goes to the dead letters; each failure is told with its line', async () => {
    const { queues } = workers()
    await queues.text('/?send=good')
    await expect.poll(() => seen(queues), { timeout: 8_000 }).toEqual([['jobs', 'good 1']])
    const heard: unknown[] = []
    await queues.text('/?send=bad')
    await expect
      .poll(async () => heard.push(...(await seen(queues))) && heard, { timeout: 8_000 })
      .toEqual([
        ['jobs', 'bad 1'],
        ['jobs', 'bad 2'],
        ['dead', 'bad 1'],
      ])
    const frame = frameOf('queues', QUEUES, "Error('bad message')")
    await expect
      .poll(() => queues.faults)
      .toMatchObject([
        { message: 'bad message (queue)', frame },
        { message: 'bad message (queue)', frame },
      ])
  })
})

describe('alarms', () => {
  test('one that fails is told with its line, and comes again', async () => {
    const { objects } = workers()
    await objects.text('/')
    await expect.poll(() => seen(objects), { timeout: 5_000 }).toEqual(['alarm 0'])
    const heard: unknown[] = []
    await objects.text('/fails')
    await expect
      .poll(async () => heard.push(...(await seen(objects))) && heard, { timeout: 10_000 })
      .toEqual(['alarm 0', 'alarm 1'])
    expect(objects.faults).toMatchObject([
      {
        name: 'RangeError',
        message: expect.stringContaining('bad alarm') as string,
        frame: frameOf('objects', OBJECTS, "RangeError('bad alarm')"),
      },
    ])
  }, 20_000)
})

describe('tail', () => {
  test('hears requests and crons of another worker; its own failure is told with its line', async () => {
    const { heard, ear } = workers()
    await heard.text('/')
    await run(heard, 'x')
    await run(heard, 'throws')
    const events: unknown[] = []
    await expect
      .poll(async () => events.push(...(await seen(ear))) && events)
      .toEqual([
        ['ok', 'GET', 'said'],
        ['ok', 'x', 'on time'],
        ['ok', 'throws', 'on time'],
      ])
    await expect
      .poll(() => ear.faults)
      .toMatchObject([{ message: 'bad ear (tail)', frame: frameOf('ear', EAR, "Error('bad ear')") }])
  })
})

describe('classes', () => {
  test('a class takes batches and emails as a plain export does', async () => {
    const { classy } = workers()
    const post = async (path: string, body: string): Promise<number> => {
      const url = `${project.gateway.url}/_flexi/f/classy${path}`
      return (await fetch(url, { method: 'POST', body })).status
    }
    expect(await post('/cdn-cgi/handler/queue?queue=q', '[{"body":1}]')).toBe(200)
    const mail = 'From: a@x\r\nTo: b@x\r\nMessage-ID: <1@x>\r\n\r\nhi'
    expect(await post('/cdn-cgi/handler/email?from=a@x&to=b@x', mail)).toBe(200)
    expect(await seen(classy)).toEqual([[1], 'a@x'])
  })
})
