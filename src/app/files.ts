import { mkdir, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join, sep } from 'node:path'

import { errorMessage, FlexiError } from '../core/errors.ts'
import type { AbsolutePath } from '../core/place.ts'

export function stateDirectoryOf(directory: AbsolutePath): AbsolutePath {
  return join(directory, '.flexi') as AbsolutePath
}

/** `.flexi/` keeps builds and local state: nothing of it belongs into anyone's repository. */
export async function makeStateDirectory(directory: AbsolutePath): Promise<void> {
  const state = stateDirectoryOf(directory)
  try {
    await mkdir(state, { recursive: true })
    await writeFile(join(state, '.gitignore'), '*\n')
  } catch (cause) {
    throw new FlexiError('FLEXI_USAGE', `cannot write into ${state}: ${errorMessage(cause)}`, {
      hint: 'Builds and local state are kept there: make it a folder that you may write into.',
      cause,
    })
  }
}

/** Files whose coming makes a new project even though none was read before. */
const CONFIG_FILES =
  /^(flexi\.jsonc?|proxy\.ini|wrangler\.(jsonc?|toml)|template\.(ya?ml|json)|serverless\.(ya?ml|json|ts|js))$/

export function isConfigurationOf(directory: AbsolutePath, path: string): boolean {
  return dirname(path) === directory && CONFIG_FILES.test(basename(path))
}

/** Those that were written after a moment, in ms since the epoch. */
export async function changedSince(files: readonly AbsolutePath[], time: number): Promise<AbsolutePath[]> {
  const stats = await Promise.all(files.map((file) => stat(file).catch(() => undefined)))
  return files.filter((_file, index) => {
    const found = stats[index]
    return found?.isFile() === true && found.mtimeMs > time
  })
}

/** Is the path one of these, or below one? */
export function covers(watched: readonly string[], path: string): boolean {
  return watched.some((wanted) => path === wanted || path.startsWith(wanted + sep))
}
