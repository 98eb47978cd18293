import { lstat, opendir } from 'node:fs/promises'
import { join } from 'node:path'

const INTERVAL_MS = 2000
const BLOCK_BYTES = 512
/** A folder of more entries than this is looked at no further: it is too much in any case. */
const ENTRIES_MAX = 200_000

const MIB = 1024 * 1024

/** Stops when it is told to, or has told. */
export interface DiskWatch {
  stop(): void
}

/**
 * Looks at the folders that a function may change every two seconds, one look after another. A function that fills the disk of the
 * machine fills it for all, and not every file system has quotas.
 */
export function watchDisk(folders: readonly string[], mibMax: number, onFull: () => void): DiskWatch {
  if (folders.length === 0) return { stop: () => undefined }
  let timer: NodeJS.Timeout | undefined
  let isStopped = false
  const look = async (): Promise<void> => {
    const bytes = await bytesIn(folders, mibMax * MIB)
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
