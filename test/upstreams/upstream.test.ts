import { createServer as createTcpServer, connect, type Socket } from 'node:net'
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'

import { describe, expect, test } from 'vitest'

import { answers, closedPort, get, origin, proxyTo } from './harness.ts'

describe('who gets the next request', () => {
  test('in turn, by weight; a weight of 0 takes none', async () => {
    await using a = await origin('a')
    await using b = await origin('b')
    await using c = await origin('c')
    await using proxy = await proxyTo([{ url: a.url, weight: 2 }, b.url, { url: c.url, weight: 0 }])
    expect((await answers(proxy.url, 6)).toSorted()).toEqual(['a', 'a', 'a', 'a', 'b', 'b'])
    expect(c.seen).toHaveLength(0)
  })

  test('who has the fewest requests under way', async () => {
    const held: ServerResponse[] = []
    await using slow = await origin('slow', (_incoming, outgoing) => held.push(outgoing))
    await using fast = await origin('fast')
    await using proxy = await proxyTo([slow.url, fast.url], { balance: { kind: 'least-requests' } })
    const first = get(proxy.url)
    await expect.poll(() => held.length).toBe(1)
    expect(await answers(proxy.url, 3)).toEqual(['fast', 'fast', 'fast'])
    expect(proxy.upstream.states().map(({ inFlight }) => inFlight)).toEqual([1, 0])
    held[0]?.end('slow')
    expect(await first).toBe('slow')
    expect(proxy.upstream.states().map(({ inFlight }) => inFlight)).toEqual([0, 0])
  })

  test.each([
    ['a header', { kind: 'field', name: 'x-user' }, (i: number) => ({ 'X-User': `u${i}` })],
    ['a cookie', { kind: 'cookie', name: 'sid' }, (i: number) => ({ Cookie: `a=b; sid=s${i}` })],
  ] as const)('the same one for the same value of %s', async (_title, key, fields) => {
    await using a = await origin('a')
    await using b = await origin('b')
    await using proxy = await proxyTo([a.url, b.url], { balance: { kind: 'hash', key } })
    const seen = new Set<string>()
    for (let user = 0; user < 12; user++) {
      const got = [await get(proxy.url, fields(user)), await get(proxy.url, fields(user))]
      expect(got[0]).toBe(got[1])
      seen.add(got[0] ?? '')
    }
    expect([...seen].toSorted()).toEqual(['a', 'b'])
  })

  test('the same one for the same path, whatever its query, and for the same address', async () => {
    await using a = await origin('a')
    await using b = await origin('b')
    await using byPath = await proxyTo([a.url, b.url], { balance: { kind: 'hash', key: { kind: 'path' } } })
    expect(await get(`${byPath.url}/x?1`)).toBe(await get(`${byPath.url}/x?2`))
    const places = await Promise.all(Array.from({ length: 12 }, (_, i) => get(`${byPath.url}/${i}`)))
    expect(new Set(places).size).toBe(2)
    await using byAddress = await proxyTo([a.url, b.url], {
      balance: { kind: 'hash', key: { kind: 'address' } },
    })
    expect(new Set(await answers(byAddress.url, 6)).size).toBe(1)
  })

  test('a missing cookie is set, and leads back to the origin that answered', async () => {
    await using a = await origin('a')
    await using b = await origin('b')
    await using proxy = await proxyTo([a.url, b.url], {
      balance: { kind: 'hash', key: { kind: 'cookie', name: 'lb' } },
    })
    for (let i = 0; i < 6; i++) {
      const first = await fetch(proxy.url)
      const cookie = first.headers.get('set-cookie') ?? ''
      expect(cookie).toMatch(/^lb=[\w-]{36}; Path=\/; HttpOnly; SameSite=Lax$/)
      const again = await fetch(proxy.url, { headers: { Cookie: cookie.split(';')[0] ?? '' } })
      expect(again.headers.get('set-cookie')).toBeNull()
      expect(await again.text()).toBe(await first.text())
    }
  })

  test('a cookie that the application sets is its own', async () => {
    await using a = await origin('a', (_incoming, outgoing) => outgoing.setHeader('Set-Cookie', 'lb=1').end())
    await using proxy = await proxyTo([a.url], {
      balance: { kind: 'hash', key: { kind: 'cookie', name: 'lb' } },
    })
    expect((await fetch(proxy.url)).headers.getSetCookie()).toEqual(['lb=1'])
  })

  test('requests without the header that counts take turns', async () => {
    await using a = await origin('a')
    await using b = await origin('b')
    await using proxy = await proxyTo([a.url, b.url], {
      balance: { kind: 'hash', key: { kind: 'field', name: 'x-user' } },
    })
    expect((await answers(proxy.url, 4)).toSorted()).toEqual(['a', 'a', 'b', 'b'])
  })

  test('with weight 0 alone nobody is asked, and the answer says so', async () => {
    await using a = await origin('a')
    await using proxy = await proxyTo([{ url: a.url, weight: 0 }])
    const response = await fetch(proxy.url, { headers: { accept: 'application/json' } })
    expect(response.status).toBe(503)
    const body = await response.text()
    expect(body).toContain(`every origin has weight 0, which takes no requests: ${a.url}`)
    expect(body).toContain('Give one of them a weight above 0.')
    expect(a.seen).toEqual([])
  })

  test('a backup only while no other is up', async () => {
    await using a = await origin('a')
    await using spare = await origin('spare')
    await using proxy = await proxyTo([a.url, { url: spare.url, backup: true }])
    expect(await answers(proxy.url, 3)).toEqual(['a', 'a', 'a'])
    await a.stop()
    expect(await answers(proxy.url, 3)).toEqual(['spare', 'spare', 'spare'])
  })
})

describe('an origin that fails', () => {
  test('is passed over, whatever the method, when the request never left; content included', async () => {
    await using b = await origin('b', (incoming, outgoing) => incoming.pipe(outgoing))
    await using proxy = await proxyTo([`http://127.0.0.1:${await closedPort()}`, b.url])
    for (let i = 0; i < 4; i++) {
      const response = await fetch(proxy.url, { method: 'POST', body: 'content' })
      expect([response.status, await response.text()]).toEqual([200, 'content'])
    }
  })

  test('a name that has no address is one of them', async () => {
    await using b = await origin('b')
    await using proxy = await proxyTo(['http://bad.target.for.testing.invalid:6003', b.url])
    expect(await answers(proxy.url, 3)).toEqual(['b', 'b', 'b'])
  })

  test('is taken out after so many failures in a row, told once, and tried again with one request', async () => {
    const port = await closedPort()
    const bad = `http://127.0.0.1:${port}`
    await using b = await origin('b')
    await using proxy = await proxyTo([bad, b.url], { eject: { fails: 2, forMs: 200 } })
    await answers(proxy.url, 4)
    expect(proxy.upstream.states()[0]?.circuit).toBe('ejected')
    expect(proxy.events).toEqual([`upstream.eject ${bad} nothing listens at ${bad}`])
    await expect.poll(() => proxy.upstream.states()[0]?.circuit).toBe('probing')
    await using back = await origin('back', undefined, port)
    await answers(proxy.url, 2)
    expect(back.seen).toHaveLength(1)
    expect(proxy.upstream.states()[0]?.circuit).toBe('closed')
    expect(proxy.events[1]).toBe(`upstream.return ${bad}`)
  })

  test('while one request shows whether it is back, the others go elsewhere', async () => {
    const held: ServerResponse[] = []
    let broken = true
    await using a = await origin('a', (_incoming, outgoing) => {
      if (broken) outgoing.writeHead(503).end()
      else held.push(outgoing)
    })
    await using b = await origin('b')
    await using proxy = await proxyTo([a.url, b.url], { eject: { fails: 1, forMs: 100 } })
    expect((await answers(proxy.url, 2)).toSorted()).toEqual(['503', 'b'])
    broken = false
    await expect.poll(() => proxy.upstream.states()[0]?.circuit).toBe('probing')
    const asked = Promise.all(Array.from({ length: 6 }, () => get(proxy.url)))
    await expect.poll(() => held.length).toBe(1)
    held[0]?.end('a')
    expect((await asked).toSorted()).toEqual(['a', 'b', 'b', 'b', 'b', 'b'])
  })

  test('a client that leaves in between does not keep it out', async () => {
    let mode: 'broken' | 'silent' | 'well' = 'broken'
    await using a = await origin('a', (_incoming, outgoing) => {
      if (mode === 'broken') outgoing.writeHead(503).end()
      if (mode === 'well') outgoing.end('a')
    })
    await using b = await origin('b')
    await using proxy = await proxyTo([a.url, b.url], { eject: { fails: 1, forMs: 50 } })
    await answers(proxy.url, 2)
    await expect.poll(() => proxy.upstream.states()[0]?.circuit).toBe('probing')
    mode = 'silent'
    const leaving = new AbortController()
    const before = a.seen.length
    const asked = Promise.allSettled(
      Array.from({ length: 2 }, () => fetch(proxy.url, { signal: leaving.signal })),
    )
    await expect.poll(() => a.seen.length).toBe(before + 1)
    leaving.abort()
    await asked
    await expect.poll(() => proxy.upstream.states()[0]?.inFlight).toBe(0)
    mode = 'well'
    expect((await answers(proxy.url, 2)).toSorted()).toEqual(['a', 'b'])
  })

  test('is asked all the same when no other is left', async () => {
    await using a = await origin('a', (_incoming, outgoing) => outgoing.writeHead(503).end())
    await using proxy = await proxyTo([a.url, `http://127.0.0.1:${await closedPort()}`], {
      eject: { fails: 1, forMs: 60_000 },
    })
    await answers(proxy.url, 3)
    expect(proxy.upstream.states().map(({ circuit }) => circuit)).toEqual(['ejected', 'ejected'])
    const before = a.seen.length
    await answers(proxy.url, 2)
    expect(a.seen.length).toBe(before + 2)
  })

  test('alone, is asked again and again: there is nobody else to ask', async () => {
    const port = await closedPort()
    await using proxy = await proxyTo([`http://127.0.0.1:${port}`])
    expect(await answers(proxy.url, 5)).toEqual(['502', '502', '502', '502', '502'])
    await using back = await origin('back', undefined, port)
    expect(await get(proxy.url)).toBe('back')
    expect(back.seen).toHaveLength(1)
  })

  test('all of them: the answer names the last', async () => {
    await using proxy = await proxyTo([
      `http://127.0.0.1:${await closedPort()}`,
      `http://127.0.0.1:${await closedPort()}`,
    ])
    const response = await fetch(proxy.url)
    expect(response.status).toBe(502)
    expect(await response.json()).toMatchObject({ code: 'FLEXI_UPSTREAM_UNREACHABLE' })
  })
})

describe('a request is sent again', () => {
  /** Reads a request and closes. */
  async function hangUp(): Promise<{ url: string; connections: () => number } & AsyncDisposable> {
    let count = 0
    const sockets = new Set<Socket>()
    const server = createTcpServer((socket) => {
      count++
      sockets.add(socket)
      socket.on('error', () => undefined).once('data', () => socket.destroy())
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('no port')
    return {
      url: `http://127.0.0.1:${address.port}`,
      connections: () => count,
      async [Symbol.asyncDispose]() {
        for (const socket of sockets) socket.destroy()
        await new Promise((resolve) => server.close(resolve))
      },
    }
  }

  test('when it is idempotent and without content; else it may have been done', async () => {
    await using bad = await hangUp()
    await using b = await origin('b')
    await using proxy = await proxyTo([bad.url, b.url], { eject: { fails: 1_000, forMs: 1 } })
    expect(await answers(proxy.url, 4)).toEqual(['b', 'b', 'b', 'b'])
    const statuses: string[] = []
    for (const init of [
      { method: 'POST' },
      { method: 'POST' },
      { method: 'PUT', body: 'x' },
      { method: 'PUT', body: 'x' },
    ]) {
      statuses.push(String((await fetch(proxy.url, init)).status))
    }
    expect(statuses.toSorted()).toEqual(['200', '200', '502', '502'])
  })

  test('no more often than the settings say', async () => {
    await using one = await hangUp()
    await using two = await hangUp()
    await using three = await hangUp()
    const eject = { fails: 1_000, forMs: 1 }
    await using proxy = await proxyTo([one.url, two.url, three.url], { retries: 1, eject })
    const asked = (): number => one.connections() + two.connections() + three.connections()
    expect(await get(proxy.url)).toBe('502')
    expect(asked()).toBe(2)
    await using none = await proxyTo([one.url, two.url], { retries: 0, eject })
    expect(await get(none.url)).toBe('502')
    expect(asked()).toBe(3)
  })

  test('for an answer that counts as none; the last one is passed on', async () => {
    let status = 503
    await using a = await origin('a', (_incoming, outgoing) =>
      outgoing.writeHead(status).end('x'.repeat(100_000)),
    )
    await using b = await origin('b', (_incoming, outgoing) =>
      outgoing.writeHead(status === 503 ? 200 : status).end('b'),
    )
    const settings = { retryStatus: [503, 404], eject: { fails: 1_000, forMs: 1 } }
    await using proxy = await proxyTo([a.url, b.url], settings)
    expect(await answers(proxy.url, 4)).toEqual(['b', 'b', 'b', 'b'])
    expect(a.seen.length).toBe(2)
    const posted = await Promise.all([1, 2].map(() => fetch(proxy.url, { method: 'POST' })))
    expect(posted.map((response) => String(response.status)).toSorted()).toEqual(['200', '503'])
    status = 404
    expect(await get(proxy.url)).toBe('404')
    expect(proxy.upstream.states().map(({ inFlight }) => inFlight)).toEqual([0, 0])
  })

  test('when an origin does not answer in its time; the client waits for the sum', async () => {
    await using silent = await origin('silent', () => undefined)
    await using b = await origin('b')
    await using proxy = await proxyTo([silent.url, b.url], {
      timeouts: { tryMs: 100, totalMs: 2_000 },
      eject: { fails: 1_000, forMs: 1 },
    })
    expect(await answers(proxy.url, 2)).toEqual(['b', 'b'])
    expect(silent.seen).toHaveLength(1)
    await using alone = await proxyTo([silent.url], { timeouts: { tryMs: 100 } })
    expect(await get(alone.url)).toBe('504')
  })

  test('but not beyond the total, which also ends a try that is under way', async () => {
    await using one = await origin('one', () => undefined)
    await using two = await origin('two', () => undefined)
    await using proxy = await proxyTo([one.url, two.url], { timeouts: { tryMs: 60_000, totalMs: 150 } })
    const since = performance.now()
    expect(await get(proxy.url)).toBe('504')
    expect(performance.now() - since).toBeLessThan(1_000)
    expect(one.seen.length + two.seen.length).toBe(1)
  })
})

describe('a limit of requests at once', () => {
  test('the next origin is asked, then requests wait for their turn', async () => {
    const held: ServerResponse[] = []
    await using a = await origin('a', (_incoming, outgoing) => held.push(outgoing))
    await using b = await origin('b', (_incoming, outgoing) => held.push(outgoing))
    await using proxy = await proxyTo([
      { url: a.url, requestsMax: 2 },
      { url: b.url, requestsMax: 1 },
    ])
    const asked = Array.from({ length: 6 }, () => get(proxy.url))
    await expect.poll(() => held.length).toBe(3)
    expect([a.seen.length, b.seen.length]).toEqual([2, 1])
    expect(proxy.upstream.states().map(({ inFlight }) => inFlight)).toEqual([2, 1])
    for (let i = 0; i < 6; i++) {
      await expect.poll(() => held.length).toBeGreaterThan(i)
      held[i]?.end('ok')
    }
    expect(await Promise.all(asked)).toEqual(Array.from({ length: 6 }, () => 'ok'))
  })

  test('who waits too long gets 503 and when to come back; who leaves makes room', async () => {
    const held: ServerResponse[] = []
    await using a = await origin('a', (_incoming, outgoing) => held.push(outgoing))
    await using proxy = await proxyTo([{ url: a.url, requestsMax: 1 }], {
      timeouts: { tryMs: 0, totalMs: 300 },
    })
    const first = fetch(proxy.url)
    await expect.poll(() => held.length).toBe(1)
    const leaving = new AbortController()
    const left = fetch(proxy.url, { signal: leaving.signal }).catch(() => 'left')
    held[0]?.write('begun')
    const waiting = fetch(proxy.url)
    leaving.abort()
    expect(await left).toBe('left')
    const late = await waiting
    expect([late.status, late.headers.get('retry-after')]).toEqual([503, '1'])
    expect(await late.json()).toMatchObject({ code: 'FLEXI_QUEUE_FULL' })
    held[0]?.end()
    expect((await first).status).toBe(200)
    const next = get(proxy.url)
    await expect.poll(() => held.length).toBe(2)
    held[1]?.end('a')
    expect(await next).toBe('a')
  })
})

describe('what is changed in a message', () => {
  test('a prefix is taken off, the base path put before, and the application told', async () => {
    await using a = await origin('a', (incoming, outgoing) => {
      outgoing.end(`${incoming.url} ${String(incoming.headers['x-forwarded-prefix'])}`)
    })
    await using proxy = await proxyTo([`${a.url}/base`], { stripPrefix: '/api/' })
    expect(await get(`${proxy.url}/api/x%2Fy?q=/api/`)).toBe('/base/x%2Fy?q=/api/ /api')
    expect(await get(`${proxy.url}/api`)).toBe('/base/ /api')
    expect(await get(`${proxy.url}/api?q`)).toBe('/base/?q /api')
    expect(await get(`${proxy.url}/apix`)).toBe('/base/apix /api')
  })

  test('fields are set and removed, both ways', async () => {
    await using a = await origin('a', (incoming, outgoing) => {
      outgoing.writeHead(200, { Server: 'secret', 'X-Kept': '1', 'Set-Cookie': ['a=1', 'b=2'] })
      outgoing.end(JSON.stringify(incoming.headers))
    })
    await using proxy = await proxyTo([a.url], {
      requestFields: { Authorization: 'Bearer t', Cookie: null },
      responseFields: { server: null, 'X-Own': 'yes', 'x-kept': '2' },
    })
    const response = await fetch(proxy.url, { headers: { authorization: 'mine', cookie: 'a=b', 'x-a': '1' } })
    const got = (await response.json()) as Record<string, string>
    expect(got).toMatchObject({ authorization: 'Bearer t', 'x-a': '1' })
    expect(got).not.toHaveProperty('cookie')
    expect(response.headers.get('server')).toBeNull()
    expect(response.headers.get('x-own')).toBe('yes')
    expect(response.headers.get('x-kept')).toBe('2')
    expect(response.headers.getSetCookie()).toEqual(['a=1', 'b=2'])
  })

  test.each([
    [{ 'X-A': 'a\r\nX-B: b' }],
    [{ 'X A': 'a' }],
    [{ 'Content-Length': '3' }],
    [{ Host: 'other' }],
    [{ 'X-A': '☃' }],
  ])('%j cannot be set, and that is said at once', async (fields) => {
    await expect(proxyTo(['http://127.0.0.1:1'], { requestFields: fields })).rejects.toMatchObject({
      code: 'FLEXI_CONFIG',
    })
    await expect(proxyTo(['http://127.0.0.1:1'], { responseFields: fields })).rejects.toMatchObject({
      code: 'FLEXI_CONFIG',
    })
  })

  test('Host is the client’s, the origin’s, or a name', async () => {
    await using a = await origin('a', (incoming, outgoing) => outgoing.end(incoming.headers.host))
    for (const [host, expected] of [
      [undefined, 'client:1'],
      ['keep', 'client:1'],
      ['upstream', `127.0.0.1:${a.port}`],
      ['app.example', 'app.example'],
    ] as const) {
      await using proxy = await proxyTo([a.url], { host })
      expect(await proxy.raw('GET / HTTP/1.0\r\nHost: client:1\r\n\r\n')).toMatch(
        new RegExp(`\r\n\r\n${expected}$`),
      )
    }
  })
})

test('a client that leaves takes its request along, wherever it is', async () => {
  const held: ServerResponse[] = []
  await using a = await origin('a', (_incoming, outgoing) => held.push(outgoing))
  await using proxy = await proxyTo([a.url])
  const leaving = new AbortController()
  const asked = fetch(proxy.url, { signal: leaving.signal }).catch(() => 'left')
  await expect.poll(() => held.length).toBe(1)
  leaving.abort()
  expect(await asked).toBe('left')
  await expect.poll(() => held[0]?.destroyed).toBe(true)
  await expect.poll(() => proxy.upstream.states()[0]?.inFlight).toBe(0)
})

describe('WebSockets', () => {
  const handshake = 'GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'

  /** Accepts every handshake and echoes. */
  async function echo(name: string): Promise<Awaited<ReturnType<typeof origin>> & { sockets: Set<Socket> }> {
    const one = await origin(name)
    const sockets = new Set<Socket>()
    one.server.on('upgrade', (_incoming, socket: Socket) => {
      sockets.add(socket)
      socket.on('error', () => undefined).on('close', () => sockets.delete(socket))
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n${name}`,
      )
      socket.on('data', (chunk) => socket.write(chunk)).on('end', () => socket.end())
    })
    const stop = async (): Promise<void> => {
      for (const socket of sockets) socket.destroy()
      await one.stop()
    }
    return { ...one, sockets, stop, [Symbol.asyncDispose]: stop }
  }

  async function open(port: number): Promise<{ socket: Socket; head: string }> {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => undefined)
    socket.write(handshake)
    let head = ''
    while (!head.includes('\r\n\r\n')) head += String((await once(socket, 'data'))[0])
    return { socket, head }
  }

  test('are balanced, pass over who is down, and count until they close', async () => {
    await using a = await echo('a')
    await using b = await echo('b')
    await using proxy = await proxyTo([`http://127.0.0.1:${await closedPort()}`, a.url, b.url])
    const opened = [
      await open(proxy.gateway.port),
      await open(proxy.gateway.port),
      await open(proxy.gateway.port),
    ]
    expect(opened.every(({ head }) => head.startsWith('HTTP/1.1 101 '))).toBe(true)
    expect(a.sockets.size + b.sockets.size).toBe(3)
    expect(Math.min(a.sockets.size, b.sockets.size)).toBe(1)
    const states = proxy.upstream.states().map(({ inFlight }) => inFlight)
    expect(states).toEqual([0, a.sockets.size, b.sockets.size])
    for (const { socket } of opened) socket.destroy()
    await expect.poll(() => proxy.upstream.states().every(({ inFlight }) => inFlight === 0)).toBe(true)
  })

  test('live on when the upstream is closed by a reload', async () => {
    await using a = await echo('a')
    await using proxy = await proxyTo([a.url])
    const { socket } = await open(proxy.gateway.port)
    await proxy.upstream[Symbol.asyncDispose]()
    socket.write('still here')
    expect(String((await once(socket, 'data'))[0])).toBe('still here')
    socket.destroy()
  })

  test('an answer that is retried is retried for them too, and 503 tells when to come back', async () => {
    await using a = await origin('a')
    a.server.on('upgrade', (_incoming, socket: Socket) => {
      socket.end('HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n')
    })
    await using b = await echo('b')
    await using proxy = await proxyTo([a.url, b.url], { retryStatus: [503] })
    for (let i = 0; i < 2; i++) {
      const { socket, head } = await open(proxy.gateway.port)
      expect(head).toMatch(/^HTTP\/1\.1 101 /)
      socket.destroy()
    }
  })
})
