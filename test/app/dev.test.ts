import { execFileSync } from 'node:child_process'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'

import { describe, expect, onTestFinished, test } from 'vitest'

import { startApp } from '../../src/app.ts'
import type { DevEvent } from '../../src/core/events.ts'
import type { AbsolutePath } from '../../src/core/place.ts'

import { ROOT, runFlexi, startFlexi, temporaryFolder } from './flexi-process.ts'

const text = async (url: string, init?: RequestInit): Promise<string> => (await fetch(url, init)).text()
const hasCompiler = ((): boolean => {
  try {
    execFileSync('cc', ['--version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
})()

async function project(files: Readonly<Record<string, string>>): Promise<{ path: string } & AsyncDisposable> {
  const folder = await temporaryFolder()
  for (const [name, content] of Object.entries(files)) {
    await mkdir(join(folder.path, name, '..'), { recursive: true })
    await writeFile(join(folder.path, name), content)
  }
  return folder
}

const lambda = (answer: string): string =>
  `export const handler = async (event: { rawPath: string }) => ({ statusCode: 200, body: ${JSON.stringify(answer)} + event.rawPath })\n`
const worker = (answer: string): string =>
  `export default { fetch: (request: Request) => new Response(${JSON.stringify(answer)} + new URL(request.url).pathname) }\n`
const wrangler = JSON.stringify({ name: 'edge', main: 'src/index.ts', compatibility_date: '2026-10-01' })

describe('the tour', () => {
  test.skipIf(!hasCompiler)(
    'serves a Lambda, a Worker with KV, a C library, an upstream and a folder by proxy.ini',
    async () => {
      await using folder = await temporaryFolder(join(ROOT, 'examples/tour'))
      const upstream = createServer((request, response) => response.end(`upstream ${request.url}`))
      await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve))
      const ini = join(folder.path, 'proxy.ini')
      await writeFile(
        ini,
        (await readFile(ini, 'utf8')).replace('8070', String((upstream.address() as AddressInfo).port)),
      )
      const json = join(folder.path, 'flexi.jsonc')
      await writeFile(
        json,
        (await readFile(json, 'utf8'))
          .replace('../../include', join(ROOT, 'include'))
          .replace('../../flexi.schema.json', 'flexi.schema.json'),
      )
      await using flexi = await startFlexi(folder.path)
      expect(JSON.parse(await text(`${flexi.url}/hello?name=you`))).toMatchObject({
        message: 'Hello, you!',
        method: 'GET',
      })
      expect(JSON.parse(await text(`${flexi.url}/edge/a`))).toMatchObject({
        message: 'Hello from the edge',
        path: '/edge/a',
        visits: 1,
      })
      expect(JSON.parse(await text(`${flexi.url}/edge/a`))).toMatchObject({ visits: 2 })
      expect(await text(`${flexi.url}/fib/30`)).toBe('fib(30) = 832040\n')
      expect(await text(`${flexi.url}/api/x?y=1`)).toBe('upstream /api/x?y=1')
      expect(await text(`${flexi.url}/`)).toContain('One server, five kinds of answers')
      expect((await fetch(`${flexi.url}/style.css`)).headers.get('content-type')).toContain('text/css')
      upstream.close()
    },
  )
})

describe('a save', () => {
  test('of a TypeScript Lambda is in the next answer; of a broken one changes nothing and says where it is broken', async () => {
    await using folder = await project({ 'proxy.ini': '/ = ./hello.ts\n', 'hello.ts': lambda('one') })
    await using flexi = await startFlexi(folder.path)
    expect(await text(`${flexi.url}/x`)).toBe('one/x')
    await writeFile(join(folder.path, 'hello.ts'), lambda('two'))
    const reload = await flexi.event('reload')
    expect(reload).toMatchObject({ function: 'hello', files: ['hello.ts'] })
    expect(await text(`${flexi.url}/x`)).toBe('two/x')
    await writeFile(join(folder.path, 'hello.ts'), 'export const handler = async () => {\n  return {{\n}\n')
    const error = await flexi.event('error')
    expect(error).toMatchObject({ code: 'FLEXI_BUILD', function: 'hello' })
    expect(error.faults[0]).toMatchObject({ place: { line: 2 }, text: '  return {{' })
    expect(error.faults[0]?.place.file).toContain('hello.ts')
    expect(await text(`${flexi.url}/x`)).toBe('two/x')
    flexi.forget()
    await writeFile(join(folder.path, 'hello.ts'), lambda('two'))
    await flexi.event('reload')
    await writeFile(join(folder.path, 'hello.ts'), lambda('three'))
    await expect.poll(() => text(`${flexi.url}/x`)).toBe('three/x')
  })

  test('of a module that a handler imports is in the next answer', async () => {
    await using folder = await project({
      'proxy.ini': '/js = ./a.mjs\n/ts = ./b.ts\n',
      'a.mjs': `import { word } from './lib/word.mjs'\nexport const handler = async () => word`,
      'b.ts': `import { word } from './lib/word.mjs'\nexport const handler = async () => word`,
      'lib/word.mjs': `export const word = 'one'`,
    })
    await using flexi = await startFlexi(folder.path)
    expect([await text(`${flexi.url}/js`), await text(`${flexi.url}/ts`)]).toEqual(['one', 'one'])
    await writeFile(join(folder.path, 'lib/word.mjs'), `export const word = 'two'`)
    await expect
      .poll(async () => [await text(`${flexi.url}/js`), await text(`${flexi.url}/ts`)])
      .toEqual(['two', 'two'])
  })

  test('of a Worker is in the next answer', async () => {
    await using folder = await project({ 'wrangler.jsonc': wrangler, 'src/index.ts': worker('one') })
    await using flexi = await startFlexi(folder.path)
    expect(await text(`${flexi.url}/x`)).toBe('one/x')
    await writeFile(join(folder.path, 'src/index.ts'), worker('two'))
    await flexi.event('reload')
    expect(await text(`${flexi.url}/x`)).toBe('two/x')
  })

  test('of a wrangler file with a fault tells it once, and the Worker serves on', async () => {
    await using folder = await project({ 'wrangler.jsonc': wrangler, 'src/index.ts': worker('one') })
    await using flexi = await startFlexi(folder.path)
    await writeFile(join(folder.path, 'wrangler.jsonc'), wrangler.replace('"main"', '"vars": "none", "main"'))
    await flexi.event('error')
    await writeFile(join(folder.path, 'wrangler.jsonc'), wrangler)
    await flexi.event('configuration')
    expect(flexi.events.filter(({ event }) => event === 'error')).toHaveLength(1)
    expect(await text(`${flexi.url}/x`)).toBe('one/x')
  })

  test('of proxy.ini routes anew; a broken one keeps the old routes and says which line', async () => {
    await using folder = await project({
      'proxy.ini': '/a = ./a.mjs\n',
      'a.mjs': `export const handler = async () => 'a'`,
      'b.mjs': `export const handler = async () => 'b'`,
    })
    await using flexi = await startFlexi(folder.path)
    expect((await fetch(`${flexi.url}/b`)).status).toBe(404)
    await writeFile(join(folder.path, 'proxy.ini'), '/a = ./a.mjs\n/b = ./b.mjs\n')
    await flexi.event('configuration')
    expect(await text(`${flexi.url}/b`)).toBe('b')
    expect(await text(`${flexi.url}/a`)).toBe('a')
    await writeFile(join(folder.path, 'proxy.ini'), '/a = ./a.mjs\n[broken]\n')
    const error = await flexi.event('error')
    expect(error.code).toBe('FLEXI_CONFIG')
    expect(error.faults[0]).toMatchObject({ place: { line: 2 }, text: '[broken]' })
    expect(await text(`${flexi.url}/b`)).toBe('b')
    await writeFile(join(folder.path, 'proxy.ini'), '/b = ./b.mjs\n')
    await expect.poll(async () => (await fetch(`${flexi.url}/a`)).status).toBe(404)
    expect(await text(`${flexi.url}/b`)).toBe('b')
  })

  test('of configuration and code at once brings both', async () => {
    await using folder = await project({
      'proxy.ini': '/a = ./a.mjs\n',
      'a.mjs': `export const handler = async () => 'one'`,
    })
    await using flexi = await startFlexi(folder.path)
    await Promise.all([
      writeFile(join(folder.path, 'proxy.ini'), '/a = ./a.mjs\n/b = ./a.mjs\n'),
      writeFile(join(folder.path, 'a.mjs'), `export const handler = async () => 'two'`),
    ])
    await expect.poll(() => text(`${flexi.url}/b`)).toBe('two')
    expect(await text(`${flexi.url}/a`)).toBe('two')
  })

  test('under load fails no request, fifty times', async () => {
    await using folder = await project({ 'proxy.ini': '/ = ./hello.ts\n', 'hello.ts': lambda('0') })
    await using flexi = await startFlexi(folder.path)
    let running = true
    const client = async (): Promise<string[]> => {
      const bad: string[] = []
      while (running) {
        const response = await fetch(`${flexi.url}/x`).catch((error: unknown) => error as Error)
        const answer =
          response instanceof Error ? response.message : `${response.status} ${await response.text()}`
        if (!/^200 \d+\/x$/.test(answer)) bad.push(answer)
      }
      return bad
    }
    const clients = [client(), client(), client()]
    for (let turn = 1; turn <= 50; turn += 1) {
      await writeFile(join(folder.path, 'hello.ts'), lambda(String(turn)))
      await expect.poll(() => text(`${flexi.url}/x`), { interval: 2 }).toBe(`${turn}/x`)
    }
    running = false
    expect((await Promise.all(clients)).flat()).toEqual([])
  }, 60_000)
})

describe('a directory with only a provider file is served as it is', () => {
  test('wrangler.jsonc', async () => {
    await using folder = await project({ 'wrangler.jsonc': wrangler, 'src/index.ts': worker('w') })
    await using flexi = await startFlexi(folder.path)
    expect(await text(`${flexi.url}/x`)).toBe('w/x')
  })

  test('template.yaml', async () => {
    await using folder = await project({
      'template.yaml': `Transform: AWS::Serverless-2016-10-31
Globals: { Function: { Timeout: 5, Runtime: nodejs20.x } }
Resources:
  Users:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: src/
      Handler: users.handler
      Environment: { Variables: { STAGE: local } }
      Events:
        Get: { Type: HttpApi, Properties: { Path: "/users/{id}", Method: get } }
`,
      'src/users.js': `exports.handler = async (event) => ({ id: event.pathParameters.id, stage: process.env.STAGE, route: event.routeKey })`,
    })
    await using flexi = await startFlexi(folder.path)
    expect(JSON.parse(await text(`${flexi.url}/users/42`))).toEqual({
      id: '42',
      stage: 'local',
      route: 'GET /users/{id}',
    })
    expect((await fetch(`${flexi.url}/users/42`, { method: 'POST' })).status).toBe(404)
  })

  test('serverless.yml', async () => {
    await using folder = await project({
      'serverless.yml': `service: demo
provider: { name: aws, runtime: nodejs20.x, environment: { STAGE: local } }
functions:
  hello:
    handler: src/hello.main
    events:
      - httpApi: "GET /hello/{name}"
`,
      'src/hello.ts': `export const main = async (event: any) => ({ statusCode: 200, body: event.pathParameters.name + process.env.STAGE })`,
    })
    await using flexi = await startFlexi(folder.path)
    expect(await text(`${flexi.url}/hello/you`)).toBe('youlocal')
  })

  test('nothing at all: exit 66, and what to do', async () => {
    await using folder = await project({})
    const { code, stderr } = await runFlexi(['dev', folder.path])
    expect(code).toBe(66)
    expect(stderr).toContain('flexi new')
  })
})

describe('every function has an address of its own', () => {
  test('under /_flexi/f/NAME/ and as NAME.localhost, with the prefix gone from its event', async () => {
    await using folder = await project({ 'proxy.ini': '/a = ./a.ts\n', 'a.ts': lambda('a') })
    await using flexi = await startFlexi(folder.path)
    const ready = await flexi.event('ready')
    expect(ready.functions).toEqual([{ name: 'a', provider: 'lambda', url: `${flexi.url}/_flexi/f/a/` }])
    expect(ready.routes).toEqual([{ pattern: '/a', target: 'a' }])
    expect(await text(`${flexi.url}/_flexi/f/a/x/y`)).toBe('a/x/y')
    const port = new URL(flexi.url).port
    expect(
      execFileSync('curl', ['-s', `http://127.0.0.1:${port}/z`, '-H', `Host: a.localhost:${port}`], {
        encoding: 'utf8',
      }),
    ).toBe('a/z')
  })
})

describe('SIGHUP', () => {
  test('starts every function anew, although nothing changed', async () => {
    await using folder = await project({
      'proxy.ini': '/ = ./count.mjs\n',
      'count.mjs': `let calls = 0\nexport const handler = async () => String(++calls)`,
    })
    await using flexi = await startFlexi(folder.path)
    expect([await text(flexi.url), await text(flexi.url)]).toEqual(['1', '2'])
    flexi.signal('SIGHUP')
    await flexi.event('reload')
    expect(await text(flexi.url)).toBe('1')
  })
})

describe('the end', () => {
  test('SIGTERM lets a request finish, exits with 0 and leaves no process', async () => {
    await using folder = await project({
      'proxy.ini': '/ = ./slow.mjs\n',
      'slow.mjs': `export const handler = async () => { await new Promise((r) => setTimeout(r, 700)); return 'done' }`,
    })
    await using flexi = await startFlexi(folder.path)
    const slow = text(flexi.url)
    await flexi.event('log', ({ text: line }) => line.startsWith('START '))
    flexi.signal('SIGTERM')
    await flexi.event('closing')
    expect(await slow).toBe('done')
    expect(await flexi.exited).toEqual({ code: 0, signal: null })
    expect(descendants(flexi.pid)).toEqual([])
  })

  test.skipIf(process.platform !== 'linux')(
    'kill -9 leaves no function process, no workerd and no library process behind',
    async () => {
      await using folder = await project({
        'proxy.ini': '/a = ./a.ts\n/w = ./edge/\n',
        'a.ts': lambda('a'),
        'edge/wrangler.jsonc': wrangler,
        'edge/src/index.ts': worker('w'),
      })
      await using flexi = await startFlexi(folder.path)
      expect(await text(`${flexi.url}/w`)).toBe('w/w')
      const started = descendants(flexi.pid)
      expect(started.length).toBeGreaterThanOrEqual(2)
      flexi.signal('SIGKILL')
      await flexi.exited
      await expect.poll(() => started.filter(isRunning), { timeout: 5000 }).toEqual([])
    },
  )
})

describe('bad input', () => {
  test('all faults of all files at once, each with its place and source line; exit 78', async () => {
    await using folder = await project({
      'proxy.ini': 'no equals\n/x = unknwon\n',
      'flexi.jsonc': '{ "functions": { "known": { "provider": "lamda", "handler": "a.handler" } } }',
    })
    const { code, stderr } = await runFlexi(['check', folder.path])
    expect(code).toBe(78)
    expect(stderr).toContain('proxy.ini:1:1')
    expect(stderr).toContain('no equals')
    expect(stderr).toMatch(/lambda/)
  })

  test('a port that is taken: exit 69 when a flag, a variable or flexi.jsonc names it', async () => {
    await using folder = await project({ 'proxy.ini': '/ = ./a.ts\n', 'a.ts': lambda('a') })
    const holder = createServer()
    await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve))
    const { port } = holder.address() as AddressInfo
    onTestFinished(() => void holder.close())
    const byFlag = await runFlexi(['dev', folder.path, '--port', String(port)])
    await writeFile(join(folder.path, 'flexi.jsonc'), JSON.stringify({ server: { port } }))
    const byFile = await runFlexi(['dev', folder.path])
    for (const { code, stderr } of [byFlag, byFile]) {
      expect(code).toBe(69)
      expect(stderr).toContain('FLEXI_PORT_TAKEN')
      expect(stderr).toContain(`${port} is taken by process ${process.pid}`)
    }
  })

  test('the default port that is taken: the next one, which is said', async () => {
    await using folder = await project({ 'proxy.ini': '/ = http://127.0.0.1:9\n' })
    const holder = createServer()
    // Whoever holds it: it is taken.
    await new Promise<void>((resolve) => {
      holder.once('error', () => resolve())
      holder.listen(8069, '127.0.0.1', resolve)
    })
    onTestFinished(() => void holder.close())
    const events: DevEvent[] = []
    await using app = await startApp({
      directory: folder.path as AbsolutePath,
      mode: 'serve',
      portIsFixed: false,
      environment: {},
      watch: false,
      startedAt: 0,
      onEvent: (event) => events.push(event),
    })
    const { port } = new URL(app.url)
    expect(Number(port)).toBeGreaterThan(8069)
    expect(events).toContainEqual({ event: 'warning', message: `port 8069 is taken, so this is ${port}` })
  })

  test('garbage on the socket is answered 400 and the server lives', async () => {
    await using folder = await project({ 'proxy.ini': '/ = ./a.ts\n', 'a.ts': lambda('a') })
    await using flexi = await startFlexi(folder.path)
    const { connect } = await import('node:net')
    const socket = connect(Number(new URL(flexi.url).port), '127.0.0.1')
    socket.end('\x16\x03\x01garbage\r\n\r\n')
    let answer = ''
    for await (const chunk of socket) answer += String(chunk)
    expect(answer).toMatch(/^HTTP\/1\.1 400 /)
    expect(await text(`${flexi.url}/`)).toBe('a/')
  })

  test('a handler that is not there names the file, what was looked for and what is there instead', async () => {
    await using folder = await project({
      'flexi.jsonc': '{ "functions": { "a": { "provider": "lambda", "handler": "a.main" } } }',
      'a.ts': lambda('a'),
    })
    await using flexi = await startFlexi(folder.path)
    const answer = await fetch(flexi.url)
    expect(answer.status).toBe(502)
    const shown = JSON.stringify(flexi.events)
    expect(shown).toContain('main')
    expect(shown).toContain('handler')
    await rm(join(folder.path, 'a.ts'))
  })
})

function descendants(root: number): number[] {
  const table = execFileSync('ps', ['-e', '-o', 'pid=,ppid=,stat='], { encoding: 'utf8' })
  const rows = table
    .trim()
    .split('\n')
    .map((row) => row.trim().split(/\s+/))
  const below = (pid: number): number[] =>
    rows
      .filter((row) => Number(row[1]) === pid && !row[2]?.startsWith('Z'))
      .flatMap((row) => [Number(row[0]), ...below(Number(row[0]))])
  return below(root)
}

function isRunning(pid: number): boolean {
  const table = execFileSync('ps', ['-e', '-o', 'pid=,stat='], { encoding: 'utf8' })
  return table.split('\n').some((row) => new RegExp(`^\\s*${pid}\\s+[^Z]`).test(row))
}
