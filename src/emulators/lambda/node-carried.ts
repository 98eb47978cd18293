import { existsSync } from 'node:fs'
import { cp, readFile, realpath } from 'node:fs/promises'
import { basename, dirname, join, sep } from 'node:path'

import type { Plugin } from 'esbuild'

import { OURS } from './node-bundle.ts'

/** Packages that are shipped as they are, in `node_modules`, because no bundler can take them in. */
export interface Carried {
  readonly plugin: Plugin
  /** Copies them, with all they depend on. */
  copyTo(directory: string): Promise<void>
}

/** What packages with a compiled part find it by: a path from their own files, which a bundle would change. */
const FINDERS: ReadonlySet<string> = new Set([
  'bindings', 'node-gyp-build', 'node-gyp-build-optional-packages', 'prebuild-install', '@mapbox/node-pre-gyp', 'node-pre-gyp', 'nan',
  'node-addon-api', 'pkg-prebuilds', 'detect-libc', '@prisma/engines',
]) // prettier-ignore

/** `named` are those that the author's settings leave out of the bundle. AWS's own are bundled: nobody else brings them. */
export function carriedPackages(named: readonly string[]): Carried {
  const roots = new Map<string, string>()
  return {
    plugin: {
      name: 'carried-packages',
      setup(build) {
        build.onResolve({ filter: /^[^./]/ }, async (args) => {
          if (args.kind === 'entry-point' || args.pluginData === OURS) return undefined
          const { importer, kind, namespace, resolveDir, path } = args
          const found = await build.resolve(path, { importer, kind, namespace, resolveDir, pluginData: OURS })
          // The author says that it may be missing.
          if (found.errors.length > 0) return isNamed(named, path) ? { path, external: true } : undefined
          const root = packageRoot(found.path)
          if (root === undefined) return undefined
          const name = packageName(root)
          if (!isNamed(named, name) && !(await hasCompiledPart(root))) return undefined
          roots.set(name, root)
          return { path, external: true }
        })
      },
    },
    async copyTo(directory) {
      await copyPackages(roots, join(directory, 'node_modules'))
    },
  }
}

/** By its name, that of a file in it, or a pattern with one star at its end. */
function isNamed(named: readonly string[], path: string): boolean {
  if (/^@(?:aws-sdk|smithy)\//.test(path)) return false
  return named.some(
    (name) => path === name || path.startsWith(name.endsWith('*') ? name.slice(0, -1) : `${name}/`),
  )
}

/** `/p/node_modules/@a/b/lib/x.js` → `/p/node_modules/@a/b` */
function packageRoot(file: string): string | undefined {
  const marker = `${sep}node_modules${sep}`
  const at = file.lastIndexOf(marker)
  if (at === -1) return undefined
  const [first = '', second = ''] = file.slice(at + marker.length).split(sep)
  return file.slice(0, at + marker.length) + (first.startsWith('@') ? join(first, second) : first)
}

function packageName(root: string): string {
  const scope = basename(dirname(root))
  return scope.startsWith('@') ? `${scope}/${basename(root)}` : basename(root)
}

async function hasCompiledPart(root: string): Promise<boolean> {
  if (existsSync(join(root, 'binding.gyp')) || existsSync(join(root, 'prebuilds'))) return true
  const dependencies = Object.keys(await dependenciesOf(root))
  return dependencies.some((name) => FINDERS.has(name) || /-linux-(?:x64|arm64)/.test(name))
}

interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

async function dependenciesOf(root: string): Promise<Readonly<Record<string, string>>> {
  const text = await readFile(join(root, 'package.json'), 'utf8').catch(() => '{}')
  const { dependencies, optionalDependencies } = JSON.parse(text) as Manifest
  return { ...dependencies, ...optionalDependencies }
}

/** All of them side by side: of two versions of one package, the first that is found. */
async function copyPackages(roots: ReadonlyMap<string, string>, target: string): Promise<void> {
  const open = [...roots]
  const known = new Set<string>()
  for (let next = open.shift(); next !== undefined; next = open.shift()) {
    const [name, root] = next
    if (known.has(name)) continue
    known.add(name)
    const real = await realpath(root)
    await cp(real, join(target, name), {
      recursive: true,
      dereference: true,
      filter: (path) => !isNested(path, real),
    })
    for (const dependency of Object.keys(await dependenciesOf(real))) {
      const found = nearest(dependency, real) ?? nearest(dependency, root)
      if (found !== undefined) open.push([dependency, found])
    }
  }
}

function isNested(path: string, root: string): boolean {
  return path === join(root, 'node_modules')
}

/** Where Node would find it; undefined for what is not installed, such as what is for another system. */
function nearest(name: string, from: string): string | undefined {
  for (let folder = from; ; folder = dirname(folder)) {
    const found = join(folder, 'node_modules', name)
    if (existsSync(found)) return found
    if (folder === dirname(folder)) return undefined
  }
}
