import { existsSync } from 'node:fs'
import { register } from 'node:module'
import { join } from 'node:path'

/** From now on `import` finds what layers brought. For the process of a function that has some: it costs a thread. */
export function importFromLayers(opt: string): void {
  if (existsSync(join(opt, 'nodejs'))) register(new URL('module-hooks.js', import.meta.url))
}
