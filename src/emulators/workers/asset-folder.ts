import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'

import { configError } from '../../core/errors.ts'
import { faultAt, type ConfigText } from './config-faults.ts'

/**
 * Changes when a file of the folder does. miniflare lists assets when it starts, so such a change is one of the worker.
 * @throws FlexiError FLEXI_CONFIG at the key that names a folder which is not there.
 */
export async function folderStamp(directory: string, origin: ConfigText): Promise<string> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch(() => undefined)
  if (entries === undefined) {
    const message = `the assets folder ${directory} does not exist`
    const path = /^[\s"'[]*site\b/m.test(origin.text) ? ['site', 'bucket'] : ['assets', 'directory']
    throw configError([await faultAt(origin, path, { message, hint: 'Create it, or mend the path.' })])
  }
  const stamps = entries
    .filter((entry) => entry.isFile())
    .map(async ({ parentPath, name }) => {
      const path = join(parentPath, name)
      // A build that empties the folder may have taken it away by now.
      const found = await stat(path).catch(() => undefined)
      return found === undefined ? path : `${path} ${found.mtimeMs} ${found.size}`
    })
  return (await Promise.all(stamps)).toSorted().join('\n')
}
