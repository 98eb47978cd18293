import { readFile } from 'node:fs/promises'
import { basename, dirname, extname, relative, sep } from 'node:path'

import type { BuildOptions, Metafile, Plugin } from 'esbuild'

import type { AbsolutePath } from '../../../core/place.ts'
import type { Configuration } from '../configuration.ts'
import { programEntry } from '../settings.ts'

/** A worker's program, as types can be imported from it. */
export interface EntryModule {
  /** The worker's name, by which others bind it. */
  readonly worker: string
  readonly file: AbsolutePath
  readonly exports: readonly string[]
}

/** Undefined for a worker without a program, and for one whose program cannot be read. */
export async function entryModule(configuration: Configuration): Promise<EntryModule | undefined> {
  const file = await programEntry({ config: configuration.config, configuration }).catch(() => undefined)
  if (file === undefined) return undefined
  const exports = await exportsOf(file).catch(() => undefined)
  return exports === undefined ? undefined : { worker: configuration.config.name ?? 'worker', file, exports }
}

/** `('/p/worker-configuration.d.ts', '/p/src/index.ts')` → `./src/index` */
export function importSpecifier(from: AbsolutePath, to: AbsolutePath): string {
  const folder = relative(dirname(from), dirname(to)).split(sep).join('/')
  const name = basename(to, extname(to))
  if (folder === '') return `./${name}`
  return folder.startsWith('..') ? `${folder}/${name}` : `./${folder}/${name}`
}

async function exportsOf(file: AbsolutePath): Promise<readonly string[]> {
  const alone = await exportsBy({ bundle: false, entryPoints: [file] })
  const hasMore = /^\s*export\s*\*\s*from/m.test(await readFile(file, 'utf8'))
  if (!hasMore) return alone
  const whole = await exportsBy({
    bundle: true,
    packages: 'external',
    plugins: [onlySources],
    entryPoints: [file],
  }).catch(() => [])
  return [...new Set([...alone, ...whole])]
}

/** What is no JavaScript exports no class. */
const onlySources: Plugin = {
  name: 'only-sources',
  setup(build) {
    build.onResolve({ filter: /\.\w+(?:\?.*)?$/ }, ({ path, kind }) =>
      kind === 'entry-point' || /\.[cm]?[jt]sx?$/.test(path) ? undefined : { path, external: true },
    )
  },
}

async function exportsBy(options: BuildOptions): Promise<readonly string[]> {
  const { build } = await import('esbuild')
  const { metafile } = await build({
    format: 'esm',
    loader: { '.js': 'jsx', '.mjs': 'jsx', '.cjs': 'jsx' },
    logLevel: 'silent',
    metafile: true,
    write: false,
    outdir: 'out',
    ...options,
  })
  const outputs: Metafile['outputs'] = metafile?.outputs ?? {}
  return Object.values(outputs).flatMap(({ exports }) => exports)
}
