import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

import type { Plugin, PluginBuild } from 'esbuild'

import type { Compatibility } from '../node-compat.ts'

const require = createRequire(import.meta.url)

/** `require('fs')` of a CommonJS package; an import statement is what workerd understands. */
const REQUIRED_BUILTIN = 'flexi-required-builtin'
/** `require()` of a package that is replaced by one that is written as an ES module. */
const REQUIRED_ALIAS = 'flexi-required-alias'
/** One module of globals. */
const GLOBALS = 'flexi-node-globals'

/** What stands for what, for one date and one list of flags. */
interface NodeEnvironment {
  /** Specifier → specifier: a module of workerd, or one that stands in for it. */
  readonly alias: Readonly<Record<string, string>>
  /** Specifiers that workerd has. */
  readonly external: readonly string[]
  /** Global → `[module, export]`, or a module whose default export it is. */
  readonly inject: Readonly<Record<string, string | readonly string[] | false>>
  /** Modules to be run before the program. */
  readonly polyfill: readonly string[]
}

/**
 * Node.js as Cloudflare's own build has it: workerd's modules where it has them at this date, unenv's in their place where it has not, both
 * where it has half of one; and Node's globals (`process`, `Buffer` …) where the runtime does not set them itself.
 */
export async function filledNodeModules({ date, flags }: Compatibility): Promise<Plugin> {
  const [{ defineEnv }, { getCloudflarePreset, nonPrefixedNodeModules }] = await Promise.all([
    import('unenv'),
    import('@cloudflare/unenv-preset'),
  ])
  const preset = getCloudflarePreset({ compatibilityDate: date, compatibilityFlags: [...flags] })
  // unenv replaces `debug` by one that says nothing; the real one works here.
  const { env } = defineEnv({ presets: [preset, { alias: { debug: 'debug' } }], npmShims: true })
  const environment = env as NodeEnvironment
  return {
    name: 'filled-node-modules',
    setup(build) {
      requiredBuiltins(build, nonPrefixedNodeModules)
      aliases(build, environment)
      globals(build, environment)
    },
  }
}

/** Where the modules lie that fill in: they change with flexi, not while someone edits. */
export function fillingFolders(): readonly string[] {
  return ['unenv/package.json', '@cloudflare/unenv-preset/package.json'].map((name) =>
    join(dirname(require.resolve(name)), '/'),
  )
}

function requiredBuiltins(build: PluginBuild, names: readonly string[]): void {
  const filter = new RegExp(`^(?:${names.join('|')}|node:.+)$`)
  build.onResolve({ filter }, ({ path, kind }) =>
    kind === 'require-call' ? { path, namespace: REQUIRED_BUILTIN } : undefined,
  )
  build.onLoad({ filter: /.*/, namespace: REQUIRED_BUILTIN }, ({ path }) => ({
    contents: `import builtin from ${JSON.stringify(path)}\nmodule.exports = builtin`,
    loader: 'js',
  }))
}

function aliases(build: PluginBuild, { alias, external }: NodeEnvironment): void {
  const left = new Set(external)
  const files = new Map<string, string>()
  for (const [from, to] of Object.entries(alias)) {
    const file = left.has(to) ? to : resolved(to)
    if (file !== undefined) files.set(from, file)
  }
  build.onResolve({ filter: anyOf([...files.keys()]) }, ({ path, kind }) => {
    const to = alias[path] ?? ''
    if (kind === 'require-call' && /^unenv\/(?:npm|mock)\//.test(to))
      return { path, namespace: REQUIRED_ALIAS }
    const file = files.get(path)
    if (file === undefined) return undefined
    // workerd's own modules do nothing when they are imported and not used.
    return left.has(to) ? { path: file, external: true, sideEffects: false } : { path: file }
  })
  build.onLoad({ filter: /.*/, namespace: REQUIRED_ALIAS }, ({ path }) => ({
    contents: `import * as all from ${JSON.stringify(path)}
const { default: own, ...named } = all
module.exports = own === undefined ? named : Object.assign(own, named)`,
    loader: 'js',
  }))
}

/** Undefined for a package that is not there, such as `debug` in a program without it. */
function resolved(specifier: string): string | undefined {
  try {
    return require.resolve(specifier)
  } catch {
    return undefined
  }
}

function anyOf(names: readonly string[]): RegExp {
  return new RegExp(`^(?:${names.map((name) => name.replace(/[.*+?^$()|[\]\\{}/]/g, '\\$&')).join('|')})$`)
}

/** Globals are set by a module each, which esbuild puts before the program; what nobody uses of it is cut off no further. */
function globals(build: PluginBuild, { inject, polyfill }: NodeEnvironment): void {
  const modules = globalModules(inject)
  const options = build.initialOptions
  options.inject = [
    ...(options.inject ?? []),
    ...[...modules.keys()].map((specifier) => `${GLOBALS}:${specifier}`),
    ...polyfill.map((specifier) => require.resolve(specifier)),
  ]
  build.onResolve({ filter: new RegExp(`^${GLOBALS}:`) }, ({ path }) => ({
    path: path.slice(GLOBALS.length + 1),
    namespace: GLOBALS,
  }))
  build.onLoad({ filter: /.*/, namespace: GLOBALS }, ({ path }) => ({
    contents: modules.get(path) ?? '',
    loader: 'js',
    resolveDir: dirname(require.resolve('unenv/package.json')),
  }))
}

/** `{ process: ['x', 'process'] }` → the text of a module that sets `globalThis.process`, by the module it comes from. */
function globalModules(inject: NodeEnvironment['inject']): ReadonlyMap<string, string> {
  const lines = new Map<string, string[]>()
  for (const [name, source] of Object.entries(inject)) {
    if (source === false) continue
    const [specifier = '', exported = 'default'] = typeof source === 'string' ? [source] : source
    const list = lines.get(specifier) ?? []
    const local = `value${list.length}`
    list.push(
      `import { ${exported} as ${local} } from ${JSON.stringify(specifier)}; globalThis.${name} = ${local}`,
    )
    lines.set(specifier, list)
  }
  return new Map([...lines].map(([specifier, list]) => [specifier, list.join('\n')]))
}
