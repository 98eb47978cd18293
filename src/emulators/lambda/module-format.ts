import { readFileSync } from 'node:fs'
import { dirname, extname, join, sep } from 'node:path'

/** How Node takes a file. */
export type ModuleFormat = 'cjs' | 'esm'

/** The extension decides; `.ts` and `.js` are what the nearest package.json says, looked for up to the folder that packages are in. */
export function moduleFormat(file: string): ModuleFormat {
  const extension = extname(file)
  if (extension === '.mts' || extension === '.mjs') return 'esm'
  if (extension !== '.ts' && extension !== '.js') return 'cjs'
  for (
    let directory = dirname(file);
    !directory.endsWith(`${sep}node_modules`);
    directory = dirname(directory)
  ) {
    const type = packageType(join(directory, 'package.json'))
    if (type !== undefined) return type === 'module' ? 'esm' : 'cjs'
    if (directory === dirname(directory)) return 'cjs'
  }
  return 'cjs'
}

function packageType(path: string): string | undefined {
  try {
    const { type } = JSON.parse(readFileSync(path, 'utf8')) as { type?: unknown }
    return typeof type === 'string' ? type : 'commonjs'
  } catch {
    return undefined
  }
}
