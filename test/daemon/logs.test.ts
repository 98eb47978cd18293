import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'

import { createLogger, silentLogger, type LogRecord as OwnRecord } from '../../src/core/log.ts'
import type { AbsolutePath } from '../../src/core/place.ts'
import { Follower } from '../../src/daemon/logs/follower.ts'
import { formatLine, parseLine } from '../../src/daemon/logs/log-line.ts'
import { openLogs, type LogsOptions, type OpenLogs } from '../../src/daemon/logs/logs.ts'
import type { LogRecord } from '../../src/daemon/model.ts'
import type { LogFilter } from '../../src/daemon/runtime.ts'

const directories: string[] = []
afterEach(async () => {
  await Promise.all(directories.splice(0).map((path) => rm(path, { recursive: true, force: true })))
})

async function openTest(options: Partial<LogsOptions> = {}): Promise<{ logs: OpenLogs; directory: string }> {
  const directory = options.directory ?? (await mkdtemp(join(tmpdir(), 'flexi-logs-')))
  directories.push(directory)
  return {
    directory,
    logs: openLogs({ directory: directory as AbsolutePath, log: silentLogger, ...options }),
  }
}

const record = (text: string, given: Partial<LogRecord> = {}): LogRecord => ({
  at: Date.now(),
  function: 'hello',
  version: 'v1',
  stream: 'stdout',
  level: 'info',
  text,
  ...given,
})

async function texts(logs: OpenLogs, filter: Partial<LogFilter> = {}): Promise<string[]> {
  const found: string[] = []
  for await (const { text } of logs.read({ function: 'hello', ...filter })) found.push(text)
  return found
}

describe('what is kept', () => {
  test('comes back as it was appended, oldest first, also what was appended in this very turn', async () => {
    const { logs } = await openTest()
    const whole = record('first', { at: 5, stream: 'stderr', level: 'error', requestId: 'abc' })
    logs.append(whole)
    logs.append(record('two\nlines'))
    const found = []
    for await (const one of logs.read({ function: 'hello' })) found.push(one)
    expect(found[0]).toEqual(whole)
    expect(found.map(({ text }) => text)).toEqual(['first', 'two\nlines'])
  })

  test('is there after another opens the same folder', async () => {
    const { logs, directory } = await openTest()
    logs.append(record('before'))
    await logs[Symbol.asyncDispose]()
    const { logs: next } = await openTest({ directory: directory as AbsolutePath })
    next.append(record('after'))
    expect(await texts(next)).toEqual(['before', 'after'])
  })

  test('is each function’s own', async () => {
    const { logs } = await openTest()
    logs.append(record('mine'))
    logs.append(record('other', { function: 'other' }))
    expect(await texts(logs)).toEqual(['mine'])
    expect(await texts(logs, { function: 'absent' })).toEqual([])
  })

  test('nobody else of the machine may read it', async () => {
    const { logs, directory } = await openTest()
    logs.append(record('secret'))
    await logs[Symbol.asyncDispose]()
    const folder = join(directory, 'hello')
    expect((await stat(folder)).mode & 0o777).toBe(0o700)
    const [file = ''] = await readdir(folder)
    expect((await stat(join(folder, file))).mode & 0o777).toBe(0o600)
  })

  test('has its limit: the oldest goes first, and what is left is the end without a gap', async () => {
    const { logs, directory } = await openTest({ functionBytesMax: 16_000 })
    for (let number = 0; number < 2_000; number += 1) {
      logs.append(record(`line ${number}`))
      if (number % 20 === 0) await texts(logs, { limit: 1 })
    }
    const kept = (await texts(logs)).map((text) => Number(text.slice(5)))
    expect(kept.at(-1)).toBe(1_999)
    expect(kept[0]).toBeGreaterThan(0)
    expect(kept).toEqual(Array.from({ length: kept.length }, (_, index) => (kept[0] ?? 0) + index))
    const files = await readdir(join(directory, 'hello'))
    const sizes = await Promise.all(
      files.map(async (file) => (await stat(join(directory, 'hello', file))).size),
    )
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(21_000)
  })

  test('goes with its function', async () => {
    const { logs, directory } = await openTest()
    logs.append(record('x'))
    await texts(logs)
    await logs.remove('hello')
    expect(await readdir(directory)).toEqual([])
    logs.append(record('anew'))
    expect(await texts(logs)).toEqual(['anew'])
  })
})

describe('what the machine did to it', () => {
  test('a line that broke off is left out, and nothing is appended to it', async () => {
    const { logs, directory } = await openTest()
    await mkdir(join(directory, 'hello'))
    await writeFile(join(directory, 'hello', '00000001.jsonl'), `${formatLine(record('whole'))}{"at":1,"ver`)
    logs.append(record('after'))
    expect(await texts(logs)).toEqual(['whole', 'after'])
    expect((await readdir(join(directory, 'hello'))).toSorted()).toEqual(['00000001.jsonl', '00000002.jsonl'])
  })

  test('files of somebody else are left alone', async () => {
    const { logs, directory } = await openTest()
    logs.append(record('mine'))
    await texts(logs)
    await writeFile(join(directory, 'hello', 'notes.txt'), 'x')
    expect(await texts(logs)).toEqual(['mine'])
    expect(await readFile(join(directory, 'hello', 'notes.txt'), 'utf8')).toBe('x')
  })

  test('a folder that cannot be written to costs the lines, and is told, and nothing else', async () => {
    const told: OwnRecord[] = []
    const { logs, directory } = await openTest({ log: createLogger((one) => told.push(one)) })
    await writeFile(join(directory, 'hello'), 'a file in its place')
    logs.append(record('lost'))
    await expect.poll(() => told.map(({ event }) => event)).toContain('logs.write')
    logs.append(record('kept', { function: 'other' }))
    expect(await texts(logs, { function: 'other' })).toEqual(['kept'])
  })

  test('two processes may append: each reads whole lines of both', async () => {
    const { logs, directory } = await openTest()
    const { logs: old } = await openTest({ directory: directory as AbsolutePath })
    for (let number = 0; number < 50; number += 1) {
      logs.append(record('a'.repeat(200)))
      old.append(record('b'.repeat(200)))
    }
    await Promise.all([logs[Symbol.asyncDispose](), old[Symbol.asyncDispose]()])
    expect(new Set(await texts(logs))).toEqual(new Set(['a'.repeat(200), 'b'.repeat(200)]))
    expect(await texts(logs)).toHaveLength(100)
  })

  test('one that prints faster than the disk takes loses lines, and is told how many', async () => {
    const { logs } = await openTest({ functionBytesMax: 1e9 })
    for (let number = 0; number < 600; number += 1) logs.append(record('x'.repeat(10_000)))
    // Also when it prints nothing more.
    await expect.poll(() => texts(logs, { limit: 1 })).toEqual([expect.stringMatching(/^\d+ lines are left/)])
    logs.append(record('later'))
    const found = await texts(logs)
    expect(found.at(-1)).toBe('later')
    expect(found.at(-2)).toMatch(/^\d+ lines are left out here: they came faster than they could be written$/)
    expect(found.length + Number(found.at(-2)?.split(' ')[0])).toBe(602)
  })
})

describe('what is asked for', () => {
  test('a version, a moment, the last so many', async () => {
    const { logs } = await openTest({ functionBytesMax: 8_000 })
    const now = Date.now()
    for (let number = 0; number < 40; number += 1)
      logs.append(record(`${number}`, { at: now + number, version: number % 2 === 0 ? 'v1' : 'v2' }))
    expect(await texts(logs, { version: 'v2', limit: 3 })).toEqual(['35', '37', '39'])
    expect(await texts(logs, { since: now + 37 })).toEqual(['37', '38', '39'])
    expect(await texts(logs, { limit: 0 })).toEqual([])
    expect(await texts(logs, { since: now + 10_000_000 })).toEqual([])
    expect(await texts(logs, { limit: 1_000 })).toHaveLength(40)
  })

  test('follow goes on where the kept lines end: none twice, none missing, while others are appended', async () => {
    const { logs } = await openTest()
    const leaving = new AbortController()
    const seen: number[] = []
    let printed = 0
    const print = (): void => logs.append(record(String(printed++)))
    for (let number = 0; number < 100; number += 1) print()
    const reading = (async () => {
      for await (const { text } of logs.read({ function: 'hello', follow: true, signal: leaving.signal })) {
        seen.push(Number(text))
        if (printed < 500) print()
      }
    })()
    print()
    await expect.poll(() => seen.length).toBe(500)
    expect(seen).toEqual(Array.from({ length: 500 }, (_, index) => index))
    leaving.abort()
    await reading
  })

  test('follow waits for a function that has printed nothing yet, and ends with the signal', async () => {
    const { logs } = await openTest()
    const leaving = new AbortController()
    const records = logs.read({ function: 'hello', follow: true, limit: 10, signal: leaving.signal })
    const iterator = records[Symbol.asyncIterator]()
    const first = iterator.next()
    await new Promise((resolve) => setImmediate(resolve))
    logs.append(record('other version', { version: 'v2' }))
    expect((await first).value).toMatchObject({ text: 'other version' })
    const next = iterator.next()
    leaving.abort()
    expect(await next).toEqual({ done: true, value: undefined })
  })

  test('a follower that does not keep up holds so many characters, however long the lines are', async () => {
    const follower = new Follower(() => undefined)
    for (let i = 0; i < 100; i++) follower.push(record(`${i}`.padEnd(256 * 1024)))
    const leaving = new AbortController()
    const found: string[] = []
    for await (const { text } of follower.records(leaving.signal)) {
      found.push(text.trim())
      if (text.includes('left out')) leaving.abort()
    }
    expect(found).toHaveLength(17)
    expect(found.at(-1)).toMatch(/^84 lines are left out/)
  })

  test('a follower that does not keep up is told how much it missed', async () => {
    const { logs } = await openTest()
    const leaving = new AbortController()
    const iterator = logs
      .read({ function: 'hello', follow: true, signal: leaving.signal })
      [Symbol.asyncIterator]()
    const first = iterator.next()
    logs.append(record('first'))
    expect((await first).value).toMatchObject({ text: 'first' })
    for (let number = 0; number < 10_500; number += 1) logs.append(record('x'))
    let value: LogRecord | undefined
    do {
      value = ((await iterator.next()) as { value: LogRecord }).value
    } while (value.text === 'x')
    expect(value).toMatchObject({
      stream: 'platform',
      text: expect.stringMatching(/^\d+ lines are left out/) as string,
    })
    leaving.abort()
    await iterator.next()
  })
})

describe('a line', () => {
  test('is read as it was written, whatever is in it', () => {
    fc.assert(
      fc.property(
        fc.record({
          at: fc.integer({ min: 0 }),
          version: fc.string(),
          stream: fc.constantFrom('stdout', 'stderr', 'platform'),
          level: fc.constantFrom('debug', 'info', 'warn', 'error'),
          text: fc.string({ unit: 'binary' }),
          requestId: fc.option(fc.string(), { nil: undefined }),
        }),
        (given) => {
          const whole = { ...given, function: 'hello' } as LogRecord
          const line = formatLine(whole)
          expect(line.indexOf('\n')).toBe(line.length - 1)
          expect(parseLine('hello', line)).toEqual(whole)
        },
      ),
    )
  })

  test('that is anything else is no record', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (line) => {
        const found = parseLine('hello', line)
        expect(found === undefined || typeof found.text === 'string').toBe(true)
      }),
    )
  })
})
