import { afterAll, beforeEach, expect, test } from 'vitest'

import type { Fetcher } from '../../../src/core/fetcher.ts'
import {
  EDGE_NAMES,
  edgeFields,
  edgeLines,
  TRUSTED_FIELDS,
} from '../../../src/emulators/workers/edge-fields.ts'
import { NoAnswerError, ThrownError } from '../../../src/emulators/workers/fault-catcher.ts'
import { openRelay } from '../../../src/emulators/workers/relay.ts'
import { openTest, rawUpstream } from '../../gateway/harness.ts'

/** Stands for workerd: answers every request with these bytes. */
let answer = ''
const runtime = await rawUpstream((socket) => socket.write(answer, 'latin1'))
const relay = await openRelay({ socket: { origin: new URL(runtime.origin) }, faultField: 'flexi-fault-x' })
let failed: unknown
const fetcher: Fetcher = {
  handle: (incoming, outgoing, context) =>
    relay.handle(incoming, outgoing, context).catch((error: unknown) => {
      failed = error
      outgoing.writeHead(599).end()
    }),
}
const front = await openTest(fetcher)

beforeEach(() => {
  failed = undefined
})

afterAll(async () => {
  await relay.close()
  await front[Symbol.asyncDispose]()
  await runtime[Symbol.asyncDispose]()
})

const record = JSON.stringify({ name: 'Error', message: 'nö', stack: 'Error: nö' })
const utf8 = Buffer.from(record).toString('latin1')
const marked = (value: string, content: string): string =>
  `HTTP/1.1 500 Internal Server Error\r\nflexi-fault-x: ${value}\r\nContent-Length: ${utf8.length}\r\n\r\n${content}`

test('a throw that the facade tells is an error, with its letters', async () => {
  answer = marked('1', utf8)
  expect(await front.raw('GET / HTTP/1.1\r\nHost: a\r\n\r\n')).toContain('599')
  expect(failed).toBeInstanceOf(ThrownError)
  expect(failed).toMatchObject({ record: { message: 'nö' } })
})

test('under HEAD the mark tells it, because there is no content', async () => {
  answer = marked(encodeURIComponent(record), '')
  expect(await front.raw('HEAD / HTTP/1.1\r\nHost: a\r\n\r\n')).toContain('599')
  expect(failed).toMatchObject({ record: { message: 'nö' } })
  answer = marked('1', '')
  await front.raw('HEAD / HTTP/1.1\r\nHost: a\r\n\r\n')
  expect(failed).toBeInstanceOf(ThrownError)
})

test('workerd’s own 500 is no answer of a program; a program’s own is', async () => {
  const text = 'Internal Server Error'
  answer = `HTTP/1.1 500 ${text}\r\nConnection: close\r\nContent-Length: 21\r\n\r\n${text}`
  expect(await front.raw('GET / HTTP/1.1\r\nHost: a\r\n\r\n')).toContain('599')
  expect(failed).toBeInstanceOf(NoAnswerError)
  answer = `HTTP/1.1 500 ${text}\r\nContent-Length: 21\r\nContent-Type: text/plain;charset=UTF-8\r\n\r\n${text}`
  expect(await front.raw('GET / HTTP/1.1\r\nHost: a\r\n\r\n')).toMatch(
    /^HTTP\/1\.1 500 [^]*Internal Server Error$/,
  )
})

test('a record that cannot be read is the runtime’s fault', async () => {
  answer = marked('1', `{${'x'.repeat(utf8.length - 1)}`)
  await front.raw('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  expect(failed).toMatchObject({ code: 'FLEXI_UPSTREAM_RESPONSE' })
})

test('nothing that is trusted comes from a client, and what the edge adds is there once', async () => {
  answer = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Mf-Additional-Response-Log: secret\r\n\r\n'
  const forged = [...TRUSTED_FIELDS, 'X-Real-IP', 'X-Forwarded-Proto'].map(
    (name, i) => `${i % 2 === 0 ? name.toUpperCase() : name}: forged\r\n`,
  )
  const text = await front.raw(
    `GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: "\xe9"\r\n${forged.join('')}\r\n`,
  )
  expect(text).toMatch(/^HTTP\/1\.1 200 /)
  expect(text).not.toMatch(/x-mf-/i)
  const all = runtime.received.join('')
  const received = all.slice(all.lastIndexOf('GET /'))
  expect(received).not.toContain('forged')
  expect(received).toMatch(/\r\nCF-Connecting-IP: 127\.0\.0\.1\r\n/)
  expect(received).toMatch(/\r\nCF-Ray: [\da-f]{16}-AMS\r\n/)
  const blob = /\r\nMF-CF-Blob: (.*)\r\n/.exec(received)?.[1] ?? ''
  expect(JSON.parse(blob)).toMatchObject({ colo: 'AMS', clientAcceptEncoding: '"é"' })
  for (const name of ['mf-cf-blob', 'cf-connecting-ip', 'x-real-ip', 'x-forwarded-proto'])
    expect(received.toLowerCase().split(`\r\n${name}:`)).toHaveLength(2)
})

test('lines and fields of the edge are the same, and each of their names is taken from clients', () => {
  for (const acceptEncoding of [undefined, 'gzip', 'br']) {
    for (const protocol of ['http', 'https'] as const) {
      const client = { clientAddress: '::1', protocol }
      const fields = edgeFields(client, acceptEncoding)
      const lines = edgeLines(client, acceptEncoding).split('\r\n').slice(0, -1)
      const expected = fields.flatMap((name, i) => (i % 2 === 0 ? [`${name}: ${fields[i + 1]}`] : []))
      expect(lines.slice(0, -1)).toEqual(expected.slice(0, -1))
      expect(lines.at(-1)).toMatch(/^CF-Ray: /)
      expect(fields.filter((name, i) => i % 2 === 0 && !EDGE_NAMES.has(name))).toEqual([])
    }
  }
})
