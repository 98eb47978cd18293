import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { randomBytes } from 'node:crypto'
import { gunzipSync } from 'node:zlib'

import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { WebSocket } from 'ws'

import type { FunctionScope } from '../../../src/core/function.ts'
import type { AbsolutePath } from '../../../src/core/place.ts'
import { process as provider } from '../../../src/emulators/process/index.ts'
import { parseOptions } from '../../../src/emulators/process/options.ts'
import { findProgram } from '../../../src/emulators/process/program.ts'
import { fakeConfinement, WITHOUT_BWRAP } from '../../fake-confinement.ts'
import { testScope } from '../../scope.ts'
import { serveFunction } from '../conformance.ts'
import { installed } from './harness.ts'

const SAYS = (text: string, more = ''): string =>
  `import { createServer } from 'node:http'\n${more}\ncreateServer((_, response) => response.end(${text})).listen(process.env.PORT)\n`

/** Gzips what it is sent: a request's content, and each binary message of a WebSocket (RFC 6455, written out). */
const GZIPS = `import { createHash } from 'node:crypto'
import { createServer } from 'node:http'
import { createGzip, gzipSync } from 'node:zlib'

const server = createServer((request, response) => request.pipe(createGzip()).pipe(response))
server.on('upgrade', (request, socket) => {
  const key = request.headers['sec-websocket-key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
  const accept = createHash('sha1').update(key).digest('base64')
  socket.write('HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n' +
    'Sec-WebSocket-Protocol: gzip\\r\\nSec-WebSocket-Accept: ' + accept + '\\r\\n\\r\\n')
  let rest = Buffer.alloc(0)
  socket.on('data', (chunk) => {
    rest = Buffer.concat([rest, chunk])
    for (let frame = take(); frame !== undefined; frame = take()) answer(frame)
  })
  function take() {
    if (rest.length < 10) return undefined
    const short = rest[1] & 127
    const [length, at] = short === 127 ? [Number(rest.readBigUInt64BE(2)), 10] : short === 126 ? [rest.readUInt16BE(2), 4] : [short, 2]
    if (rest.length < at + 4 + length) return undefined
    const mask = rest.subarray(at, at + 4)
    const content = Buffer.from(rest.subarray(at + 4, at + 4 + length)).map((byte, index) => byte ^ mask[index & 3])
    const opcode = rest[0] & 15
    rest = rest.subarray(at + 4 + length)
    return { opcode, content }
  }
  function answer({ opcode, content }) {
    const body = opcode === 2 ? gzipSync(content) : content
    const head = Buffer.alloc(10)
    head[0] = 128 | opcode
    head[1] = 127
    head.writeBigUInt64BE(BigInt(body.length), 2)
    if (opcode === 2) socket.write(Buffer.concat([head, body]))
    else if (opcode === 8) socket.end(Buffer.concat([Buffer.from([136, body.length]), body]))
  }
})
server.listen(process.env.YFASS_PORT)
`

const SENT = randomBytes(265_088)

async function gzips(overrides: Partial<FunctionScope>): Promise<void> {
  await using served = await serveFunction(
    provider,
    installed({ 'server.mjs': GZIPS }, { command: 'node', args: ['server.mjs'] }),
    overrides,
  )
  const { status, body } = await served.ask('/', { method: 'POST', body: SENT })
  expect(status).toBe(200)
  expect(gunzipSync(body).equals(SENT)).toBe(true)
  const socket = new WebSocket(served.gateway.url.replace('http', 'ws'), ['gzip'])
  const answer = await new Promise<Buffer>((resolve, reject) => {
    socket.on('error', reject)
    socket.on('open', () => socket.send(SENT))
    socket.on('message', (data: Buffer) => resolve(data))
  })
  expect(gunzipSync(answer).equals(SENT)).toBe(true)
  expect(socket.protocol).toBe('gzip')
  const closed = new Promise<readonly [number, string]>((resolve) => {
    socket.on('close', (code, reason) => resolve([code, reason.toString()]))
  })
  socket.close(4001, 'done')
  expect(await closed).toEqual([4001, 'done'])
}

describe('a program', () => {
  // oxlint-disable vitest/expect-expect -- what they share asserts
  test('gzips 265,088 bytes over HTTP and over a WebSocket, whose end reaches the client', async () => {
    await gzips({})
  })

  test.skipIf(WITHOUT_BWRAP !== '')(`does the same where it is kept apart${WITHOUT_BWRAP}`, async () => {
    await using confinement = await fakeConfinement()
    await gzips({ confinement, mode: 'serve' })
  })

  // oxlint-enable vitest/expect-expect

  test('has its variables, its folder, and nothing else of the server’s environment', async () => {
    process.env['FLEXI_TEST_SECRET'] = 'x'
    await using served = await serveFunction(
      provider,
      installed(
        {
          'server.mjs': SAYS('JSON.stringify([process.cwd(), process.env.A, process.env.FLEXI_TEST_SECRET])'),
        },
        { command: 'node', args: ['server.mjs'] },
        { environment: { A: 'a' } },
      ),
    )
    delete process.env['FLEXI_TEST_SECRET']
    expect(JSON.parse((await served.ask('/')).body.toString())).toEqual([served.directory, 'a', null])
  })

  test('is told who asks, and for which host', async () => {
    await using served = await serveFunction(
      provider,
      installed(
        {
          'server.mjs': `import { createServer } from 'node:http'
createServer(({ headers }, response) => response.end([headers.host, headers['x-forwarded-for'], headers['x-forwarded-proto']].join())).listen(process.env.PORT)
`,
        },
        { command: 'node', args: ['server.mjs'] },
      ),
    )
    const { body } = await served.ask('/', {
      headers: { host: 'shop.example.com', 'x-forwarded-for': '1.2.3.4' },
    })
    expect(body.toString()).toBe('shop.example.com,127.0.0.1,http')
  })

  test('is not asked before its health path answers well', async () => {
    await using served = await serveFunction(
      provider,
      installed(
        {
          'server.mjs': `import { createServer } from 'node:http'
let asked = 0
createServer((request, response) => {
  if (request.url === '/ready') response.writeHead((asked += 1) < 3 ? 503 : 200).end()
  else response.end(String(asked))
}).listen(process.env.PORT)
`,
        },
        { command: 'node', args: ['server.mjs'], ready: { path: '/ready' } },
      ),
    )
    expect((await served.ask('/')).body.toString()).toBe('3')
  })

  test('that ends before it listens is told as that, with how it ended', async () => {
    const opening = serveFunction(
      provider,
      installed({}, { command: 'sh', args: ['-c', 'echo no config >&2; exit 3'] }),
    )
    await expect(opening).rejects.toMatchObject({
      code: 'FLEXI_FUNCTION_INIT',
      message: 'sh -c ended before it could be asked: exit code 3',
    })
  })

  test('that never listens is given up after its time, and leaves no process', async () => {
    const opening = serveFunction(
      provider,
      installed({}, { command: 'sleep', args: ['1000'], ready: { timeout: 0.2 } }),
    )
    await expect(opening).rejects.toMatchObject({
      message: expect.stringMatching(/^sleep 1000 did not listen on port \d+ within 0\.2 s$/) as string,
      hint: expect.stringContaining('PORT') as string,
    })
  })

  test.each([
    ['', undefined],
    [' where it is kept apart', fakeConfinement],
  ])('finishes what it does when it is stopped: SIGTERM comes first%s', async (_, confine) => {
    if (confine !== undefined && WITHOUT_BWRAP !== '') return
    await using confinement = await (confine ?? (() => Promise.resolve(undefined)))()
    const served = await serveFunction(
      provider,
      installed(
        { 'server.mjs': SAYS("''", "process.on('SIGTERM', () => { console.log('bye'); process.exit() })") },
        { command: 'node', args: ['server.mjs'] },
      ),
      { confinement },
    )
    const { lines } = served
    await served.ask('/')
    await served[Symbol.asyncDispose]()
    expect(lines.map(({ text }) => text)).toContain('bye')
  })

  test('that ignores SIGTERM is killed when its time is over', async () => {
    const served = await serveFunction(
      provider,
      installed(
        { 'server.mjs': SAYS('String(process.pid)', "process.on('SIGTERM', () => {})") },
        { command: 'node', args: ['server.mjs'], stop_timeout: 0.1 },
      ),
    )
    const pid = Number((await served.ask('/')).body.toString())
    await served[Symbol.asyncDispose]()
    expect(() => process.kill(pid, 0)).toThrow('ESRCH')
  })

  test('that ends with exit code 0 has done its work: that is no fault, and the next request starts it again', async () => {
    await using served = await serveFunction(
      provider,
      installed(
        {
          'server.mjs': `import { createServer } from 'node:http'
createServer((request, response) => response.end(String(process.pid), () => { if (request.url === '/last') process.exit() })).listen(process.env.PORT)
`,
        },
        { command: 'node', args: ['server.mjs'] },
      ),
    )
    const first = (await served.ask('/last')).body.toString()
    await expect
      .poll(() => served.lines.map(({ text }) => text))
      .toContain('node server.mjs ended by itself: exit code 0')
    expect((await served.ask('/')).body.toString()).not.toBe(first)
    expect(served.faults).toEqual([])
  })

  test.skipIf(WITHOUT_BWRAP !== '')(
    `cannot have us speak to another socket than its own: a link in its place is none${WITHOUT_BWRAP}`,
    async () => {
      await using confinement = await fakeConfinement()
      const secret = createServer((_, response) => response.end('the secret of the machine'))
      const path = join(confinement.runDirectory, 'other.sock')
      await new Promise<void>((resolve) => secret.listen(path, () => resolve()))
      const code = `import { symlinkSync } from 'node:fs'
symlinkSync('${path}', process.env.SOCKET)
setInterval(() => 0, 1000)
`
      const opening = serveFunction(
        provider,
        installed(
          { 'server.mjs': code },
          { command: 'node', args: ['server.mjs'], listen: 'socket', ready: { timeout: 0.7 } },
        ),
        { confinement },
      )
      await expect(opening).rejects.toMatchObject({
        message: expect.stringContaining('did not listen') as string,
      })
      secret.close()
    },
  )

  test('with a port of its own is exchanged without a lost request, one after the other', async () => {
    const port = 20_000 + (process.pid % 20_000)
    const code = (text: string): string =>
      `import { createServer } from 'node:http'\ncreateServer((_, response) => response.end('${text}')).listen(${port})\n`
    await using served = await serveFunction(
      provider,
      installed({ 'server.mjs': code('one') }, { command: 'node', args: ['server.mjs'], listen: port }),
    )
    expect((await served.ask('/')).body.toString()).toBe('one')
    await writeFile(join(served.directory, 'server.mjs'), code('two'))
    const [, ...answers] = await Promise.all([
      served.rebuild(),
      ...Array.from({ length: 20 }, () => served.ask('/')),
    ])
    expect(answers.every(({ status }) => status === 200)).toBe(true)
    expect((await served.ask('/')).body.toString()).toBe('two')
  })

  test('is the same revision while only what it writes itself changes', async () => {
    const directory = (await mkdtemp(join(tmpdir(), 'flexi-process-'))) as AbsolutePath
    const config = await installed({ 'server.mjs': '' }, { command: 'node', args: ['server.mjs'] })(directory)
    await using source = await provider.open(config, testScope(directory))
    const before = (await source.build()).revision
    await writeFile(join(directory, 'app.log'), 'x')
    expect((await source.build()).revision).toBe(before)
    await writeFile(join(directory, 'server.mjs'), '// x')
    expect((await source.build()).revision).not.toBe(before)
    await rm(directory, { recursive: true })
  })
})

describe('what is deployed of a program', () => {
  test('is its folder without what belongs to the machine, links as links, and the options that run it', async () => {
    const directory = (await mkdtemp(join(tmpdir(), 'flexi-process-'))) as AbsolutePath
    const out = (await mkdtemp(join(tmpdir(), 'flexi-process-'))) as AbsolutePath
    const files = {
      'server.sh': '#!/bin/sh\n',
      'node_modules/a/index.js': '',
      '.env': 'SECRET=1',
      '.env.local': '',
      '.git/x': '',
      'flexi.jsonc': '{}',
    }
    const options = { command: './server.sh', args: ['a'], watch: ['server.sh'], ready: { path: '/up' } }
    const config = await installed(files, options)(directory)
    await using source = await provider.open(config, testScope(directory))
    const packed = await source.package(out, { complete: true })
    expect(packed.map(({ path }) => path)).toEqual(['node_modules/a/index.js', 'server.sh'])
    expect(source.shipped?.()).toEqual({ command: './server.sh', args: ['a'], ready: { path: '/up' } })
    expect(await readFile(join(out, 'server.sh'), 'utf8')).toBe('#!/bin/sh\n')
    await Promise.all([directory, out].map((path) => rm(path, { recursive: true })))
  })

  test('is only what "files" names, where it does', async () => {
    const directory = (await mkdtemp(join(tmpdir(), 'flexi-process-'))) as AbsolutePath
    const out = (await mkdtemp(join(tmpdir(), 'flexi-process-'))) as AbsolutePath
    const config = await installed(
      { 'dist/a.js': '', 'src/a.ts': '', 'package.json': '{}' },
      { command: 'node', args: ['dist/a.js'], files: ['dist', 'package.json'] },
    )(directory)
    await using source = await provider.open(config, testScope(directory))
    expect((await source.package(out)).map(({ path }) => path)).toEqual(['dist/a.js', 'package.json'])
    await Promise.all([directory, out].map((path) => rm(path, { recursive: true })))
  })
})

describe('options of a process', () => {
  const faultsOf = (
    options: Record<string, unknown>,
    scope: Parameters<typeof parseOptions>[1] = {},
  ): unknown => {
    try {
      const origin = { file: '/p/flexi.jsonc', line: 1, column: 1 }
      parseOptions(
        { name: 'f', provider: 'process', directory: '/p' as AbsolutePath, origin, environment: {}, options },
        scope,
      )
      return []
    } catch (error) {
      return (error as { faults?: readonly { message: string }[] }).faults?.map(({ message }) => message)
    }
  }

  test.each([
    [{}, ['f: no command']],
    [{ command: 'x', comand: 1 }, ['f: a process has no option "comand"']],
    [{ command: 'x', args: 'a b' }, ['f: "args" is no list of texts']],
    [{ command: 'x', listen: 0 }, ['f: "listen" cannot be 0']],
    [{ command: 'x', listen: 'unix' }, ['f: "listen" cannot be "unix"']],
    [{ command: 'x', ready: { path: 'up' } }, ['f: "ready.path" is no path']],
    [{ command: 'x', ready: { path: '/a b\r\nX: y' } }, ['f: "ready.path" is no path']],
    [{ command: 'x', ready: [] }, ['f: "ready" is no object']],
    [{ command: 'x', stop_timeout: -1 }, ['f: "stop_timeout" cannot be -1']],
    [{ command: 'x', files: ['../..'] }, ['f: "files": ../.. is outside of its folder']],
    [{ command: 'x', listen: 80, ready: { path: '/', timeout: 3 } }, []],
  ])('%j', (options, faults) => {
    expect(faultsOf(options)).toEqual(faults)
  })

  test("of a program that is kept apart, name the system's own before one of a version manager, which would not run there", async () => {
    const folder = await mkdtemp(join(tmpdir(), 'flexi-test-'))
    onTestFinished(() => rm(folder, { recursive: true }))
    for (const name of ['env', 'node', 'only-here']) await writeFile(join(folder, name), '', { mode: 0o755 })
    vi.stubEnv('PATH', `${folder}:${process.env['PATH']}`)
    onTestFinished(() => void vi.unstubAllEnvs())
    await using confinement = await fakeConfinement()
    const config = { name: 'f', directory: folder as AbsolutePath }
    const found = (command: string, apart: boolean): string =>
      findProgram(config, { command }, { confinement: apart ? confinement : undefined }).command
    expect(found('env', true)).toBe('/usr/bin/env')
    expect(found('node', true)).toBe(process.execPath)
    expect(found('only-here', true)).toBe(join(folder, 'only-here'))
    expect(found('env', false)).toBe(join(folder, 'env'))
  })

  test('in a confinement name no program that its user could not get at, nor tell whether there is one', async () => {
    await using confinement = await fakeConfinement()
    const closed = await mkdtemp(join(tmpdir(), 'flexi-process-'))
    const open = join(tmpdir(), 'flexi-no-such-program')
    await writeFile(join(closed, 'there'), '#!/bin/sh\n', { mode: 0o755 })
    for (const command of [join(closed, 'there'), join(closed, 'not'), './../x', 'a/../../x']) {
      expect(faultsOf({ command }, { confinement })).toEqual([
        `f: the command ${command} is outside of its folder`,
      ])
    }
    for (const command of ['/bin/sh', open, 'bin/x', './x', '/p/x'])
      expect(faultsOf({ command }, { confinement })).toEqual([])
    expect(faultsOf({ command: join(closed, 'there') })).toEqual([])
    await rm(closed, { recursive: true })
  })

  test('name a program that is there: a missing one is told with what to do', async () => {
    const open = (command: string): Promise<unknown> =>
      serveFunction(provider, installed({ 'a.txt': '' }, { command }))
    await expect(open('no-such-program')).rejects.toMatchObject({ code: 'FLEXI_TOOL_MISSING' })
    await expect(open('./a.txt')).rejects.toMatchObject({
      hint: expect.stringMatching(/^Run: chmod \+x/) as string,
    })
    await expect(open('./b')).rejects.toMatchObject({
      message: expect.stringContaining('is not there') as string,
    })
  })
})
