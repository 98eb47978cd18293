import { mkdtemp, readdir, readFile, readlink, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import fc from 'fast-check'
import { afterEach, beforeEach, expect, test } from 'vitest'

import { unzip, ZipFault } from '../../../src/emulators/lambda/api/unzip.ts'
import { zipOf, type ZipEntry } from './zip.ts'

let outer: string
let folder: string
beforeEach(async () => {
  outer = await mkdtemp(join(tmpdir(), 'flexi-test-'))
  folder = await mkdtemp(join(outer, 'code-'))
})
afterEach(() => rm(outer, { recursive: true, force: true }))

const LIMITS = { bytesMax: 1000, entriesMax: 10 }
const LINK = 0o120777

function unpack(entries: readonly ZipEntry[]): Promise<void> {
  return unzip(zipOf(entries), folder, LIMITS)
}

test('files have their modes and contents, and links inside stay links', async () => {
  await unpack([
    { name: 'bin/', mode: 0o040755 },
    { name: 'bin/run', mode: 0o100755, text: '#!/bin/sh' },
    { name: 'data/a.txt', mode: 0o100444, text: 'a' },
    { name: 'bin/link', mode: LINK, text: '../data/a.txt' },
    { name: 'none', mode: 0, text: 'x' },
  ])
  expect((await stat(join(folder, 'bin/run'))).mode & 0o777).toBe(0o755)
  expect(await readlink(join(folder, 'bin/link'))).toBe('../data/a.txt')
  expect(await readFile(join(folder, 'bin/link'), 'utf8')).toBe('a')
  expect((await stat(join(folder, 'none'))).mode & 0o777).toBe(0o644)
})

test.each<[string, readonly ZipEntry[]]>([
  ['a name that climbs', [{ name: '../out', text: 'x' }]],
  ['a name that climbs inside', [{ name: 'a/../../out', text: 'x' }]],
  ['an absolute name', [{ name: '/tmp/flexi-out', text: 'x' }]],
  ['an absolute link', [{ name: 'l', mode: LINK, text: '/etc' }]],
  ['a link that climbs out', [{ name: 'a/l', mode: LINK, text: '../../out' }]],
  ['a link that climbs late, past another', [{ name: 'l', mode: LINK, text: 'a/b/../../..' }]],
  [
    'a link that climbs late, past one whose name is only dots',
    [
      { name: 'x/y/...', mode: LINK, text: '../..' },
      { name: 'x/y/l', mode: LINK, text: '.../../out' },
    ],
  ],
  [
    'a file below a link',
    [
      { name: 'l', mode: LINK, text: 'b' },
      { name: 'l/k', mode: LINK, text: '../c' },
    ],
  ],
  ['more bytes than may be', [{ name: 'a', text: 'x'.repeat(1001) }]],
  ['more bytes than it says', [{ name: 'a', text: 'x'.repeat(2000), claims: 1 }]],
  ['more files than may be', Array.from({ length: 11 }, (_, index) => ({ name: String(index) }))],
  ['nothing in it', []],
])('is refused, and nothing is written outside: %s', async (_what, entries) => {
  await expect(unpack(entries)).rejects.toBeInstanceOf(ZipFault)
  expect(await readdir(outer)).toHaveLength(1)
})

test('whatever the names and links are, nothing lands outside', async () => {
  const segment = fc.constantFrom('a', 'b', '..', '.', 'c')
  const path = fc.array(segment, { minLength: 1, maxLength: 5 }).map((parts) => parts.join('/'))
  const entry = fc.record({ name: path, mode: fc.constantFrom(0o100644, LINK), text: path })
  await fc.assert(
    fc.asyncProperty(fc.array(entry, { maxLength: 5 }), async (entries) => {
      await unpack(entries).catch((error: unknown) => {
        const code = (error as { readonly code?: string }).code
        if (!(error instanceof ZipFault) && code === undefined) throw error
      })
      expect(await readdir(outer)).toHaveLength(1)
      await rm(folder, { recursive: true, force: true })
      folder = await mkdtemp(join(outer, 'code-'))
    }),
    { numRuns: 60 },
  )
})

test('bytes that are no zip file are refused in Lambda’s words', async () => {
  await expect(unzip(Buffer.from('no zip'), folder, LIMITS)).rejects.toThrow(
    /^Could not unzip uploaded file\. Please check your file, then try to upload again\./,
  )
})
