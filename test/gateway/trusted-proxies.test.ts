import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { openAddressList } from '../../src/core/addresses.ts'
import { readClient } from '../../src/gateway/client.ts'
import { openTest } from './harness.ts'
import { ask, proxyTo, recorder } from './recorder.ts'

const LOOPBACK = ['127.0.0.0/8', '10.0.0.0/8']

interface Seen {
  readonly request: string
  readonly clientAddress: string | undefined
  readonly field: (name: string) => readonly string[]
}

async function through(fields: string, trustedProxies?: readonly string[]): Promise<Seen> {
  await using upstream = await recorder()
  await using gateway = await proxyTo(upstream.origin, { trustedProxies })
  await ask(gateway.gateway.port, `GET / HTTP/1.1\r\nHost: h:1\r\n${fields}\r\n`)
  const [request = ''] = upstream.requests
  await expect.poll(() => gateway.records.length).toBeGreaterThan(0)
  return {
    request,
    clientAddress: gateway.records[0]?.clientAddress,
    field: (name) =>
      [...request.matchAll(new RegExp(`^${name}: (.*)\r$`, 'gim'))].map((match) => match[1] ?? ''),
  }
}

const CLAIMS =
  'X-Forwarded-For: 6.6.6.6, 203.0.113.9, 10.0.0.7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: shop.example\r\n' +
  'X-Forwarded-Port: 443\r\nX-Real-IP: 203.0.113.9\r\nForwarded: for=203.0.113.9;proto=https;host=shop.example\r\n'

describe('a client that is no trusted proxy', () => {
  test('is itself, whatever it claims', async () => {
    const { clientAddress, field, request } = await through(CLAIMS)
    expect(clientAddress).toBe('127.0.0.1')
    expect(field('x-forwarded-for')).toEqual(['127.0.0.1'])
    expect(field('x-forwarded-proto')).toEqual(['http'])
    expect(field('x-forwarded-host')).toEqual(['h:1'])
    expect(field('forwarded')).toEqual(['for=127.0.0.1;proto=http;host="h:1"'])
    expect(request).not.toMatch(/6\.6\.6\.6|203\.0|x-real-ip|x-forwarded-port/i)
  })

  test('is itself also where others are trusted', async () => {
    const { clientAddress, field } = await through(CLAIMS, ['192.0.2.0/24', '2001:db8::/32'])
    expect(clientAddress).toBe('127.0.0.1')
    expect(field('x-forwarded-for')).toEqual(['127.0.0.1'])
  })
})

describe('a proxy that is trusted', () => {
  test('says who the client is: the first hop, from us on, that is not trusted as well', async () => {
    const { clientAddress, field } = await through(CLAIMS, LOOPBACK)
    expect(clientAddress).toBe('203.0.113.9')
    expect(field('x-forwarded-for')).toEqual(['6.6.6.6, 203.0.113.9, 10.0.0.7, 127.0.0.1'])
    expect(field('x-forwarded-proto')).toEqual(['https'])
    expect(field('x-forwarded-host')).toEqual(['shop.example'])
    expect(field('x-forwarded-port')).toEqual(['443'])
    expect(field('x-real-ip')).toEqual(['203.0.113.9'])
    expect(field('forwarded')).toEqual([
      'for=203.0.113.9;proto=https;host=shop.example, for=127.0.0.1;proto=https;host="h:1"',
    ])
  })

  test('may say it in several fields of one name, and in Forwarded alone', async () => {
    const several = await through('X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 203.0.113.9\r\n', LOOPBACK)
    expect(several.clientAddress).toBe('203.0.113.9')
    expect(several.field('x-forwarded-for')).toEqual(['6.6.6.6, 203.0.113.9, 127.0.0.1'])
    expect(several.field('forwarded')).toEqual([
      'for=6.6.6.6, for=203.0.113.9, for=127.0.0.1;proto=http;host="h:1"',
    ])
    const alone = await through('Forwarded: for="[2001:db8::7]:4711";proto=https\r\n', LOOPBACK)
    expect(alone.clientAddress).toBe('2001:db8::7')
    expect(alone.field('x-forwarded-for')).toEqual(['[2001:db8::7]:4711, 127.0.0.1'])
  })

  test('may say in Forwarded alone how the client came, and to which host', async () => {
    const claim = 'Forwarded: for=203.0.113.9;proto=https;host="shop.example:8443"\r\n'
    const { clientAddress, field } = await through(claim, LOOPBACK)
    expect(clientAddress).toBe('203.0.113.9')
    expect(field('x-forwarded-proto')).toEqual(['https'])
    expect(field('x-forwarded-host')).toEqual(['shop.example:8443'])
    expect(field('x-forwarded-for')).toEqual(['203.0.113.9, 127.0.0.1'])
  })

  test.each([
    ['X-Forwarded-Proto: gopher\r\n', 'http'],
    ['X-Forwarded-Proto: https, gopher\r\n', 'https'],
    ['X-Forwarded-Proto: HTTPS\r\n', 'https'],
    ['X-Forwarded-Proto: wss\r\n', 'https'],
    ['X-Forwarded-Proto: javascript:alert(1)\r\n', 'http'],
    ['Forwarded: for=203.0.113.9;proto=gopher\r\n', 'http'],
  ])('passes on no protocol but http and https: %j is %s', async (claim, protocol) => {
    expect((await through(claim, LOOPBACK)).field('x-forwarded-proto')).toEqual([protocol])
  })

  test('that says nothing is the client', async () => {
    const { clientAddress, field } = await through('', LOOPBACK)
    expect(clientAddress).toBe('127.0.0.1')
    expect(field('x-forwarded-for')).toEqual(['127.0.0.1'])
    expect(field('forwarded')).toEqual(['for=127.0.0.1;proto=http;host="h:1"'])
  })

  test('does not make the names with underscores trustworthy, which it did not write', async () => {
    const { request } = await through('X_Forwarded_For: 6.6.6.6\r\nX_Real_IP: 6.6.6.6\r\n', LOOPBACK)
    expect(request).not.toContain('6.6.6.6')
  })

  test('cannot be told by its client, through Connection, to leave out what it says', async () => {
    const { field } = await through(
      'X-Forwarded-For: 203.0.113.9\r\nConnection: x-forwarded-for, forwarded\r\n',
      LOOPBACK,
    )
    expect(field('x-forwarded-for')).toEqual(['203.0.113.9, 127.0.0.1'])
  })

  test('tells functions as well: address and protocol of the context', async () => {
    const seen: unknown[] = []
    await using gateway = await openTest(
      {
        handle(_incoming, outgoing, { clientAddress, clientPort, protocol, trustedPeer }) {
          seen.push({ clientAddress, clientPort, protocol, trustedPeer })
          outgoing.end()
          return Promise.resolve()
        },
      },
      { trustedProxies: LOOPBACK },
    )
    await gateway.raw(
      'GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 203.0.113.9:81\r\nX-Forwarded-Proto: HTTPS, http\r\n\r\n',
    )
    expect(seen).toEqual([
      { clientAddress: '203.0.113.9', clientPort: 81, protocol: 'https', trustedPeer: '127.0.0.1' },
    ])
  })

  test('from outside does not pass for this machine: control paths stay closed', async () => {
    await using gateway = await openTest({ routes: [], functions: new Map() }, { trustedProxies: LOOPBACK })
    const answer = await gateway.raw(
      'GET /_flexi/x HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n',
    )
    expect(answer).toMatch(/^HTTP\/1\.1 403 /)
  })
})

describe('the claims of Forwarded', () => {
  const trusted = openAddressList(LOOPBACK)
  const peer = { address: '127.0.0.1', port: 1, protocol: 'http', trustedPeer: undefined } as const
  const read = (
    headers: Record<string, string>,
  ): { address: string; protocol: string; host: string | undefined } => {
    const { address, protocol, forwardedHost } = readClient(headers, peer, trusted)
    return { address, protocol, host: forwardedHost }
  }

  test.each([
    ['for=6.6.6.6;proto=http;host=evil, for=203.0.113.9;proto=https;host=a', '203.0.113.9', 'https', 'a'],
    ['for=203.0.113.9;proto=https;host=a, for=10.0.0.7;proto=http;host=b', '203.0.113.9', 'https', 'a'],
    ['for=203.0.113.9, for=10.0.0.7;proto=https', '203.0.113.9', 'https', undefined],
    ['for=_hidden;proto=https;host=a', '127.0.0.1', 'https', 'a'],
    ['proto=https;host=a', '127.0.0.1', 'https', 'a'],
    ['for=6.6.6.6;proto=http, proto=https', '127.0.0.1', 'https', undefined],
    [
      'Proto="https" ; For="203.0.113.9:81";HOST="[2001:db8::1]:8443"',
      '203.0.113.9',
      'https',
      '[2001:db8::1]:8443',
    ],
    ['for=203.0.113.9;host="a b"', '203.0.113.9', 'http', undefined],
    ['for=203.0.113.9;host="a\\"b"', '203.0.113.9', 'http', undefined],
    ['for="6.6.6.6, for="[2001:db8::7]";proto=https', '2001:db8::7', 'https', undefined],
    ['nonsense', '127.0.0.1', 'http', undefined],
  ])('%j are those of the client’s hop', (forwarded, address, protocol, host) => {
    expect(read({ forwarded })).toEqual({ address, protocol, host })
  })

  test('do not count beside X-Forwarded-For, because who writes that may have passed on any Forwarded', () => {
    const headers = { 'x-forwarded-for': '203.0.113.9', forwarded: 'for=6.6.6.6;proto=https;host=evil' }
    expect(read(headers)).toEqual({ address: '203.0.113.9', protocol: 'http', host: undefined })
  })

  test('count before X-Forwarded-Proto, because who writes them may have passed on any of that', () => {
    const forwarded = 'for=203.0.113.9;proto=https'
    expect(read({ forwarded, 'x-forwarded-proto': 'http' }).protocol).toBe('https')
    expect(read({ forwarded: 'for=203.0.113.9', 'x-forwarded-proto': 'https' }).protocol).toBe('https')
  })

  test('of the client itself never count', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary-ascii', maxLength: 60 }), (claim) => {
        const forwarded = `${claim}, for="[2001:db8::7]";proto=https;host="a"`
        expect(read({ forwarded })).toEqual({ address: '2001:db8::7', protocol: 'https', host: 'a' })
      }),
    )
  })
})

describe('whatever a chain holds', () => {
  const trusted = openAddressList(LOOPBACK)
  const peer = { address: '127.0.0.1', port: 1, protocol: 'http', trustedPeer: undefined } as const
  const client = (chain: string): string => readClient({ 'x-forwarded-for': chain }, peer, trusted).address

  test.each([
    ['garbage', '127.0.0.1'],
    ['', '127.0.0.1'],
    ['203.0.113.9, unknown, 10.0.0.1', '10.0.0.1'],
    ['10.0.0.2, 10.0.0.1', '10.0.0.2'],
    ['203.0.113.9,,10.0.0.1', '10.0.0.1'],
    ['::ffff:203.0.113.9', '203.0.113.9'],
    ['2001:db8::7', '2001:db8::7'],
    ['[2001:db8::7]:80', '2001:db8::7'],
    ['203.0.113.9:80', '203.0.113.9'],
    ['203.0.113.9:80:80', '127.0.0.1'],
    ['a.example', '127.0.0.1'],
  ])('%j is %s', (chain, address) => {
    expect(client(chain)).toBe(address)
  })

  test('what the client itself put in front never counts', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary-ascii', maxLength: 60 }), (claim) => {
        expect(client(`${claim}, 203.0.113.9, 10.0.0.1`)).toBe('203.0.113.9')
      }),
    )
  })
})

describe('X-Request-Id', () => {
  const UUID = '[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}'

  test('of ours, where the client sent none, goes to the upstream, to the client and into the record', async () => {
    await using upstream = await recorder()
    await using gateway = await proxyTo(upstream.origin)
    const { text } = await ask(gateway.gateway.port, 'GET / HTTP/1.1\r\nHost: h\r\n\r\n')
    const sent = new RegExp(`^X-Request-Id: (${UUID})\r$`, 'm').exec(upstream.requests[0] ?? '')?.[1]
    expect(sent).toBeDefined()
    expect(text).toContain(`\r\nX-Request-Id: ${sent}\r\n`)
    await expect.poll(() => gateway.records[0]).toMatchObject({ id: sent })
    expect(gateway.records[0]?.traceId).toBeUndefined()
  })

  test('of the client is kept, sent back, and recorded beside ours', async () => {
    await using upstream = await recorder()
    await using gateway = await proxyTo(upstream.origin)
    const { text } = await ask(
      gateway.gateway.port,
      'GET / HTTP/1.1\r\nHost: h\r\nx-request-ID: trace/1:2\r\nConnection: x-request-id\r\n\r\n',
    )
    expect(upstream.requests[0]).toContain('\r\nx-request-ID: trace/1:2\r\n')
    expect(upstream.requests[0]?.match(/request-id/gi)).toHaveLength(1)
    expect(text).toContain('\r\nX-Request-Id: trace/1:2\r\n')
    await expect.poll(() => gateway.records[0]).toMatchObject({ traceId: 'trace/1:2' })
  })

  test.each([
    ['too long', 'a'.repeat(201)],
    ['with a space, which could be a second entry of a log', 'a b'],
    ['with bytes beyond ASCII', '\xe9'],
    ['empty', ''],
  ])('%s is replaced', async (_name, id) => {
    await using upstream = await recorder()
    await using gateway = await proxyTo(upstream.origin)
    await ask(
      gateway.gateway.port,
      `GET / HTTP/1.1\r\nHost: h\r\nX-Request-Id: ${id}\r\nX_Request_Id: evil\r\n\r\n`,
    )
    expect(upstream.requests[0]?.match(/x.request.id: .*/gi)).toEqual([
      expect.stringMatching(new RegExp(`^X-Request-Id: ${UUID}$`)),
    ])
  })

  test('sent twice is replaced: nobody knows which one counts', async () => {
    await using upstream = await recorder()
    await using gateway = await proxyTo(upstream.origin)
    await ask(gateway.gateway.port, 'GET / HTTP/1.1\r\nHost: h\r\nX-Request-Id: a\r\nX-Request-Id: b\r\n\r\n')
    expect(upstream.requests[0]?.match(/x.request.id: .*/gi)).toEqual([
      expect.stringMatching(new RegExp(`^X-Request-Id: ${UUID}$`)),
    ])
  })

  test('of the upstream’s answer stays the upstream’s', async () => {
    await using upstream = await recorder(
      () => 'HTTP/1.1 200 OK\r\nX-Request-ID: theirs\r\nContent-Length: 0\r\n\r\n',
    )
    await using gateway = await proxyTo(upstream.origin)
    const { text } = await ask(gateway.gateway.port, 'GET / HTTP/1.1\r\nHost: h\r\n\r\n')
    expect(text.match(/x-request-id: .*/gi)).toEqual(['X-Request-ID: theirs'])
  })
})
