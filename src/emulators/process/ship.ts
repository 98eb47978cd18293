import { cp, lstat, readdir } from 'node:fs/promises'
import { basename, join, relative } from 'node:path'

import { FlexiError } from '../../core/errors.ts'
import type { PackagedFile } from '../../core/function.ts'

/** What belongs to the machine, or to the project around the program. */
const LEFT_OUT = new Set([
  '.git', '.hg', '.svn', '.flexi', '.idea', '.vscode', '.DS_Store', '__pycache__', 'flexi.jsonc', 'proxy.ini',
]) // prettier-ignore

/**
 * Copies a program's folder, or those files and folders of it that are named: links stay links. Secrets of the machine (`.env`) stay.
 * @throws FlexiError FLEXI_BUILD for one that is not there.
 */
export async function shipFiles(
  from: string,
  to: string,
  files: readonly string[] | undefined,
): Promise<readonly PackagedFile[]> {
  for (const path of files ?? (await readdir(from))) await copy(from, to, path)
  const entries = await readdir(to, { recursive: true, withFileTypes: true })
  const paths = entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative(to, join(entry.parentPath, entry.name)))
  return Promise.all(
    paths
      .toSorted()
      .map(async (path) => ({ path, bytes: (await lstat(join(to, path))).size, inputs: [path] })),
  )
}

async function copy(from: string, to: string, path: string): Promise<void> {
  const source = join(from, path)
  // The output may lie inside of what is packed.
  const filter = async (one: string): Promise<boolean> =>
    one !== to && isShipped(basename(one)) && (await isFile(one))
  if (!(await filter(source))) return
  try {
    await cp(source, join(to, path), {
      recursive: true,
      verbatimSymlinks: true,
      preserveTimestamps: true,
      filter,
    })
  } catch (error) {
    throw new FlexiError('FLEXI_BUILD', `${path} cannot be packed`, {
      hint: 'Correct "files".',
      cause: error,
    })
  }
}

function isShipped(name: string): boolean {
  return !LEFT_OUT.has(name) && !/^\.env(?:\.|$)/.test(name)
}

/** Neither sockets nor pipes. */
async function isFile(path: string): Promise<boolean> {
  const found = await lstat(path).catch(() => undefined)
  return found === undefined || found.isFile() || found.isDirectory() || found.isSymbolicLink()
}
