import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readlinkSync } from 'node:fs'
import { mkdir, mkdtemp, rename, rm, symlink, truncate, utimes, writeFile } from 'node:fs/promises'
import { connect as connectHttp2 } from 'node:http2'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import type { AbsolutePath } from '../../src/core/place.ts'
import { staticFolder } from '../../src/gateway/static-folder.ts'
import { openProtection } from '../../src/gateway/protection/protection.ts'
import { openTest, readAll, type TestGateway } from './harness.ts'

let root: string
let folder: AbsolutePath
let test_: TestGateway

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'flexi-static-'))
  folder = join(root, 'public') as AbsolutePath
  await mkdir(join(folder, 'sub/deep'), { recursive: true })
  await mkdir(join(folder, '.well-known'))
  await mkdir(join(folder, 'types'))
  await mkdir(join(folder, '.git'))
  await Promise.all([
    writeFile(join(root, 'secret.txt'), 'secret'),
    writeFile(join(folder, 'index.html'), '<h1>index</h1>'),
    writeFile(join(folder, 'a.css'), 'body{}'),
    writeFile(join(folder, 'sub/index.html'), 'sub'),
    writeFile(join(folder, 'ä b.txt'), 'umlaut'),
    writeFile(join(folder, '.env'), 'TOKEN=1'),
    writeFile(join(folder, '.git/config'), 'x'),
    writeFile(join(folder, '.well-known/security.txt'), 'contact'),
  ])
  await symlink('a.css', join(folder, 'link.css'))
  // The folder holds out by itself, without the gateway's check of paths.
  test_ = await openTest(staticFolder(folder), { paths: 'raw' })
})

afterAll(async () => {
  await test_[Symbol.asyncDispose]()
  await rm(root, { recursive: true })
})

test('serves files with their type and validators, and answers 304', async () => {
  const answer = await fetch(`${test_.url}/a.css?v=1`)
  expect(answer.headers.get('content-type')).toBe('text/css; charset=utf-8')
  expect(await answer.text()).toBe('body{}')
  const etag = answer.headers.get('etag') ?? ''
  // By hand: fetch would add Cache-Control: no-cache, which asks for the whole file.
  const again = await test_.raw(
    `GET /a.css HTTP/1.1\r\nHost: a\r\nIf-None-Match: ${etag}\r\nConnection: close\r\n\r\n`,
  )
  expect(again).toMatch(/^HTTP\/1\.1 304 /)
})

test('serves ranges, and refuses those beyond the end', async () => {
  const part = await fetch(`${test_.url}/a.css`, { headers: { range: 'bytes=0-3' } })
  expect([part.status, await part.text(), part.headers.get('content-range')]).toEqual([
    206,
    'body',
    'bytes 0-3/6',
  ])
  const beyond = await fetch(`${test_.url}/a.css`, { headers: { range: 'bytes=9-' } })
  expect([beyond.status, beyond.headers.get('content-range')]).toEqual([416, 'bytes */6'])
})

test.each([
  ['/', 200, '<h1>index</h1>'],
  ['/sub/', 200, 'sub'],
  ['/%C3%A4%20b.txt', 200, 'umlaut'],
  ['/link.css', 200, 'body{}'],
  ['/.well-known/security.txt', 200, 'contact'],
  ['/nope', 404, 'FLEXI_NO_INPUT'],
  ['/sub/deep/', 404, 'FLEXI_NO_INPUT'],
  ['/.env', 404, 'FLEXI_NO_INPUT'],
  ['/%2eenv', 404, 'FLEXI_NO_INPUT'],
  ['/.git/config', 404, 'FLEXI_NO_INPUT'],
  ['/a%2f..%2f..%2fsecret.txt', 404, 'FLEXI_NO_INPUT'],
  ['/%00', 400, 'FLEXI_BAD_REQUEST'],
  ['/%E0%A4', 400, 'FLEXI_BAD_REQUEST'],
])('%s is %i', async (path, status, body) => {
  const answer = await test_.raw(`GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`)
  expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
  expect(answer).toContain(body)
})

test.each([
  '/../secret.txt',
  '/sub/../../secret.txt',
  '/..%2fsecret.txt',
  '//../secret.txt',
  '/\\..\\secret.txt',
])('nothing outside can be named: %s', async (path) => {
  const answer = await test_.raw(`GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`)
  expect(answer).toMatch(/^HTTP\/1\.1 40[034] /)
  expect(answer).not.toContain('\r\n\r\nsecret')
})

test('a folder without its slash is sent to it, query included, and never to another host', async () => {
  const answer = await fetch(`${test_.url}/sub?x=1`, { redirect: 'manual' })
  expect([answer.status, answer.headers.get('location')]).toEqual([301, '/sub/?x=1'])
  expect(await test_.raw('GET //sub HTTP/1.1\r\nHost: a\r\n\r\n')).toContain('Location: /sub/\r\n')
})

test('HEAD has the fields, and other methods are refused', async () => {
  const head = await fetch(`${test_.url}/a.css`, { method: 'HEAD' })
  expect([head.headers.get('content-length'), await head.text()]).toEqual(['6', ''])
  const post = await fetch(`${test_.url}/a.css`, { method: 'POST', body: 'x' })
  expect([post.status, post.headers.get('allow')]).toEqual([405, 'GET, HEAD, OPTIONS'])
  const options = await fetch(`${test_.url}/a.css`, { method: 'OPTIONS' })
  expect([options.status, options.headers.get('allow')]).toEqual([204, 'GET, HEAD, OPTIONS'])
})

test.each([
  ['/assets', '/assets/a.css', 200],
  ['/assets/', '/assets/a.css', 200],
  ['/assets', '/assets/', 200],
  ['/assets', '/assets', 200],
  ['/', '/a.css', 200],
])('below the prefix %s, %s is %i', async (stripPrefix, path, status) => {
  await using below = await openTest(staticFolder(folder, { stripPrefix }))
  expect((await fetch(below.url + path)).status).toBe(status)
  const redirected = await fetch(`${below.url}${stripPrefix.replace(/\/$/, '')}/sub`, { redirect: 'manual' })
  expect(redirected.headers.get('location')).toBe(`${stripPrefix.replace(/\/$/, '')}/sub/`)
})

interface Answer {
  readonly status: number
  readonly fields: ReadonlyMap<string, string>
  readonly body: string
}

/** By hand: fetch would ask for encodings, decode them, and add fields of its own. */
async function ask(target: string, fields = '', served: TestGateway = test_): Promise<Answer> {
  const answer = await served.raw(`GET ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${fields}\r\n`)
  const [head = '', ...body] = answer.split('\r\n\r\n')
  const [status = '', ...lines] = head.split('\r\n')
  return {
    status: Number(status.split(' ')[1]),
    fields: new Map(
      lines.map((line) => [line.split(':', 1)[0]?.toLowerCase() ?? '', line.replace(/^[^:]*: /, '')]),
    ),
    body: body.join('\r\n\r\n'),
  }
}

describe('types', () => {
  test.each([
    ['a.js', 'text/javascript; charset=utf-8'],
    ['a.mjs', 'text/javascript; charset=utf-8'],
    ['a.css', 'text/css; charset=utf-8'],
    ['a.html', 'text/html; charset=utf-8'],
    ['a.json', 'application/json; charset=utf-8'],
    ['a.js.map', 'application/json; charset=utf-8'],
    ['a.wasm', 'application/wasm'],
    ['a.svg', 'image/svg+xml'],
    ['a.avif', 'image/avif'],
    ['a.webp', 'image/webp'],
    ['a.woff2', 'font/woff2'],
    ['a.webmanifest', 'application/manifest+json; charset=utf-8'],
    ['A.TXT', 'text/plain; charset=utf-8'],
    ['a.unknown', 'application/octet-stream'],
    ['LICENSE', 'application/octet-stream'],
  ])('%s is %s', async (name, type) => {
    await writeFile(join(folder, 'types', name), 'x')
    expect((await ask(`/types/${name}`)).fields.get('content-type')).toBe(type)
  })
})

describe('validators', () => {
  test('are strong, say no-cache, and answer conditions', async () => {
    const { fields } = await ask('/a.css')
    const etag = fields.get('etag') ?? ''
    const modified = fields.get('last-modified') ?? ''
    expect(etag).toMatch(/^"[0-9a-f]+-[0-9a-f]+"$/)
    expect(fields.get('cache-control')).toBe('no-cache')
    const conditions: readonly (readonly [string, number])[] = [
      [`If-None-Match: ${etag}`, 304],
      [`If-None-Match: "x", W/${etag}`, 304],
      ['If-None-Match: *', 304],
      ['If-None-Match: "x"', 200],
      [`If-Modified-Since: ${modified}`, 304],
      ['If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT', 200],
      [`If-None-Match: "x"\r\nIf-Modified-Since: ${modified}`, 200],
      [`If-Match: ${etag}`, 200],
      ['If-Match: "x"', 412],
      ['If-Unmodified-Since: Thu, 01 Jan 1970 00:00:00 GMT', 412],
    ]
    for (const [condition, status] of conditions) {
      const answer = await ask('/a.css', `${condition}\r\n`)
      expect([condition, answer.status, answer.body]).toEqual([
        condition,
        status,
        status === 200 ? 'body{}' : '',
      ])
      if (status === 304) expect(answer.fields.get('etag')).toBe(etag)
    }
  })

  test('change with the file', async () => {
    await writeFile(join(folder, 'changing.txt'), 'one')
    const before = await ask('/changing.txt')
    await writeFile(join(folder, 'changing.txt'), 'two')
    await utimes(join(folder, 'changing.txt'), new Date(), new Date(Date.now() + 5_000))
    const after = await ask('/changing.txt', `If-None-Match: ${before.fields.get('etag')}\r\n`)
    expect([after.status, after.body]).toEqual([200, 'two'])
  })
})

describe('ranges', () => {
  test.each([
    ['bytes=0-0', 206, 'b', 'bytes 0-0/6'],
    ['bytes=4-', 206, '{}', 'bytes 4-5/6'],
    ['bytes=-2', 206, '{}', 'bytes 4-5/6'],
    ['bytes=0-99', 206, 'body{}', 'bytes 0-5/6'],
    ['bytes=0-1,2-3', 206, 'body', 'bytes 0-3/6'],
    ['bytes=0-0,4-5', 200, 'body{}', undefined],
    ['bytes=6-', 416, '', 'bytes */6'],
    ['bytes=x', 200, 'body{}', undefined],
    ['lines=0-1', 200, 'body{}', undefined],
  ])('%s is %i', async (range, status, body, contentRange) => {
    const answer = await ask('/a.css', `Range: ${range}\r\n`)
    expect([answer.status, answer.body, answer.fields.get('content-range')]).toEqual([
      status,
      body,
      contentRange,
    ])
  })

  test('hold only for the file they were asked of', async () => {
    const { fields } = await ask('/a.css')
    const etag = fields.get('etag') ?? ''
    expect((await ask('/a.css', `Range: bytes=0-1\r\nIf-Range: ${etag}\r\n`)).status).toBe(206)
    expect((await ask('/a.css', 'Range: bytes=0-1\r\nIf-Range: "other"\r\n')).status).toBe(200)
    expect(
      (await ask('/a.css', `Range: bytes=0-1\r\nIf-Range: ${fields.get('last-modified')}\r\n`)).status,
    ).toBe(206)
  })

  test('of an empty file cannot be satisfied, and the whole of it can', async () => {
    await writeFile(join(folder, 'empty.txt'), '')
    expect((await ask('/empty.txt')).fields.get('content-length')).toBe('0')
    expect((await ask('/empty.txt', 'Range: bytes=0-\r\n')).status).toBe(416)
  })
})

describe('precompressed', () => {
  beforeAll(async () => {
    await mkdir(join(folder, 'pre'))
    for (const name of [
      'all.js',
      'all.js.br',
      'all.js.zst',
      'all.js.gz',
      'gz.css',
      'gz.css.gz',
      'old.css',
      'old.css.gz',
    ])
      await writeFile(join(folder, 'pre', name), name)
    await utimes(join(folder, 'pre/old.css.gz'), new Date(0), new Date(0))
    await mkdir(join(folder, 'pre/gz.css.br'))
  })

  test.each([
    ['all.js', 'gzip, deflate, br, zstd', 'br', 'all.js.br'],
    ['all.js', 'gzip, zstd', 'zstd', 'all.js.zst'],
    ['all.js', 'gzip', 'gzip', 'all.js.gz'],
    ['all.js', 'br;q=0.1, gzip;q=0.9', 'gzip', 'all.js.gz'],
    ['all.js', 'br;q=0, *', 'zstd', 'all.js.zst'],
    ['all.js', 'identity, br;q=0.5', undefined, 'all.js'],
    ['all.js', '', undefined, 'all.js'],
    ['gz.css', 'br, gzip', 'gzip', 'gz.css.gz'],
    ['gz.css', 'br', undefined, 'gz.css'],
    ['old.css', 'gzip', undefined, 'old.css'],
  ])('%s for Accept-Encoding: %s is sent as %s', async (name, accepted, encoding, body) => {
    const answer = await ask(`/pre/${name}`, `Accept-Encoding: ${accepted}\r\n`)
    expect([answer.status, answer.body, answer.fields.get('content-encoding')]).toEqual([200, body, encoding])
    expect(answer.fields.get('content-length')).toBe(String(body.length))
    expect(answer.fields.get('vary')).toBe('Accept-Encoding')
    expect(answer.fields.get('content-type')).toMatch(
      name.endsWith('js') ? /^text\/javascript/ : /^text\/css/,
    )
  })

  test('has validators and ranges of its own', async () => {
    const plain = await ask('/pre/all.js')
    const small = await ask('/pre/all.js', 'Accept-Encoding: gzip\r\n')
    expect(small.fields.get('etag')).not.toBe(plain.fields.get('etag'))
    const part = await ask('/pre/all.js', 'Accept-Encoding: gzip\r\nRange: bytes=7-\r\n')
    expect([part.status, part.body, part.fields.get('content-encoding')]).toEqual([206, 'gz', 'gzip'])
    const fresh = await ask(
      '/pre/all.js',
      `Accept-Encoding: gzip\r\nIf-None-Match: ${small.fields.get('etag')}\r\n`,
    )
    expect([fresh.status, fresh.fields.get('vary')]).toEqual([304, 'Accept-Encoding'])
    const beyond = await ask('/pre/all.js', 'Accept-Encoding: gzip\r\nRange: bytes=99-\r\n')
    expect([
      beyond.status,
      beyond.fields.get('content-range'),
      beyond.fields.get('content-encoding'),
    ]).toEqual([416, 'bytes */9', undefined])
  })

  test('can be told off', async () => {
    await using plain = await openTest(staticFolder(folder, { precompressed: false }))
    const answer = await ask('/pre/all.js', 'Accept-Encoding: br\r\n', plain)
    expect([answer.body, answer.fields.get('vary')]).toEqual(['all.js', undefined])
  })
})

describe('settings', () => {
  test('another index, or none', async () => {
    await using other = await openTest(staticFolder(folder, { index: 'a.css', cacheControl: 'max-age=60' }))
    const index = await ask('/', '', other)
    expect([index.body, index.fields.get('cache-control')]).toEqual(['body{}', 'max-age=60'])
    await using none = await openTest(staticFolder(folder, { index: false }))
    expect((await ask('/', '', none)).status).toBe(404)
    expect((await ask('/sub', '', none)).status).toBe(404)
    expect((await ask('/index.html', '', none)).status).toBe(200)
  })

  test.each([
    ['a page', '/users/1', 'Accept: text/html,*/*;q=0.8\r\nSec-Fetch-Dest: document\r\n', 200],
    ['a page with a dot', '/users/a.b', 'Accept: text/html,*/*;q=0.8\r\n', 200],
    ['a page in a frame', '/users/1', 'Accept: text/html\r\nSec-Fetch-Dest: iframe\r\n', 200],
    ['a folder without an index', '/sub/deep/', 'Accept: text/html\r\n', 200],
    ['a folder without an index or its slash', '/sub/deep', 'Accept: text/html\r\n', 200],
    ['a program that takes anything', '/users/1', 'Accept: */*\r\n', 200],
    ['a program that says nothing', '/users/1', '', 200],
    ['a program that names a file', '/app.js', 'Accept: */*\r\n', 404],
    ['a script', '/app', 'Accept: */*\r\nSec-Fetch-Dest: script\r\n', 404],
    ['an image', '/logo.png', 'Accept: image/*,*/*;q=0.8\r\nSec-Fetch-Dest: image\r\n', 404],
    ['a call of fetch()', '/api/users', 'Accept: */*\r\nSec-Fetch-Dest: empty\r\n', 404],
    ['a call for JSON', '/api/users', 'Accept: application/json\r\n', 404],
    ['a hidden file', '/.env', 'Accept: text/html\r\n', 404],
    ['what is outside', '/..%2fsecret.txt', 'Accept: text/html\r\n', 400],
  ])('the fallback and %s: %s %s is %i', async (_who, target, fields, status) => {
    await using app = await openTest(staticFolder(folder, { fallback: 'sub/index.html' }), { mode: 'serve' })
    const answer = await ask(target, fields, app)
    expect(answer.status).toBe(status)
    if (status === 200)
      expect([answer.body, answer.fields.get('content-type')]).toEqual(['sub', 'text/html; charset=utf-8'])
  })

  test('a fallback that is not there is a 404', async () => {
    await using app = await openTest(staticFolder(folder, { fallback: 'nope.html' }), { mode: 'serve' })
    expect((await ask('/users', 'Accept: text/html\r\n', app)).status).toBe(404)
  })
})

describe('nothing outside the folder is served', () => {
  test('not through a link, to a file or to a folder; links within are followed', async () => {
    await symlink('../secret.txt', join(folder, 'way-out.txt'))
    await symlink('..', join(folder, 'up'))
    await symlink('sub', join(folder, 'within'))
    await symlink('loop', join(folder, 'loop'))
    await symlink('../public-2', join(folder, 'sibling'))
    await mkdir(join(root, 'public-2'))
    await writeFile(join(root, 'public-2/x.txt'), 'secret')
    for (const target of ['/way-out.txt', '/up/secret.txt', '/up/', '/loop', '/sibling/x.txt'])
      expect([target, (await ask(target)).status]).toEqual([target, 404])
    expect((await ask('/within/index.html')).body).toBe('sub')
    expect((await ask('/within/')).body).toBe('sub')
  })

  test('a folder that is a link may be turned to another by a deployment', async () => {
    for (const release of ['r1', 'r2']) {
      await mkdir(join(root, release))
      await writeFile(join(root, release, 'v.txt'), release)
    }
    await symlink('r1', join(root, 'current'))
    await using served = await openTest(staticFolder(join(root, 'current') as AbsolutePath))
    expect((await ask('/v.txt', '', served)).body).toBe('r1')
    await symlink('r2', join(root, 'next'))
    await rename(join(root, 'next'), join(root, 'current'))
    expect((await ask('/v.txt', '', served)).body).toBe('r2')
  })

  test.each([
    '/../secret.txt',
    '/%2e%2e/secret.txt',
    '/%2E%2E%2Fsecret.txt',
    '/sub/%2e%2e/%2e%2e/secret.txt',
    '/..%5csecret.txt',
    '/%252e%252e/secret.txt',
    '//../secret.txt',
    '/./../secret.txt',
    '/sub/..%2f..%2fsecret.txt',
    '/.%2e/secret.txt',
    '/..;/secret.txt',
    '/\\..\\secret.txt',
    '/%c0%ae%c0%ae/secret.txt',
    '/index.html%00.txt',
  ])('%s', async (target) => {
    for (const stripPrefix of ['/', '/assets']) {
      await using served = await openTest(staticFolder(folder, { stripPrefix }), { mode: 'serve' })
      const answer = await ask(stripPrefix === '/' ? target : `/assets${target}`, '', served)
      expect([400, 404]).toContain(answer.status)
      expect(answer.body).not.toBe('secret')
    }
  })

  test('any path is answered, and none leaves the folder', async () => {
    const parts = fc.constantFrom(
      '..',
      '.',
      'sub',
      'up',
      'a.css',
      'secret.txt',
      '%2e',
      '%2f',
      '%5c',
      '\\',
      '%00',
      '%',
      '',
      'way-out.txt',
      '%25',
    )
    await fc.assert(
      fc.asyncProperty(
        fc.array(parts, { maxLength: 6 }),
        fc.constantFrom('/', ''),
        async (segments, glue) => {
          const answer = await ask(`/${segments.join(glue)}`)
          expect([200, 301, 400, 404]).toContain(answer.status)
          expect(answer.body).not.toBe('secret')
        },
      ),
      { numRuns: 200 },
    )
  })

  test('a redirect stays on this host, below its prefix, with its query', async () => {
    await using below = await openTest(staticFolder(folder, { stripPrefix: '/assets' }))
    expect((await ask('/assets?x=//evil', '', below)).fields.get('location')).toBe('/assets/?x=//evil')
    expect((await ask('/assets/sub?x=1', '', below)).fields.get('location')).toBe('/assets/sub/?x=1')
    await mkdir(join(folder, '\\evil.example/x'), { recursive: true })
    await writeFile(join(folder, '\\evil.example/index.html'), 'x')
    const answer = await ask('/\\evil.example')
    expect(answer.fields.get('location') ?? '').not.toMatch(/^[/\\]{2}/)
  })
})

describe('files as they are', () => {
  test('what is no file is not there: a pipe does not keep anybody waiting', async () => {
    execFileSync('mkfifo', [join(folder, 'pipe')])
    expect((await ask('/pipe')).status).toBe(404)
    expect((await ask('/a.css/')).status).toBe(404)
    expect((await ask('/a.css/x')).status).toBe(404)
    expect((await ask(`/${'x'.repeat(300)}`)).status).toBe(404)
  })

  test('one that may not be read is 403', async (context) => {
    if (process.getuid?.() === 0) context.skip('root reads everything')
    await writeFile(join(folder, 'private.txt'), 'x', { mode: 0o000 })
    expect((await ask('/private.txt')).status).toBe(403)
  })

  test('one that is replaced while it is sent is sent as it was', async () => {
    const path = join(folder, 'replaced.bin')
    await writeFile(path, Buffer.alloc(4 * 1024 * 1024, 'a'))
    const socket = await test_.connect()
    socket.write('GET /replaced.bin HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    const [first] = (await once(socket, 'data')) as [Buffer]
    socket.pause()
    await writeFile(`${path}.new`, Buffer.alloc(1_024, 'b'))
    await rename(`${path}.new`, path)
    socket.resume()
    const rest = await readAll(socket)
    const body = (first.toString('latin1') + rest).split('\r\n\r\n')[1] ?? ''
    expect(body).toHaveLength(4 * 1024 * 1024)
    expect(body).not.toContain('b')
  })

  test('one that shrinks while it is sent ends the connection: what was promised does not come', async () => {
    const path = join(folder, 'shrinking.bin')
    await writeFile(path, Buffer.alloc(32 * 1024 * 1024, 'a'))
    const socket = await test_.connect()
    socket.pause()
    socket.write('GET /shrinking.bin HTTP/1.1\r\nHost: a\r\n\r\n')
    await expect.poll(() => test_.gateway.inFlight).toBe(1)
    await expect.poll(() => socket.readableLength).toBeGreaterThan(0)
    await truncate(path, 1_024)
    let bytes = 0
    socket.on('data', (chunk: Buffer) => (bytes += chunk.length)).on('error', () => undefined)
    socket.resume()
    await once(socket, 'close')
    expect(bytes).toBeLessThan(32 * 1024 * 1024)
    await expect.poll(() => test_.records.at(-1)).toMatchObject({ target: '/shrinking.bin', aborted: true })
  })

  test('a large one is sent as fast as it is read, not held in memory', async () => {
    await writeFile(join(folder, 'huge.bin'), Buffer.alloc(64 * 1024 * 1024))
    const socket = await test_.connect()
    socket.pause()
    const before = process.memoryUsage().arrayBuffers
    socket.write('GET /huge.bin HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    await expect.poll(() => socket.readableLength).toBeGreaterThan(0)
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16 * 1024 * 1024)
    let bytes = 0
    socket.on('data', (chunk: Buffer) => (bytes += chunk.length)).resume()
    await once(socket, 'close')
    expect(bytes).toBeGreaterThan(64 * 1024 * 1024)
  })

  test('none stays open: not after answers of any kind, nor when the reader leaves', async (context) => {
    if (process.platform !== 'linux') context.skip('counts in /proc')
    const held = () => readdirSync('/proc/self/fd').filter((fd) => isIn(folder, fd)).length
    for (const fields of [
      '',
      'Range: bytes=0-1\r\n',
      'Range: bytes=99-\r\n',
      'If-None-Match: *\r\n',
      'If-Match: "x"\r\n',
    ])
      await ask('/a.css', fields)
    for (const target of ['/sub', '/sub/', '/sub/deep/', '/pre/all.js', '/nope', '/pipe'])
      await ask(target, 'Accept-Encoding: br, gzip\r\n')
    await fetch(`${test_.url}/a.css`, { method: 'HEAD' })
    const socket = await test_.connect()
    socket.pause()
    socket.write('GET /huge.bin HTTP/1.1\r\nHost: a\r\n\r\n')
    await expect.poll(held).toBe(1)
    socket.destroy()
    await expect.poll(held).toBe(0)
  })
})

test('works over HTTP/2, with a compressed sibling and a range', async () => {
  const session = connectHttp2(test_.url)
  const get = async (fields: Record<string, string>) => {
    const stream = session.request({ ':path': '/pre/all.js', ...fields })
    const chunks: Buffer[] = []
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    const [headers] = (await once(stream, 'response')) as [Record<string, unknown>]
    await once(stream, 'close')
    return [headers[':status'], headers['content-encoding'], Buffer.concat(chunks).toString()]
  }
  expect(await get({ 'accept-encoding': 'br' })).toEqual([200, 'br', 'all.js.br'])
  expect(await get({ range: 'bytes=0-2' })).toEqual([206, undefined, 'all'])
  expect(await get({ 'if-none-match': '*' })).toEqual([304, undefined, ''])
  session.close()
})

test('compresses what has no sibling when the route says so, and leaves a sibling as it is', async () => {
  await writeFile(join(folder, 'pre/long.css'), 'body { color: red }\n'.repeat(200))
  const protection = await openProtection({ compress: true })
  await using served = await openTest(protection.protect(staticFolder(folder)))
  const long = await ask('/pre/long.css', 'Accept-Encoding: br\r\n', served)
  expect([long.fields.get('content-encoding'), long.fields.get('vary')]).toEqual(['br', 'Accept-Encoding'])
  expect(long.fields.get('etag')).toMatch(/^W\/"/)
  const sibling = await ask('/pre/all.js', 'Accept-Encoding: br\r\n', served)
  expect([sibling.fields.get('content-encoding'), sibling.body]).toEqual(['br', 'all.js.br'])
})

test('a reader that leaves in the middle harms nobody', async () => {
  await writeFile(join(folder, 'large.bin'), Buffer.alloc(8 * 1024 * 1024))
  const socket = await test_.connect()
  socket.pause()
  socket.write('GET /large.bin HTTP/1.1\r\nHost: a\r\n\r\n')
  await expect.poll(() => test_.gateway.inFlight).toBe(1)
  socket.destroy()
  await expect.poll(() => test_.gateway.inFlight).toBe(0)
  expect(test_.records.at(-1)).toMatchObject({ aborted: true })
})

function isIn(directory: string, fd: string): boolean {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`).startsWith(directory)
  } catch {
    return false
  }
}
