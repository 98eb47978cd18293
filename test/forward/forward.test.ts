import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { once } from 'node:events'

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import type { Fetcher } from '../../src/core/fetcher.ts'
import { requestFields, responseFields, type FieldRules } from '../../src/forward/fields.ts'
import { createDispatcher, forward, UpstreamError, type ForwardTarget } from '../../src/forward/forward.ts'
import { authorityOf, originForm } from '../../src/forward/request-line.ts'
import { httpUpstream, openTest } from '../gateway/harness.ts'

function through(target: ForwardTarget): Fetcher {
  return { handle: (incoming, outgoing, context) => forward(target, { incoming, outgoing, context }) }
}

describe('a target of an emulator', () => {
  test('gets Host and everything else as sent, our own fields in place of the client’s, and no sign of us', async () => {
    let seen: readonly string[] = []
    await using upstream = await httpUpstream((incoming, outgoing) => {
      seen = incoming.rawHeaders
      outgoing.end()
    })
    const dispatcher = await createDispatcher(upstream.origin)
    await using test_ = await openTest(
      through({
        dispatcher,
        origin: upstream.origin,
        host: 'keep',
        forwarded: false,
        fields: ['MF-CF-Blob', '{"colo":"LOC"}'],
        dropped: ['mf-original-url'],
      }),
    )
    await test_.raw(
      'GET / HTTP/1.1\r\nHost: a.example\r\nmf-cf-blob: {"evil":1}\r\nMF-Original-URL: x\r\nX-Forwarded-For: kept\r\n\r\n',
    )
    expect(seen.join(' ')).toBe(
      'host a.example connection keep-alive X-Forwarded-For kept MF-CF-Blob {"colo":"LOC"}',
    )
    await dispatcher.close()
  })

  test('may have another Host, and listen on a Unix socket', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'flexi-forward-'))
    const socketPath = join(folder, 's')
    const server = createServer((incoming, outgoing) => outgoing.end(incoming.headers.host)).listen(
      socketPath,
    )
    await once(server, 'listening')
    const dispatcher = await createDispatcher('http://unix', { socketPath })
    await using test_ = await openTest(
      through({ dispatcher, origin: 'http://unix', host: 'other', forwarded: false }),
    )
    expect(await (await fetch(test_.url)).text()).toBe('other')
    await dispatcher.close()
    await new Promise((resolve) => server.close(resolve))
    await rm(folder, { recursive: true })
  })

  test('rejects before the head with what the caller can act on', async () => {
    const dispatcher = await createDispatcher('http://127.0.0.1:1')
    const target: ForwardTarget = { dispatcher, origin: 'http://127.0.0.1:1', host: 'keep', forwarded: false }
    const errors: unknown[] = []
    await using test_ = await openTest({
      async handle(incoming, outgoing, context) {
        await forward(target, { incoming, outgoing, context }).catch((error: unknown) => errors.push(error))
        // Nothing was taken: the caller may answer, or ask somebody else, content included.
        let body = ''
        for await (const chunk of incoming) body += String(chunk)
        outgoing.end(body)
      },
    })
    expect(await (await fetch(test_.url, { method: 'POST', body: 'content' })).text()).toBe('content')
    expect(errors).toHaveLength(1)
    expect(errors[0]).toBeInstanceOf(UpstreamError)
    expect(errors[0]).toMatchObject({ code: 'FLEXI_UPSTREAM_UNREACHABLE', sent: false, status: 502 })
    await dispatcher.close()
  })
})

test.each(['whole', 'in parts'])(
  'fields that cannot be written are the upstream’s fault: 502, %s',
  async (way) => {
    await using upstream = await httpUpstream((_incoming, outgoing) => {
      outgoing.write('content')
      if (way === 'whole') outgoing.end()
    })
    const { origin } = upstream
    const dispatcher = await createDispatcher(origin)
    const target: ForwardTarget = { dispatcher, origin, host: 'keep', forwarded: false }
    // Stands for whatever a hook, or another parser than today's, may let through.
    const hook = { accepts: () => true, edit: () => ['X', 'a\rb'] }
    await using test_ = await openTest({
      handle: (incoming, outgoing, context) => forward(target, { incoming, outgoing, context, hook }),
    })
    const answer = await fetch(test_.url)
    expect(answer.status).toBe(502)
    expect(await answer.json()).toMatchObject({ code: 'FLEXI_UPSTREAM_RESPONSE' })
    await dispatcher.destroy()
  },
)

describe('fields', () => {
  const rules: FieldRules = { host: 'keep', forwarded: false }
  const ask = (raw: string[], own: FieldRules = rules): string[] => {
    const headers: Record<string, string> = {}
    for (let i = 0; i + 1 < raw.length; i += 2) headers[(raw[i] ?? '').toLowerCase()] = raw[i + 1] ?? ''
    const incoming = { headers, httpVersion: '1.1' } as unknown as IncomingMessage
    const context = {
      raw: { method: 'GET', target: '/', fields: raw },
      clientAddress: '::1',
      protocol: 'http' as const,
      id: 'ID',
    }
    return requestFields(own, incoming, context as unknown as Parameters<typeof requestFields>[2])
  }
  const name = fc.stringMatching(/^X-[A-Za-z0-9-]{1,40}$/)
  const pair = fc.tuple(name, fc.stringMatching(/^[ -~]{0,20}$/))

  test('end-to-end fields pass unchanged in both directions, whatever their names, order and number', () => {
    fc.assert(
      fc.property(fc.array(pair, { maxLength: 20 }), (pairs) => {
        const raw = pairs.flat()
        expect(ask(raw)).toEqual(raw)
        expect(responseFields(raw, { status: 200, method: 'GET', httpVersion: '1.1' })).toEqual(raw)
      }),
    )
  })

  test('every field that Connection names is dropped, in any case', () => {
    fc.assert(
      fc.property(
        fc.array(pair, { maxLength: 8 }),
        fc.array(name, { minLength: 1, maxLength: 4 }),
        (pairs, named) => {
          const list = new Set(named.map((one) => one.toLowerCase()))
          const raw = pairs.flat()
          const kept = pairs.filter(([one]) => !list.has(one.toLowerCase())).flat()
          const connection = ['Connection', `keep-alive, ${named.join(' ,').toUpperCase()}`]
          expect(ask([...raw, ...connection])).toEqual(kept)
          expect(
            responseFields([...connection, ...raw], { status: 200, method: 'GET', httpVersion: '1.1' }),
          ).toEqual(kept)
        },
      ),
    )
  })

  test('an IPv6 client is quoted as RFC 7239 wants', () => {
    expect(ask(['Host', 'a'], { host: 'keep', forwarded: true }).join(' ')).toBe(
      'Host a X-Forwarded-For ::1 X-Forwarded-Proto http X-Forwarded-Host a Forwarded for="[::1]";proto=http;host="a" Via 1.1 flexi X-Request-Id ID',
    )
  })
})

test.each([
  ['/x?y', '/x?y', undefined],
  ['*', '*', undefined],
  ['http://h', '/', 'h'],
  ['http://h/x?y', '/x?y', 'h'],
  ['HTTPS://u@h:1?y', '/?y', 'u@h:1'],
  ['/a://b/c', '/a://b/c', undefined],
])('%s is %s of %s', (target, path, authority) => {
  expect(originForm(target)).toBe(path)
  expect(authorityOf(target)).toBe(authority)
})
