import { existsSync } from 'node:fs'
import { cp, lstat, mkdir, readdir, writeFile } from 'node:fs/promises'
import { basename, extname, join, relative } from 'node:path'

import type { FunctionConfig, PackagedFile } from '../../core/function.ts'
import { readFolderLayer } from './layers/folder-layer.ts'
import { layerKind, layersOf } from './layers/layer.ts'
import { writeEntries } from './layers/merge.ts'

export interface ShipAlongOptions {
  readonly directory: string
  readonly runsOnNode: boolean
  readonly taskRoot: string
  /** What is there already. */
  readonly files: readonly PackagedFile[]
}

/** Beside the code, where no runtime looks. */
const LAYERS = '.layers'

/** Writes what a function needs besides its code, and says which folders and files of it are layers. */
export async function shipAlong(
  config: FunctionConfig,
  { directory, runsOnNode, taskRoot, files }: ShipAlongOptions,
): Promise<{ readonly layers: readonly string[]; readonly files: readonly PackagedFile[] }> {
  const own = await writeLayers(config, directory)
  const more = runsOnNode ? await sayCommonJs(directory) : await writeVirtualEnvironment(taskRoot, directory)
  return { layers: [...own, ...more], files: await filesBelow(directory, files) }
}

/** A layer that is an ARN is not here, and was warned of. */
async function writeLayers(config: FunctionConfig, directory: string): Promise<readonly string[]> {
  const { layers } = layersOf(config)
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
async function sayCommonJs(directory: string): Promise<readonly string[]> {
  const path = join(directory, 'package.json')
  if (!existsSync(path)) await writeFile(path, '{ "type": "commonjs" }\n')
  return []
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
    added.map(async (path) => ({ path, bytes: (await lstat(join(directory, path))).size, inputs: [] })),
  )
}
