import { afterAll, describe, expect, test } from 'vitest'

import { FlexiError } from '../../src/core/errors.ts'
import type { Fetcher } from '../../src/core/fetcher.ts'
import type { GatewayOptions } from '../../src/gateway/gateway.ts'
import { openProtection } from '../../src/gateway/protection/protection.ts'
import type { RouteTable } from '../../src/gateway/route-table.ts'
import { openUpstream } from '../../src/upstreams/upstream.ts'
import { openTest } from './harness.ts'

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
const NOTHING: RouteTable = { routes: [], functions: new Map() }

const failing: Fetcher = {
  handle: () => Promise.reject(new FlexiError('FLEXI_QUEUE_FULL', 'no room', { retryAfterSeconds: 1 })),
}
const explaining: Fetcher = {
  handle(_incoming, outgoing, context) {
    context.explain({ function: 'f', kind: 'throw', name: 'Error', message: 'no' }, outgoing)
    return Promise.resolve()
  },
}

afterAll(() => unreachable[Symbol.asyncDispose]())

interface Asked {
  readonly answer: Fetcher | RouteTable
  readonly head: string
  readonly options?: Partial<GatewayOptions>
}

async function ask({ answer, head, options }: Asked): Promise<{ text: string; sent: readonly string[] }> {
  await using test_ = await openTest(answer, options)
  const text = await test_.raw(head)
  return { text, sent: [...text.matchAll(/^x-request-id: (.*)\r$/gim)].map((match) => match[1] ?? '') }
}

const get = (fields = ''): string => `GET /x HTTP/1.1\r\nHost: h\r\n${fields}\r\n`
const BROWSER = 'Accept: text/html\r\nSec-Fetch-Dest: document\r\n'
const WEBSOCKET =
  'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'
const unreachable = await openUpstream([{ url: 'http://127.0.0.1:1' }])
const forbidden = (await openProtection({ deny: ['127.0.0.1'] })).protect(unreachable)

describe('an answer that flexi makes itself names the request in X-Request-Id', () => {
  const cases: readonly [string, number, Asked][] = [
    ['no route, in dev', 404, { answer: NOTHING, head: get() }],
    ['no route, in serve', 404, { answer: NOTHING, head: get(), options: { mode: 'serve' } }],
    ['no route, as a page', 404, { answer: NOTHING, head: get(BROWSER) }],
    ['a fetcher that gave up', 503, { answer: failing, head: get() }],
    ['a fetcher that gave up, as a page', 503, { answer: failing, head: get(BROWSER) }],
    ['a function that threw, as a page', 502, { answer: explaining, head: get(BROWSER) }],
    ['a head that is refused', 400, { answer: failing, head: get('Host: twice\r\n') }],
    ['a WebSocket that is refused', 403, { answer: forbidden, head: get(WEBSOCKET) }],
    ['a WebSocket without upstream', 502, { answer: unreachable, head: get(WEBSOCKET) }],
  ]

  test.each(cases)('%s', async (_name, status, asked) => {
    const { text, sent } = await ask(asked)
    expect(text).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
    expect(sent).toEqual([expect.stringMatching(UUID)])
    // The id that a person finds in the answer, and in the log.
    expect(text.split('\r\n\r\n')[1]).toContain(sent[0])
  })

  test.each(cases)('%s: the client’s own id, where it sent one', async (_name, _status, asked) => {
    const head = asked.head.replace('\r\n\r\n', '\r\nX-Request-Id: trace/1\r\n\r\n')
    expect((await ask({ ...asked, head })).sent).toEqual(['trace/1'])
  })

  test.each(cases)(
    '%s: ours, where it sent one that is not fit to be logged',
    async (_name, _status, asked) => {
      const head = asked.head.replace('\r\n\r\n', '\r\nX-Request-Id: a b\r\n\r\n')
      expect((await ask({ ...asked, head })).sent).toEqual([expect.stringMatching(UUID)])
    },
  )

  test('bytes that are no request', async () => {
    const { text, sent } = await ask({ answer: failing, head: 'nonsense\r\n\r\n' })
    expect(text).toMatch(/^HTTP\/1\.1 400 /)
    expect(sent).toEqual([expect.stringMatching(UUID)])
    expect(text).toContain(`"requestId":"${sent[0]}"`)
  })
})

test.each([
  ['a failure', failing, get('X-Request-Id: trace/1\r\n')],
  ['a refused head', failing, get('Host: twice\r\n')],
  ['bytes that are no request', failing, 'nonsense\r\n\r\n'],
])('%s has none with plain errors, because FlexiLib sends none', async (_name, answer, head) => {
  const { text, sent } = await ask({ answer, head, options: { mode: 'serve', plainErrors: true } })
  expect(text).toMatch(/^HTTP\/1\.1 [45]/)
  expect(sent).toEqual([])
})
