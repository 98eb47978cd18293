import { accessSync, constants, existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const projectRoot = fileURLToPath(new URL('../../', import.meta.url))
export const benchRoot = join(projectRoot, 'bench')
export const peersRoot = join(benchRoot, 'peers')

/** The program of a peer that `--install` installs. */
export function peerProgram(name) {
  return join(peersRoot, 'node_modules', '.bin', name)
}

/** Where a program of the machine is; undefined when there is none. */
export function findProgram(name) {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin']
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path) && isExecutable(path))
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
