import { join } from 'node:path'

import type { AbsolutePath } from '../core/place.ts'
import { dataDirectory } from '../core/user-directories.ts'

/** Where everything of one daemon lies. */
export interface DaemonPlace {
  readonly directory: AbsolutePath
  readonly database: AbsolutePath
  /** 32 random bytes, from which the keys of tokens and secrets are made. */
  readonly key: AbsolutePath
  readonly artifacts: AbsolutePath
  readonly state: AbsolutePath
  readonly logs: AbsolutePath
  readonly run: AbsolutePath
  /** Who serves, and where: `DaemonNote`. */
  readonly note: AbsolutePath
}

export function placeOf(directory: AbsolutePath): DaemonPlace {
  const at = (...names: string[]): AbsolutePath => join(directory, ...names) as AbsolutePath
  return {
    directory,
    database: at('flexi.db'),
    key: at('key'),
    artifacts: at('artifacts'),
    state: at('state'),
    logs: at('logs'),
    run: at('run'),
    note: at('run', 'daemon.json'),
  }
}

/** `/var/lib/flexi` for root, the user's own data folder for others; FLEXI_DATA_DIR names another. */
export function defaultDirectory(environment: Readonly<Record<string, string | undefined>>): AbsolutePath {
  const named = environment['FLEXI_DATA_DIR']
  if (named !== undefined && named !== '') return named as AbsolutePath
  if (process.getuid?.() === 0) return '/var/lib/flexi' as AbsolutePath
  return join(dataDirectory(environment, process.platform), 'flexi', 'daemon') as AbsolutePath
}
