import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

/** What a process has to see that loads koffi: the package, and beside it the one with its binaries. */
export function koffiFiles(): readonly string[] {
  const folder = dirname(createRequire(import.meta.url).resolve('koffi'))
  return [folder, join(folder, '../@koromix')]
}
