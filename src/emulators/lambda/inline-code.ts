import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import type { AbsolutePath } from '../../core/place.ts'

export interface InlineCode {
  readonly name: string
  readonly code: string
  readonly runtime: string | undefined
  readonly stateDirectory: AbsolutePath
}

/**
 * Puts code that a template holds where a runtime finds it: a file called `index`, as CloudFormation does.
 * @returns the folder, which the handler `index.handler` starts from.
 */
export async function writeInlineCode({
  name,
  code,
  runtime,
  stateDirectory,
}: InlineCode): Promise<AbsolutePath> {
  const folder = join(stateDirectory, 'inline', name) as AbsolutePath
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, `index${extensionOf(code, runtime)}`), code)
  return folder
}

/** The format stands in the name, so that a package.json further up has no say in it. */
function extensionOf(code: string, runtime: string | undefined): string {
  if (runtime?.startsWith('python') === true) return '.py'
  return /^\s*(?:import[\s{*'"]|export[\s{*])/m.test(code) ? '.mjs' : '.cjs'
}
