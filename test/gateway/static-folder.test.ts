import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, expect, test } from 'vitest'

import type { AbsolutePath } from '../../src/core/place.ts'
import { staticFolder } from '../../src/gateway/static-folder.ts'
import { openTest, type TestGateway } from './harness.ts'

let root: string
let folder: AbsolutePath
let test_: TestGateway

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'flexi-static-'))
  folder = join(root, 'public') as AbsolutePath
  await mkdir(join(folder, 'sub/deep'), { recursive: true })
  await mkdir(join(folder, '.well-known'))
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
  test_ = await openTest(staticFolder(folder))
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
  expect([post.status, post.headers.get('allow')]).toEqual([405, 'GET, HEAD'])
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
