import type { ServerResponse } from 'node:http'

import { describe, expect, test } from 'vitest'

import { HealthCheck } from '../../src/upstreams/health.ts'
import { Origins } from '../../src/upstreams/origins.ts'
import { answers, closedPort, get, origin, proxyTo } from './harness.ts'

const health = { path: '/well', intervalMs: 40, timeoutMs: 200, passes: 2, fails: 2 }

describe('health checks', () => {
  test('begin at once, and until the first is answered the origin counts as up', async () => {
    const held: ServerResponse[] = []
    await using a = await origin('a', (incoming, outgoing) => {
      if (incoming.url === '/well') held.push(outgoing)
      else outgoing.end('a')
    })
    await using proxy = await proxyTo([a.url], { health: { ...health, timeoutMs: 10_000 } })
    await expect.poll(() => held.length).toBe(1)
    expect(await get(proxy.url)).toBe('a')
    expect(a.seen[0]?.headers).toMatchObject({ host: `127.0.0.1:${a.port}`, 'user-agent': 'flexi-health' })
    for (const outgoing of held) outgoing.end()
  })

  test('take an origin out and bring it back; each change is told once', async () => {
    let status = 500
    await using a = await origin('a', (_incoming, outgoing) => outgoing.writeHead(status).end('a'))
    await using b = await origin('b')
    await using proxy = await proxyTo([a.url, b.url], { health })
    const state = (): string | undefined => proxy.upstream.states()[0]?.circuit
    await expect.poll(state).toBe('down')
    expect(await answers(proxy.url, 3)).toEqual(['b', 'b', 'b'])
    status = 200
    await expect.poll(state).toBe('closed')
    status = 404
    await expect.poll(state).toBe('down')
    expect(proxy.events).toEqual([
      `upstream.down ${a.url} /well answered 500`,
      `upstream.up ${a.url}`,
      `upstream.down ${a.url} /well answered 404`,
    ])
  })

  test('the first decides alone; later ones need as many in a row as the settings say', async () => {
    const said: string[] = []
    // g(ood) and b(ad) checks, and what is known after each.
    const script = 'bgbggbgbbgg'.split('')
    const results = [...script]
    let end = (): void => undefined
    const ended = new Promise<void>((resolve) => {
      end = resolve
    })
    let state = '-'
    using _check = new HealthCheck(
      { path: '/', intervalMs: 1, passes: 2, fails: 2 },
      {
        checkPassed: () => {
          state = 'u'
        },
        checkFailed: () => {
          state = 'd'
        },
      },
      () => {
        said.push(state)
        const result = results.shift()
        if (result === undefined) end()
        return Promise.resolve(result === 'g' ? 200 : 500)
      },
    )
    await ended
    expect(said.slice(1, script.length + 1).join('')).toBe('dddduuuuddu')
  })

  test('silence, refusal and a status outside the range are failures', async () => {
    await using silent = await origin('silent', () => undefined)
    await using teapot = await origin('teapot', (_incoming, outgoing) => outgoing.writeHead(418).end())
    const refused = `http://127.0.0.1:${await closedPort()}`
    const status = [400, 417] as const
    await using proxy = await proxyTo([silent.url, refused, teapot.url], {
      health: { ...health, timeoutMs: 60, status },
    })
    await expect
      .poll(() => proxy.upstream.states().map(({ circuit }) => circuit))
      .toEqual(['down', 'down', 'down'])
    expect(proxy.events.toSorted()).toEqual(
      [
        `upstream.down ${silent.url} ${silent.url} did not answer in time`,
        `upstream.down ${refused} nothing listens at ${refused}`,
        `upstream.down ${teapot.url} /well answered 418`,
      ].toSorted(),
    )
  })

  test('when all are down the answer is 503 and says when to come back; a WebSocket gets the same', async () => {
    await using proxy = await proxyTo([`http://127.0.0.1:${await closedPort()}`], {
      health: { path: '/', intervalMs: 7_000 },
    })
    await expect.poll(() => proxy.upstream.states()[0]?.circuit).toBe('down')
    const response = await fetch(proxy.url)
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '7'])
    expect(await response.json()).toMatchObject({ code: 'FLEXI_UPSTREAM_DOWN' })
    const refused = await proxy.raw(
      'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
    )
    expect(refused).toMatch(/^HTTP\/1\.1 503 /)
    expect(refused).toContain('\r\nRetry-After: 7\r\n')
    expect(refused).toContain('"code":"FLEXI_UPSTREAM_DOWN"')
  })

  test('an origin that is down at the start is found when it comes', async () => {
    const port = await closedPort()
    await using proxy = await proxyTo([`http://127.0.0.1:${port}`], { health })
    await expect.poll(() => proxy.upstream.states()[0]?.circuit).toBe('down')
    await using late = await origin('late', undefined, port)
    await expect.poll(() => get(proxy.url)).toBe('late')
    expect(late.seen.length).toBeGreaterThan(1)
  })

  test('end with the upstream', async () => {
    await using a = await origin('a')
    {
      await using proxy = await proxyTo([a.url], { health })
      await expect.poll(() => a.seen.length).toBeGreaterThan(1)
      expect(proxy.events).toEqual([])
    }
    const connections = (): Promise<number> =>
      new Promise((resolve) => {
        a.server.getConnections((_error, count) => resolve(count))
      })
    await expect.poll(connections).toBe(0)
    const before = a.seen.length
    // While another was checked three times, a check that was forgotten would have come.
    await using b = await origin('b')
    await using _clock = await proxyTo([b.url], { health })
    await expect.poll(() => b.seen.length).toBeGreaterThan(3)
    expect(a.seen.length).toBe(before)
  })
})

describe('over a reload', () => {
  test('an origin that stays keeps its connections, its health and its count, whatever else changes', async () => {
    const held: ServerResponse[] = []
    const sockets = new Set<unknown>()
    await using a = await origin('a', (incoming, outgoing) => {
      sockets.add(incoming.socket)
      if (incoming.url === '/hold') held.push(outgoing)
      else outgoing.end('a')
    })
    const origins = new Origins()
    const bad = `http://127.0.0.1:${await closedPort()}`
    const eject = { fails: 1, forMs: 60_000 }
    const before = await proxyTo([bad, a.url], { eject }, { origins })
    await answers(before.url, 2)
    const hanging = get(`${before.url}/hold`)
    await expect.poll(() => held.length).toBe(1)
    const known = sockets.size

    await using after = await proxyTo([bad, { url: a.url, weight: 3 }], { eject, retries: 5 }, { origins })
    expect(after.upstream.states()).toEqual([
      { url: bad, circuit: 'ejected', inFlight: 0 },
      { url: a.url, circuit: 'closed', inFlight: 1 },
    ])
    const closed = before.upstream[Symbol.asyncDispose]()
    held[0]?.end('held')
    expect(await hanging).toBe('held')
    await closed
    expect(await answers(after.url, 3)).toEqual(['a', 'a', 'a'])
    expect(sockets.size).toBe(known)
    expect(after.upstream.states()[1]?.inFlight).toBe(0)
    await before.gateway[Symbol.asyncDispose]()
  })

  test('a request under way may still go to another origin of its own configuration', async () => {
    const held: ServerResponse[] = []
    await using a = await origin('a', (_incoming, outgoing) => held.push(outgoing))
    await using b = await origin('b')
    await using proxy = await proxyTo([a.url, { url: b.url, backup: true }], { retryStatus: [503] })
    const asked = get(proxy.url)
    await expect.poll(() => held.length).toBe(1)
    const closed = proxy.upstream[Symbol.asyncDispose]()
    held[0]?.writeHead(503).end()
    expect(await asked).toBe('b')
    await closed
  })

  test('an origin is closed when the last upstream lets it go', async () => {
    await using a = await origin('a')
    const origins = new Origins()
    const one = await proxyTo([a.url], { health }, { origins })
    const two = await proxyTo([a.url], { health, retries: 1 }, { origins })
    await one[Symbol.asyncDispose]()
    const before = a.seen.length
    await expect.poll(() => a.seen.length).toBeGreaterThan(before)
    await two[Symbol.asyncDispose]()
    await origins[Symbol.asyncDispose]()
    await expect
      .poll(() => new Promise((resolve) => a.server.getConnections((_error, count) => resolve(count))))
      .toBe(0)
  })
})
