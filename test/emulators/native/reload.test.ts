import { copyFile, readFile, rename, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'

import { compileC, FIXTURES, NO_CC, serveC, temporaryFolder, watchC, type Watched } from './compile.ts'

const suite = NO_CC === undefined ? describe : describe.skip
const title = (text: string): string => `${text}${NO_CC === undefined ? '' : ` (${NO_CC})`}`

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
  beforeEach(async () => {
    served.events.length = 0
    // Two changes of a file within 50 ms count as one for some watchers.
    await wait(60)
  })

  const becomes = async (expected: number): Promise<void> => {
    await expect.poll(() => served.text('/version'), { timeout: 5000, interval: 5 }).toBe(String(expected))
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
      await wait(60)
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
    ['channel', 'SIGKILL'],
  ])('by %s costs its request and is reported as %s', async (way, name) => {
    await using served = await serveC('abi.c')
    expect((await served.ask(`/end/${way}`)).status).toBe(502)
    await expect.poll(() => served.faults).toMatchObject([{ kind: 'crash', name }])
    expect(served.faults[0]?.message).toContain('libfixture.so')
    expect((await served.ask('/version')).status).toBe(200)
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
