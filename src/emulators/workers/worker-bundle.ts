import { createHash } from 'node:crypto'
import { dirname } from 'node:path'

import type { Plugin } from 'esbuild'

import { buildError, openBundle, type Bundle, type BundleResult } from '../../build/bundle.ts'
import type { AbsolutePath } from '../../core/place.ts'
import { findModules, type ModuleFolder } from './build/additional-modules.ts'
import { dataModules, type DataModules } from './build/data-modules.ts'
import { aliases, bundleName, esbuildOptions } from './build/esbuild-options.ts'
import { nodeModules } from './build/node-modules.ts'
import { plainProgram } from './build/plain-program.ts'
import type { Config } from './configuration.ts'
import { moduleRules } from './module-rules.ts'
import { nodeMode, withNodeHint, type Compatibility } from './node-compat.ts'
import type { Program } from './program.ts'

export type { Program } from './program.ts'

export interface WorkerBundle extends AsyncDisposable {
  /** @throws FlexiError FLEXI_BUILD. */
  build(): Promise<Program>
  watched(): readonly AbsolutePath[]
}

export interface WorkerBundleOptions {
  readonly entry: AbsolutePath
  readonly config: Config
  readonly compatibility: Compatibility
  readonly mode: 'development' | 'production'
  /** Runs when esbuild has begun to work in its own process: the moment for work that blocks this one. */
  readonly onStart?: (() => void) | undefined
}

/** Equal as long as a bundle that is open stays right. */
export function programKey(
  entry: AbsolutePath,
  options: Pick<WorkerBundleOptions, 'config' | 'compatibility'>,
): string {
  const { config, compatibility } = options
  return JSON.stringify([
    entry,
    compatibility,
    config.configPath,
    ...PROGRAM_KEYS.map((key) => config[key] ?? null),
  ])
}

const PROGRAM_KEYS = [
  'alias', 'base_dir', 'define', 'find_additional_modules', 'jsx_factory', 'jsx_fragment', 'keep_names', 'minify', 'no_bundle',
  'preserve_file_names', 'rules', 'tsconfig',
] as const satisfies readonly (keyof Config)[] // prettier-ignore

/** The entry as wrangler makes a program of it: bundled by esbuild incrementally, or as it is with `no_bundle`. */
export async function openWorkerBundle(options: WorkerBundleOptions): Promise<WorkerBundle> {
  const { config } = options
  return config.no_bundle === true ? await openPlain(options) : await openEsbuildBundle(options)
}

/** esbuild only reads the entry here: what it exports, and where it is no JavaScript. */
async function openPlain({ config, entry, onStart }: WorkerBundleOptions): Promise<WorkerBundle> {
  const folder = moduleFolder(config, entry)
  const exported: Exported = { names: [] }
  const syntax = await openBundle({
    entry,
    directory: dirname(config.configPath ?? entry) as AbsolutePath,
    esbuild: { format: 'esm', outdir: folder.root, plugins: [nothingFollowed, observer(exported, onStart)] },
  })
  let inputs: readonly AbsolutePath[] = [entry]
  return {
    async build() {
      await syntax.build()
      const program = await plainProgram(folder, exported.names)
      inputs = program.inputs
      return program
    },
    watched: () => [...inputs, ...searchedFolder(config, folder)],
    [Symbol.asyncDispose]: () => syntax[Symbol.asyncDispose](),
  }
}

const nothingFollowed: Plugin = {
  name: 'nothing-followed',
  setup(build) {
    build.onResolve({ filter: /.*/ }, ({ path, kind }) =>
      kind === 'entry-point' ? undefined : { path, external: true },
    )
  },
}

function moduleFolder(config: Config, entry: AbsolutePath): ModuleFolder {
  // Validation made `base_dir` absolute.
  const root = (config.base_dir ?? dirname(entry)) as AbsolutePath
  return { root, entry, rules: moduleRules(config.rules), configFile: config.configPath }
}

/** A file that comes may be a module: the whole folder is looked through. */
function searchedFolder(config: Config, { root }: ModuleFolder): readonly AbsolutePath[] {
  const searched = config.find_additional_modules ?? config.no_bundle === true
  return searched && config.rules.length > 0 ? [root] : []
}

async function openEsbuildBundle(options: WorkerBundleOptions): Promise<WorkerBundle> {
  const { config, entry, compatibility } = options
  const directory = dirname(config.configPath ?? entry) as AbsolutePath
  const folder = moduleFolder(config, entry)
  const data = dataModules({
    rules: folder.rules,
    root: folder.root,
    keepNames: config.preserve_file_names === true,
    find: config.find_additional_modules === true ? () => findModules(folder) : undefined,
  })
  const esbuild = esbuildOptions({ ...options, directory, environment: process.env })
  const node = await nodeModules(compatibility)
  const exported: Exported = { names: [] }
  const bundle = await openBundle({
    entry,
    directory,
    esbuild: {
      ...esbuild,
      plugins: [...aliases(config.alias, directory), data.plugin, node, observer(exported, options.onStart)],
    },
  })
  const unwatched = nodeMode(compatibility) === 'v2' ? await fillingFiles() : () => false
  return {
    async build() {
      try {
        return await buildProgram(bundle, { name: bundleName(entry), data, exported })
      } catch (error) {
        throw withNodeHint(error, compatibility)
      }
    },
    watched: () => [
      ...bundle.watched().filter((path) => !unwatched(path)),
      ...data.modules().map(({ source }) => source),
      ...searchedFolder(config, folder),
    ],
    [Symbol.asyncDispose]: () => bundle[Symbol.asyncDispose](),
  }
}

async function fillingFiles(): Promise<(path: string) => boolean> {
  const { fillingFolders } = await import('./build/filled-node-modules.ts')
  const folders = fillingFolders()
  return (path) => folders.some((folder) => path.startsWith(folder))
}

interface Exported {
  names: readonly string[]
}

interface Collected {
  readonly name: string
  readonly data: DataModules
  readonly exported: Exported
}

async function buildProgram(bundle: Bundle, collected: Collected): Promise<Program> {
  const { data, exported } = collected
  const result = await bundle.build()
  const isModule = exported.names.length > 0
  if (isModule || data.modules().length === 0) return programOf(result, collected)
  // It listens for events and imports data, which a script cannot: this time the data goes into it.
  data.inline()
  return programOf(await bundle.build(), collected)
}

function programOf(result: BundleResult, { name, data, exported }: Collected): Program {
  const { files, inputs, inputBytes, faults, externals } = result
  const text = (suffix: string): string | undefined => {
    const file = files.find(({ path }) => path.endsWith(suffix))
    return file === undefined ? undefined : Buffer.from(file.contents).toString()
  }
  const format = exported.names.length > 0 ? 'modules' : 'service-worker'
  const code = text('.js') ?? ''
  if (format === 'service-worker') refuseScript(code, externals, inputs)
  const extra = data.modules()
  const digest = createHash('sha256').update(files.map(({ hash }) => hash).join())
  for (const module of extra) digest.update(module.name).update(module.contents)
  return {
    name,
    code,
    sourceMap: text('.js.map'),
    modules: extra,
    format,
    wasmGlobals: data.wasmGlobals(),
    exports: exported.names,
    inputs: [...inputs, ...extra.map(({ source }) => source)],
    inputBytes,
    hash: digest.digest('hex').slice(0, 16),
    warnings: faults,
  }
}

const WRITE_DEFAULT = 'Write "export default { fetch(request, env, ctx) { … } }".'

/**
 * A script without exports cannot import anything that is left to the run time, and one that listens for nothing does nothing: Cloudflare
 * refuses it, and it may be a file that an editor is about to fill.
 */
function refuseScript(code: string, externals: readonly string[], inputs: readonly AbsolutePath[]): void {
  const left = externals.filter((path) => /^(?:node|cloudflare|workerd):/.test(path))
  const refuse = (message: string): never => {
    const place = { file: inputs.at(-1) ?? '', line: 1, column: 1 }
    throw buildError([{ place, message, hint: WRITE_DEFAULT }])
  }
  if (left.length > 0)
    refuse(
      `the program has no export, which makes it a service worker, and a service worker cannot import ${left.map((path) => JSON.stringify(path)).join(', ')}`,
    )
  if (!code.includes('addEventListener')) refuse('the program exports nothing, and listens for no event')
}

function observer(exported: Exported, onStart: (() => void) | undefined): Plugin {
  return {
    name: 'observer',
    setup(build) {
      build.onStart(() => {
        if (onStart !== undefined) setImmediate(onStart)
      })
      build.onEnd(({ metafile }) => {
        exported.names = Object.values(metafile?.outputs ?? {}).flatMap((output) => output.exports)
      })
    },
  }
}
