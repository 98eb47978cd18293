import { mkdtemp, mkdir, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'

import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import type { AbsolutePath } from '../../../src/core/place.ts'
import type { StateKind, StateResource } from '../../../src/emulators/workers/state/ask.ts'
import { NO_RESOURCES } from '../../../src/emulators/workers/control/worker.ts'
import { startControlRuntime, type Runtime } from '../../../src/emulators/workers/runtime.ts'
import { batch, execute } from '../../../src/emulators/workers/state/d1.ts'
import { exportSql } from '../../../src/emulators/workers/state/d1-export.ts'
import {
  applyMigrations,
  createMigration,
  listMigrations,
} from '../../../src/emulators/workers/state/d1-migrations.ts'
import { kvNamespace } from '../../../src/emulators/workers/state/kv.ts'
import { sendMessage, storedSecret } from '../../../src/emulators/workers/state/messages.ts'
import { r2Bucket } from '../../../src/emulators/workers/state/r2.ts'
import { splitSql, withinLimit, withoutTransaction } from '../../../src/emulators/workers/state/sql.ts'
import { takeTurn } from '../../../src/emulators/workers/state/turn.ts'
import { stateFolder } from '../../../src/emulators/workers/workerd.ts'

let directory: AbsolutePath
let runtime: Runtime

const DATABASES = [
  'execute',
  'fail',
  'export',
  'import',
  'migrate',
  'fail-migration',
  'by-number',
  'batch',
  'export-long',
  'import-long',
]

beforeAll(async () => {
  directory = (await mkdtemp(join(tmpdir(), 'flexi-state-'))) as AbsolutePath
  runtime = await startControlRuntime({
    state: stateFolder(directory),
    resources: {
      ...NO_RESOURCES,
      kv: ['kv', 'pages', 'bulk', 'limits'],
      r2: ['files', 'pages', 'big'],
      d1: DATABASES,
      queues: ['jobs'],
      secrets: [{ store: 'store', name: 'api' }],
    },
  })
})
afterAll(async () => {
  await runtime?.dispose()
  await rm(directory, { recursive: true, force: true })
})

const resource = (kind: StateKind, id: string): StateResource => ({ control: runtime.control, kind, id })

async function exported(database: StateResource, options: Parameters<typeof exportSql>[1]): Promise<string> {
  const lines: string[] = []
  for await (const line of exportSql(database, options)) lines.push(line)
  return lines.join('\n')
}

const bytesIn = (text: string): number => Buffer.byteLength(text)
/** What a key may be: no more than KV's 512 bytes, and no half of a surrogate pair. */
const keys = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 60 })
  .filter((key) => bytesIn(key) <= 512 && key !== '.' && key !== '..')

describe('KV', () => {
  test('any key of 1 to 512 bytes and any bytes come back as they were, with their metadata', async () => {
    const namespace = kvNamespace(resource('kv', 'kv'))
    await fc.assert(
      fc.asyncProperty(
        keys,
        fc.uint8Array({ maxLength: 300 }),
        fc.jsonValue({ maxDepth: 1 }),
        async (key, value, metadata) => {
          const isKept = metadata !== null && bytesIn(JSON.stringify(metadata)) <= 1024
          await namespace.put(key, value, isKept ? { metadata } : {})
          const found = await namespace.get(key)
          expect(found?.metadata ?? null).toEqual(isKept ? JSON.parse(JSON.stringify(metadata)) : null)
          expect(new Uint8Array(await buffer(found?.body ?? Readable.from([])))).toEqual(value)
          await namespace.delete(key)
          expect(await namespace.get(key)).toBeUndefined()
        },
      ),
      { numRuns: 60 },
    )
  })

  test.each([
    '/',
    'a/../b',
    '?',
    '#',
    '%',
    '%2F',
    'ü'.repeat(256),
    'x'.repeat(512),
    ' ',
    'a\nb',
    '+',
    '&key=',
    '🙂',
    '../kv',
  ])('takes %j for a key', async (key) => {
    const namespace = kvNamespace(resource('kv', 'kv'))
    await namespace.put(key, Buffer.from(key))
    expect(String(await buffer((await namespace.get(key))?.body ?? Readable.from([])))).toBe(key)
    await namespace.delete(key)
  })

  test('refuses in words what KV refuses', async () => {
    const namespace = kvNamespace(resource('kv', 'limits'))
    const value = Buffer.from('x')
    await expect(namespace.put('x'.repeat(513), value)).rejects.toThrow(
      /^UTF-8 encoded length of 513 exceeds/,
    )
    await expect(namespace.put('', value)).rejects.toThrow(/Key name cannot be empty/)
    await expect(namespace.put('\ud800', value)).rejects.toThrow(/no text that UTF-8 can write/)
    await expect(namespace.put('a', value, { ttl: 59 })).rejects.toThrow(/at least 60/)
    await expect(namespace.put('a', value, { metadata: 'x'.repeat(1023) })).rejects.toThrow(/1024/)
    await expect(namespace.put('a', Buffer.alloc(25 * 1024 * 1024 + 1))).rejects.toThrow(/26214400/)
    expect(await namespace.list().next()).toEqual({ done: true, value: undefined })
  })

  test('lists all keys with a prefix, over more than one page', async () => {
    const namespace = kvNamespace(resource('kv', 'pages'))
    const names = Array.from({ length: 1_001 }, (_, index) => `p:${String(index).padStart(5, '0')}`)
    await namespace.putAll([...names, 'other'].map((key) => ({ key, value: '' })))
    const found: string[] = []
    for await (const { name } of namespace.list('p:')) found.push(name)
    expect(found).toEqual(names)
    await namespace.deleteAll(names.slice(0, 600))
    const left: string[] = []
    for await (const { name } of namespace.list()) left.push(name)
    expect(left).toEqual(['other', ...names.slice(600)])
  })

  test('writes and reads many at once, bytes too, with expiration and metadata', async () => {
    const namespace = kvNamespace(resource('kv', 'bulk'))
    const expiration = Math.floor(Date.now() / 1000) + 3_600
    await namespace.putAll([
      { key: 'text', value: 'ü', metadata: { a: 1 }, expiration },
      { key: 'bytes', value: '/wAB', base64: true },
    ])
    expect(await namespace.getAll(['text', 'bytes', 'none'])).toEqual([
      { key: 'text', value: 'ü' },
      { key: 'bytes', value: '/wAB', base64: true },
      { key: 'none', value: null },
    ])
    expect(await namespace.list('text').next()).toEqual({
      done: false,
      value: { name: 'text', expiration, metadata: { a: 1 } },
    })
  })
})

describe('R2', () => {
  test('any key and any bytes come back as they were', async () => {
    const bucket = r2Bucket(resource('r2', 'files'))
    await fc.assert(
      fc.asyncProperty(keys, fc.uint8Array({ maxLength: 300 }), async (key, value) => {
        await bucket.put(key, value, { bytes: value.byteLength })
        expect(new Uint8Array(await buffer((await bucket.get(key)) ?? Readable.from([])))).toEqual(value)
        await bucket.delete(key)
        expect(await bucket.get(key)).toBeUndefined()
      }),
      { numRuns: 40 },
    )
  })

  test('keeps the HTTP metadata and metadata of its own, however long that is', async () => {
    const bucket = r2Bucket(resource('r2', 'files'))
    const httpMetadata = {
      contentType: 'text/plain; charset=utf-8',
      contentLanguage: 'de',
      contentDisposition: 'attachment; filename="ü.txt"',
      contentEncoding: 'gzip',
      cacheControl: 'max-age=60',
      cacheExpiry: '2030-01-31T00:00:00.000Z',
    }
    const customMetadata = { owner: 'Zoë', long: 'x'.repeat(1_900) }
    const content = Buffer.from('not gzip, and nobody looks')
    await bucket.put('meta', content, { bytes: content.byteLength, httpMetadata, customMetadata })
    expect(await bucket.head('meta')).toMatchObject({
      size: content.byteLength,
      httpMetadata,
      customMetadata,
    })
    expect(await buffer((await bucket.get('meta')) ?? Readable.from([]))).toEqual(content)
    expect(await bucket.head('none')).toBeUndefined()
  })

  test('streams both ways: 64 MB need no memory of that size here', async () => {
    const bucket = r2Bucket(resource('r2', 'big'))
    const chunk = Buffer.alloc(1024 * 1024, 'x')
    const source = Readable.from(
      (function* chunks() {
        for (let index = 0; index < 64; index++) yield chunk
      })(),
    )
    const before = process.memoryUsage().arrayBuffers
    const object = await bucket.put('big', source, { bytes: 64 * chunk.length })
    expect(object.size).toBe(64 * chunk.length)
    let bytes = 0
    let most = 0
    for await (const part of (await bucket.get('big')) ?? Readable.from([])) {
      bytes += (part as Buffer).length
      most = Math.max(most, process.memoryUsage().arrayBuffers - before)
    }
    expect(bytes).toBe(64 * chunk.length)
    expect(most).toBeLessThan(48 * 1024 * 1024)
  }, 30_000)

  test('lists over more than one page', async () => {
    const bucket = r2Bucket(resource('r2', 'pages'))
    const names = Array.from({ length: 1_003 }, (_, index) => `o/${String(index).padStart(5, '0')}`)
    for (let at = 0; at < names.length; at += 50)
      await Promise.all(
        names.slice(at, at + 50).map((key) => bucket.put(key, Buffer.from('x'), { bytes: 1 })),
      )
    const found: string[] = []
    for await (const { key } of bucket.list('o/')) found.push(key)
    expect(found).toEqual(names)
  }, 30_000)
})

const source = (text: string): { text: string; file: string } => ({ text, file: 'seed.sql' })

describe('D1', () => {
  test('runs several statements and answers each', async () => {
    const results = await execute(
      resource('d1', 'execute'),
      source(`CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT); -- a; comment
        CREATE TRIGGER tr AFTER INSERT ON t WHEN new.b = 'x;' BEGIN
          UPDATE t SET b = CASE new.b WHEN 'x;' THEN 'y' ELSE 'END;' END WHERE a = new.a; END;
        INSERT INTO t (b) VALUES ('x;'), ('"'); /* ; */ SELECT * FROM t;`),
    )
    expect(results.map(({ results: rows }) => rows)).toEqual([
      [],
      [],
      [],
      [
        { a: 1, b: 'y' },
        { a: 2, b: '"' },
      ],
    ])
    expect(results[2]?.meta.changes).toBeGreaterThanOrEqual(2)
  })

  test('tells the place of the statement that failed, and keeps nothing of the others', async () => {
    const database = resource('d1', 'fail')
    await execute(database, source('CREATE TABLE t (a INTEGER)'))
    const error = await execute(
      database,
      source(`INSERT INTO t VALUES (1);\nINSERT INTO t VALUES (2);\n  SELECT 'ü', nope FROM t;\nSELECT 1`),
    ).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({
      code: 'FLEXI_BAD_REQUEST',
      faults: [
        {
          place: { file: 'seed.sql', line: 3, column: 15 },
          message: 'no such column: nope',
          text: `  SELECT 'ü', nope FROM t;`,
        },
      ],
    })
    expect((await batch(database, [{ sql: 'SELECT * FROM t' }]))[0]?.results).toEqual([])
  })

  test('tells the place among many statements, of which only running shows which one fails', async () => {
    const database = resource('d1', 'batch')
    const inserts = Array.from(
      { length: 300 },
      (_, index) => `INSERT INTO u VALUES (${index === 216 ? 7 : index});`,
    )
    const text = `CREATE TABLE u (a INTEGER UNIQUE);\n${inserts.join('\n')}`
    const error: unknown = await execute(database, source(text)).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ faults: [{ place: { line: 218, column: 1 } }] })
    expect(String(error)).toContain('UNIQUE constraint failed: u.a')
  })

  test('takes what the .dump of SQLite wraps around a database, and says what another transaction is', async () => {
    const database = resource('d1', 'batch')
    const results = await execute(
      database,
      source('BEGIN TRANSACTION;\nCREATE TABLE d (a);\nINSERT INTO d VALUES (1);\nCOMMIT;'),
    )
    expect(results).toHaveLength(2)
    await expect(execute(database, source('BEGIN; SELECT 1'))).rejects.toMatchObject({
      faults: [
        {
          place: { line: 1, column: 1 },
          hint: expect.stringContaining('Leave BEGIN and COMMIT out') as string,
        },
      ],
    })
    await expect(execute(database, source('-- nothing'))).rejects.toThrow('seed.sql has no SQL statement')
  })

  test('what export writes makes the same database again', async () => {
    const from = resource('d1', 'export')
    await execute(
      from,
      source(`
      CREATE TABLE parents ("odd ""name" INTEGER PRIMARY KEY AUTOINCREMENT, doubled AS ("odd ""name" * 2), big, real REAL, text TEXT, data BLOB);
      CREATE TABLE kids (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES parents("odd ""name")) STRICT;
      CREATE INDEX by_parent ON kids(parent);
      CREATE VIEW loud AS SELECT upper(text) AS shout FROM parents;
      CREATE TRIGGER count_up AFTER INSERT ON kids BEGIN UPDATE parents SET big = big + 1; END;
      INSERT INTO parents (big, real, text, data) VALUES
        (9223372036854775807, 0.1, 'it''s; a' || char(10) || 'line \\n', X'00FF'),
        (NULL, 1e300, '', X''), (-1, 3.0, 'n', NULL), ('12', -0.0, 'nul' || char(0) || 'in', zeroblob(3));
      DELETE FROM parents WHERE text = '';
      INSERT INTO kids VALUES (1, 1)`),
    )
    await execute(from, source(`UPDATE parents SET big = 9223372036854775807 WHERE "odd ""name" = 1`))
    const lines: string[] = []
    for await (const line of exportSql(from, { schema: true, data: true })) lines.push(line)
    const to = resource('d1', 'import')
    await execute(to, { text: lines.join('\n'), file: 'export.sql' })
    const again: string[] = []
    for await (const line of exportSql(to, { schema: true, data: true })) again.push(line)
    expect(again).toEqual(lines)
    const compared = `SELECT *, quote(big) AS b, typeof(big) AS tb, quote(real) AS r, hex(text) AS t, quote(data) AS d FROM parents`
    const [original, copy] = await Promise.all([from, to].map((one) => batch(one, [{ sql: compared }])))
    expect(copy?.[0]?.results).toEqual(original?.[0]?.results)
    expect(original?.[0]?.results).toHaveLength(3)
    await execute(to, source(`INSERT INTO parents (text) VALUES ('next')`))
    const [next] = await batch(to, [{ sql: `SELECT max("odd ""name") AS id FROM parents` }])
    expect(next?.results).toEqual([{ id: 5 }])
  })

  test('export brings back what ends in a comment, and rows that are longer than a statement may be', async () => {
    const from = resource('d1', 'export-long')
    await execute(
      from,
      source(`
      CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT, data BLOB) -- a table; it's
      ;
      CREATE INDEX by_text ON notes(text) -- an index
      ;
      CREATE VIEW ids AS SELECT id FROM notes -- a view
      ;
      INSERT INTO notes VALUES (1, printf('%.*c', 100000, 'x') || '''?', zeroblob(60000)), (2, 'short', X'01'),
        (3, printf('%.*c', 100000, 'y') || char(0), NULL)`),
    )
    const lines = await exported(from, { schema: true, data: true })
    const to = resource('d1', 'import-long')
    await execute(to, { text: lines, file: 'export.sql' })
    expect(await exported(to, { schema: true, data: true })).toBe(lines)
    const [rows] = await batch(to, [
      {
        sql: 'SELECT length(text) AS t, typeof(text) AS tt, length(data) AS d, typeof(data) AS td FROM notes',
      },
    ])
    expect(rows?.results).toMatchObject([
      { t: 100_002, tt: 'text', d: 60_000, td: 'blob' },
      { t: 5, d: 1 },
      { tt: 'text', d: null },
    ])
  })

  test('export takes single tables, only their rows, or only their statements', async () => {
    const from = resource('d1', 'export')
    const read = async (options: Parameters<typeof exportSql>[1]): Promise<string[]> => {
      const lines: string[] = []
      for await (const line of exportSql(from, options)) lines.push(line)
      return lines.slice(1)
    }
    expect(await read({ tables: ['kids'], schema: false, data: true })).toEqual([
      'INSERT INTO "kids" ("id","parent") VALUES(1,1);',
    ])
    expect(await read({ tables: ['kids'], schema: true, data: false })).toEqual([
      expect.stringMatching(/^CREATE TABLE kids/),
      'CREATE INDEX by_parent ON kids(parent);',
      expect.stringMatching(/^CREATE TRIGGER/),
    ])
    await expect(read({ tables: ['nope'], schema: true, data: true })).rejects.toMatchObject({
      message: 'there is no table nope',
      hint: 'The database has: parents, kids.',
    })
  })
})

describe('migrations', () => {
  const folder = async (name: string, files: Readonly<Record<string, string>>): Promise<AbsolutePath> => {
    const path = join(directory, name) as AbsolutePath
    await mkdir(path, { recursive: true })
    for (const [file, text] of Object.entries(files)) await writeFile(join(path, file), text)
    return path
  }

  test('run once, in order, and are remembered', async () => {
    const database = resource('d1', 'migrate')
    const path = await folder('m1', {
      '0001_a.sql': 'CREATE TABLE a (x);',
      '0002_b.sql': '-- only words',
      'notes.md': 'no migration',
    })
    const settings = { directory: path, table: 'd1_migrations' }
    const told: string[] = []
    expect(await applyMigrations(database, settings, (name) => told.push(name))).toEqual([
      '0001_a.sql',
      '0002_b.sql',
    ])
    expect(told).toEqual(['0001_a.sql', '0002_b.sql'])
    expect(await applyMigrations(database, settings, () => undefined)).toEqual([])
    await writeFile(join(path, '0003_c.sql'), 'ALTER TABLE a ADD COLUMN y;')
    expect(await listMigrations(database, settings)).toEqual([
      { name: '0001_a.sql', appliedAt: expect.stringMatching(/^\d{4}-/) as string },
      { name: '0002_b.sql', appliedAt: expect.stringMatching(/^\d{4}-/) as string },
      { name: '0003_c.sql', appliedAt: undefined },
    ])
    expect(await applyMigrations(database, settings, () => undefined)).toEqual(['0003_c.sql'])
    const [rows] = await batch(database, [{ sql: 'SELECT id, name FROM d1_migrations ORDER BY id' }])
    expect(rows?.results).toEqual([
      { id: 1, name: '0001_a.sql' },
      { id: 2, name: '0002_b.sql' },
      { id: 3, name: '0003_c.sql' },
    ])
  })

  test('one that fails leaves nothing of itself, keeps those before it, and ends the others', async () => {
    const database = resource('d1', 'fail-migration')
    const path = await folder('m2', {
      '0001_good.sql': 'CREATE TABLE good (x);',
      '0002_bad.sql': 'CREATE TABLE half (x);\nINSERT INTO half VALUES (1);\nINSERT INTO nowhere VALUES (1);',
      '0003_never.sql': 'CREATE TABLE never (x);',
    })
    const settings = { directory: path, table: 'my_migrations' }
    await expect(applyMigrations(database, settings, () => undefined)).rejects.toMatchObject({
      faults: [{ place: { file: join(path, '0002_bad.sql'), line: 3, column: 1 } }],
    })
    const [tables] = await batch(database, [
      {
        sql: `SELECT name FROM sqlite_schema WHERE name IN ('good', 'half', 'never', 'my_migrations') ORDER BY name`,
      },
    ])
    expect(tables?.results).toEqual([{ name: 'good' }, { name: 'my_migrations' }])
    const [notes] = await batch(database, [{ sql: 'SELECT name FROM my_migrations' }])
    expect(notes?.results).toEqual([{ name: '0001_good.sql' }])
  })

  test('are ordered by number, because wrangler does: 9 before 10', async () => {
    const path = await folder('m3', {
      '9_a.sql': 'SELECT 1',
      '10_b.sql': 'SELECT 1',
      '0011_c.sql': 'SELECT 1',
    })
    const settings = { directory: path, table: 'd1_migrations' }
    expect((await listMigrations(resource('d1', 'by-number'), settings)).map(({ name }) => name)).toEqual([
      '9_a.sql',
      '10_b.sql',
      '0011_c.sql',
    ])
  })

  test('a new one has the next number, also where there is no folder yet', async () => {
    const path = join(directory, 'm4/deep') as AbsolutePath
    await createMigration(path, 'add users')
    await createMigration(path, 'a/b')
    expect((await readdir(path)).toSorted()).toEqual(['0001_add_users.sql', '0002_a_b.sql'])
  })
})

test('a queue takes JSON, text and bytes, and refuses what is none', async () => {
  const queue = resource('queue', 'jobs')
  await sendMessage(queue, Buffer.from('{"a":1}'))
  await sendMessage(queue, Buffer.from('ü'), { contentType: 'text', delaySeconds: 1 })
  await sendMessage(queue, Buffer.from([0, 255]), { contentType: 'bytes' })
  await expect(sendMessage(queue, Buffer.from('{'))).rejects.toThrow(/JSON/)
})

test('a secret is set, replaced and taken away', async () => {
  const secret = storedSecret(resource('secret', 'store/api'))
  expect(await secret.get()).toBeUndefined()
  await secret.set('one')
  await secret.set('two ü')
  expect(await secret.get()).toBe('two ü')
  expect(await secret.delete()).toBe(true)
  expect(await secret.delete()).toBe(false)
})

test('what nothing is bound to is refused by its name', async () => {
  await expect(kvNamespace(resource('kv', 'other')).get('a')).rejects.toThrow(
    'nothing here is bound to the kv other',
  )
})

describe('SQL is cut into statements', () => {
  const cut = (text: string): string[] => splitSql(text).map(({ sql }) => sql)

  test.each([
    ['SELECT 1; SELECT 2', ['SELECT 1', 'SELECT 2']],
    [';; ;', []],
    [`SELECT ';', ";", \`;\`, [;]; SELECT 'it''s;'`, [`SELECT ';', ";", \`;\`, [;]`, `SELECT 'it''s;'`]],
    ['-- a;\nSELECT 1 -- b;\n; /* c; */ SELECT 2 /* d; */', ['SELECT 1 -- b;', 'SELECT 2 /* d; */']],
    ['/* open; SELECT 1', []],
    [`SELECT 'open; SELECT 1`, [`SELECT 'open; SELECT 1`]],
    [
      'create temp trigger t after insert on a begin select case 1 when 1 then 2 end; select 3; end; select 4',
      [
        'create temp trigger t after insert on a begin select case 1 when 1 then 2 end; select 3; end',
        'select 4',
      ],
    ],
    ['CREATE TABLE trigger_log (a); SELECT 1', ['CREATE TABLE trigger_log (a)', 'SELECT 1']],
    ['BEGIN; SELECT 1; END', ['BEGIN', 'SELECT 1', 'END']],
  ])('%j', (text, statements) => {
    expect(cut(text)).toEqual(statements)
  })

  test('each stands where its offset says, whatever the text is', () => {
    const piece = fc.oneof(
      fc.constantFrom(
        "'",
        '"',
        '`',
        '[',
        ']',
        '--',
        '/*',
        '*/',
        ';',
        '\n',
        ' ',
        'CREATE',
        'TRIGGER',
        'END',
        'a',
        'ü🙂',
      ),
      fc.string({ maxLength: 4 }),
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
        const text = pieces.join('')
        for (const { sql, offset } of splitSql(text)) {
          expect(text.startsWith(sql, offset)).toBe(true)
          expect(sql.trim()).not.toBe('')
        }
      }),
    )
  })

  test('one that is too long has its longest values as parameters, and another is left as it is', () => {
    const long = 'y'.repeat(90_000)
    const sql = `INSERT INTO t VALUES ('a''${long}', X'${'0f'.repeat(20_000)}', 'short') -- '${long}'`
    const shorter = sql.replace(`'a''${long}'`, '?1')
    expect(withinLimit(sql)).toEqual({
      sql: shorter.replace(/X'[0f]+'/, '?2'),
      params: [`a'${long}`, Array.from({ length: 20_000 }, () => 15)],
    })
    expect(withinLimit(`SELECT '${long}${long}'`)).toEqual({ sql: `SELECT '${long}${long}'` })
    expect(withinLimit(`INSERT INTO t VALUES ('${long}')`)).toEqual({
      sql: `INSERT INTO t VALUES ('${long}')`,
    })
  })

  test('without the one transaction around it, and with any other', () => {
    const kept = (text: string): string[] => withoutTransaction(splitSql(text)).map(({ sql }) => sql)
    expect(kept('PRAGMA a; begin transaction; SELECT 1; COMMIT')).toEqual(['PRAGMA a', 'SELECT 1'])
    expect(kept('BEGIN; SELECT 1; COMMIT; BEGIN; COMMIT')).toHaveLength(5)
  })
})

describe('commands take turns', () => {
  test('one waits for the other, and tells who has the data when that lasts', async () => {
    const folder = join(directory, 'turns') as AbsolutePath
    const first = await takeTurn(folder)
    await expect(takeTurn(folder, 60)).rejects.toMatchObject({
      code: 'FLEXI_UPSTREAM_TIMEOUT',
      message: `process ${process.pid} has the local state open`,
    })
    const second = takeTurn(folder)
    await first[Symbol.asyncDispose]()
    await (await second)[Symbol.asyncDispose]()
    expect(await readdir(folder)).toEqual([])
  })

  test('a note that nobody wrote to its end counts for nothing after a while', async () => {
    const folder = join(directory, 'turn-empty') as AbsolutePath
    await mkdir(folder)
    await writeFile(join(folder, 'command.pid'), '')
    await expect(takeTurn(folder, 50)).rejects.toThrow('has the local state open')
    await utimes(join(folder, 'command.pid'), 0, 0)
    await using _ = await takeTurn(folder, 50)
  })

  test('the note of one that was killed counts for nothing', async () => {
    const folder = join(directory, 'killed') as AbsolutePath
    await mkdir(folder)
    await writeFile(join(folder, 'command.pid'), '999999999')
    const turn = await takeTurn(folder, 0)
    expect(await readFile(join(folder, 'command.pid'), 'utf8')).toBe(String(process.pid))
    await turn[Symbol.asyncDispose]()
  })
})
