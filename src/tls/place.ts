import { homedir } from 'node:os'
import { join, resolve } from 'node:path'

import type { AbsolutePath } from '../core/place.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** Where a user's authority and the certificates it made are kept. FLEXI_CA_DIR moves it. */
export function authorityDirectory(
  environment: Environment,
  platform: NodeJS.Platform = process.platform,
): AbsolutePath {
  const moved = environment['FLEXI_CA_DIR']
  if (moved !== undefined && moved !== '') return resolve(moved) as AbsolutePath
  return join(dataDirectory(environment, platform), 'flexi', 'ca') as AbsolutePath
}

/** The XDG base directory rules on Linux, what is usual elsewhere. */
function dataDirectory(environment: Environment, platform: NodeJS.Platform): string {
  const named = environment['XDG_DATA_HOME']
  if (named !== undefined && named.startsWith('/')) return named
  if (platform === 'darwin') return join(homedir(), 'Library', 'Application Support')
  if (platform === 'win32') return environment['LOCALAPPDATA'] ?? join(homedir(), 'AppData', 'Local')
  return join(homedir(), '.local', 'share')
}
