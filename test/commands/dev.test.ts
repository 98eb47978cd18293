import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'

import { cli, RUN } from './cli.ts'

let folder: string
let upstream: Server
const children: ChildProcess[] = []

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'flexi-dev-'))
  // An upstream that holds /slow back until it is let go, so that a drain can be seen.
  upstream = createServer((request, response) => {
    if (request.url !== '/api/slow') response.end('from upstream\n')
  })
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve))
  await mkdir(join(folder, 'public'))
  await writeFile(join(folder, 'public/index.html'), '<h1>hello</h1>')
})
beforeEach(async () => {
  const { port } = upstream.address() as AddressInfo
  await writeFile(join(folder, 'proxy.ini'), `/api = http://127.0.0.1:${port}\n/ = ./public/\n`)
})
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
})
afterAll(async () => {
  upstream.closeAllConnections()
  upstream.close()
  await rm(folder, { recursive: true, force: true })
})

interface Running {
  readonly child: ChildProcess
  readonly out: { stdout: string; stderr: string }
  readonly exit: Promise<number | null>
  url(): Promise<string>
}

function dev(...args: readonly string[]): Running {
  return running([process.execPath, RUN, 'dev', '--port', '0', ...args, folder])
}

function running([command = '', ...args]: readonly string[]): Running {
  const env = { ...process.env, FLEXI_CACHE_DIR: join(folder, 'cache'), NO_COLOR: '1', TERM: 'xterm' }
  const child = spawn(command, args, { env, stdio: ['pipe', 'pipe', 'pipe'] })
  children.push(child)
  const out = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out.stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (out.stderr += text))
  const url = async (): Promise<string> => {
    const found = (): string | undefined => /http:\/\/127\.0\.0\.1:\d+/.exec(out.stderr + out.stdout)?.[0]
    await expect.poll(found, { timeout: 10_000 }).toBeDefined()
    return found() ?? ''
  }
  return { child, out, url, exit: new Promise((resolve) => child.on('exit', (code) => resolve(code))) }
}

describe('without a terminal', () => {
  test('banner and access lines are plain lines on stderr, and SIGTERM ends it with 0', async () => {
    const server = dev()
    const url = await server.url()
    await fetch(`${url}/api/x?y=1`)
    await expect.poll(() => server.out.stderr).toMatch(/\d\d:\d\d:\d\d GET \/api\/x\?y=1 → 200 [\d.]+ ms/)
    expect(server.out.stderr).toMatch(/flexi v\d+\.\d+\.\d+ {2}ready in [\d.]+ m?s/)
    expect(server.out.stderr).toMatch(/ROUTE +TARGET\n +\/api +http/)
    expect(server.out.stderr).not.toContain('\u001b')
    expect(server.out.stderr).not.toContain('for the keys')
    server.child.kill('SIGTERM')
    expect(await server.exit).toBe(0)
    expect(server.out.stdout).toBe('')
  })

  test("--log-format flexilib prints FlexiLib's line on stdout", async () => {
    const server = dev('--log-format', 'flexilib')
    await fetch(`${await server.url()}/api/x`)
    await expect
      .poll(() => server.out.stdout)
      .toMatch(/^127\.0\.0\.1:\d+ - - "GET \/api\/x HTTP\/1\.1" 200 ttfb [\d.]+ms \d+ ttlb [\d.]+ms/)
  })

  test('--log-format json prints a record a line on stdout', async () => {
    const server = dev('--log-format', 'json')
    await fetch(`${await server.url()}/api/x`)
    await expect.poll(() => server.out.stdout).not.toBe('')
    expect(JSON.parse(server.out.stdout)).toMatchObject({ method: 'GET', target: '/api/x', status: 200 })
  })

  test('--log-level error is silent about requests', async () => {
    const server = dev('--json', '--log-level', 'error')
    const url = await server.url()
    const quiet = dev('--log-level', 'error')
    await fetch(`${url}/api/x`)
    quiet.child.kill('SIGTERM')
    await quiet.exit
    expect(quiet.out).toEqual({ stdout: '', stderr: '' })
  })
})

describe('the end', () => {
  test('the first SIGINT waits for what is running, the second does not', async () => {
    const server = dev()
    const slow = fetch(`${await server.url()}/api/slow`).then(
      () => 'answered',
      () => 'cut',
    )
    await expect
      .poll(() => new Promise((resolve) => upstream.getConnections((_, count) => resolve(count))))
      .toBeGreaterThan(0)
    server.child.kill('SIGINT')
    await expect.poll(() => server.out.stderr).toContain('press Ctrl-C again to quit now')
    server.child.kill('SIGINT')
    expect(await server.exit).toBe(130)
    expect(await slow).toBe('cut')
  })

  test('SIGHUP reads the configuration again', async () => {
    const server = dev('--no-watch')
    const url = await server.url()
    await writeFile(join(folder, 'proxy.ini'), '/new = ./public/\n')
    expect((await fetch(`${url}/`)).status).toBe(200)
    server.child.kill('SIGHUP')
    await expect.poll(async () => (await fetch(`${url}/`)).status).toBe(404)
    await expect.poll(() => server.out.stderr).toMatch(/↻ everything {2}[\d.]+ ms/)
  })

  test('it ends when the program that reads its events is gone', async () => {
    const server = dev('--json')
    const url = await server.url()
    server.child.stdout?.destroy()
    await fetch(`${url}/api/x`).catch(() => undefined)
    expect(await server.exit).toBe(0)
  })
})

describe('what keeps it from starting', () => {
  test('a broken configuration: 78, for people and for programs', async () => {
    await writeFile(join(folder, 'proxy.ini'), 'nonsense\n')
    const people = await cli(['dev', '--port', '0', folder])
    expect(people).toMatchObject({ exit: 78, stdout: '' })
    expect(people.stderr).toContain('proxy.ini:1:1')
    const programs = await cli(['dev', '--port', '0', '--json', folder])
    expect(programs).toMatchObject({ exit: 78, stderr: '' })
    expect(programs.stdout.split('\n')).toHaveLength(2)
    expect(JSON.parse(programs.stdout)).toMatchObject({
      event: 'error',
      code: 'FLEXI_CONFIG',
      faults: [{ place: { line: 1 } }],
    })
  })

  test('a fixed port that is taken: 69', async () => {
    const { port } = upstream.address() as AddressInfo
    const result = await cli(['dev', '--port', String(port), folder])
    expect(result).toMatchObject({ exit: 69, stdout: '' })
    expect(result.stderr).toContain(String(port))
    expect(result.stderr).toContain('FLEXI_PORT_TAKEN')
  })

  test('a file that is named and not there: 66', async () => {
    const result = await cli(['dev', '--config', 'nowhere', folder])
    expect(result).toMatchObject({ exit: 66, stdout: '' })
    expect(result.stderr).toContain('there is no file nowhere')
  })

  test('an --env-file that is not there: Node 20 looks for that flag in the whole command line, and ends with 9 before us', async () => {
    const result = await cli(['dev', '--env-file', 'nowhere', folder])
    expect([9, 66]).toContain(result.exit)
    expect(result.stderr).toContain('nowhere')
  })
})

const SCRIPT = spawnSync('script', ['--version']).status === 0
if (!SCRIPT) process.stderr.write('keys are not tested: script (util-linux) is not installed\n')

describe.runIf(SCRIPT)('on a terminal', () => {
  /** `script` gives its command a terminal, and passes our bytes to it as keys. */
  function onTerminal(): Running {
    return running([
      'script',
      '--quiet',
      '--flush',
      '--return',
      '--command',
      `${process.execPath} ${RUN} dev --port 0 ${folder}`,
      '/dev/null',
    ])
  }

  test('h tells the keys, r restarts, q quits with 0', async () => {
    const terminal = onTerminal()
    await terminal.url()
    await expect.poll(() => terminal.out.stdout).toContain('press h for the keys')
    terminal.child.stdin?.write('h')
    await expect
      .poll(() => terminal.out.stdout)
      .toContain('r restart   o open the browser   c clear   q quit')
    terminal.child.stdin?.write('r')
    await expect.poll(() => terminal.out.stdout).toContain('↻ everything')
    terminal.child.stdin?.write('q')
    expect(await terminal.exit).toBe(0)
  })

  test('Ctrl-C ends it with 0', async () => {
    const terminal = onTerminal()
    await terminal.url()
    await expect.poll(() => terminal.out.stdout).toContain('press h for the keys')
    terminal.child.stdin?.write('\u0003')
    expect(await terminal.exit).toBe(0)
  })
})
