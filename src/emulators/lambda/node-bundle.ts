import { dirname, extname, resolve, sep } from 'node:path'
import { pathToFileURL } from 'node:url'

import type { BuildOptions, OnResolveArgs, OnResolveResult, Plugin, PluginBuild } from 'esbuild'

import type { AbsolutePath } from '../../core/place.ts'
import type { ModuleFormat } from './module-format.ts'

/** Where the compiled file would lie, had it been compiled beside its source: what `__filename` says and source maps start from. */
export function compiledPath(file: string, format: ModuleFormat): AbsolutePath {
  return `${file.slice(0, file.length - extname(file).length)}${format === 'esm' ? '.mjs' : '.js'}` as AbsolutePath
}

export interface NodeBundleOptions {
  readonly file: AbsolutePath
  readonly format: ModuleFormat
  /** The folder Node will resolve package names from. */
  readonly resolvedFrom: string
}

/** Settings for running: packages stay where they are, so that a rebuild costs the user's own files only. */
export function runSettings({ file, format, resolvedFrom }: NodeBundleOptions): BuildOptions {
  return {
    ...commonSettings(file, format),
    sourcemap: 'inline',
    sourcesContent: false,
    // Node resolves sources against the folder the bundle lies in; this says where they are whatever that is.
    sourceRoot: `${pathToFileURL(dirname(file)).href}/`,
    plugins: [packagesOutside(resolvedFrom, format)],
  }
}

export interface ShipOptions extends Pick<NodeBundleOptions, 'file' | 'format'> {
  /** Where the layers of the function are merged. */
  readonly opt: string | undefined
  /** AWS's own packages are not where it will run: those that are here are taken along. */
  readonly complete?: boolean | undefined
}

/** Settings for shipping: everything in one file but what the runtime and layers bring. */
export function shipSettings({ file, format, opt, complete }: ShipOptions): BuildOptions {
  return {
    ...commonSettings(file, format),
    sourcemap: 'linked',
    sourcesContent: true,
    define: {},
    external: complete === true ? [] : ['@aws-sdk/*'],
    plugins: [
      ...(complete === true ? [absentOutside()] : []),
      ...(opt === undefined ? [] : [layersOutside(opt)]),
    ],
  }
}

function commonSettings(file: AbsolutePath, format: ModuleFormat): BuildOptions {
  const url = JSON.stringify(pathToFileURL(compiledPath(file, format)).href)
  return {
    outfile: compiledPath(file, format),
    format,
    platform: 'node',
    target: `node${process.versions.node}`,
    // Without the bundlers' own condition `module`, esbuild finds the files that Node would.
    conditions: [],
    charset: 'utf8',
    legalComments: 'none',
    // Code that asks where it is must not be told where the bundle lies.
    define: {
      'import.meta.url': url,
      ...(format === 'esm'
        ? {
            'import.meta.dirname': JSON.stringify(dirname(file)),
            'import.meta.filename': JSON.stringify(compiledPath(file, format)),
          }
        : {}),
    },
  }
}

/** Marks what a plugin of ours asks: none of them takes it for the user's. */
export const OURS = Symbol('our own resolve')
const NODE_RUNS = /^\.(?:js|mjs|cjs|json|node)$/

/**
 * Leaves packages to Node. A package that lies outside of node_modules is a neighbour in a workspace: its source is the user's too,
 * so it is bundled, watched and reloaded like the rest.
 */
function packagesOutside(resolvedFrom: string, format: ModuleFormat): Plugin {
  return {
    name: 'packages-outside',
    setup(build) {
      build.onResolve({ filter: /^[^./]/ }, (args) => resolvePackage(build, args, { resolvedFrom, format }))
      // An addon is loaded by Node from where it lies.
      build.onResolve({ filter: /^\..*\.node$/ }, ({ path, resolveDir }) => ({
        path: resolve(resolveDir, path),
        external: true,
      }))
    },
  }
}

/** A package of AWS's that is not here either is left for the run time to look for. */
function absentOutside(): Plugin {
  return {
    name: 'absent-outside',
    setup(build) {
      build.onResolve({ filter: /^@(?:aws-sdk|smithy)\// }, async (args) => {
        if (args.pluginData === OURS) return undefined
        const { importer, kind, namespace, resolveDir, path } = args
        const found = await build.resolve(path, { importer, kind, namespace, resolveDir, pluginData: OURS })
        return found.errors.length > 0 ? { path, external: true } : undefined
      })
    },
  }
}

/** A package that only a layer has is in Lambda’s `/opt` too: it is not shipped twice. */
function layersOutside(opt: string): Plugin {
  return {
    name: 'layers-outside',
    setup(build) {
      build.onResolve({ filter: /^[^./]/ }, async (args) => {
        if (args.kind === 'entry-point' || args.pluginData === OURS) return undefined
        const { importer, kind, namespace, resolveDir } = args
        const look = { importer, kind, namespace, pluginData: OURS }
        const own = await build.resolve(args.path, { ...look, resolveDir })
        if (own.errors.length === 0) return undefined
        const inLayer = await build.resolve(args.path, { ...look, resolveDir: `${opt}/nodejs` })
        return inLayer.errors.length === 0 ? { path: args.path, external: true } : undefined
      })
    },
  }
}

interface ResolveOptions {
  readonly resolvedFrom: string
  readonly format: ModuleFormat
}

async function resolvePackage(
  build: PluginBuild,
  args: OnResolveArgs,
  options: ResolveOptions,
): Promise<OnResolveResult | undefined> {
  if (args.kind === 'entry-point' || args.pluginData === OURS) return undefined
  const { importer, kind, namespace, resolveDir } = args
  const found = await build.resolve(args.path, { importer, kind, namespace, resolveDir, pluginData: OURS })
  // What is not there is the run time's to report: AWS's own packages are often not installed.
  if (found.errors.length > 0) return { path: args.path, external: true }
  if (found.external) return { path: found.path, external: true }
  const inPackages = found.path.lastIndexOf(`${sep}node_modules${sep}`)
  if (inPackages === -1 || !NODE_RUNS.test(extname(found.path))) return undefined
  const visible =
    !args.path.startsWith('#') &&
    `${options.resolvedFrom}${sep}`.startsWith(found.path.slice(0, inPackages + 1))
  if (visible) return { path: args.path, external: true }
  return { path: options.format === 'esm' ? pathToFileURL(found.path).href : found.path, external: true }
}

/**
 * CommonJS that was bundled into an ES module requires by a function that no ES module has.
 * It goes in front of the first line, which keeps every mapped line where it is.
 */
export function withRequire(text: string, file?: AbsolutePath): string {
  if (!text.includes('__require')) return text
  // What is shipped lies elsewhere then.
  const from = file === undefined ? 'import.meta.url' : JSON.stringify(pathToFileURL(file).href)
  return `import{createRequire as __flexiCreateRequire}from'node:module';var require=__flexiCreateRequire(${from});${text}`
}
