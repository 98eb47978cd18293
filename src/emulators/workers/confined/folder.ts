import { randomBytes } from 'node:crypto'
import { lchownSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'

import type { Confinement, Launch } from '../../../core/confinement.ts'
import type { RunFolder } from '../run-folder.ts'

/** A folder for one runtime of a confinement, which may have two for a moment. Whoever opened the confinement looks after what is left. */
export function openConfinedFolder({ runDirectory }: Confinement): RunFolder {
  const path = join(runDirectory, randomBytes(4).toString('hex'))
  // A configuration in it holds secrets, and what opens the control.
  mkdirSync(path, { mode: 0o700 })
  return {
    path,
    // It ends with us in any case.
    belongsTo: () => Promise.resolve(),
    remove: () => {
      rmSync(path, { recursive: true, force: true })
      return Promise.resolve()
    },
  }
}

type Owner = Pick<Launch, 'uid' | 'gid'>

/**
 * Gives what we wrote to the user that a process runs as: folders to this depth, and what lies in them where `files` are meant too. No
 * link is followed: the process may have put it there.
 */
export function handOver(
  path: string,
  owner: Owner,
  { depth, files }: { readonly depth: number; readonly files: boolean },
): void {
  const { uid, gid = uid } = owner
  if (uid === undefined || gid === undefined) return
  lchownSync(path, uid, gid)
  if (depth === 0) return
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    const inner = join(path, entry.name)
    if (entry.isDirectory()) handOver(inner, owner, { depth: depth - 1, files })
    else if (files) lchownSync(inner, uid, gid)
  }
}
