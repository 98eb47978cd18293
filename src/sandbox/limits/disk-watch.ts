import { lstat, opendir, stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'

import { unnamedBytes } from './unnamed-files.ts'

const INTERVAL_MS = 2000
const BLOCK_BYTES = 512
/** A folder of more entries than this is looked at no further: it is too much in any case. */
const ENTRIES_MAX = 200_000
/** Of Linux, with the byte that ends it. */
const PATH_MAX = 4095

const MIB = 1024 * 1024

/** Room that has to go before files without a name are looked for. */
const LOST_BYTES = 64 * MIB

/** Stops when it is told to, or has told. */
export interface DiskWatch {
  stop(): void
}

export interface WatchedDisk {
  readonly folders: readonly string[]
  readonly mibMax: number
  /** Of the first process in the sandbox, once there is one. */
  readonly pid: () => number | undefined
  /** Called once. */
  readonly onFull: () => void
}

/**
 * Looks at the folders that a function may change every two seconds, one look after another. A function that fills the disk of the
 * machine fills it for all, and not every file system has quotas.
 */
export function watchDisk(watched: WatchedDisk): DiskWatch {
  const { folders, mibMax, onFull } = watched
  if (folders.length === 0) return { stop: () => undefined }
  const unnamed = new Unnamed(watched)
  let timer: NodeJS.Timeout | undefined
  let isStopped = false
  const look = async (): Promise<void> => {
    const named = await bytesIn(folders, mibMax * MIB)
    const bytes = named + (await unnamed.bytes())
    if (isStopped) return
    if (bytes > mibMax * MIB) onFull()
    else again()
  }
  const again = (): void => {
    timer = setTimeout(() => void look().catch(again), INTERVAL_MS).unref()
  }
  again()
  return {
    stop() {
      isStopped = true
      clearTimeout(timer)
    },
  }
}

/** Files that were removed and are open still. They are looked for when the disk has become fuller: it costs more than a look into folders. */
class Unnamed {
  readonly #watched: WatchedDisk
  readonly #lostBytes: number
  #freeBytes = 0
  #bytes = 0

  constructor(watched: WatchedDisk) {
    this.#watched = watched
    this.#lostBytes = Math.min(LOST_BYTES, (watched.mibMax * MIB) / 4)
  }

  async bytes(): Promise<number> {
    const { folders, pid } = this.#watched
    const [places, free] = [await Promise.all(folders.map(deviceOf)), await freeBytesOf(folders)]
    const first = pid()
    if (free > this.#freeBytes) this.#freeBytes = free
    const isLost = this.#freeBytes - free >= this.#lostBytes
    if (first === undefined || !(isLost || this.#bytes > 0)) return this.#bytes
    this.#freeBytes = free
    this.#bytes = await unnamedBytes(first, new Set(places.flatMap((device) => device ?? [])))
    return this.#bytes
  }
}

async function deviceOf(path: string): Promise<number | undefined> {
  return (await stat(path).catch(() => undefined))?.dev
}

/** They are on one file system: the daemon's. */
async function freeBytesOf([folder = '/']: readonly string[]): Promise<number> {
  const found = await statfs(folder).catch(() => undefined)
  return found === undefined ? 0 : found.bfree * found.bsize
}

/** What is on disk in folders, links not followed. It stops counting above `enough`. */
export async function bytesIn(folders: readonly string[], enough: number): Promise<number> {
  const waiting = [...folders]
  let bytes = 0
  let entries = 0
  for (let folder = waiting.pop(); folder !== undefined && bytes <= enough; folder = waiting.pop()) {
    for await (const name of namesIn(folder)) {
      entries += 1
      if (entries > ENTRIES_MAX) return Infinity
      const path = join(folder, name)
      // No call takes a longer one: what is below it could not be counted.
      if (Buffer.byteLength(path) > PATH_MAX) return Infinity
      const found = await lstat(path).catch(() => undefined)
      bytes += (found?.blocks ?? 0) * BLOCK_BYTES
      if (found?.isDirectory() === true) waiting.push(path)
    }
  }
  return bytes
}

/** What goes away meanwhile is not counted. */
async function* namesIn(folder: string): AsyncGenerator<string> {
  const directory = await opendir(folder).catch(() => undefined)
  if (directory === undefined) return
  for await (const { name } of directory) yield name
}
