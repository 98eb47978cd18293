import { connect } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'

import { describe, expect, test } from 'vitest'

import type { Served } from '../conformance.ts'
import { NO_CC, serveC } from './compile.ts'

const suite = NO_CC === undefined ? describe : describe.skip
const title = (text: string): string => `${text}${NO_CC === undefined ? '' : ` (${NO_CC})`}`

const serve = (threads: number): Promise<Served> =>
  serveC('abi.c', { config: { options: { library: 'libfixture.so', threads } } })

/** A client that sends its request and leaves; resolves once it has left. */
function leave(port: number, path: string, afterMs: number): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`)
      setTimeout(() => socket.destroy(), afterMs)
    })
    socket.on('error', () => undefined)
    socket.on('close', () => resolve())
  })
}

/** Milliseconds until `path` is answered with 200, asking again as soon as it was refused. */
async function untilGood(served: Served, path: string): Promise<number> {
  const from = performance.now()
  while ((await served.ask(path)).status !== 200) await wait(20)
  return performance.now() - from
}

suite(title('crashing requests at once'), () => {
  test.each([
    [6, 4],
    [8, 2],
    [16, 4],
  ])('%i with %i threads: a good request behind them is answered within 2 s', async (count, threads) => {
    await using served = await serve(threads)
    const from = performance.now()
    const crashing = Array.from({ length: count }, () => served.ask('/end/segv'))
    const early = wait(50).then(async () => (await served.ask('/version')).body.toString())
    const good = untilGood(served, '/version')
    const statuses = (await Promise.all(crashing)).map(({ status }) => status)
    expect(new Set(statuses)).toEqual(new Set([502]))
    expect(performance.now() - from).toBeLessThan(2500)
    expect(await good).toBeLessThan(2000)
    // Unless a crashing one was begun beside it.
    expect(await early).toMatch(/^1$|beside it/)
  })

  test('40 whose clients are gone are dropped, because nobody waits for their answers', async () => {
    await using served = await serve(4)
    const { port } = served.gateway
    await Promise.all(Array.from({ length: 40 }, () => leave(port, '/end/segv', 200)))
    expect(await untilGood(served, '/version')).toBeLessThan(2000)
    expect(served.faults.length).toBeLessThan(20)
  })

  test('one each 50 ms costs eight good clients nothing, because nothing else is in the library when it crashes', async () => {
    await using served = await serve(4)
    const until = performance.now() + 1500
    const statuses: number[] = []
    const client = async (): Promise<void> => {
      while (performance.now() < until) statuses.push((await served.ask('/version')).status)
    }
    const clients = Array.from({ length: 8 }, client)
    const crashing: Promise<unknown>[] = []
    while (performance.now() < until) {
      crashing.push(served.ask('/end/abort'))
      await wait(50)
    }
    await Promise.all([...clients, ...crashing])
    const lost = statuses.filter((status) => status !== 200).length
    expect(statuses.length).toBeGreaterThan(20)
    // A good call that was begun beside one that crashes shares its end: microseconds each 50 ms.
    expect(lost).toBeLessThanOrEqual(served.faults.length)
    expect(lost).toBeLessThan(statuses.length / 20)
  })

  test('of different paths are not kept waiting for long, but refused and told when to ask again', async () => {
    await using served = await serve(4)
    const from = performance.now()
    const paths = Array.from({ length: 60 }, (_, index) => `/end/${index}`)
    const answers = await Promise.all(paths.map((path) => served.ask(path)))
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([502]))
    expect(performance.now() - from).toBeLessThan(3000)
    expect(await untilGood(served, '/version')).toBeLessThan(2000)
  })
})
