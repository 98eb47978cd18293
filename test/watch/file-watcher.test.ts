import { writeFileSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { expect, test } from 'vitest'

import type { AbsolutePath } from '../../src/core/place.ts'
import { watchFiles } from '../../src/watch/file-watcher.ts'

interface Watched extends AsyncDisposable {
  readonly folder: string
  readonly seen: string[]
  readonly errors: Error[]
  path(name: string): AbsolutePath
}

/** Watches names in a fresh folder; what was seen is told without the folder. */
async function watched(
  names: readonly string[],
  prepare: (folder: string) => Promise<unknown>,
): Promise<Watched> {
  const folder = await mkdtemp(join(tmpdir(), 'flexi-watch-'))
  const path = (name: string): AbsolutePath => join(folder, name) as AbsolutePath
  await prepare(folder)
  const seen: string[] = []
  const errors: Error[] = []
  const watcher = watchFiles({
    onChange: ({ paths }) => void seen.push(...[...paths].map((one) => one.slice(folder.length + 1))),
    onError: (error) => errors.push(error),
  })
  watcher.add(names.map(path))
  return {
    folder,
    seen,
    errors,
    path,
    async [Symbol.asyncDispose]() {
      await watcher[Symbol.asyncDispose]()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

test('sees a file that is written and one that is moved into place, and none beside it', async () => {
  await using files = await watched(['a.so'], (folder) => writeFile(join(folder, 'a.so'), '1'))
  await writeFile(files.path('other'), '1')
  await writeFile(files.path('a.so'), '2')
  await expect.poll(() => files.seen).toEqual(['a.so'])
  await writeFile(files.path('next'), '3')
  await rename(files.path('next'), files.path('a.so'))
  await expect.poll(() => files.seen).toEqual(['a.so', 'a.so'])
  await writeFile(files.path('a.so'), '4')
  await expect.poll(() => files.seen).toEqual(['a.so', 'a.so', 'a.so'])
})

test('a burst of writes is one change', async () => {
  await using files = await watched(['a.so', 'b.so'], () => Promise.resolve())
  // Without a pause in which a busy machine could let the quiet time pass.
  for (let count = 0; count < 20; count += 1) writeFileSync(files.path('a.so'), String(count))
  writeFileSync(files.path('b.so'), '1')
  await expect.poll(() => files.seen.toSorted()).toEqual(['a.so', 'b.so'])
})

test('sees a file that comes with its folders', async () => {
  await using files = await watched(['build/lib/a.so'], () => Promise.resolve())
  await mkdir(files.path('build/lib'), { recursive: true })
  await writeFile(files.path('build/lib/a.so'), '1')
  await expect.poll(() => files.seen).toContain('build/lib/a.so')
})

test('sees a file in a folder that was removed and made again', async () => {
  await using files = await watched(['build/lib/a.so'], async (folder) => {
    await mkdir(join(folder, 'build/lib'), { recursive: true })
    await writeFile(join(folder, 'build/lib/a.so'), '1')
  })
  await rm(files.path('build'), { recursive: true })
  await mkdir(files.path('build/lib'), { recursive: true })
  await writeFile(files.path('build/lib/a.so'), '2')
  await expect.poll(() => files.seen).toContain('build/lib/a.so')
  const before = files.seen.length
  // Once more: the new folders are watched now.
  await expect
    .poll(async () => {
      await writeFile(files.path('build/lib/a.so'), '3')
      return files.seen.length
    })
    .toBeGreaterThan(before)
})

test('sees a deployment that points a link elsewhere', async () => {
  await using files = await watched(['current/a.so'], async (folder) => {
    for (const release of ['one', 'two']) {
      await mkdir(join(folder, release))
      await writeFile(join(folder, release, 'a.so'), release)
    }
    await symlink('one', join(folder, 'current'))
  })
  await symlink('two', files.path('next'))
  await rename(files.path('next'), files.path('current'))
  await expect.poll(() => files.seen).toEqual(['current/a.so'])
  await writeFile(files.path('two/a.so'), 'changed')
  await expect.poll(() => files.seen).toEqual(['current/a.so', 'current/a.so'])
})

test('a file that is a link changes with what it leads to', async () => {
  await using files = await watched(['a.so'], async (folder) => {
    await mkdir(join(folder, 'real'))
    await writeFile(join(folder, 'real/a.so.1'), '1')
    await symlink('real/a.so.1', join(folder, 'a.so'))
  })
  await writeFile(files.path('real/a.so.1'), '2')
  await expect.poll(() => files.seen).toEqual(['a.so'])
})

test('of a folder, everything in it is seen', async () => {
  await using files = await watched(['sources'], (folder) => mkdir(join(folder, 'sources')))
  await writeFile(files.path('sources/a.c'), '1')
  await expect.poll(() => files.seen).toEqual(['sources/a.c'])
  expect(await readdir(files.folder)).toEqual(['sources'])
  expect(files.errors).toEqual([])
})
