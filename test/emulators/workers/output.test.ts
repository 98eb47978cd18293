import { readFileSync } from 'node:fs'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'

import type { FunctionFault } from '../../../src/core/function.ts'
import { serveProject, type Project, type ProjectWorker } from './project.ts'

const MAIN = `import { DurableObject, WorkerEntrypoint, WorkflowEntrypoint } from 'cloudflare:workers'
import { helper } from 'helper'

class MyError extends Error {
  override name = 'MyError'
}

export class Thing extends DurableObject {
  async fetch(request: Request): Promise<Response> {
    if (new URL(request.url).pathname !== '/socket') throw new MyError('object fetch')
    const pair = new WebSocketPair()
    this.ctx.acceptWebSocket(pair[1])
    return new Response(null, { status: 101, webSocket: pair[0] })
  }
  async method(): Promise<void> {
    throw new MyError('object method')
  }
  quiet(): string {
    try {
      return this.fails()
    } catch {
      return 'caught'
    }
  }
  fails(): string {
    throw new MyError('never told')
  }
  async arm(): Promise<void> {
    await this.ctx.storage.setAlarm(Date.now())
  }
  async alarm(): Promise<void> {
    if (await this.ctx.storage.get('rang')) return
    await this.ctx.storage.put('rang', true)
    throw new MyError('object alarm')
  }
  async webSocketMessage(): Promise<void> {
    throw new MyError('object message')
  }
}

export class Broken extends DurableObject {
  constructor(ctx: DurableObjectState, env: unknown) {
    super(ctx, env)
    throw new MyError('object begin')
  }
  method(): void {}
}

export class Flow extends WorkflowEntrypoint {
  async run(_event: unknown, step: any): Promise<void> {
    await step.do('first', { retries: { limit: 0, delay: 1 } }, async () => {
      throw new MyError('in a step')
    })
  }
}

export default {
  async fetch(request: Request, env: any, ctx: any): Promise<Response> {
    const { pathname } = new URL(request.url)
    const thing = env.THING.get(env.THING.idFromName('one'))
    switch (pathname) {
      case '/throw':
        throw new MyError('plain', { cause: new TypeError('why') })
      case '/several':
        throw new AggregateError([new MyError('one of them')], 'several')
      case '/huge':
        throw new MyError('x'.repeat(100_000))
      case '/text':
        throw 'only text'
      case '/object':
        throw { an: 'object' }
      case '/helper':
        return helper()
      case '/reject':
        void Promise.reject(new MyError('nobody waits'))
        return new Response('fine')
      case '/wait-until':
        ctx.waitUntil(Promise.reject(new MyError('too late')))
        return new Response('fine')
      case '/timer':
        setTimeout(() => {
          throw new MyError('in a timer')
        }, 1)
        await scheduler.wait(20)
        return new Response('fine')
      case '/socket':
        return socket()
      case '/object-socket':
        return thing.fetch('http://x/socket', request)
      case '/object-fetch':
        return thing.fetch('http://x/')
      case '/object-method':
        return new Response(String(await thing.method()))
      case '/object-quiet':
        return new Response(await thing.quiet())
      case '/object-begin':
        return new Response(String(await env.BROKEN.get(env.BROKEN.idFromName('one')).method()))
      case '/alarm':
        await thing.arm()
        return new Response('fine')
      case '/flow':
        await env.FLOW.create()
        return new Response('fine')
      case '/queue':
        await env.QUEUE.send('x')
        return new Response('fine')
      case '/rpc':
        return new Response(String(await env.OTHER.method()))
      case '/rpc-caught':
        return new Response(await env.OTHER.method().catch((error: Error) => 'caught ' + error.message))
      case '/other':
        return env.OTHER.fetch('http://x/')
      case '/other-caught':
        return await env.OTHER.fetch('http://x/').catch((error: Error) => new Response('caught ' + error.message))
      case '/hangs':
        return new Promise(() => undefined)
      case '/used': {
        const used = new Response('x')
        await used.text()
        return used
      }
      case '/stream':
        return new Response(
          new ReadableStream({
            pull() {
              throw new MyError('in a stream')
            },
          }),
        )
      default:
        console.log('main', pathname)
        return new Response('ok')
    }
  },
  async queue(): Promise<void> {
    throw new MyError('in a queue')
  },
}

function socket(): Response {
  const pair = new WebSocketPair()
  pair[1].accept()
  pair[1].addEventListener('message', () => {
    throw new MyError('in a listener')
  })
  return new Response(null, { status: 101, webSocket: pair[0] })
}
`

const OTHER = `import { WorkerEntrypoint } from 'cloudflare:workers'

class OtherError extends Error {
  override name = 'OtherError'
}

export default class extends WorkerEntrypoint {
  async fetch(request: Request): Promise<Response> {
    if (request.url.includes('log')) {
      console.log('other', { deep: new Map([['a', 1]]) })
      return new Response('ok')
    }
    throw new OtherError('other fetch')
  }
  async method(): Promise<void> {
    throw new OtherError('other method')
  }
}
`

const HELPER = `export function helper() {
  throw new Error('in a package')
}
`

let project: Project
beforeAll(async () => {
  project = await serveProject({
    main: {
      code: MAIN,
      files: {
        'node_modules/helper/index.js': HELPER,
        'node_modules/helper/package.json': '{ "name": "helper", "main": "index.js" }',
      },
      config: {
        services: [{ binding: 'OTHER', service: 'other' }],
        durable_objects: {
          bindings: [
            { name: 'THING', class_name: 'Thing' },
            { name: 'BROKEN', class_name: 'Broken' },
          ],
        },
        migrations: [{ tag: 'v1', new_sqlite_classes: ['Thing', 'Broken'] }],
        workflows: [{ binding: 'FLOW', name: 'flow', class_name: 'Flow' }],
        queues: {
          producers: [{ binding: 'QUEUE', queue: 'jobs' }],
          consumers: [{ queue: 'jobs', max_batch_timeout: 0, max_retries: 0 }],
        },
      },
    },
    other: { code: OTHER },
  })
}, 30_000)
afterAll(() => project[Symbol.asyncDispose]())

const line = (text: string, code: string): number =>
  code.split('\n').findIndex((one) => one.includes(text)) + 1

/** Runs it and waits for as many faults, of both workers, as are expected; and for none that come late. */
async function faultsOf(path: string): Promise<FunctionFault[]> {
  const workers = [project.worker('main'), project.worker('other')]
  for (const { faults } of workers) faults.length = 0
  await project.worker('main').ask(path)
  await expect
    .poll(() => workers.flatMap(({ faults }) => faults).length, { timeout: 8_000 })
    .toBeGreaterThan(0)
  // What would be told twice is told by a line and an answer, or by two workers, at most so far apart.
  await new Promise((resolve) => setTimeout(resolve, 400))
  return workers.flatMap(({ faults }) => faults)
}

const frame = (text: string): object => ({
  place: { file: join(project.directory, 'main/index.ts'), line: line(text, MAIN) },
  text: MAIN.split('\n')[line(text, MAIN) - 1],
})

test('what is wrong with _redirects is told once, however often they are read', async () => {
  const config = { assets: { directory: 'public' } }
  const code = (text: string) => `export default { fetch: () => new Response('${text}') }`
  const files = { 'public/_redirects': 'nonsense\n', 'public/page.html': 'page' }
  await using served = await serveProject({ site: { config, code: code('one'), files } })
  const site = served.worker('site')
  expect(await site.text('/page')).toBe('page')
  await site.save({ config: { ...config, vars: { A: 1 } }, code: code('two') })
  await site.save({ config: { ...config, vars: { A: 2 } }, code: code('three') })
  expect(await site.text('/none')).toBe('three')
  const told = site.lines.filter(({ text }) => text.includes('invalid redirect rule'))
  expect(told.map(({ text }) => text)).toEqual([expect.stringMatching(/nonsense$/)])
}, 20_000)

describe('each failure reaches its author once, with the line', () => {
  test.each([
    ['a throw', '/throw', 'plain', "'plain'"],
    ['an AggregateError', '/several', 'several', "'several'"],
    ['a rejection that nobody waits for', '/reject', 'nobody waits (unhandled rejection)', "'nobody waits'"],
    ['what waitUntil waits for', '/wait-until', 'too late (waitUntil)', "'too late'"],
    ['a timer', '/timer', 'in a timer (setTimeout)', "'in a timer'"],
    ['fetch of an object', '/object-fetch', 'object fetch (Thing.fetch)', "'object fetch'"],
    ['a method of an object', '/object-method', 'object method (Thing.method)', "'object method'"],
    ['the constructor of an object', '/object-begin', 'object begin (new Broken)', "'object begin'"],
    ['an alarm', '/alarm', 'object alarm (Thing.alarm)', "'object alarm'"],
    ['a step of a workflow', '/flow', 'in a step (step first)', "'in a step'"],
    ['a queue', '/queue', 'in a queue (queue)', "'in a queue'"],
  ])('%s', async (_kind, path, message, text) => {
    expect(await faultsOf(path)).toMatchObject([{ function: 'main', message, frame: frame(text) }])
  })

  test.each([
    ['a listener of a WebSocket', '/socket', 'in a listener (WebSocket message)', "'in a listener'"],
    [
      'a WebSocket that an object holds',
      '/object-socket',
      'object message (Thing.webSocketMessage)',
      "'object message'",
    ],
  ])('%s', async (_kind, path, message, text) => {
    const { faults } = project.worker('main')
    faults.length = 0
    const socket = new WebSocket(`ws://127.0.0.1:${project.gateway.port}${path}`, {
      headers: { host: 'main.localhost' },
    })
    socket.on('error', () => undefined)
    await new Promise((resolve) => socket.once('open', resolve))
    socket.send('x')
    await expect.poll(() => faults).toMatchObject([{ message, frame: frame(text) }])
    socket.terminate()
  })

  test.each([
    ['/rpc', 'other method', 'OtherError'],
    ['/rpc-caught', 'other method', 'OtherError'],
    ['/other', 'other fetch', 'OtherError'],
    ['/other-caught', 'other fetch', 'OtherError'],
  ])('%s throws in another worker, whose line it is', async (path, message, name) => {
    const faults = await faultsOf(path)
    const place = { file: join(project.directory, 'other/index.ts'), line: line(`'${message}'`, OTHER) }
    expect(faults).toMatchObject([{ function: 'other', name, frame: { place } }])
  })

  test('in a package, with the first line of the author’s own', async () => {
    const [fault, ...rest] = await faultsOf('/helper')
    expect(rest).toEqual([])
    expect(fault).toMatchObject({ message: 'in a package', frame: frame('return helper()') })
    expect(fault?.stack).toContain(join(project.directory, 'main/node_modules/helper/index.js:2:9'))
  })

  test.each([
    ['/hangs', 'code had hung'],
    ['/used', 'Body has already been used'],
  ])('%s: what the runtime ends itself is told in its words', async (path, words) => {
    expect(await faultsOf(path)).toMatchObject([
      { function: 'main', message: expect.stringContaining(words) },
    ])
    expect(await project.worker('main').ask(path)).toEqual({ status: 500, text: 'error code: 1101' })
  })

  test('what a stream throws is told, though workerd does not say where', async () => {
    expect(await faultsOf('/stream')).toMatchObject([{ message: 'MyError: in a stream' }])
  })
})

test('what an object catches of itself is nobody’s news', async () => {
  project.worker('main').faults.length = 0
  expect(await project.worker('main').text('/object-quiet')).toBe('caught')
  await project.worker('main').text('/')
  expect(project.worker('main').faults).toEqual([])
})

test('a worker that is called rejects, as on Cloudflare and not as under wrangler, and clients see no stack', async () => {
  expect(await project.worker('main').text('/other-caught')).toBe('caught OtherError: other fetch')
  expect(await project.worker('main').ask('/other')).toEqual({ status: 500, text: 'error code: 1101' })
})

test('causes and the errors of an AggregateError are in the stack', async () => {
  const [thrown] = await faultsOf('/throw')
  expect(thrown?.stack).toMatch(
    /^MyError: plain\n {4}at [^\n]*index\.ts:\d+:\d+\)\n\[cause\]: TypeError: why\n {4}at /,
  )
  const [several] = await faultsOf('/several')
  expect(several?.stack).toContain('[errors 0]: MyError: one of them\n')
  expect(several?.stack).not.toContain('flexi-facade')
})

test('what is no error says what it is and that it has no place; a huge message is cut', async () => {
  expect(await faultsOf('/text')).toMatchObject([
    { name: 'string', message: 'only text', hint: expect.stringContaining('Throw an Error') },
  ])
  expect(await faultsOf('/object')).toMatchObject([{ name: 'object', message: '{"an":"object"}' }])
  const [huge] = await faultsOf('/huge')
  expect(huge?.message).toHaveLength(16_385)
  expect(huge?.frame?.place.line).toBe(line("'x'.repeat", MAIN))
})

test('lines of workers that share a process are each their own function’s', async () => {
  const [main, other] = [project.worker('main'), project.worker('other')]
  await main.text('/seen')
  await other.text('/log')
  await expect
    .poll(() => other.lines)
    .toContainEqual({ stream: 'stdout', level: 'info', text: "other { deep: Map(1) { 'a' => 1 } }" })
  expect(main.lines).toContainEqual({ stream: 'stdout', level: 'info', text: 'main /seen' })
  expect(main.lines.map(({ text }) => text)).not.toContain("other { deep: Map(1) { 'a' => 1 } }")
})

const CONSOLE = `export default {
  async fetch(request: Request): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url)
    if (pathname === '/many') {
      for (let count = 0; count < Number(searchParams.get('n')); count++) console.log('line ' + count)
      return new Response('done')
    }
    if (pathname === '/quick') return new Response('quick')
    run[pathname.slice(1)]?.()
    return new Response('ok')
  },
}
class Point {
  constructor(readonly x: number) {}
}
const circular: any = { name: 'c' }
circular.self = circular
const run: Record<string, () => void> = {
  levels() {
    for (const level of ['debug', 'info', 'log', 'warn', 'error'] as const) console[level](level)
  },
  values() {
    console.log({ a: { b: { c: { d: 1 } } } }, circular, new Map([['k', 1]]), new Set([1]), new Point(1), new Uint8Array(2))
    console.log(null, undefined, 1n, Symbol('s'), '')
    console.log()
    console.log('  spaces')
    console.log(['first'], 'second')
  },
  formats() {
    console.log('%s %d %i %f %j %o %O %% %c end', 'text', 1.5, 1.5, 1.5, { j: 1 }, { o: 1 }, { O: 1 }, 'color: red')
    console.log('100%', 'sure')
    console.log({}, '%s')
  },
  colours() {
    console.log('\\u001b[31mred\\u001b[0m')
  },
  lines() {
    console.log('one\\n  two\\nthree')
  },
  error() {
    console.error('seen', new RangeError('shown', { cause: new Error('why') }))
  },
  table() {
    console.table([{ a: 1, b: 'x' }, { a: 2, c: null }])
    console.table(new Map([['k', 1]]))
    console.table([1, 'two'])
    console.table([{ a: 1, b: 2 }], ['b'])
    console.table('no table')
  },
  group() {
    console.group('outer')
    console.log('in\\nside')
    console.group()
    console.warn({ a: 1 })
    console.groupEnd()
    console.groupEnd()
    console.groupEnd()
    console.log('out')
  },
  count() {
    console.count()
    console.count('x')
    console.count()
    console.countReset()
    console.count()
  },
  time() {
    console.time('t')
    console.timeLog('t', { more: 1 })
    console.timeEnd('t')
    console.timeEnd('t')
  },
  trace() {
    console.trace('here %s', 'now')
  },
  assert() {
    console.assert(true, 'no')
    console.assert(false)
    console.assert(false, 'text %s', 'x')
    console.assert(false, { an: 'object' })
  },
  dir() {
    console.dir({ a: { b: 1 } })
    console.dirxml({ c: 1 }, 2)
  },
}
`

describe('console', () => {
  let own: Project
  let worker: ProjectWorker
  beforeAll(async () => {
    own = await serveProject({ one: { code: CONSOLE } })
    worker = own.worker('one')
  }, 20_000)
  afterAll(() => own[Symbol.asyncDispose]())

  async function printed(name: string, count: number): Promise<string[]> {
    worker.lines.length = 0
    await worker.text(`/${name}`)
    await expect.poll(() => worker.lines.length).toBeGreaterThanOrEqual(count)
    return worker.lines.map(({ text }) => text)
  }

  test('every level is printed, warnings and errors as what they are', async () => {
    await printed('levels', 5)
    expect(worker.lines).toEqual([
      { stream: 'stdout', level: 'info', text: 'debug' },
      { stream: 'stdout', level: 'info', text: 'info' },
      { stream: 'stdout', level: 'info', text: 'log' },
      { stream: 'stderr', level: 'warn', text: 'warn' },
      { stream: 'stderr', level: 'error', text: 'error' },
    ])
  })

  test('values look as Node.js prints them', async () => {
    expect(await printed('values', 5)).toEqual([
      "{ a: { b: { c: [Object] } } } <ref *1> { name: 'c', self: [Circular *1] } Map(1) { 'k' => 1 } Set(1) { 1 } Point { x: 1 } Uint8Array(2) [ 0, 0 ]",
      'null undefined 1n Symbol(s) ',
      '',
      '  spaces',
      "[ 'first' ] second",
    ])
  })

  test('formats are filled in, and a percent sign is one', async () => {
    expect(await printed('formats', 3)).toEqual([
      'text 1.5 1 1.5 {"j":1} { o: 1 } { O: 1 } %  end',
      '100% sure',
      '{} %s',
    ])
  })

  test('colours and several lines stay as they are', async () => {
    expect(await printed('colours', 1)).toEqual(['\u001b[31mred\u001b[0m'])
    expect(await printed('lines', 1)).toEqual(['one\n  two\nthree'])
  })

  test('stacks that are printed lead to the sources, without frames of ours', async () => {
    const [text] = await printed('error', 1)
    const file = join(own.directory, 'one/index.ts')
    const at = line("'shown'", readFileSync(file, 'utf8'))
    expect(text).toMatch(/^seen RangeError: shown\n/)
    expect(text).toContain(`(${file}:${at}:`)
    expect(text).toContain('[cause]: Error: why\n')
    expect(text).not.toMatch(/flexi-(?:facade|console)/)
  })

  test('what workerd prints nothing of is printed too', async () => {
    expect(await printed('table', 5)).toEqual([
      "┌─────────┬───┬─────┬──────┐\n│ (index) │ a │ b   │ c    │\n├─────────┼───┼─────┼──────┤\n│ 0       │ 1 │ 'x' │      │\n│ 1       │ 2 │     │ null │\n└─────────┴───┴─────┴──────┘",
      "┌───────────────────┬─────┬────────┐\n│ (iteration index) │ Key │ Values │\n├───────────────────┼─────┼────────┤\n│ 0                 │ 'k' │ 1      │\n└───────────────────┴─────┴────────┘",
      "┌─────────┬────────┐\n│ (index) │ Values │\n├─────────┼────────┤\n│ 0       │ 1      │\n│ 1       │ 'two'  │\n└─────────┴────────┘",
      '┌─────────┬───┐\n│ (index) │ b │\n├─────────┼───┤\n│ 0       │ 2 │\n└─────────┴───┘',
      'no table',
    ])
    expect(await printed('group', 4)).toEqual(['outer', '  in\n  side', '    { a: 1 }', 'out'])
    expect(await printed('count', 4)).toEqual(['default: 1', 'x: 1', 'default: 2', 'default: 1'])
    expect(await printed('time', 2)).toEqual([
      expect.stringMatching(/^t: [\d.]+ms \{ more: 1 \}$/),
      expect.stringMatching(/^t: [\d.]+ms$/),
    ])
    const [trace] = await printed('trace', 1)
    expect(trace).toMatch(/^Trace: here now \n {4}at Object\.trace \(.*one\/index\.ts:\d+:\d+\)\n/)
    expect(await printed('assert', 3)).toEqual([
      'Assertion failed',
      'Assertion failed: text x',
      "Assertion failed: { an: 'object' }",
    ])
    expect(worker.lines.every(({ stream }) => stream === 'stderr')).toBe(true)
    expect(await printed('dir', 2)).toEqual(['{ a: { b: 1 } }', '{ c: 1 } 2'])
  })

  test('a hundred thousand lines all arrive, in order, while other requests are answered', async () => {
    worker.lines.length = 0
    const before = process.memoryUsage().rss
    const many = worker.text('/many?n=100000')
    const times: number[] = []
    let isDone = false
    void many.then(() => (isDone = true))
    while (!isDone) {
      const start = performance.now()
      expect(await worker.text('/quick')).toBe('quick')
      times.push(performance.now() - start)
    }
    await expect.poll(() => worker.lines.length, { timeout: 10_000 }).toBe(100_000)
    expect(worker.lines.every(({ text }, index) => text === `line ${index}`)).toBe(true)
    // The lines themselves take 15 MB here.
    expect(process.memoryUsage().rss - before).toBeLessThan(200 * 1024 * 1024)
    expect(times.length).toBeGreaterThan(0)
  }, 30_000)
})
