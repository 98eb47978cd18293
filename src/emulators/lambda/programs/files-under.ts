import { readdirSync, type Dirent } from 'node:fs'
import { extname, join } from 'node:path'

import type { AbsolutePath } from '../../../core/place.ts'

/** What is no code of the user's own. */
const LEFT_OUT: ReadonlySet<string> = new Set([
  '.git',
  '.flexi',
  '.aws-sam',
  'node_modules',
  'vendor',
  '.bundle',
  'obj',
])
/** A folder with more files is no function. */
const FILES_MAX = 5_000

/** Files below a folder with one of these extensions, in order; none when there is no such folder. */
export function filesUnder(folder: string, extensions: readonly string[]): AbsolutePath[] {
  const found: AbsolutePath[] = []
  const folders = [folder]
  for (let next = folders.pop(); next !== undefined && found.length < FILES_MAX; next = folders.pop()) {
    const at = next
    const entries = entriesOf(at)
    const inner = entries.filter((entry) => entry.isDirectory() && !LEFT_OUT.has(entry.name))
    const files = entries.filter((entry) => !entry.isDirectory() && extensions.includes(extname(entry.name)))
    folders.push(...inner.map(({ name }) => join(at, name)))
    found.push(...files.map(({ name }) => join(at, name) as AbsolutePath))
  }
  return found.toSorted()
}

/** Files of one folder alone. */
export function filesIn(folder: string, extension: string): AbsolutePath[] {
  return entriesOf(folder)
    .filter((entry) => !entry.isDirectory() && extname(entry.name) === extension)
    .map(({ name }) => join(folder, name) as AbsolutePath)
    .toSorted()
}

function entriesOf(folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
  } catch {
    return []
  }
}
