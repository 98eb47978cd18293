import { readdir, stat } from 'node:fs/promises'
import { join, relative } from 'node:path'

import { isLibraryName } from './options.ts'

const SKIPPED = new Set(['node_modules', '.git', '.flexi'])
const FOLDERS_MAX = 500

/** Libraries below a folder, the newest first; of equals the one in the outermost folder. Relative to it. */
export async function findLibraries(directory: string): Promise<string[]> {
  const found: { readonly path: string; readonly seconds: number }[] = []
  const pending = [directory]
  for (let count = 0; count < FOLDERS_MAX; count += 1) {
    const folder = pending.shift()
    if (folder === undefined) break
    for (const entry of await readdir(folder, { withFileTypes: true }).catch(() => [])) {
      const path = join(folder, entry.name)
      if (entry.isDirectory() && !SKIPPED.has(entry.name)) pending.push(path)
      if (!entry.isFile() || !isLibraryName(entry.name)) continue
      const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: 0 }))
      found.push({ path: relative(directory, path), seconds: Math.round(mtimeMs / 1000) })
    }
  }
  return found.toSorted((a, b) => b.seconds - a.seconds).map(({ path }) => path)
}
