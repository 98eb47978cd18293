import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { unexpectedAnswers, type Differences } from './compare.ts'
import { describeWithOracle, type Pair, startPair } from './peers.ts'
import type { RawRequest } from './raw-http.ts'

const SITE: readonly (string | RawRequest)[] = [
  '/',
  '/index.html',
  '/index',
  '/about',
  '/about/',
  '/about.html',
  '/about?q=1',
  '/folder',
  '/folder/',
  '/folder/index.html',
  '/folder/text.txt',
  '/style.css',
  '/script.js',
  '/data.json',
  '/raw.bin',
  '/pic.svg',
  '/big.txt',
  '/with%20space.txt',
  '/with space.txt'.replace(' ', '+'),
  '/%C3%BC.txt',
  '/%61bout',
  '/.hidden',
  '/.well-known/x',
  '/.assetsignore',
  '/_headers',
  '/_redirects',
  '/ignored.txt',
  '/nowhere',
  '/nowhere.css',
  '/first/page.txt',
  '/first/not/page.txt',
  '/first/none',
  '//about',
  '/folder//text.txt',
  '/folder/../about',
  '/folder%2Ftext.txt',
  '/..%2f..%2fwrangler.jsonc',
  '/old',
  '/old?x=1',
  '/temp',
  '/permanent',
  '/splat/text.txt?a=b',
  '/blog/2026/hello',
  '/rewritten',
  '/chain',
  '/nocode',
  '/query?own=2',
  '/any/sub',
  '/via/about',
  '/via/folder/text.txt',
  '/via/nowhere',
  '/via/about.html',
  { method: 'HEAD', path: '/big.txt' },
  { method: 'HEAD', path: '/nowhere' },
  { method: 'POST', path: '/about', body: 'x' },
  { method: 'POST', path: '/other', body: 'x' },
  { method: 'OPTIONS', path: '/about' },
  { method: 'DELETE', path: '/style.css' },
  { path: '/style.css', fields: [['If-None-Match', '"nothing"']] },
  { path: '/style.css', fields: [['If-None-Match', '*']] },
  { path: '/big.txt', fields: [['Range', 'bytes=0-9']] },
  { path: '/big.txt', fields: [['Range', 'bytes=299999-']] },
  { path: '/big.txt', fields: [['Range', 'bytes=-5']] },
  { path: '/big.txt', fields: [['Range', 'bytes=400000-']] },
  {
    path: '/about',
    fields: [
      ['Accept', 'text/html'],
      ['Sec-Fetch-Mode', 'navigate'],
    ],
  },
  { path: '/nowhere', fields: [['Sec-Fetch-Mode', 'navigate']] },
]

const PAGES = [
  '/',
  '/index.html',
  '/page',
  '/page/',
  '/page.html',
  '/dir',
  '/dir/',
  '/dir/index.html',
  '/dir/nothing',
  '/nothing',
  '/a',
  '/a/',
  '/a/index.html',
  '/b',
  '/b.html',
  '/app.js',
  '/deep/link',
]

const FIXTURES: Readonly<Record<string, readonly (string | RawRequest)[]>> = {
  site: SITE,
  spa: [
    ...PAGES,
    { path: '/deep', fields: [['Sec-Fetch-Mode', 'navigate']] },
    { method: 'POST', path: '/deep', body: '' },
  ],
  strict: PAGES,
  drop: PAGES,
  none: PAGES,
}

const LEADS_UP = 'a path that other servers read as another one is refused'

const KNOWN: Readonly<Record<string, Differences>> = {
  'site GET /..%2f..%2fwrangler.jsonc': {
    status: LEADS_UP,
    reason: LEADS_UP,
    'fields.content-type': LEADS_UP,
    'fields.x-request-id': LEADS_UP,
    'fields.cache-control': LEADS_UP,
    body: LEADS_UP,
  },
}

describeWithOracle('assets are as in wrangler dev', () => {
  describe.each(Object.keys(FIXTURES))('%s', (fixture) => {
    let pair: Pair
    beforeAll(async () => {
      pair = await startPair(`oracle-assets/${fixture}`)
    }, 40_000)
    afterAll(async () => pair?.[Symbol.asyncDispose]())

    const requests = (FIXTURES[fixture] ?? []).map(named)
    test.each(requests)('$name', async ({ name, request }) => {
      expect(await unexpectedAnswers(pair, request, KNOWN[`${fixture} ${name}`])).toEqual([])
    })
  })
})

function named(given: string | RawRequest): { readonly name: string; readonly request: RawRequest } {
  const request = typeof given === 'string' ? { path: given } : given
  const fields = (request.fields ?? []).map(([name, value]) => ` ${name}: ${value}`).join()
  return { name: `${request.method ?? 'GET'} ${request.path}${fields}`, request }
}
