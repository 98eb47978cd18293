import { readdir, readFile, stat } from 'node:fs/promises'

const BLOCK_BYTES = 512
/** Of all processes together. Who holds more has too much in any case. */
const FILES_MAX = 200_000

/**
 * Bytes on some file systems that a process, and those that it started, keep in files without a name: what is removed while it is open or
 * mapped stays on the disk, and no look into a folder finds it.
 */
export async function unnamedBytes(pid: number, devices: ReadonlySet<number>): Promise<number> {
  const sizes = new Map<string, number>()
  let files = 0
  for await (const path of heldBy(await familyOf(pid))) {
    files += 1
    if (files > FILES_MAX) return Infinity
    const found = await stat(path).catch(() => undefined)
    if (found === undefined || found.nlink > 0 || !found.isFile() || !devices.has(found.dev)) continue
    sizes.set(`${found.dev}:${found.ino}`, found.blocks * BLOCK_BYTES)
  }
  return [...sizes.values()].reduce((sum, size) => sum + size, 0)
}

/** Links of the kernel's to all that is open or mapped. */
async function* heldBy(pids: readonly number[]): AsyncGenerator<string> {
  for (const folder of pids.flatMap((pid) => [`/proc/${pid}/fd`, `/proc/${pid}/map_files`])) {
    for (const name of await namesIn(folder)) yield `${folder}/${name}`
  }
}

/** In a sandbox whoever loses its parent is given to the first process in it. */
async function familyOf(pid: number): Promise<readonly number[]> {
  const family = [pid]
  for (const each of family) {
    const tasks = await namesIn(`/proc/${each}/task`)
    const lists = tasks.map((task) => readFile(`/proc/${each}/task/${task}/children`, 'utf8').catch(() => ''))
    const children = (await Promise.all(lists)).flatMap((list) => list.split(' ').filter((id) => id !== ''))
    family.push(...children.map(Number))
  }
  return family
}

async function namesIn(folder: string): Promise<readonly string[]> {
  return await readdir(folder).catch(() => [])
}
