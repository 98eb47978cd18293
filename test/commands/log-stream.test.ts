import { describe, expect, test } from 'vitest'

import { followLogs } from '../../src/commands/log-stream.ts'
import { FlexiError } from '../../src/core/errors.ts'
import type { LogRecord } from '../../src/daemon/model.ts'
import type { LogFilter } from '../../src/daemon/runtime.ts'

const line = (at: number, text: string): LogRecord => ({
  at,
  function: 'hello',
  version: 'v1',
  stream: 'stdout',
  level: 'info',
  text,
})

/** A daemon whose connections give these lines, one list a connection, and then end as the list says. */
function daemonOf(...connections: readonly (readonly (LogRecord | Error)[])[]) {
  const asked: Omit<LogFilter, 'signal'>[] = []
  return {
    asked,
    async *logs(filter: Omit<LogFilter, 'signal'>): AsyncGenerator<LogRecord> {
      const connection = connections[asked.push(filter) - 1] ?? [new FlexiError('FLEXI_FORBIDDEN', 'no more')]
      for (const one of connection) {
        if (one instanceof Error) throw one
        yield await Promise.resolve(one)
      }
    },
  }
}

async function read(lines: AsyncIterable<LogRecord>, count = Infinity): Promise<string[]> {
  const texts: string[] = []
  for await (const { text } of lines) {
    texts.push(text)
    if (texts.length === count) break
  }
  return texts
}

const broken = new FlexiError('FLEXI_DAEMON', 'the connection broke off')

describe('a log that is followed', () => {
  test('goes on behind the last line that was seen, and shows none twice', async () => {
    const daemon = daemonOf(
      [line(1, 'a'), line(2, 'b'), line(2, 'c'), broken],
      // The same millisecond again, and one more line in it.
      [line(2, 'b'), line(2, 'c'), line(2, 'd'), line(3, 'e')],
    )
    expect(await read(followLogs(daemon, { function: 'hello', follow: true, limit: 100 }), 5)).toEqual([
      'a',
      'b',
      'c',
      'd',
      'e',
    ])
    expect(daemon.asked[1]).toMatchObject({ since: 2, follow: true })
  })

  test('equal lines of one millisecond are all shown', async () => {
    const daemon = daemonOf([line(2, 'b'), line(2, 'b'), broken], [line(2, 'b'), line(2, 'b'), line(2, 'b')])
    expect(await read(followLogs(daemon, { function: 'hello', follow: true }), 3)).toEqual(['b', 'b', 'b'])
  })

  test('is not waited for where it never was', async () => {
    await expect(read(followLogs(daemonOf([broken]), { function: 'hello', follow: true }))).rejects.toBe(
      broken,
    )
  })

  test('ends with what is no broken connection', async () => {
    const refused = new FlexiError('FLEXI_FORBIDDEN', 'no')
    const daemon = daemonOf([line(1, 'a'), refused])
    await expect(read(followLogs(daemon, { function: 'hello', follow: true }))).rejects.toBe(refused)
  })
})

test('a log that is not followed is read once, and a break is an error', async () => {
  expect(await read(followLogs(daemonOf([line(1, 'a')]), { function: 'hello' }))).toEqual(['a'])
  await expect(read(followLogs(daemonOf([line(1, 'a'), broken]), { function: 'hello' }))).rejects.toBe(broken)
})
