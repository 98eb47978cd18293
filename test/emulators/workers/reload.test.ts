import { once } from 'node:events'
import { createServer, request, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text as readText } from 'node:stream/consumers'
import { setTimeout } from 'node:timers/promises'

import { afterEach, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'

import { residentBytes } from '../../../src/instances/memory.ts'
import { serveProject, type Project, type ProjectWorker } from './project.ts'
import { runtimes } from './serve.ts'

let project: Project | undefined

afterEach(async () => {
  await project?.[Symbol.asyncDispose]()
  project = undefined
})

async function serve(code: string, config: Record<string, unknown> = {}): Promise<ProjectWorker> {
  project = await serveProject({ edge: { code, config } })
  return project.worker('edge')
}

const plain = (text: string): string => `export default { fetch: () => new Response('${text}') }`

/** Begins a request, and resolves with its body once that is asked for. */
function begin(path: string): { readonly head: Promise<void>; readonly body: Promise<string> } {
  const { port } = project?.gateway ?? {}
  const outgoing = request({ host: '127.0.0.1', port, path, headers: { host: 'edge.localhost' } })
  const response = once(outgoing.end(), 'response') as Promise<[IncomingMessage]>
  return { head: response.then(() => undefined), body: response.then(([incoming]) => readText(incoming)) }
}

describe('a worker to which nothing but values is bound', () => {
  test('is exchanged inside the running process, where a request under way ends with the old program', async () => {
    const slow = (version: string): string => `let release
    export default { async fetch(request) {
      const { pathname } = new URL(request.url)
      if (pathname === '/release') return (release?.(), new Response('${version}'))
      if (pathname !== '/slow') return new Response('${version}')
      const { readable, writable } = new TransformStream()
      const writer = writable.getWriter()
      writer.write(new TextEncoder().encode('begun by ${version}, '))
      scheduler.wait(300).then(() => writer.write(new TextEncoder().encode('ended by ${version}'))).then(() => writer.close())
      return new Response(readable)
    } }`
    const edge = await serve(slow('v1'))
    const pids = runtimes()
    expect(pids).toHaveLength(1)
    const old = begin('/slow')
    await old.head
    await edge.save({ code: slow('v2') })
    expect(await edge.text()).toBe('v2')
    expect(await old.body).toBe('begun by v1, ended by v1')
    expect(runtimes()).toEqual(pids)
  }, 20_000)

  test('never fails a request while it is edited twenty times', async () => {
    const edge = await serve(plain('v0'))
    const seen = new Set<string>()
    let stopped = false
    const asking = Array.from({ length: 4 }, async () => {
      while (!stopped) seen.add(await edge.text())
    })
    for (let version = 1; version <= 20; version += 1) {
      await edge.save({ code: plain(`v${version}`) })
      expect(await edge.text()).toBe(`v${version}`)
    }
    stopped = true
    await Promise.all(asking)
    expect([...seen].filter((text) => !/^v\d+$/.test(text))).toEqual([])
  }, 30_000)

  test('keeps what it runs when an edit cannot be loaded, and says where', async () => {
    const edge = await serve(plain('v1'))
    const pids = runtimes()
    const saving = edge.save({
      code: `const none: string[] = []\n\nthrow new TypeError('bad ' + none.length)\nexport default {}`,
    })
    await expect(saving).rejects.toMatchObject({
      code: 'FLEXI_FUNCTION_INIT',
      message: 'edge cannot be loaded: TypeError: bad 0',
      faults: [{ place: { line: 3, column: 7 }, message: 'TypeError: bad 0' }],
    })
    expect(await edge.text()).toBe('v1')
    await edge.save({ code: plain('v2') })
    expect(await edge.text()).toBe('v2')
    expect(runtimes()).toEqual(pids)
  }, 20_000)

  test('answers again with what it ran when an edit loops while it is loaded', async () => {
    const edge = await serve(plain('v1'))
    const pids = runtimes()
    await expect(edge.save({ code: `while (true) {}\nexport default {}` })).rejects.toMatchObject({
      code: 'FLEXI_FUNCTION_INIT',
      message: 'edge cannot be loaded: the program was not loaded within 3000 ms',
    })
    expect(await edge.text()).toBe('v1')
    expect(runtimes()).not.toEqual(pids)
    expect(edge.faults).toMatchObject([{ kind: 'crash', message: 'a program looped while it was loaded' }])
    await edge.save({ code: plain('v2') })
    expect(await edge.text()).toBe('v2')
  }, 20_000)

  test('runs an edit at once when what it replaces loops', async () => {
    const edge = await serve(`export default { fetch() { while (true) {} } }`, { limits: { cpu_ms: 4000 } })
    const stuck = edge.ask()
    await setTimeout(100)
    await edge.save({ code: plain('mended') })
    expect(await edge.text()).toBe('mended')
    expect(await stuck).toMatchObject({ status: 503, text: 'error code: 1102' })
  }, 20_000)

  test('has its values, its modules and Node.js after it as before', async () => {
    const config = (vars: object): Record<string, unknown> => ({
      vars,
      compatibility_flags: ['nodejs_compat'],
    })
    const code = (version: string): string => `import greeting from './greeting.txt'
    import { Buffer } from 'node:buffer'
    export default { async fetch(request, env, ctx) {
      const blocked = await (async () => { try { return eval('1') } catch (error) { return error.name } })()
      return Response.json({ version: '${version}', text: greeting, env, hex: Buffer.from('a').toString('hex'), cf: request.cf?.colo, url: request.url, blocked })
    } }`
    const files = { 'greeting.txt': 'hello\n' }
    project = await serveProject({
      edge: { code: code('v1'), config: config({ A: 'x', B: { c: [1] } }), files },
    })
    const edge = project.worker('edge')
    const [pid] = runtimes()
    const expected = { text: 'hello\n', hex: '61', cf: 'AMS', blocked: 'EvalError' }
    expect(JSON.parse(await edge.text('/p?q=1'))).toMatchObject({
      ...expected,
      version: 'v1',
      env: { A: 'x', B: { c: [1] } },
    })
    await edge.save({ code: code('v2'), config: config({ A: 'y' }), files: { 'greeting.txt': 'bye\n' } })
    const after = JSON.parse(await edge.text('/p?q=1')) as { readonly url: string }
    expect(after).toMatchObject({ ...expected, text: 'bye\n', version: 'v2', env: { A: 'y' } })
    expect(after.url).toMatch(/^http:\/\/edge\.localhost(:\d+)?\/p\?q=1$/)
    expect(runtimes()).toEqual([pid])
  }, 20_000)

  test('gets values and modules of any characters as they are', async () => {
    const characters = Array.from({ length: 0x180 }, (_, code) => String.fromCharCode(code)).join('')
    const vars = { TEXT: `${characters}"\\" \\x00 \u2028 😀`, 'quote"d name': { deep: [characters] } }
    const files = { 'any.txt': `${characters}\r\n"\\"` }
    const code = (version: string): string => `import any from './any.txt'
    export default { fetch: (request, env) => Response.json({ version: '${version}', env, any }) }`
    project = await serveProject({ edge: { code: code('v1'), config: { vars }, files } })
    const edge = project.worker('edge')
    const pids = runtimes()
    expect(JSON.parse(await edge.text())).toEqual({ version: 'v1', env: vars, any: files['any.txt'] })
    await edge.save({ code: code('v2'), config: { vars }, files })
    expect(JSON.parse(await edge.text())).toEqual({ version: 'v2', env: vars, any: files['any.txt'] })
    expect(runtimes()).toEqual(pids)
  }, 20_000)

  test('reports throws and rejections, prints, runs its crons and holds WebSockets after it as before', async () => {
    const code = (version: string): string => `
    function deep() { throw new RangeError('thrown by ${version}') }
    export default {
      fetch(request) {
        const { pathname } = new URL(request.url)
        if (pathname === '/throw') deep()
        if (pathname === '/reject') Promise.reject(new Error('rejected by ${version}'))
        if (pathname === '/socket') {
          const [client, server] = Object.values(new WebSocketPair())
          server.accept()
          server.addEventListener('message', ({ data }) => server.send('${version} ' + data))
          return new Response(null, { status: 101, webSocket: client })
        }
        console.log('printed by ${version}')
        return new Response('${version}')
      },
      scheduled({ cron }) { console.log('cron ${version} ' + cron) },
    }`
    const edge = await serve(code('v1'))
    const pids = runtimes()
    await edge.save({ code: code('v2') })
    expect((await edge.ask('/throw')).status).toBe(500)
    expect(edge.faults[0]).toMatchObject({
      name: 'RangeError',
      message: 'thrown by v2',
      frame: { place: { line: 2 } },
    })
    expect(await edge.text('/reject')).toBe('v2')
    await expect
      .poll(() => edge.faults.map(({ message }) => message))
      .toEqual(['thrown by v2', 'rejected by v2 (unhandled rejection)'])
    expect(await edge.text('/cdn-cgi/handler/scheduled?cron=*+*+*+*+*')).toBe('ok')
    await expect
      .poll(() => edge.lines.filter(({ stream }) => stream === 'stdout').map(({ text }) => text))
      .toEqual(['printed by v2', 'cron v2 * * * * *'])
    const socket = new WebSocket(`ws://127.0.0.1:${project?.gateway.port}/socket`, {
      headers: { host: 'edge.localhost' },
    })
    await once(socket, 'open')
    await edge.save({ code: code('v3') })
    socket.send('héllo')
    expect(String((await once(socket, 'message'))[0])).toBe('v2 héllo')
    socket.close()
    expect(runtimes()).toEqual(pids)
  }, 20_000)

  test('has a fresh process after a number of edits, because workerd keeps what it ever loaded', async () => {
    const edge = await serve(plain('v0'))
    const [pid] = runtimes()
    const sizes: number[] = []
    for (let version = 1; version <= 40; version += 1) {
      await edge.save({ code: plain(`v${version}`) })
      expect(await edge.text()).toBe(`v${version}`)
      sizes.push((await residentBytes(runtimes().at(-1) ?? 0)) ?? 0)
    }
    await expect.poll(() => runtimes().includes(pid ?? 0), { timeout: 5000 }).toBe(false)
    await expect.poll(() => runtimes().length, { timeout: 5000 }).toBe(1)
    expect(Math.max(...sizes.slice(20))).toBeLessThan(Math.max(...sizes.slice(0, 20)) * 1.2)
  }, 60_000)

  test('tells WebSockets of all its revisions that the service restarts when its process ends', async () => {
    const socket = (version: string): string => `export default { fetch(request) {
      if (request.headers.get('upgrade') === null) return new Response('${version}')
      const [client, server] = Object.values(new WebSocketPair())
      server.accept()
      server.addEventListener('message', () => server.send('${version}'))
      return new Response(null, { status: 101, webSocket: client })
    } }`
    const edge = await serve(socket('v0'))
    const closed: Promise<[number]>[] = []
    for (let version = 0; version < 3; version += 1) {
      if (version > 0) await edge.save({ code: socket(`v${version}`) })
      const client = new WebSocket(`ws://127.0.0.1:${project?.gateway.port}/`, {
        headers: { host: 'edge.localhost' },
      })
      await once(client, 'open')
      client.send('?')
      expect(String((await once(client, 'message'))[0])).toBe(`v${version}`)
      closed.push(once(client, 'close') as Promise<[number]>)
    }
    await edge.remove()
    expect((await Promise.all(closed)).map(([code]) => code)).toEqual([1012, 1012, 1012])
  }, 20_000)

  test('has a process of miniflare’s as soon as it uses the cache, and one of its own when it no longer does', async () => {
    const edge = await serve(plain('v1'))
    const cached = `export default { async fetch(request) {
      await caches.default.put('http://x/', new Response('cached', { headers: { 'cache-control': 'max-age=60' } }))
      return (await caches.default.match('http://x/')) ?? new Response('missed')
    } }`
    await edge.save({ code: cached })
    expect(await edge.text()).toBe('cached')
    await edge.save({ code: plain('v2') })
    expect(await edge.text()).toBe('v2')
    await expect.poll(() => runtimes().length, { timeout: 5000 }).toBe(1)
  }, 20_000)

  test('asks other servers as it does in miniflare: for its zone, and not with its client’s address', async () => {
    const seen: unknown[] = []
    const server = createServer(({ headers, url }, response) => {
      seen.push({ ...headers, host: undefined, url })
      response.end('asked')
    })
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const { port } = server.address() as AddressInfo
    const code = (comment: string): string => `export default {
      fetch: () => fetch('http://127.0.0.1:${port}/path?q=1', { headers: { 'CF-Connecting-IP': '6.6.6.6', 'x-mine': '1' } }),
    } // ${comment}`
    const edge = await serve(code('as it was started'))
    expect(await edge.text()).toBe('asked')
    await edge.save({ code: code('as it was loaded') })
    expect(await edge.text()).toBe('asked')
    await edge.save({ code: code('as miniflare has it, for the sake of caches') })
    expect(await edge.text()).toBe('asked')
    server.close()
    expect(seen).toHaveLength(3)
    expect(seen[0]).toMatchObject({ 'x-mine': '1', 'cf-worker': 'edge.example.com', url: '/path?q=1' })
    expect(seen[0]).not.toHaveProperty('cf-connecting-ip')
    expect(seen[1]).toEqual(seen[0])
    expect(seen[2]).toEqual(seen[0])
  }, 20_000)
})

test('WebSockets of a worker that owns data are closed with 1012 when it is exchanged', async () => {
  const config = {
    durable_objects: { bindings: [{ name: 'ROOM', class_name: 'Room' }] },
    migrations: [{ tag: 'v1', new_sqlite_classes: ['Room'] }],
  }
  const code = (version: string): string => `import { DurableObject } from 'cloudflare:workers'
  export class Room extends DurableObject {
    fetch() {
      const [client, server] = Object.values(new WebSocketPair())
      this.ctx.acceptWebSocket(server)
      return new Response(null, { status: 101, webSocket: client })
    }
    webSocketMessage(socket, text) { socket.send('${version} ' + text) }
  }
  export default { fetch(request, env) {
    if (request.headers.get('upgrade') === null) return new Response('${version}')
    return env.ROOM.get(env.ROOM.idFromName('one')).fetch(request)
  } }`
  const edge = await serve(code('v1'), config)
  const open = async (): Promise<WebSocket> => {
    const socket = new WebSocket(`ws://127.0.0.1:${project?.gateway.port}/`, {
      headers: { host: 'edge.localhost' },
    })
    await once(socket, 'open')
    return socket
  }
  const socket = await open()
  socket.send('a')
  expect(String((await once(socket, 'message'))[0])).toBe('v1 a')
  const closed = once(socket, 'close') as Promise<[number]>
  await edge.save({ code: code('v2'), config })
  expect((await closed)[0]).toBe(1012)
  const again = await open()
  again.send('b')
  expect(String((await once(again, 'message'))[0])).toBe('v2 b')
  again.terminate()
}, 20_000)
