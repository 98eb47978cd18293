import { cp, mkdir, readdir, stat, writeFile } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { basename, extname, join, relative } from 'node:path'

import type { FunctionConfig, FunctionSource, PackagedFile, PackageOptions } from '../../core/function.ts'
import type { AbsolutePath } from '../../core/place.ts'
import { splitHandler } from './handler-file.ts'
import { layerKind, layersOf } from './layers/layer.ts'

/** Options that only say where code comes from, or what the service around a function does. */
const NOT_SHIPPED: ReadonlySet<string> = new Set([
  'entry', 'inlineCode', 'archive', 'archiveStamp', 'esbuild', 'layers', 'sources', 'deadLetter', 'onSuccess', 'onFailure', 'alias',
  'maximumRetryAttempts', 'maximumEventAge',
]) // prettier-ignore

/** Beside the code, where no runtime looks. */
const LAYERS = '.layers'

/** Has a source ship what its function needs besides its code, and say how that is opened again. */
export function withShipping(
  source: FunctionSource,
  config: FunctionConfig,
  { runsOnNode, taskRoot }: { readonly runsOnNode: boolean; readonly taskRoot: AbsolutePath },
): FunctionSource {
  const packageCode = source.package.bind(source)
  let layers: readonly string[] = []
  return Object.assign(source, {
    async package(directory: AbsolutePath, options: PackageOptions = {}): Promise<readonly PackagedFile[]> {
      const files = await packageCode(directory, options)
      if (options.complete !== true) return files
      layers = await writeLayers(config, directory)
      if (!runsOnNode) layers = [...layers, ...(await writeVirtualEnvironment(taskRoot, directory))]
      else await sayCommonJs(directory)
      const more = await filesBelow(directory, files)
      return [...files, ...more]
    },
    shipped(): Readonly<Record<string, unknown>> {
      const kept = Object.entries(config.options).filter(([name]) => !NOT_SHIPPED.has(name))
      const handler = runsOnNode ? { handler: shippedHandler(config) } : {}
      const opt = layers.length === 0 ? {} : { layers }
      return { ...Object.fromEntries(kept), ...handler, ...opt, ...(runsOnNode ? { built: true } : {}) }
    },
  })
}

/** `src/app.ts` names a file that is not shipped: what is made of it is `src/app.handler`. */
function shippedHandler({ options }: FunctionConfig): string {
  const handler = String(options['handler'] ?? '')
  const named = /\.(?:[cm]?[jt]s|[jt]sx)$/.test(handler)
  return named ? `${splitHandler(handler, false).module}.handler` : handler
}

/** A layer that is an ARN is not here, and was warned of. */
async function writeLayers(config: FunctionConfig, directory: string): Promise<readonly string[]> {
  const { layers } = layersOf(config)
  const { readFolderLayer } = await import('./layers/folder-layer.ts')
  const { writeEntries } = await import('./layers/merge.ts')
  const written: string[] = []
  for (const [index, layer] of layers.entries()) {
    const isFolder = (await layerKind(layer)) === 'folder'
    const path = `${LAYERS}/${index}-${basename(layer.path)}`
    const target = join(directory, path)
    await mkdir(isFolder ? target : join(directory, LAYERS), { recursive: true })
    if (isFolder) await writeEntries((await readFolderLayer(layer)).entries, target)
    else await cp(layer.path, target)
    written.push(path)
  }
  return written
}

/** A package.json further up must not make CommonJS something else. */
async function sayCommonJs(directory: string): Promise<void> {
  const path = join(directory, 'package.json')
  if (!existsSync(path)) await writeFile(path, '{ "type": "commonjs" }\n')
}

const TOOLS = /^(?:pip|setuptools|wheel|_virtualenv|_distutils_hack|distutils-precedence|pkg_resources)\b/

/** What a virtual environment has installed goes along as a layer: that is where Python looks after the function's own code. */
async function writeVirtualEnvironment(taskRoot: string, directory: string): Promise<readonly string[]> {
  const packages = await sitePackages(taskRoot)
  if (packages === undefined) return []
  const path = `${LAYERS}/venv`
  const wanted = (source: string): boolean => basename(source) !== '__pycache__' && extname(source) !== '.pyc'
  for (const name of await readdir(packages)) {
    if (TOOLS.test(name) || !wanted(name)) continue
    await cp(join(packages, name), join(directory, path, 'python', name), {
      recursive: true,
      dereference: true,
      filter: wanted,
    })
  }
  return existsSync(join(directory, path)) ? [path] : []
}

async function sitePackages(taskRoot: string): Promise<string | undefined> {
  const places = [join(taskRoot, '.venv'), join(taskRoot, 'venv'), process.env['VIRTUAL_ENV'] ?? '']
  for (const place of places.filter((path) => existsSync(join(path, 'pyvenv.cfg')))) {
    const names = await readdir(join(place, 'lib')).catch(() => [])
    const python = names.find((name) => name.startsWith('python3'))
    if (python !== undefined) return join(place, 'lib', python, 'site-packages')
  }
  return undefined
}

async function filesBelow(directory: string, known: readonly PackagedFile[]): Promise<PackagedFile[]> {
  const seen = new Set(known.map(({ path }) => path))
  const entries = await readdir(directory, { recursive: true, withFileTypes: true })
  const paths = entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative(directory, join(entry.parentPath, entry.name)))
  const added = paths.filter((path) => !seen.has(path)).toSorted()
  return Promise.all(
    added.map(async (path) => ({ path, bytes: (await stat(join(directory, path))).size, inputs: [] })),
  )
}
