import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { readdir, rm, rmdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

import type { Logger } from '../../core/log.ts'
import type { AbsolutePath } from '../../core/place.ts'
import { isAlive } from '../../core/processes.ts'

export interface StateFolderOptions {
  /** `.flexi/` of the project. */
  readonly stateDirectory: AbsolutePath
  /** Of the function. */
  readonly name: string
  readonly log: Logger
}

/** Of folders in the system's own temporary one. */
const PREFIX = 'flexi-native-'

/** Those of this process; a process that ends in a hurry removes them on its way out. */
const ours = new Set<string>()
let made = 0
let watching = false

/** Private files of one source: below `.flexi/native/`, or where that cannot be written, below the system's folder for temporary files. */
export class StateFolder implements AsyncDisposable {
  readonly #options: StateFolderOptions
  readonly #wanted: string
  #path: AbsolutePath | undefined

  constructor(options: StateFolderOptions) {
    this.#options = options
    made += 1
    this.#wanted = join(options.stateDirectory, 'native', `${options.name}-${process.pid}-${made}`)
  }

  /** Makes it when it is not there. @throws Error when neither place can be written. */
  path(): AbsolutePath {
    this.#path ??= this.#make()
    mkdirSync(this.#path, { recursive: true })
    return this.#path
  }

  #make(): AbsolutePath {
    const path = makeOrFallBack(this.#wanted, this.#options)
    ours.add(path)
    if (!watching) process.once('exit', removeOurs)
    watching = true
    return path as AbsolutePath
  }

  /** What a flexi left that was killed: its folder names a process that is no more, or ours and is not ours. */
  async clearLeftovers(): Promise<void> {
    await Promise.all([
      clearIn(dirname(this.#wanted), /-(\d+)-\d+$/),
      clearIn(tmpdir(), /^flexi-native-(\d+)-[^-]+$/),
    ])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#path === undefined) return
    await rm(this.#path, { recursive: true, force: true })
    ours.delete(this.#path)
    if (this.#path !== this.#wanted) return
    // Folders of ours that hold nothing else go with it.
    for (const folder of [dirname(this.#wanted), this.#options.stateDirectory])
      await rmdir(folder).catch(() => undefined)
  }
}

function makeOrFallBack(wanted: string, { log, name }: StateFolderOptions): string {
  try {
    mkdirSync(wanted, { recursive: true })
    return wanted
  } catch (error) {
    const path = mkdtempSync(join(tmpdir(), `${PREFIX}${process.pid}-`))
    const reason = error instanceof Error ? error.message : String(error)
    log.debug('native.folder', { message: `${name}: ${reason}; its copies are in ${path}`, path })
    return path
  }
}

async function clearIn(folder: string, pattern: RegExp): Promise<void> {
  const names = await readdir(folder).catch(() => [])
  const dead = names.filter((name) => {
    const pid = Number(pattern.exec(name)?.[1])
    if (Number.isNaN(pid)) return false
    // Where every container's first process has the same number, a folder of that number need not be ours.
    return pid === process.pid ? !ours.has(join(folder, name)) : !isAlive(pid)
  })
  await Promise.all(
    dead.map((name) => rm(join(folder, name), { recursive: true, force: true }).catch(() => undefined)),
  )
}

function removeOurs(): void {
  for (const folder of ours) {
    try {
      rmSync(folder, { recursive: true, force: true })
    } catch {
      // The next start tries again.
    }
  }
}
