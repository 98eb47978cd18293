import { afterAll, beforeAll, expect, test } from 'vitest'

import { unexpected, unexpectedAnswers, type Differences } from './compare.ts'
import { describeWithOracle, type Pair, startPair } from './peers.ts'
import { ask } from './raw-http.ts'
import { converse } from './web-socket.ts'

let pair: Pair

const EDGE = 'Cloudflare’s edge sets it; wrangler leaves it out'

const KNOWN: Readonly<Record<string, Differences>> = {
  pass: {
    'body.headers.accept-encoding': 'the worker sees the client’s own',
    'body.headers.cf-ipcountry': EDGE,
    'body.headers.cf-ray': EDGE,
    'body.headers.cf-visitor': EDGE,
    'body.headers.x-forwarded-proto': EDGE,
    'body.headers.x-real-ip': EDGE,
  },
  caught: {
    body: 'a throw of a bound worker rejects in the caller, as on Cloudflare; wrangler’s middleware makes a response of it',
  },
  'back-throws': {
    reason: 'wrangler sends none',
    body: 'clients get what Cloudflare sends them, `error code: 1101`; the stack is in the terminal',
    'fields.content-type': 'as Cloudflare writes it',
    'fields.cache-control': 'as Cloudflare sends it',
  },
  tail: {
    '0.logs.0.message': 'wrangler puts the worker’s name before a line',
    '1.outcome': 'wrangler’s middleware catches what is thrown, so that a tail hears of no exception',
    '1.exceptions': 'wrangler’s middleware catches what is thrown, so that a tail hears of no exception',
  },
}

describeWithOracle('several workers are as in wrangler dev', () => {
  beforeAll(async () => {
    pair = await startPair('oracle-several', {
      wrangler: ['front', 'back', 'logs'].flatMap((name) => ['-c', `${name}/wrangler.jsonc`]),
    })
  }, 40_000)
  afterAll(async () => pair?.[Symbol.asyncDispose]())

  test.each([
    'fetch',
    'pass',
    'rpc',
    'session',
    'self',
    'object',
    'store',
    'exports',
    'caught',
    'back-throws',
  ])('%s', async (name) => {
    expect(
      await unexpectedAnswers(pair, { path: `/${name}`, fields: [['X-Client', 'kept']] }, KNOWN[name]),
    ).toEqual([])
  })

  test('a WebSocket through a service binding', async () => {
    expect(
      await unexpected(pair, ({ origin }) =>
        converse(`${origin}/ws`, { send: ['hi'], answers: 1, close: [1000, 'bye'] }),
      ),
    ).toEqual([])
  })

  test('a queue that another worker consumes', async () => {
    expect(await unexpectedAnswers(pair, { path: '/queue' })).toEqual([])
    for (const { origin } of [pair.wrangler, pair.flexi])
      await expect
        .poll(async () => (await ask(origin, { path: '/pass' })).body.toString())
        .toContain('"taken":[{"from":"front"}]')
  })

  test('a workflow of another worker', async () => {
    expect(await unexpectedAnswers(pair, { path: '/flow' })).toEqual([])
    for (const { origin } of [pair.wrangler, pair.flexi])
      await expect
        .poll(async () => (await ask(origin, { path: '/flowStatus' })).body.toString())
        .toContain('"complete"')
    expect(await unexpectedAnswers(pair, { path: '/flowStatus' })).toEqual([])
  })

  test('a tail worker hears of logs and of throws', async () => {
    for (const path of ['/logs', '/throws'])
      await Promise.all([pair.wrangler, pair.flexi].map(({ origin }) => ask(origin, { path })))
    for (const peer of [pair.wrangler, pair.flexi])
      await expect.poll(() => tails(peer.output())).toHaveLength(2)
    expect(await unexpected(pair, async (peer) => tails(peer.output()), KNOWN['tail'])).toEqual([])
  })
})

/** What the tail worker printed of the two paths that are for it. */
function tails(output: string): unknown[] {
  return [...output.matchAll(/TAIL (\{.*\})/g)]
    .map(([, text = '']) => JSON.parse(text) as { path: string | null })
    .filter(({ path }) => path === '/logs' || path === '/throws')
}
