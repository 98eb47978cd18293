import { execFile, execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { connect as connectHttp2, type ClientHttp2Session } from 'node:http2'
import { Agent, get } from 'node:https'
import { connect as connectTcp, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from 'node:tls'
import { promisify } from 'node:util'

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'

import type { Fetcher } from '../../src/core/fetcher.ts'
import { openCertificates, type Certificates } from '../../src/tls/certificates.ts'
import { makeFiles } from '../tls/pem.ts'
import { echo, openTest, readAll, tableOf, text, type TestGateway } from './harness.ts'

const root = mkdtempSync(join(tmpdir(), 'flexi-https-'))
const environment = { FLEXI_CA_DIR: join(root, 'ca') }
let tls: Certificates
let ca: string

beforeAll(async () => {
  tls = await openCertificates(
    { certificates: [] },
    { host: '127.0.0.1', environment, onWarning: () => undefined },
  )
  ca = readFileSync(join(root, 'ca/ca.pem'), 'utf8')
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

const who: Fetcher = {
  handle(incoming, outgoing, { protocol, clientAddress }) {
    outgoing.end(
      JSON.stringify({ protocol, clientAddress, version: incoming.httpVersion, host: incoming.headers.host }),
    )
    return Promise.resolve()
  },
}

async function secure(test_: TestGateway, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connectTls({
    host: '127.0.0.1',
    port: test_.gateway.port,
    ca,
    servername: 'localhost',
    ...options,
  })
  socket.on('error', () => undefined)
  open.add(socket)
  await once(socket, 'secureConnect')
  return socket
}

async function http2(
  test_: TestGateway,
  options: { ca?: string; authority?: string } = {},
): Promise<ClientHttp2Session> {
  const { port } = test_.gateway
  const session = connectHttp2(`https://${options.authority ?? 'localhost'}:${port}`, {
    ca: options.ca ?? ca,
    lookup: toLoopback,
  } as object)
  session.on('error', () => undefined)
  open.add(session)
  await once(session, 'connect')
  return session
}

async function askHttp2(
  session: ClientHttp2Session,
  headers: Record<string, string> = {},
): Promise<{ status: number; body: string }> {
  const stream = session.request({ ':path': '/', ...headers })
  let status = 0
  let body = ''
  stream.on('response', (given) => (status = given[':status'] ?? 0)).on('error', () => undefined)
  stream.setEncoding('utf8').on('data', (chunk: string) => (body += chunk))
  await new Promise((resolve) => stream.once('close', resolve))
  return { status, body }
}

describe('one port for TLS with both versions', () => {
  test('ALPN chooses HTTP/2, HTTP/1.1, and HTTP/1.1 for a client without ALPN', async () => {
    await using test_ = await openTest(who, { tls })
    expect(test_.url).toBe(`https://127.0.0.1:${test_.gateway.port}`)
    const session = await http2(test_)
    expect(session.alpnProtocol).toBe('h2')
    expect(JSON.parse((await askHttp2(session)).body)).toEqual({
      protocol: 'https',
      clientAddress: '127.0.0.1',
      version: '2.0',
      host: `localhost:${test_.gateway.port}`,
    })
    for (const ALPNProtocols of [['http/1.1'], undefined]) {
      const socket = await secure(test_, ALPNProtocols === undefined ? {} : { ALPNProtocols })
      socket.write('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
      const answer = await readAll(socket)
      expect(answer).toMatch(/^HTTP\/1\.1 200 OK/)
      expect(answer).toContain('{"protocol":"https","clientAddress":"127.0.0.1","version":"1.1"')
    }
  })

  test('a client that speaks something else by ALPN is told in the handshake', async () => {
    await using test_ = await openTest(who, { tls })
    await expect(secure(test_, { ALPNProtocols: ['smtp'] })).rejects.toThrow(
      /no application protocol|ECONNRESET/,
    )
    await expect(secure(test_, { maxVersion: 'TLSv1.1', minVersion: 'TLSv1' })).rejects.toThrow(
      /protocol|version|ECONNRESET/i,
    )
    expect((await askHttp2(await http2(test_))).status).toBe(200)
  })

  test('the name in the handshake chooses the certificate; without one the address must do', async () => {
    await using test_ = await openTest(tableOf(text('root'), { Hello: text('hello') }), { tls })
    const names = async (servername: string): Promise<string | undefined> =>
      (await secure(test_, { servername })).getPeerCertificate().subjectaltname
    expect(await names('hello.localhost')).toBe('DNS:hello.localhost')
    expect(await names('localhost')).toMatch(/DNS:localhost, DNS:\*\.localhost, IP Address:127\.0\.0\.1/)
    const byAddress = await secure(test_, { servername: '', host: '127.0.0.1' })
    expect(byAddress.authorized).toBe(true)
    const session = await http2(test_, { authority: 'hello.localhost' })
    expect(await askHttp2(session)).toEqual({ status: 200, body: 'hello' })
  })

  test('an unknown name gets the certificate of the server, which the client then refuses by itself', async () => {
    await using test_ = await openTest(who, { tls })
    await expect(secure(test_, { servername: 'example.com' })).rejects.toMatchObject({
      code: 'ERR_TLS_CERT_ALTNAME_INVALID',
    })
  })

  test('handshakes are resumed, whichever name was asked for', async () => {
    await using test_ = await openTest(who, { tls })
    for (const servername of ['localhost', 'resumed.localhost']) {
      const first = await secure(test_, { servername })
      const sessions: Buffer[] = []
      first.on('session', (session) => sessions.push(session))
      first.write('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
      await readAll(first)
      const session = sessions.at(-1)
      expect(session).toBeDefined()
      const second = await secure(test_, { servername, ...(session === undefined ? {} : { session }) })
      expect(second.isSessionReused()).toBe(true)
    }
  })

  test('a ClientHello in pieces is put together', async () => {
    await using test_ = await openTest(who, { tls })
    const proxy = await inPieces(test_.gateway.port)
    open.add({ destroy: () => proxy.server.close() })
    const socket = await secure(test_, { port: proxy.port })
    expect(socket.authorized).toBe(true)
  })

  test('what is no handshake ends the connection and nothing else', async () => {
    await using test_ = await openTest(who, { tls })
    const socket = await plain(test_)
    socket.write(Buffer.concat([Buffer.from([0x16, 3, 1, 0, 4]), Buffer.from('junk')]))
    await new Promise((resolve) => socket.resume().once('close', resolve))
    expect((await askHttp2(await http2(test_))).status).toBe(200)
  })
})

async function plain(test_: TestGateway): Promise<Socket> {
  const socket = connectTcp(test_.gateway.port, '127.0.0.1')
  socket.on('error', () => undefined)
  open.add(socket)
  await once(socket, 'connect')
  return socket
}

/** Passes on what a client sends byte by byte. */
async function inPieces(port: number) {
  const { createServer } = await import('node:net')
  const server = createServer((client) => {
    const upstream = connectTcp(port, '127.0.0.1')
    upstream.setNoDelay(true)
    upstream
      .on('error', () => undefined)
      .pipe(client)
      .on('error', () => undefined)
    client.on('data', (chunk: Buffer) => {
      client.pause()
      const pass = (at: number): void => {
        upstream.write(chunk.subarray(at, at + 1))
        if (at + 1 < chunk.length) setImmediate(() => pass(at + 1))
        else client.resume()
      }
      pass(0)
    })
    client.on('close', () => upstream.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  return { server, port: typeof address === 'object' && address !== null ? address.port : 0 }
}

describe('plain HTTP on the port of TLS', () => {
  async function rawPlain(test_: TestGateway, request: string): Promise<string> {
    const socket = await plain(test_)
    socket.write(request, 'latin1')
    return readAll(socket)
  }

  test('is sent to the same address with https, method kept, and logged', async () => {
    await using test_ = await openTest(who, { tls })
    const answer = await rawPlain(
      test_,
      'POST /a%2Fb?x=1 HTTP/1.1\r\nHost: localhost:8069\r\nContent-Length: 3\r\n\r\nabc',
    )
    expect(answer).toMatch(/^HTTP\/1\.1 308 /)
    expect(answer).toContain('Location: https://localhost:8069/a%2Fb?x=1\r\n')
    expect(answer).toContain('Connection: close\r\n')
    expect(test_.records[0]).toMatchObject({ status: 308, target: '/a%2Fb?x=1' })
  })

  test.each([
    [
      'an absolute target',
      'GET http://localhost:1/a HTTP/1.1\r\nHost: localhost:1\r\n\r\n',
      /Location: https:\/\/localhost:1\/a\r\n/,
    ],
    ['a Host that is none', 'GET / HTTP/1.1\r\nHost: a/b\r\n\r\n', /^HTTP\/1\.1 400 /],
    ['no Host', 'GET / HTTP/1.1\r\n\r\n', /^HTTP\/1\.1 400 /],
    ['HTTP/1.0 without a Host', 'GET / HTTP/1.0\r\n\r\n', /^HTTP\/1\.1 400 /],
    ['bytes that are no request', 'hello\r\n\r\n', /^HTTP\/1\.1 400 /],
    [
      'an upgrade',
      'GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
      /^HTTP\/1\.1 308 /,
    ],
  ])('%s', async (_name, request, expected) => {
    let asked = 0
    await using test_ = await openTest(
      {
        handle(_incoming, outgoing) {
          asked++
          outgoing.end()
          return Promise.resolve()
        },
      },
      { tls },
    )
    expect(await rawPlain(test_, request)).toMatch(expected)
    expect(asked).toBe(0)
  })

  test('a preface of HTTP/2 in plain text is closed', async () => {
    await using test_ = await openTest(who, { tls })
    expect(await rawPlain(test_, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')).toBe('')
  })
})

describe('a connection made for one server', () => {
  test('is not served as another that has a certificate of its own (421)', async () => {
    await using test_ = await openTest(who, { tls })
    const session = await http2(test_, { authority: 'hello.localhost' })
    const { status, body } = await askHttp2(session, { ':authority': 'other.localhost' })
    expect(status).toBe(421)
    expect(body).toContain('other.localhost is not served on a connection made for hello.localhost')
    expect((await askHttp2(session)).status).toBe(200)
    const socket = await secure(test_, { servername: 'hello.localhost' })
    socket.write('GET / HTTP/1.1\r\nHost: localhost:1\r\n\r\n')
    expect(await readAll(socket)).toMatch(/^HTTP\/1\.1 421 Misdirected Request/)
  })

  test.each([
    ['localhost', 'hello.localhost'],
    ['localhost', 'LOCALHOST:1'],
    ['hello.localhost', 'Hello.Localhost:2'],
    ['hello.localhost', 'iam'],
    ['', 'hello.localhost'],
  ])('made for %j, asked for %s, is', async (servername, host) => {
    await using test_ = await openTest(who, { tls })
    const socket = await secure(test_, { servername, checkServerIdentity: () => undefined })
    socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
    expect(await readAll(socket)).toMatch(/^HTTP\/1\.1 200 /)
  })
})

describe('certificates that are replaced', () => {
  test('new connections get the new one, open ones go on', async () => {
    const files = await makeFiles(root, 'own', { names: ['own.test'] })
    const options = { host: '127.0.0.1', environment, onWarning: () => undefined }
    using own = await openCertificates({ certificates: [files] }, options)
    await using test_ = await openTest(who, { tls: own })
    const before = await http2(test_, { ca: files.pem, authority: 'own.test' })
    expect((await askHttp2(before)).status).toBe(200)
    const renewed = await makeFiles(root, 'own', { names: ['own.test', 'more.test'] })
    await own.replace({ certificates: [files] })
    for (const servername of ['own.test', '']) {
      const socket = await secure(test_, {
        ca: renewed.pem,
        servername,
        checkServerIdentity: () => undefined,
      })
      expect(socket.getPeerCertificate().subjectaltname).toBe('DNS:own.test, DNS:more.test')
    }
    expect((await askHttp2(before)).status).toBe(200)
  })
})

describe('what HTTP/1.1 does, it does over TLS as well', () => {
  test('keep-alive, with requests one after the other on one connection', async () => {
    await using test_ = await openTest(who, { tls })
    const agent = new Agent({ keepAlive: true, maxSockets: 1, ca })
    const ports = new Set<number | undefined>()
    for (let i = 0; i < 3; i++) {
      const request = get({
        host: 'localhost',
        lookup: toLoopback,
        port: test_.gateway.port,
        agent,
      } as object)
      const [response] = await once(request, 'response')
      ports.add(request.socket?.localPort)
      response.resume()
      await once(response, 'end')
    }
    agent.destroy()
    expect(ports.size).toBe(1)
  })

  test('a WebSocket, both ways', async () => {
    const server = new WebSocketServer({ noServer: true })
    await using test_ = await openTest(
      {
        handle: (_incoming, outgoing) => Promise.resolve(void outgoing.end()),
        upgrade(incoming, socket, head) {
          server.handleUpgrade(incoming, socket, head, (ws) =>
            ws.on('message', (data: Buffer) => ws.send(`echo ${data.toString()}`)),
          )
        },
      },
      { tls },
    )
    const ws = new WebSocket(`wss://127.0.0.1:${test_.gateway.port}/`, { ca, servername: '' } as object)
    await once(ws, 'open')
    ws.send('hi')
    const [message] = await once(ws, 'message')
    expect(String(message)).toBe('echo hi')
    ws.close()
    await once(ws, 'close')
    server.close()
  })

  test('an offer of another protocol that nobody takes is answered as it is', async () => {
    await using test_ = await openTest(echo, { tls })
    const socket = await secure(test_)
    socket.write(
      'GET /a HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, close\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n\r\n',
    )
    const answer = await readAll(socket)
    expect(answer).toMatch(/^HTTP\/1\.1 200 /)
    expect(answer).not.toContain('h2c')
  })

  test('a broken request is refused', async () => {
    await using test_ = await openTest(echo, { tls })
    const socket = await secure(test_)
    socket.write('GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: +1\r\n\r\n')
    expect(await readAll(socket)).toMatch(/^HTTP\/1\.1 400 /)
  })
})

const toLoopback = (
  _name: string,
  _options: unknown,
  done: (error: null, addresses: unknown) => void,
): void => done(null, [{ address: '127.0.0.1', family: 4 }])

describe('draining', () => {
  test('a request under way is answered; silent, shaking and idle connections do not hold it up', async () => {
    let finish: (() => void) | undefined
    const test_ = await openTest(
      {
        async handle(_incoming, outgoing) {
          await new Promise<void>((resolve) => (finish = resolve))
          outgoing.end('done')
        },
      },
      { tls, drainMs: 5_000 },
    )
    await plain(test_)
    await secure(test_)
    const busy = await secure(test_)
    busy.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
    await expect.poll(() => finish).toBeDefined()
    const disposed = test_[Symbol.asyncDispose]()
    const from = performance.now()
    setImmediate(() => finish?.())
    expect(await readAll(busy)).toMatch(
      /^HTTP\/1\.1 200 OK\r\n(.*\r\n)*Connection: close\r\n(.*\r\n)*\r\ndone$/,
    )
    await disposed
    expect(performance.now() - from).toBeLessThan(2_000)
  })
})

const run = promisify(execFile)

function has(program: string): boolean {
  try {
    execFileSync(program, ['--version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

describe('other clients', () => {
  const curl = has('curl')
  test.skipIf(!curl)(`curl trusts it${curl ? '' : ' (curl is not installed)'}`, async () => {
    await using test_ = await openTest(who, { tls })
    const { port } = test_.gateway
    for (const [version, words] of [
      ['2.0', ['--http2']],
      ['1.1', ['--http1.1']],
    ] as const) {
      const to = ['--resolve', `hello.localhost:${port}:127.0.0.1`, `https://hello.localhost:${port}/`]
      const { stdout } = await run('curl', ['-s', '--cacert', join(root, 'ca/ca.pem'), ...words, ...to])
      expect(stdout).toContain(`"version":"${version}"`)
    }
    const followed = await run('curl', [
      '-sL',
      '--cacert',
      join(root, 'ca/ca.pem'),
      `http://127.0.0.1:${port}/`,
    ])
    expect(followed.stdout).toContain('"protocol":"https"')
  })

  const h2load = has('h2load')
  test.skipIf(!h2load)(`h2load loses nothing${h2load ? '' : ' (h2load is not installed)'}`, async () => {
    await using test_ = await openTest(text('hello'), { tls })
    for (const words of [['-m', '20'], ['--h1']]) {
      const { stdout } = await run('h2load', ['-n', '3000', '-c', '10', ...words, `${test_.url}/`])
      expect(stdout).toContain('3000 succeeded, 0 failed, 0 errored')
    }
  })
})
