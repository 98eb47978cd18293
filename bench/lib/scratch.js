import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

let root

/** A new empty folder that is gone when the benchmark ends. */
export function scratchFolder(name) {
  root ??= mkdtempSync(join(tmpdir(), 'flexi-bench-'))
  mkdirSync(root, { recursive: true })
  return mkdtempSync(join(root, `${name}-`))
}

/** A copy of a project: servers write beside what they serve, and reloads edit it. */
export function scratchCopy(name, source) {
  const folder = scratchFolder(name)
  cpSync(source, folder, { recursive: true })
  return folder
}

export function removeScratch() {
  if (root !== undefined) rmSync(root, { recursive: true, force: true, maxRetries: 3 })
}
