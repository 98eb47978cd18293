import { readFile } from 'node:fs/promises'
import { relative, resolve } from 'node:path'

import { configError, errorMessage } from '../core/errors.ts'
import type { AbsolutePath } from '../core/place.ts'

/** A file a person wrote, as it was when it was read. */
export interface ConfigFile {
  readonly path: AbsolutePath
  /** As messages show it: relative to the project. */
  readonly name: string
  /** Without a byte order mark. */
  readonly text: string
}

/**
 * Undefined when there is no such file.
 * @throws FlexiError FLEXI_CONFIG when there is one that cannot be read.
 */
export async function readConfigFile(directory: AbsolutePath, file: string): Promise<ConfigFile | undefined> {
  const path = resolve(directory, file) as AbsolutePath
  const name = relative(directory, path)
  try {
    return { path, name, text: new TextDecoder().decode(await readFile(path)) }
  } catch (error) {
    if (isMissing(error)) return undefined
    const message = `cannot be read: ${errorMessage(error)}`
    throw configError([
      { place: { file: name, line: 1, column: 1 }, message, hint: 'Make it a readable file.' },
    ])
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')
}
