import { join, resolve } from 'node:path'

import type { AbsolutePath } from '../core/place.ts'
import { dataDirectory } from '../core/user-directories.ts'

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
