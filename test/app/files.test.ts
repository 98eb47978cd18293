import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, beforeEach, expect, test } from 'vitest'

import { makeStateDirectory } from '../../src/app/files.ts'
import type { AbsolutePath } from '../../src/core/place.ts'

let directory: AbsolutePath

beforeEach(async () => {
  directory = (await mkdtemp(join(tmpdir(), 'flexi-test-'))) as AbsolutePath
})

afterEach(() => rm(directory, { recursive: true }))

test('the folder for local state belongs into nobody’s repository', async () => {
  await makeStateDirectory(directory)
  await makeStateDirectory(directory)
  expect(await readFile(join(directory, '.flexi/.gitignore'), 'utf8')).toBe('*\n')
})

test('a place where it cannot be made is named, and is no bug', async () => {
  await writeFile(join(directory, '.flexi'), '')
  await expect(makeStateDirectory(directory)).rejects.toMatchObject({
    code: 'FLEXI_USAGE',
    message: expect.stringContaining(join(directory, '.flexi')),
  })
})
