import { randomBytes } from 'node:crypto'
import { lchownSync, lstatSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'

import type { Confinement } from '../../../core/confinement.ts'
import type { RunFolder } from '../run-folder.ts'

/** A runtime's own places in a confinement, which may have two runtimes for a moment. */
export interface ConfinedFolder extends RunFolder {
  /** For sockets: what is written there is small, and paths are short. */
  readonly sockets: string
}

/** Whoever opened the confinement looks after what is left of it when we are killed. */
export function openConfinedFolder({ runDirectory }: Confinement): ConfinedFolder {
  const name = randomBytes(4).toString('hex')
  const sockets = join(runDirectory, name)
  // Beside the run folder, which may be a small file system in memory, a program has room.
  const path = `${runDirectory}.${name}`
  // A configuration in it holds secrets, and what opens the control.
  for (const folder of [sockets, path]) mkdirSync(folder, { mode: 0o700 })
  return {
    path,
    sockets,
    // It ends with us in any case.
    belongsTo: () => Promise.resolve(),
    remove: () => {
      for (const folder of [sockets, path]) rmSync(folder, { recursive: true, force: true })
      return Promise.resolve()
    },
  }
}

interface Depth {
  readonly depth: number
  /** Whether it is about more than folders. */
  readonly files: boolean
}

/**
 * Gives what we wrote to the user that the confinement's processes run as, whose run folder tells. No link is followed: a process may have
 * put it there.
 */
export function handOver(path: string, { runDirectory }: Confinement, depth: Depth): void {
  const { uid, gid } = lstatSync(runDirectory)
  if (uid !== process.getuid?.()) give(path, { uid, gid }, depth)
}

function give(
  path: string,
  owner: { readonly uid: number; readonly gid: number },
  { depth, files }: Depth,
): void {
  lchownSync(path, owner.uid, owner.gid)
  if (depth === 0) return
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    const inner = join(path, entry.name)
    if (entry.isDirectory()) give(inner, owner, { depth: depth - 1, files })
    else if (files) lchownSync(inner, owner.uid, owner.gid)
  }
}
