import { mkdir, rm, writeFile } from 'node:fs/promises'
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
  const extension = extensionOf(code, runtime)
  await writeFile(join(folder, `index${extension}`), code)
  // What it was before an edit would be found first.
  const others = EXTENSIONS.filter((other) => other !== extension)
  await Promise.all(others.map((other) => rm(join(folder, `index${other}`), { force: true })))
  return folder
}

const EXTENSIONS = ['.py', '.mjs', '.cjs'] as const

/** The format stands in the name, so that a package.json further up has no say in it. */
function extensionOf(code: string, runtime: string | undefined): (typeof EXTENSIONS)[number] {
  if (runtime?.startsWith('python') === true) return '.py'
  return /^\s*(?:import[\s{*'"]|export[\s{*])/m.test(code) ? '.mjs' : '.cjs'
}
