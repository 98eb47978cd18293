import { readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'

import { isAlive, startedAt } from '../../../core/processes.ts'
import { uniqueName } from './journal-lines.ts'

/** `events.1234-567890.1a2b3c4d.journal`: whose it is says its name; `0-0` is nobody's. */
const NAME = /^(.+)\.(\d+)-(\d+)\.[^.]+\.journal$/
/** Of a journal that is being written anew: the one it replaces is whole until then. */
const UNFINISHED = '.new'

/** Those that this process has open: a number of a process that was there before may be ours now. */
const open = new Set<string>()

/** A path for a journal of this process. Forget it with `forget`. */
export function ownPath(directory: string, name: string): string {
  const path = join(directory, `${name}.${process.pid}-${startOf(process.pid)}.${uniqueName()}.journal`)
  open.add(path)
  return path
}

/** Where a journal waits for whoever comes next. */
export function nobodysPath(directory: string, name: string): string {
  return join(directory, `${name}.0-0.${uniqueName()}.journal`)
}

export function forget(path: string): void {
  open.delete(path)
}

/** Where the next text of a journal is written before it takes its place. */
export function unfinishedPath(path: string): string {
  return path + UNFINISHED
}

/** Whether any journal is there that nobody has open. Cheap. */
export async function hasLeft(directory: string, name: string): Promise<boolean> {
  return (await leftNames(directory, name)).length > 0
}

/** Takes the journals whose processes have ended, oldest first. Of two that ask, one gets each. */
export async function claimLeft(directory: string, name: string): Promise<readonly string[]> {
  const claimed = await Promise.all(
    (await leftNames(directory, name)).map(async (file) => {
      const path = ownPath(directory, name)
      try {
        await rename(join(directory, file), path)
        await rm(unfinishedPath(join(directory, file)), { force: true })
        return { path, time: (await stat(path)).mtimeMs }
      } catch {
        // Somebody else was quicker.
        forget(path)
        return undefined
      }
    }),
  )
  return claimed
    .flatMap((one) => one ?? [])
    .sort((one, other) => one.time - other.time)
    .map(({ path }) => path)
}

async function leftNames(directory: string, name: string): Promise<readonly string[]> {
  const files = await readdir(directory).catch(() => [])
  return files.filter((file) => isLeft(join(directory, file), NAME.exec(file), name))
}

function isLeft(path: string, match: RegExpExecArray | null, name: string): boolean {
  const [, of, pid, started] = match ?? []
  if (of !== name || pid === undefined || started === undefined) return false
  if (pid === '0') return true
  const isOurs = Number(pid) === process.pid && started === startOf(process.pid)
  return isOurs ? !open.has(path) : !isAlive(Number(pid)) || startOf(Number(pid)) !== started
}

/** `0` where nobody says it. */
function startOf(pid: number): string {
  return startedAt(pid) ?? '0'
}
