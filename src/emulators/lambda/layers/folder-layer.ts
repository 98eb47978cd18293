import type { BigIntStats } from 'node:fs'
import { constants, copyFile, lstat, readdir, readlink, realpath, stat } from 'node:fs/promises'
import { dirname, join, relative, sep } from 'node:path'

import type { AbsolutePath } from '../../../core/place.ts'
import { layerFault, type Layer, type LayerEntries } from './layer.ts'

export interface FolderLayer {
  readonly entries: LayerEntries
  /** Changes with any name, size, mode or time in it. */
  readonly fingerprint: string
  /** What else than the folder itself has to be watched: what lies outside of it, and folders that are ignored elsewhere. */
  readonly watched: readonly AbsolutePath[]
}

/** Files and folders that are left alone by whoever watches a project; a layer consists of them. */
const PACKAGES = new Set(['node_modules', 'dist', 'venv', '.venv', 'target', '__pycache__'])

/** Folders of packages with more files than these are not watched: each costs a handle. */
const WATCHED_PACKAGE_FILES_MAX = 2000

const LEFT_OUT = new Set(['.git', '.DS_Store', '.flexi'])

/**
 * Reads the names in a folder that is a layer. A link to somewhere inside stays a link; what lies outside is taken along,
 * as `zip -r` does: packages of a workspace are such links.
 * @throws FlexiError FLEXI_BUILD when links run in circles.
 */
export async function readFolderLayer(layer: Layer): Promise<FolderLayer> {
  const walk = new Walk(layer, await realpath(layer.path))
  await walk.folder(layer.path, '', [])
  return {
    entries: walk.entries,
    fingerprint: walk.lines.toSorted().join('\n'),
    watched:
      walk.packageFiles > WATCHED_PACKAGE_FILES_MAX ? walk.outside : [...walk.outside, ...walk.packages],
  }
}

class Walk {
  readonly entries: LayerEntries = new Map()
  readonly lines: string[] = []
  readonly outside: AbsolutePath[] = []
  readonly packages: AbsolutePath[] = []
  packageFiles = 0
  readonly #layer: Layer
  readonly #root: string

  constructor(layer: Layer, root: string) {
    this.#layer = layer
    this.#root = root
  }

  /** `into` is the path below `/opt`; `above` the real folders that lead here by links. */
  async folder(path: string, into: string, above: readonly string[]): Promise<void> {
    const names = await readdir(path)
    if (names.length === 0 && into !== '') this.entries.set(into, { kind: 'folder' })
    const here = names.filter((name) => !LEFT_OUT.has(name))
    await Promise.all(
      here.map((name) => this.#entry(join(path, name), into === '' ? name : `${into}/${name}`, above)),
    )
  }

  async #entry(path: string, into: string, above: readonly string[]): Promise<void> {
    const found = await lstat(path, { bigint: true })
    if (found.isSymbolicLink()) await this.#link(path, into, above)
    else if (found.isDirectory()) await this.#subfolder(path, into, above)
    else if (found.isFile()) this.#file(path, into, found)
  }

  async #subfolder(path: string, into: string, above: readonly string[]): Promise<void> {
    const segments = into.split('/')
    const isPackages = segments.findIndex((name) => PACKAGES.has(name)) === segments.length - 1
    if (isPackages) this.packages.push(path as AbsolutePath)
    await this.folder(path, into, above)
  }

  #file(path: string, into: string, { size, mode, mtimeNs }: BigIntStats): void {
    if (into.split('/').some((name) => PACKAGES.has(name))) this.packageFiles += 1
    this.lines.push(`${into}\0${size}\0${mode}\0${mtimeNs}`)
    // Where the file system can, it shares the bytes until one of the two is written to.
    const write = (target: string): Promise<void> => copyFile(path, target, constants.COPYFILE_FICLONE)
    this.entries.set(into, { kind: 'file', bytes: Number(size), write })
  }

  async #link(path: string, into: string, above: readonly string[]): Promise<void> {
    const real = await realpath(path).catch(() => undefined)
    const target = await readlink(path)
    if (real === undefined) {
      this.lines.push(`${into}\0-> ${target}`)
      return
    }
    if (real === this.#root || real.startsWith(this.#root + sep)) {
      const inside = relative(dirname(into), relative(this.#root, real))
      this.lines.push(`${into}\0-> ${inside}`)
      this.entries.set(into, {
        kind: 'link',
        target: inside === '' ? '.' : inside,
        layer: this.#layer,
      })
      return
    }
    await this.#outside(real, into, above)
  }

  async #outside(real: string, into: string, above: readonly string[]): Promise<void> {
    if (above.some((folder) => folder === real || folder.startsWith(real + sep)))
      throw layerFault(this.#layer, `has a link that leads back to itself: ${into}`, 'Remove the link.')
    this.outside.push(real as AbsolutePath)
    const found = await stat(real, { bigint: true })
    if (found.isDirectory()) await this.folder(real, into, [...above, real])
    else if (found.isFile()) this.#file(real, into, found)
  }
}
