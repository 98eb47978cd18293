import { basename, extname, resolve } from 'node:path'

import type { BuildOptions, Platform, Plugin } from 'esbuild'

import type { AbsolutePath } from '../../../core/place.ts'
import type { Config } from '../configuration.ts'
import type { Compatibility } from '../node-compat.ts'

export interface EsbuildInputs {
  readonly config: Config
  readonly compatibility: Compatibility
  readonly mode: 'development' | 'production'
  /** Of the wrangler file. */
  readonly directory: AbsolutePath
  /** The shell's: NODE_ENV, and wrangler's switches for conditions and platform. */
  readonly environment: Readonly<Record<string, string | undefined>>
}

/** The settings that wrangler gives esbuild. */
export function esbuildOptions(inputs: EsbuildInputs): BuildOptions {
  const { config, directory, environment } = inputs
  const conditions = environment['WRANGLER_BUILD_CONDITIONS']?.split(',') ?? ['workerd', 'worker', 'browser']
  return {
    // Nothing is written; the folder only decides how the source map names its sources.
    outdir: directory,
    entryNames: '[name]',
    format: 'esm',
    target: 'es2024',
    platform: (environment['WRANGLER_BUILD_PLATFORM'] ?? 'browser') as Platform,
    conditions: conditions.filter((condition) => condition !== ''),
    charset: 'utf8',
    keepNames: config.keep_names ?? true,
    minify: config.minify === true,
    sourcemap: 'external',
    sourcesContent: true,
    supported: { 'import-source': true },
    loader: { '.js': 'jsx', '.mjs': 'jsx', '.cjs': 'jsx' },
    external: ['cloudflare:*', 'workerd:*', '__STATIC_CONTENT_MANIFEST'],
    define: defines(inputs),
    jsxFactory: config.jsx_factory,
    jsxFragment: config.jsx_fragment,
    // Validation made it relative to where this process runs.
    ...(config.tsconfig === undefined ? {} : { tsconfig: resolve(config.tsconfig) }),
  }
}

function defines({ config, compatibility, mode, environment }: EsbuildInputs): Record<string, string> {
  const given = environment['NODE_ENV']
  const name = JSON.stringify(given === undefined || given === '' ? mode : given)
  return {
    ...(hasNavigator(compatibility) ? { 'navigator.userAgent': '"Cloudflare-Workers"' } : {}),
    'process.env.NODE_ENV': name,
    'global.process.env.NODE_ENV': name,
    'globalThis.process.env.NODE_ENV': name,
    ...config.define,
  }
}

/** Source: developers.cloudflare.com/workers/configuration/compatibility-flags, "Global navigator". */
function hasNavigator({ date, flags }: Compatibility): boolean {
  if (flags.includes('global_navigator')) return true
  return !flags.includes('no_global_navigator') && date >= '2022-03-21'
}

/** What the bundle of an entry is called: `src/index.ts` → `index.js` */
export function bundleName(entry: AbsolutePath): string {
  return `${basename(entry, extname(entry))}.js`
}

/** `alias` of the wrangler file: import specifier → another one, looked up from the wrangler file's folder. */
export function aliases(alias: Config['alias'], directory: AbsolutePath): readonly Plugin[] {
  const entries = new Map(Object.entries(alias ?? {}))
  if (entries.size === 0) return []
  const literal = [...entries.keys()].map((from) => from.replace(/[.*+?^$()|[\]\\{}/]/g, '\\$&'))
  return [
    {
      name: 'aliases',
      setup(build) {
        build.onResolve(
          { filter: new RegExp(`^(?:${literal.join('|')})$`) },
          ({ path, kind, pluginData }) => {
            const to = entries.get(path)
            return to === undefined || pluginData === path
              ? undefined
              : build.resolve(to, { kind, resolveDir: directory, pluginData: path })
          },
        )
      },
    },
  ]
}
