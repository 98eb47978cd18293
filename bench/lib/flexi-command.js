import { existsSync } from 'node:fs'
import { join } from 'node:path'

import { projectRoot } from './places.js'

/** Why flexi cannot run here, or undefined. */
export function missingFlexi() {
  return existsSync(join(projectRoot, 'dist')) ? undefined : 'flexi is not built: npm run build'
}

/** Flags for errors alone: beside servers that write no line for each request. */
export const QUIET = ['--no-watch', '--log-level', 'error']

/** `flexi dev FOLDER --port N`, as a person runs it. */
export function flexiDev({ folder, port, profile }, ...flags) {
  const run = join(projectRoot, 'bin', 'run.js')
  return {
    command: process.execPath,
    args: [...profiled(profile), run, 'dev', folder, '--port', String(port), ...flags],
    cwd: folder,
  }
}

/** V8 writes the profile of flexi's own process, not of its children, when it ends. */
function profiled(folder) {
  return folder === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${folder}`]
}
