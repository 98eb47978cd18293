import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'

import { configError, errorMessage } from '../../core/errors.ts'
import type { FunctionConfig, FunctionSource } from '../../core/function.ts'
import type { AbsolutePath } from '../../core/place.ts'
import { HeldFolders } from './held-folders.ts'
import { UNPACKED_MAX } from './limits.ts'

/** A revision that is drained still has its folder. */
const FOLDERS_KEPT = 3
const held = new HeldFolders()

/**
 * Unpacks a zip file that holds a function's code, once for each content. @returns the folder.
 * @throws FlexiError FLEXI_CONFIG when it is not there, or no zip file that may be unpacked.
 */
export async function unpackArchive(
  { name, directory, origin }: FunctionConfig,
  archive: string,
  stateDirectory: string,
): Promise<AbsolutePath> {
  const file = resolve(directory, archive)
  try {
    const bytes = await readFile(file)
    const digest = createHash('sha256').update(bytes).digest('hex').slice(0, 16)
    const folder = join(stateDirectory, 'archives', name, digest) as AbsolutePath
    if ((await stat(folder).catch(() => undefined)) === undefined) await unpackInto(folder, bytes)
    await removeOlder(folder)
    return folder
  } catch (error) {
    throw configError([
      {
        place: origin,
        message: `${name}: the code in ${file} cannot be unpacked: ${errorMessage(error)}`,
        hint: 'Make the zip file anew, or name the folder in place of it.',
      },
    ])
  }
}

/** Its folder stays until it is disposed. */
export function holdArchive(source: FunctionSource, folder: AbsolutePath): FunctionSource {
  const release = held.hold(folder)
  const dispose = source[Symbol.asyncDispose].bind(source)
  const disposeAndRelease = async (): Promise<void> => {
    release()
    await dispose()
  }
  return Object.assign(source, { [Symbol.asyncDispose]: disposeAndRelease })
}

/** Whole or not at all: it is unpacked beside its place. */
async function unpackInto(folder: string, bytes: Buffer): Promise<void> {
  const { unzip } = await import('./api/unzip.ts')
  await mkdir(dirname(folder), { recursive: true })
  const beside = await mkdtemp(`${folder}.`)
  try {
    await unzip(bytes, beside, UNPACKED_MAX)
    await rename(beside, folder)
  } catch (error) {
    await rm(beside, { recursive: true, force: true })
    // Somebody else was faster with the same content.
    if ((await stat(folder).catch(() => undefined)) === undefined) throw error
  }
}

async function removeOlder(folder: string): Promise<void> {
  const parent = dirname(folder)
  const names = (await readdir(parent)).filter(
    (name) => name !== basename(folder) && !held.has(join(parent, name)),
  )
  const dated = await Promise.all(
    names.map(async (name) => ({
      name,
      at: (await stat(join(parent, name)).catch(() => undefined))?.mtimeMs ?? 0,
    })),
  )
  const old = dated.toSorted((left, right) => right.at - left.at).slice(FOLDERS_KEPT - 1)
  await Promise.all(old.map(({ name }) => rm(join(parent, name), { recursive: true, force: true })))
}
