import { spawn, type ChildProcess } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'

import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'

import { COMMANDS } from '../../src/commands/index.ts'
import { cli, ROOT, RUN, type CliResult } from './cli.ts'

/** For what other processes do, on a machine that does much else. */
const WAIT = { timeout: 30_000 }

const PROGRAM = `
export default {
  async fetch(request, env) {
    const url = new URL(request.url)
    const key = url.searchParams.get('key') ?? ''
    if (url.pathname === '/kv/put') return new Response(await env.KV.put(key, request.body ?? ''))
    if (url.pathname === '/kv') return new Response(await env.KV.get(key, 'stream'), { status: 200 })
    if (url.pathname === '/r2') { const o = await env.FILES.get(key); return Response.json({ text: await o?.text(), http: o?.httpMetadata, own: o?.customMetadata }) }
    if (url.pathname === '/d1') return Response.json((await env.DB.prepare(url.searchParams.get('sql')).all()).results)
    if (url.pathname === '/secret') return new Response(await env.KEY.get().catch(() => 'none'))
    return new Response('edge ' + env.STAGE)
  },
  async queue(batch, env) {
    for (const { body, id } of batch.messages) {
      const text = body instanceof ArrayBuffer ? 'bytes ' + [...new Uint8Array(body)] : typeof body + ' ' + JSON.stringify(body)
      await env.KV.put('message', text)
    }
  },
}`

const WRANGLER = {
  name: 'edge',
  main: 'index.js',
  compatibility_date: '2026-01-01',
  vars: { STAGE: 'top' },
  kv_namespaces: [
    { binding: 'KV', id: 'kv-one' },
    { binding: 'SECOND', id: 'kv-two' },
  ],
  r2_buckets: [{ binding: 'FILES', bucket_name: 'files' }],
  d1_databases: [{ binding: 'DB', database_name: 'app-db', database_id: 'db-1', migrations_dir: 'sql' }],
  queues: {
    producers: [
      { binding: 'JOBS', queue: 'jobs' },
      { binding: 'LOST', queue: 'lost' },
    ],
    consumers: [{ queue: 'jobs', max_batch_size: 1, max_batch_timeout: 0 }],
  },
  secrets_store_secrets: [{ binding: 'KEY', store_id: 'store', secret_name: 'api-key' }],
  env: { staging: { vars: { STAGE: 'staging' }, kv_namespaces: [{ binding: 'KV', id: 'kv-staging' }] } },
}

const folders: string[] = []
const children: ChildProcess[] = []

async function lay(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'flexi-state-'))
  folders.push(folder)
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true })
    await writeFile(join(folder, path), text)
  }
  return folder
}

interface Dev {
  readonly url: string
  stop(): Promise<void>
}

async function dev(folder: string): Promise<Dev> {
  const child = spawn(process.execPath, [RUN, 'dev', '--port', '0', folder], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  children.push(child)
  let out = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (out += text))
  const ended = new Promise<void>((resolve) => child.on('exit', () => resolve()))
  const url = (): string | undefined => /http:\/\/127\.0\.0\.1:\d+/.exec(out)?.[0]
  await vi.waitFor(() => {
    if (url() === undefined) throw new Error(`flexi dev says: ${out} (exit ${child.exitCode})`)
  }, WAIT)
  return {
    url: url() ?? '',
    async stop() {
      child.kill('SIGTERM')
      await ended
    },
  }
}

const flexi = (folder: string, ...args: readonly string[]): Promise<CliResult> =>
  cli(args, { cwd: folder, environment: { NO_COLOR: '1' } })

/** Bytes in, bytes out. */
async function raw(
  folder: string,
  args: readonly string[],
  input: Uint8Array | Readable = Buffer.alloc(0),
): Promise<{ exit: number | null; stdout: Buffer }> {
  const child = spawn(process.execPath, [RUN, ...args], { cwd: folder, stdio: ['pipe', 'pipe', 'ignore'] })
  const exit = new Promise<number | null>((resolve) => child.on('close', resolve))
  const sent = pipeline(input instanceof Readable ? input : Readable.from([input]), child.stdin).catch(
    () => undefined,
  )
  const stdout = await buffer(child.stdout)
  await sent
  return { exit: await exit, stdout }
}

const json = (result: CliResult): unknown => JSON.parse(result.stdout)

afterAll(async () => {
  for (const child of children) child.kill('SIGKILL')
  await Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true, maxRetries: 3 })))
})

describe('while flexi dev runs', () => {
  let folder: string
  let server: Dev
  beforeAll(async () => {
    folder = await lay({ 'wrangler.json': JSON.stringify(WRANGLER), 'index.js': PROGRAM })
    server = await dev(folder)
  }, 60_000)
  afterAll(() => server?.stop())

  const ask = async (path: string, init?: RequestInit): Promise<string> =>
    (await fetch(`${server.url}${path}`, init)).text()

  test('the worker sees at once what kv put writes, and kv get prints what the worker writes', async () => {
    expect((await flexi(folder, 'kv', 'put', '--binding', 'KV', 'k', 'from outside')).exit).toBe(0)
    expect(await ask('/kv?key=k')).toBe('from outside')
    await flexi(folder, 'kv', 'put', '--namespace-id', 'kv-one', 'k', 'again')
    expect(await ask('/kv?key=k')).toBe('again')
    await ask('/kv/put?key=k', { method: 'PUT', body: 'from within' })
    expect((await flexi(folder, 'kv', 'get', '-b', 'KV', 'k')).stdout).toBe('from within')
    expect((await flexi(folder, 'kv', 'get', '-b', 'KV', '--text', 'k')).stdout).toBe('from within\n')
    await flexi(folder, 'kv', 'delete', '-b', 'KV', 'k')
    const missing = await flexi(folder, 'kv', 'get', '-b', 'KV', 'k')
    expect(missing).toMatchObject({ exit: 66, stdout: '' })
    expect(missing.stderr).toContain('there is no key "k" in kv-one')
  }, 30_000)

  test('any bytes go in and come out as they are, by standard input and by file', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ minLength: 1, maxLength: 2_000 }),
        fc
          .string({ unit: 'grapheme', minLength: 1, maxLength: 30 })
          .filter((key) => !/^[-.]|[\0\u{d800}-\u{dfff}]/u.test(key)),
        async (value, key) => {
          await writeFile(join(folder, 'value'), value)
          expect((await raw(folder, ['kv', 'put', '-b', 'KV', key, '--path', 'value'])).exit).toBe(0)
          expect(new Uint8Array((await raw(folder, ['kv', 'get', '-b', 'KV', key])).stdout)).toEqual(value)
          expect((await raw(folder, ['kv', 'put', '-b', 'KV', key], value)).exit).toBe(0)
          const answer = await fetch(`${server.url}/kv?key=${encodeURIComponent(key)}`)
          expect(new Uint8Array(await answer.arrayBuffer())).toEqual(value)
        },
      ),
      { numRuns: 5 },
    )
  }, 60_000)

  test('a file that is too big for KV is refused before it is read', async () => {
    await writeFile(join(folder, 'huge'), '')
    await truncate(join(folder, 'huge'), 30 * 1024 * 1024)
    const refused = await flexi(folder, 'kv', 'put', '-b', 'KV', 'k', '--path', 'huge')
    expect(refused.exit).toBe(1)
    expect(refused.stderr).toContain('the value has 31457280 bytes, and KV takes 26214400')
  }, 30_000)

  test('lists keys with their expiration and metadata, as a table and as JSON', async () => {
    const put = ['kv', 'put', '-b', 'SECOND', '--ttl', '600', '--metadata', '{"a":1}', 'user:1', 'Ada']
    await flexi(folder, ...put)
    await flexi(folder, 'kv', 'put', '-b', 'SECOND', 'other', 'x')
    const listed = await flexi(folder, 'kv', 'list', '-b', 'SECOND', '--prefix', 'user:')
    expect(listed.stdout).toMatch(/^KEY +EXPIRES +METADATA\nuser:1 +\d{4}-.*Z +\{"a":1\}\n$/)
    expect(json(await flexi(folder, 'kv', 'list', '-b', 'SECOND', '--json'))).toEqual([
      { name: 'other' },
      { name: 'user:1', expiration: expect.any(Number) as number, metadata: { a: 1 } },
    ])
    expect(json(await flexi(folder, 'kv', 'get', '-b', 'SECOND', 'user:1', '--json'))).toEqual({
      key: 'user:1',
      value: 'Ada',
      metadata: { a: 1 },
    })
  }, 30_000)

  test('writes, reads and deletes many keys by files, in the order of wrangler kv bulk', async () => {
    await writeFile(
      join(folder, 'put.json'),
      JSON.stringify([
        { key: 'b1', value: 'x', ttl: 5 },
        { key: 'b2', value: '/w==', base64: true },
      ]),
    )
    await writeFile(join(folder, 'keys.json'), '["b1", "b2", "b3"]')
    expect(await flexi(folder, 'kv', 'bulk', 'put', '-b', 'SECOND', 'put.json')).toMatchObject({
      stdout: 'written: 2 keys\n',
      stderr: '⚠ put.json: nobody reads "ttl" of an entry\n',
    })
    const got = await flexi(folder, 'kv', 'bulk', 'get', '-b', 'SECOND', 'keys.json')
    expect(json(got)).toEqual({ b1: 'x', b2: { base64: '/w==' }, b3: null })
    expect((await flexi(folder, 'kv', 'bulk', 'delete', '-b', 'SECOND', 'keys.json')).exit).toBe(0)
    await writeFile(
      join(folder, 'bad.json'),
      '[\n  { "key": "a", "value": "1" },\n  { "key": 1, "value": "1" },\n  3\n]',
    )
    const bad = await flexi(folder, 'kv', 'bulk', 'put', '-b', 'SECOND', 'bad.json')
    expect(bad.exit).toBe(78)
    expect(bad.stderr).toContain('bad.json:3:3  "key" must be a string')
    expect(bad.stderr).toContain('bad.json:4:3  an entry must be')
  }, 30_000)

  test('stores objects with their HTTP metadata, and the worker reads them', async () => {
    await writeFile(join(folder, 'a.txt'), 'hello')
    const flags = [
      '--content-type',
      'text/plain',
      '--cc',
      'max-age=1',
      '--expires',
      '2030-01-31',
      '--metadata',
      'by=me',
    ]
    expect((await flexi(folder, 'r2', 'put', 'files/dir/a.txt', '--file', 'a.txt', ...flags)).exit).toBe(0)
    expect(JSON.parse(await ask('/r2?key=dir/a.txt'))).toEqual({
      text: 'hello',
      http: { contentType: 'text/plain', cacheControl: 'max-age=1', cacheExpiry: '2030-01-31T00:00:00.000Z' },
      own: { by: 'me' },
    })
    expect((await flexi(folder, 'r2', 'list', 'FILES', '--prefix', 'dir/')).stdout).toMatch(
      /\ndir\/a\.txt +5 +\S+Z +text\/plain\n$/,
    )
    expect(json(await flexi(folder, 'r2', 'head', 'files/dir/a.txt', '--json'))).toMatchObject({
      key: 'dir/a.txt',
      size: 5,
    })
    await rm(join(folder, 'a.txt'))
    expect((await flexi(folder, 'r2', 'get', 'files/dir/a.txt')).stdout).toBe('written: a.txt\n')
    expect(await readFile(join(folder, 'a.txt'), 'utf8')).toBe('hello')
    expect((await flexi(folder, 'r2', 'get', 'FILES/dir/a.txt', '--pipe')).stdout).toBe('hello')
    await flexi(folder, 'r2', 'delete', 'files/dir/a.txt')
    expect(await flexi(folder, 'r2', 'get', 'files/dir/a.txt')).toMatchObject({ exit: 66 })
  }, 30_000)

  test('streams an object of 40 MB both ways, from a pipe too', async () => {
    const block = randomBytes(1024 * 1024)
    const blocks = function* blocks(): Generator<Buffer> {
      for (let index = 0; index < 40; index++) yield block
    }
    const sum = createHash('sha256')
    for (const part of blocks()) sum.update(part)
    const wanted = sum.digest('hex')
    const file = join(folder, 'big')
    await pipeline(Readable.from(blocks()), createWriteStream(file))
    expect((await raw(folder, ['r2', 'put', 'files/big', '--pipe'], createReadStream(file))).exit).toBe(0)
    await flexi(folder, 'r2', 'get', 'files/big', '--file', 'back')
    const back = createHash('sha256')
    await pipeline(createReadStream(join(folder, 'back')), back)
    expect(back.digest('hex')).toBe(wanted)
    expect((await stat(join(folder, 'back'))).size).toBe(40 * block.length)
    await Promise.all(['big', 'back'].map((name) => rm(join(folder, name))))
  }, 60_000)

  test('runs SQL that the worker sees, prints tables, and says where a statement failed', async () => {
    const seed = "CREATE TABLE t (a INTEGER, b TEXT);\nINSERT INTO t VALUES (1, NULL), (2, 'x');"
    await writeFile(join(folder, 'seed.sql'), seed)
    const seeded = await flexi(folder, 'd1', 'execute', 'app-db', '--file', 'seed.sql')
    expect(seeded).toMatchObject({ exit: 0, stdout: '2 statements, 2 rows changed\n' })
    expect(JSON.parse(await ask('/d1?sql=select+*+from+t'))).toEqual([
      { a: 1, b: null },
      { a: 2, b: 'x' },
    ])
    const printed = await flexi(folder, 'd1', 'execute', '--command', 'SELECT * FROM t; SELECT 1 AS one')
    expect(printed.stdout).toBe('a   b\n1   NULL\n2   x\n2 rows\n\none\n1\n1 row\n\n')
    const wrong = await flexi(folder, 'd1', 'execute', 'DB', '--command', 'DELETE FROM t; SELECT nope FROM t')
    expect(wrong.exit).toBe(1)
    expect(wrong.stderr).toContain('--command:1:23  no such column: nope')
    expect(JSON.parse(await ask('/d1?sql=select+count(*)+n+from+t'))).toEqual([{ n: 2 }])
    const machine = await flexi(folder, 'd1', 'execute', '--json', '--command', 'SELECT nope')
    expect(json(machine)).toMatchObject({
      error: { code: 'FLEXI_BAD_REQUEST', faults: [{ place: { line: 1, column: 8 } }] },
    })
    const exported = await flexi(folder, 'd1', 'export', '--table', 't')
    expect(exported.stdout).toContain(
      'CREATE TABLE t (a INTEGER, b TEXT);\nINSERT INTO "t" ("a","b") VALUES(1,NULL);',
    )
  }, 30_000)

  test('makes and runs migrations in the folder that the wrangler file names', async () => {
    expect((await flexi(folder, 'd1', 'migrations', 'create', 'app-db', 'add users')).stdout).toBe(
      'created: sql/0001_add_users.sql\n',
    )
    await writeFile(join(folder, 'sql/0001_add_users.sql'), 'CREATE TABLE users (name TEXT)')
    await writeFile(join(folder, 'sql/0002_bad.sql'), '-- two\nSELECT * FROM nowhere;')
    const applied = await flexi(folder, 'd1', 'migrations', 'apply')
    expect(applied).toMatchObject({ exit: 1, stdout: '✔ 0001_add_users.sql\n' })
    expect(applied.stderr).toContain('sql/0002_bad.sql:2:1  no such table: nowhere')
    expect((await flexi(folder, 'd1', 'migrations', 'list')).stdout).toMatch(
      /0001_add_users\.sql +\d{4}-.*\n0002_bad\.sql +not yet\n/,
    )
    expect(JSON.parse(await ask('/d1?sql=select+*+from+users'))).toEqual([])
  }, 30_000)

  test('sends messages of each kind to the consumer that runs', async () => {
    const last = async (): Promise<string> => ask('/kv?key=message')
    await flexi(folder, 'queues', 'send', 'jobs', '{"id":1}')
    await expect.poll(last, WAIT).toBe('object {"id":1}')
    await flexi(folder, 'queues', 'send', 'JOBS', 'hi', '--content-type', 'text')
    await expect.poll(last, WAIT).toBe('string "hi"')
    await raw(folder, ['queues', 'send', 'jobs', '--content-type', 'bytes'], Buffer.from([0, 255]))
    await expect.poll(last, WAIT).toBe('bytes 0,255')
    expect(await flexi(folder, 'queues', 'send', 'jobs', '{')).toMatchObject({ exit: 2 })
    expect((await flexi(folder, 'queues', 'list')).stdout).toBe(
      'QUEUE   PRODUCERS    CONSUMERS\njobs    edge: JOBS   edge\nlost    edge: LOST   \n',
    )
    const lost = await flexi(folder, 'queues', 'send', 'lost', '{}')
    expect(lost).toMatchObject({
      exit: 0,
      stderr: '⚠ nobody here consumes lost: the message is kept until somebody does\n',
    })
    expect(json(await flexi(folder, 'queues', 'info', 'JOBS', '--json'))).toMatchObject({
      queue: 'jobs',
      running: true,
    })
  }, 30_000)

  test('sets and takes away secrets of the Secrets Store', async () => {
    expect((await flexi(folder, 'secrets-store', 'set', 'api-key', '--value', 'sesame')).exit).toBe(0)
    expect(await ask('/secret')).toBe('sesame')
    expect((await flexi(folder, 'secrets-store', 'list')).stdout).toMatch(/KEY +store +api-key +store +edge/)
    await flexi(folder, 'secrets-store', 'delete', 'KEY')
    expect(await ask('/secret')).toBe('none')
  }, 30_000)

  test('says which bindings there are, and which was meant', async () => {
    const typo = await flexi(folder, 'kv', 'list', '--binding', 'KW')
    expect(typo.exit).toBe(66)
    expect(typo.stderr).toContain('Did you mean KV? There is: KV (edge), SECOND (edge).')
    const which = await flexi(folder, 'kv', 'list')
    expect(which.exit).toBe(2)
    expect(which.stderr).toContain('there are 2 KV namespaces: name one')
    expect(await flexi(folder, 'kv', 'list', '--function', 'nope', '-b', 'KV')).toMatchObject({ exit: 66 })
    expect(await flexi(folder, 'kv', 'list', '--remote', '-b', 'KV')).toMatchObject({ exit: 2 })
  }, 30_000)

  test('with --env, data of another environment is written beside the server that runs', async () => {
    await flexi(folder, 'kv', 'put', '--env', 'staging', '-b', 'KV', 'k', 'staged')
    expect((await flexi(folder, 'kv', 'get', '-e', 'staging', '-b', 'KV', 'k')).stdout).toBe('staged')
    expect(await flexi(folder, 'kv', 'get', '-b', 'KV', 'k')).toMatchObject({ exit: 66 })
  }, 30_000)

  test('programs of this machine reach the same data over HTTP, to seed it in tests', async () => {
    const state = `${server.url}/_flexi/workers/edge/state`
    const put = await fetch(`${state}/kv/KV/values/seed%2F1`, { method: 'PUT', body: 'seeded' })
    expect(put.status).toBe(204)
    expect(await ask('/kv?key=seed/1')).toBe('seeded')
    expect(await (await fetch(`${state}/kv/KV/values/seed%2F1`)).text()).toBe('seeded')
    const query = JSON.stringify({ statements: [{ sql: 'SELECT ? AS n', params: [1] }] })
    expect(
      await (await fetch(`${state}/d1/app-db/batch`, { method: 'POST', body: query })).json(),
    ).toMatchObject([{ results: [{ n: 1 }] }])
    const object = await fetch(`${state}/r2/FILES/objects/page.html`, {
      method: 'PUT',
      body: '<p>',
      headers: { 'content-type': 'text/html', 'cache-control': 'no-store' },
    })
    expect(object.status).toBe(200)
    const read = await fetch(`${state}/r2/FILES/objects/page.html`)
    expect([read.headers.get('content-type'), read.headers.get('cache-control')]).toEqual([
      'text/html',
      'no-store',
    ])
    expect(await (await fetch(`${state}/kv/NOPE/keys`)).json()).toMatchObject({
      status: 404,
      detail: 'edge is bound to no kv NOPE',
    })
    const all = (await (await fetch(`${server.url}/_flexi/workers/state`)).json()) as { functions: unknown[] }
    expect(all.functions).toHaveLength(1)
  }, 30_000)
})

test('while the code does not build, the command says that, and not something else', async () => {
  const folder = await lay({ 'wrangler.json': JSON.stringify(WRANGLER), 'index.js': 'export default {' })
  const server = await dev(folder)
  const failed = await flexi(folder, 'kv', 'get', '-b', 'KV', 'k')
  expect(failed.exit).toBe(1)
  expect(failed.stderr).toContain('the build failed')
  expect(failed.stderr).toContain('FLEXI_BUILD')
  await server.stop()
}, 30_000)

describe('while nothing runs', () => {
  test('reads and writes what the next flexi dev serves, and what the last one left', async () => {
    const folder = await lay({ 'wrangler.json': JSON.stringify(WRANGLER), 'index.js': PROGRAM })
    await flexi(folder, 'kv', 'put', '-b', 'KV', 'before', 'dev')
    expect(await readFile(join(folder, '.flexi/.gitignore'), 'utf8')).toBe('*\n')
    await flexi(folder, 'd1', 'execute', '--command', 'CREATE TABLE t (a); INSERT INTO t VALUES (1)')
    expect((await flexi(folder, 'queues', 'send', 'jobs', '{"early":1}')).stdout).toContain(
      'for the next "flexi dev"',
    )
    const server = await dev(folder)
    const last = async (): Promise<string> => (await fetch(`${server.url}/kv?key=message`)).text()
    await expect.poll(last, WAIT).toBe('object {"early":1}')
    expect(await (await fetch(`${server.url}/kv?key=before`)).text()).toBe('dev')
    expect(await (await fetch(`${server.url}/d1?sql=select+*+from+t`)).json()).toEqual([{ a: 1 }])
    await flexi(folder, 'kv', 'put', '-b', 'KV', 'during', 'dev too')
    await server.stop()
    expect((await flexi(folder, 'kv', 'get', '-b', 'KV', 'during')).stdout).toBe('dev too')
  }, 60_000)

  test('a note of a server that was killed, with a process id that is another process by now, is passed over', async () => {
    const folder = await lay({ 'wrangler.json': JSON.stringify(WRANGLER), 'index.js': PROGRAM })
    await mkdir(join(folder, '.flexi/run'), { recursive: true })
    const note = { pid: process.pid, control: 'http://127.0.0.1:1/_flexi' }
    await writeFile(join(folder, `.flexi/run/${process.pid}.json`), JSON.stringify(note))
    expect(await flexi(folder, 'kv', 'put', '-b', 'KV', 'k', 'v')).toMatchObject({ exit: 0 })
  }, 30_000)

  test('two commands at once do not disturb each other', async () => {
    const folder = await lay({ 'wrangler.json': JSON.stringify(WRANGLER), 'index.js': PROGRAM })
    const both = await Promise.all(
      ['a', 'b', 'c'].map((key) => flexi(folder, 'kv', 'put', '-b', 'KV', key, key)),
    )
    expect(both.map(({ exit, stderr }) => [exit, stderr])).toEqual([
      [0, ''],
      [0, ''],
      [0, ''],
    ])
    expect((await flexi(folder, 'kv', 'list', '-b', 'KV')).stdout).toMatch(/\na +\nb +\nc +\n$/)
  }, 30_000)

  test('bindings are those of all workers: one name for different data asks for the worker', async () => {
    const worker = (name: string, id: string): string =>
      JSON.stringify({
        name,
        main: '../index.js',
        compatibility_date: '2026-01-01',
        kv_namespaces: [
          { binding: 'KV', id },
          { binding: 'SHARED', id: 'shared' },
        ],
      })
    const folder = await lay({
      'flexi.jsonc':
        '{ "functions": { "one": { "provider": "workers", "config": "one/wrangler.json" }, "two": { "provider": "workers", "config": "two/wrangler.json" } } }',
      'one/wrangler.json': worker('one', 'kv-1'),
      'two/wrangler.json': worker('two', 'kv-2'),
      'index.js': PROGRAM,
    })
    const which = await flexi(folder, 'kv', 'put', '-b', 'KV', 'k', 'v')
    expect(which.exit).toBe(2)
    expect(which.stderr).toContain('Add --function: one, two.')
    await flexi(folder, 'kv', 'put', '-b', 'KV', '--function', 'two', 'k', 'v')
    expect(await flexi(folder, 'kv', 'get', '--namespace-id', 'kv-2', 'k')).toEqual({
      exit: 0,
      stdout: 'v',
      stderr: '',
    })
    expect(await flexi(folder, 'kv', 'put', '-b', 'SHARED', 'k', 'v')).toMatchObject({ exit: 0 })
    expect((await flexi(folder, 'kv', 'namespaces')).stdout.split('\n')).toHaveLength(6)
  }, 30_000)

  test('a secret that .dev.vars names is shown as such, and left alone', async () => {
    const folder = await lay({
      'wrangler.json': JSON.stringify(WRANGLER),
      'index.js': PROGRAM,
      '.dev.vars': 'api-key=from the file',
    })
    expect((await flexi(folder, 'secrets-store', 'list')).stdout).toMatch(
      /KEY +store +api-key +\.dev\.vars +edge/,
    )
    const refused = await flexi(folder, 'secrets-store', 'set', 'KEY', '--value', 'x')
    expect(refused.exit).toBe(2)
    expect(refused.stderr).toContain('store/api-key has its value from .dev.vars')
  }, 30_000)

  test('who reads may stop: a broken pipe is no fault', async () => {
    const folder = await lay({
      'wrangler.json': JSON.stringify(WRANGLER),
      'index.js': PROGRAM,
      big: 'x'.repeat(5_000_000),
    })
    await flexi(folder, 'kv', 'put', '-b', 'KV', 'big', '--path', 'big')
    const child = spawn(process.execPath, [RUN, 'kv', 'get', '-b', 'KV', 'big'], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    child.stdout.once('data', () => child.stdout.destroy())
    const said = buffer(child.stderr)
    expect(await new Promise((resolve) => child.on('close', resolve))).toBe(0)
    expect(String(await said)).toBe('')
  }, 30_000)

  test('a folder without workers, or with a wrangler file at fault, says so', async () => {
    const empty = await lay({ 'proxy.ini': '/ = ./\n' })
    const nothing = await flexi(empty, 'kv', 'list')
    expect(nothing.exit).toBe(66)
    expect(nothing.stderr).toContain('no worker here is bound to a KV namespace')
    const faulty = await lay({ 'wrangler.json': '{ "name": 1 }' })
    expect(await flexi(faulty, 'kv', 'list')).toMatchObject({ exit: 78 })
  }, 30_000)
})

describe('the words', () => {
  test.each(Object.entries(COMMANDS))('%s has a summary, an example and --json', (id, command) => {
    expect(command.summary).toMatch(/^[A-Z].*\.$/)
    expect(command.examples?.length).toBeGreaterThan(0)
    // One that runs until it is ended has no result.
    if (id.includes(':') && id !== 'daemon:start') expect(command.enableJsonFlag).toBe(true)
  })

  test('docs/workers-state.md tells of every command and every flag', async () => {
    const page = await readFile(join(ROOT, 'docs/workers-state.md'), 'utf8')
    const commands = Object.entries(COMMANDS).filter(([id]) => /^(d1|kv|queues|r2|secrets-store):/.test(id))
    expect(commands.length).toBeGreaterThan(20)
    for (const [id, { flags }] of commands) {
      expect(page).toContain(`flexi ${id.replaceAll(':', ' ')}`)
      const shown = Object.entries(flags as Readonly<Record<string, { readonly hidden?: boolean }>>)
      const names = shown.filter(([, { hidden }]) => hidden !== true).map(([name]) => `--${name}`)
      expect(names.filter((name) => !page.includes(`\`${name}`))).toEqual([])
    }
  })

  test("wrangler's own are understood", async () => {
    const folder = await lay({ 'wrangler.json': JSON.stringify(WRANGLER), 'index.js': PROGRAM })
    expect((await flexi(folder, 'kv', 'key', 'put', '--local', '-b', 'KV', 'k', 'v')).exit).toBe(0)
    expect((await flexi(folder, 'kv', 'key', 'get', '--local', '-b', 'KV', 'k')).stdout).toBe('v')
  }, 30_000)

  test('a topic lists its commands, and a wrong word names the right one', async () => {
    const topic = await cli(['kv'])
    expect(topic.exit).toBe(0)
    expect(topic.stdout).toContain('kv namespaces')
    expect((await cli(['kv', 'gte'])).stderr).toContain('Did you mean "flexi kv get"?')
    expect((await cli(['d1', 'migrations', 'aply'])).stderr).toContain(
      'Did you mean "flexi d1 migrations apply"?',
    )
    expect((await cli(['r3'])).exit).toBe(2)
    expect((await cli(['r2', 'xxxxxx'])).stderr).toContain('Run "flexi r2 --help" for the list.')
  })
})
