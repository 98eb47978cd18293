import fc from 'fast-check'
import { expect, test } from 'vitest'

import type { AccessRecord } from '../../src/core/events.ts'
import { flexilibLine, jsonLine } from '../../src/gateway/access-log.ts'
import { openTest, text } from './harness.ts'

const LINE =
  /^\S+:\d+ - - "[A-Z]+ \S+ HTTP\/1\.[01]" \d{3} ttfb \d+\.\d{3}ms \d+ ttlb \d+\.\d{3}ms \(pre-alloc: \d+, alloc: \d+\)$/

const record: AccessRecord = {
  id: 'x',
  clientAddress: '127.0.0.1',
  clientPort: 59_940,
  method: 'GET',
  target: '/',
  httpVersion: '1.1',
  status: 200,
  bytes: 11,
  ttfbMs: 2000.42,
  ttlbMs: 2000.568,
  route: undefined,
  aborted: false,
  notes: { preAlloc: 1569, alloc: 4350 },
}

test('is FlexiLib’s line to the byte', () => {
  expect(flexilibLine(record)).toBe(
    '127.0.0.1:59940 - - "GET / HTTP/1.1" 200 ttfb 2000.420ms 11 ttlb 2000.568ms (pre-alloc: 1569, alloc: 4350)',
  )
})

test('has zeros where the fetcher told nothing, and the library’s own length of a HEAD', () => {
  expect(flexilibLine({ ...record, notes: {} })).toMatch(/ 11 ttlb .* \(pre-alloc: 0, alloc: 0\)$/)
  expect(flexilibLine({ ...record, bytes: 0, notes: { bytes: 7 } })).toContain(' 7 ttlb ')
})

test('is read by whoever reads FlexiLib’s log, whatever the numbers', () => {
  const ms = fc.double({ min: 0, max: 1e9, noNaN: true })
  fc.assert(
    fc.property(ms, ms, fc.nat(), fc.ipV6(), (ttfbMs, ttlbMs, bytes, clientAddress) => {
      expect(flexilibLine({ ...record, ttfbMs, ttlbMs, bytes, clientAddress })).toMatch(LINE)
    }),
  )
})

test('holds for a real request', async () => {
  await using test_ = await openTest(text('hello world'))
  await (await fetch(`${test_.url}/a?b=%20`)).text()
  await expect.poll(() => test_.records).toHaveLength(1)
  const line = flexilibLine(test_.records[0] ?? record)
  expect(line).toMatch(LINE)
  expect(line).toMatch(/"GET \/a\?b=%20 HTTP\/1\.1" 200 ttfb .* 11 ttlb/)
})

test('one JSON object a line', () => {
  const line = jsonLine(record, new Date(0))
  expect(line).not.toContain('\n')
  expect(JSON.parse(line)).toMatchObject({
    time: '1970-01-01T00:00:00.000Z',
    status: 200,
    notes: { alloc: 4350 },
  })
})
