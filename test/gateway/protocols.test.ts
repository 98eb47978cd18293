import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import type { Fetcher, SocketFetcher } from '../../src/core/fetcher.ts'
import { createDispatcher, forward } from '../../src/forward/forward.ts'
import { offeredProtocols } from '../../src/forward/protocols.ts'
import { forwardUpgrade } from '../../src/forward/upgrade.ts'
import { answerRaw } from '../../src/forward/raw-answer.ts'
import { openTest, rawUpstream, type RawUpstream, type TestGateway } from './harness.ts'
import { ask } from './recorder.ts'

interface Tunnel extends AsyncDisposable {
  readonly gateway: TestGateway
}

/** A gateway whose only route is an upstream's. */
async function tunnelTo(origin: string, kind: 'upstream' | 'function' = 'upstream'): Promise<Tunnel> {
  const dispatcher = await createDispatcher(origin)
  const { hostname: host, port } = new URL(origin)
  const rules = { host: 'keep', forwarded: true }
  const fetcher: SocketFetcher = {
    handle: (incoming, outgoing, context) =>
      forward({ dispatcher, origin, ...rules }, { incoming, outgoing, context }),
    upgrade(incoming, socket, head, context) {
      forwardUpgrade({ host, port: Number(port) }, { incoming, socket, head, context }, rules).catch(
        (error: { status: number; message: string }) =>
          answerRaw(socket, { status: error.status, contentType: 'text/plain', text: error.message }),
      )
    },
  }
  const target =
    kind === 'upstream' ? ({ kind, origins: [{ url: origin }] } as const) : ({ kind, name: 'f' } as const)
  const rule = {
    matcher: { kind: 'path', path: '/' } as const,
    target,
    pattern: '/',
    origin: { file: 'a', line: 1, column: 1 },
  }
  const gateway = await openTest({ routes: [{ rule, fetcher: fetcher as Fetcher }], functions: new Map() })
  return {
    gateway,
    async [Symbol.asyncDispose]() {
      await gateway[Symbol.asyncDispose]()
      await dispatcher.destroy()
    },
  }
}

const offer = (protocol: string, more = '', method = 'GET'): string =>
  `${method} /x HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\nUpgrade: ${protocol}\r\n${more}\r\n`

/** Switches to whatever it is told, and then says every byte back in upper case. */
function switching(protocol: string): Promise<RawUpstream> {
  const switched = new WeakSet<Socket>()
  return rawUpstream((socket, received) => {
    if (switched.has(socket)) return
    if (!received.includes('\r\n\r\n')) return
    switched.add(socket)
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n\r\nearly`,
    )
    socket.on('data', (chunk: Buffer) => socket.write(chunk.toString().toUpperCase()))
  })
}

async function tunnel(gateway: TestGateway, bytes: string): Promise<{ socket: Socket; read: () => string }> {
  const socket = connect({ port: gateway.gateway.port, host: '127.0.0.1', allowHalfOpen: true })
  await once(socket, 'connect')
  let text = ''
  socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1'))).on('error', () => undefined)
  socket.write(bytes, 'latin1')
  return { socket, read: () => text }
}

describe('an upstream may be offered any protocol', () => {
  test.each([
    ['tcp', 'GET'],
    ['tcp', 'POST'],
    ['foo/2', 'GET'],
    ['WebSocket', 'GET'],
  ])('%s with %s: bytes pass both ways, early ones too', async (protocol, method) => {
    await using upstream = await switching(protocol)
    await using tunnelling = await tunnelTo(upstream.origin)
    const { socket, read } = await tunnel(tunnelling.gateway, `${offer(protocol, '', method)}sent at once`)
    await expect.poll(read).toMatch(/^HTTP\/1\.1 101 Switching Protocols\r\n[^]*\r\n\r\nearly/)
    await expect.poll(read).toMatch(/SENT AT ONCE$/)
    socket.write(' and later')
    await expect.poll(read).toMatch(/AND LATER$/)
    expect(upstream.received[0]).toMatch(new RegExp(`^${method} /x HTTP/1\\.1\r\n`))
    expect(upstream.received[0]).toMatch(new RegExp(`\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n`))
    socket.destroy()
    await expect.poll(() => tunnelling.gateway.records).toMatchObject([{ status: 101 }])
  })

  test('an end of one side is an end on the other, and the other still may send', async () => {
    let ended = false
    await using upstream = await rawUpstream((socket, received) => {
      if (received.endsWith('\r\n\r\n'))
        socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n')
      socket.removeAllListeners('end').on('end', () => {
        ended = true
        socket.end('the last word')
      })
    })
    await using tunnelling = await tunnelTo(upstream.origin)
    const { socket, read } = await tunnel(tunnelling.gateway, offer('tcp'))
    await expect.poll(read).toContain('101')
    socket.end('all I have')
    await once(socket, 'end')
    expect(ended).toBe(true)
    expect(upstream.received[0]).toMatch(/all I have$/)
    expect(read()).toMatch(/the last word$/)
  })

  test('a reset of one side ends the other', async () => {
    let gone = false
    await using upstream = await rawUpstream((socket, received) => {
      if (received.endsWith('\r\n\r\n'))
        socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n')
      socket.once('close', () => (gone = true))
    })
    await using tunnelling = await tunnelTo(upstream.origin)
    const { socket, read } = await tunnel(tunnelling.gateway, offer('tcp'))
    await expect.poll(read).toContain('101')
    socket.resetAndDestroy()
    await expect.poll(() => gone).toBe(true)
  })

  test('who reads slowly holds the other side back, and loses nothing', async () => {
    const size = 64 * 1024 * 1024
    let sent = 0
    await using upstream = await rawUpstream((socket, received) => {
      if (!received.endsWith('\r\n\r\n')) return
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n')
      const chunk = Buffer.alloc(256 * 1024, 'x')
      const push = (): void => {
        while (sent < size) {
          sent += chunk.length
          if (!socket.write(chunk)) return
        }
        socket.end()
      }
      socket.on('drain', push)
      push()
    })
    await using tunnelling = await tunnelTo(upstream.origin)
    const socket = connect({ port: tunnelling.gateway.gateway.port, host: '127.0.0.1' }).pause()
    socket.write(offer('tcp'))
    let last = -1
    await expect
      .poll(
        () => {
          const still = sent > 0 && sent === last
          last = sent
          return still
        },
        { interval: 200, timeout: 5_000 },
      )
      .toBe(true)
    expect(sent).toBeLessThan(size / 2)
    let got = 0
    for await (const part of socket) got += (part as Buffer).length
    expect(got).toBeGreaterThan(size)
  })

  test('a refusal is a normal response, content and all', async () => {
    await using upstream = await rawUpstream((socket) =>
      socket.write('HTTP/1.1 403 Forbidden\r\nX-Why: no\r\nContent-Length: 2\r\n\r\nno'),
    )
    await using tunnelling = await tunnelTo(upstream.origin)
    const { text } = await ask(tunnelling.gateway.gateway.port, offer('tcp'))
    expect(text).toMatch(/^HTTP\/1\.1 403 Forbidden\r\n[^]*X-Why: no\r\n[^]*\r\n\r\n(?:2\r\n)?no/)
  })

  test.each(['h2c', 'other', ''])('a switch to %j, which was not offered, is a 502', async (protocol) => {
    await using upstream = await switching(protocol)
    await using tunnelling = await tunnelTo(upstream.origin)
    expect((await ask(tunnelling.gateway.gateway.port, offer('tcp'))).statuses).toEqual([502])
  })
})

describe('an offer is passed over', () => {
  const answers = (): Promise<RawUpstream> =>
    rawUpstream((socket, received) => {
      if (received.includes('\r\n\r\n')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
    })

  test.each([
    [
      'of h2c, which would carry requests past routes and checks',
      offer('h2c', 'HTTP2-Settings: AAMAAABk\r\n'),
    ],
    ['of HTTP/2.0', offer('HTTP/2.0')],
    ['of TLS/1.0', offer('TLS/1.0')],
    ['of what is no protocol', offer('"x"')],
    ['that Connection does not name', 'GET /x HTTP/1.1\r\nHost: h\r\nUpgrade: tcp\r\n\r\n'],
    ['that has content', `${offer('tcp', 'Content-Length: 2\r\n', 'POST')}ab`],
  ])('%s', async (_name, bytes) => {
    await using upstream = await answers()
    await using tunnelling = await tunnelTo(upstream.origin)
    expect((await ask(tunnelling.gateway.gateway.port, bytes)).statuses).toEqual([200])
    expect(upstream.received.join('')).not.toMatch(/upgrade|http2-settings/i)
  })

  test('of h2c beside another one: only the other one goes on', async () => {
    await using upstream = await switching('tcp')
    await using tunnelling = await tunnelTo(upstream.origin)
    const { socket, read } = await tunnel(
      tunnelling.gateway,
      offer('h2c, tcp', 'HTTP2-Settings: AAMAAABk\r\n'),
    )
    await expect.poll(read).toContain(' 101 ')
    expect(upstream.received[0]).toContain('\r\nUpgrade: tcp\r\n')
    expect(upstream.received[0]).not.toMatch(/h2c|http2-settings/i)
    socket.destroy()
  })

  test('by a function, unless it is of WebSocket', async () => {
    await using upstream = await answers()
    await using tunnelling = await tunnelTo(upstream.origin, 'function')
    expect((await ask(tunnelling.gateway.gateway.port, offer('tcp'))).statuses).toEqual([200])
    expect(upstream.received.join('')).not.toMatch(/upgrade/i)
  })
})

test('nothing that is offered can write a field', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 40 }), (upgrade) => {
      for (const protocol of offeredProtocols(upgrade)) {
        expect(protocol).toMatch(/^[!-~]+$/)
        expect(protocol).not.toMatch(/^(?:h2c?|http)(?:\/|$)/i)
      }
    }),
  )
})
