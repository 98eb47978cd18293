import { existsSync } from 'node:fs'
import { copyFile, readFile, rename, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'

import { ServedFunction } from '../../../src/app/served-function.ts'
import type { DevEvent } from '../../../src/core/events.ts'
import { silentLogger } from '../../../src/core/log.ts'
import type { AbsolutePath } from '../../../src/core/place.ts'
import { native } from '../../../src/emulators/native/index.ts'
import { openGateway, type Gateway } from '../../../src/gateway/gateway.ts'
import { watchFolder } from '../../../src/watch/watcher.ts'
import { startFlexi } from '../../app/flexi-process.ts'
import {
  compileC,
  configOf,
  FIXTURES,
  NO_CC,
  scopeOf,
  serveC,
  temporaryFolder,
  watchC,
  type Watched,
} from './compile.ts'

const suite = NO_CC === undefined ? describe : describe.skip
const title = (text: string): string => `${text}${NO_CC === undefined ? '' : ` (${NO_CC})`}`

/** One function as the answer to everything. */
function openFor(served: ServedFunction): Promise<Gateway> {
  const rule = {
    matcher: { kind: 'prefix' as const, prefix: '/' },
    pattern: '/',
    target: { kind: 'function' as const, name: served.name },
    origin: served.config.origin,
  }
  return openGateway({
    host: '127.0.0.1',
    port: 0,
    mode: 'dev',
    table: { routes: [{ rule, fetcher: served.pool }], functions: new Map() },
    log: silentLogger,
    onAccess: () => undefined,
  })
}

let versions: Awaited<ReturnType<typeof temporaryFolder>>
const version = (number: number): string => join(versions.path, `v${number}.so`)

beforeAll(async () => {
  versions = await temporaryFolder()
  if (NO_CC !== undefined) return
  for (const number of [1, 2, 3])
    await compileC(join(FIXTURES, 'abi.c'), version(number), [`-DVERSION=${number}`])
})
afterAll(async () => versions?.[Symbol.asyncDispose]())

suite(title('a watched library'), () => {
  let served: Watched
  beforeAll(async () => void (served = await watchC('abi.c')))
  afterAll(async () => served?.[Symbol.asyncDispose]())
  let reloads = 0
  beforeEach(() => {
    served.events.length = 0
    reloads = 0
  })

  /** It is told after it is served: a later test must not see it. */
  const becomes = async (expected: number): Promise<void> => {
    reloads += 1
    await expect.poll(() => served.text('/version'), { timeout: 5000, interval: 5 }).toBe(String(expected))
    await expect
      .poll(() => seen().filter((event) => event === 'reload'), { timeout: 5000 })
      .toHaveLength(reloads)
  }
  const seen = (): string[] => served.events.map(({ event }) => event)

  test('is taken when cp writes over it, although the old one is mapped', async () => {
    await copyFile(version(2), served.library)
    await becomes(2)
    expect(served.events).toMatchObject([{ event: 'reload', files: ['libfixture.so'] }])
  })

  test('is taken when mv puts another in its place', async () => {
    await copyFile(version(3), `${served.library}.new`)
    await rename(`${served.library}.new`, served.library)
    await becomes(3)
    expect(seen()).toEqual(['reload'])
  })

  test('is taken after a linker that writes slowly, and the old one serves meanwhile', async () => {
    const bytes = await readFile(version(2))
    await writeFile(served.library, '')
    for (let at = 0; at < bytes.length; at += 3000) {
      await writeFile(served.library, bytes.subarray(at, at + 3000), { flag: 'a' })
      await wait(20)
      expect(await served.text('/version')).toMatch(/^[23]$/)
    }
    await becomes(2)
    expect(seen()).toEqual(['reload'])
  })

  test('is not taken while it is truncated: the old one serves, and the next good one is taken', async () => {
    await truncate(served.library, 4000)
    await expect.poll(seen, { timeout: 5000 }).toEqual(['error'])
    expect(served.events[0]).toMatchObject({
      code: 'FLEXI_BUILD',
      message: expect.stringContaining('truncated'),
    })
    expect(await served.text('/version')).toBe('2')
    await copyFile(version(3), served.library)
    await becomes(3)
  })

  test('is not taken when it has lost handle_request: the old one serves, and the next good one is taken', async () => {
    const other = join(versions.path, 'other')
    await writeFile(`${other}.c`, 'int handle(void) { return 1; }\n')
    await compileC(`${other}.c`, `${other}.so`)
    await copyFile(`${other}.so`, served.library)
    await expect.poll(seen, { timeout: 5000 }).toEqual(['error'])
    expect(served.events[0]).toMatchObject({ message: expect.stringContaining('handle_request') })
    expect(await served.text('/version')).toBe('3')
    await copyFile(version(2), served.library)
    await becomes(2)
    await copyFile(version(3), served.library)
    await becomes(3)
  })

  test('lets a request under way finish on the old code, while those that come run on the new', async () => {
    const slow = served.ask('/slow-version?n=600')
    await expect.poll(() => served.pool.state().inFlight, { interval: 5 }).toBe(1)
    await copyFile(version(1), served.library)
    await becomes(1)
    expect(await (await slow).text()).toBe('3')
    expect(seen()).toEqual(['reload'])
  })

  test('is loaded once for 20 writes within 100 ms', async () => {
    const bytes = await readFile(version(2))
    for (let turn = 0; turn < 20; turn += 1) {
      await writeFile(served.library, bytes)
      await wait(4)
    }
    await becomes(2)
    await wait(150)
    expect(seen()).toEqual(['reload'])
  })

  test('that hangs while it is loaded is given up when it is saved again', async () => {
    const hanging = join(versions.path, 'hanging.so')
    await compileC(join(FIXTURES, 'abi.c'), hanging, ['-DHANG_ON_LOAD'])
    await copyFile(hanging, served.library)
    await wait(700)
    const from = performance.now()
    await copyFile(version(3), served.library)
    await expect.poll(() => served.text('/version'), { timeout: 5000, interval: 5 }).toBe('3')
    expect(performance.now() - from).toBeLessThan(3000)
    expect(served.events[0]).toMatchObject({
      event: 'error',
      code: 'FLEXI_FUNCTION_INIT',
      hint: expect.stringContaining('constructors'),
    })
    await expect.poll(seen, { timeout: 5000 }).toEqual(['error', 'reload'])
  })

  test('costs no request when it is replaced under load, by cp and mv in turn', async () => {
    let running = true
    const client = async (): Promise<string[]> => {
      const answers: string[] = []
      while (running) {
        const response = await served.ask('/version')
        answers.push(`${response.status} ${await response.text()}`)
      }
      return answers
    }
    const clients = Array.from({ length: 8 }, client)
    for (let turn = 0; turn < 10; turn += 1) {
      const next = 1 + (turn % 3)
      if (turn % 2 === 0) await copyFile(version(next), served.library)
      else {
        await copyFile(version(next), `${served.library}.new`)
        await rename(`${served.library}.new`, served.library)
      }
      await becomes(next)
    }
    running = false
    const answers = (await Promise.all(clients)).flat()
    expect(answers.length).toBeGreaterThan(100)
    expect(answers.filter((answer) => !/^200 [123]$/.test(answer))).toEqual([])
  })
})

suite(title('a library that ends its process'), () => {
  test.each([
    ['abort', 'SIGABRT'],
    ['exit', 'exit(3)'],
    ['thread', 'SIGSEGV'],
    ['segv', 'SIGSEGV'],
    ['channel', 'ChannelClosed'],
  ])('by %s costs its request and is reported as %s', async (way, name) => {
    await using served = await serveC('abi.c')
    expect((await served.ask(`/end/${way}`)).status).toBe(502)
    await expect.poll(() => served.faults).toMatchObject([{ kind: 'crash', name }])
    expect(served.faults[0]?.message).toContain('libfixture.so')
    expect((await served.ask('/version')).status).toBe(200)
  })

  test.each(['body', 'struct', 'headers'])(
    'by a pointer to nowhere in its response (%s) costs its request, because the response is read in its process',
    async (what) => {
      await using served = await serveC('abi.c')
      expect((await served.ask(`/bad/unmapped-${what}`)).status).toBe(502)
      await expect.poll(() => served.faults).toMatchObject([{ kind: 'crash', name: 'SIGSEGV' }])
      expect((await served.ask('/version')).status).toBe(200)
    },
  )

  test('is named with the request, which is cut when it is long, and not twice with its signal', async () => {
    await using served = await serveC('abi.c')
    expect((await served.ask('/version')).status).toBe(200)
    const { body } = await served.ask(`/end/segv?${'x'.repeat(500)}`)
    await expect.poll(() => served.faults).toHaveLength(1)
    const { message = '' } = served.faults[0] ?? {}
    expect(message).toMatch(/^libfixture\.so used memory .*, in GET \/end\/segv\?x+…$/)
    expect(message.length).toBeLessThan(220)
    expect(message).not.toContain('SIGSEGV')
    expect(JSON.parse(body.toString())).toMatchObject({
      detail: expect.stringContaining('SIGSEGV: libfixture.so used memory'),
    })
  })

  test('while it is loaded is told with what to look at', async () => {
    const served = serveC('abi.c', { flags: ['-DCRASH_ON_LOAD'] })
    await expect(served).rejects.toMatchObject({
      message: expect.stringContaining('its process ended while loading it (SIGABRT)'),
      hint: expect.stringContaining('constructors'),
    })
  })

  test('says how to get at the place of the crash', async () => {
    await using served = await serveC('abi.c')
    await served.ask('/end/segv')
    await expect.poll(() => served.faults).toHaveLength(1)
    expect(served.faults[0]?.hint).toMatch(process.platform === 'linux' ? /core|gdb/ : /debugger/)
  })

  test('after its response has gone, in request_deinit, costs no request', async () => {
    await using served = await serveC('abi.c')
    expect((await served.ask('/version')).status).toBe(200)
    expect((await served.ask('/end-in-deinit')).body.toString()).toBe('answered')
    await expect.poll(() => served.faults).toMatchObject([{ kind: 'crash', name: 'SIGABRT' }])
    expect((await served.ask('/version')).status).toBe(200)
  })

  test('again and again before it has answered anything is started later and later', async () => {
    await using served = await serveC('abi.c')
    for (let crashes = 1; crashes <= 4; crashes += 1) {
      expect((await served.ask('/end/segv')).status).toBe(502)
      await expect.poll(() => served.faults).toHaveLength(crashes)
    }
    const from = performance.now()
    expect((await served.ask('/end/segv')).status).toBe(502)
    expect(performance.now() - from).toBeLessThan(200)
    // It was not asked.
    expect(served.faults).toHaveLength(4)
    await expect.poll(async () => (await served.ask('/version')).status, { timeout: 5000 }).toBe(200)
  })

  test('takes only the requests with it that were in it, because the others had not begun', async () => {
    await using served = await serveC('abi.c', {
      config: { options: { library: 'libfixture.so', threads: 1 } },
    })
    for (let turn = 0; turn < 50; turn += 1) await served.ask('/version')
    const requests = Array.from({ length: 100 }, (_, index) =>
      served.ask(index === 50 ? '/end/segv' : '/version'),
    )
    const statuses = (await Promise.all(requests)).map(({ status }) => status)
    expect(statuses.filter((status) => status !== 200)).toEqual([502])
    expect(statuses[50]).toBe(502)
    expect(served.faults).toHaveLength(1)
  })

  test('is back within moments once it has crashed before, because another process waits', async () => {
    await using served = await serveC('abi.c')
    await served.ask('/end/segv')
    await served.ask('/version')
    const delays: number[] = []
    for (let turn = 0; turn < 5; turn += 1) {
      // The spare needs a moment of its own to start.
      await wait(400)
      await served.ask('/end/segv')
      const from = performance.now()
      expect((await served.ask('/version')).status).toBe(200)
      delays.push(performance.now() - from)
    }
    // 3 ms on a quiet machine; a cold start takes 60.
    expect(Math.min(...delays)).toBeLessThan(30)
  })
})

suite(title('a library that hangs'), () => {
  test('is killed at the timeout, and what waited behind it is answered by the next process', async () => {
    await using served = await serveC('abi.c', {
      config: { timeoutMs: 700, options: { library: 'libfixture.so', threads: 1 } },
    })
    await served.ask('/version')
    const hanging = served.ask('/sleep?n=60000')
    const from = performance.now()
    await wait(300)
    const behind = served.ask('/version')
    expect((await hanging).status).toBe(504)
    expect(performance.now() - from).toBeLessThan(1500)
    expect((await behind).status).toBe(200)
    expect(served.faults).toMatchObject([{ kind: 'timeout' }])
  })

  test('in request_deinit is killed too, although its request is answered', async () => {
    await using served = await serveC('abi.c', {
      config: { timeoutMs: 1500, options: { library: 'libfixture.so', threads: 1 } },
    })
    expect((await served.ask('/slow-deinit?n=60000')).body.toString()).toBe('answered')
    const behind = await Promise.all([served.ask('/version'), served.ask('/version')])
    expect(behind.map(({ status }) => status)).toEqual([200, 200])
    expect(served.faults).toMatchObject([{ kind: 'timeout' }])
    expect(served.faults[0]?.message).toContain('request_deinit')
  })

  test('in request_deinit is killed while other threads are free and nobody asks for anything', async () => {
    await using served = await serveC('abi.c', {
      config: { timeoutMs: 600, options: { library: 'libfixture.so', threads: 4 } },
    })
    expect((await served.ask('/slow-deinit?n=60000')).body.toString()).toBe('answered')
    await expect.poll(() => served.faults, { timeout: 3000 }).toMatchObject([{ kind: 'timeout' }])
    expect((await served.ask('/version')).status).toBe(200)
  })

  test('makes what waits for a thread past the timeout 504, without being killed for it', async () => {
    await using served = await serveC('abi.c', {
      config: { timeoutMs: 500, options: { library: 'libfixture.so', threads: 1 } },
    })
    const answers = await Promise.all(
      ['/sleep?n=300', '/sleep?n=301', '/sleep?n=302', '/sleep?n=303'].map((path) => served.ask(path)),
    )
    expect(answers.map(({ status }) => status)).toContain(504)
    expect(answers[0]?.status).toBe(200)
  })
})

suite(title('a server that was busy itself'), () => {
  test('reads the answers that came in before it counts a request as late', async () => {
    await using served = await serveC('abi.c', { config: { timeoutMs: 300 } })
    await served.ask('/version')
    const answer = served.ask('/sleep?n=200')
    await expect.poll(() => served.pool.state().inFlight, { interval: 5 }).toBe(1)
    // Timers come before sockets in the turn after this one.
    setImmediate(() => {
      const until = performance.now() + 500
      while (performance.now() < until);
    })
    expect((await answer).status).toBe(200)
  })
})

suite(title('a library that is not needed yet'), () => {
  const lazily = async (directory: AbsolutePath, environment: Record<string, string> = {}) => {
    const events: DevEvent[] = []
    const served = await ServedFunction.open(configOf(directory, { environment }), {
      emulator: native,
      directory,
      onEvent: (event) => void events.push(event),
      scope: scopeOf(directory),
    })
    await served.start({ warm: false })
    return { served, events }
  }

  test('is loaded by the first request, and by fifty first requests at once only once', async () => {
    await using folder = await temporaryFolder()
    const loads = join(folder.path, 'loads')
    await compileC(join(FIXTURES, 'abi.c'), join(folder.path, 'libfixture.so'))
    const { served } = await lazily(folder.path, { LOADED: loads })
    await using _served = served
    expect(existsSync(loads)).toBe(false)
    await using gateway = await openFor(served)
    const answers = await Promise.all(
      Array.from({ length: 50 }, async () => (await fetch(gateway.url)).status),
    )
    expect(new Set(answers)).toEqual(new Set([200]))
    expect(await readFile(loads, 'utf8')).toBe('x')
  })

  test('is 500 when it has no handle_request', async () => {
    await using folder = await temporaryFolder()
    await writeFile(join(folder.path, 'other.c'), 'int handle(void) { return 1; }\n')
    await compileC(join(folder.path, 'other.c'), join(folder.path, 'libfixture.so'))
    const { served } = await lazily(folder.path)
    await using _served = served
    await using gateway = await openFor(served)
    expect((await fetch(gateway.url)).status).toBe(500)
  })

  test('is served by the first request after it has come, because a request looks for what is missing', async () => {
    await using folder = await temporaryFolder()
    const { served } = await lazily(folder.path)
    await using _served = served
    await using gateway = await openFor(served)
    expect((await fetch(gateway.url)).status).toBe(500)
    await compileC(join(FIXTURES, 'abi.c'), join(folder.path, 'libfixture.so'))
    const answers = await Promise.all(
      Array.from({ length: 5 }, async () => (await fetch(gateway.url)).status),
    )
    expect(answers).toEqual([200, 200, 200, 200, 200])
  })

  test('is 500 while it is not there, and served once it is, without a restart', async () => {
    await using folder = await temporaryFolder()
    const { served, events } = await lazily(folder.path)
    await using _served = served
    await using gateway = await openFor(served)
    expect((await fetch(gateway.url)).status).toBe(500)
    expect(events).toMatchObject([{ event: 'error', code: 'FLEXI_BUILD' }])
    await using _watcher = await watchFolder({
      directory: folder.path,
      onChange: ({ at }) => void served.rebuild([...served.watched()], at),
      onError: (error) => expect.unreachable(error.message),
    })
    await compileC(join(FIXTURES, 'abi.c'), join(folder.path, 'libfixture.so'))
    await expect.poll(async () => (await fetch(gateway.url)).status, { timeout: 5000, interval: 5 }).toBe(200)
  })
})

suite(title('two functions that share a library'), () => {
  test('both run its new version, because they are told apart by file and not by name', async () => {
    await using folder = await temporaryFolder()
    const library = join(folder.path, 'liba.so')
    await copyFile(version(1), library)
    const shared = { provider: 'native', library: 'liba.so' }
    await writeFile(join(folder.path, 'flexi.jsonc'), JSON.stringify({ functions: { a: shared, b: shared } }))
    await writeFile(join(folder.path, 'proxy.ini'), '/one = liba.so\n/two = ./liba.so\n')
    await using flexi = await startFlexi(folder.path)
    const paths = ['/_flexi/f/a/version', '/_flexi/f/b/version', '/one=version', '/two=version']
    const versionsNow = async (): Promise<string[]> =>
      Promise.all(paths.map(async (path) => (await fetch(flexi.url + path)).text()))
    expect(await versionsNow()).toEqual(['1', '1', '1', '1'])
    await copyFile(version(2), `${library}.new`)
    await rename(`${library}.new`, library)
    await expect.poll(versionsNow, { timeout: 5000, interval: 5 }).toEqual(['2', '2', '2', '2'])
  })
})

suite(title('a library that is let go'), () => {
  test('runs its destructors', async () => {
    await using folder = await temporaryFolder()
    const file = join(folder.path, 'unloaded')
    const served = await serveC('abi.c', { config: { environment: { UNLOADED: file } } })
    expect((await served.ask('/version')).status).toBe(200)
    await served[Symbol.asyncDispose]()
    expect((await readFile(file)).length).toBe(0)
  })
})
