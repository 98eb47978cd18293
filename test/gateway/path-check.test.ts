import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import type { Fetcher } from '../../src/core/fetcher.ts'
import type { RouteMatcher } from '../../src/core/route.ts'
import { parseTemplate } from '../../src/core/route.ts'
import type { GatewayOptions } from '../../src/gateway/gateway.ts'
import { checkPath } from '../../src/gateway/path-check.ts'
import { matchRoute, type RouteTable } from '../../src/gateway/route-table.ts'
import { bound, openTest } from './harness.ts'
import { forwarder, recorder } from './recorder.ts'

/** Answers with its name and the target it was asked for. */
function named(name: string): Fetcher {
  return {
    handle(_incoming, outgoing, context) {
      outgoing.end(`${name} ${context.raw.target}`)
      return Promise.resolve()
    },
  }
}

const path = (of: string): RouteMatcher => ({ kind: 'path', path: of })

function tableOf(...matchers: readonly [string, RouteMatcher][]): RouteTable {
  return {
    routes: matchers.map(([name, matcher]) => bound(matcher, named(name), name)),
    functions: new Map(),
  }
}

const API = tableOf(['admin', path('/admin')], ['api', path('/api')])

async function statusOf(target: string, table = API, options: Partial<GatewayOptions> = {}): Promise<string> {
  await using gateway = await openTest(table, options)
  const answer = await gateway.raw(`GET ${target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n`)
  const status = answer.slice(9, 12)
  return status === '200'
    ? answer.slice(answer.indexOf('\r\n\r\n') + 4).replaceAll(/[0-9a-f]+\r\n|\r\n/g, '')
    : status
}

describe('a path that leads elsewhere for a server that makes it plain is refused', () => {
  test.concurrent.each([
    '/api/../admin',
    '/api/%2e%2e/admin',
    '/api/%2E./admin',
    '/api/.%2e/admin',
    '/api/..%2fadmin',
    '/api/..%2Fadmin',
    '/api/..%5cadmin',
    '/api/..\\admin',
    '/api/..;/admin',
    '/api/x;/../../admin',
    '/api/%252e%252e/admin',
    '/api/..%252fadmin',
    '/api/%25252e%25252e%25252fadmin',
    '/api/./../admin',
    '/api/.//../admin',
    '/api//../admin',
    '/api/x/..//../admin',
    // Leaves and comes back: with the prefix taken off, it would lead above what the route shows.
    '/api/../api/x',
    '/api/x/../../api/y',
    // One server sees /admin here, another one /api.
    '/api/%2e%2e/admin/..%2fapi/x',
    '/api/..',
    '/api/%2e%2e',
    '/api/x%00',
    '/api/%00/../x',
    // As absolute-form.
    'http://h/api/../admin',
    `/api${'/x'.repeat(40)}${'/..'.repeat(20)}`,
  ])('%s', async (target) => {
    expect(await statusOf(target)).toBe('400')
  })

  test('above the root, whoever has the root: the upstream may serve less than its host', async () => {
    const root = tableOf(['root', path('/')])
    for (const target of ['/..', '/../x', '/x/../../y', '/%2e%2e/x', '/..%2fx'])
      expect(await statusOf(target, root)).toBe('400')
  })

  test('with prefixes of bytes, whose route begins within a segment', async () => {
    const prefix = (of: string): RouteMatcher => ({ kind: 'prefix', prefix: of })
    const bytes = tableOf(['admin', prefix('/admin')], ['api', prefix('/api')])
    for (const target of ['/api%2f../admin', '/api\\..\\admin', '/api;x/../admin', '/apix/../admin'])
      expect(await statusOf(target, bytes)).toBe('400')
  })

  test('slashes that merge into another route', async () => {
    const both = tableOf(['admin', path('/admin')], ['root', path('/')])
    expect(await statusOf('//admin', both)).toBe('400')
    expect(await statusOf('/\\admin', both)).toBe('400')
    expect(await statusOf('//other', both)).toBe('root //other')
  })
})

describe('a path that every server takes for the same route is forwarded byte for byte', () => {
  test.concurrent.each([
    '/api',
    '/api?x=/../admin',
    '/api/x?next=//admin&y=%2e%2e\\',
    '/api/a%2Fb',
    '/api/a%5Cb',
    '/api/a/../b',
    '/api/./b',
    '/api/a/%2e%2e/b',
    '/api//b',
    '/api/https://a.example/b',
    '/api/.well-known/x',
    '/api/...',
    '/api/a..b',
    '/api/a.b/.c',
    '/api/a;v=1/b',
    '/api/%20%C3%A9',
    '/api/%zz',
    '/api/a\\b',
  ])('%s', async (target) => {
    expect(await statusOf(target)).toBe(`api ${target}`)
  })

  test('an escaped slash within a parameter', async () => {
    const users = tableOf([
      'user',
      { kind: 'template', method: 'GET', segments: parseTemplate('/users/{id}') },
    ])
    expect(await statusOf('/users/a%2Fb', users)).toBe('user /users/a%2Fb')
    expect(await statusOf('/users/..%2Fb', users)).toBe('400')
  })
})

describe('a route is not gone around by another spelling', () => {
  const guarded = tableOf(['admin', path('/admin')], ['root', path('/')])

  test.concurrent.each([
    '/%61dmin',
    '/adm%69n/x',
    '/%2fadmin',
    '/admin%2fx',
    '/%5cadmin',
    '/;/admin',
    '/admin;x',
    '/%2561dmin',
    '/%25%36%31dmin',
    '/%%361dmin',
    '/admin%3Bx',
  ])('%s', async (target) => {
    expect(await statusOf(target, guarded)).toBe('400')
  })

  test('what is escaped within one route stays as it is', async () => {
    for (const target of ['/files/a%2Fb%20c', '/caf%C3%A9', '/x;v=1', '/x?%61dmin'])
      expect(await statusOf(target, guarded)).toBe(`root ${target}`)
  })

  test('a rule that is written escaped takes its own spelling, and guards the others', async () => {
    const cafe = tableOf(['cafe', path('/caf%C3%A9')], ['root', path('/')])
    expect(await statusOf('/caf%C3%A9/x', cafe)).toBe('cafe /caf%C3%A9/x')
    expect(await statusOf('/caf%c3%a9/x', cafe)).toBe('400')
  })

  test('a template takes an escaped slash, but not what belongs to a guarded route', async () => {
    const template: RouteMatcher = { kind: 'template', method: 'GET', segments: parseTemplate('/{id}') }
    const admin = bound(path('/admin'), named('admin'))
    const protection = { allow: ['10.0.0.0/8'] }
    const table = {
      routes: [{ ...admin, rule: { ...admin.rule, protection } }, bound(template, named('user'))],
      functions: new Map(),
    }
    expect(await statusOf('/a%2Fb', table)).toBe('user /a%2Fb')
    expect(await statusOf('/%61dmin', table)).toBe('400')
  })

  test('for any target, no plain reading of what passes belongs to another route', () => {
    const nested = tableOf(['b', path('/a/b')], ['a', path('/a')], ['root', path('/')])
    const piece = fc.constantFrom(
      '/',
      '%2f',
      '%5c',
      '\\',
      ';',
      ';x',
      'a',
      '%61',
      '%2561',
      'b',
      '%62',
      '.',
      '%2e',
    )
    const once = (text: string): string =>
      text.replaceAll(/%([2-7][0-9a-f])/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
    const plain = (text: string): string =>
      new URL(
        `http://h${text
          .replaceAll('\\', '/')
          .replaceAll(/;[^/]*/g, '')
          .replaceAll(/\/+/g, '/')}`,
      ).pathname
    const routeOf = (target: string) => matchRoute(nested, { method: 'GET', target, fields: [] })?.route
    const passes = (target: string): boolean => {
      const route = routeOf(target)
      if (route === undefined) return false
      try {
        checkPath({ method: 'GET', target, fields: [] }, nested, route)
        return true
      } catch {
        return false
      }
    }
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
        const target = `/${pieces.join('')}`
        if (!passes(target)) return
        expect(routeOf(plain(once(target)))).toBe(routeOf(target))
        expect(routeOf(plain(once(once(target))))).toBe(routeOf(target))
      }),
      { numRuns: 2_000 },
    )
  })
})

test('no route stays no route, whatever its plain path would be', async () => {
  expect(await statusOf('/other/../api/x')).toBe('404')
})

test('raw matches bytes alone, as FlexiLib does', async () => {
  expect(await statusOf('/api/../admin', API, { paths: 'raw' })).toBe('api /api/../admin')
})

test('an upgrade is checked like every other request', async () => {
  const upgrading: Fetcher = {
    ...named('api'),
    upgrade: (_incoming, socket) => void socket.end('HTTP/1.1 101 Switching Protocols\r\n\r\n'),
  } as Fetcher
  const table = {
    routes: [bound(path('/admin'), named('admin')), bound(path('/api'), upgrading)],
    functions: new Map(),
  }
  await using gateway = await openTest(table)
  const shake = (target: string): string =>
    `GET ${target} HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: a\r\n\r\n`
  expect(await gateway.raw(shake('/api/x'))).toMatch(/^HTTP\/1\.1 101 /)
  expect(await gateway.raw(shake('/api/../admin'))).toMatch(/^HTTP\/1\.1 400 /)
})

test('what is refused never reaches an upstream, and what passes reaches it as it came', async () => {
  await using upstream = await recorder()
  await using fetcher = await forwarder(upstream.origin, { basePath: '/base' })
  await using gateway = await openTest({ routes: [bound(path('/'), fetcher)], functions: new Map() })
  await gateway.raw('GET /../secret HTTP/1.1\r\nHost: h\r\n\r\n')
  await gateway.raw('GET /a/../b%2F?c HTTP/1.1\r\nHost: h\r\n\r\n')
  expect(upstream.requests.map((request) => request.split(' ')[1])).toEqual(['/base/a/../b%2F?c'])
})

describe('for any path', () => {
  const part = fc.constantFrom(
    '/',
    '//',
    '..',
    '.',
    '%2e',
    '%2E',
    '%2f',
    '%5c',
    '\\',
    ';',
    ';x',
    '%252e',
    'api',
    'admin',
    'a',
    '%',
  )
  const target = fc.array(part, { maxLength: 12 }).map((parts) => `/api/${parts.join('')}`)

  /** What a server does that knows RFC 3986 and nothing else. */
  const resolve = (raw: string): string => new URL(`http://h${raw.replaceAll('\\', '%5c')}`).pathname

  const isRefused = (raw: string): boolean => {
    const request = { method: 'GET', target: raw, fields: [] }
    const match = matchRoute(API, request)
    if (match === undefined) return false
    try {
      checkPath(request, API, match.route)
      return false
    } catch {
      return true
    }
  }

  test('what passes is below the route for a server that resolves dots as browsers do', () => {
    fc.assert(
      fc.property(target, (raw) => {
        expect(isRefused(raw) ? '/api' : resolve(raw)).toMatch(/^\/api(?:[/;%]|$)/)
      }),
      { numRuns: 2_000 },
    )
  })

  test('what passes is below it for one that takes backslashes and escaped slashes for slashes and merges them', () => {
    const lenient = (raw: string): string =>
      resolve(raw.replaceAll(/%2f|%5c|\\/gi, '/').replaceAll(/\/+/g, '/'))
    fc.assert(
      fc.property(target, (raw) => {
        expect(isRefused(raw) ? '/api' : lenient(raw)).toMatch(/^\/api(?:[/;%]|$)/)
      }),
      { numRuns: 2_000 },
    )
  })

  test('the check takes no time worth naming, however long the path', () => {
    const long = `/api/${'..%2f%252e;/'.repeat(1_300)}`
    const start = performance.now()
    for (let i = 0; i < 10; i++) isRefused(long)
    expect((performance.now() - start) / 10).toBeLessThan(50)
  })
})
