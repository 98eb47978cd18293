import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { dirname, relative, sep } from 'node:path'

import type { Program } from '../program.ts'
import { findModules, mapOf, type ModuleFolder } from './additional-modules.ts'

/** `no_bundle`: the entry as it is, and beside it every file that a rule names. @throws FlexiError FLEXI_BUILD. */
export async function plainProgram(
  folder: ModuleFolder,
  /** Of the entry; those of `export *` are not known. */
  exports: readonly string[],
): Promise<Program> {
  const { entry, root } = folder
  const [code, modules] = await Promise.all([readFile(entry, 'utf8'), findModules(folder)])
  const name = relative(root, entry).split(sep).join('/')
  const digest = createHash('sha256').update(code)
  for (const { name: part, contents } of modules) digest.update(part).update(contents)
  return {
    // An entry above the module root has no name below it.
    name: name.startsWith('../') ? relative(dirname(entry), entry) : name,
    code,
    sourceMap: await mapOf(entry, code),
    modules,
    format: exports.length > 0 || /^\s*export\s*\*/m.test(code) ? 'modules' : 'service-worker',
    exports,
    inputs: [entry, ...modules.map(({ source }) => source)],
    inputBytes: new Map([[entry, Buffer.byteLength(code)]]),
    hash: digest.digest('hex').slice(0, 16),
    warnings: [],
  }
}
