import { join } from 'node:path'

import { describe, expect, test } from 'vitest'

import { readProject } from '../../src/config/project.ts'
import { FlexiError } from '../../src/core/errors.ts'
import type { Project } from '../../src/core/project.ts'
import { makePem } from '../tls/pem.ts'
import { emulators, folder } from './fakes.ts'

type Files = Readonly<Record<string, string>>

async function read(document: unknown, files: Files = {}): Promise<Project> {
  const text = typeof document === 'string' ? document : JSON.stringify(document)
  const directory = await folder({ 'flexi.jsonc': text, 'public/': '', ...files })
  return readProject({ directory, emulators, environment: {} })
}

async function faults(document: unknown, files: Files = {}): Promise<readonly string[]> {
  const error = await read(document, files).catch((caught: unknown) => caught)
  if (!(error instanceof FlexiError)) throw new Error('the project was read', { cause: error })
  return error.faults.map(
    ({ place, message, hint }) =>
      `${place.line}:${place.column} ${message}${hint === undefined ? '' : ` | ${hint}`}`,
  )
}

/** One route that leads to an upstream, with this besides. */
const route = (more: object, to: unknown = 'http://a') => ({ routes: [{ path: '/', to, ...more }] })

async function upstream(settings: object): Promise<unknown> {
  const { routes } = await read(route({ upstream: settings }))
  const target = routes[0]?.target
  return target?.kind === 'upstream' ? target.settings : target
}

test('a path with letters beyond ASCII is the path that clients send', async () => {
  const { routes } = await read({ routes: [{ path: '/café', to: 'http://a', strip_prefix: true }] })
  expect(routes[0]).toMatchObject({
    pattern: '/café',
    matcher: { kind: 'path', path: '/caf%C3%A9' },
    target: { settings: { stripPrefix: '/caf%C3%A9' } },
  })
})

describe('upstreams', () => {
  test('share a route with weights, limits and backups', async () => {
    const to = [
      'http://a:1/',
      { url: 'https://B/base/', weight: 0, max_requests: 9 },
      { url: 'http://c', backup: true },
    ]
    const { routes } = await read(route({}, to))
    expect(routes[0]?.target).toEqual({
      kind: 'upstream',
      origins: [
        { url: 'http://a:1' },
        { url: 'https://b/base', weight: 0, requestsMax: 9 },
        { url: 'http://c', backup: true },
      ],
    })
  })

  test('have settings in milliseconds, lower-case field names and whole paths', async () => {
    const { cert, key } = await makePem({ names: ['me.test'] })
    const files = { 'pki/ca.pem': cert, 'pki/me.pem': cert, 'pki/me.key': key }
    const project = await read(
      {
        routes: [
          {
            path: '/api/',
            to: 'https://a',
            strip_prefix: true,
            upstream: {
              hash: 'header X-User',
              host: 'upstream',
              http2: true,
              tls: {
                verify: false,
                ca: './pki/ca.pem',
                cert: 'pki/me.pem',
                key: 'pki/me.key',
                server_name: 'b',
              },
              timeouts: { connect: 0.25, try: 3, total: 10, idle: 0.0001 },
              retries: 2,
              retry_status: [502, 503],
              health: { path: '/up', interval: 1.5, timeout: 1, passes: 1, fails: 2, status: [200, 204] },
              eject: { fails: 5 },
              request_headers: { 'X-Key': 'k', Cookie: null },
              response_headers: { Server: null },
            },
          },
        ],
      },
      files,
    )
    const pki = (name: string) => join(project.directory, 'pki', name)
    expect(project.routes[0]?.target).toEqual({
      kind: 'upstream',
      origins: [{ url: 'https://a' }],
      settings: {
        balance: { kind: 'hash', key: { kind: 'field', name: 'x-user' } },
        host: 'upstream',
        http2: true,
        tls: {
          verify: false,
          ca: pki('ca.pem'),
          cert: pki('me.pem'),
          key: pki('me.key'),
          serverName: 'b',
          revision: expect.any(String),
        },
        timeouts: { connectMs: 250, tryMs: 3_000, totalMs: 10_000, idleMs: 1 },
        retries: 2,
        retryStatus: [502, 503],
        health: { path: '/up', intervalMs: 1_500, timeoutMs: 1_000, passes: 1, fails: 2, status: [200, 204] },
        eject: { fails: 5, forMs: 10_000 },
        stripPrefix: '/api',
        requestFields: { 'X-Key': 'k', Cookie: null },
        responseFields: { Server: null },
      },
    })
    expect(project.files.slice(1)).toEqual([pki('ca.pem'), pki('me.pem'), pki('me.key')])
  })

  test.each([
    [{ balance: 'least-requests' }, { balance: { kind: 'least-requests' } }],
    [{ balance: 'hash', hash: 'path' }, { balance: { kind: 'hash', key: { kind: 'path' } } }],
    [{ hash: 'cookie Id' }, { balance: { kind: 'hash', key: { kind: 'cookie', name: 'Id' } } }],
    [{ health: true }, { health: { path: '/' } }],
    [{ health: '/up?x=1' }, { health: { path: '/up?x=1' } }],
    [{ health: false }, {}],
    [{ eject: false }, { eject: { fails: Infinity, forMs: 0 } }],
  ])('say it short: %j', async (settings, expected) => {
    expect(await upstream(settings)).toEqual(expected)
  })

  test('keep the whole path of the root, where there is nothing to strip', async () => {
    const { routes } = await read(route({ strip_prefix: true }))
    expect(routes[0]?.target).toEqual({ kind: 'upstream', origins: [{ url: 'http://a' }], settings: {} })
  })
})

test('a folder has settings of its own', async () => {
  const settings = {
    index: false,
    fallback: 'app/index.html',
    precompressed: false,
    cache_control: 'max-age=1',
  }
  const { routes } = await read(route({ static: settings }, './public'))
  expect(routes[0]?.target).toMatchObject({
    kind: 'static',
    settings: { index: false, fallback: 'app/index.html', precompressed: false, cacheControl: 'max-age=1' },
  })
})

test('settings of an upstream change with its files, so that it is opened anew', async () => {
  const document = { routes: [{ path: '/', to: 'https://a', upstream: { tls: { ca: 'ca.pem' } } }] }
  const [one, two] = await Promise.all([makePem({ names: ['a.test'] }), makePem({ names: ['a.test'] })])
  const revisions = await Promise.all(
    [one.cert, one.cert, two.cert].map(async (content) => {
      const target = (await read(document, { 'ca.pem': content })).routes[0]?.target
      return target?.kind === 'upstream' ? target.settings?.tls?.revision : undefined
    }),
  )
  expect(revisions[0]).toMatch(/./)
  expect(revisions[1]).toBe(revisions[0])
  expect(revisions[2]).not.toBe(revisions[0])
})

describe('protection', () => {
  test.each([
    [
      { limits: { rate: { requests: 5 } } },
      { rate: { requests: 5, perMs: 1_000, key: { kind: 'address' } } },
    ],
    [
      { limits: { rate: { requests: 1, seconds: 0.5, burst: 3, by: 'header API-Key' } } },
      { rate: { requests: 1, perMs: 500, burst: 3, key: { kind: 'field', name: 'api-key' } } },
    ],
    [{ limits: { body: 0, headers: '8kb' } }, { bodyBytesMax: 0, fieldBytesMax: 8_192 }],
    [{ limits: { body: '1.5 MB' } }, { bodyBytesMax: 1_572_864 }],
    [{ limits: { body: '100' } }, { bodyBytesMax: 100 }],
    [{ limits: { body: '2GB' } }, { bodyBytesMax: 2 ** 31 }],
    [
      { allow: ['10.0.0.0/8', '::1'], deny: ['10.0.0.1'] },
      { allow: ['10.0.0.0/8', '::1'], deny: ['10.0.0.1'] },
    ],
    [{ compress: true }, { compress: true }],
    [{ compress: false, limits: {}, deny: [] }, undefined],
    [{}, undefined],
  ])('%j', async (more, expected) => {
    expect((await read(route(more))).routes[0]?.protection).toEqual(expected)
  })

  test('is for functions and folders too', async () => {
    const { routes } = await read(route({ compress: true, limits: { body: 1 } }, './public'))
    expect(routes[0]?.protection).toEqual({ compress: true, bodyBytesMax: 1 })
  })

  test('warns of a limit that a smaller one hides', async () => {
    const { faults: warnings } = await read(route({ limits: { headers: '1mb' } }))
    expect(warnings.map(({ message, severity }) => [message, severity])).toEqual([
      ['"headers" has no effect: no head above 16384 bytes is taken', 'warning'],
    ])
  })
})

describe('server', () => {
  const served = { routes: [{ path: '/', to: 'http://a' }] }

  test('speaks HTTPS with certificates of its own or with files, which are watched', async () => {
    expect((await read({ ...served, server: { https: true } })).server.https).toEqual({ certificates: [] })
    expect((await read({ ...served, server: { https: false } })).server.https).toBeUndefined()
    const pem = await makePem({ names: ['a.test'] })
    const certificates = [{ cert: 'a.pem', key: 'a.key' }]
    const project = await read(
      { ...served, server: { https: { certificates } } },
      { 'a.pem': pem.cert, 'a.key': pem.key },
    )
    const paths = { cert: join(project.directory, 'a.pem'), key: join(project.directory, 'a.key') }
    expect(project.server.https).toEqual({ certificates: [paths] })
    expect(project.files.slice(1)).toEqual([paths.cert, paths.key])
  })

  test('names its proxies and how strictly paths are taken', async () => {
    const server = { trusted_proxies: ['127.0.0.1', 'fd00::/8'], paths: 'raw' }
    expect((await read({ ...served, server })).server).toEqual({
      trustedProxies: ['127.0.0.1', 'fd00::/8'],
      paths: 'raw',
    })
  })
})

test('every fault of every setting comes at once, with its place and what to do', async () => {
  const found = await faults(
    `{
  "functions": { "fn": { "provider": "native", "library": "a.so", "isolation": "thread" } },
  "routes": [
    { "path": "/a", "to": "./public", "upstream": {}, "strip_prefix": true },
    { "path": "/b", "to": "http://a", "static": {}, "limts": {} },
    { "path": "/c", "to": ["http://a", { "url": "http://u:p@b", "wieght": 1 }] },
    { "path": "/d", "to": ["http://a", { "url": "http://u:p@b" }, "ftp://c"] },
    { "path": "/e", "to": ["http://a", { "url": "http://u:p@b" }, "http://c?q"] },
    { "path": "/f", "to": "http://a", "upstream": { "balance": "hash" } },
    { "path": "/g", "to": "http://a", "upstream": { "balance": "random-two", "hash": "path" } },
    { "path": "/h", "to": "http://a", "upstream": { "hash": "header", "balence": "hash" } },
    { "path": "/i", "to": "https://a", "upstream": { "tls": { "cert": "no.pem", "verfy": true } } },
    { "path": "/j", "to": "https://a", "upstream": { "tls": { "cert": "no.pem", "ca": "public" } } },
    { "path": "/k", "to": "http://a", "upstream": { "health": { "intervall": 1 }, "eject": true } },
    { "path": "/l", "to": "http://a", "upstream": { "health": { "status": [399, 200] } } },
    { "path": "/m", "to": "http://a", "upstream": { "request_headers": { "Host": "b", "Content-Length": null, "X-A": "1", "x-a": "2" } } },
    { "path": "/n", "to": "http://a", "upstream": { "response_headers": { "X A": "1", "X-B": "a\\r\\nSet-Cookie: b", "X-C": 1 } } },
    { "path": "/o", "to": "http://a", "limits": { "rate": { "request": 1 }, "body": "10 mib" } },
    { "path": "/p", "to": "http://a", "allow": ["10.0.0.0/33", "::1/128", "localhost"], "deny": ["1.2.3"] },
    { "path": "/q", "to": "./public", "static": { "index": true, "fallback": "../x", "cache_control": "a\\nb" } },
    { "path": "/r", "to": "http://a", "upstream": { "timeouts": { "connect": 0, "read": 1 }, "retry_status": [200] } },
    { "path": "/s", "to": "fn", "static": {}, "upstream": {} }
  ],
  "server": { "https": { "certificates": [{ "cert": "a.pem" }] }, "trusted_proxies": ["10.0.0.0/8", "all"], "paths": "strict" }
}`,
  )
  expect(found.join('\n')).toMatchInlineSnapshot(`
    "2:80 "isolation" must be "process" or "none", not "thread"
    4:39 "upstream" is for routes that lead to an upstream, and this one leads to a folder | Remove "upstream".
    4:55 "strip_prefix" is for routes that lead to an upstream, and this one leads to a folder | Remove "strip_prefix".
    5:39 "static" is for routes that lead to a folder, and this one leads to an upstream | Remove "static".
    5:53 unknown key "limts" | Did you mean "limits"?
    6:65 unknown key "wieght" | Did you mean "weight"?
    7:27 only upstreams can share a route | Name one target, or several addresses that start with http:// or https://.
    8:49 "http://u:p@b" holds a user or a password | Remove what stands before the "@".
    8:67 "http://c?q" has a query | Write scheme, host, port and path only.
    9:64 "balance" is "hash", and nothing says of what | Add "hash": "address", "path", "header NAME" or "cookie NAME".
    10:86 "hash" needs "balance": "hash", not "random-two" | Remove one of the two.
    11:61 "hash" must be "address", "path", "header NAME" or "cookie NAME", not "header"
    11:71 unknown key "balence" | Did you mean "balance"?
    12:71 "cert" needs "key" | Add "key".
    12:71 there is no file "no.pem" | Name a file in PEM format.
    12:81 unknown key "verfy" | Did you mean "verify"?
    13:71 "cert" needs "key" | Add "key".
    13:71 there is no file "no.pem" | Name a file in PEM format.
    13:87 "public" cannot be read as a file | Name a file in PEM format.
    14:65 unknown key "intervall" | Did you mean "interval"?
    14:92 "eject" must be false, or an object with "fails" and "seconds", not true
    15:75 "status" begins at 399 and ends at 200 | Write [200, 399].
    16:74 "Host" is set elsewhere | Write "host" in "upstream" in its place.
    16:87 "Content-Length" belongs to the connection | Remove it: flexi sets it.
    16:123 "x-a" is set twice | Remove one of the two; case does not count.
    17:75 "X A" is no name of a field: write letters, digits and "-"
    17:94 "X-B" must be a value of a field: one line of Latin-1, not "a\\r\\nSet-Cookie: b"
    17:123 "X-C" must be a string, or null, not 1
    18:59 "requests" is missing | Add "requests": it must be a whole number above 0.
    18:61 unknown key "request" | Did you mean "requests"?
    18:85 "body" must be a number of bytes, or a string like "10mb", not "10 mib"
    19:49 "10.0.0.0/33" is no address | Write an address, for example 10.0.0.1 or ::1, or a block, for example 10.0.0.0/8.
    19:75 "localhost" is no address | Write an address, for example 10.0.0.1 or ::1, or a block, for example 10.0.0.0/8.
    19:98 "1.2.3" is no address | Write an address, for example 10.0.0.1 or ::1, or a block, for example 10.0.0.0/8.
    20:60 "index" must be the name of a file, or false, not true
    20:78 "fallback" must be the name of a file in the folder, not "../x"
    20:103 "cache_control" must be a value of Cache-Control, not "a\\nb"
    21:78 "connect" must be a number of seconds above 0, at most 1000000, not 0
    21:81 unknown key "read" | Keys here are connect, try, total, idle.
    21:111 retry_status[0] must be a status from 400 to 599, not 200
    22:33 "static" is for routes that lead to a folder, and this one leads to a function | Remove "static".
    22:47 "upstream" is for routes that lead to an upstream, and this one leads to a function | Remove "upstream".
    24:43 "key" is missing | Add "key": it must be a string.
    24:101 "all" is no address | Write an address, for example 10.0.0.1 or ::1, or a block, for example 10.0.0.0/8.
    24:118 "paths" must be "checked" or "raw", not "strict""
  `)
})

test('a certificate that is not there, and one that is a folder, are faults where they are named', async () => {
  const server = { https: { certificates: [{ cert: 'public', key: 'no.key' }] } }
  expect(await faults({ ...route({}), server })).toEqual([
    expect.stringMatching(/^1:\d+ "public" cannot be read as a file \| Name a file in PEM format\.$/),
    expect.stringMatching(/^1:\d+ there is no file "no\.key" \|/),
  ])
})
