import { createHash, randomUUID, type Hash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { access, copyFile, mkdir, readdir, readlink, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join, sep } from 'node:path'

import type { ApiFunction } from '../../../core/function.ts'
import type { AbsolutePath } from '../../../core/place.ts'
import { readFolderLayer } from '../layers/folder-layer.ts'
import { layerKind, type Layer } from '../layers/layer.ts'
import { writeEntries } from '../layers/merge.ts'
import { UNPACKED_MAX } from '../limits.ts'
import { invalidParameter } from './api-error.ts'
import type { CodeState } from './state.ts'
import { apiFolder, makePrivateFolder } from './state-store.ts'
import { unzip, ZipFault } from './unzip.ts'

const SETTLED_MS = 600_000

/** A folder that is being written: it is renamed when it is whole. */
const UNFINISHED = 'new-'
const LAYER_ZIP = 'layer.zip'

/** Code that does not change any more, each in a folder named by its content. */
export class CodeStore {
  readonly #parent: AbsolutePath
  readonly #folder: string

  constructor(stateDirectory: AbsolutePath) {
    this.#parent = apiFolder(stateDirectory)
    this.#folder = join(this.#parent, 'code')
  }

  pathOf({ folder }: Pick<CodeState, 'folder'>): AbsolutePath {
    return join(this.#folder, folder) as AbsolutePath
  }

  /** @throws ApiError InvalidParameterValueException when it is no zip that may be unpacked. */
  async addZip(bytes: Buffer): Promise<CodeState> {
    const hash = createHash('sha256').update(bytes)
    const code = { folder: hash.copy().digest('hex'), sha256: hash.digest('base64'), bytes: bytes.length }
    if (await exists(this.pathOf(code))) return code
    await this.#make(async (folder) => {
      await unzip(bytes, folder, UNPACKED_MAX)
      return code.folder
    }).catch((error: unknown) => {
      throw error instanceof ZipFault ? invalidParameter(error.message) : error
    })
    return code
  }

  /** What a deployment would ship of a function. `sha256` is what the API says of its code. @throws FlexiError FLEXI_BUILD. */
  async addPackage(served: ApiFunction, sha256: string): Promise<CodeState> {
    let bytes = 0
    const folder = await this.#make(async (target) => {
      const files = await served.package(target as AbsolutePath)
      bytes = files.reduce((sum, file) => sum + file.bytes, 0)
      return hashOf(target)
    })
    return { folder, sha256, bytes }
  }

  /** A layer as it is now. @returns where that is kept. @throws FlexiError FLEXI_BUILD. */
  async addLayer(layer: Layer): Promise<string> {
    if (layer.path.startsWith(this.#folder + sep)) return layer.path
    const isZip = (await layerKind(layer)) === 'zip'
    const folder = await this.#make(async (target) => {
      if (isZip) await copyFile(layer.path, join(target, LAYER_ZIP))
      else await writeEntries((await readFolderLayer(layer)).entries, target)
      return hashOf(target)
    })
    const path = this.pathOf({ folder })
    return isZip ? join(path, LAYER_ZIP) : path
  }

  /** Removes what nothing needs and nobody has just made. Only while nothing is served from here. */
  async sweep(needed: ReadonlySet<string>): Promise<void> {
    const names = await readdir(this.#folder).catch(() => [])
    const unneeded = names.filter((name) => name.startsWith(UNFINISHED) || isUnneeded(name, needed))
    await Promise.all(
      unneeded.map(async (name) => {
        const path = join(this.#folder, name)
        const found = await stat(path).catch(() => undefined)
        // Another process may be about to note it.
        if (found === undefined || Date.now() - found.mtimeMs < SETTLED_MS) return
        await rm(path, { recursive: true, force: true })
      }),
    )
  }

  /** The project's package.json ends here: what format a file has does not depend on where it is unpacked. Runtimes may be reading it. */
  async #endPackage(): Promise<void> {
    const file = join(this.#folder, 'package.json')
    if (await exists(file)) return
    const unfinished = join(this.#folder, `${UNFINISHED}${randomUUID()}`)
    await writeFile(unfinished, '{}\n')
    await rename(unfinished, file)
  }

  /** `fill` gives the name of the folder it has filled. */
  async #make(fill: (folder: string) => Promise<string>): Promise<string> {
    await makePrivateFolder(this.#parent)
    const unfinished = join(this.#folder, `${UNFINISHED}${randomUUID()}`)
    await mkdir(unfinished, { recursive: true })
    await this.#endPackage()
    try {
      const name = await fill(unfinished)
      await rename(unfinished, join(this.#folder, name)).catch(async (error: unknown) => {
        if (!(await exists(join(this.#folder, name)))) throw error
      })
      return name
    } finally {
      await rm(unfinished, { recursive: true, force: true })
    }
  }
}

function isUnneeded(name: string, needed: ReadonlySet<string>): boolean {
  return /^[\da-f]{64}$/.test(name) && !needed.has(name)
}

/** Of names, modes and contents, in hexadecimal. */
async function hashOf(folder: string): Promise<string> {
  const hash = createHash('sha256')
  await addFolder(hash, folder, '')
  return hash.digest('hex')
}

async function addFolder(hash: Hash, folder: string, below: string): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true })
  for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(folder, entry.name)
    const name = `${below}/${entry.name}`
    if (entry.isDirectory()) await addFolder(hash, path, name)
    else if (entry.isSymbolicLink()) hash.update(`${name}\0link\0${await readlink(path)}\0`)
    else {
      const { mode, size } = await stat(path)
      hash.update(`${name}\0${mode & 0o777}\0${size}\0`)
      for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer)
    }
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
