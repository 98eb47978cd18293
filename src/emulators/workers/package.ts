import { cp, mkdir, stat, writeFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'

import type { PackagedFile } from '../../core/function.ts'
import type { AbsolutePath } from '../../core/place.ts'
import { assetsDirectory } from './bindings.ts'
import { programEntry, type Settings } from './settings.ts'
import { openWorkerBundle, type Program } from './worker-bundle.ts'

export interface PackageTarget {
  readonly directory: AbsolutePath
  /** Inputs are named from here. */
  readonly project: AbsolutePath
}

export interface WorkerPackage {
  /** Undefined for a worker that serves assets only. */
  readonly program: Program | undefined
  readonly files: readonly PackagedFile[]
}

/** The production bundle, its source map, its data modules, and the assets: what wrangler would upload. */
export async function packageWorker(
  settings: Settings,
  target: PackageTarget,
): Promise<readonly PackagedFile[]> {
  return (await buildPackage(settings, target)).files
}

/** The same, and the program that was written. */
export async function buildPackage(
  settings: Settings,
  { directory, project }: PackageTarget,
): Promise<WorkerPackage> {
  await mkdir(directory, { recursive: true })
  const entry = await programEntry(settings)
  const program = entry === undefined ? undefined : await buildOnce(settings, entry)
  const files = program === undefined ? [] : programFiles(program, project, settings)
  const written = await Promise.all(
    files.map(async ({ path, contents, inputs }) => {
      await mkdir(dirname(join(directory, path)), { recursive: true })
      await writeFile(join(directory, path), contents)
      return { path, bytes: Buffer.byteLength(contents), inputs }
    }),
  )
  return { program, files: [...written, ...(await copyAssets(settings, { directory, project }))] }
}

async function buildOnce({ config, compatibility }: Settings, entry: AbsolutePath): Promise<Program> {
  await using bundle = await openWorkerBundle({ entry, config, compatibility, mode: 'production' })
  return await bundle.build()
}

interface ProgramFile {
  readonly path: string
  readonly contents: string | Uint8Array
  readonly inputs: readonly string[]
}

function programFiles(program: Program, project: AbsolutePath, { config }: Settings): readonly ProgramFile[] {
  const inputs = [...program.inputBytes.keys()].map((path) => relative(project, path))
  // What is not bundled ships as it is.
  const map = config.no_bundle === true ? undefined : program.sourceMap
  return [
    { path: program.name, contents: program.code, inputs },
    ...(map === undefined ? [] : [{ path: `${program.name}.map`, contents: map, inputs }]),
    ...program.modules.map(({ name, contents, source }) => ({
      path: name,
      contents,
      inputs: [relative(project, source)],
    })),
  ]
}

async function copyAssets(
  { config }: Settings,
  { directory, project }: PackageTarget,
): Promise<readonly PackagedFile[]> {
  const from = assetsDirectory(config)
  if (from === undefined) return []
  const copied: string[] = []
  await cp(from, join(directory, 'assets'), {
    recursive: true,
    filter: (source) => {
      copied.push(source)
      return true
    },
  })
  const files = await Promise.all(copied.map(async (path) => ({ path, entry: await stat(path) })))
  return files
    .filter(({ entry }) => entry.isFile())
    .map(({ path, entry }) => ({
      path: join('assets', relative(from, path)),
      bytes: entry.size,
      inputs: [relative(project, path)],
    }))
}
