import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, beforeEach, expect, test } from 'vitest'
import { WebSocket } from 'ws'

import { startApp, type App } from '../../src/app.ts'
import type { DevEvent } from '../../src/core/events.ts'
import type { AbsolutePath } from '../../src/core/place.ts'

let directory: AbsolutePath
const opened: AsyncDisposable[] = []
const events: DevEvent[] = []

beforeEach(async () => {
  directory = (await mkdtemp(join(tmpdir(), 'flexi-test-'))) as AbsolutePath
  events.length = 0
  await writeFile(
    join(directory, 'flexi.jsonc'),
    JSON.stringify({
      functions: { slow: { provider: 'lambda', handler: 'slow.handler', timeout: 1 } },
    }),
  )
})
afterEach(async () => {
  for (const one of opened.splice(0).toReversed()) await one[Symbol.asyncDispose]()
  await rm(directory, { recursive: true, force: true })
})

interface Message {
  readonly method?: string
  readonly params: {
    readonly scriptId: string
    readonly url: string
    readonly callFrames: readonly { readonly location: { readonly scriptId: string } }[]
  }
}

/** Waits until somebody listens there. */
async function debuggerUrl(port: number): Promise<string> {
  for (;;) {
    const response = await fetch(`http://127.0.0.1:${port}/json/list`).catch(() => undefined)
    const [target] = ((await response?.json()) ?? []) as { webSocketDebuggerUrl: string }[]
    if (target !== undefined) return target.webSocketDebuggerUrl
    await new Promise((resolve) => setImmediate(resolve))
  }
}

/** A DevTools client, as editors are. */
class Debugger implements AsyncDisposable {
  readonly #socket: WebSocket
  readonly #scripts = new Map<string, string>()
  readonly #paused: string[] = []
  #calls = 0

  constructor(socket: WebSocket) {
    this.#socket = socket
    socket.on('message', (data: Buffer) => {
      const { method, params } = JSON.parse(data.toString()) as Message
      if (method === 'Debugger.scriptParsed') this.#scripts.set(params.scriptId, params.url)
      const [frame] = method === 'Debugger.paused' ? params.callFrames : []
      if (frame !== undefined) this.#paused.push(this.#scripts.get(frame.location.scriptId) ?? '')
    })
  }

  static async attach(port: number): Promise<Debugger> {
    const socket = new WebSocket(await debuggerUrl(port))
    await new Promise((resolve) => socket.once('open', resolve))
    const client = new Debugger(socket)
    opened.push(client)
    client.send('Debugger.enable')
    client.send('Runtime.enable')
    return client
  }

  /** How many it knows. */
  get scripts(): number {
    return this.#scripts.size
  }

  /** The scripts in which it stood still. */
  get pauses(): readonly string[] {
    return this.#paused
  }

  send(method: string, params: object = {}): void {
    this.#socket.send(JSON.stringify({ id: ++this.#calls, method, params }))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.terminate()
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  return typeof address === 'object' && address !== null ? address.port : 0
}

async function serve(inspectPort: number, breakAtStart = false): Promise<App> {
  const app = await startApp({
    directory,
    mode: 'dev',
    port: 0,
    portIsFixed: true,
    environment: {},
    watch: false,
    inspectPort,
    breakAtStart,
    startedAt: performance.timeOrigin,
    onEvent: (event) => events.push(event),
  })
  opened.push(app)
  return app
}

test('a breakpoint holds an invocation for longer than its function may take', async () => {
  await writeFile(
    join(directory, 'slow.mjs'),
    `export const handler = async () => {\n  debugger\n  return 'late'\n}\n`,
  )
  const port = await freePort()
  const app = await serve(port)
  const editor = await Debugger.attach(port)
  const answer = fetch(`${app.url}/`)
  await expect.poll(() => editor.pauses.length, { timeout: 10_000 }).toBe(1)
  expect(editor.pauses[0]).toContain('slow')
  // The time limit of one second passes while the function stands still.
  await new Promise((resolve) => setTimeout(resolve, 1_200))
  editor.send('Debugger.resume')
  expect(await (await answer).text()).toBe('late')
})

test.each([
  ['a module', 'slow.mjs'],
  ['TypeScript', 'slow.ts'],
])('break at start stops before the first line of %s, once a debugger is there', async (_kind, file) => {
  const code = `globalThis['begun'] = true\nexport const handler = async () => 'begun'\n`
  await writeFile(join(directory, file), code)
  const port = await freePort()
  const starting = serve(port, true)
  const editor = await Debugger.attach(port)
  editor.send('Runtime.runIfWaitingForDebugger')
  await expect.poll(() => editor.pauses.length, { timeout: 10_000 }).toBe(1)
  expect(editor.pauses[0]).toContain('slow')
  editor.send('Debugger.resume')
  const app = await starting
  expect(await (await fetch(`${app.url}/`)).text()).toBe('begun')
})

test('the server is there while functions wait for a debugger, and ends though none came', async () => {
  await writeFile(join(directory, 'slow.mjs'), `export const handler = async () => 'begun'\n`)
  const app = await serve(await freePort(), true)
  const listed = await fetch(`${app.url}/_flexi/aws/2015-03-31/functions/`)
  expect(await listed.json()).toMatchObject({ Functions: [{ FunctionName: 'slow' }] })
  await opened.pop()?.[Symbol.asyncDispose]()
  await expect(fetch(app.url)).rejects.toThrow('fetch failed')
})

test('a folder with nothing in it is served where that was asked for', async () => {
  await rm(join(directory, 'flexi.jsonc'))
  const options = {
    directory,
    mode: 'dev',
    port: 0,
    portIsFixed: true,
    environment: {},
    watch: false,
    startedAt: performance.timeOrigin,
    onEvent: (event: DevEvent) => events.push(event),
  } as const
  await expect(startApp(options)).rejects.toMatchObject({ code: 'FLEXI_NO_INPUT' })
  const app = await startApp({ ...options, mayBeEmpty: true })
  opened.push(app)
  const listed = await fetch(`${app.url}/_flexi/aws/2015-03-31/functions/`)
  expect(await listed.json()).toMatchObject({ Functions: [] })
})

async function layWorkers(): Promise<void> {
  await rm(join(directory, 'flexi.jsonc'))
  const functions = {
    one: { provider: 'workers', config: 'one/wrangler.json' },
    two: { provider: 'workers', config: 'two/wrangler.json' },
  }
  await writeFile(
    join(directory, 'flexi.jsonc'),
    JSON.stringify({ functions, routes: [{ path: '/one', to: 'one' }] }),
  )
  for (const name of ['one', 'two']) {
    await mkdir(join(directory, name))
    await writeFile(
      join(directory, name, 'wrangler.json'),
      JSON.stringify({ name, main: 'index.ts', compatibility_date: '2026-01-01' }),
    )
    await writeFile(
      join(directory, name, 'index.ts'),
      `export default {\n  fetch(): Response {\n    debugger\n    return new Response('${name}')\n  },\n}\n`,
    )
  }
}

test('each worker has a port of its own, where it stops at its statements and goes on', async () => {
  await layWorkers()
  const port = await freePort()
  const app = await serve(port)
  await expect.poll(async () => (await fetch(`${app.url}/one`)).status, { timeout: 10_000 }).toBe(200)
  const titles = async (at: number): Promise<string[]> => {
    const listed = (await (await fetch(`http://127.0.0.1:${at}/json/list`)).json()) as { title: string }[]
    return listed.map(({ title }) => title)
  }
  expect([await titles(port), await titles(port + 1)]).toEqual([
    ['one (Cloudflare Worker)'],
    ['two (Cloudflare Worker)'],
  ])
  const editor = await Debugger.attach(port)
  await expect.poll(() => editor.scripts).toBeGreaterThan(0)
  const answer = fetch(`${app.url}/one`)
  await expect.poll(() => editor.pauses.length, { timeout: 10_000 }).toBe(1)
  expect(editor.pauses[0]).toMatch(/\/code\/one\/index\.js$/)
  editor.send('Debugger.resume')
  expect(await (await answer).text()).toBe('one')
})
