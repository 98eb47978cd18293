import { mkdtemp, rm } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { describe, expect, test } from 'vitest'

import type { AbsolutePath } from '../../src/core/place.ts'
import { listenToOperator, type OperatorSocket } from '../../src/daemon/operator-socket.ts'

/** What a request to it comes to that is answered after so long. */
async function asked(
  delayMs: number,
  end: (socket: OperatorSocket) => Promise<void>,
): Promise<{ readonly text: string; readonly tookMs: number }> {
  const directory = (await mkdtemp(join(tmpdir(), 'flexi-operator-'))) as AbsolutePath
  const socket = await listenToOperator(directory, (_incoming, outgoing) => {
    outgoing.write('begun ')
    setTimeout(() => outgoing.end('done'), delayMs)
  })
  const answer = new Promise<string>((resolve) => {
    let text = ''
    request({ socketPath: socket.path, agent: false }, (incoming) => {
      incoming.on('data', (chunk: Buffer) => {
        if (text === '') void end(socket)
        text += chunk.toString()
      })
      incoming.on('close', () => resolve(text))
      incoming.on('error', () => undefined)
    }).end()
  })
  const startedAt = performance.now()
  const text = await answer
  await socket[Symbol.asyncDispose]()
  await rm(directory, { recursive: true })
  return { text, tookMs: performance.now() - startedAt }
}

describe("the operator's socket", () => {
  test('that is drained answers what was asked', async () => {
    const { text } = await asked(200, (socket) => socket.drain(10_000))
    expect(text).toBe('begun done')
  })

  test('breaks off what takes longer than the limit; the shorter of two counts', async () => {
    const { text, tookMs } = await asked(5_000, async (socket) => {
      await Promise.all([socket.drain(60_000), socket.drain(50)])
    })
    expect(text).toBe('begun ')
    expect(tookMs).toBeLessThan(3_000)
  })
})
