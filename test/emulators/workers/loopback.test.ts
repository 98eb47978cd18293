import { access, mkdir, mkdtemp, rm, symlink } from 'node:fs/promises'
import { createServer, request, type IncomingHttpHeaders, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'

import type { AbsolutePath } from '../../../src/core/place.ts'
import { openConfinedFolder } from '../../../src/emulators/workers/confined/folder.ts'
import { openLoopback, type Loopback } from '../../../src/emulators/workers/confined/loopback.ts'

interface Asked {
  readonly line: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

const asked: Asked[] = []
let directory: string
let path: string
let server: Server
let loopback: Loopback

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'flexi-test-'))
  path = join(directory, 'loopback.sock')
  server = createServer((incoming, outgoing) => {
    let body = ''
    incoming.on('data', (chunk: Buffer) => (body += chunk.toString()))
    incoming.on('end', () => {
      asked.push({ line: `${incoming.method} ${incoming.url}`, headers: incoming.headers, body })
      outgoing.writeHead(204).end()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  loopback = await openLoopback(path)
  loopback.leadTo((server.address() as AddressInfo).port)
})

afterAll(async () => {
  await loopback[Symbol.asyncDispose]()
  server.close()
  await rm(directory, { recursive: true, force: true })
})

beforeEach(() => {
  asked.length = 0
})

interface Sent {
  readonly target: string
  readonly method?: string
  readonly headers?: Record<string, string>
  readonly body?: string | Buffer
}

function send({ target, method = 'POST', headers = {}, body }: Sent): Promise<number> {
  return new Promise((resolve, reject) => {
    request({ socketPath: path, method, path: target, headers }, (response) => {
      response.resume()
      response.once('end', () => resolve(response.statusCode ?? 0))
    })
      .once('error', reject)
      .end(body)
  })
}

test('what a runtime logs is passed on, and nothing of the request besides', async () => {
  const headers = { 'mf-log-level': '3', 'mf-original-url': 'http://x/core/store-temp-file', 'x-other': 'y' }
  expect(await send({ target: '/core/log', headers, body: 'QUEUE jobs 1/1' })).toBe(204)
  expect(asked).toMatchObject([{ line: 'POST /core/log', body: 'QUEUE jobs 1/1' }])
  expect(asked[0]?.headers).toMatchObject({ 'mf-log-level': '3' })
  expect(Object.keys(asked[0]?.headers ?? {})).not.toEqual(expect.arrayContaining(['mf-original-url']))
  expect(asked[0]?.headers['x-other']).toBeUndefined()
})

test.each([
  ['writing files', { target: '/core/store-temp-file?prefix=../../../etc&extension=x' }],
  ['reading sources', { target: '/core/error' }],
  ['starting a browser', { target: '/browser/launch', method: 'GET' }],
  ['a service of its own', { target: '/', headers: { 'mf-custom-fetch-service': 'images' } }],
  ['stored data of others', { target: '/core/do-storage/x', method: 'GET' }],
  ['a path that is made to look right', { target: '/core/log/../store-temp-file' }],
  ['another method', { target: '/core/log', method: 'DELETE' }],
] satisfies readonly (readonly [string, Sent])[])('%s is refused', async (_what, sent) => {
  expect(await send(sent)).toBe(403)
  expect(asked).toEqual([])
})

test('more than a line can be is not collected', async () => {
  const body = Buffer.alloc(1024 * 1024)
  await expect(send({ target: '/core/log', body }).catch(() => 403)).resolves.toBe(403)
  expect(asked).toEqual([])
})

test('a link in the place of a worker’s socket is not followed: it could lead to one of the daemon’s own', async () => {
  const folder = openConfinedFolder({
    runDirectory: join(directory, 'run') as AbsolutePath,
    sharesLoopback: false,
    launch: () => {
      throw new Error('nothing is launched')
    },
  })
  await mkdir(join(directory, 'run'))
  await symlink(path, folder.socketPath('direct'))
  expect(() => folder.hold('direct')).toThrow('is no socket')
  expect(() => folder.hold('control')).toThrow('is no socket')
  await folder.remove()
  await expect(access(path)).resolves.toBeUndefined()
})
