import { constants, type Stats } from 'node:fs'
import { open, realpath, type FileHandle } from 'node:fs/promises'
import { join, sep } from 'node:path'

import { FlexiError } from '../core/errors.ts'
import type { AbsolutePath } from '../core/place.ts'
import { preferredEncoding } from './accept-encoding.ts'

/** An open file or folder: what is sent is what was looked at, whoever replaces it meanwhile. */
export interface OpenEntry {
  readonly handle: FileHandle
  readonly stats: Stats
}

/** An open file, and how it is encoded when another is sent in its place. */
export interface OpenFile extends OpenEntry {
  readonly encoding: string | undefined
}

/** Siblings that hold a file compressed, the best first. */
const SIBLINGS = { br: '.br', zstd: '.zst', gzip: '.gz' } as const
const ENCODINGS = ['br', 'zstd', 'gzip'] as const
/** A build writes a file and its siblings one after the other; an edit comes later. */
const SAME_BUILD_MS = 1_000

// A pipe that nobody writes to must not keep a thread waiting; a link that appears after the look at it is not followed.
const FLAGS = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0) | (constants.O_NOFOLLOW ?? 0)

/** The files of one folder. Links are followed as long as they stay in it. */
export class FolderFiles {
  readonly #directory: AbsolutePath
  /** Without links. */
  #root: string | undefined

  constructor(directory: AbsolutePath) {
    this.#directory = directory
  }

  /**
   * A file or folder; undefined when there is none, or it is neither, or it is elsewhere.
   * @throws FlexiError FLEXI_FORBIDDEN when it may not be read.
   */
  async open(segments: readonly string[]): Promise<OpenEntry | undefined> {
    try {
      const path = await realpath(join(this.#directory, ...segments))
      if (!(await this.#isInside(path))) return undefined
      return await openEntry(path)
    } catch (error) {
      if (isAbsent(error)) return undefined
      throw isForbidden(error) ? forbidden(segments, error) : error
    }
  }

  /** The file, or the compressed sibling that the client likes best. A sibling older than the file is of another build. */
  async choose(
    segments: readonly string[],
    plain: OpenEntry,
    acceptEncoding: string | undefined,
  ): Promise<OpenFile> {
    const left = [...ENCODINGS]
    for (;;) {
      const encoding = preferredEncoding(acceptEncoding, left)
      if (encoding === undefined) return { ...plain, encoding: undefined }
      const sibling = await this.#sibling(segments, SIBLINGS[encoding], plain.stats)
      if (sibling !== undefined) {
        await plain.handle.close()
        return { ...sibling, encoding }
      }
      left.splice(left.indexOf(encoding), 1)
    }
  }

  async #sibling(
    segments: readonly string[],
    extension: string,
    { mtimeMs }: Stats,
  ): Promise<OpenEntry | undefined> {
    // One that cannot be read is passed over: the file itself can.
    const name = `${segments.at(-1)}${extension}`
    const sibling = await this.open([...segments.slice(0, -1), name]).catch(() => undefined)
    if (sibling === undefined) return undefined
    if (sibling.stats.isFile() && sibling.stats.mtimeMs + SAME_BUILD_MS >= mtimeMs) return sibling
    await sibling.handle.close()
    return undefined
  }

  /** The folder itself may be a link that a deployment turns: one look more before a file is elsewhere. */
  async #isInside(path: string): Promise<boolean> {
    if (this.#root !== undefined && isBelow(path, this.#root)) return true
    this.#root = await realpath(this.#directory)
    return isBelow(path, this.#root)
  }
}

function isBelow(path: string, root: string): boolean {
  return path === root || path.startsWith(root.endsWith(sep) ? root : root + sep)
}

async function openEntry(path: string): Promise<OpenEntry | undefined> {
  const handle = await open(path, FLAGS)
  try {
    const stats = await handle.stat()
    if (stats.isFile() || stats.isDirectory()) return { handle, stats }
  } catch (error) {
    await handle.close()
    throw error
  }
  await handle.close()
  return undefined
}

const ABSENT = new Set(['ENOENT', 'ENOTDIR', 'ENAMETOOLONG', 'ELOOP', 'ENXIO', 'ENODEV', 'EINVAL'])
const FORBIDDEN = new Set(['EACCES', 'EPERM'])

function isAbsent(error: unknown): boolean {
  return error instanceof Error && 'code' in error && ABSENT.has(String(error.code))
}

function isForbidden(error: unknown): boolean {
  return error instanceof Error && 'code' in error && FORBIDDEN.has(String(error.code))
}

function forbidden(segments: readonly string[], cause: unknown): FlexiError {
  return new FlexiError('FLEXI_FORBIDDEN', `the file /${segments.join('/')} cannot be read`, {
    hint: 'Let the user that runs flexi read it.',
    cause,
  })
}
