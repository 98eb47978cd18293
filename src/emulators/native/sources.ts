import { readdir, stat } from 'node:fs/promises'
import { basename, extname, join, relative, resolve, sep } from 'node:path'

import type { AbsolutePath } from '../../core/place.ts'

/** Folders that hold what builds make, or what others wrote. */
const SKIPPED = new Set([
  'node_modules', '.git', '.hg', '.svn', '.flexi', 'target', 'zig-out', 'zig-cache', '.zig-cache', 'build', 'dist', 'out',
  'vendor', '__pycache__', '.venv', 'venv',
]) // prettier-ignore

const SOURCE_EXTENSIONS = new Set([
  '.c', '.h', '.cc', '.cpp', '.cxx', '.hh', '.hpp', '.hxx', '.inc', '.s', '.S', '.asm', '.m', '.mm', '.rs', '.zig', '.zon', '.go',
  '.ld', '.map', '.d', '.nim', '.odin', '.v', '.mk', '.cmake',
]) // prettier-ignore

const SOURCE_NAMES = new Set([
  'Makefile', 'makefile', 'GNUmakefile', 'CMakeLists.txt', 'meson.build', 'Cargo.toml', 'Cargo.lock', 'go.mod', 'go.sum',
]) // prettier-ignore

/** A project with more is one that somebody pointed at the wrong folder. */
const FILES_MAX = 20_000

export interface Sources {
  readonly files: readonly AbsolutePath[]
  /** Folders in which a new file would be a source; the function's own folder is not among them. */
  readonly folders: readonly AbsolutePath[]
  /** Time and size of each file. */
  readonly looks: ReadonlyMap<string, string>
  /** Changes when a file is added, removed or written. */
  readonly signature: string
}

/** The files a build command reads: those that `patterns` name, or without any, every source file below the folder. */
export async function findSources(
  directory: AbsolutePath,
  { patterns, except }: { readonly patterns?: readonly string[] | undefined; readonly except: AbsolutePath },
): Promise<Sources> {
  const wanted = patterns === undefined ? isSource : matcherOf(patterns)
  const roots = patterns === undefined ? [directory] : patterns.map((pattern) => rootOf(directory, pattern))
  const found = { files: new Set<AbsolutePath>(), folders: new Set<AbsolutePath>() }
  for (const root of new Set(roots)) await walk(root, { directory, wanted, found })
  // What the build makes is no reason to build, nor is whatever comes into the project's own folder: logs, results of tests.
  found.files.delete(except)
  // Go writes a header beside the library.
  found.files.delete(except.replace(/\.[^./\\]+$/, '.h') as AbsolutePath)
  found.folders.delete(directory)
  const files = [...found.files].toSorted()
  const looks = new Map(await Promise.all(files.map(lookAtSource)))
  const signature = [...looks].map(([file, look]) => `${file} ${look}`).join('\n')
  return { files, folders: [...found.folders].toSorted(), looks, signature }
}

async function lookAtSource(path: string): Promise<readonly [string, string]> {
  const { mtimeMs, size } = await stat(path).catch(() => ({ mtimeMs: 0, size: -1 }))
  return [path, `${mtimeMs} ${size}`]
}

interface Walk {
  readonly directory: AbsolutePath
  wanted(path: string): boolean
  readonly found: { readonly files: Set<AbsolutePath>; readonly folders: Set<AbsolutePath> }
}

async function walk(root: AbsolutePath, search: Walk): Promise<void> {
  const pending: AbsolutePath[] = [root]
  for (let folder = pending.pop(); folder !== undefined; folder = pending.pop()) {
    const entries = await readdir(folder, { withFileTypes: true }).catch(() => undefined)
    if (entries === undefined) {
      if (search.wanted(relative(search.directory, folder))) search.found.files.add(folder)
      continue
    }
    search.found.folders.add(folder)
    for (const entry of entries) {
      const path = join(folder, entry.name) as AbsolutePath
      if (entry.isDirectory() && !SKIPPED.has(entry.name)) pending.push(path)
      else if (!entry.isDirectory() && search.wanted(relative(search.directory, path)))
        search.found.files.add(path)
      if (search.found.files.size > FILES_MAX) return
    }
  }
}

function isSource(path: string): boolean {
  return SOURCE_EXTENSIONS.has(extname(path)) || SOURCE_NAMES.has(basename(path))
}

const WILDCARD = /[*?{]/

/** Where the walk for a pattern starts: `src/**` + `/*.c` → `src`; a file's own path stays. */
function rootOf(directory: AbsolutePath, pattern: string): AbsolutePath {
  const segments = pattern.split('/')
  const first = segments.findIndex((segment) => WILDCARD.test(segment))
  return resolve(directory, first === -1 ? pattern : segments.slice(0, first).join('/')) as AbsolutePath
}

/** `*` and `?` stay within a folder, `**` does not; `{a,b}` is either; a path without any of these is a file or everything below it. */
function matcherOf(patterns: readonly string[]): (path: string) => boolean {
  const expressions = patterns.map((pattern) => {
    const plain = pattern.replace(/^\.\//, '').replace(/\/$/, '')
    const source = plain.replaceAll(
      /\*\*\/|\*\*|\*|\?|\{|\}|,|[.+^$()|[\]\\]/g,
      (part) => GLOB[part] ?? `\\${part}`,
    )
    return new RegExp(WILDCARD.test(plain) ? `^${source}$` : `^${source}(/.*)?$`)
  })
  return (path) => {
    const portable = path.split(sep).join('/')
    return expressions.some((expression) => expression.test(portable))
  }
}

const GLOB: Readonly<Record<string, string>> = {
  '**/': '(?:.*/)?', '**': '.*', '*': '[^/]*', '?': '[^/]', '{': '(?:', '}': ')', ',': '|',
} // prettier-ignore
