import { appendFile, mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, expect, test } from 'vitest'

import { LIMITS } from '../../src/core/limits.ts'
import type { AbsolutePath } from '../../src/core/place.ts'
import { createBurst, watchFolder, type Change, type Watcher } from '../../src/watch/watcher.ts'

const cleanups: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function temporary(): Promise<AbsolutePath> {
  const directory = await mkdtemp(join(tmpdir(), 'flexi-test-'))
  cleanups.push(() => rm(directory, { recursive: true, force: true }))
  return directory as AbsolutePath
}

async function watched(
  directory: AbsolutePath,
  debounceMs = 20,
): Promise<{ changes: Change[]; watcher: Watcher }> {
  const changes: Change[] = []
  const watcher = await watchFolder({
    directory,
    debounceMs,
    onChange: (change) => changes.push(change),
    onError: (error) => expect.fail(error.message),
  })
  cleanups.push(async () => watcher[Symbol.asyncDispose]())
  return { changes, watcher }
}

const paths = (changes: readonly Change[]): string[] =>
  [...new Set(changes.flatMap((change) => [...change.paths]))].toSorted()

test('a burst of twenty writes is one change', async () => {
  const directory = await temporary()
  const file = join(directory, 'a.ts')
  await writeFile(file, '0')
  const { changes } = await watched(directory, 100)
  for (let count = 0; count < 20; count += 1) await appendFile(file, 'x')
  await expect.poll(() => paths(changes)).toEqual([file])
  expect(changes.length).toBe(1)
})

test('a file that an editor has emptied is looked at once it holds something', async () => {
  const file = join(await temporary(), 'a.ts')
  await writeFile(file, '')
  const size = await new Promise<number>((resolve) => {
    const burst = createBurst({ onChange: () => resolve(statSync(file).size) })
    burst.push(file)
    // After the time in which a source is usually written, and before the time that an empty one is given.
    setTimeout(() => writeFileSync(file, 'x'), LIMITS.debounceSourceMs + 2)
  })
  expect(size).toBe(1)
})

test('a save right after another is a change of its own: the last one always counts', async () => {
  const directory = await temporary()
  const file = join(directory, 'a.ts')
  await writeFile(file, '0')
  const { changes } = await watched(directory, 5)
  for (let count = 1; count <= 10; count += 1) {
    await appendFile(file, 'x')
    await expect.poll(() => changes.length, { interval: 1, timeout: 2000 }).toBeGreaterThanOrEqual(count)
  }
})

test('a save by rename, a new file in a new folder and a removal are changes', async () => {
  const directory = await temporary()
  const file = join(directory, 'a.ts')
  await writeFile(file, '0')
  const { changes } = await watched(directory)
  await writeFile(`${file}.new`, '1')
  await rename(`${file}.new`, file)
  await expect.poll(() => paths(changes)).toContain(file)
  await mkdir(join(directory, 'deep/er'), { recursive: true })
  await writeFile(join(directory, 'deep/er/b.ts'), '1')
  await expect.poll(() => paths(changes)).toContain(join(directory, 'deep/er/b.ts'))
  changes.length = 0
  await rm(file)
  await expect.poll(() => paths(changes)).toContain(file)
})

test("folders that tools fill and editors' scratch files are not watched", async () => {
  const directory = await temporary()
  await mkdir(join(directory, 'node_modules/x'), { recursive: true })
  await mkdir(join(directory, '.flexi'), { recursive: true })
  const { changes } = await watched(directory)
  await writeFile(join(directory, 'node_modules/x/i.js'), '1')
  await writeFile(join(directory, '.flexi/i.js'), '1')
  await writeFile(join(directory, '.a.ts.swp'), '1')
  await writeFile(join(directory, 'a.ts'), '1')
  await expect.poll(() => paths(changes)).toEqual([join(directory, 'a.ts')])
})

test('what is added is watched wherever it is: in an ignored folder, and outside', async () => {
  const directory = await temporary()
  const outside = await temporary()
  await mkdir(join(directory, 'target/release'), { recursive: true })
  const library = join(directory, 'target/release/lib.so') as AbsolutePath
  const shared = join(outside, 'shared.ts') as AbsolutePath
  await writeFile(library, '0')
  await writeFile(shared, '0')
  const { changes, watcher } = await watched(directory)
  watcher.add([library, shared])
  await expect
    .poll(async () => {
      await appendFile(library, '1')
      await appendFile(shared, '1')
      return paths(changes)
    })
    .toEqual([library, shared].toSorted())
})

test('where the folder itself is added, because something is missing in it, its state and packages stay unwatched', async () => {
  const directory = await temporary()
  await mkdir(join(directory, '.flexi'))
  const { changes, watcher } = await watched(directory)
  watcher.add([directory])
  await writeFile(join(directory, '.flexi/state.sqlite'), '1')
  await writeFile(join(directory, 'missing.ts'), '1')
  await expect.poll(() => paths(changes)).toEqual([join(directory, 'missing.ts')])
})

test('links that lead around in circles are not followed; other links are', async () => {
  const directory = await temporary()
  const outside = await temporary()
  await mkdir(join(directory, 'src'))
  await symlink('.', join(directory, 'src/self'))
  await symlink('../..', join(directory, 'src/up'))
  await symlink('../src', join(directory, 'src/again'))
  await symlink(outside, join(directory, 'linked'))
  await writeFile(join(directory, 'src/a.ts'), '0')
  await writeFile(join(outside, 'b.ts'), '0')
  const { changes } = await watched(directory)
  await appendFile(join(directory, 'src/a.ts'), '1')
  await appendFile(join(outside, 'b.ts'), '1')
  await expect
    .poll(() => paths(changes))
    .toEqual(expect.arrayContaining([join(directory, 'src/a.ts'), join(directory, 'linked/b.ts')]))
})
