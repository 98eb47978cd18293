import { createWriteStream } from 'node:fs'
import { mkdir, symlink } from 'node:fs/promises'
import { dirname, join, posix } from 'node:path'
import { pipeline } from 'node:stream/promises'

import type { Entry, ZipFile } from 'yauzl'

import { errorMessage } from '../../../core/errors.ts'

export interface UnzipLimits {
  /** Of all files together, unpacked. */
  readonly bytesMax: number
  readonly entriesMax: number
}

/** What keeps a zip file from being unpacked, in words for who sent it. */
export class ZipFault extends Error {
  override readonly name = 'ZipFault'
}

const TYPE_BITS = 0o170_000
const LINK = 0o120_000
const FOLDER = 0o040_000
const LINK_BYTES_MAX = 4096

/**
 * Unpacks into a folder that is there, with the files' modes. Nothing lands outside of it: names and links that lead out are refused,
 * and links are made last, so that nothing is written through one.
 * @throws ZipFault; the folder may hold a part of it then.
 */
export async function unzip(bytes: Buffer, folder: string, limits: UnzipLimits): Promise<void> {
  try {
    const { fromBufferPromise } = await import('yauzl')
    const zip = await fromBufferPromise(bytes, { lazyEntries: true, autoClose: false })
    await unpackAll(zip, folder, limits)
  } catch (error) {
    if (error instanceof ZipFault || isFailureOfDisk(error)) throw error
    throw new ZipFault(`${COULD_NOT} (${errorMessage(error)})`)
  }
}

const COULD_NOT = 'Could not unzip uploaded file. Please check your file, then try to upload again.'

async function unpackAll(zip: ZipFile, folder: string, { bytesMax, entriesMax }: UnzipLimits): Promise<void> {
  const links = new Map<string, string>()
  let bytes = 0
  let entries = 0
  for await (const entry of zip.eachEntry()) {
    // yauzl stops a file that has more bytes than it says.
    bytes += entry.uncompressedSize
    entries += 1
    if (bytes > bytesMax || entries > entriesMax)
      throw new ZipFault(`Unzipped size must be smaller than ${bytesMax} bytes`)
    const path = posix.normalize(entry.fileName).replace(/\/$/, '')
    const mode = entry.externalFileAttributes >>> 16
    if (entry.fileName.endsWith('/') || (mode & TYPE_BITS) === FOLDER)
      await mkdir(join(folder, path), { recursive: true })
    else if ((mode & TYPE_BITS) === LINK) links.set(path, await linkTarget(zip, entry))
    else await unpackFile(zip, entry, join(folder, path))
  }
  if (entries === 0) throw new ZipFault('Uploaded file must be a non-empty zip')
  checkLinks(links)
  for (const [path, target] of links) {
    await mkdir(join(folder, dirname(path)), { recursive: true })
    await symlink(target, join(folder, path))
  }
}

async function unpackFile(zip: ZipFile, entry: Entry, target: string): Promise<void> {
  const mode = (entry.externalFileAttributes >>> 16) & 0o777
  await mkdir(dirname(target), { recursive: true })
  // A zip of a system without modes says nothing about them; what it says, we must be able to read and to remove.
  const kept = mode === 0 ? 0o644 : mode | 0o600
  await pipeline(await zip.openReadStreamPromise(entry), createWriteStream(target, { mode: kept }))
}

async function linkTarget(zip: ZipFile, entry: Entry): Promise<string> {
  if (entry.uncompressedSize > LINK_BYTES_MAX) throw leadsOut(entry.fileName, '…')
  const chunks: Buffer[] = []
  for await (const chunk of await zip.openReadStreamPromise(entry)) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}

/** A link may climb at its beginning only, and lie below no other: then all of them together lead nowhere else either. */
function checkLinks(links: ReadonlyMap<string, string>): void {
  for (const [path, target] of links) {
    const lands = posix.join(dirname(path), target)
    const leaves = posix.isAbsolute(target) || lands === '..' || lands.startsWith('../')
    if (leaves || climbsLate(target) || target === '') throw leadsOut(path, target)
    for (let above = dirname(path); above !== '.'; above = dirname(above))
      if (links.has(above)) throw leadsOut(path, target)
  }
}

function climbsLate(target: string): boolean {
  const names = target.split('/')
  const down = names.findIndex((name) => name !== '..' && name !== '.' && name !== '')
  return down !== -1 && names.includes('..', down)
}

function leadsOut(path: string, target: string): ZipFault {
  return new ZipFault(`The file has a link that may lead out of it: ${path} -> ${target}`)
}

/** A full disk is not the zip's fault. */
function isFailureOfDisk(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return code === 'ENOSPC' || code === 'EDQUOT' || code === 'EROFS' || code === 'EACCES'
}
