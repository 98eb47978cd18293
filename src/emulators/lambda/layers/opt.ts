import { readdir } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { join } from 'node:path'

import type { AbsolutePath } from '../../../core/place.ts'

/** The merged layers of a function: what is `/opt` in Lambda. */
export interface Opt {
  readonly directory: AbsolutePath
  /** Names of the programs in `extensions/`, sorted. */
  readonly extensions: readonly string[]
  /** `python3.12`, of `python/lib/python3.12/site-packages`. */
  readonly pythons: readonly string[]
  /** `3.3.0`, of `ruby/gems/3.3.0`. */
  readonly rubies: readonly string[]
}

export async function readOpt(directory: AbsolutePath): Promise<Opt> {
  const names = (path: string): Promise<string[]> => readdir(join(directory, path)).catch(() => [])
  const [extensions, pythons, rubies] = await Promise.all([
    readdir(join(directory, 'extensions'), { withFileTypes: true }).catch(() => []),
    names('python/lib'),
    names('ruby/gems'),
  ])
  return {
    directory,
    extensions: extensions
      .filter((entry) => !entry.isDirectory())
      .map(({ name }) => name)
      .toSorted(),
    pythons: pythons.filter((name) => name.startsWith('python')).toSorted(),
    rubies: rubies.toSorted(),
  }
}

const IN_OPT = /(?<=^|[\s=:;,"'])\/opt\/[^\s:;,"']*/g

/** `/opt/wrapper` → where it really is, in every variable of the function that names something a layer brought. */
export function mapOptPaths(
  { directory }: Opt,
  variables: Readonly<Record<string, string>>,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(variables).map(([name, value]) => [
      name,
      value.replaceAll(IN_OPT, (path) => {
        const real = join(directory, path.slice('/opt'.length))
        return existsSync(real) ? real : path
      }),
    ]),
  )
}
