import { describe, expect, test } from 'vitest'

import type { DeploymentPart, Digest } from '../../src/daemon/model.ts'
import { httpUpstream } from '../gateway/harness.ts'
import {
  ADA,
  ask,
  BOB,
  deploy,
  openFront,
  openTestControl,
  partOf,
  ROOT,
  type TestControl,
} from './control-harness.ts'

type Rule = Readonly<Record<string, unknown>>

function rule(path: string, target: Rule, more: Rule = {}): Rule {
  return {
    matcher: { kind: 'path', path },
    target,
    pattern: path,
    origin: { file: 'flexi.jsonc', line: 1, column: 1 },
    ...more,
  }
}

function toFunction(path: string, name: string): Rule {
  return rule(path, { kind: 'function', name })
}

function routesPart(artifact: Digest, rules: readonly Rule[], more: Rule = {}): DeploymentPart {
  return partOf('shop', artifact, { provider: 'routes', options: { rules, ...more } })
}

const SITE = { 'static-0/index.html': '<h1>shop</h1>', 'static-0/a.css': 'a {}', 'secret.txt': 'no' }
const RULES = [toFunction('/api', 'api'), rule('/', { kind: 'static', directory: 'static-0' })]

async function shop(test_: TestControl, given: Parameters<typeof deploy>[2] = {}): Promise<void> {
  const parts = [partOf('api', await test_.artifact()), routesPart(await test_.artifact(SITE), RULES)]
  const { last } = await deploy(test_, parts, given)
  expect(last).toMatchObject({ event: 'done' })
}

describe('the routes of a project', () => {
  test('lead to its functions and its files, at the project’s own name', async () => {
    await using test_ = await openTestControl()
    await using front = await openFront(test_)
    await shop(test_)
    expect((await ask(front, 'shop.fn.test', { path: '/api/x' })).text).toBe('api@v1')
    expect((await ask(front, 'shop.fn.test')).text).toBe('<h1>shop</h1>')
    expect((await ask(front, 'shop.fn.test', { path: '/a.css' })).text).toBe('a {}')
    expect((await ask(front, 'shop.fn.test', { path: '/../secret.txt' })).status).toBe(400)
    expect((await ask(front, 'shop.fn.test', { path: '/secret.txt' })).status).toBe(404)
    expect((await ask(front, 'api.fn.test')).text).toBe('api@v1')
    expect(test_.control.status({ name: 'shop', version: 'v1' })?.state).toBe('running')
    expect(test_.runtime.calls.filter((call) => call.includes('shop'))).toEqual([])
  })

  test('follow the alias that they are asked under; a version’s own host shows what it was deployed with', async () => {
    await using test_ = await openTestControl()
    await using front = await openFront(test_)
    await shop(test_)
    await shop(test_, { alias: 'next' })
    const at = async (host: string): Promise<string> => (await ask(front, host, { path: '/api' })).text
    expect(await at('shop.fn.test')).toBe('api@v1')
    expect(await at('next.shop.fn.test')).toBe('api@v2')
    await test_.control.setAlias(ROOT, 'api', 'live', { version: 'v2' })
    expect(await at('shop.fn.test')).toBe('api@v2')
    // The routes themselves were the same, so v1 of them is what was deployed last.
    expect(await at('v1.shop.fn.test')).toBe('api@v2')
  })

  test('go back with a rollback, files and all', async () => {
    await using test_ = await openTestControl()
    await using front = await openFront(test_)
    await shop(test_)
    const site = await test_.artifact({ 'static-0/index.html': 'new' })
    await deploy(test_, [routesPart(site, RULES)])
    expect((await ask(front, 'shop.fn.test')).text).toBe('new')
    await test_.control.rollback(ROOT, 'shop', 'live')
    expect((await ask(front, 'shop.fn.test')).text).toBe('<h1>shop</h1>')
    expect((await ask(front, 'v2.shop.fn.test')).text).toBe('new')
  })

  test('may be split between two versions', async () => {
    await using test_ = await openTestControl()
    await using front = await openFront(test_)
    await shop(test_)
    await deploy(test_, [routesPart(await test_.artifact({ 'static-0/index.html': 'new' }), RULES)], {
      alias: 'next',
    })
    await test_.control.setAlias(ROOT, 'shop', 'live', {
      version: 'v1',
      second: { version: 'v2', weight: 0.5 },
    })
    const seen = new Set<string>()
    for (let i = 0; i < 60; i++) seen.add((await ask(front, 'shop.fn.test')).text)
    expect([...seen].sort()).toEqual(['<h1>shop</h1>', 'new'])
  })

  test('show at each version’s own host what that was deployed with, also while both are live', async () => {
    await using test_ = await openTestControl()
    await using front = await openFront(test_)
    await shop(test_)
    await deploy(test_, [
      partOf('api', await test_.artifact()),
      routesPart(await test_.artifact({ 'static-0/index.html': 'new' }), RULES),
    ])
    await test_.control.setAlias(ROOT, 'shop', 'live', {
      version: 'v1',
      second: { version: 'v2', weight: 0.5 },
    })
    expect((await ask(front, 'v1.shop.fn.test', { path: '/api' })).text).toBe('api@v1')
    expect((await ask(front, 'v2.shop.fn.test', { path: '/api' })).text).toBe('api@v2')
    await test_.control.remove(ROOT, { name: 'api', version: 'v1' })
    // What it was deployed with is gone: what is live answers.
    expect((await ask(front, 'v1.shop.fn.test', { path: '/api' })).text).toBe('api@v2')
  })

  test('are there again after a restart', async () => {
    await using before = await openTestControl()
    await shop(before, { domains: ['shop.example'] })
    await using after = await before.reopened()
    await using front = await openFront(after)
    expect((await ask(front, 'shop.fn.test', { path: '/api' })).text).toBe('api@v1')
    expect((await ask(front, 'v1.shop.fn.test', { path: '/api' })).text).toBe('api@v1')
    expect((await ask(front, 'shop.example')).text).toBe('<h1>shop</h1>')
  })

  test('to a function that is gone are answered so, and nothing else suffers', async () => {
    await using test_ = await openTestControl()
    await using front = await openFront(test_)
    await shop(test_)
    await test_.control.removeFunction(ROOT, 'api')
    expect((await ask(front, 'shop.fn.test', { path: '/api' })).status).toBe(404)
    expect((await ask(front, 'shop.fn.test')).text).toBe('<h1>shop</h1>')
  })

  test('what none of them takes is answered as they say', async () => {
    await using test_ = await openTestControl()
    await using front = await openFront(test_)
    const noRoute = { status: 403, body: '{"message":"Missing"}', contentType: 'application/json' }
    const rules = [toFunction('/api', 'api')]
    await deploy(test_, [
      partOf('api', await test_.artifact()),
      routesPart(await test_.artifact(), rules, { noRoute }),
    ])
    expect(await ask(front, 'shop.fn.test', { path: '/other' })).toEqual({
      status: 403,
      text: '{"message":"Missing"}',
    })
  })

  test('keep their protection', async () => {
    await using test_ = await openTestControl()
    await using front = await openFront(test_)
    const rules = [{ ...toFunction('/api', 'api'), protection: { deny: ['127.0.0.0/8'] } }]
    await deploy(test_, [partOf('api', await test_.artifact()), routesPart(await test_.artifact(), rules)])
    expect((await ask(front, 'shop.fn.test', { path: '/api' })).status).toBe(403)
  })

  test('lead to functions, and have those of their project asked, that their deployer may change', async () => {
    await using test_ = await openTestControl()
    const artifact = await test_.artifact()
    await deploy(test_, [partOf('api', artifact)], { caller: BOB, project: 'bobs' })
    const parts = [routesPart(artifact, [toFunction('/', 'api')])]
    for (const given of [{ project: 'shop' }, { project: 'bobs' }]) {
      const refused = await deploy(test_, parts, { caller: ADA, ...given })
      expect(refused.last).toMatchObject({ event: 'failed', code: 'FLEXI_FORBIDDEN' })
    }
    const companion = [routesPart(artifact, [])]
    const refused = await deploy(test_, companion, { caller: ADA, project: 'bobs' })
    expect(refused.last).toMatchObject({ event: 'failed', code: 'FLEXI_FORBIDDEN' })
    await test_.control.setGroup(BOB, 'api', null)
    expect((await deploy(test_, parts, { caller: ADA })).last).toMatchObject({ event: 'done' })
  })

  test('have the daemon fetch keys of tokens for those alone who may use the machine’s network', async () => {
    await using test_ = await openTestControl()
    const artifact = await test_.artifact()
    const authorizer = { kind: 'jwt', issuer: 'http://169.254.169.254', audience: ['a'] }
    const rules = [{ ...toFunction('/', 'api'), options: { frontEnd: 'http', authorizer } }]
    const parts = [partOf('api', artifact), routesPart(artifact, rules)]
    const refused = await deploy(test_, parts, { caller: ADA })
    expect(refused.last).toMatchObject({ event: 'failed', code: 'FLEXI_FORBIDDEN' })
    expect((await deploy(test_, parts)).last).toMatchObject({ event: 'done' })
  })

  test('forward to other servers for those alone who may use the machine’s network', async () => {
    await using upstream = await httpUpstream((_incoming, outgoing) => outgoing.end('upstream'))
    await using test_ = await openTestControl()
    await using front = await openFront(test_)
    const rules = [rule('/', { kind: 'upstream', origins: [{ url: upstream.origin }] })]
    const parts = [routesPart(await test_.artifact(), rules)]
    const refused = await deploy(test_, parts, { caller: ADA })
    expect(refused.last).toMatchObject({ event: 'failed', code: 'FLEXI_FORBIDDEN' })
    await deploy(test_, parts)
    expect((await ask(front, 'shop.fn.test')).text).toBe('upstream')
  })

  test.each([
    ['a folder outside', [rule('/', { kind: 'static', directory: '../../..' })]],
    ['an absolute folder', [rule('/', { kind: 'static', directory: '/etc' })]],
    ['an unknown kind', [rule('/', { kind: 'file', path: '/etc/passwd' })]],
    ['a key that nobody knows', [rule('/', { kind: 'function', name: 'api', extra: 1 })]],
    [
      'files for TLS',
      [rule('/', { kind: 'upstream', origins: [{ url: 'https://a' }], settings: { tls: { ca: '/x' } } })],
    ],
    [
      'a field that ends a line',
      [
        rule('/', {
          kind: 'upstream',
          origins: [{ url: 'http://a' }],
          settings: { requestFields: { A: 'b\r\nC: d' } },
        }),
      ],
    ],
    ['a function that is not deployed', [toFunction('/', 'nobody')]],
    ['no rule at all', ['x']],
  ])('with %s are refused, and nothing is registered', async (_what, rules) => {
    await using test_ = await openTestControl()
    const { last } = await deploy(test_, [routesPart(await test_.artifact(SITE), rules as Rule[])])
    expect(last).toMatchObject({ event: 'failed', code: 'FLEXI_CONFIG', function: 'shop' })
    expect(test_.store.functions.all()).toEqual([])
  })
})

describe('the domains of a project', () => {
  test('lead to its routes, in force with the alias live alone', async () => {
    await using test_ = await openTestControl()
    await using front = await openFront(test_)
    await shop(test_, { domains: ['Shop.Example', 'www.shop.example'] })
    expect((await ask(front, 'shop.example:8080')).text).toBe('<h1>shop</h1>')
    expect((await ask(front, 'WWW.shop.example', { path: '/api' })).text).toBe('api@v1')
    await shop(test_, { domains: ['next.example'], alias: 'next' })
    expect((await ask(front, 'next.example')).status).toBe(421)
    await shop(test_, { domains: ['shop.example'] })
    expect((await ask(front, 'www.shop.example')).status).toBe(421)
    // Not named, they stay.
    await shop(test_)
    expect((await ask(front, 'shop.example')).text).toBe('<h1>shop</h1>')
    await test_.control.removeFunction(ROOT, 'shop')
    expect((await ask(front, 'shop.example')).status).toBe(421)
  })

  test('belong to one project, and lead to the only function of one without routes', async () => {
    await using test_ = await openTestControl()
    await using front = await openFront(test_)
    await shop(test_, { domains: ['shop.example'] })
    const other = [partOf('other', await test_.artifact())]
    await expect(deploy(test_, other, { project: 'other', domains: ['shop.example'] })).rejects.toMatchObject(
      {
        code: 'FLEXI_CONFLICT',
      },
    )
    await deploy(test_, other, { project: 'other', domains: ['bücher.example'] })
    expect((await ask(front, 'xn--bcher-kva.example')).text).toBe('other@v1')
    const two = [partOf('a', await test_.artifact()), partOf('b', await test_.artifact())]
    await expect(deploy(test_, two, { project: 'two', domains: ['two.example'] })).rejects.toMatchObject({
      code: 'FLEXI_USAGE',
    })
  })
})
