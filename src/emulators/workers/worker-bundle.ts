import { basename, dirname, extname, resolve } from 'node:path'

import type { BuildOptions, Plugin } from 'esbuild'

import { openBundle, type Bundle } from '../../build/bundle.ts'
import type { AbsolutePath, Fault } from '../../core/place.ts'
import type { Config } from './configuration.ts'
import { dataModules, moduleRules, type ExtraModule } from './module-rules.ts'
import { nodeModules, withNodeHint, type Compatibility } from './node-compat.ts'

/** A worker's program as workerd loads it. */
export interface Program {
  /** Its file name: `index.js`. */
  readonly name: string
  readonly code: string
  /** esbuild's source map, with sources as absolute paths. */
  readonly sourceMap: string | undefined
  /** Text, data and wasm beside it. */
  readonly modules: readonly ExtraModule[]
  /** `addEventListener('fetch', …)` instead of exports. */
  readonly format: 'modules' | 'service-worker'
  readonly inputs: readonly AbsolutePath[]
  readonly inputBytes: ReadonlyMap<AbsolutePath, number>
  readonly hash: string
  readonly warnings: readonly Fault[]
}

export interface WorkerBundle extends AsyncDisposable {
  /** @throws FlexiError FLEXI_BUILD. */
  build(): Promise<Program>
  watched(): readonly AbsolutePath[]
}

export interface WorkerBundleOptions {
  readonly config: Config
  readonly compatibility: Compatibility
  readonly mode: 'development' | 'production'
  /** Runs when esbuild has begun to work in its own process: the moment for work that blocks this one. */
  readonly onStart?: (() => void) | undefined
}

/** The entry as esbuild's incremental bundle, with the settings that wrangler gives it. */
export async function openWorkerBundle(
  options: WorkerBundleOptions & { readonly entry: AbsolutePath },
): Promise<WorkerBundle> {
  const { config, entry } = options
  const directory = dirname(config.configPath ?? entry) as AbsolutePath
  const name = `${basename(entry, extname(entry))}.js`
  const modules = new Map<string, ExtraModule>()
  const exported: { names: readonly string[] } = { names: [] }
  const bundle = await openBundle({
    entry,
    directory,
    esbuild: {
      ...buildOptions(options, directory),
      plugins: [
        ...aliases(config.alias),
        dataModules(moduleRules(config.rules), modules),
        nodeModules(options.compatibility),
        observer({ exported, onStart: options.onStart }),
      ],
    },
  })
  return {
    async build() {
      try {
        return await buildProgram(bundle, { name, modules, exported })
      } catch (error) {
        throw withNodeHint(error, options.compatibility)
      }
    },
    watched: () => [...bundle.watched(), ...[...modules.values()].map(({ source }) => source)],
    [Symbol.asyncDispose]: () => bundle[Symbol.asyncDispose](),
  }
}

function buildOptions({ config, mode }: WorkerBundleOptions, directory: AbsolutePath): BuildOptions {
  return {
    // Nothing is written; the folder only decides how the source map names its sources.
    outdir: directory,
    entryNames: '[name]',
    format: 'esm',
    target: 'es2024',
    platform: 'browser',
    conditions: ['workerd', 'worker', 'browser'],
    charset: 'utf8',
    keepNames: config.keep_names ?? true,
    minify: mode === 'production' && config.minify === true,
    sourcemap: 'external',
    sourcesContent: true,
    supported: { 'import-source': true },
    loader: { '.js': 'jsx', '.mjs': 'jsx', '.cjs': 'jsx' },
    external: ['cloudflare:*', 'workerd:*', '__STATIC_CONTENT_MANIFEST'],
    define: {
      'process.env.NODE_ENV': JSON.stringify(mode),
      'global.process.env.NODE_ENV': JSON.stringify(mode),
      'globalThis.process.env.NODE_ENV': JSON.stringify(mode),
      ...config.define,
    },
    jsxFactory: config.jsx_factory,
    jsxFragment: config.jsx_fragment,
    ...(config.tsconfig === undefined ? {} : { tsconfig: resolve(directory, config.tsconfig) }),
  }
}

interface Collected {
  readonly name: string
  readonly modules: ReadonlyMap<string, ExtraModule>
  readonly exported: { readonly names: readonly string[] }
}

async function buildProgram(bundle: Bundle, { name, modules, exported }: Collected): Promise<Program> {
  const { files, inputs, inputBytes, faults } = await bundle.build()
  const text = (suffix: string): string | undefined => {
    const file = files.find(({ path }) => path.endsWith(suffix))
    return file === undefined ? undefined : Buffer.from(file.contents).toString()
  }
  const extra = [...modules.values()]
  return {
    name,
    code: text('.js') ?? '',
    sourceMap: text('.js.map'),
    modules: extra,
    format: exported.names.length > 0 ? 'modules' : 'service-worker',
    inputs: [...inputs, ...extra.map(({ source }) => source)],
    inputBytes,
    hash: files.map(({ hash }) => hash).join(),
    warnings: faults,
  }
}

/** `alias` of the wrangler file: import specifier → another one, looked up from the project. */
function aliases(alias: Config['alias']): readonly Plugin[] {
  const entries = Object.entries(alias ?? {})
  if (entries.length === 0) return []
  return [
    {
      name: 'aliases',
      setup(build) {
        for (const [from, to] of entries) {
          const literal = from.replace(/[.*+?^$()|[\]\\{}/]/g, '\\$&')
          build.onResolve({ filter: new RegExp(`^${literal}$`) }, (args) =>
            args.pluginData === from
              ? undefined
              : build.resolve(to, { kind: args.kind, resolveDir: args.resolveDir, pluginData: from }),
          )
        }
      },
    },
  ]
}

function observer({
  exported,
  onStart,
}: {
  exported: { names: readonly string[] }
  onStart: (() => void) | undefined
}): Plugin {
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
