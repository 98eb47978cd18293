import { realpathSync, statSync, watch, type FSWatcher } from 'node:fs'
import { basename, dirname, join, sep } from 'node:path'

import { errorMessage } from '../core/errors.ts'
import type { AbsolutePath } from '../core/place.ts'
import { createBurst, type Watcher, type WatcherOptions } from './watcher.ts'

/** Every name in the folder counts. */
const ANY = undefined

interface Folder {
  readonly watcher: FSWatcher
  /** Tells a folder from one that has come in its place. */
  readonly identity: string
}

/**
 * Watches the files that are added, and nothing beside them: for servers whose folder may hold anything. It looks at every folder on the
 * way to a file, so that files are also seen that come with a new folder, or with a symbolic link that is pointed elsewhere.
 */
export function watchFiles(options: Omit<WatcherOptions, 'directory'>): Watcher {
  const watcher = new FileWatcher(options)
  return {
    add: (paths) => watcher.add(paths),
    [Symbol.asyncDispose]: () => {
      watcher.close()
      return Promise.resolve()
    },
  }
}

class FileWatcher {
  readonly #options: Omit<WatcherOptions, 'directory'>
  readonly #burst: ReturnType<typeof createBurst>
  readonly #added = new Set<AbsolutePath>()
  readonly #folders = new Map<string, Folder>()
  /** By folder, the names in it that matter. */
  #wanted = new Map<string, Set<string> | typeof ANY>()
  /** What an event of this path is about: files that are links have two. */
  #subjects = new Map<string, AbsolutePath>()

  constructor(options: Omit<WatcherOptions, 'directory'>) {
    this.#options = options
    this.#burst = createBurst(options)
  }

  add(paths: readonly AbsolutePath[]): void {
    const before = this.#added.size
    for (const path of paths) this.#added.add(path)
    if (this.#added.size > before) this.#arm()
  }

  close(): void {
    this.#burst.stop()
    for (const { watcher } of this.#folders.values()) watcher.close()
    this.#folders.clear()
  }

  /** Opens what is wanted and not watched yet, or no longer the same; returns those folders. */
  #arm(): string[] {
    this.#want()
    const opened: string[] = []
    for (const folder of this.#wanted.keys()) {
      const identity = identify(folder)
      const known = this.#folders.get(folder)
      if (known?.identity === identity) continue
      known?.watcher.close()
      this.#folders.delete(folder)
      if (identity !== undefined && this.#open(folder, identity)) opened.push(folder)
    }
    return opened
  }

  #want(): void {
    this.#wanted = new Map()
    this.#subjects = new Map()
    for (const path of this.#added) {
      if (isFolder(path)) this.#wanted.set(path, ANY)
      for (const name of new Set([path, realPath(path)])) {
        this.#subjects.set(name, path)
        this.#wantWayTo(name)
      }
    }
  }

  #wantWayTo(path: string): void {
    for (let at = path; dirname(at) !== at; at = dirname(at)) {
      const folder = dirname(at)
      const names = this.#wanted.get(folder)
      if (names !== undefined) names.add(basename(at))
      else if (!this.#wanted.has(folder)) this.#wanted.set(folder, new Set([basename(at)]))
    }
  }

  #open(folder: string, identity: string): boolean {
    try {
      const watcher = watch(folder, { persistent: false }, (event, name) => this.#seen(folder, event, name))
      watcher.on('error', (error) => this.#options.onError(error))
      this.#folders.set(folder, { watcher, identity })
      return true
    } catch (error) {
      // A folder on the way may be closed to us; one that holds a file may not.
      if ([...this.#subjects.keys()].some((path) => dirname(path) === folder))
        this.#options.onError(new Error(`${folder} cannot be watched: ${errorMessage(error)}`))
      return false
    }
  }

  #seen(folder: string, event: string, name: string | null): void {
    if (name === null || !this.#wanted.has(folder)) return
    const names = this.#wanted.get(folder)
    if (names !== ANY && !names.has(name)) return
    const path = join(folder, name)
    const subject = this.#subjects.get(path)
    if (subject !== undefined) this.#burst.push(subject)
    else if (names === ANY) this.#burst.push(path)
    if (event === 'rename') this.#afterRename()
  }

  /** Something has come or gone on the way to a file: what lies below a folder that is new to us may be new too. */
  #afterRename(): void {
    for (const folder of this.#arm())
      for (const [path, subject] of this.#subjects)
        if (path.startsWith(folder + sep)) this.#burst.push(subject)
  }
}

/** Numbers of folders are used again at once, so their time of birth counts as well. */
function identify(folder: string): string | undefined {
  const found = statSync(folder, { bigint: true, throwIfNoEntry: false })
  return found?.isDirectory() === true ? `${found.dev}:${found.ino}:${found.birthtimeNs}` : undefined
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
}

function realPath(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    // Not there yet.
    return path
  }
}
