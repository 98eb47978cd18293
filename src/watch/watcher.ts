import { lstatSync, realpathSync, statSync } from 'node:fs'
import { basename, dirname, join, relative, sep } from 'node:path'

import { LIMITS } from '../core/limits.ts'
import type { AbsolutePath } from '../core/place.ts'

/** What changed in one burst, and when its first event came in (`performance.now()`), so that a reload can say how long it took. */
export interface Change {
  readonly paths: ReadonlySet<AbsolutePath>
  readonly at: number
}

export interface WatcherOptions {
  readonly directory: AbsolutePath
  readonly debounceMs?: number | undefined
  readonly onChange: (change: Change) => void
  readonly onError: (error: Error) => void
}

export interface Watcher extends AsyncDisposable {
  /** Also watches these, wherever they are: a library in `target/`, a source above the folder. Known ones cost nothing. */
  add(paths: readonly AbsolutePath[]): void
}

/** Folders that tools fill and people do not edit: watching them costs thousands of handles and reloads for nothing. */
const IGNORED_FOLDERS = new Set([
  'node_modules', '.git', '.hg', '.svn', '.flexi', '.wrangler', '.aws-sam', '.serverless', '.venv', 'venv', '__pycache__',
  'dist', 'target', 'zig-out', '.zig-cache', 'zig-cache', 'coverage', '.cache', '.idea', '.vscode',
]) // prettier-ignore

/** Resolves when the whole folder is watched: a change after that is never missed. */
export async function watchFolder(options: WatcherOptions): Promise<Watcher> {
  const { watch } = await import('chokidar')
  const explicit = new Set<string>()
  const burst = createBurst(options)
  const watcher = watch(options.directory, {
    ignoreInitial: true,
    ignored: (path, stats) =>
      !explicit.has(path) &&
      (isIgnored(options.directory, path, explicit) || (stats?.isDirectory() === true && isCircle(path))),
  })
  // chokidar's own `change` drops an event that comes within 50 ms of the last one for the file; the system's events are all there.
  watcher.on('raw', (_event, name, details) => {
    const path = rawPath(name, details)
    if (explicit.has(path) || !isIgnored(options.directory, path, explicit)) burst.push(path)
  })
  // A folder that has just come is read by chokidar: what was in it by then has no event of its own.
  watcher.on('all', (event, path) => {
    if (event !== 'change') burst.push(path)
  })
  watcher.on('error', (error) => options.onError(error instanceof Error ? error : new Error(String(error))))
  await new Promise<void>((resolve) => watcher.once('ready', () => resolve()))
  return {
    add(paths) {
      const fresh = paths.filter((path) => !explicit.has(path))
      for (const path of fresh) explicit.add(path)
      const uncovered = fresh.filter(
        (path) => isIgnored(options.directory, path, new Set()) || !isInside(options.directory, path),
      )
      if (uncovered.length > 0) watcher.add(uncovered)
    },
    async [Symbol.asyncDispose]() {
      burst.stop()
      await watcher.close()
    },
  }
}

/** Editors write in bursts, and linkers in pieces: one change is handed out once it has been quiet for a moment. */
export function createBurst(options: Pick<WatcherOptions, 'debounceMs' | 'onChange'>): {
  push(path: string): void
  stop(): void
} {
  let paths = new Set<AbsolutePath>()
  let at = 0
  let timer: NodeJS.Timeout | undefined
  /** True once a file that is empty was given more time: it may be about to be written, or meant so. */
  let waited = false
  const flush = (): void => {
    if (!waited && options.debounceMs === undefined && isEmptied(paths)) {
      waited = true
      timer = setTimeout(flush, LIMITS.debounceMs)
      return
    }
    waited = false
    const change = { paths, at }
    paths = new Set()
    options.onChange(change)
  }
  return {
    push(path) {
      if (paths.size === 0) at = performance.now()
      paths.add(path as AbsolutePath)
      clearTimeout(timer)
      timer = setTimeout(flush, options.debounceMs ?? quietMs(paths))
    },
    stop: () => clearTimeout(timer),
  }
}

/** What editors write in one piece, and what comes out the same when it is built once too often. */
const SOURCE = /\.(?:[cm]?[jt]sx?|py)$/

function quietMs(paths: ReadonlySet<string>): number {
  const [only] = paths
  const isSingle = paths.size === 1 && only !== undefined && SOURCE.test(only)
  return isSingle ? LIMITS.debounceSourceMs : LIMITS.debounceMs
}

/** Writing in place begins with taking away what was there. */
function isEmptied(paths: ReadonlySet<string>): boolean {
  const [only] = paths
  if (paths.size !== 1 || only === undefined) return false
  try {
    return statSync(only, { throwIfNoEntry: false })?.size === 0
  } catch {
    // Nobody may look: whoever reads it will say so.
    return false
  }
}

/** The system names the watched file itself, or an entry of the watched folder. */
function rawPath(name: string, details: unknown): string {
  const watched = (details as { readonly watchedPath: string }).watchedPath
  return basename(watched) === name ? watched : join(watched, name)
}

function isInside(directory: string, path: string): boolean {
  return path === directory || path.startsWith(directory + sep)
}

/** What is wanted lifts this for what is in it: but the whole folder is wanted for what is missing in it, not for its state. */
function isIgnored(directory: string, path: string, explicit: ReadonlySet<string>): boolean {
  if (!isInside(directory, path)) return false
  const segments = relative(directory, path).split(sep)
  if (!segments.some((segment) => IGNORED_FOLDERS.has(segment)) && !isScratch(path)) return false
  for (const wanted of explicit)
    if (isInside(path, wanted) || (isInside(wanted, path) && !isInside(wanted, directory))) return false
  return true
}

/** A link to a folder that it lies in: it would be followed round and round, as deep as the system lets anybody. */
function isCircle(path: string): boolean {
  try {
    if (!lstatSync(path).isSymbolicLink()) return false
    return isInside(realpathSync(path), realpathSync(dirname(path)))
  } catch {
    // It has just gone.
    return false
  }
}

/** Editors' swap and probe files: `.x.swp`, `4913`, `x~`. */
function isScratch(path: string): boolean {
  const name = basename(path)
  return name.endsWith('~') || /^\..*\.sw[a-z]$/.test(name) || name === '4913'
}
