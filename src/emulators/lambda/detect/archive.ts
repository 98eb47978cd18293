import { statSync } from 'node:fs'

/** The options of a function whose code is a zip file: a later one of that name is another configuration. */
export function archiveOptions(file: string): { readonly archive: string; readonly archiveStamp: string } {
  const stats = statSync(file, { throwIfNoEntry: false })
  return { archive: file, archiveStamp: `${stats?.size ?? 0}-${Math.trunc(stats?.mtimeMs ?? 0)}` }
}
