import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { parseTemplate, type RouteMatcher } from '../../src/core/route.ts'
import { matchRoute, type RouteTable } from '../../src/gateway/route-table.ts'
import { bound, text } from './harness.ts'

function table(matchers: readonly RouteMatcher[]): RouteTable {
  return {
    routes: matchers.map((matcher, i) => bound(matcher, text('x'), `#${i + 1}`)),
    functions: new Map(),
  }
}

function which(
  matchers: readonly RouteMatcher[],
  target: string,
  options: { method?: string; fields?: string[] } = {},
) {
  const { method = 'GET', fields = [] } = options
  return matchRoute(table(matchers), { method, target, fields })?.route.rule.pattern
}

const prefix = (value: string): RouteMatcher => ({ kind: 'prefix', prefix: value })
const field = (valuePrefix: string, pathPrefix: string | undefined): RouteMatcher => ({
  kind: 'field',
  name: 'host',
  valuePrefix,
  pathPrefix,
})
const path = (value: string): RouteMatcher => ({ kind: 'path', path: value })
const route = (text_: string): RouteMatcher => {
  const [method, template] = text_.split(' ')
  return {
    kind: 'template',
    method: method === 'ANY' || method === '$default' ? undefined : method,
    segments: template === undefined ? undefined : parseTemplate(template),
  }
}

describe('FlexiLib rules', () => {
  const shipped = [field('iam', '/'), prefix('/c'), prefix('/')]

  test.each([
    ['first field rule', shipped, '/anything', ['Host', 'iam.aws.x'], '#1'],
    ['value prefixes are case-sensitive', shipped, '/', ['Host', 'IAM.x'], '#3'],
    ['a prefix is bytes of the target, query included', shipped, '/cat?x=1', [], '#2'],
    ['names are case-insensitive, and order wins', shipped, '/c', ['hOsT', 'iamx'], '#1'],
    ['an empty path part takes every path', [field('iam', '')], '/bar', ['Host', 'iam'], '#1'],
    [
      'a field rule without a path part takes nothing',
      [field('iam', undefined)],
      '/',
      ['Host', 'iam'],
      undefined,
    ],
    ['absolute-form does not begin with a slash', [prefix('/')], 'http://h/x', ['Host', 'h'], undefined],
    ['* does not begin with a slash', [prefix('/')], '*', ['Host', 'h'], undefined],
  ] as const)('%s', (...[, matchers, target, fields, expected]) => {
    expect(which(matchers, target, { fields: [...fields] })).toBe(expected)
  })

  test('looks only at the first field of the name', () => {
    expect(which(shipped, '/', { fields: ['Host', 'other', 'Host', 'iam'] })).toBe('#3')
    expect(which(shipped, '/', { fields: ['X-Host', 'iam'] })).toBe('#3')
  })

  test('takes exactly what the bytes begin with', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (start, target) => {
        expect(which([prefix(start)], target) === '#1').toBe(target.startsWith(start))
      }),
    )
  })
})

describe('paths', () => {
  test.each([
    ['/api', '/api', true],
    ['/api', '/api?x=1', true],
    ['/api', '/api/x', true],
    ['/api', '/apix', false],
    ['/api', '/API', false],
    ['/api', 'http://h/api/x', true],
    ['/api/', '/api', true],
    ['/api/', '/api/x', true],
    ['/api/', '/apix', false],
    ['/', '/', true],
    ['/', '/x/y?z', true],
    ['/', '?x', false],
    ['/', '*', false],
  ])('%s takes %s: %s', (own, target, taken) => {
    expect(which([path(own)], target) === '#1').toBe(taken)
  })

  test('asks for the field as well', () => {
    const matcher: RouteMatcher = { kind: 'path', path: '/', field: { name: 'x-tenant', valuePrefix: 'a' } }
    expect(which([matcher], '/', { fields: ['X-Tenant', 'abc'] })).toBe('#1')
    expect(which([matcher], '/', { fields: ['X-Tenant', 'xa'] })).toBeUndefined()
    expect(which([matcher], '/')).toBeUndefined()
  })
})

describe('API Gateway templates', () => {
  const api = [
    '$default',
    'ANY /{proxy+}',
    'GET /pets/{proxy+}',
    'GET /pets/dog/{id}',
    'GET /pets/dog/1',
    'ANY /pets/dog/1',
  ].map(route)

  test.each([
    ['GET', '/pets/dog/1', '#5'],
    ['POST', '/pets/dog/1', '#6'],
    ['GET', '/pets/dog/2', '#4'],
    ['GET', '/pets/cat/2', '#3'],
    ['POST', '/pets/cat/2', '#2'],
    ['GET', '/test/5', '#2'],
    ['GET', '/', '#1'],
    ['GET', '/pets/dog/1/?q=/x', '#5'],
  ])('%s %s: the most specific wins, whatever the order', (method, target, expected) => {
    expect(which(api, target, { method })).toBe(expected)
  })

  test('a full path with parameters wins over a greedy one that begins literally', () => {
    expect(which([route('GET /a/{rest+}'), route('GET /{x}/b')], '/a/b')).toBe('#2')
  })

  test('the method decides only between equal paths', () => {
    expect(which([route('GET /{x}'), route('ANY /a')], '/a')).toBe('#2')
    expect(which([route('ANY /a'), route('GET /a')], '/a')).toBe('#2')
  })

  test('a run of templates is one API, and file order counts between it and other rules', () => {
    expect(which([path('/a'), route('GET /a/b'), route('$default')], '/a/b')).toBe('#1')
    expect(which([route('GET /x'), path('/a'), route('GET /a/b')], '/a/b')).toBe('#2')
    expect(which([route('GET /x'), path('/a'), route('GET /a/b')], '/b')).toBeUndefined()
    expect(which([route('$default'), path('/a')], '/a')).toBe('#1')
  })

  test('parameters are undecoded, and a greedy one has its slashes', () => {
    const parameters = (pattern: string, target: string) =>
      matchRoute(table([route(pattern)]), { method: 'GET', target, fields: [] })?.parameters
    expect(parameters('GET /users/{id}/posts/{post}', '/users/a%2Fb/posts/%C3%A9?x=1')).toEqual({
      id: 'a%2Fb',
      post: '%C3%A9',
    })
    expect(parameters('GET /f/{path+}', '/f/a/b%20c')).toEqual({ path: 'a/b%20c' })
    expect(parameters('GET /f/{path+}', '/f')).toBeUndefined()
    expect(parameters('GET /f/{path+}', '/f/')).toBeUndefined()
    expect(parameters('GET /f/{id}', '/f//')).toBeUndefined()
    expect(parameters('GET /{proxy+}', '//a//b')).toEqual({ proxy: 'a//b' })
  })

  test('literals compare decoded, because configuration files write them so', () => {
    expect(which([route('GET /café')], '/caf%C3%A9')).toBe('#1')
    expect(which([route('GET /a')], '/%E0%A4')).toBeUndefined()
  })

  test('a template built from literals takes its own path', () => {
    const segment = fc.stringMatching(/^[\w.~-]{1,8}$/)
    fc.assert(
      fc.property(fc.array(segment, { maxLength: 5 }), (segments) => {
        const target = `/${segments.join('/')}`
        expect(which([route(`GET ${target}`)], target)).toBe('#1')
        expect(which([route(`GET ${target}`)], `${target === '/' ? '' : target}/more`)).toBeUndefined()
      }),
    )
  })
})

test('a rule of a protocol takes it in any case, because names of protocols know none', () => {
  const matcher: RouteMatcher = {
    kind: 'path',
    path: '/',
    field: { name: 'upgrade', valuePrefix: 'websocket' },
  }
  const sockets = {
    routes: [bound(matcher, text('x'))],
    functions: new Map(),
  }
  const raw = { method: 'GET', target: '/', fields: ['Upgrade', 'WebSocket'] }
  expect(matchRoute(sockets, raw)).toBeDefined()
})

test.each(['admin.local', 'ADMIN.local', 'admin.local.', 'Admin.Local:80'])(
  'a route of flexi.jsonc takes the host %s, because names of hosts know no case',
  (host) => {
    const matcher: RouteMatcher = {
      kind: 'path',
      path: '/',
      field: { name: 'host', valuePrefix: 'admin.local' },
    }
    const hosts = { routes: [bound(matcher, text('x'))], functions: new Map() }
    const raw = { method: 'GET', target: '/', fields: ['Host', host] }
    expect(matchRoute(hosts, raw)?.route.rule.matcher).toBe(matcher)
  },
)
