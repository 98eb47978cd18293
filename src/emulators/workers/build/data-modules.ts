import { createHash } from 'node:crypto'
import { access, readFile } from 'node:fs/promises'
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from 'node:path'

import type { OnResolveArgs, OnResolveResult, OnStartResult, Plugin, PluginBuild } from 'esbuild'

import { FlexiError } from '../../../core/errors.ts'
import type { AbsolutePath } from '../../../core/place.ts'
import { matchers, type ModuleRules, type ModuleType } from '../module-rules.ts'
import type { ExtraModule } from '../program.ts'
import { shadowed } from './additional-modules.ts'

export interface DataModuleOptions {
  readonly rules: ModuleRules
  /** Where the names of modules start. */
  readonly root: AbsolutePath
  /** `preserve_file_names`: a file keeps its name; otherwise its hash stands before it. */
  readonly keepNames: boolean
  /** `find_additional_modules`: everything below the root that a rule names. Called at the start of each build. */
  readonly find?: (() => Promise<readonly ExtraModule[]>) | undefined
}

/** What one build found beside the bundle. */
export interface DataModules {
  readonly plugin: Plugin
  modules(): readonly ExtraModule[]
  /** From the next build on text and data are part of the bundle, and wasm a global: a service worker cannot import. */
  inline(): void
  /** Global → file, of the last build. */
  wasmGlobals(): Readonly<Record<string, AbsolutePath>>
}

interface Found {
  readonly modules: Map<string, ExtraModule>
  readonly globals: Map<string, AbsolutePath>
  inline: boolean
}

/** Collects what the rules call data, and leaves its import in the bundle. */
export function dataModules(options: DataModuleOptions): DataModules {
  const found: Found = { modules: new Map(), globals: new Map(), inline: false }
  return {
    modules: () => [...found.modules.values()],
    inline: () => {
      found.inline = true
    },
    wasmGlobals: () => Object.fromEntries(found.globals),
    plugin: {
      name: 'data-modules',
      setup(build) {
        build.onStart(() => start(options, found))
        attachedModules(build, options, found)
        ruledModules(build, options, found)
        inlineModules(build, found)
      },
    },
  }
}

async function start(
  { find }: DataModuleOptions,
  { modules, globals }: Found,
): Promise<OnStartResult | undefined> {
  modules.clear()
  globals.clear()
  try {
    for (const module of (await find?.()) ?? []) modules.set(module.name, module)
    return undefined
  } catch (error) {
    if (!(error instanceof FlexiError)) throw error
    const errors = error.faults.map(({ message, place, hint }) => ({
      text: message,
      location: { file: place.file, line: place.line, column: place.column - 1 },
      notes: hint === undefined ? [] : [{ text: hint }],
    }))
    return { errors }
  }
}

/** An import of a file that was found by itself stays an import of that module. */
function attachedModules(build: PluginBuild, { root, find }: DataModuleOptions, { modules }: Found): void {
  if (find === undefined) return
  build.onResolve({ filter: /^\.{1,2}\// }, ({ path, resolveDir, kind }) => {
    if (kind === 'entry-point') return undefined
    const name = nameBelow(root, join(resolveDir, withoutQuery(path)))
    return modules.has(name) ? { path: `./${name}`, external: true } : undefined
  })
}

function nameBelow(root: string, path: string): string {
  return relative(root, path).split(sep).join('/')
}

function withoutQuery(path: string): string {
  return path.replace(/\?.*$/s, '')
}

const INSIDE = 'flexi-data-module'
const INLINE = 'flexi-inline'

function ruledModules(build: PluginBuild, options: DataModuleOptions, found: Found): void {
  const outOfForce = matchers(options.rules.removed, 'specifiers')
  for (const { type, pattern } of matchers(options.rules.rules, 'specifiers')) {
    if (type === undefined || type === 'ESModule' || type === 'CommonJS') continue
    build.onResolve({ filter: pattern }, async (args): Promise<OnResolveResult | undefined> => {
      const source = await locate(build, args, options.root)
      if (source === undefined) return undefined
      return await asModule(source, type, { options, found })
    })
  }
  for (const matcher of outOfForce) {
    build.onResolve({ filter: matcher.pattern }, ({ path, kind }) => {
      if (kind === 'entry-point') return undefined
      const { message, hint } = shadowed(path, matcher)
      return { errors: [{ text: message, notes: [{ text: hint }] }] }
    })
  }
}

async function asModule(
  source: AbsolutePath,
  type: ModuleType,
  { options, found }: { options: DataModuleOptions; found: Found },
): Promise<OnResolveResult> {
  const contents = await readFile(source).catch(() => undefined)
  if (contents === undefined) return { errors: [{ text: `Could not resolve "${source}": no such file` }] }
  if (found.inline) return { path: source, namespace: INLINE, pluginData: type, watchFiles: [source] }
  const name = moduleName(source, contents, options)
  found.modules.set(name, { type, name, source, contents })
  return { path: `./${name}`, external: true, watchFiles: [source] }
}

function moduleName(source: AbsolutePath, contents: Uint8Array, options: DataModuleOptions): string {
  if (!options.keepNames) return `${createHash('sha1').update(contents).digest('hex')}-${basename(source)}`
  const below = nameBelow(options.root, source)
  return below.startsWith('../') ? basename(source) : below
}

/** Where an import of data points: beside its importer, into a package, by `paths` of a tsconfig, or, as of old, beside the entry. */
async function locate(
  build: PluginBuild,
  { path, importer, resolveDir, kind, pluginData }: OnResolveArgs,
  root: AbsolutePath,
): Promise<AbsolutePath | undefined> {
  if (kind === 'entry-point' || pluginData === INSIDE) return undefined
  const file = withoutQuery(path)
  if (file.startsWith('.') || isAbsolute(file)) return resolve(dirname(importer), file) as AbsolutePath
  const found = await build.resolve(file, { resolveDir, importer, kind, pluginData: INSIDE })
  if (found.errors.length === 0 && !found.external) return found.path as AbsolutePath
  const beside = join(root, file) as AbsolutePath
  return (await access(beside).then(
    () => true,
    () => false,
  ))
    ? beside
    : undefined
}

function inlineModules(build: PluginBuild, { globals }: Found): void {
  build.onLoad({ filter: /.*/, namespace: INLINE }, async ({ path, pluginData }) => {
    if (pluginData === 'Text') return { contents: await readFile(path), loader: 'text' }
    if (pluginData === 'CompiledWasm') {
      const name = basename(path).replace(/[^a-zA-Z0-9_$]/g, '_')
      globals.set(name, path as AbsolutePath)
      return { contents: `export default globalThis[${JSON.stringify(name)}]`, loader: 'js' }
    }
    const text = (await readFile(path)).toString('base64')
    return {
      contents: `export default Uint8Array.from(atob(${JSON.stringify(text)}), (one) => one.charCodeAt(0)).buffer`,
      loader: 'js',
    }
  })
}
