import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

/**
 * What a host of ours has to see where it is kept apart: Node, its own code, and what that imports. `hostFile` is
 * `dist/emulators/NAME/host.js`, or lies as deep as that.
 */
export function hostFiles(hostFile: string): readonly string[] {
  const own = dirname(hostFile)
  const dist = join(own, '../..')
  return [
    process.execPath,
    own,
    join(dist, 'core'),
    join(dist, 'instances'),
    // It says that our files are ES modules.
    join(dist, '../package.json'),
    dirname(createRequire(import.meta.url).resolve('tslib/package.json')),
  ]
}
