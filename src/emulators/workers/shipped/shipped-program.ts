import { createHash } from 'node:crypto'
import { readFile, realpath } from 'node:fs/promises'
import { join, resolve, sep } from 'node:path'

import { errorMessage, FlexiError } from '../../../core/errors.ts'
import type { AbsolutePath } from '../../../core/place.ts'
import { identityMap } from '../build/identity-map.ts'
import type { ModuleType } from '../module-rules.ts'
import type { ExtraModule, Program } from '../program.ts'

/** What a program is made of, beside its files; paths are relative to it. */
export interface ProgramList {
  readonly main: string
  readonly format: Program['format']
  readonly exports: readonly string[]
  readonly sourceMap?: string | undefined
  readonly modules: readonly { readonly name: string; readonly type: ModuleType }[]
  /** Global → file. */
  readonly wasmGlobals?: Readonly<Record<string, string>> | undefined
}

const TYPES: readonly string[] = [
  'ESModule',
  'CommonJS',
  'Text',
  'Data',
  'CompiledWasm',
] satisfies ModuleType[]

/**
 * The program that a list of this folder names. Nothing outside the folder is read, whatever the list says: who wrote it may read less
 * than we do.
 * @throws FlexiError FLEXI_CONFIG when a file is missing or elsewhere, or the list is none.
 */
export async function readShippedProgram(directory: AbsolutePath, list: string): Promise<Program> {
  const inside = await insideOf(directory)
  const { main, format, exports, sourceMap, modules, wasmGlobals } = await readList(await inside(list))
  const entry = await inside(main)
  const [code, map, extra, globals] = await Promise.all([
    readFile(entry, 'utf8'),
    sourceMap === undefined ? undefined : inside(sourceMap).then((path) => readFile(path, 'utf8')),
    Promise.all(modules.map(async (module) => readModule(await inside(module.name), module))),
    Promise.all(
      Object.entries(wasmGlobals ?? {}).map(async ([name, path]) => [name, await inside(path)] as const),
    ),
  ])
  const digest = createHash('sha256').update(code)
  for (const { name, contents } of extra) digest.update(name).update(contents)
  return {
    name: main,
    code,
    sourceMap: map ?? identityMap(entry, code),
    modules: extra,
    format,
    wasmGlobals: Object.fromEntries(globals),
    exports,
    inputs: [entry, ...extra.map(({ source }) => source)],
    inputBytes: new Map([[entry, Buffer.byteLength(code)]]),
    hash: digest.digest('hex').slice(0, 16),
    warnings: [],
  }
}

async function readModule(
  source: AbsolutePath,
  { name, type }: ProgramList['modules'][number],
): Promise<ExtraModule> {
  const contents = await readFile(source)
  if (type !== 'ESModule' && type !== 'CommonJS') return { type, name, source, contents }
  return {
    type,
    name,
    source,
    contents,
    // Made when a stack asks for it.
    get sourceMap() {
      return identityMap(source, contents.toString())
    },
  }
}

/** Resolves paths of the folder; links in it may lead to others of it. */
export async function insideOf(directory: AbsolutePath): Promise<(path: string) => Promise<AbsolutePath>> {
  const root = await realpath(directory)
  return async (path) => {
    const found = await realpath(resolve(root, path)).catch((cause: unknown) => {
      throw damaged(`${path} is not there`, cause)
    })
    if (!found.startsWith(`${root}${sep}`)) throw damaged(`${path} is not in the folder`)
    return join(directory, found.slice(root.length)) as AbsolutePath
  }
}

async function readList(file: AbsolutePath): Promise<ProgramList> {
  try {
    const value: unknown = JSON.parse(await readFile(file, 'utf8'))
    if (isList(value)) return value
  } catch (cause) {
    throw damaged(`its list of files cannot be read: ${errorMessage(cause)}`, cause)
  }
  throw damaged('its list of files is none')
}

function damaged(message: string, cause?: unknown): FlexiError {
  return new FlexiError('FLEXI_CONFIG', `the deployed worker is not whole: ${message}`, {
    hint: 'Deploy it again with "flexi deploy".',
    cause,
  })
}

const FITS = {
  main: isText,
  format: (value) => value === 'modules' || value === 'service-worker',
  exports: areTexts,
  sourceMap: (value) => value === undefined || isText(value),
  modules: (value) => Array.isArray(value) && value.every(isModule),
  wasmGlobals: (value) => value === undefined || (isRecord(value) && areTexts(Object.values(value))),
} as const satisfies Record<keyof ProgramList, (value: unknown) => boolean>

function isList(value: unknown): value is ProgramList {
  return isRecord(value) && Object.entries(FITS).every(([key, fits]) => fits(value[key]))
}

function isModule(value: unknown): boolean {
  if (!isRecord(value)) return false
  const { name, type } = value
  return isText(name) && isText(type) && TYPES.includes(type)
}

function isText(value: unknown): value is string {
  return typeof value === 'string'
}

function areTexts(value: unknown): boolean {
  return Array.isArray(value) && value.every(isText)
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
