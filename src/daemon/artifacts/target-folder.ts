import { chmod, link, mkdir, open, symlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import type { ReadEntry } from 'tar'

import type { ArchiveEntry } from './archive-index.ts'
import { syncFolder } from './durable.ts'

/** Files up to this size are written whole, several at a time. */
const SMALL_BYTES = 1024 * 1024
const SMALL_AT_ONCE = 16

/** Writes what was checked. Folders are made as they are needed, links when everything else is there: nothing is ever written through one. */
export class TargetFolder {
  readonly #root: string
  readonly #folders = new Map<string, Promise<void>>()
  readonly #small = new Set<Promise<void>>()
  readonly #all: Promise<void>[] = []
  readonly #links: Extract<ArchiveEntry, { kind: 'link' | 'hard link' }>[] = []
  #current: ReadEntry | undefined
  #fail: (error: unknown) => void = () => undefined

  constructor(root: string) {
    this.#root = root
    this.#folders.set('.', Promise.resolve())
  }

  onFailure(fail: (error: unknown) => void): void {
    this.#fail = fail
  }

  take(source: ReadEntry, entry: ArchiveEntry | undefined): void {
    this.#current = source
    if (entry?.kind === 'file') {
      const small = source.size <= SMALL_BYTES
      this.#run(this.#writeFile(entry, small ? whole(source.concat()) : source), small)
      return
    }
    if (entry?.kind === 'folder') this.#run(this.#makeFolder(entry.path), true)
    else if (entry !== undefined) this.#links.push(entry)
    source.resume()
  }

  /** Waits while too much is being written at a time. */
  async breath(): Promise<void> {
    while (this.#small.size > SMALL_AT_ONCE) await Promise.race(this.#small)
  }

  async settled(): Promise<void> {
    await Promise.all(this.#all)
  }

  async finish(): Promise<void> {
    for (const { kind, path, target } of this.#links) {
      await this.#makeFolder(dirname(path))
      if (kind === 'link') await symlink(target, join(this.#root, path))
      else await link(join(this.#root, target), join(this.#root, path))
    }
    for (const path of this.#folders.keys()) {
      const folder = join(this.#root, path)
      // The root is moved to its place, for which it has to be writable.
      if (path !== '.') await chmod(folder, 0o555)
      await syncFolder(folder)
    }
  }

  /** Nothing is being written any more when it resolves. */
  async abandon(error: unknown): Promise<void> {
    // Nobody may be reading it any more, who would be told.
    this.#current?.on('error', () => undefined)
    this.#current?.destroy(error)
    await Promise.allSettled(this.#all)
  }

  #run(task: Promise<void>, small: boolean): void {
    const run = task.catch((error: unknown) => this.#fail(error))
    this.#all.push(run)
    if (!small) return
    this.#small.add(run)
    void run.finally(() => this.#small.delete(run))
  }

  async #writeFile(
    { path, executable }: Extract<ArchiveEntry, { kind: 'file' }>,
    chunks: AsyncIterable<Buffer>,
  ): Promise<void> {
    await this.#makeFolder(dirname(path))
    const handle = await open(join(this.#root, path), 'wx', 0o600)
    try {
      for await (const chunk of chunks) await handle.writeFile(chunk)
      await handle.chmod(executable ? 0o555 : 0o444)
      await handle.sync()
    } finally {
      await handle.close()
    }
  }

  #makeFolder(path: string): Promise<void> {
    const known = this.#folders.get(path)
    if (known !== undefined) return known
    const made = this.#makeFolder(dirname(path)).then(() => mkdir(join(this.#root, path), 0o755))
    this.#folders.set(path, made)
    return made
  }
}

function whole(content: Promise<Buffer>): AsyncIterable<Buffer> {
  // It may fail before anybody waits for it.
  content.catch(() => undefined)
  return (async function* () {
    yield await content
  })()
}
