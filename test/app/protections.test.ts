import { expect, test } from 'vitest'

import { openProtections } from '../../src/app/protections.ts'
import { needsRestart, restartReminder } from '../../src/app/server-changes.ts'
import type { Fetcher } from '../../src/core/fetcher.ts'
import type { RouteProtection, RouteRule } from '../../src/core/route.ts'
import type { RouteTable } from '../../src/gateway/route-table.ts'
import { openTest, text } from '../gateway/harness.ts'

const once: RouteProtection = { rate: { requests: 1, perMs: 60_000, key: { kind: 'address' } } }

function rule(pattern: string, protection?: RouteProtection): RouteRule {
  return {
    matcher: { kind: 'path', path: pattern },
    target: { kind: 'upstream', origins: [] },
    pattern,
    origin: { file: 'flexi.jsonc', line: 1, column: 1 },
    protection,
  }
}

test('limits survive reading the configuration again, unless the route says them differently', async () => {
  const protections = openProtections()
  const read = async (...rules: readonly RouteRule[]): Promise<RouteTable> => {
    const routes = await Promise.all(
      rules.map(async (one) => ({ rule: one, fetcher: await protections.protect(one, text(one.pattern)) })),
    )
    protections.keep(rules)
    return { routes, functions: new Map() }
  }
  await using gateway = await openTest(await read(rule('/a', once), rule('/b', once)))
  const status = async (path: string) => (await fetch(gateway.url + path)).status
  expect([await status('/a'), await status('/a'), await status('/b')]).toEqual([200, 429, 200])
  gateway.gateway.swap(await read(rule('/new'), rule('/a', { ...once })))
  expect(await status('/a')).toBe(429)
  gateway.gateway.swap(await read(rule('/a', { ...once, bodyBytesMax: 1 })))
  expect(await status('/a')).toBe(200)
  // What was away in between begins anew.
  gateway.gateway.swap(await read(rule('/b', once)))
  expect(await status('/b')).toBe(200)
})

test('a route without protection costs nothing: it leads straight to what answers', async () => {
  const fetcher: Fetcher = text('x')
  expect(await openProtections().protect(rule('/'), fetcher)).toBe(fetcher)
})

test('what the server cannot take over while it runs is said once, and certificates are no such thing', () => {
  const [one, two] = ['/a', '/b'].map((cert) => ({ certificates: [{ cert, key: cert }] })) as unknown as [
    { certificates: [] },
    { certificates: [] },
  ]
  expect(needsRestart({ port: 1, https: one }, { port: 1, https: two })).toBeUndefined()
  expect(needsRestart({}, { https: one, trustedProxies: ['::1'] })).toBe(
    'server.https, server.trusted_proxies take effect when flexi is started again',
  )
  const said: string[] = []
  const remind = restartReminder({ port: 1 }, (message) => said.push(message))
  for (const port of [1, 2, 2, 1, 2]) remind({ port })
  expect(said).toEqual(Array(2).fill('server.port takes effect when flexi is started again'))
})
