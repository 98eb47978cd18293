import { copyFile, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { createLogger, type LogRecord } from '../../../src/core/log.ts'
import { native } from '../../../src/emulators/native/index.ts'
import type { Served } from '../conformance.ts'
import { startFlexi } from '../../app/flexi-process.ts'
import { compileC, configOf, FIXTURES, NO_CC, scopeOf, serveC, temporaryFolder, watchC } from './compile.ts'

const suite = NO_CC === undefined ? describe : describe.skip
const title = (text: string): string => `${text}${NO_CC === undefined ? '' : ` (${NO_CC})`}`
const none = { library: 'libfixture.so', isolation: 'none' }

suite(title('a library in the server’s own process'), () => {
  let served: Served
  beforeAll(async () => void (served = await serveC('abi.c', { config: { options: none } })))
  afterAll(async () => served?.[Symbol.asyncDispose]())
  const text = async (path: string): Promise<string> => (await served.ask(path)).body.toString()

  test('has the server’s process id', async () => {
    expect(await text('/pid')).toBe(String(process.pid))
  })

  test('gets zigInit before every request and request_deinit once after each', async () => {
    const before = (await text('/counts')).split(' ').map(Number)
    const answers = await Promise.all(Array.from({ length: 500 }, () => served.ask('/version')))
    expect(answers.every(({ status }) => status === 200)).toBe(true)
    const after = (await text('/counts')).split(' ').map(Number)
    expect(after.map((count, index) => count - (before[index] ?? 0))).toEqual([501, 501, 501])
  })

  test('gets a request and its body byte for byte', async () => {
    const body = Buffer.from(Uint8Array.from({ length: 3_000_000 }, (_, index) => (index * 11) & 255))
    expect((await served.ask('/', { method: 'POST', body })).body.equals(body)).toBe(true)
    const seen = await text('/seen')
    expect(seen).toMatch(/^method GET \(3\), NUL 1, \d+ headers, body there, 0 bytes$/)
  })

  test('keeps a large response apart from the next call’s, because it is still being written', async () => {
    const bodies = [1, 2, 3].map((value) => Buffer.alloc(900_000, value))
    const answers = await Promise.all(bodies.map((body) => served.ask('/', { method: 'POST', body })))
    expect(answers.every(({ body }, index) => bodies[index]?.equals(body))).toBe(true)
  })

  test.each(['newline', 'length', 'count', 'empty'])(
    'costs a bad %s in a response its request only',
    async (what) => {
      served.faults.length = 0
      const { status, body } = await served.ask(`/bad/${what}`)
      expect([status, body.toString()]).toEqual([500, 'Internal Server Error\n'])
      expect(served.faults).toMatchObject([{ kind: 'result' }])
    },
  )

  test('answers NULL with 500, and frees what the other requests had', async () => {
    const [, , before = 0] = (await text('/counts')).split(' ').map(Number)
    expect((await served.ask('/null')).status).toBe(500)
    const [, , after = 0] = (await text('/counts')).split(' ').map(Number)
    expect(after - before).toBe(1)
  })

  test('says once what it risks, and once that a call held everything up', async () => {
    const records: LogRecord[] = []
    await using folder = await temporaryFolder()
    await compileC(join(FIXTURES, 'abi.c'), join(folder.path, 'libfixture.so'))
    const log = createLogger((record) => records.push(record), 'warn')
    const scope = { ...scopeOf(folder.path), log }
    await using source = await native.open(configOf(folder.path, { options: none }), scope)
    const code = await source.build()
    await using first = await code.start()
    await using second = await code.start()
    expect([first, second]).toHaveLength(2)
    expect(records.map(({ event }) => event)).toEqual(['native.inline'])
    expect(records[0]?.fields['message']).toContain('a crash of it ends flexi')
  })
})

suite(title('a watched library in the server’s own process'), () => {
  test('is exchanged for its new version, by cp and by mv, without a lost request and without being unloaded', async () => {
    await using folder = await temporaryFolder()
    const version = (number: number): string => join(folder.path, `v${number}.so`)
    for (const number of [2, 3])
      await compileC(join(FIXTURES, 'abi.c'), version(number), [`-DVERSION=${number}`])
    await using served = await watchC('abi.c', { options: none })
    let running = true
    const client = async (): Promise<string[]> => {
      const answers: string[] = []
      while (running) {
        const response = await served.ask('/version')
        answers.push(`${response.status} ${await response.text()}`)
      }
      return answers
    }
    const clients = Array.from({ length: 4 }, client)
    for (const number of [2, 3, 2, 3]) {
      if (number === 2) await copyFile(version(number), served.library)
      else {
        await copyFile(version(number), `${served.library}.new`)
        await rename(`${served.library}.new`, served.library)
      }
      await expect.poll(() => served.text('/version'), { timeout: 5000, interval: 5 }).toBe(String(number))
    }
    running = false
    const answers = (await Promise.all(clients)).flat()
    expect(answers.filter((answer) => !/^200 [123]$/.test(answer))).toEqual([])
    const maps = process.platform === 'linux' ? await readFile('/proc/self/maps', 'utf8') : ''
    // One mapping of code for each load: what was called stays.
    const code = maps.split('\n').filter((line) => line.includes('r-xp') && line.includes('fixture-'))
    expect(code.length).toBeGreaterThanOrEqual(process.platform === 'linux' ? 5 : 0)
  })
})

suite(title('a crash'), () => {
  const project = async (isolation: string): Promise<Awaited<ReturnType<typeof temporaryFolder>>> => {
    const folder = await temporaryFolder()
    await compileC(join(FIXTURES, 'abi.c'), join(folder.path, 'liba.so'))
    const functions = { fixture: { provider: 'native', library: 'liba.so', isolation } }
    await writeFile(join(folder.path, 'flexi.jsonc'), JSON.stringify({ functions }))
    return folder
  }

  test('of a library in a process of its own leaves the server its pid, and is told with the signal and the library', async () => {
    await using folder = await project('process')
    await using flexi = await startFlexi(folder.path)
    const url = `${flexi.url}/_flexi/f/fixture`
    expect((await fetch(`${url}/end/segv`)).status).toBe(502)
    const from = performance.now()
    expect(await (await fetch(`${url}/version`)).text()).toBe('1')
    expect(performance.now() - from).toBeLessThan(2000)
    expect(process.kill(flexi.pid, 0)).toBe(true)
    const fault = await flexi.event('fault')
    expect(fault).toMatchObject({ function: 'fixture', kind: 'crash', name: 'SIGSEGV' })
    expect(fault.message).toContain('liba.so')
  })

  test('of a library without isolation ends the server, as its warning says', async () => {
    await using folder = await project('none')
    await using flexi = await startFlexi(folder.path)
    const warning = await flexi.event('warning', ({ message }) => message.includes('liba.so'))
    expect(warning.message).toContain('a crash of it ends flexi')
    await expect(fetch(`${flexi.url}/_flexi/f/fixture/end/segv`)).rejects.toThrow('fetch failed')
    expect(await flexi.exited).toEqual({ code: null, signal: 'SIGSEGV' })
  })
})
