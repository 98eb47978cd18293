import { randomUUID } from 'node:crypto'
import { spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { chmod, cp } from 'node:fs/promises'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import type { FunctionConfig } from '../../../src/core/function.ts'
import { prepareFunction, type Opened } from './harness.ts'

/** One of AWS's own runtime clients, with a handler that does what its event says: `{ case, … }`. */
export interface Client {
  readonly config: Partial<FunctionConfig> & { readonly handler: string }
  /** What the error of `fail` looks like. */
  readonly failure: Readonly<Record<string, unknown>>
  /** What a crash looks like. */
  readonly crash: Readonly<Record<string, unknown>>
  readonly streams?: boolean
  /** Its large answers are streams, which have another limit. */
  readonly bigIsStreamed?: boolean
}

/** Runs a build tool to its end; tells why it failed. */
export function tool(command: string, args: readonly string[], cwd: string, env = {}): string | undefined {
  const ended = spawnSync(command, [...args], {
    cwd,
    env: { ...process.env, ...env },
    encoding: 'utf8',
    timeout: 240_000,
  })
  if (ended.error !== undefined) return `${command} is not installed`
  if (ended.status === 0) return undefined
  return `${command} ${args[0] ?? ''} failed: ${`${ended.stdout}${ended.stderr}`.trim().split('\n').slice(-3).join(' · ')}`
}

const BUILD_MS = 280_000

/** What every client must get right; one that cannot be had is skipped, and its reason is printed. */
export function runsWith(
  name: string,
  built: { readonly folder: string; readonly missing: string | undefined },
  client: Client,
): void {
  const { folder, missing } = built
  if (missing !== undefined) {
    test.skip(`${name} (not here: ${missing})`)
    // Where every test is skipped, no hook runs that would take it away.
    rmSync(folder, { recursive: true, force: true })
    return
  }
  describe(name, () => {
    let opened: Opened
    beforeAll(async () => {
      opened = await prepareFunction({}, { timeoutMs: 10_000, memoryMb: 512, ...client.config })
      await cp(folder, opened.directory, { recursive: true })
      await chmod(join(opened.directory, 'bootstrap'), 0o755).catch(() => undefined)
      await opened.build()
    }, BUILD_MS)
    afterAll(() => opened[Symbol.asyncDispose]())

    test('answers, again and again', async () => {
      for (let n = 0; n < 3; n += 1) {
        expect((await opened.invoke({ case: 'echo', n, text: 'ü→😀' })).value).toEqual({
          case: 'echo',
          n,
          text: 'ü→😀',
        })
      }
    })

    test('answers many that come at once', async () => {
      const events = Array.from({ length: 8 }, (_, n) => ({ case: 'echo', n }))
      const answers = await Promise.all(events.map((event) => opened.invoke(event)))
      expect(answers.map(({ value }) => value)).toEqual(events)
    })

    test('fails with its own error, and lives on', async () => {
      const { value, functionError } = await opened.invoke({ case: 'fail' })
      expect([functionError, value]).toEqual(['Unhandled', expect.objectContaining(client.failure)])
      expect((await opened.invoke({ case: 'echo' })).value).toEqual({ case: 'echo' })
    })

    test('brings back 5 MB; more than 6 MiB are an error of the function', async () => {
      const big = await opened.invoke({ case: 'big', bytes: 5_000_000 })
      expect(big.payload.length).toBeGreaterThanOrEqual(5_000_000)
      if (client.bigIsStreamed === true) return
      expect((await opened.invoke({ case: 'big', bytes: 6_400_000 })).value).toMatchObject({
        errorType: 'Function.ResponseSizeTooLarge',
      })
      expect((await opened.invoke({ case: 'echo' })).value).toEqual({ case: 'echo' })
    })

    test('crashes, and the next one starts it again', async () => {
      const { value } = await opened.invoke({ case: 'crash' })
      expect(value).toMatchObject(client.crash)
      expect((await opened.invoke({ case: 'echo' })).value).toEqual({ case: 'echo' })
    })

    if (client.streams === true) {
      test('streams chunk by chunk', async () => {
        const chunks: string[] = []
        await opened.pool.invoke(Buffer.from('{"case":"stream"}'), {
          id: randomUUID(),
          deadline: Date.now() + 60_000,
          signal: new AbortController().signal,
          stream: {
            started: () => undefined,
            chunk(bytes, taken) {
              chunks.push(Buffer.from(bytes).toString())
              taken()
            },
          },
        })
        expect(chunks.join('')).toBe('one two three')
        expect(chunks.length).toBeGreaterThan(1)
      })

      test('tells of a stream that breaks', async () => {
        expect(await opened.invoke({ case: 'break' })).toMatchObject({
          functionError: 'Unhandled',
          value: client.failure,
        })
        expect((await opened.invoke({ case: 'echo' })).value).toEqual({ case: 'echo' })
      })
    }
  })
}
