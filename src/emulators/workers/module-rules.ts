import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { basename, dirname, isAbsolute, resolve } from 'node:path'

import type { OnResolveArgs, OnResolveResult, Plugin } from 'esbuild'

import type { AbsolutePath } from '../../core/place.ts'
import type { Config } from './configuration.ts'

/** A file that is a module of its own beside the bundle. */
export interface ExtraModule {
  readonly type: 'Text' | 'Data' | 'CompiledWasm'
  /** Its name in the worker: `<hash>-<file name>`. */
  readonly name: string
  readonly source: AbsolutePath
  readonly contents: Uint8Array
}

export interface ModuleRule {
  readonly type: string
  readonly globs: readonly string[]
  readonly fallthrough?: boolean | undefined
}

/** What wrangler treats as data without being told. */
const DEFAULT_RULES: readonly ModuleRule[] = [
  { type: 'Text', globs: ['**/*.txt', '**/*.html', '**/*.sql'] },
  { type: 'Data', globs: ['**/*.bin'] },
  { type: 'CompiledWasm', globs: ['**/*.wasm', '**/*.wasm?module'] },
]

const DATA_TYPES = ['Text', 'Data', 'CompiledWasm'] as const

/** The file's rules and then the default ones, of which a rule without `fallthrough` removes its type. */
export function moduleRules(rules: Config['rules']): readonly ModuleRule[] {
  const taken = new Set<string>()
  const kept = [...rules, ...DEFAULT_RULES].filter((rule) => {
    if (taken.has(rule.type)) return false
    if (rule.fallthrough !== true) taken.add(rule.type)
    return true
  })
  return kept
}

/** Collects what the rules call data into `modules`, and leaves its import in the bundle. */
export function dataModules(rules: readonly ModuleRule[], modules: Map<string, ExtraModule>): Plugin {
  const matchers = rules.flatMap(({ type, globs }) => {
    const known = DATA_TYPES.find((name) => name === type)
    return known === undefined ? [] : globs.map((glob) => ({ type: known, pattern: globPattern(glob) }))
  })
  return {
    name: 'data-modules',
    setup(build) {
      build.onStart(() => modules.clear())
      for (const { type, pattern } of matchers) {
        build.onResolve({ filter: pattern }, async (args): Promise<OnResolveResult | undefined> => {
          const source = await locate(args, (path, options) => build.resolve(path, options))
          if (source === undefined) return undefined
          const contents = await readFile(source).catch(() => undefined)
          if (contents === undefined)
            return { errors: [{ text: `Could not resolve "${args.path}"`, detail: 'no such file' }] }
          const name = `${createHash('sha1').update(contents).digest('hex')}-${basename(source)}`
          modules.set(name, { type, name, source, contents })
          return { path: `./${name}`, external: true, watchFiles: [source] }
        })
      }
    },
  }
}

const INSIDE = 'flexi-data-module'

/** Where an import of data points: beside its importer, or into a package. */
async function locate(
  { path, importer, resolveDir, kind, pluginData }: OnResolveArgs,
  resolvePackage: (
    path: string,
    options: { resolveDir: string; kind: OnResolveArgs['kind']; pluginData: unknown },
  ) => Promise<{ path: string; errors: readonly unknown[] }>,
): Promise<AbsolutePath | undefined> {
  if (kind === 'entry-point' || pluginData === INSIDE) return undefined
  const file = path.replace(/\?module$/, '')
  if (file.startsWith('.') || isAbsolute(file)) return resolve(dirname(importer), file) as AbsolutePath
  const found = await resolvePackage(file, { resolveDir, kind, pluginData: INSIDE })
  return found.errors.length === 0 ? (found.path as AbsolutePath) : undefined
}

/** A glob of the wrangler file over import specifiers. Each of `**` with its slash, `*`, `?` before `module` literally, and `{a,b}`. */
export function globPattern(glob: string): RegExp {
  const source = glob.replace(/\*\*\/|\*\*|\*|\{[^}]*\}|[.+^$()|[\]\\?]/g, (part) => {
    if (part === '**/') return '(?:.*/)?'
    if (part === '**') return '.*'
    if (part === '*') return '[^/]*'
    if (part.startsWith('{')) return `(?:${part.slice(1, -1).split(',').map(escapeLiteral).join('|')})`
    return `\\${part}`
  })
  return new RegExp(`^${source}$`)
}

function escapeLiteral(text: string): string {
  return text.replace(/[.*+?^$()|[\]\\{}]/g, '\\$&')
}
