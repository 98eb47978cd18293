import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import type { SocketFetcher } from '../../src/core/fetcher.ts'
import { HostTable } from '../../src/daemon/routing/host-table.ts'
import { isHostName, isLabel, plainHost } from '../../src/daemon/routing/host-name.ts'
import { ask, deploy, DOMAIN, openFront, openTestControl, partOf, ROOT } from './control-harness.ts'

describe('a host name', () => {
  test('of a version, of an alias and of a function leads there; case, port and the last dot do not count', async () => {
    await using test_ = await openTestControl()
    await using front = await openFront(test_)
    await deploy(test_, [partOf('hello', await test_.artifact())])
    await deploy(test_, [partOf('hello', await test_.artifact())], { alias: 'next' })
    const answers = {
      [`hello.${DOMAIN}`]: 'hello@v1',
      [`live.hello.${DOMAIN}`]: 'hello@v1',
      [`next.hello.${DOMAIN}`]: 'hello@v2',
      [`v1.hello.${DOMAIN}`]: 'hello@v1',
      [`v2.hello.${DOMAIN}:8080`]: 'hello@v2',
      [`HELLO.fn.Test:1`]: 'hello@v1',
      [`hello.${DOMAIN}.`]: 'hello@v1',
      [`hello.${DOMAIN}.:8080`]: 'hello@v1',
    }
    for (const [host, text] of Object.entries(answers))
      expect({ host, ...(await ask(front, host)) }).toEqual({ host, status: 200, text })
  })

  test('of the domain itself, of localhost and of an address is the API’s', async () => {
    await using test_ = await openTestControl()
    await using front = await openFront(test_)
    for (const host of [
      DOMAIN,
      `${DOMAIN}:8080`,
      'Fn.test.',
      'localhost:8080',
      '127.0.0.1',
      '[::1]:8080',
      '10.0.0.7:1',
    ])
      expect({ host, ...(await ask(front, host)) }).toEqual({ host, status: 200, text: 'API' })
  })

  test('that nobody has below the domain is 403, another domain 421, and none at all 400, each as JSON', async () => {
    await using test_ = await openTestControl()
    await using front = await openFront(test_)
    await deploy(test_, [partOf('hello', await test_.artifact())])
    const statuses = {
      [`www.${DOMAIN}`]: 403,
      [`v9.hello.${DOMAIN}`]: 403,
      [`a.v1.hello.${DOMAIN}`]: 403,
      'example.com': 421,
      [`hello${DOMAIN}`]: 421,
      'x.localhost': 421,
    }
    for (const [host, status] of Object.entries(statuses)) {
      const answer = await ask(front, host)
      expect({ host, status: answer.status }).toEqual({ host, status })
      expect(JSON.parse(answer.text)).toMatchObject({ error: expect.any(String), code: expect.any(String) })
    }
    expect((await ask(front, undefined)).status).toBe(400)
  })

  test('reserves nothing below it: every path is the function’s', async () => {
    await using test_ = await openTestControl()
    await using front = await openFront(test_)
    await deploy(test_, [partOf('hello', await test_.artifact())])
    for (const path of ['/api/functions', '/_flexi/healthz'])
      expect((await ask(front, `hello.${DOMAIN}`, { path })).text).toBe('hello@v1')
  })

  test('of a version that is stopped or removed leads nowhere', async () => {
    await using test_ = await openTestControl()
    await using front = await openFront(test_)
    await deploy(test_, [partOf('hello', await test_.artifact())])
    await test_.control.stop(ROOT, { name: 'hello', version: 'v1' })
    expect((await ask(front, `hello.${DOMAIN}`)).status).toBe(403)
    await test_.control.start(ROOT, { name: 'hello', version: 'v1' })
    expect((await ask(front, `hello.${DOMAIN}`)).text).toBe('hello@v1')
    await test_.control.removeFunction(ROOT, 'hello')
    expect((await ask(front, `hello.${DOMAIN}`)).status).toBe(403)
    expect((await ask(front, `v1.hello.${DOMAIN}`)).status).toBe(403)
    expect(test_.runtime.calls.slice(-2)).toEqual(['remove hello@v1', 'forget hello'])
  })
})

describe('the table of hosts', () => {
  const answer = (): SocketFetcher => ({ handle: () => Promise.resolve() })

  test('takes the new names of an owner and drops the others, in one step', () => {
    const table = new HostTable(DOMAIN)
    const [one, two] = [answer(), answer()]
    table.put('a', new Map([['a.fn.test', { one }]]))
    expect(table.find('a.fn.test:80', undefined)).toBe(one)
    table.put('a', new Map([['b.fn.test', { one: two }]]))
    expect(table.find('b.fn.test:80', undefined)).toBe(two)
    expect(table.find('a.fn.test:80', undefined)).not.toBe(one)
  })

  test('finds a name however it is written', () => {
    const table = new HostTable(DOMAIN)
    const one = answer()
    table.put('a', new Map([['v1.hello.fn.test', { one }]]))
    const written = fc.tuple(
      fc.array(fc.boolean(), { minLength: 16, maxLength: 16 }),
      fc.boolean(),
      fc.option(fc.nat(65_535)),
    )
    fc.assert(
      fc.property(written, ([upper, dot, port]) => {
        const name = 'v1.hello.fn.test'
          .split('')
          .map((c, i) => (upper[i] === true ? c.toUpperCase() : c))
          .join('')
        const host = `${name}${dot ? '.' : ''}${port === null ? '' : `:${port}`}`
        expect(table.find(host, undefined)).toBe(one)
      }),
    )
  })

  test('never takes what is not below the domain for a function', () => {
    const table = new HostTable(DOMAIN)
    const one = answer()
    table.put('a', new Map([['hello.fn.test', { one }]]))
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme-ascii', maxLength: 30 }),
        (host) => plainHost(host) === 'hello.fn.test' || table.find(host, undefined) !== one,
      ),
    )
    expect(table.find('hello.fn.test', undefined)).toBe(one)
  })

  test('knows what a label and a name of a host are', () => {
    expect(['a', 'a-b', '0', 'a'.repeat(63)].filter((name) => !isLabel(name))).toEqual([])
    expect(['', '-a', 'a-', 'A', 'a.b', 'ä', 'a'.repeat(64), 'a_b'].filter(isLabel)).toEqual([])
    expect(['a.b', 'shop.example.com'].filter((name) => !isHostName(name))).toEqual([])
    expect(
      ['a', '', 'a..b', '.a.b', 'a.b.', '*.a.b', 'a b.c', `${'a.'.repeat(127)}b`].filter(isHostName),
    ).toEqual([])
  })
})
