import { once } from 'node:events'
import { get } from 'node:http'
import { createServer, type AddressInfo } from 'node:net'

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { AnswerDecoder, type AnswerSink, type Content } from '../../src/forward/http1-answer.ts'
import { HEAD_BYTES_MAX, InvalidAnswerError, readResponseHead } from '../../src/forward/http1-head.ts'

/** What a sink heard: all heads, the content put together, and whether the end came. */
interface Heard {
  readonly informed: number[]
  status: number | undefined
  fields: readonly string[]
  content: string
  trailers: readonly string[]
  ended: boolean
  read: number
}

interface Reading {
  readonly method?: string
  /** Sizes of the pieces in which the bytes come; the rest comes as one. */
  readonly pieces?: readonly number[]
  readonly closes?: boolean
}

/** Reads from one buffer that is written over again and again, as a connection's is. */
function read(text: string, { method = 'GET', pieces = [], closes = false }: Reading = {}): Heard {
  const heard: Heard = {
    informed: [],
    status: undefined,
    fields: [],
    content: '',
    trailers: [],
    ended: false,
    read: 0,
  }
  const parts: Content[] = []
  const sink: AnswerSink = {
    onInform: ({ status }) => heard.informed.push(status),
    onHead({ status, fields }, content, whole) {
      heard.status = status
      heard.fields = fields
      parts.push(content)
      heard.ended = whole
    },
    onContent: (bytes) => parts.push(bytes),
    onEnd(trailers) {
      heard.trailers = trailers
      heard.ended = true
    },
  }
  const decoder = new AnswerDecoder(sink)
  decoder.begin(method)
  const bytes = Buffer.from(text, 'latin1')
  let buffer = Buffer.alloc(bytes.length + 8, 'X\r\n\r\n')
  for (let at = 0, n = 0; at < bytes.length && !decoder.done; n++) {
    const size = Math.min(pieces[n] ?? Infinity, bytes.length - at)
    bytes.copy(buffer, 0, at, at + size)
    heard.read += decoder.read(buffer, 0, size)
    if (decoder.isTaken) {
      decoder.isTaken = false
      buffer = Buffer.alloc(bytes.length + 8)
    }
    at += size
  }
  if (closes) decoder.end()
  heard.content = parts.map((part) => (part === undefined ? '' : part.toString('latin1'))).join('')
  return heard
}

const token = fc.stringMatching(/^[\w!#$%&'*+.^`|~-]{1,12}$/)
const value = fc.stringMatching(/^(?:[!-~\x80-\xff](?:[\t -~\x80-\xff]{0,20}[!-~\x80-\xff])?)?$/)
const framingNames = /^(content-length|transfer-encoding|connection|upgrade|keep-alive|trailer)$/i
const field = fc
  .tuple(
    token.filter((name) => !framingNames.test(name)),
    value,
  )
  .map(([name, text]) => ({ name, text }))
const latin1 = fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes).toString('latin1'))
const pieces = fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 60 })

const lines = (fields: readonly { name: string; text: string }[], blank = ' '): string =>
  fields.map(({ name, text }) => `${name}:${blank}${text}\r\n`).join('')

const chunked = (parts: readonly string[], extension = ''): string =>
  parts
    .filter((part) => part !== '')
    .map((part) => `${part.length.toString(16)}${extension}\r\n${part}\r\n`)
    .join('')

describe('an answer, in whatever pieces it comes', () => {
  test('by its length: head, content and not a byte more', () => {
    fc.assert(
      fc.property(
        fc.array(field, { maxLength: 8 }),
        latin1,
        latin1,
        pieces,
        (fields, content, more, sizes) => {
          const head = `HTTP/1.1 200 OK\r\n${lines(fields)}Content-Length: ${content.length}\r\n\r\n`
          const heard = read(head + content + more, { pieces: sizes })
          expect(heard).toMatchObject({ status: 200, content, ended: true, trailers: [] })
          expect(heard.fields.slice(0, -2)).toEqual(fields.flatMap(({ name, text }) => [name, text]))
          // Where it stopped is the end of the answer, or of the piece in which that lies.
          expect(heard.read).toBe(head.length + content.length)
        },
      ),
    )
  })

  test('in chunks: content and trailers, whatever the extensions', () => {
    fc.assert(
      fc.property(
        fc.array(latin1, { maxLength: 8 }),
        fc.constantFrom('', ';a', ' ; a=b', ';q="x"'),
        fc.array(field, { maxLength: 3 }),
        pieces,
        (parts, extension, trailers, sizes) => {
          const text = `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunked(parts, extension)}0${extension}\r\n${lines(trailers)}\r\n`
          const heard = read(`${text}HTTP/1.1 999`, { pieces: sizes })
          expect(heard).toMatchObject({ content: parts.join(''), ended: true, read: text.length })
          expect(heard.trailers).toEqual(trailers.flatMap((one) => [one.name, one.text]))
        },
      ),
    )
  })

  test('until the connection ends', () => {
    fc.assert(
      fc.property(latin1, pieces, (content, sizes) => {
        const text = `HTTP/1.0 200 OK\r\n\r\n${content}`
        expect(read(text, { pieces: sizes })).toMatchObject({ content, ended: false })
        expect(read(text, { pieces: sizes, closes: true })).toMatchObject({ content, ended: true })
      }),
    )
  })

  test('behind any number of heads below 200', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(100, 102, 103), { maxLength: 4 }), pieces, (early, sizes) => {
        const text = `${early.map((status) => `HTTP/1.1 ${status} X\r\nLink: a\r\n\r\n`).join('')}HTTP/1.1 204 No Content\r\n\r\n`
        expect(read(text, { pieces: sizes })).toMatchObject({ informed: early, status: 204, ended: true })
      }),
    )
  })

  test.each([
    ['HEAD', 200],
    ['GET', 204],
    ['GET', 304],
  ])('%s answered with %i has no content, whatever its fields say', (method, status) => {
    const text = `HTTP/1.1 ${status} X\r\nContent-Length: 5\r\n\r\n`
    expect(read(`${text}hello`, { method })).toMatchObject({ content: '', ended: true, read: text.length })
  })

  test('large content is handed on as it lies in the buffer, and stays what it was', () => {
    const content = Array.from({ length: 90_000 }, (_, i) => String.fromCharCode(i % 251)).join('')
    const text = `HTTP/1.1 200 OK\r\nContent-Length: ${content.length}\r\n\r\n${content}`
    expect(read(text, { pieces: [20_000, 30_000, 100, 30_000] }).content === content).toBe(true)
  })
})

describe('as node:http reads it', () => {
  test('status, reason and fields, in order, case and number', async () => {
    let answer = ''
    const server = createServer((socket) =>
      socket.once('data', () => socket.end(answer, 'latin1')).on('error', () => undefined),
    )
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const status = fc.integer({ min: 200, max: 999 })
    const reason = fc.stringMatching(/^[ -~]{0,20}$/)
    const blank = fc.constantFrom('', ' ', ' \t ')
    const fields = fc.array(field, { maxLength: 6 })
    await fc.assert(
      fc.asyncProperty(status, reason, fields, blank, async (code, phrase, list, before) => {
        const head = `HTTP/1.1 ${code} ${phrase}\r\n${lines(list, before)}`
        answer = `${head}Connection: close\r\n\r\n`
        const [theirs] = await once(get({ port, agent: false }), 'response')
        theirs.resume()
        const ours = readResponseHead(head)
        expect(ours.status).toBe(theirs.statusCode)
        expect(ours.reason).toBe(theirs.statusMessage)
        expect(ours.fields).toEqual(theirs.rawHeaders.slice(0, -2))
      }),
      { numRuns: 60 },
    )
    server.close()
  })
})

describe('what no client should believe is refused', () => {
  const head = 'HTTP/1.1 200 OK\r\n'
  test.each([
    ['another protocol', 'SSH-2.0-x\r\n\r\n'],
    ['HTTP/2.0', 'HTTP/2.0 200 OK\r\n\r\n'],
    ['a status of two digits', 'HTTP/1.1 20 OK\r\n\r\n'],
    ['a status below 100', 'HTTP/1.1 099 OK\r\n\r\n'],
    ['a bare line feed', 'HTTP/1.1 200 OK\nA: b\r\n\r\n'],
    ['a folded line', `${head}A: b\r\n c\r\n\r\n`],
    ['a blank before the colon', `${head}A : b\r\n\r\n`],
    ['a line without colon', `${head}A\r\n\r\n`],
    ['a NUL in a value', `${head}A: b\0\r\n\r\n`],
    ['a carriage return in a value', `${head}A: b\rc\r\n\r\n`],
    ['two lengths', `${head}Content-Length: 1\r\nContent-Length: 1\r\n\r\na`],
    ['a length that is none', `${head}Content-Length: +1\r\n\r\na`],
    ['a list of lengths', `${head}Content-Length: 1, 1\r\n\r\na`],
    ['a length beyond what a number holds', `${head}Content-Length: 12345678901234567\r\n\r\na`],
    ['a length beside chunks', `${head}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
    ['another coding', `${head}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`],
    ['two codings', `${head}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
    ['a change of protocol nobody asked for', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n'],
    ['a head without end', `${head}A: ${'b'.repeat(HEAD_BYTES_MAX)}`],
    ['a chunk without size', `${head}Transfer-Encoding: chunked\r\n\r\n\r\n`],
    ['a size that is none', `${head}Transfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n`],
    ['a size beyond what a number holds', `${head}Transfer-Encoding: chunked\r\n\r\n${'f'.repeat(14)}\r\n`],
    ['a size ended by a bare line feed', `${head}Transfer-Encoding: chunked\r\n\r\n1\na\r\n`],
    ['a chunk longer than its size', `${head}Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n`],
    ['a trailer without colon', `${head}Transfer-Encoding: chunked\r\n\r\n0\r\nA\r\n\r\n`],
    ['a size line without end', `${head}Transfer-Encoding: chunked\r\n\r\n1;${'a'.repeat(5_000)}`],
  ])('%s', (_name, text) => {
    fc.assert(
      fc.property(pieces, (sizes) => {
        expect(() => read(text, { pieces: sizes })).toThrow(InvalidAnswerError)
      }),
      { numRuns: 20 },
    )
  })

  test('garbage is an error or an answer, never anything else', () => {
    fc.assert(
      fc.property(latin1, pieces, (garbage, sizes) => {
        try {
          read(`HTTP/1.1 200 OK\r\n${garbage}`, { pieces: sizes })
        } catch (error) {
          expect(error).toBeInstanceOf(InvalidAnswerError)
        }
      }),
    )
  })
})

test('whether a connection may be used again is told by its version and its Connection field', () => {
  const ask = (text: string): boolean => readResponseHead(`${text}Content-Length: 0\r\n`).reusable
  expect(ask('HTTP/1.1 200 OK\r\n')).toBe(true)
  expect(ask('HTTP/1.1 200 OK\r\nConnection: Close\r\n')).toBe(false)
  expect(ask('HTTP/1.1 200 OK\r\nConnection: x, close\r\n')).toBe(false)
  expect(ask('HTTP/1.0 200 OK\r\n')).toBe(false)
  expect(ask('HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n')).toBe(true)
})
