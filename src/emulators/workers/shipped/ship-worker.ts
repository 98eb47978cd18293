import { copyFile, mkdir, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join, relative } from 'node:path'

import { FlexiError } from '../../../core/errors.ts'
import type { PackagedFile } from '../../../core/function.ts'
import type { AbsolutePath } from '../../../core/place.ts'
import { buildPackage, type PackageTarget } from '../package.ts'
import type { Program } from '../program.ts'
import type { Settings } from '../settings.ts'
import { shippedConfig, type ShippedFile } from './shipped-config.ts'
import { CONFIG_FILE, LIST_FILE } from './shipped-files.ts'
import type { ProgramList } from './shipped-program.ts'

const GLOBALS_FOLDER = 'globals'

/**
 * The package, and beside it a wrangler file and a list of the program's files: a machine that has nothing else of the project runs them
 * as they are.
 * @throws FlexiError FLEXI_BUILD, FLEXI_CONFIG.
 */
export async function shipWorker(
  settings: Settings,
  target: PackageTarget,
): Promise<readonly PackagedFile[]> {
  const { program, files } = await buildPackage(settings, target)
  refuseTaken(files)
  const { document, files: blobs } = shippedConfig(settings, program?.name)
  const globals = globalFiles(program)
  const config = `${JSON.stringify(document, undefined, 2)}\n`
  const list = program === undefined ? undefined : listOf(program, { settings, globals })
  const own = [
    await write(CONFIG_FILE, config, target),
    ...(list === undefined
      ? []
      : [await write(LIST_FILE, `${JSON.stringify(list, undefined, 2)}\n`, target)]),
  ]
  const copied = await Promise.all([...blobs, ...globals].map((file) => copy(file, target)))
  return [...files, ...own, ...copied]
}

function refuseTaken(files: readonly PackagedFile[]): void {
  const taken = files.find(({ path }) => path === CONFIG_FILE || path === LIST_FILE)
  if (taken === undefined) return
  throw new FlexiError(
    'FLEXI_BUILD',
    `the program has a module ${taken.path}, which is a file of the deployment`,
    {
      hint: 'Call it something else, or take it out of "rules".',
    },
  )
}

interface GlobalFile extends ShippedFile {
  readonly global: string
}

function globalFiles(program: Program | undefined): readonly GlobalFile[] {
  return Object.entries(program?.wasmGlobals ?? {}).map(([global, source]) => ({
    global,
    path: `${GLOBALS_FOLDER}/${global}-${basename(source)}`,
    source,
  }))
}

function listOf(
  { name, format, exports, modules, sourceMap }: Program,
  { settings, globals }: { readonly settings: Settings; readonly globals: readonly GlobalFile[] },
): ProgramList {
  const hasMap = sourceMap !== undefined && settings.config.no_bundle !== true
  return {
    main: name,
    format,
    exports,
    ...(hasMap ? { sourceMap: `${name}.map` } : {}),
    modules: modules.map(({ name: module, type }) => ({ name: module, type })),
    ...(globals.length === 0
      ? {}
      : { wasmGlobals: Object.fromEntries(globals.map(({ global, path }) => [global, path])) }),
  }
}

async function write(path: string, text: string, { directory }: PackageTarget): Promise<PackagedFile> {
  await writeFile(join(directory, path), text)
  return { path, bytes: Buffer.byteLength(text), inputs: [] }
}

async function copy(
  { path, source }: { readonly path: string; readonly source: AbsolutePath },
  { directory, project }: PackageTarget,
): Promise<PackagedFile> {
  const to = join(directory, path)
  await mkdir(dirname(to), { recursive: true })
  await copyFile(source, to)
  const { size } = await stat(to)
  return { path, bytes: size, inputs: [relative(project, source)] }
}
