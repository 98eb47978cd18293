import { cp, readdir, stat } from 'node:fs/promises'
import { join, relative } from 'node:path'

import type { PackagedFile } from '../../core/function.ts'
import type { AbsolutePath } from '../../core/place.ts'

/** What no deployment wants: tools' folders and files of the machine. */
const LEFT_OUT = new Set([
  '.git', '.flexi', '.venv', 'venv', '__pycache__', 'node_modules', '.pytest_cache', '.mypy_cache', '.idea', '.vscode', '.DS_Store',
  '.aws-sam', '.serverless', 'flexi.jsonc', 'proxy.ini', 'template.yaml', 'template.yml', 'serverless.yml', 'dist',
]) // prettier-ignore

/** Copies a code folder as it is: languages that need no bundle ship their files. */
export async function packageFolder(
  taskRoot: AbsolutePath,
  directory: AbsolutePath,
): Promise<readonly PackagedFile[]> {
  const files = await filesOf(taskRoot, directory)
  return Promise.all(
    files.map(async (file) => {
      const path = relative(taskRoot, file)
      await cp(file, join(directory, path))
      return { path, bytes: (await stat(file)).size, inputs: [path] }
    }),
  )
}

async function filesOf(folder: string, target: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true })
  const found = await Promise.all(
    entries
      .filter(({ name }) => !LEFT_OUT.has(name) && !name.startsWith('.env'))
      .map(async (entry) => {
        const path = join(folder, entry.name)
        // The output may lie inside of what is packed.
        if (path === target) return []
        if (entry.isDirectory()) return filesOf(path, target)
        return entry.isFile() ? [path] : []
      }),
  )
  return found.flat().toSorted()
}
