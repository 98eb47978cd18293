import { execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'

import type { Confinement } from '../../../src/core/confinement.ts'
import { FlexiError } from '../../../src/core/errors.ts'
import type { AbsolutePath } from '../../../src/core/place.ts'
import { workers } from '../../../src/emulators/workers/index.ts'
import { openSandbox } from '../../../src/sandbox/open-sandbox.ts'
import type { OpenConfinement, Sandbox, SandboxPolicy } from '../../../src/sandbox/sandbox.ts'
import { testScope } from '../../scope.ts'
import type { Served } from '../conformance.ts'
import { serveShipped, ship, type Shipped } from './deployed.ts'
import { lay, type Laid } from './serve.ts'

let root: AbsolutePath
let sandbox: Sandbox | undefined
let reason = ''
const open: AsyncDisposable[] = []

beforeAll(async () => {
  root = (await mkdtemp(join(tmpdir(), 'fw-'))) as AbsolutePath
  await chmod(root, 0o711)
  try {
    sandbox = await openSandbox({ kind: 'bwrap', directory: join(root, 's') as AbsolutePath })
  } catch (error) {
    reason = String(error)
  }
}, 20_000)

afterAll(async () => {
  await sandbox?.[Symbol.asyncDispose]()
  await rm(root, { recursive: true, force: true })
})

beforeEach(({ skip }) => {
  skip(sandbox === undefined, reason)
})

afterEach(() => closeAll())

async function closeAll(): Promise<void> {
  for (const item of open.splice(0).toReversed()) await item[Symbol.asyncDispose]()
}

let count = 0

interface Confined {
  readonly served: Served
  readonly confinement: OpenConfinement
  readonly state: AbsolutePath
}

interface Ways {
  readonly through?: ((confinement: OpenConfinement) => Confinement) | undefined
  /** In place of the one that is open for all tests. */
  readonly other?: Sandbox | undefined
}

async function confined(
  laid: Laid,
  { state = join(root, `state-${randomUUID()}`) as AbsolutePath, ...policy }: Partial<SandboxPolicy> = {},
  other?: Sandbox,
): Promise<Confined> {
  const worker = await ship(laid)
  open.push(worker)
  return await serveConfined(worker, { state, ...policy }, { other })
}

async function serveConfined(
  worker: Shipped,
  { state, ...policy }: Partial<SandboxPolicy> & { state: AbsolutePath },
  { through = (confinement) => confinement, other = sandbox }: Ways = {},
): Promise<Confined> {
  if (other === undefined) throw new Error('no sandbox')
  const number = (count += 1)
  const contents = join(root, `contents-${number}`) as AbsolutePath
  await mkdir(contents, { recursive: true })
  await mkdir(state, { recursive: true })
  const confinement = await other.open({
    name: `worker@v${number}`,
    number: 1,
    contents,
    network: 'none',
    limits: { memoryMb: 1024, processes: 128, files: 1024, temporaryMb: 16 },
    ...policy,
  })
  open.push(confinement)
  const served = await serveShipped(worker, {
    folder: contents,
    scope: { confinement: through(confinement), stateDirectory: state },
  })
  open.push(served)
  return { served, confinement, state }
}

async function text(served: Served, path = '/'): Promise<string> {
  const { status, body } = await served.ask(path)
  return `${status} ${body.toString()}`
}

const config = (keys: object = {}): string =>
  JSON.stringify({ name: 'worker', main: 'index.ts', compatibility_date: '2026-01-01', ...keys })

const bare = (code: string): Laid => ({ files: { 'wrangler.jsonc': config(), 'index.ts': code } })

const bound = (code: string, keys: object = {}): Laid => ({
  files: {
    'wrangler.jsonc': config({ kv_namespaces: [{ binding: 'KV', id: 'k' }], ...keys }),
    'index.ts': code,
  },
})

const HELLO = 'export default { fetch: () => new Response("hello") }\n'

const SOCKETS = `export default {
  fetch() {
    const [client, server] = Object.values(new WebSocketPair())
    server.accept()
    server.addEventListener('message', ({ data }) => server.send('echo ' + data))
    return new Response(null, { status: 101, webSocket: client })
  },
}
`

describe.each([
  ['without bindings', bare],
  ['with bindings', bound],
])('a confined worker %s', (_kind, laid) => {
  test('answers over a path, and no port of the machine is its own', async () => {
    const before = servers()
    const { served } = await confined(laid(HELLO))
    expect(await text(served)).toBe('200 hello')
    // The gateway, and in our own process what miniflare asks for.
    expect(servers() - before).toBe(laid === bound ? 2 : 1)
  }, 20_000)

  test('runs as a user of its own, in namespaces of its own', async () => {
    const before = new Set(workerds())
    const { served } = await confined(laid(HELLO))
    expect(await text(served)).toBe('200 hello')
    const [pid] = workerds().filter((one) => !before.has(one))
    const status = await readFile(`/proc/${pid}/status`, 'utf8')
    expect(/^CapEff:\s*(\w+)$/m.exec(status)?.[1]).toBe('0000000000000000')
    expect(/^Seccomp:\s*(\d)$/m.exec(status)?.[1]).toBe('2')
    if (sandbox?.capabilities.ownUsers === true) expect(/^Uid:\s*(\d+)/m.exec(status)?.[1]).not.toBe('0')
  }, 20_000)

  test('carries WebSockets', async () => {
    const { served } = await confined(laid(SOCKETS))
    expect(await echo(served, 'over a path')).toBe('echo over a path')
  }, 20_000)

  test('reaches nothing of the machine’s own network', async () => {
    await using neighbour = await listen()
    const { served } = await confined(
      laid(`export default { async fetch() {
  return new Response(await fetch('http://127.0.0.1:${neighbour.port}/').then((answer) => answer.text(), String))
} }\n`),
    )
    expect(await text(served)).not.toContain('neighbour')
    expect(neighbour.asked).toBe(0)
  }, 20_000)

  test('leaves no process and no folder when it ends', async () => {
    const before = new Set(workerds())
    const { served, confinement } = await confined(laid(HELLO))
    expect(await text(served)).toBe('200 hello')
    expect(workerds().filter((pid) => !before.has(pid))).not.toEqual([])
    await served[Symbol.asyncDispose]()
    await expect.poll(() => workerds().filter((pid) => !before.has(pid)), { timeout: 5000 }).toEqual([])
    expect(await readdir(confinement.runDirectory)).toEqual([])
  }, 20_000)

  test('that cannot be loaded is told with its own words', async () => {
    await expect(confined(laid('throw new Error("at the top")\n' + HELLO))).rejects.toMatchObject({
      code: 'FLEXI_FUNCTION_INIT',
      message: expect.stringContaining('at the top'),
    })
  }, 20_000)

  test('that ends is started again by its next request', async () => {
    const before = new Set(workerds())
    const { served } = await confined(laid(HELLO))
    expect(await text(served)).toBe('200 hello')
    for (const pid of workerds().filter((one) => !before.has(one))) process.kill(pid, 'SIGKILL')
    await expect.poll(() => served.faults.length, { timeout: 5000 }).toBe(1)
    expect(served.faults[0]).toMatchObject({ kind: 'crash' })
    await expect.poll(() => text(served), { timeout: 10_000 }).toBe('200 hello')
  }, 20_000)

  test('whose sandbox refuses it says so, and leaves nothing behind', async () => {
    const worker = await ship(laid(HELLO))
    open.push(worker)
    let run = '' as AbsolutePath
    const refusal = new FlexiError('FLEXI_SANDBOX', 'no limit can be put on it')
    const refusing = (confinement: OpenConfinement): Confinement => {
      run = confinement.runDirectory
      return {
        runDirectory: run,
        sharesLoopback: false,
        launch: (process_) => ({
          ...confinement.launch(process_),
          started: () => Promise.reject(refusal),
        }),
      }
    }
    await expect(
      serveConfined(worker, { state: join(root, randomUUID()) as AbsolutePath }, { through: refusing }),
    ).rejects.toMatchObject({ code: 'FLEXI_SANDBOX', message: 'no limit can be put on it' })
    const beside = await readdir(dirname(run))
    expect(beside.filter((name) => name.startsWith(`${basename(run)}.`))).toEqual([])
    expect(await readdir(run)).toEqual([])
  }, 20_000)

  test('whose launcher ends before it tells what the launcher said', async () => {
    const worker = await ship(laid(HELLO))
    open.push(worker)
    const broken = (confinement: OpenConfinement): Confinement => ({
      runDirectory: confinement.runDirectory,
      sharesLoopback: false,
      launch: (process_) => ({
        ...confinement.launch(process_),
        command: '/bin/sh',
        args: ['-c', 'echo "launcher: no such namespace" >&2; exit 1'],
      }),
    })
    await expect(
      serveConfined(worker, { state: join(root, randomUUID()) as AbsolutePath }, { through: broken }),
    ).rejects.toMatchObject({ message: expect.stringContaining('launcher: no such namespace') })
  }, 20_000)

  test('that loops is ended, and its neighbours never notice', async () => {
    const other = await confined(bare(HELLO))
    const { served } = await confined({
      ...laid(
        'export default { fetch(request) { if (request.url.endsWith("/loop")) for (;;); return new Response("ok") } }\n',
      ),
      config: { timeoutMs: 1000 },
    })
    const [looped, answer] = await Promise.all([served.ask('/loop'), text(other.served)])
    expect([looped.status, answer]).toEqual([503, '200 hello'])
    await expect.poll(() => text(served), { timeout: 10_000 }).toBe('200 ok')
  }, 30_000)
})

describe('a confined worker', () => {
  test('has all that it is bound to, and finds it again in a new process', async () => {
    const state = join(root, 'kept') as AbsolutePath
    const worker = await ship({ fixture: 'bindings' })
    open.push(worker)
    const first = await serveConfined(worker, { state })
    for (const [path, answer] of [
      ['/kv/put', 'null'],
      ['/kv', '"kept"'],
      ['/r2', '"object"'],
      ['/d1', '7'],
      ['/counter', '1'],
      ['/self', '5'],
      ['/cache', '"cached"'],
      ['/events', 'null'],
      ['/flow/start', '"one"'],
    ])
      expect(`${path} ${await text(first.served, path)}`).toBe(`${path} 200 ${answer}`)
    expect(await text(first.served, '/asset')).toMatch(/^200 "<.*page/i)
    expect((await first.served.ask('/page')).body.toString()).toContain('page')
    await text(first.served, '/queue/send')
    await expect.poll(() => text(first.served, '/queue'), { timeout: 8000 }).toBe('200 "[{\\"n\\":1}]"')
    await expect.poll(() => text(first.served, '/flow'), { timeout: 8000 }).toBe('200 42')
    await first.served[Symbol.asyncDispose]()
    const second = await serveConfined(worker, { state })
    expect(await text(second.served, '/kv')).toBe('200 "kept"')
    expect(await text(second.served, '/counter')).toBe('200 2')
  }, 60_000)

  test('keeps its data as its own user', async () => {
    const { served, state } = await confined(
      bound(
        'export default { async fetch(_r, env) { await env.KV.put("a", "b"); return new Response("put") } }\n',
      ),
    )
    expect(await text(served)).toBe('200 put')
    const entries = await readdir(state, { recursive: true, withFileTypes: true })
    const files = entries.filter((entry) => entry.isFile())
    const owners = await Promise.all(
      files.map(async ({ parentPath, name }) => (await stat(join(parentPath, name))).uid),
    )
    expect(files.length).toBeGreaterThan(3)
    const own = process.getuid?.()
    expect(owners.filter((uid) => uid === own)).toEqual(sandbox?.capabilities.ownUsers === true ? [] : owners)
    // Whoever owned a folder above could put a link where we are to make the next one.
    for (const path of ['.', 'workers']) expect((await stat(join(state, path))).uid).toBe(own)
  }, 20_000)

  test('is exclusive where it keeps data, so that two versions never hold one database', async () => {
    const exclusive = async (laid: Laid): Promise<boolean> => {
      const worker = await ship(laid)
      open.push(worker)
      const source = await workers.open(worker.config, testScope(worker.directory, { mode: 'serve' }))
      open.push(source)
      return (await source.build()).exclusive
    }
    expect(await exclusive(bound(HELLO))).toBe(true)
    expect(await exclusive(bare(HELLO))).toBe(false)
    expect(
      await exclusive(bare('export default { fetch: () => new Response(String(caches.default)) }\n')),
    ).toBe(false)
  }, 20_000)

  test('is opened only from what was packed: to build it would run its author’s files as the daemon', async () => {
    const { served, confinement } = await confined(bare(HELLO))
    const folder = join(served.directory, 'raw') as AbsolutePath
    const laid = await lay(folder, bare(HELLO))
    await expect(workers.open(laid, testScope(folder, { confinement }))).rejects.toMatchObject({
      code: 'FLEXI_CONFIG',
      hint: expect.stringContaining('flexi deploy'),
    })
  }, 20_000)

  test('sends no mail, and renders no page and no picture in our process', async () => {
    const { served } = await confined(
      bound(
        `export default { async fetch(_r, env) {
  return Response.json(await Promise.all([
    () => env.MAIL.send({}), () => env.BROWSER.fetch('http://x/'), () => env.IMAGES.info(new Blob(['x']).stream()),
  ].map((ask) => Promise.resolve().then(ask).then(() => 'done', (error) => error.message))))
} }\n`,
        { send_email: [{ name: 'MAIL' }], browser: { binding: 'BROWSER' }, images: { binding: 'IMAGES' } },
      ),
    )
    const answers = JSON.parse((await served.ask('/')).body.toString()) as string[]
    for (const answer of answers) expect(answer).toContain('is not available here')
  }, 20_000)

  test('that holds too much memory is ended by the system, and that is what its author is told', async () => {
    const { served } = await confined(
      bare(`const kept = []
export default { fetch() {
  for (let i = 0; i < 40; i += 1) kept.push(new Uint8Array(16_000_000).fill(i))
  return new Response("kept")
} }\n`),
      { limits: { memoryMb: 192, processes: 128, files: 1024, temporaryMb: 16 } },
    )
    expect((await served.ask('/')).status).toBe(503)
    expect(served.faults[0]).toMatchObject({ kind: 'memory' })
  }, 20_000)

  test('that prints is heard', async () => {
    const { served } = await confined(
      bare('export default { fetch() { console.log("printed"); return new Response("x") } }\n'),
    )
    await text(served)
    await expect.poll(() => served.lines.some((line) => line.text.includes('printed'))).toBe(true)
  }, 20_000)

  test('has the outside where its policy says so', async ({ skip }) => {
    skip(sandbox?.capabilities.egress === undefined, 'slirp4netns is not installed')
    const { served } = await confined(bare(HELLO), { network: 'egress' })
    expect(await text(served)).toBe('200 hello')
  }, 20_000)

  test('on the machine’s own network still answers', async () => {
    const { served } = await confined(bound(HELLO), { network: 'host' })
    expect(await text(served)).toBe('200 hello')
    const other = await confined(bare(HELLO), { network: 'host' })
    expect(await text(other.served)).toBe('200 hello')
  }, 20_000)

  test('runs where the operator keeps nothing apart', async () => {
    const directory = join(root, 'n') as AbsolutePath
    await using unprotected = await openSandbox({ kind: 'none', directory })
    for (const laid of [bound(HELLO), bare(HELLO)]) {
      const { served } = await confined(laid, {}, unprotected)
      expect(await text(served)).toBe('200 hello')
      await closeAll()
    }
  }, 20_000)

  test('starts as often as it is asked to, at once', async () => {
    const all = await Promise.all([0, 1, 2].map(() => confined(bound(HELLO))))
    expect(await Promise.all(all.map(({ served }) => text(served)))).toEqual(all.map(() => '200 hello'))
  }, 30_000)
})

/** Ports on which this process listens. */
function servers(): number {
  return process.getActiveResourcesInfo().filter((kind) => kind === 'TCPServerWrap').length
}

/** What runs in our sandbox: its sockets are named on its command line, or its configuration is. */
function workerds(): number[] {
  return execFileSync('ps', ['-e', '-ww', '-o', 'pid=,stat=,args='], { encoding: 'utf8' })
    .split('\n')
    .map((row) => /^\s*(\d+)\s+(\S+)\s+(\S+)/.exec(row))
    .filter((row) => row?.[3]?.endsWith('/workerd') === true && row[2]?.[0] !== 'Z')
    .filter((row) => row?.input.includes(`${root}/`))
    .map((row) => Number(row?.[1]))
}

interface Neighbour extends AsyncDisposable {
  readonly port: number
  readonly asked: number
}

async function listen(): Promise<Neighbour> {
  let asked = 0
  const server: Server = createServer((_incoming, outgoing) => {
    asked += 1
    outgoing.end('neighbour')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    get asked() {
      return asked
    },
    [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve())),
  }
}

/** Sends one text message, and resolves with the one that comes back. */
function echo({ gateway }: Served, message: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(gateway.port, '127.0.0.1')
    let isOpen = false
    socket.once('error', reject)
    socket.write(
      'GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
    )
    socket.on('data', (bytes) => {
      if (isOpen) {
        socket.destroy()
        resolve(bytes.subarray(2).toString())
        return
      }
      expect(bytes.toString()).toContain('101 Switching')
      isOpen = true
      const payload = Buffer.from(message)
      // A mask of zeros masks nothing.
      socket.write(Buffer.concat([Buffer.from([0x81, 0x80 | payload.length, 0, 0, 0, 0]), payload]))
    })
  })
}
