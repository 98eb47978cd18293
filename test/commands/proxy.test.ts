import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { copyFile, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { get as getSecurely } from 'node:https'
import { connect, type AddressInfo } from 'node:net'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { compileC, FIXTURES, NO_CC } from '../emulators/native/compile.ts'
import { cli, RUN } from './cli.ts'
import {
  descendants,
  WAIT,
  isAlive,
  personsEnvironment,
  residentMb,
  startProxy,
  temporaryFolder,
  type ProxyOptions,
  type ProxyProcess,
} from './proxy-process.ts'

const PROXY_INI = '# The sample of every test\nHost: iam / = ./sample.so\n/abi = ./abi.so\n/ = ./sample.so\n'
const LINE =
  /^\S+:\d+ - - "[A-Z]+ \S+ HTTP\/1\.[01]" \d{3} ttfb \d+\.\d{3}ms \d+ ttlb \d+\.\d{3}ms \(pre-alloc: \d+, alloc: \d+\)$/

/** Why the tests with libraries are skipped, for their titles. */
const WHY = NO_CC === undefined ? '' : ` (${NO_CC})`

/** A library that answers by the whole target knows no prefix: every line of these leads to it. */
const ABI_INI = '/ = ./abi.so\n'

let built: Awaited<ReturnType<typeof temporaryFolder>>
beforeAll(async () => {
  if (NO_CC !== undefined) return
  built = await temporaryFolder()
  await Promise.all([
    compileC(join(FIXTURES, 'sample.c'), join(built.path, 'sample.so')),
    compileC(join(FIXTURES, 'abi.c'), join(built.path, 'abi.so')),
    compileC(join(FIXTURES, 'abi.c'), join(built.path, 'abi-2.so'), ['-DVERSION=2']),
  ])
}, 60_000)
afterAll(async () => {
  await (built as typeof built | undefined)?.[Symbol.asyncDispose]()
})

interface Site extends AsyncDisposable {
  readonly path: string
  readonly proxy: ProxyProcess
  ini(text: string): Promise<void>
  library(name: string, from?: string): Promise<void>
}

async function startSite(ini: string, options?: ProxyOptions): Promise<Site> {
  const folder = await temporaryFolder()
  const { path } = folder
  const library = (name: string, from = name): Promise<void> =>
    copyFile(join(built.path, from), join(path, name))
  await Promise.all([library('sample.so'), library('abi.so')])
  await writeFile(join(path, 'proxy.ini'), ini)
  const proxy = await startProxy(path, options).catch(async (error: unknown) => {
    await folder[Symbol.asyncDispose]()
    throw error
  })
  return {
    path,
    proxy,
    library,
    ini: (text) => writeFile(join(path, 'proxy.ini'), text),
    async [Symbol.asyncDispose]() {
      await proxy[Symbol.asyncDispose]()
      await folder[Symbol.asyncDispose]()
    },
  }
}

describe.skipIf(NO_CC !== undefined)(`what FlexiLib's clients see${WHY}`, () => {
  let samples: Site
  let abi: Site
  beforeAll(async () => {
    samples = await startSite(PROXY_INI)
    abi = await startSite(ABI_INI, { environment: { STAGE: 'production' } })
  })
  afterAll(async () => {
    await Promise.all([samples[Symbol.asyncDispose](), abi[Symbol.asyncDispose]()])
  })

  test('a library answers with status, headers and an exact length; HEAD has the same without the body', async () => {
    const site = samples
    const answer = await fetch(site.proxy.url, { headers: { 'x-status': '418' } })
    expect(answer.status).toBe(418)
    expect(answer.statusText).toBe("I'm a teapot")
    expect(answer.headers.get('x-custom-foo')).toBe('bar')
    const text = await answer.text()
    expect(answer.headers.get('content-length')).toBe(String(text.length))
    const head = await fetch(site.proxy.url, { method: 'HEAD', headers: { 'x-status': '418' } })
    expect([head.status, head.headers.get('content-length')]).toEqual([418, String(text.length)])
  })

  test('the first line that matches wins, by header too', async () => {
    const site = samples
    expect(await ask(site.proxy.port, 'GET /abi HTTP/1.0\r\nHost: iam.aws.x\r\n\r\n')).toContain(
      '\r\n\r\niam response',
    )
    expect(await ask(site.proxy.port, 'GET /abi?x HTTP/1.0\r\nHost: IAM.x\r\n\r\n')).not.toContain(
      'iam response',
    )
  })

  test('what no line takes is 500 without a content-type, and stderr names it', async () => {
    await using site = await startSite('/abi = ./abi.so\n')
    const answer = await fetch(`${site.proxy.url}/nowhere?x=1`)
    expect([answer.status, answer.headers.get('content-type'), await answer.text()]).toEqual([
      500,
      null,
      'Internal Server Error\n',
    ])
    await expect.poll(() => site.proxy.stderr(), WAIT).toContain('GET /nowhere?x=1')
  })

  test('a missing library is the same 500, and answers once it is there', async () => {
    await using site = await startSite('/ = ./late.so\n')
    const answer = await fetch(site.proxy.url)
    expect([answer.status, answer.headers.get('content-type'), await answer.text()]).toEqual([
      500,
      null,
      'Internal Server Error\n',
    ])
    await site.library('late.so', 'abi.so')
    await expect.poll(() => site.proxy.text('/version'), WAIT).toBe('1')
  })

  test('no path and no host name is reserved: they belong to the routes', async () => {
    const site = abi
    expect(await site.proxy.text('/_flexi/healthz')).toBe('')
    expect(await ask(site.proxy.port, 'GET /version HTTP/1.0\r\nHost: abi.localhost\r\n\r\n')).toMatch(
      /\r\n\r\n1$/,
    )
    const healthz = await fetch(`${site.proxy.url}/_flexi/healthz`)
    expect(healthz.headers.get('content-type')).toBe('text/plain')
  })

  test('--control-prefix gives flexi its paths, where the user wants them', async () => {
    await using site = await startSite(ABI_INI, { args: ['--control-prefix', '/status'] })
    expect(await site.proxy.text('/status/healthz')).toBe('{"status":"ok"}')
    expect(await site.proxy.text('/_flexi/healthz')).toBe('')
  })

  test('paths are bytes: nothing is decoded, and /.. is no other route', async () => {
    await using site = await startSite('/abi = ./abi.so\n/ = ./sample.so\n')
    expect(await ask(site.proxy.port, 'GET /abi/..//%2e%2e/x HTTP/1.0\r\nHost: x\r\n\r\n')).toMatch(
      /^HTTP\/1\.1 200 /,
    )
  })

  test('a library sees the variables that flexi was started with, as inside FlexiLib', async () => {
    const site = abi
    expect(await site.proxy.text('/environment')).toBe('production')
  })

  test('a body of 10 MB, chunked and with NULs, comes back byte by byte', async () => {
    const site = abi
    const bytes = Buffer.alloc(10 * 1024 * 1024)
    for (let at = 0; at < bytes.length; at += 1) bytes[at] = (at * 7) % 256
    const chunks = new ReadableStream({
      start(controller) {
        for (let at = 0; at < bytes.length; at += 100_000)
          controller.enqueue(bytes.subarray(at, at + 100_000))
        controller.close()
      },
    })
    const answer = await fetch(`${site.proxy.url}/echo`, {
      method: 'POST',
      body: chunks,
      duplex: 'half',
    } as RequestInit)
    expect(Buffer.compare(Buffer.from(await answer.arrayBuffer()), bytes)).toBe(0)
  })

  test('garbage, a head of 17 KiB and an unknown method are answered with 4xx, and the next request is served', async () => {
    const site = samples
    const { port } = site.proxy
    expect(await ask(port, 'garbage\r\n\r\n')).toMatch(/^HTTP\/1\.1 4\d\d /)
    expect(await ask(port, `GET / HTTP/1.1\r\nHost: x\r\nx: ${'y'.repeat(17 * 1024)}\r\n\r\n`)).toMatch(
      /^HTTP\/1\.1 431 /,
    )
    expect(await ask(port, 'FOO / HTTP/1.1\r\nHost: x\r\n\r\n')).toMatch(/^HTTP\/1\.1 (4\d\d|501) /)
    expect((await fetch(site.proxy.url)).status).toBe(200)
  })

  test('Expect: 100-continue is granted before the body is sent', async () => {
    const site = abi
    const head =
      'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n'
    const answer = await ask(site.proxy.port, head, (text) =>
      text.includes('100 Continue') ? 'body' : undefined,
    )
    expect(answer).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK[^]*\r\n\r\nbody$/)
  })

  test('--timeout ends a call that hangs with 504; others are served', async () => {
    await using site = await startSite(ABI_INI, { args: ['--timeout', '1'] })
    const hung = fetch(`${site.proxy.url}/sleep?ms=60000`)
    expect(await site.proxy.text('/version')).toBe('1')
    const { status, headers } = await hung
    expect([status, headers.get('content-type')]).toEqual([504, null])
    expect(await site.proxy.text('/version')).toBe('1')
  })

  test('an upstream is more than FlexiLib has, and works', async () => {
    const upstream = createServer((request, response) => response.end(`${request.method} ${request.url}`))
    await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve))
    const { port } = upstream.address() as AddressInfo
    try {
      await using site = await startSite(`/ = http://127.0.0.1:${port}\n`)
      expect(await site.proxy.text('/a?b', { method: 'PUT' })).toBe('PUT /a?b')
    } finally {
      upstream.closeAllConnections()
      upstream.close()
    }
  })
})

describe.skipIf(NO_CC !== undefined)(`its variables${WHY}`, () => {
  test("without any: 0.0.0.0 and FlexiLib's arena of 8 KB; HOST is not looked at, because shells set it", async () => {
    await using site = await startSite(ABI_INI, {
      args: ['--host', '0.0.0.0'],
      environment: { HOST: 'nowhere.invalid' },
    })
    expect(site.proxy.stderr()).toMatch(/^listening on port: \d+ of 0\.0\.0\.0, every IPv4 address$/m)
    await site.proxy.text('/version')
    await expect.poll(() => site.proxy.stdout(), WAIT).toContain('(pre-alloc: 12321, alloc: ')
  })

  test.for([
    ['0', 0],
    ['1', 1569],
    ['16', 24_609],
  ] as const)('RESPONSE_PREALLOCATION_KB=%s begins with an arena of %i bytes', async ([kb, bytes]) => {
    await using site = await startSite(ABI_INI, { environment: { RESPONSE_PREALLOCATION_KB: kb } })
    await site.proxy.text('/version')
    await expect.poll(() => site.proxy.stdout(), WAIT).toContain(`(pre-alloc: ${bytes}, `)
  })

  test('SERVER_THREAD_COUNT calls run at once, and one more waits', async () => {
    await using site = await startSite(ABI_INI, { environment: { SERVER_THREAD_COUNT: '3' } })
    await site.proxy.text('/version')
    const from = performance.now()
    const ends = await Promise.all(
      Array.from({ length: 4 }, () => site.proxy.text('/sleep?ms=400').then(() => performance.now() - from)),
    )
    const [first = 0, , third = 0, last = 0] = ends.toSorted((left, right) => left - right)
    expect(first).toBeGreaterThan(390)
    expect(third).toBeLessThan(750)
    expect(last).toBeGreaterThan(790)
  })

  test.for([
    ['PORT', '80a'],
    ['PORT', '70000'],
    ['SERVER_THREAD_COUNT', '0'],
    ['RESPONSE_PREALLOCATION_KB', '-1'],
  ] as const)('%s=%s is no number it can be: 78, and the message says what is', async ([name, value]) => {
    await using folder = await temporaryFolder()
    await writeFile(join(folder.path, 'proxy.ini'), ABI_INI)
    const result = await cli(['proxy', folder.path], { environment: { [name]: value } })
    expect(result).toMatchObject({ exit: 78, stdout: '' })
    expect(result.stderr).toContain(`${name} is "${value}"; it must be a whole number from`)
  })
})

describe.skipIf(NO_CC !== undefined)(`its log${WHY}`, () => {
  test("a request is a line of FlexiLib's on stdout; diagnostics are on stderr", async () => {
    await using site = await startSite(PROXY_INI)
    const { proxy } = site
    await proxy.text('/a')
    await fetch(`${proxy.url}/b`, { method: 'HEAD' })
    await ask(proxy.port, 'GET /c HTTP/1.0\r\n\r\n')
    await expect.poll(() => proxy.stdout().split('\n'), WAIT).toHaveLength(4)
    const lines = proxy.stdout().trimEnd().split('\n')
    for (const line of lines) expect(line).toMatch(LINE)
    for (const line of lines) {
      const [ttfb = 0, ttlb = 0] = [...line.matchAll(/(\d+\.\d{3})ms/g)].map(([, number]) => Number(number))
      expect(ttfb).toBeLessThanOrEqual(ttlb)
    }
    const [get = '', head = ''] = lines
    // The sample's body is a space and the number of fields it saw.
    expect(get).toMatch(/"GET \/a HTTP\/1\.1" 200 ttfb \S+ 2 ttlb/)
    expect(head).toMatch(/"HEAD \/b HTTP\/1\.1" 200 ttfb \S+ 2 ttlb/)
    expect(proxy.stderr()).toMatch(/^listening on port: \d+ of 127\.0\.0\.1$/m)
    expect(proxy.stderr()).toMatch(new RegExp(`^pid: ${proxy.pid} \\(served by \\d+\\)$`, 'm'))
  })

  test('--log-format json prints a record a line', async () => {
    await using site = await startSite(PROXY_INI, { args: ['--log-format', 'json'] })
    await site.proxy.text('/a')
    await expect.poll(() => site.proxy.stdout(), WAIT).not.toBe('')
    expect(JSON.parse(site.proxy.stdout())).toMatchObject({ method: 'GET', target: '/a', status: 200 })
  })
})

describe.skipIf(NO_CC !== undefined)(`libraries${WHY}`, () => {
  test('are loaded when first asked for, once for fifty requests at once', async () => {
    await using folder = await temporaryFolder()
    const loaded = join(folder.path, 'loaded')
    await using site = await startSite(ABI_INI, { environment: { LOADED: loaded } })
    await expect(readFile(loaded, 'utf8')).rejects.toThrow('ENOENT')
    const answers = await Promise.all(Array.from({ length: 50 }, () => site.proxy.text('/version')))
    expect(new Set(answers)).toEqual(new Set(['1']))
    expect(await readFile(loaded, 'utf8')).toBe('x')
  })

  test('a changed file is served by the next requests, by cp and by mv; what ran finishes on the old code', async () => {
    await using site = await startSite(ABI_INI)
    const { proxy } = site
    expect(await proxy.text('/version')).toBe('1')
    const slow = proxy.text('/sleep?ms=1500')
    await site.library('abi.so', 'abi-2.so')
    await expect.poll(() => proxy.text('/version'), WAIT).toBe('2')
    expect(await slow).toBe('slept')
    await site.library('next.so', 'abi.so')
    await rename(join(site.path, 'next.so'), join(site.path, 'abi.so'))
    await expect.poll(() => proxy.text('/version'), WAIT).toBe('1')
  })

  test('of two lines that share a library both change', async () => {
    await using site = await startSite('/version?a = ./abi.so\n/version?b = abi.so\n')
    const both = (): Promise<string[]> =>
      Promise.all([site.proxy.text('/version?a'), site.proxy.text('/version?b')])
    expect(await both()).toEqual(['1', '1'])
    await site.library('abi.so', 'abi-2.so')
    await expect.poll(both, WAIT).toEqual(['2', '2'])
  })

  test('a broken file leaves the old one serving, and twenty writes are one reload', async () => {
    await using site = await startSite(ABI_INI)
    const { proxy } = site
    expect(await proxy.text('/version')).toBe('1')
    await writeFile(join(site.path, 'abi.so'), 'no library')
    await expect.poll(() => proxy.stderr(), WAIT).toContain('abi.so')
    expect(await proxy.text('/version')).toBe('1')
    for (let count = 0; count < 20; count += 1) await site.library('abi.so', 'abi-2.so')
    await expect.poll(() => proxy.text('/version'), WAIT).toBe('2')
    expect(proxy.stderr().match(/^↻ abi/gm)).toHaveLength(1)
  })

  test('a change that was made while nothing ran loads nothing', async () => {
    await using folder = await temporaryFolder()
    const loaded = join(folder.path, 'loaded')
    await using site = await startSite(ABI_INI, { environment: { LOADED: loaded } })
    await site.library('abi.so', 'abi-2.so')
    await expect.poll(() => site.proxy.stderr(), WAIT).toContain('↻ abi')
    await expect(readFile(loaded, 'utf8')).rejects.toThrow('ENOENT')
    expect(await site.proxy.text('/version')).toBe('2')
  })

  test('--no-watch waits for SIGHUP', async () => {
    await using site = await startSite(ABI_INI, { args: ['--no-watch'] })
    expect(await site.proxy.text('/version')).toBe('1')
    await site.library('abi.so', 'abi-2.so')
    site.proxy.signal('SIGHUP')
    await expect.poll(() => site.proxy.text('/version'), WAIT).toBe('2')
    expect(site.proxy.stderr().match(/^↻ abi/gm)).toHaveLength(1)
  })
})

describe.skipIf(NO_CC !== undefined)(`SIGHUP${WHY}`, () => {
  test('reads proxy.ini again, three times in a row; saving it does nothing, as in FlexiLib', async () => {
    await using site = await startSite('/version = ./abi.so\n')
    const status = async (): Promise<number> => (await fetch(`${site.proxy.url}/environment`)).status
    expect(await status()).toBe(500)
    for (const wanted of [200, 500, 200]) {
      const before = await status()
      await site.ini(wanted === 200 ? ABI_INI : '/version = ./abi.so\n')
      // A file event would be here by then: the library's next change is seen after it.
      expect(await status()).toBe(before)
      site.proxy.signal('SIGHUP')
      await expect.poll(status, WAIT).toBe(wanted)
    }
    await expect.poll(() => site.proxy.stderr().match(/^↻ proxy\.ini and libraries/gm), WAIT).toHaveLength(3)
    expect(isAlive(site.proxy.server())).toBe(true)
  })

  test('--watch-config reads it when it is saved', async () => {
    await using site = await startSite('/version = ./abi.so\n', { args: ['--watch-config'] })
    await site.ini(ABI_INI)
    await expect.poll(async () => (await fetch(`${site.proxy.url}/environment`)).status, WAIT).toBe(200)
  })

  test('replaces every library that runs, changed or not, once its requests have finished', async () => {
    await using site = await startSite(ABI_INI)
    const { proxy } = site
    const before = await proxy.text('/pid')
    const slow = proxy.text('/sleep?ms=1000')
    proxy.signal('SIGHUP')
    await expect.poll(() => proxy.text('/pid'), WAIT).not.toBe(before)
    expect(await slow).toBe('slept')
    await expect.poll(() => isAlive(Number(before)), WAIT).toBe(false)
  })

  test('sent to the process that serves does the same', async () => {
    await using site = await startSite('/version = ./abi.so\n')
    await site.ini(ABI_INI)
    process.kill(site.proxy.server(), 'SIGHUP')
    await expect.poll(async () => (await fetch(`${site.proxy.url}/environment`)).status, WAIT).toBe(200)
  })

  test('a bad file leaves the old one in force and is shown with its place; so does a missing one', async () => {
    await using site = await startSite(ABI_INI)
    const { proxy } = site
    await site.ini('/version = ./abi.so\nnonsense\n')
    proxy.signal('SIGHUP')
    await expect.poll(() => proxy.stderr(), WAIT).toContain('the last good proxy.ini serves on')
    expect(proxy.stderr()).toContain('proxy.ini:2:1  no value for the key "nonsense"')
    expect(await proxy.text('/version')).toBe('1')
    await rm(join(site.path, 'proxy.ini'))
    proxy.signal('SIGHUP')
    await expect.poll(() => proxy.stderr().match(/the last good proxy\.ini serves on/g), WAIT).toHaveLength(2)
    expect(await proxy.text('/version')).toBe('1')
  })
})

describe.skipIf(NO_CC !== undefined)(`the end${WHY}`, () => {
  test.for(['SIGTERM', 'SIGINT'] as const)(
    '%s finishes what is running, exits with 0 and leaves nothing',
    async (signal) => {
      await using site = await startSite(ABI_INI)
      const { proxy } = site
      await proxy.text('/version')
      let answered = false
      const slow = proxy.text('/sleep?ms=1000').finally(() => {
        answered = true
      })
      await expect.poll(() => connections(proxy.port), WAIT).toBeGreaterThan(0)
      const processes = [proxy.pid, ...descendants(proxy.pid)]
      expect(processes.length).toBeGreaterThan(2)
      proxy.signal(signal)
      await expect.poll(() => fetch(proxy.url).catch(() => 'refused'), WAIT).toBe('refused')
      expect(answered).toBe(false)
      expect(await slow).toBe('slept')
      expect(await proxy.exit).toBe(0)
      expect(processes.filter(isAlive)).toEqual([])
      expect((await readdir(site.path)).toSorted()).toEqual(['abi.so', 'proxy.ini', 'sample.so'])
    },
  )

  test('a second SIGINT quits at once, with 130', async () => {
    await using site = await startSite(ABI_INI)
    const { proxy } = site
    const slow = proxy.text('/sleep?ms=20000').then(
      () => 'answered',
      () => 'cut',
    )
    await expect.poll(() => proxy.stderr() + descendants(proxy.pid).length, WAIT).toMatch(/2$/)
    const processes = descendants(proxy.pid)
    proxy.signal('SIGINT')
    await expect.poll(() => proxy.stderr(), WAIT).toContain('press Ctrl-C again to quit now')
    proxy.signal('SIGINT')
    expect(await proxy.exit).toBe(130)
    expect(await slow).toBe('cut')
    await expect.poll(() => processes.filter(isAlive), WAIT).toEqual([])
  })

  test('SIGTERM to the process that serves ends both, because that is no crash', async () => {
    await using site = await startSite(ABI_INI)
    process.kill(site.proxy.server(), 'SIGTERM')
    expect(await site.proxy.exit).toBe(0)
  })

  test('kill -9 of the started process leaves nothing, and frees the port', async () => {
    await using site = await startSite(ABI_INI)
    const { proxy } = site
    await proxy.text('/version')
    const processes = descendants(proxy.pid)
    proxy.signal('SIGKILL')
    await expect.poll(() => processes.filter(isAlive), WAIT).toEqual([])
    await using next = await startProxy(site.path, { environment: { PORT: String(proxy.port) } })
    expect(await next.text('/version')).toBe('1')
  })
})

describe.skipIf(NO_CC !== undefined)(`a crash${WHY}`, () => {
  test('of a library costs the requests in it, not the started process; others are answered within 2 s', async () => {
    await using site = await startSite(ABI_INI, { environment: { SERVER_THREAD_COUNT: '4' } })
    const { proxy } = site
    const before = proxy.server()
    let stop = false
    const late: number[] = []
    const load = Array.from({ length: 8 }, async () => {
      while (!stop) {
        const from = performance.now()
        const status = await fetch(`${proxy.url}/version`).then((answer) => answer.status)
        late.push(performance.now() - from)
        if (![200, 502].includes(status)) return status
      }
      return 'fine'
    })
    for (let count = 0; count < 5; count += 1) {
      expect((await fetch(`${proxy.url}/end/segv`)).status).toBe(502)
      const from = performance.now()
      expect((await fetch(`${proxy.url}/version`)).ok).toBe(true)
      expect(performance.now() - from).toBeLessThan(2_000)
    }
    stop = true
    expect(new Set(await Promise.all(load))).toEqual(new Set(['fine']))
    expect(Math.max(...late)).toBeLessThan(2_000)
    expect([isAlive(proxy.pid), proxy.server()]).toEqual([true, before])
    expect(proxy.stderr()).toContain('SIGSEGV')
  })

  test('of the process that serves: connections wait for the next one, and none is refused', async () => {
    await using site = await startSite(ABI_INI)
    const { proxy } = site
    expect(await proxy.text('/version')).toBe('1')
    const before = proxy.server()
    process.kill(before, 'SIGKILL')
    const answers = Array.from({ length: 20 }, () => fetchOnce(proxy.port, '/version'))
    expect(new Set(await Promise.all(answers))).toEqual(new Set(['1']))
    await expect.poll(() => proxy.server(), WAIT).not.toBe(before)
    expect(proxy.stderr()).toMatch(new RegExp(`${before}\\) ended with SIGKILL; launching another now`))
    await expect.poll(() => proxy.stderr().match(/^pid: /gm), WAIT).toHaveLength(2)
  })

  test('while proxy.ini is at fault: what was served before is served again, and the fault is shown', async () => {
    await using site = await startSite(ABI_INI)
    const { proxy } = site
    await site.ini('nonsense\n')
    process.kill(proxy.server(), 'SIGKILL')
    expect(await fetchOnce(proxy.port, '/version')).toBe('1')
    await expect.poll(() => proxy.stderr(), WAIT).toContain('proxy.ini:1:1  no value for the key "nonsense"')
    await site.ini(ABI_INI)
    proxy.signal('SIGHUP')
    await expect.poll(() => proxy.stderr(), WAIT).toContain('↻ proxy.ini and libraries')
  })

  test('again and again: launched later each time, held by the port meanwhile, and at once on SIGHUP', async () => {
    await using site = await startSite(ABI_INI)
    const { proxy } = site
    const away = `${site.path}-away`
    await rename(site.path, away)
    try {
      process.kill(proxy.server(), 'SIGKILL')
      const waiting = fetchOnce(proxy.port, '/version')
      const delays = (): string[] =>
        [...proxy.stderr().matchAll(/another (?:now|in (\d+) ms)/g)].map(([, ms]) => ms ?? 'now')
      await expect.poll(() => delays().length, WAIT).toBeGreaterThanOrEqual(7)
      expect(delays().slice(0, 7)).toEqual(['now', '50', '100', '200', '400', '800', '1600'])
      await rename(away, site.path)
      proxy.signal('SIGHUP')
      expect(await waiting).toBe('1')
    } finally {
      await rename(away, site.path).catch(() => undefined)
    }
    expect(isAlive(proxy.pid)).toBe(true)
  }, 30_000)

  test('SIGTERM ends the wait for the next launch', async () => {
    await using site = await startSite(ABI_INI)
    const { proxy } = site
    await rename(site.path, `${site.path}-away`)
    try {
      process.kill(proxy.server(), 'SIGKILL')
      await expect.poll(() => proxy.stderr(), WAIT).toContain('another in 400 ms')
      proxy.signal('SIGTERM')
      expect(await proxy.exit).toBe(0)
    } finally {
      await rename(`${site.path}-away`, site.path)
    }
  })
})

const SCRIPT = spawnSync('script', ['--version']).status === 0

describe.skipIf(!SCRIPT)(`on a terminal${SCRIPT ? '' : ' (script of util-linux is not installed)'}`, () => {
  /** `script` gives its command a terminal, and passes our bytes to it as keys. */
  function onTerminal(folder: string): { child: ChildProcess; shown: () => string; exit: Promise<unknown> } {
    const command = `exec ${process.execPath} ${RUN} proxy --port 0 --host 127.0.0.1 ${folder}`
    const child = spawn('script', ['--quiet', '--flush', '--return', '--command', command, '/dev/null'], {
      env: { ...personsEnvironment(), TERM: 'xterm' },
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    let shown = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (shown += text))
    return { child, shown: () => shown, exit: new Promise((resolve) => child.on('exit', resolve)) }
  }

  test('Ctrl-C lets requests finish: the process that serves does not get it a second time', async () => {
    let answer: (() => void) | undefined
    const upstream = createServer((_request, response) => {
      answer = () => void response.end('late')
    })
    await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve))
    await using folder = await temporaryFolder()
    await writeFile(
      join(folder.path, 'proxy.ini'),
      `/ = http://127.0.0.1:${(upstream.address() as AddressInfo).port}\n`,
    )
    const { child, shown, exit } = onTerminal(folder.path)
    await expect.poll(shown, WAIT).toContain('pid: ')
    const request = fetchOnce(Number(/listening on port: (\d+)/.exec(shown())?.[1]), '/')
    await expect.poll(() => answer, WAIT).toBeDefined()
    child.stdin?.write('\u0003')
    await expect.poll(shown, WAIT).toContain('press Ctrl-C again to quit now')
    answer?.()
    expect(await request).toBe('late')
    expect(await exit).toBe(0)
    upstream.close()
  })

  test('it ends with its terminal', async () => {
    await using folder = await temporaryFolder()
    await writeFile(join(folder.path, 'proxy.ini'), '/ = http://127.0.0.1:9\n')
    const { child, shown } = onTerminal(folder.path)
    await expect.poll(shown, WAIT).toContain('pid: ')
    const processes = descendants(child.pid ?? 0)
    expect(processes).toHaveLength(2)
    child.kill('SIGKILL')
    await expect.poll(() => processes.filter(isAlive), WAIT).toEqual([])
  })
})

test.skipIf(NO_CC !== undefined)(
  `--https speaks TLS on the port that the supervisor holds${WHY}`,
  async () => {
    await using folder = await temporaryFolder()
    const environment = { FLEXI_CA_DIR: folder.path }
    await using site = await startSite(ABI_INI, { args: ['--https'], environment })
    const url = `https://localhost:${site.proxy.port}/version`
    const answer = await new Promise<string>((resolve, reject) => {
      const asked = getSecurely(url, { rejectUnauthorized: false, agent: false }, (incoming) => {
        let text = ''
        incoming.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
        incoming.on('end', () => resolve(text))
      })
      asked.on('error', reject)
    })
    expect(answer).toBe('1')
  },
)

describe('what keeps it from starting', () => {
  test('no proxy.ini: 66; a fault in it: 78 with its place; once, and not again and again', async () => {
    await using folder = await temporaryFolder()
    const none = await cli(['proxy', folder.path])
    expect(none).toMatchObject({ exit: 66, stdout: '' })
    expect(none.stderr).toContain('there is no proxy.ini')
    await writeFile(join(folder.path, 'proxy.ini'), '# fine\nnonsense\n')
    const broken = await cli(['proxy', folder.path], { environment: { PORT: '0' } })
    expect(broken).toMatchObject({ exit: 78, stdout: '' })
    expect(broken.stderr).toContain('proxy.ini:2:1  no value for the key "nonsense"')
    expect(broken.stderr).not.toContain('launching')
  })

  test('a taken port: 69 and who has it, without trying the next one', async () => {
    await using folder = await temporaryFolder()
    await writeFile(join(folder.path, 'proxy.ini'), '/ = http://127.0.0.1:9\n')
    const holder = createServer()
    await new Promise<void>((resolve) => holder.listen(0, '0.0.0.0', resolve))
    const { port } = holder.address() as AddressInfo
    const result = await cli(['proxy', folder.path], { environment: { PORT: String(port) } })
    holder.close()
    expect(result).toMatchObject({ exit: 69, stdout: '' })
    expect(result.stderr).toContain(`0.0.0.0:${port} is taken by process ${process.pid}`)
  })

  test("an address that is none of this machine's: 2", async () => {
    await using folder = await temporaryFolder()
    await writeFile(join(folder.path, 'proxy.ini'), '/ = http://127.0.0.1:9\n')
    const result = await cli(['proxy', '--host', '192.0.2.1', '--port', '0', folder.path])
    expect(result).toMatchObject({ exit: 2, stdout: '' })
    expect(result.stderr).toContain('192.0.2.1 is no address of this machine')
  })

  test('--child without a supervisor: 2', async () => {
    const result = await cli(['proxy', '--child'])
    expect(result).toMatchObject({ exit: 2, stdout: '' })
    expect(result.stderr).toContain('--child is for the supervisor')
  })
})

test('idle it is small: supervisor and server together stay below 140 MB', async () => {
  await using folder = await temporaryFolder()
  await writeFile(join(folder.path, 'proxy.ini'), '/ = http://127.0.0.1:9\n')
  await using proxy = await startProxy(folder.path)
  const sizes = [proxy.pid, ...descendants(proxy.pid)].map(residentMb)
  expect(sizes).toHaveLength(2)
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(140)
})

/** Sends bytes and resolves with all that comes back until the server closes, or an answer with a length is whole. */
function ask(port: number, request: string, reply?: (text: string) => string | undefined): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(request))
    let text = ''
    let replied = false
    socket.setEncoding('latin1').on('data', (chunk: string) => {
      text += chunk
      const more = replied ? undefined : reply?.(text)
      if (more === undefined) return
      replied = true
      socket.write(more)
    })
    socket.on('end', () => {
      socket.end()
      resolve(text)
    })
    socket.on('error', reject)
    socket.setTimeout(5_000, () => socket.destroy(new Error(`no end of the answer: ${text}`)))
  })
}

/** A request on a connection of its own: fetch would use one again that the crash has closed. */
async function fetchOnce(port: number, path: string): Promise<string> {
  const answer = await ask(port, `GET ${path} HTTP/1.0\r\nHost: x\r\n\r\n`).catch(
    (error: Error) => `failed: ${error.message}`,
  )
  return answer.split('\r\n\r\n').at(-1) ?? ''
}

/** Established connections of a local port, as far as `/proc` says. */
async function connections(port: number): Promise<number> {
  const hex = port.toString(16).toUpperCase().padStart(4, '0')
  const table = await readFile('/proc/net/tcp', 'utf8')
  return table.split('\n').filter((line) => new RegExp(`^\\s*\\d+: \\S+:${hex} \\S+ 01 `).test(line)).length
}
