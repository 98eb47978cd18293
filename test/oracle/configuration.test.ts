import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { unexpectedAnswers, type Differences } from './compare.ts'
import { describeWithOracle, type Pair, type PeerOptions, startPair } from './peers.ts'
import { ask } from './raw-http.ts'

const THROWN: Differences = {
  reason: 'wrangler sends none',
  body: 'clients get what Cloudflare sends them, `error code: 1101`; the stack is in the terminal',
  'fields.content-type': 'as Cloudflare writes it',
  'fields.cache-control': 'as Cloudflare sends it',
}

const STAGING: PeerOptions = { wrangler: ['--env', 'staging'], environment: { CLOUDFLARE_ENV: 'staging' } }

const PROJECTS: readonly {
  readonly name: string
  readonly fixture: string
  readonly options?: PeerOptions
  readonly paths: readonly string[]
}[] = [
  { name: 'modules of Node.js, in an environment', fixture: 'oracle-node', options: STAGING, paths: ['/'] },
  {
    name: 'a script of the older format, in an environment with .env files',
    fixture: 'oracle-script',
    options: STAGING,
    paths: ['/', '/wait', '/waited', '/throw', '/cdn-cgi/handler/scheduled?cron=1+*+*+*+*', '/cron'],
  },
  { name: 'modules that are not bundled', fixture: 'oracle-bundleless', paths: ['/', '/throw'] },
  { name: 'a build command, and routes', fixture: 'oracle-built', paths: ['/'] },
]

/** The same, where wrangler has nothing of its own around the program. */
const { reason: _, ...BARE } = THROWN

const KNOWN: Readonly<Record<string, Differences>> = {
  'modules that are not bundled /throw': BARE,
  'a build command, and routes /': {
    'body.url': 'the host is the client’s; wrangler puts that of the first route in its place',
    'body.host': 'the host is the client’s; wrangler puts that of the first route in its place',
  },
  '/throw': THROWN,
}

describeWithOracle('what is configured is as in wrangler dev', () => {
  describe.each(PROJECTS)('$name', ({ name, fixture, options, paths }) => {
    let pair: Pair
    beforeAll(async () => {
      pair = await startPair(fixture, options)
    }, 40_000)
    afterAll(async () => pair?.[Symbol.asyncDispose]())

    test.each(paths)('GET %s', async (path) => {
      expect(await unexpectedAnswers(pair, { path }, KNOWN[`${name} ${path}`] ?? KNOWN[path])).toEqual([])
      // Two that fail alike would agree.
      if (path === '/') expect((await ask(pair.wrangler.origin, { path })).status).toBe(200)
    })
  })
})
