import { createHash } from 'node:crypto'
import type { Dirent } from 'node:fs'
import { lstat, readdir } from 'node:fs/promises'
import { extname, join } from 'node:path'

/** Folders that hold what others wrote, or what a program itself writes. */
const SKIPPED = new Set([
  'node_modules', '.git', '.hg', '.svn', '.flexi', '__pycache__', '.venv', 'venv', 'vendor', 'tmp', 'log', 'logs', 'coverage', '.cache',
]) // prettier-ignore

/** Whatever a running program writes beside its code is no reason to start it again. */
const DATA = new Set([
  '.log', '.db', '.sqlite', '.sqlite3', '.db-wal', '.db-shm', '.sqlite-wal', '.sqlite-shm', '.db-journal', '.pid', '.sock', '.lock', '.tmp',
  '.swp', '.pyc', '.md',
]) // prettier-ignore

/** A folder with more is not looked through any further. */
const FILES_MAX = 20_000

/** What the files below these paths look like: changes when one is written, added or removed. */
export async function signatureOf(paths: readonly string[]): Promise<string> {
  const looks: string[] = []
  const open = [...paths]
  for (let path = open.pop(); path !== undefined && looks.length < FILES_MAX; path = open.pop()) {
    const found = await lstat(path, { bigint: true }).catch(() => undefined)
    if (found?.isDirectory() === true) {
      const entries = await readdir(path, { withFileTypes: true }).catch(() => [])
      const at = path
      open.push(...entries.filter(isCode).map(({ name }) => join(at, name)))
    } else if (found !== undefined) looks.push(`${path}\0${found.size}\0${found.mtimeNs}\0${found.mode}`)
  }
  return createHash('sha256').update(looks.toSorted().join('\n')).digest('hex')
}

function isCode(entry: Dirent): boolean {
  if (entry.isDirectory()) return !SKIPPED.has(entry.name)
  return !DATA.has(extname(entry.name)) && (entry.isFile() || entry.isSymbolicLink())
}
