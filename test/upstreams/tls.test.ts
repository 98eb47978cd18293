import { once } from 'node:events'
import type { RequestListener } from 'node:http'
import { createServer, type ServerOptions } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import type { UpstreamTls } from '../../src/core/upstream.ts'
import { upstreamError } from '../../src/forward/upstream-error.ts'
import { Origins } from '../../src/upstreams/origins.ts'
import { openAuthority, type Authority, type Certificate } from './certificates.ts'
import { get, origin, proxyTo } from './harness.ts'

let authority: Authority
let localhost: Certificate

beforeAll(async () => {
  authority = await openAuthority()
  localhost = await authority.issue('localhost', '127.0.0.1', 'app.internal')
})
afterAll(() => authority[Symbol.asyncDispose]())

interface SecureOrigin extends AsyncDisposable {
  readonly port: number
  readonly url: string
  /** Names asked for, one a connection; empty for none. */
  readonly names: string[]
}

async function secure(options: ServerOptions, answer?: RequestListener): Promise<SecureOrigin> {
  const names: string[] = []
  const server = createServer(
    options,
    answer ?? ((incoming, outgoing) => outgoing.end(incoming.headers.host)),
  )
  server.on('secureConnection', (socket: TLSSocket & { servername?: string | false }) => {
    names.push(socket.servername || '')
    socket.on('error', () => undefined)
  })
  server.on('tlsClientError', () => undefined)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    port,
    names,
    url: `https://localhost:${port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

const caOf = async (): Promise<UpstreamTls> => ({ ca: await authority.file('ca.pem', authority.cert) })

async function problem(url: string): Promise<{ status: number; detail: string; hint: string }> {
  return (await (await fetch(url)).json()) as { status: number; detail: string; hint: string }
}

describe('an https origin', () => {
  test('is believed when a trusted authority stands for its name, and is asked by its own name', async () => {
    await using upstream = await secure(localhost)
    await using proxy = await proxyTo([upstream.url], { tls: await caOf() })
    expect(await get(proxy.url)).toBe(`localhost:${upstream.port}`)
    expect(upstream.names).toEqual(['localhost'])
  })

  test('gets the client’s Host when the settings say so, over the same connection whatever the Host', async () => {
    await using upstream = await secure(localhost)
    await using proxy = await proxyTo([upstream.url], { tls: await caOf(), host: 'keep' })
    for (const host of ['one.example', 'two.example', 'one.example']) {
      expect(await proxy.raw(`GET / HTTP/1.0\r\nHost: ${host}\r\n\r\n`)).toMatch(new RegExp(`${host}$`))
    }
    expect(upstream.names).toEqual(['localhost'])
  })

  test('by address is checked by address, and asked for no name', async () => {
    await using upstream = await secure(localhost)
    await using proxy = await proxyTo([`https://127.0.0.1:${upstream.port}`], {
      tls: await caOf(),
      host: 'keep',
    })
    expect(await proxy.raw('GET / HTTP/1.0\r\nHost: a\r\n\r\n')).toMatch(/\r\n\r\na$/)
    expect(upstream.names).toEqual([''])
  })

  test('may be known by another name', async () => {
    await using upstream = await secure(localhost)
    const tls = { ...(await caOf()), serverName: 'app.internal' }
    await using proxy = await proxyTo([upstream.url], { tls })
    expect(await get(proxy.url)).toBe(`localhost:${upstream.port}`)
    expect(upstream.names).toEqual(['app.internal'])
  })

  test('with a certificate of nobody’s is refused, and the settings that mend it are named', async () => {
    await using upstream = await secure(localhost)
    await using proxy = await proxyTo([upstream.url])
    const { status, hint, detail } = await problem(proxy.url)
    expect(status).toBe(502)
    expect(detail).toContain(upstream.url)
    expect(hint).toMatch(/"tls\.ca".*"tls\.verify" to false/)
    await using careless = await proxyTo([upstream.url], { tls: { verify: false } })
    expect(await get(careless.url)).toBe(`localhost:${upstream.port}`)
  })

  test('with a certificate for another name, or one whose time is over', async () => {
    await using other = await secure(await authority.issue('other.internal'))
    await using proxy = await proxyTo([other.url], { tls: await caOf() })
    expect((await problem(proxy.url)).hint).toContain('"tls.server_name"')
    await using old = await secure(await authority.issueExpired('localhost'))
    await using expired = await proxyTo([old.url], { tls: await caOf() })
    expect((await problem(expired.url)).detail).toContain('expired')
  })

  test('that wants a client certificate gets it', async () => {
    const mutual = { ...localhost, requestCert: true, rejectUnauthorized: true, ca: authority.cert }
    await using upstream = await secure(mutual, (incoming, outgoing) => {
      outgoing.end(String((incoming.socket as TLSSocket).getPeerCertificate().subject.CN))
    })
    const client = await authority.issue('flexi-client')
    const tls = {
      ...(await caOf()),
      cert: await authority.file('client.pem', client.cert),
      key: await authority.file('client.key', client.key),
    }
    await using proxy = await proxyTo([upstream.url], { tls })
    expect(await get(proxy.url)).toBe('flexi-client')
  })

  test.each([
    [
      'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED',
      'error:0A00045C:SSL routines:ssl3_read_bytes:tlsv13 alert certificate required',
    ],
    ['EPROTO', 'write EPROTO error:0A000410:SSL routines:ssl3_read_bytes:sslv3 alert handshake failure'],
  ])('that misses a client certificate is told apart from one that speaks no TLS: %s', (code, text) => {
    const error = upstreamError('https://a', Object.assign(new Error(text), { code }), false)
    expect(error.hint).toContain('"tls.cert" and "tls.key"')
  })

  test('that speaks no TLS', async () => {
    await using plain = await origin('plain')
    await using proxy = await proxyTo([`https://127.0.0.1:${plain.port}`])
    expect((await problem(proxy.url)).hint).toBe('Write http:// in place of https://.')
  })

  test('is checked and upgraded under the same rules', async () => {
    await using upstream = await secure(localhost)
    const health = { path: '/', intervalMs: 50 }
    await using proxy = await proxyTo([upstream.url], { health })
    await expect.poll(() => proxy.events.length).toBe(1)
    expect(proxy.events[0]).toMatch(/^upstream\.down .* certificate that cannot be trusted/)
    const handshake = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'
    await using strict = await proxyTo([upstream.url])
    expect(await strict.raw(handshake)).toMatch(/^HTTP\/1\.1 502 [^]*"tls\.ca/)
    await using trusting = await proxyTo([upstream.url], { tls: await caOf(), health })
    // The server knows no WebSockets and answers the request.
    expect(await trusting.raw(handshake)).toMatch(/^HTTP\/1\.1 200 /)
    expect(trusting.upstream.states()[0]?.circuit).toBe('closed')
  })
})

test('a file that was written anew is read by the upstream that opens next, though its settings are the same', async () => {
  await using upstream = await secure(localhost)
  const origins = new Origins()
  await using other = await openAuthority()
  const tls = { ca: await authority.file('changing.pem', other.cert) }
  await using before = await proxyTo([upstream.url], { tls }, { origins })
  expect(await get(before.url)).toBe('502')
  await authority.file('changing.pem', `${authority.cert}\n${other.cert}`)
  await using after = await proxyTo([upstream.url], { tls }, { origins })
  expect(await get(after.url)).toBe(`localhost:${upstream.port}`)
})

describe('files that cannot be used are told when the upstream opens', () => {
  test.each([
    [
      'missing',
      async () => ({ ca: '/nowhere/ca.pem' as UpstreamTls['ca'] }),
      /cannot read \/nowhere\/ca\.pem/,
    ],
    ['no PEM', async () => ({ ca: await authority.file('junk', 'junk') }), /is no PEM file/],
    [
      'a key of another certificate',
      async () => ({
        cert: await authority.file('a.pem', localhost.cert),
        key: await authority.file('b.key', authority.key),
      }),
      /cannot use .*a\.pem, .*b\.key for TLS/,
    ],
  ] as const)('%s', async (_title, tls, message) => {
    await expect(proxyTo(['https://localhost:1'], { tls: await tls() })).rejects.toMatchObject({
      code: 'FLEXI_CONFIG',
      message: expect.stringMatching(message) as string,
    })
  })
})
