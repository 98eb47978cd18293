import { createHash, randomBytes } from 'node:crypto'
import { mkdir, readdir, realpath, rename, rm, stat, symlink, utimes } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { dirname, join, sep } from 'node:path'

import type { AbsolutePath } from '../../../core/place.ts'
import { HeldFolders } from '../held-folders.ts'
import { readFolderLayer, type FolderLayer } from './folder-layer.ts'
import { layerKind, layerSetKey, type Layer, type LayerEntries } from './layer.ts'
import { placeScripts } from './opt-scripts.ts'
import { leadsOut, readZipLayer } from './zip-layer.ts'

export interface Merged {
  readonly directory: AbsolutePath
  /** Besides the layers themselves. */
  readonly watched: readonly AbsolutePath[]
}

/** A layer that was looked at, and not unpacked yet. */
type Read =
  | { readonly kind: 'folder'; readonly layer: Layer; readonly folder: FolderLayer }
  | { readonly kind: 'zip'; readonly layer: Layer; readonly fingerprint: string }

/** Merges of the same layers that stay: old ones serve until their environments are drained. */
const KEPT = 3
const WRITES_AT_ONCE = 16
const HALF_MS = 600_000

/** Merges that functions run from, whoever has the same layers. */
export const heldMerges = new HeldFolders()

/**
 * Makes one folder of the layers; of two files of the same name the later layer's counts. The folder is named after what is in it:
 * when it is there already, nothing is copied. Of older ones a few stay, and those that are held.
 * @throws FlexiError FLEXI_BUILD when a layer cannot be read.
 */
export async function mergeLayers(layers: readonly Layer[], stateDirectory: string): Promise<Merged> {
  const root = join(stateDirectory, 'layers')
  const read = await Promise.all(layers.map(readLayer))
  const set = layerSetKey(layers)
  const hash = createHash('sha256')
  for (const one of read)
    hash.update(`${one.kind}\n${one.kind === 'zip' ? one.fingerprint : one.folder.fingerprint}\n`)
  const directory = join(root, `${set}-${hash.digest('hex').slice(0, 16)}`) as AbsolutePath
  if (!existsSync(directory)) await write(read, directory)
  const now = new Date()
  await utimes(directory, now, now)
  await dropOld(root, set)
  return { directory, watched: read.flatMap((one) => (one.kind === 'folder' ? one.folder.watched : [])) }
}

async function readLayer(layer: Layer): Promise<Read> {
  if ((await layerKind(layer)) === 'folder')
    return { kind: 'folder', layer, folder: await readFolderLayer(layer) }
  const { size, mtimeNs } = await stat(layer.path, { bigint: true })
  return { kind: 'zip', layer, fingerprint: `${size} ${mtimeNs}` }
}

/** Under another name first: what is there is whole, whoever else makes it at this moment. */
async function write(read: readonly Read[], directory: string): Promise<void> {
  const scratch = `${directory}.${randomBytes(6).toString('hex')}`
  await using zips = new Closing()
  try {
    const overlay = new Overlay()
    for (const one of read)
      overlay.add(
        one.kind === 'folder' ? one.folder.entries : zips.keep(await readZipLayer(one.layer)).entries,
      )
    await mkdir(scratch, { recursive: true })
    await writeEntries(overlay.entries, scratch)
    await checkLinks(overlay.entries, scratch)
    await placeScripts(overlay.entries, { writtenTo: scratch, directory })
    await rename(scratch, directory).catch((error: unknown) => {
      if (!existsSync(directory)) throw error
    })
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

class Closing implements AsyncDisposable {
  readonly #kept: AsyncDisposable[] = []

  keep<T extends AsyncDisposable>(one: T): T {
    this.#kept.push(one)
    return one
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const one of this.#kept) await one[Symbol.asyncDispose]()
  }
}

/** Layers upon each other, before anything of them is written. */
class Overlay {
  readonly entries: LayerEntries = new Map()
  readonly #folders = new Set<string>()

  /** What stands where this one has something else goes: a file below a folder's name, a folder below a file's. */
  add(entries: LayerEntries): void {
    for (const [path, entry] of entries) {
      if (entry.kind !== 'folder' && this.#folders.has(path)) this.#removeBelow(path)
      this.#makeFolders(entry.kind === 'folder' ? `${path}/` : path)
      this.entries.set(path, entry)
    }
  }

  #removeBelow(path: string): void {
    const inside = `${path}/`
    for (const other of this.entries.keys()) if (other.startsWith(inside)) this.entries.delete(other)
    for (const other of this.#folders)
      if (other === path || other.startsWith(inside)) this.#folders.delete(other)
  }

  #makeFolders(path: string): void {
    for (let slash = path.indexOf('/'); slash !== -1; slash = path.indexOf('/', slash + 1)) {
      const folder = path.slice(0, slash)
      if (this.#folders.has(folder)) continue
      this.#folders.add(folder)
      this.entries.delete(folder)
    }
  }
}

/** Folders first and links last, so that nothing is ever written through a link. */
export async function writeEntries(entries: LayerEntries, root: string): Promise<void> {
  const folders = new Set<string>()
  for (const [path, { kind }] of entries) folders.add(kind === 'folder' ? path : dirname(path))
  for (const folder of folders) await mkdir(join(root, folder), { recursive: true })
  const files = [...entries].filter(([, { kind }]) => kind === 'file')
  const next = files.values()
  const work = async (): Promise<void> => {
    for (const [path, entry] of next) if (entry.kind === 'file') await entry.write(join(root, path))
  }
  await Promise.all(Array.from({ length: WRITES_AT_ONCE }, work))
  for (const [path, entry] of entries)
    if (entry.kind === 'link') await symlink(entry.target, join(root, path))
}

/** A chain of links may lead out although each of them does not. */
async function checkLinks(entries: LayerEntries, root: string): Promise<void> {
  const top = await realpath(root)
  for (const [path, entry] of entries) {
    if (entry.kind !== 'link') continue
    const real = await realpath(join(root, path)).catch(() => top)
    if (real !== top && !real.startsWith(top + sep)) throw leadsOut(entry.layer, path, entry.target)
  }
}

async function dropOld(root: string, set: string): Promise<void> {
  const names = (await readdir(root)).filter((name) => name.startsWith(`${set}-`))
  if (names.length <= KEPT) return
  const aged = await Promise.all(
    names.map(async (name) => {
      const found = await stat(join(root, name)).catch(() => undefined)
      return { name, usedAt: found?.mtimeMs ?? 0 }
    }),
  )
  const whole = aged.filter(({ name }) => !name.includes('.')).toSorted((a, b) => b.usedAt - a.usedAt)
  // Half of a merge is left behind by a process that was killed.
  const broken = aged.filter(({ name, usedAt }) => name.includes('.') && Date.now() - usedAt > HALF_MS)
  const unused = whole.slice(KEPT).filter(({ name }) => !heldMerges.has(join(root, name)))
  await Promise.all(
    [...unused, ...broken].map(({ name }) => rm(join(root, name), { recursive: true, force: true })),
  )
}
