import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { lambda } from '../../../src/emulators/lambda/index.ts'
import { serveFunction, type Served } from '../conformance.ts'

const HANDLER = `
let running = 0
export const handler = async (event) => {
  running += 1
  const seen = running
  const { sleep, spin, exit } = event.queryStringParameters ?? {}
  if (sleep) await new Promise((resolve) => setTimeout(resolve, Number(sleep)))
  if (spin) for (const until = Date.now() + Number(spin); Date.now() < until; );
  if (exit) process.exit(1)
  await null
  running -= 1
  return { statusCode: 200, headers: { 'x-running': String(seen) }, body: event.body ?? 'none' }
}
`

describe('requests handed to an environment ahead', () => {
  let served: Served
  beforeAll(async () => {
    served = await serveFunction(lambda, async (directory) => {
      await writeFile(join(directory, 'ahead.mjs'), HANDLER)
      const origin = { file: directory, line: 1, column: 1 }
      return {
        name: 'ahead',
        provider: 'lambda',
        directory,
        origin,
        environment: {},
        timeoutMs: 3000,
        options: { handler: 'ahead.handler' },
      }
    })
  })
  afterAll(async () => served[Symbol.asyncDispose]())

  const post = (
    text: string,
    query = '',
  ): Promise<{ status: number; body: string; ms: number; running: unknown }> => {
    const from = performance.now()
    return served
      .ask(`/x${query}`, {
        method: 'POST',
        body: Buffer.from(text),
        headers: { 'content-type': 'text/plain', 'content-length': String(text.length) },
      })
      .then(({ status, body, headers }) => ({
        status,
        body: body.toString(),
        ms: performance.now() - from,
        running: headers['x-running'],
      }))
  }
  /** Enough quick answers that the pool takes this function for a fast one. */
  const warm = async (): Promise<void> => {
    for (let turn = 0; turn < 40; turn += 1)
      await Promise.all([served.ask('/w'), served.ask('/w'), served.ask('/w')])
  }

  test('never run while another one does, and each gets its own answer', async () => {
    await warm()
    const answers = await Promise.all(Array.from({ length: 300 }, (_, index) => post(`n${index}`)))
    expect(answers.map(({ body }) => body)).toEqual(answers.map((_, index) => `n${index}`))
    expect(new Set(answers.map(({ running }) => running))).toEqual(new Set(['1']))
  })

  test('go elsewhere with their bodies when the one before waits', async () => {
    await warm()
    const slow = post('slow', '?sleep=1500')
    const quick = await Promise.all(Array.from({ length: 12 }, (_, index) => post(`q${index}`)))
    expect(quick.map(({ status, body }) => `${status} ${body}`)).toEqual(
      quick.map((_, index) => `200 q${index}`),
    )
    expect(Math.max(...quick.map(({ ms }) => ms))).toBeLessThan(1200)
    expect((await slow).body).toBe('slow')
  })

  test('are answered when the one before computes without pause', async () => {
    await warm()
    const slow = post('slow', '?spin=700')
    const quick = await Promise.all(Array.from({ length: 6 }, (_, index) => post(`q${index}`)))
    expect(quick.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 200])
    expect((await slow).status).toBe(200)
  })

  test('are answered by the next environment when the one before takes its own down', async () => {
    await warm()
    const answers = await Promise.all([
      post('down', '?exit=1'),
      ...Array.from({ length: 12 }, (_, index) => post(`q${index}`)),
    ])
    expect(answers.map(({ status }) => status)).toEqual([502, ...Array<number>(12).fill(200)])
  })
})
