import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'

import { silentLogger } from '../../src/core/log.ts'
import type { AbsolutePath } from '../../src/core/place.ts'
import { packDirectory } from '../../src/daemon/artifacts/pack-directory.ts'
import { startDaemon, type Daemon } from '../../src/daemon/daemon.ts'
import type { DeploymentEvent } from '../../src/daemon/model.ts'
import { configOf } from './control-harness.ts'

/** 200 of them are the goal; a few in each run of the tests. FLEXI_TEST_DEPLOYS=200 asks for all. */
const DEPLOYS = Number(process.env['FLEXI_TEST_DEPLOYS'] ?? 6)
const CLIENTS = 32
/** FLEXI_TEST_SANDBOX=bwrap keeps the functions apart as well, and takes longer. */
const SANDBOX = process.env['FLEXI_TEST_SANDBOX'] === 'bwrap' ? 'bwrap' : 'none'

const PROGRAM = `
import { createServer } from 'node:http'
import { createHash } from 'node:crypto'
const server = createServer((request, response) => {
  request.resume()
  const answer = () => response.end(process.env.NAME)
  if (request.url === '/slow') setTimeout(answer, 400)
  else answer()
})
server.on('upgrade', (request, socket) => {
  const key = request.headers['sec-websocket-key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
  const accept = createHash('sha1').update(key).digest('base64')
  socket.write('HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\nSec-WebSocket-Accept: ' + accept + '\\r\\n\\r\\n')
  socket.on('error', () => {})
  // Short text frames, answered with the name of the version.
  socket.on('data', (data) => {
    if ((data[0] & 15) === 8) { socket.end(Buffer.from([0x88, 0])); return }
    const text = Buffer.from(process.env.NAME)
    socket.write(Buffer.concat([Buffer.from([0x81, text.length]), text]))
  })
})
setTimeout(() => server.listen(Number(process.env.PORT), '127.0.0.1'), Number(process.env.DELAY ?? 0))
`

let directory: string
let daemon: Daemon
let artifact: string

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'flexi-zero-'))
  daemon = await start()
  await chmod(directory, 0o711)
  await mkdir(join(directory, 'program'))
  await writeFile(join(directory, 'program/server.mjs'), PROGRAM)
  const file = join(directory, 'program.tgz')
  artifact = (await packDirectory(join(directory, 'program') as AbsolutePath, file as AbsolutePath)).digest
  await call('PUT', `/api/artifacts/${artifact}`, createReadStream(file))
}, 30_000)

afterAll(async () => {
  await daemon[Symbol.asyncDispose]()
  await rm(directory, { recursive: true, force: true })
}, 60_000)

/** One process of a daemon. */
function start(): Promise<Daemon> {
  return startDaemon({
    directory: join(directory, 'data') as AbsolutePath,
    version: '0.0.0',
    host: '127.0.0.1',
    port: 0,
    domain: 'fn.test',
    sandbox: SANDBOX,
    trustKeys: [],
    requireSignature: false,
    log: silentLogger,
  })
}

const port = (): number => Number(new URL(daemon.url).port)

interface Asked {
  readonly agent?: Agent
  readonly method?: string
  readonly path?: string
  readonly host?: string
  readonly fields?: Readonly<Record<string, string>>
}

function ask(
  { agent, method = 'GET', path = '/', host = 'hello.fn.test', fields = {} }: Asked,
  body?: NodeJS.ReadableStream | string,
): Promise<{ readonly status: number; readonly text: string }> {
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest(
      {
        host: '127.0.0.1',
        port: port(),
        method,
        path,
        headers: { Host: host, ...fields },
        ...(agent && { agent }),
      },
      (incoming: IncomingMessage) => {
        let text = ''
        incoming.setEncoding('utf8')
        incoming.on('data', (chunk: string) => (text += chunk))
        incoming.on('end', () => resolve({ status: incoming.statusCode ?? 0, text }))
        incoming.on('error', reject)
      },
    )
    outgoing.on('error', reject)
    if (body === undefined || typeof body === 'string') outgoing.end(body)
    else body.pipe(outgoing)
  })
}

async function call(method: string, path: string, body?: NodeJS.ReadableStream | string): Promise<string> {
  const type = typeof body === 'string' ? 'application/json' : 'application/gzip'
  const fields = { Authorization: `Bearer ${daemon.rootToken}`, ...(body && { 'Content-Type': type }) }
  const { status, text } = await ask({ method, path, host: 'fn.test', fields }, body)
  if (status !== 200 && status !== 201 && status !== 204)
    throw new Error(`${method} ${path}: ${status} ${text}`)
  return text
}

/** Each of them another version: its configuration differs. */
async function deploy(name: string): Promise<string> {
  const last = await deployed(name)
  if (last.event !== 'done') throw new Error(JSON.stringify(last))
  return last.functions[0]?.version ?? ''
}

/** The last that is told of it. */
async function deployed(name: string, environment = {}): Promise<DeploymentEvent> {
  const config = configOf({
    provider: 'process',
    options: { command: 'node', args: ['server.mjs'] },
    environment: { NAME: name, ...environment },
    network: 'none',
    instances: { idleMs: 1_000 },
  })
  const parts = [{ name: 'hello', artifact, config }]
  const text = await call(
    'POST',
    '/api/deployments',
    JSON.stringify({ project: 'zero', alias: 'live', parts }),
  )
  return JSON.parse(text.trim().split('\n').at(-1) ?? '') as DeploymentEvent
}

/** Asks without a pause until it is told to stop, and counts. */
async function load(stop: AbortSignal, counts: Map<string, number>, failures: string[]): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  while (!stop.aborted) {
    try {
      const { status, text } = await ask({ agent })
      if (status === 200) counts.set(text, (counts.get(text) ?? 0) + 1)
      else failures.push(`${status} ${text}`)
    } catch (error) {
      failures.push(String(error))
    }
  }
  agent.destroy()
}

interface Held {
  readonly socket: WebSocket
  readonly version: string
  ask(): Promise<string>
}

async function hold(): Promise<Held> {
  const socket = new WebSocket(`ws://127.0.0.1:${port()}/`, { headers: { Host: 'hello.fn.test' } })
  await once(socket, 'open')
  const question = async (): Promise<string> => {
    const answer = once(socket, 'message')
    socket.send('?')
    return String((await answer)[0])
  }
  return { socket, version: await question(), ask: question }
}

describe('deploying and rolling back', () => {
  test(
    `fails no request and breaks no WebSocket: ${DEPLOYS} times at ${CLIENTS} clients`,
    { timeout: 20_000 + DEPLOYS * 1_500 },
    async () => {
      await deploy('n0')
      const stop = new AbortController()
      const counts = new Map<string, number>()
      const failures: string[] = []
      const loads = Array.from({ length: CLIENTS }, () => load(stop.signal, counts, failures))
      const held = [await hold(), await hold()]
      // Begun on a version that is gone when it ends.
      const slow: Promise<{ readonly status: number; readonly text: string }>[] = []
      const began: string[] = ['n0']
      let current = 'n0'
      for (let i = 1; i <= DEPLOYS; i++) {
        slow.push(ask({ path: '/slow' }))
        began.push(current)
        if (i % 3 === 0)
          await call('POST', '/api/functions/hello/rollback', JSON.stringify({ alias: 'live' }))
        else await deploy(`n${i}`)
        current = (await ask({})).text
        if (i % 10 === 2) held.push(await hold())
        expect(await Promise.all(held.map((one) => one.ask()))).toEqual(held.map(({ version }) => version))
      }
      stop.abort()
      await Promise.all(loads)
      const answers = await Promise.all(slow)
      for (const { socket } of held) socket.close()
      expect(failures).toEqual([])
      expect(answers).toEqual(began.slice(1).map((text) => ({ status: 200, text })))
      expect(new Set(held.map(({ version }) => version)).size).toBeGreaterThan(1)
      const total = [...counts.values()].reduce((sum, count) => sum + count, 0)
      expect(total).toBeGreaterThan(DEPLOYS * 10)
      expect(counts.size).toBeGreaterThan(DEPLOYS / 3)
      console.log(`${DEPLOYS} moves, ${total} requests, ${failures.length} failed, ${held.length} WebSockets`)
    },
  )
})

describe('a restart', () => {
  test('while a deployment is under way gives it up; what was open goes on, and what comes later is in force', async () => {
    await deploy('before')
    const held = await hold()
    const slow = ask({ path: '/slow' })
    const under = deployed('never', { DELAY: '60000' })
    await expect.poll(() => call('GET', '/api/deployments?limit=1')).toContain('"starting"')
    const [old, token] = [daemon, daemon.rootToken]
    daemon = { ...(await start()), rootToken: token }
    const retired = old.retire()
    expect(await under).toMatchObject({ event: 'failed', code: 'FLEXI_SHUTTING_DOWN' })
    expect((await ask({})).text).toBe('before')
    expect((await slow).text).toBe('before')
    await deploy('after')
    expect((await ask({})).text).toBe('after')
    expect(await held.ask()).toBe('before')
    held.socket.close()
    await retired
    expect((await ask({})).text).toBe('after')
  }, 30_000)
})
