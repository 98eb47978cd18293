import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { request } from 'node:http'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

import { afterEach, expect, test, vi } from 'vitest'
import { WebSocket } from 'ws'

import { findGenerated, readMappings } from '../../../src/emulators/workers/mappings.ts'
import { serveProject, type Project } from './project.ts'
import { runtimes } from './serve.ts'

interface Location {
  readonly scriptId: string
  readonly lineNumber: number
  readonly columnNumber: number
}

interface Message {
  readonly id?: number
  readonly method?: string
  readonly params?: Record<string, unknown>
  readonly result?: Record<string, unknown>
  readonly error?: { readonly message: string }
}

interface Paused {
  readonly callFrames: readonly { readonly callFrameId: string; readonly location: Location }[]
  readonly hitBreakpoints: readonly string[]
}

interface Script {
  readonly scriptId: string
  readonly url: string
  readonly sourceMapURL: string
}

interface SourceMap {
  readonly sources: readonly string[]
  readonly mappings: string
}

/** A DevTools client that reads source maps, as editors do. */
class Editor {
  readonly socket: WebSocket
  readonly events: Message[] = []
  readonly #answers = new Map<number, (message: Message) => void>()
  #calls = 0

  private constructor(socket: WebSocket) {
    this.socket = socket
    socket.on('message', (data: Buffer) => {
      const message = JSON.parse(data.toString()) as Message
      if (message.id === undefined) this.events.push(message)
      else this.#answers.get(message.id)?.(message)
    })
  }

  static async attach(url: string): Promise<Editor> {
    const socket = new WebSocket(url)
    const editor = new Editor(socket)
    await new Promise((resolve, reject) => {
      socket.once('open', resolve)
      socket.once('error', reject)
    })
    await editor.send('Runtime.enable')
    await editor.send('Debugger.enable')
    return editor
  }

  async send(method: string, params: object = {}): Promise<Record<string, unknown>> {
    const id = ++this.#calls
    const message = await new Promise<Message>((resolve) => {
      this.#answers.set(id, resolve)
      this.socket.send(JSON.stringify({ id, method, params }))
    })
    if (message.error !== undefined) throw new Error(message.error.message)
    return message.result ?? {}
  }

  all<T>(method: string): T[] {
    return this.events.filter((event) => event.method === method).map(({ params }) => params as T)
  }

  async next<T>(method: string, count = 1): Promise<T> {
    return await vi.waitFor(
      () => {
        const event = this.all<T>(method)[count - 1]
        if (event === undefined) throw new Error(`no ${method}`)
        return event
      },
      { timeout: 5_000, interval: 10 },
    )
  }

  /** The program's script of the last revision, with its map. */
  program(): { readonly script: Script; readonly map: SourceMap } {
    const script = this.all<Script>('Debugger.scriptParsed').findLast(({ url }) => url.endsWith('/index.js'))
    if (script === undefined) throw new Error('no script')
    const [, data = ''] = script.sourceMapURL.split('base64,')
    return { script, map: JSON.parse(Buffer.from(data, 'base64').toString()) as SourceMap }
  }

  /** Stops at a line (from 1) of a file of the author's. */
  async breakAt(file: string, line: number): Promise<string> {
    const { script, map } = this.program()
    const source = map.sources.indexOf(pathToFileURL(file).href)
    const place = findGenerated(map.mappings, { source, line: line - 1, column: 0 })
    const { breakpointId } = await this.send('Debugger.setBreakpointByUrl', {
      urlRegex: `^${script.url.replaceAll('.', '\\.')}$`,
      lineNumber: place?.line,
      columnNumber: place?.column,
    })
    return breakpointId as string
  }

  /** `file:///…/index.ts:4` */
  placeOf({ callFrames: [frame] }: Paused): string {
    const { map } = this.program()
    const { lineNumber = 0, columnNumber = 0 } = frame?.location ?? {}
    const place = readMappings(map.mappings)(lineNumber, columnNumber)
    return `${map.sources[place?.source ?? -1]}:${(place?.line ?? 0) + 1}`
  }
}

const opened: { close(): unknown }[] = []
afterEach(async () => {
  for (const one of opened.splice(0).toReversed()) await one.close()
})

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  return typeof address === 'object' && address !== null ? address.port : 0
}

interface Listed {
  readonly id: string
  readonly title: string
  readonly webSocketDebuggerUrl: string
}

async function targets(port: number): Promise<Listed[]> {
  return (await (await fetch(`http://127.0.0.1:${port}/json/list`)).json()) as Listed[]
}

async function serve(
  texts: Parameters<typeof serveProject>[0],
  breakAtStart = false,
): Promise<{ project: Project; port: number }> {
  const port = await freePort()
  const project = await serveProject(texts, { inspectPort: port, breakAtStart })
  opened.push({ close: () => project[Symbol.asyncDispose]() })
  // It is opened beside the workers.
  await vi.waitFor(() => targets(port), 5_000)
  return { project, port }
}

async function attach(port: number, index = 0): Promise<Editor> {
  const listed = await targets(port)
  const editor = await Editor.attach(listed[index]?.webSocketDebuggerUrl ?? '')
  opened.push({ close: () => editor.socket.terminate() })
  return editor
}

const COUNTER = `interface Given { readonly name: string }

export default {
  async fetch(request: Request): Promise<Response> {
    const given: Given = { name: new URL(request.url).pathname }
    const greeting = 'hello ' + given.name
    return new Response(greeting)
  },
}
`

test('a breakpoint in TypeScript stops there, shows its variables, and outlasts a reload that moves the line', async () => {
  const { project, port } = await serve({ one: { code: COUNTER } })
  const editor = await attach(port)
  const file = join(project.directory, 'one/index.ts')
  const id = await editor.breakAt(file, 7)
  const answer = project.worker('one').text('/x')
  const paused = await editor.next<Paused>('Debugger.paused')
  expect(editor.placeOf(paused)).toBe(`${pathToFileURL(file).href}:7`)
  expect(paused.hitBreakpoints).toEqual([id])
  const evaluated = await editor.send('Debugger.evaluateOnCallFrame', {
    callFrameId: paused.callFrames[0]?.callFrameId,
    expression: 'greeting + given.name',
  })
  expect(evaluated).toMatchObject({ result: { value: 'hello /x/x' } })
  await editor.send('Debugger.resume')
  expect(await answer).toBe('hello /x')
  await project.worker('one').save({
    code: COUNTER.replace('    const given', '    void 1\n    void 2\n    const given').replace(
      "'hello '",
      "'bye '",
    ),
  })
  await editor.next('Runtime.executionContextsCleared')
  const again = project.worker('one').text('/y')
  const second = await editor.next<Paused>('Debugger.paused', 2)
  // The line of the same number, as nobody has told of another.
  expect(editor.placeOf(second)).toBe(`${pathToFileURL(file).href}:7`)
  expect(second.hitBreakpoints).toEqual([id])
  await editor.send('Debugger.removeBreakpoint', { breakpointId: id })
  await editor.send('Debugger.resume')
  expect(await again).toBe('bye /y')
  expect(await project.worker('one').text('/z')).toBe('bye /z')
})

test('a request that stands at a breakpoint is not ended by the limits of its worker', async () => {
  const limits = { limits: { cpu_ms: 300 } }
  const { project, port } = await serve({ one: { code: COUNTER, config: limits } })
  const editor = await attach(port)
  await editor.breakAt(join(project.directory, 'one/index.ts'), 7)
  const answer = project.worker('one').text('/x')
  await editor.next<Paused>('Debugger.paused')
  // Longer than the limit and the probe that follows it.
  await new Promise((resolve) => setTimeout(resolve, 1_800))
  expect(project.worker('one').faults).toEqual([])
  await editor.send('Debugger.resume')
  expect(await answer).toBe('hello /x')
})

test('a reload lets go of a request that stands at a breakpoint', async () => {
  const { project, port } = await serve({ one: { code: COUNTER } })
  const editor = await attach(port)
  await editor.breakAt(join(project.directory, 'one/index.ts'), 7)
  const answer = project.worker('one').text('/x')
  await editor.next<Paused>('Debugger.paused')
  await project.worker('one').save({ code: COUNTER.replace("'hello '", "'bye '") })
  expect(await answer).toBe('hello /x')
  await editor.next('Debugger.resumed')
})

test('workers of one runtime are listed together under names of their own, and each can be debugged', async () => {
  const caller = `export default { async fetch(request: Request, env: any) {\n  const answer = await env.BACK.fetch(request)\n  return new Response('front ' + (await answer.text()))\n} }\n`
  const { project, port } = await serve({
    front: { code: caller, config: { services: [{ binding: 'BACK', service: 'back' }] } },
    back: { code: COUNTER },
  })
  const listed = await targets(port)
  expect(listed.map(({ title }) => title)).toEqual(['front (Cloudflare Worker)', 'back (Cloudflare Worker)'])
  const editor = await attach(port, 1)
  await editor.breakAt(join(project.directory, 'back/index.ts'), 7)
  const answer = project.worker('front').text('/x')
  const paused = await editor.next<Paused>('Debugger.paused')
  expect(editor.placeOf(paused)).toContain('/back/index.ts:7')
  await editor.send('Debugger.resume')
  expect(await answer).toBe('front hello /x')
  await project.worker('back').save({ code: COUNTER })
  expect((await targets(port)).map(({ id }) => id)).toEqual(listed.map(({ id }) => id))
})

test('with a break at the start requests wait for a debugger, which stops in their first line', async () => {
  const { project, port } = await serve({ one: { code: COUNTER } }, true)
  const answer = project.worker('one').text('/x')
  const editor = await attach(port)
  const paused = await editor.next<Paused>('Debugger.paused')
  expect(editor.placeOf(paused)).toContain('/one/index.ts:5')
  await editor.send('Debugger.resume')
  expect(await answer).toBe('hello /x')
  expect(await project.worker('one').text('/y')).toBe('hello /y')
})

test('a debugger sees the console as the program called it, and what nobody caught', async () => {
  const code = `export default { fetch(request: Request) {
    if (new URL(request.url).pathname === '/throw') throw new TypeError('not caught')
    console.log('one %s', 'two')
    console.log({ three: 3 })
    console.table([{ a: 1 }])
    return new Response('ok')
  } }`
  const { project, port } = await serve({ one: { code } })
  const editor = await attach(port)
  await project.worker('one').text()
  interface Call {
    readonly type: string
    readonly args: readonly { readonly value?: unknown; readonly type: string }[]
    readonly stackTrace: { readonly callFrames: readonly { readonly url: string }[] }
  }
  await editor.next('Runtime.consoleAPICalled', 3)
  const calls = editor.all<Call>('Runtime.consoleAPICalled')
  expect(
    calls.map(({ type, args }) => [type, ...args.map(({ value, type: kind }) => value ?? kind)]),
  ).toEqual([
    ['log', 'one %s', 'two'],
    ['log', 'object'],
    ['table', 'object'],
  ])
  expect(calls.map(({ stackTrace }) => stackTrace.callFrames[0]?.url.endsWith('/one/index.js'))).toEqual([
    true,
    true,
    true,
  ])
  await project.worker('one').text('/throw')
  const thrown = await editor.next<Call>('Runtime.consoleAPICalled', 4)
  expect(thrown.args[0]?.value).toContain('Uncaught (fetch) TypeError: not caught')
})

test('profiles and heap snapshots pass', async () => {
  const { project, port } = await serve({ one: { code: COUNTER } })
  const editor = await attach(port)
  await editor.send('Profiler.enable')
  await editor.send('Profiler.start')
  await project.worker('one').text()
  expect(await editor.send('Profiler.stop')).toMatchObject({ profile: { nodes: expect.any(Array) } })
  await editor.send('HeapProfiler.takeHeapSnapshot', { reportProgress: false })
  const chunks = editor.all<{ chunk: string }>('HeapProfiler.addHeapSnapshotChunk').map(({ chunk }) => chunk)
  expect(JSON.parse(chunks.join(''))).toHaveProperty('snapshot')
})

test('a second debugger is turned away, and the next may come when the first has gone', async () => {
  const { port } = await serve({ one: { code: COUNTER } })
  const first = await attach(port)
  const [target] = await targets(port)
  const second = new WebSocket(target?.webSocketDebuggerUrl ?? '')
  const code = await new Promise((resolve) => second.once('close', resolve))
  expect(code).toBe(1013)
  const gone = new Promise((resolve) => first.socket.once('close', resolve))
  first.socket.close()
  await gone
  const third = await attach(port)
  expect(third.program().map.sources).toEqual([expect.stringMatching(/^file:\/\/\/.*\/one\/index\.ts$/)])
})

test('a debugger that comes after a reload finds the new program, when the one before had to be ended', async () => {
  const looping = {
    code: `export default { fetch() { while (true) {} } }`,
    config: { limits: { cpu_ms: 1000 } },
  }
  const { project, port } = await serve({ one: looping })
  const one = project.worker('one')
  const pids = runtimes()
  const stuck = one.ask()
  await one.save({ code: COUNTER })
  expect(await stuck).toMatchObject({ status: 503 })
  await vi.waitFor(() => expect(runtimes().filter((pid) => pids.includes(pid))).toEqual([]), 5_000)
  expect(await one.text('/x')).toBe('hello /x')
  const editor = await attach(port)
  expect((await editor.next<Script>('Debugger.scriptParsed')).url).not.toBe('')
}, 20_000)

function ask(port: number, headers: Record<string, string>): Promise<number> {
  return new Promise((resolve, reject) => {
    request({ host: '127.0.0.1', port, path: '/json/list', headers }, (response) => {
      response.resume()
      resolve(response.statusCode ?? 0)
    })
      .once('error', reject)
      .end()
  })
}

test('a web page reaches neither the list nor a debugger, because it would run code here', async () => {
  const { port } = await serve({ one: { code: COUNTER } })
  expect(await ask(port, { host: `evil.example:${port}` })).toBe(403)
  expect(await ask(port, { host: `localhost:${port}` })).toBe(200)
  expect(await ask(port, { host: `[::1]:${port}` })).toBe(200)
  const [target] = await targets(port)
  const opens = (options: object): Promise<number> =>
    new Promise((resolve) => {
      const socket = new WebSocket(target?.webSocketDebuggerUrl ?? '', options)
      socket.once('unexpected-response', (_request, response) => resolve(response.statusCode ?? 0))
      socket.once('open', () => {
        socket.terminate()
        resolve(101)
      })
      socket.once('error', () => undefined)
    })
  expect(await opens({ origin: 'http://localhost:8069' })).toBe(403)
  expect(await opens({ origin: 'https://evil.example' })).toBe(403)
  expect(await opens({ headers: { host: 'evil.example' } })).toBe(403)
  expect(await opens({ origin: 'devtools://devtools' })).toBe(101)
})

test('a second debugger that speaks nonsense ends nothing', async () => {
  const { port, project } = await serve({ one: { code: COUNTER } })
  await attach(port)
  const [target] = await targets(port)
  const { pathname } = new URL(target?.webSocketDebuggerUrl ?? '')
  const socket = connect(port, '127.0.0.1').on('error', () => undefined)
  const key = 'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=='
  socket.write(
    `GET ${pathname} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${key}\r\n\r\n`,
  )
  socket.write(Buffer.from([0xff, 0xff, 0xff, 0xff]))
  socket.resume()
  await once(socket, 'close')
  expect(await project.worker('one').text('/x')).toBe('hello /x')
})

test('a debugger that is refused and gone at once ends nothing', async () => {
  const { port, project } = await serve({ one: { code: COUNTER } })
  const head = 'Connection: Upgrade\r\nUpgrade: websocket\r\nHost: localhost\r\nOrigin: http://evil.example'
  for (let count = 0; count < 50; count += 1) {
    const socket = connect(port, '127.0.0.1').on('error', () => undefined)
    await once(socket, 'connect')
    socket.write(`GET /x HTTP/1.1\r\n${head}\r\n\r\n${'x'.repeat(20_000)}`)
    await new Promise(setImmediate)
    socket.resetAndDestroy()
  }
  // An error that nobody listens to fails the whole run.
  expect(await ask(port, { host: `localhost:${port}` })).toBe(200)
  expect(await project.worker('one').text('/x')).toBe('hello /x')
})

test('a port that is taken is said, and the worker serves all the same', async () => {
  const taken = createServer()
  const port = await freePort()
  await new Promise<void>((resolve) => taken.listen(port, '127.0.0.1', resolve))
  opened.push({ close: () => new Promise((resolve) => taken.close(resolve)) })
  const project = await serveProject({ one: { code: COUNTER } }, { inspectPort: port })
  opened.push({ close: () => project[Symbol.asyncDispose]() })
  expect(await project.worker('one').text('/x')).toBe('hello /x')
  expect(project.worker('one').lines.map(({ text }) => text)).toContainEqual(
    expect.stringContaining(`no debugger can attach at 127.0.0.1:${port}: the port is in use`),
  )
})
