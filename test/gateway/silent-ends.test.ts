import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { connect as connectHttp2 } from 'node:http2'
import { connect as connectTcp, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as connectTls, type TLSSocket } from 'node:tls'

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'

import type { Fetcher } from '../../src/core/fetcher.ts'
import type { AbsolutePath } from '../../src/core/place.ts'
import { createDispatcher, forward } from '../../src/forward/forward.ts'
import { staticFolder } from '../../src/gateway/static-folder.ts'
import { openCertificates, type Certificates } from '../../src/tls/certificates.ts'
import { httpUpstream, openTest, type TestGateway, type TestUpstream } from './harness.ts'

/** More than the buffers of all sockets on the way hold. */
const FILE_BYTES = 200 * 1024 * 1024
/** What a client says it takes, so that TCP and no window of HTTP/2 is what holds the answer back. */
const WINDOW_BYTES = 2 ** 31 - 1

const root = mkdtempSync(join(tmpdir(), 'flexi-ends-'))
let tls: Certificates
let ca: string
let file: string

beforeAll(async () => {
  tls = await openCertificates(
    { certificates: [] },
    { host: '127.0.0.1', environment: { FLEXI_CA_DIR: join(root, 'ca') }, onWarning: () => undefined },
  )
  ca = readFileSync(join(root, 'ca/ca.pem'), 'utf8')
  file = join(root, 'large.bin')
  writeFileSync(file, '')
  truncateSync(file, FILE_BYTES)
})
afterAll(() => {
  tls[Symbol.dispose]()
  rmSync(root, { recursive: true, force: true })
})

const open = new Set<{ destroy(): void }>()
afterEach(() => {
  for (const one of open) one.destroy()
  open.clear()
})

/** A client of HTTP/2 that has asked for `/large.bin` and got the head of the answer. */
async function asking(port: number, windowBytes: number, isSecure = true): Promise<Socket> {
  const tcp = connectTcp({ port, host: '127.0.0.1', allowHalfOpen: true })
  await once(tcp, 'connect')
  const socket = isSecure
    ? connectTls({ socket: tcp, ca, servername: 'localhost', ALPNProtocols: ['h2'] })
    : tcp
  if (isSecure) await once(socket, 'secureConnect')
  const session = connectHttp2(`${isSecure ? 'https' : 'http'}://localhost`, {
    createConnection: () => socket as TLSSocket,
    settings: { initialWindowSize: windowBytes },
  })
  for (const one of [session, socket, tcp]) {
    one.on('error', () => undefined)
    open.add(one)
  }
  await once(session, 'connect')
  session.setLocalWindowSize(windowBytes)
  const stream = session.request({ ':path': '/large.bin' })
  stream.on('error', () => undefined)
  await once(stream, 'response')
  return tcp
}

/** Takes no more bytes: the handle stops, below TLS and HTTP/2, which would read on. */
async function stall(tcp: Socket): Promise<void> {
  const handle = Reflect.get(tcp, '_handle') as { readStop(): void }
  handle.readStop()
  await new Promise((resolve) => setImmediate(resolve))
}

let produced = 0
let answering = 0
/** Streams without end, and counts. */
const endless = (): Promise<TestUpstream> =>
  httpUpstream((_incoming, outgoing) => {
    answering++
    outgoing.once('close', () => answering--)
    const chunk = Buffer.alloc(64 * 1024)
    const more = (): void => {
      do produced++
      while (!outgoing.destroyed && outgoing.write(chunk))
    }
    outgoing.on('drain', more)
    more()
  })

async function proxy(upstream: TestUpstream): Promise<Fetcher & AsyncDisposable> {
  const { origin } = upstream
  const dispatcher = await createDispatcher(origin)
  return {
    handle: (incoming, outgoing, context) =>
      forward({ dispatcher, origin, host: 'keep', forwarded: true }, { incoming, outgoing, context }),
    [Symbol.asyncDispose]: () => dispatcher.destroy(),
  }
}

/** Until an upstream has sent nothing for a while: every buffer is full. */
async function standstill(): Promise<void> {
  let before = -1
  await expect
    .poll(
      () => {
        const same = before === produced
        before = produced
        return same
      },
      { interval: 150, timeout: 5_000 },
    )
    .toBe(true)
}

function isFileOpen(): boolean {
  return readdirSync('/proc/self/fd').some((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === file
    } catch {
      return false
    }
  })
}

async function expectOver(test_: TestGateway): Promise<void> {
  await expect.poll(() => test_.records[0]?.aborted, { timeout: 1_500 }).toBe(true)
}

const LEAVING: Record<string, (tcp: Socket) => void> = {
  'ends its connection': (tcp) => tcp.end(),
  'resets its connection': (tcp) => tcp.resetAndDestroy(),
  'is killed': (tcp) => tcp.destroy(),
}

describe('a client of HTTP/2 that leaves while its answer is held back', () => {
  describe.each([
    ['over TLS', true],
    ['in plain', false],
  ])('%s', (_name, isSecure) => {
    describe.each([
      ['TCP', WINDOW_BYTES],
      ['a window', 256 * 1024],
    ])('by %s', (_kind, windowBytes) => {
      test.each(Object.entries(LEAVING))('and %s ends the request at its upstream', async (_way, leave) => {
        await using upstream = await endless()
        await using fetcher = await proxy(upstream)
        await using test_ = await openTest(fetcher, isSecure ? { tls } : {})
        const client = await asking(test_.gateway.port, windowBytes, isSecure)
        await stall(client)
        await standstill()
        leave(client)
        await expectOver(test_)
        await expect.poll(() => answering).toBe(0)
      })
    })
  })

  const hasProc = process.platform === 'linux'
  test.skipIf(!hasProc).each(Object.entries(LEAVING))(
    `and %s closes the file it was sent${hasProc ? '' : ' (only Linux tells which files are open)'}`,
    async (_way, leave) => {
      await using test_ = await openTest(staticFolder(root as AbsolutePath), { tls })
      const client = await asking(test_.gateway.port, WINDOW_BYTES)
      await stall(client)
      expect(isFileOpen()).toBe(true)
      leave(client)
      await expectOver(test_)
      await expect.poll(isFileOpen).toBe(false)
    },
  )

  const curl = has('curl')
  test.skipIf(!curl)(`and is curl${curl ? '' : ' (curl is not installed)'}`, async () => {
    await using upstream = await endless()
    await using fetcher = await proxy(upstream)
    await using test_ = await openTest(fetcher, { tls })
    const clients = Array.from({ length: 4 }, () =>
      spawn('curl', ['-sk', '--limit-rate', '500k', '-o', '/dev/null', test_.url]),
    )
    await expect.poll(() => answering).toBe(4)
    await standstill()
    for (const [i, child] of clients.entries()) child.kill(i % 2 === 0 ? 'SIGTERM' : 'SIGKILL')
    await expect.poll(() => test_.records.length, { timeout: 1_500 }).toBe(4)
    await expect.poll(() => answering).toBe(0)
  })

  test('does not end what one that only waits has asked for', async () => {
    await using upstream = await endless()
    await using fetcher = await proxy(upstream)
    await using test_ = await openTest(fetcher, { tls })
    const client = await asking(test_.gateway.port, WINDOW_BYTES)
    await stall(client)
    await standstill()
    const before = produced
    // Several looks.
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    expect(test_.records).toEqual([])
    const handle = Reflect.get(client, '_handle') as { readStart(): void }
    handle.readStart()
    await expect.poll(() => produced).toBeGreaterThan(before)
  })
})

function has(command: string): boolean {
  try {
    execFileSync(command, ['--version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}
