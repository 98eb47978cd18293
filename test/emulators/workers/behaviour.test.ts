import { once } from 'node:events'
import { request, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { text as wholeText } from 'node:stream/consumers'

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { WebSocket, type RawData } from 'ws'

import type { Served } from '../conformance.ts'
import { MINIMAL, runtimes, serveWorker, write } from './serve.ts'

describe.each(['as it was started', 'exchanged in the running process'])('a worker %s', (when) => {
  let served: Served

  beforeAll(async () => {
    served = await serveWorker({
      program: 'behaviour.ts',
      files: {
        'wrangler.jsonc': MINIMAL.replace('}', ', "limits": { "cpu_ms": 200 } }'),
      },
    })
    if (when === 'exchanged in the running process') {
      await served.rebuild()
    }
  }, 20_000)
  afterEach(() => {
    served.faults.length = 0
    served.lines.length = 0
  })
  afterAll(async () => served?.[Symbol.asyncDispose]())

  test('the request is the client’s own: Host kept, request.cf filled, and nothing a client says about itself believed', async () => {
    const { body } = await served.ask('/cf?q=%2F', {
      headers: {
        Host: 'example.test',
        'MF-CF-Blob': '{"colo":"EVIL"}',
        'MF-Original-URL': 'http://evil/',
        'CF-Connecting-IP': '6.6.6.6',
        'CF-Ray': 'mine',
        'Accept-Encoding': 'br',
      },
    })
    const seen = JSON.parse(body.toString()) as {
      cf: Record<string, unknown>
      url: string
      headers: [string, string][]
    }
    const fields = new Map(seen.headers)
    expect(seen.url).toBe('http://example.test/cf?q=%2F')
    expect(seen.cf).toMatchObject({ colo: 'AMS', country: 'NL', clientAcceptEncoding: 'br' })
    expect(fields.get('cf-connecting-ip')).toBe('127.0.0.1')
    expect(fields.get('cf-ray')).toMatch(/^[0-9a-f]{16}-AMS$/)
    expect(fields.get('host')).toBe('example.test')
    expect([...fields.keys()].filter((name) => name.startsWith('mf-'))).toEqual([])
  })

  test('a throw is reported in the user’s own file and line, and the client gets what Cloudflare sends', async () => {
    const { status, body, headers } = await served.ask('/deep')
    expect([status, body.toString()]).toEqual([500, 'error code: 1101'])
    expect(headers['content-type']).toBe('text/plain; charset=UTF-8')
    expect(served.faults).toHaveLength(1)
    expect(served.faults[0]).toMatchObject({
      kind: 'throw',
      name: 'Problem',
      message: 'deep inside',
      frame: {
        place: { file: join(served.directory, 'index.ts'), line: 7 },
        text: "  throw new Problem('deep inside')",
      },
    })
    expect(served.faults[0]?.stack).toContain(`${join(served.directory, 'index.ts')}:7:9`)
    expect(served.faults[0]?.stack).not.toContain('flexi-facade')
  })

  test('what is thrown need not be an error', async () => {
    expect((await served.ask('/string')).status).toBe(500)
    expect(served.faults).toMatchObject([{ kind: 'throw', name: 'string', message: 'only text' }])
  })

  test('a handler that returns no Response is told so', async () => {
    expect((await served.ask('/undefined')).status).toBe(500)
    expect(served.faults[0]?.message).toContain('returned undefined and not a Response')
  })

  test('a rejection nobody handles is reported and costs no request', async () => {
    expect((await served.ask('/rejects')).status).toBe(200)
    await expect
      .poll(() => served.faults.map(({ message }) => message))
      .toEqual(['nobody waits for me (unhandled rejection)'])
  })

  test('what the program prints comes out by level, with frames in the user’s files', async () => {
    await served.ask('/log')
    await expect.poll(() => served.lines.length).toBe(3)
    expect(served.lines).toMatchObject([
      { stream: 'stdout', level: 'info', text: 'one { two: 2 }' },
      { stream: 'stderr', level: 'warn', text: 'careful' },
      { stream: 'stderr', level: 'error' },
    ])
    expect(served.lines[2]?.text).toContain(`${join(served.directory, 'index.ts')}:35:`)
  })

  test('content that the program does not read costs no connection', async () => {
    const body = Buffer.alloc(3_000_000, 'x')
    const answers = await Promise.all(
      Array.from({ length: 12 }, () => served.ask('/unread', { method: 'POST', body })),
    )
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200))
  })

  test('content that the program hands on unread is its answer', async () => {
    const { status, body } = await served.ask('/echo', {
      method: 'POST',
      body: Buffer.from('there and back'),
    })
    expect([status, body.toString()]).toEqual([200, 'there and back'])
  })

  test('who sends all of its content before it reads is not cut off, even when it closes after that', async () => {
    const socket = connect({ port: served.gateway.port, host: '127.0.0.1' })
    socket.write('POST /unread HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 3000000\r\n\r\n')
    // The answer is there by then, and unread.
    await new Promise((resolve) => setTimeout(resolve, 100))
    socket.write(Buffer.alloc(3_000_000, 'x'))
    expect(await wholeText(socket)).toMatch(/^HTTP\/1\.1 200 [\s\S]*not read$/)
  })

  test('an answer does not wait for content that the program does not read', async () => {
    const upload = request({ port: served.gateway.port, host: '127.0.0.1', path: '/unread', method: 'POST' })
    upload.on('error', () => undefined)
    upload.write('the first of more')
    const [answer] = (await once(upload, 'response')) as [IncomingMessage]
    upload.destroy()
    expect(answer.statusCode).toBe(200)
  })

  test('a WebSocket carries text, binary, its subprotocol and its close code', async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${served.gateway.port}/websocket`, ['chat'])
    await once(socket, 'open')
    expect(socket.protocol).toBe('chat')
    socket.send('héllo')
    expect(String((await once(socket, 'message'))[0])).toBe('echo héllo')
    socket.send(Buffer.from([0, 255, 1]))
    const [data, isBinary] = (await once(socket, 'message')) as [RawData, boolean]
    expect([isBinary, data]).toEqual([true, Buffer.from([0, 255, 1])])
    socket.send('close')
    const [code, reason] = (await once(socket, 'close')) as [number, Buffer]
    expect([code, reason.toString()]).toEqual([4001, 'as asked'])
  })

  test('a handshake whose handler throws is answered with 500 and reported', async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${served.gateway.port}/websocket-throws`)
    socket.on('error', () => undefined)
    const [, response] = (await once(socket, 'unexpected-response')) as [unknown, { statusCode: number }]
    expect(response.statusCode).toBe(500)
    await expect.poll(() => served.faults.map(({ message }) => message)).toEqual(['deep inside'])
    socket.terminate()
  })

  test('waiting longer than the CPU limit is allowed, because it costs no CPU', async () => {
    expect((await served.ask('/wait')).body.toString()).toBe('waited')
    expect(served.faults).toEqual([])
  })

  test('a loop beyond the CPU limit ends with 1102, and what waited with it is asked again', async () => {
    const [looped, other] = await Promise.all([served.ask('/loop'), served.ask('/wait')])
    expect([looped.status, looped.body.toString()]).toEqual([503, 'error code: 1102'])
    expect(other.status).toBe(503)
    expect(served.faults.map(({ kind }) => kind)).toEqual(['timeout'])
    expect((await served.ask('/')).status).toBe(200)
  })

  test('workerd killed from outside is reported and started again; the request it held may be repeated', async () => {
    const held = served.ask('/wait')
    await expect.poll(() => served.pool.state().inFlight).toBe(1)
    const [pid] = runtimes()
    process.kill(pid ?? 0, 'SIGKILL')
    const answer = await held
    expect([answer.status, answer.headers['retry-after']]).toEqual([503, '1'])
    expect(served.faults.map(({ kind }) => kind)).toEqual(['crash'])
    expect((await served.ask('/')).body.toString()).toBe('v1')
    expect(runtimes()).not.toContain(pid)
  })

  test('the scheduled handler runs on request, as wrangler’s users do it', async () => {
    expect((await served.ask('/cdn-cgi/handler/scheduled?cron=*+*+*+*+*')).body.toString()).toBe('ok')
    await expect.poll(() => served.lines.map(({ text }) => text)).toEqual(['cron * * * * *'])
  })

  test('a syntax error says where, and the old code serves on', async () => {
    await write(served.directory, { 'index.ts': 'export default {\n  fetch( { return 1 },\n}\n' })
    await expect(served.rebuild()).rejects.toMatchObject({
      code: 'FLEXI_BUILD',
      faults: [{ place: { file: expect.stringMatching(/index\.ts$/), line: 2, column: 19 } }],
    })
    expect((await served.ask('/')).body.toString()).toBe('v1')
  })

  test('code that throws while it is loaded says where, and the old code serves on', async () => {
    const file = join(served.directory, 'index.ts')
    await write(served.directory, {
      'index.ts': 'const table: string[] = []\n\nthrow new Error(`bad ${table.length}`)\nexport default {}\n',
    })
    await expect(served.rebuild()).rejects.toMatchObject({
      code: 'FLEXI_FUNCTION_INIT',
      message: 'worker cannot be loaded: Error: bad 0',
      faults: [{ place: { file, line: 3, column: 7 }, message: 'Error: bad 0' }],
    })
    expect((await served.ask('/')).body.toString()).toBe('v1')
  })

  test('a program without a handler says so at the first request', async () => {
    await write(served.directory, { 'index.ts': 'export function helper() {}\n' })
    await served.rebuild()
    expect((await served.ask('/')).status).toBe(500)
    expect(served.faults[0]?.message).toBe('The program has no default export with a fetch handler.')
  })

  test('a service worker, without exports, is served too', async () => {
    await write(served.directory, {
      'index.ts': 'addEventListener("fetch", (event) => event.respondWith(new Response(SECRET)))\n',
      '.dev.vars': 'SECRET=global\n',
    })
    await served.rebuild()
    expect((await served.ask('/')).body.toString()).toBe('global')
  })

  test('a program that is empty is not taken: the one before serves on', async () => {
    await write(served.directory, { 'index.ts': 'export default { fetch: () => new Response("before") }\n' })
    await served.rebuild()
    await write(served.directory, { 'index.ts': '' })
    await expect(served.rebuild()).rejects.toThrow('the program exports nothing, and listens for no event')
    expect((await served.ask('/')).body.toString()).toBe('before')
  })

  test('a program that listens for something else says so, and does not ask itself without end', async () => {
    await write(served.directory, { 'index.ts': 'addEventListener("scheduled", () => undefined)\n' })
    await served.rebuild()
    expect((await served.ask('/')).status).toBe(500)
    expect(served.faults.map(({ message }) => message)).toEqual([
      'The program exports nothing, and listens for no fetch event.',
    ])
  })

  test('a worker may be nothing but its assets', async () => {
    await write(served.directory, {
      'wrangler.jsonc':
        '{ "name": "worker", "compatibility_date": "2026-01-01", "assets": { "directory": "site" } }',
      'site/index.html': 'home\n',
    })
    await served.rebuild()
    expect((await served.ask('/')).body.toString()).toBe('home\n')
    expect((await served.ask('/none')).status).toBe(404)
    await write(served.directory, { 'site/index.html': 'changed\n', 'site/new.txt': 'new\n' })
    await served.rebuild()
    expect((await served.ask('/')).body.toString()).toBe('changed\n')
    expect((await served.ask('/new.txt')).body.toString()).toBe('new\n')
  })
})
