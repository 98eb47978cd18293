import { realpathSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname } from 'node:path'

/** Every function sees these. */
const SYSTEM = /^\/(?:usr|bin|sbin|lib|lib64|etc)\//

/** The folders of an installation that is not the system's: `/opt/jdk/bin/java` → `/opt/jdk`; those of both where a link leads to another. */
export function installationOf(command: string): readonly string[] {
  const programs = [command, realOf(command)].filter((path) => !SYSTEM.test(path))
  return [...new Set(programs.map(rootOf))]
}

/** A program that lies in nobody's installation is shown alone. */
function rootOf(program: string): string {
  const root = dirname(dirname(program))
  return root === '/' || root === homedir() || homedir().startsWith(`${root}/`) ? program : root
}

function realOf(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    return path
  }
}
