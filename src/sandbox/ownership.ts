import { chmodSync, lchownSync, lstatSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

/** User and group of a function outside of its sandbox. */
export interface Owner {
  readonly uid: number
  readonly gid: number
}

/**
 * Makes a folder that the function may change, and hands it over with all that is in it. Nothing is followed, and what it owns already
 * is left alone: a function cannot have the daemon hand it what a link leads to.
 */
export function giveFolder(path: string, owner: Owner | undefined): void {
  mkdirSync(path, { recursive: true })
  if (owner === undefined || lstatSync(path).uid === owner.uid) return
  for (const entry of readdirSync(path, { withFileTypes: true, recursive: true })) {
    lchownSync(join(entry.parentPath, entry.name), owner.uid, owner.gid)
  }
  lchownSync(path, owner.uid, owner.gid)
  chmodSync(path, 0o700)
}
