import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { RequestReader } from '../../../src/emulators/lambda/environments/request-reader.ts'

interface Read {
  readonly line: string
  readonly fields: Readonly<Record<string, string>>
  readonly keepAlive: boolean
  body: string
  trailers: Readonly<Record<string, string>> | undefined
}

/** What is read of these pieces; `waits` holds each next request until the one before was answered. */
function read(pieces: readonly Buffer[], waits = false): (Read | number)[] {
  const found: (Read | number)[] = []
  let owed = 0
  const reader = new RequestReader({
    head({ method, target, fields, keepAlive }) {
      const line = `${method} ${target}`
      found.push({ line, fields: Object.fromEntries(fields), keepAlive, body: '', trailers: undefined })
    },
    data(bytes) {
      const last = found.at(-1)
      if (typeof last === 'object') last.body += bytes.toString('latin1')
    },
    end(trailers) {
      const last = found.at(-1)
      if (typeof last === 'object') last.trailers = Object.fromEntries(trailers)
      if (waits) owed += 1
      return !waits
    },
    malformed: (status) => found.push(status),
  })
  for (const piece of pieces) {
    reader.push(Buffer.from(piece))
    for (; owed > 0; owed -= 1) reader.resume()
  }
  return found
}

const text = (...lines: readonly string[]): Buffer => Buffer.from(lines.join('\r\n'), 'latin1')

/** Cuts the bytes at these places. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const sorted = [0, ...places.map((place) => place % (bytes.length + 1)), bytes.length].toSorted(
    (a, b) => a - b,
  )
  return sorted.slice(1).map((end, index) => bytes.subarray(sorted[index] ?? 0, end))
}

const BYTES = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes))
const NAME = fc.stringMatching(/^[a-z][a-z0-9-]{0,10}$/).map((name) => `x-${name}`)
const VALUE = fc.stringMatching(/^[!-~]([ -~]{0,30}[!-~])?$/)

const LENGTH = fc
  .record({ body: BYTES, field: fc.tuple(NAME, VALUE) })
  .map(({ body, field: [name, value] }) =>
    Buffer.concat([
      text(`POST /a HTTP/1.1`, `${name}: ${value}`, `Content-Length: ${body.length}`, '', ''),
      body,
    ]),
  )
const CHUNKS = fc
  .record({ parts: fc.array(BYTES), trailers: fc.array(fc.tuple(NAME, VALUE), { maxLength: 3 }) })
  .map(({ parts, trailers }) =>
    Buffer.concat([
      text('POST /b HTTP/1.1', 'Transfer-Encoding: chunked', '', ''),
      ...parts
        .filter(({ length }) => length > 0)
        .flatMap((part) => [text(`${part.length.toString(16)};x=1`, ''), part, text('', '')]),
      text('0', ...trailers.map(([name, value]) => `${name}: ${value}`), '', ''),
    ]),
  )
const GET = fc.constant(text('GET /c HTTP/1.1', 'Host: x', '', ''))
const REQUESTS = fc.array(fc.oneof(LENGTH, CHUNKS, GET), { minLength: 1, maxLength: 4 })

describe('the reader of requests', () => {
  test('reads the same however the bytes are cut', () => {
    fc.assert(
      fc.property(
        REQUESTS,
        fc.array(fc.nat(), { maxLength: 12 }),
        fc.boolean(),
        (requests, places, waits) => {
          const bytes = Buffer.concat(requests)
          const whole = read([bytes])
          expect(whole).toHaveLength(requests.length)
          expect(read(cut(bytes, places), waits)).toEqual(whole)
        },
      ),
      { numRuns: 300 },
    )
  })

  test('reads the same byte by byte', () => {
    fc.assert(
      fc.property(REQUESTS, (requests) => {
        const bytes = Buffer.concat(requests)
        expect(read([...bytes].map((byte) => Buffer.from([byte])))).toEqual(read([bytes]))
      }),
      { numRuns: 50 },
    )
  })

  test('never throws, and judges any bytes the same however they are cut', () => {
    const alphabet = fc.constantFrom('GET ', '/ ', 'HTTP/1.1', '\r\n', '\n', ':', 'a', '0', 'ff', ' ', 'Content-Length: 3', 'Transfer-Encoding: chunked', '\0', 'ü') // prettier-ignore
    fc.assert(
      fc.property(
        fc.array(alphabet, { maxLength: 40 }),
        fc.array(fc.nat(), { maxLength: 8 }),
        (parts, places) => {
          const bytes = Buffer.from(parts.join(''))
          expect(read(cut(bytes, places))).toEqual(read([bytes]))
        },
      ),
      { numRuns: 500 },
    )
  })

  test('gives body, fields and trailers', () => {
    const [one] = read([
      text('POST /x?y=1 HTTP/1.1', 'A: 1', 'a: 2', 'Transfer-Encoding: Chunked', 'Connection: close', '', '3', 'abc', '0', 'T: v', '', ''), // prettier-ignore
    ])
    expect(one).toEqual({
      line: 'POST /x?y=1',
      fields: { a: '1, 2', 'transfer-encoding': 'Chunked', connection: 'close' },
      keepAlive: false,
      body: 'abc',
      trailers: { t: 'v' },
    })
  })

  const REFUSED: Readonly<Record<string, readonly [request: readonly string[], status: number]>> = {
    'a line that is no request': [['hello', '', ''], 400],
    'HTTP/2': [['GET / HTTP/2.0', '', ''], 400],
    'a field without a colon': [['GET / HTTP/1.1', 'a', '', ''], 400],
    'a space before the colon': [['GET / HTTP/1.1', 'Content-Length : 3', '', ''], 400],
    'a folded line': [['GET / HTTP/1.1', 'a: 1', ' b', '', ''], 400],
    'two lengths': [['POST / HTTP/1.1', 'Content-Length: 3', 'Content-Length: 4', '', ''], 400],
    'a length that is no number': [['POST / HTTP/1.1', 'Content-Length: +3', '', ''], 400],
    'a length and chunks': [
      ['POST / HTTP/1.1', 'Content-Length: 3', 'Transfer-Encoding: chunked', '', ''],
      400,
    ],
    'another coding': [['POST / HTTP/1.1', 'Transfer-Encoding: gzip, chunked', '', ''], 501],
    'a head without end': [['GET / HTTP/1.1', `a: ${'x'.repeat(2_100_000)}`, '', ''], 431],
    'a size that is no number': [['POST / HTTP/1.1', 'Transfer-Encoding: chunked', '', 'x', ''], 400],
    'a chunk longer than it says': [
      ['POST / HTTP/1.1', 'Transfer-Encoding: chunked', '', '1', 'ab', ''],
      400,
    ],
  }
  for (const [what, [request, status]] of Object.entries(REFUSED)) {
    test(`${what} is ${status}, and nothing after it is read`, () => {
      const bytes = Buffer.concat([text(...request), text('GET /after HTTP/1.1', '', '')])
      const found = read([bytes])
      expect(found.at(-1)).toBe(status)
      expect(JSON.stringify(found)).not.toContain('/after')
    })
  }
})
