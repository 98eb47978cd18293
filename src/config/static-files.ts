import { stat } from 'node:fs/promises'
import { join } from 'node:path'

import type { Fault } from '../core/place.ts'
import { locate, type FaultPlace, type FlexiSource, type Path } from './flexi-faults.ts'
import type { RouteDocument } from './flexi-schema.ts'
import type { ParsedTarget } from './proxy-target.ts'

/** A file that a `static` names, and where. */
export interface StaticFile {
  readonly key: 'index' | 'fallback'
  readonly name: string
  readonly at: FaultPlace
}

export function staticFiles(
  document: NonNullable<RouteDocument['static']>,
  path: Path,
  source: FlexiSource,
): readonly StaticFile[] {
  return (['index', 'fallback'] as const).flatMap((key) => {
    const name = document[key]
    return typeof name === 'string' ? [{ key, name, at: locate(source, [...path, key]) }] : []
  })
}

/** Warns of each that is not in the folder. Not an error: a build may make it later, and folders below may have an index. */
export async function missingFiles(
  target: ParsedTarget | undefined,
  files: readonly StaticFile[] = [],
): Promise<readonly Fault[]> {
  if (target?.kind !== 'static' || files.length === 0) return []
  const { directory } = target
  // That the folder itself is not there is said already.
  if (!(await isThere(directory))) return []
  const missing = await Promise.all(
    files.map(async (file) => ((await isThere(join(directory, file.name))) ? [] : [file])),
  )
  return missing.flat().map(({ key, name, at }) => ({ ...at, ...problem(key, name), severity: 'warning' }))
}

function problem(key: StaticFile['key'], name: string): Pick<Fault, 'message' | 'hint'> {
  const message = `there is no file "${name}" in the folder`
  if (key === 'index')
    return { message, hint: 'Build it, or mend its name; folders without it are answered with 404.' }
  return { message, hint: 'Build it, or mend its name; until then paths that name no file get 404.' }
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}
