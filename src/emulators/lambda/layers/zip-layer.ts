import { createWriteStream } from 'node:fs'
import { posix } from 'node:path'
import { pipeline } from 'node:stream/promises'

import type { Entry, ZipFile } from 'yauzl'

import { errorMessage, FlexiError } from '../../../core/errors.ts'
import { UNPACKED_MAX } from '../limits.ts'
import { layerFault, type Layer, type LayerEntries, type LayerEntry } from './layer.ts'

export interface ZipLayer extends AsyncDisposable {
  readonly entries: LayerEntries
}

const LINK_BYTES_MAX = 4096

const TYPE_BITS = 0o170000
const LINK = 0o120000
const FOLDER = 0o040000

/**
 * Reads the names in a zip file, and its symbolic links; files are unpacked when they are written.
 * @throws FlexiError FLEXI_BUILD when it is no zip file, is encrypted, leads out of its folder, or is larger unpacked than Lambda takes.
 */
export async function readZipLayer(layer: Layer): Promise<ZipLayer> {
  const zip = await open(layer)
  try {
    const entries: LayerEntries = new Map()
    let bytes = 0
    for (const entry of await listEntries(zip, layer)) {
      bytes += entry.uncompressedSize
      if (bytes > UNPACKED_MAX.bytesMax) throw tooLarge(layer)
      const path = posix.normalize(entry.fileName).replace(/\/$/, '')
      if (path !== '.') entries.set(path, await layerEntry(layer, zip, entry))
    }
    return {
      entries,
      [Symbol.asyncDispose]: () => {
        zip.close()
        return Promise.resolve()
      },
    }
  } catch (error) {
    zip.close()
    throw error
  }
}

function tooLarge(layer: Layer): FlexiError {
  return layerFault(
    layer,
    `has more than ${UNPACKED_MAX.bytesMax} bytes unpacked, which Lambda refuses`,
    'Leave out what is not needed when it runs.',
  )
}

async function open(layer: Layer): Promise<ZipFile> {
  const { openPromise } = await import('yauzl')
  try {
    return await openPromise(layer.path, { lazyEntries: true, autoClose: false })
  } catch (error) {
    throw unreadable(layer, error)
  }
}

/** Names that lead out of the folder, and absolute ones, fail here. */
async function listEntries(zip: ZipFile, layer: Layer): Promise<readonly Entry[]> {
  const found: Entry[] = []
  try {
    for await (const entry of zip.eachEntry()) {
      found.push(entry)
      if (found.length > UNPACKED_MAX.entriesMax) throw tooLarge(layer)
    }
    return found
  } catch (error) {
    throw unreadable(layer, error)
  }
}

async function layerEntry(layer: Layer, zip: ZipFile, entry: Entry): Promise<LayerEntry> {
  const mode = entry.externalFileAttributes >>> 16
  if (entry.fileName.endsWith('/') || (mode & TYPE_BITS) === FOLDER) return { kind: 'folder' }
  if (entry.isEncrypted())
    throw layerFault(layer, `is encrypted: ${entry.fileName}`, 'Pack it without a password.')
  if ((mode & TYPE_BITS) === LINK) {
    if (entry.uncompressedSize > LINK_BYTES_MAX) throw leadsOut(layer, entry.fileName, '…')
    return linkEntry(layer, entry.fileName, await readText(layer, zip, entry))
  }
  return {
    kind: 'file',
    bytes: entry.uncompressedSize,
    // A zip of a system without modes says nothing about them.
    write: (target) => unpack(layer, { zip, entry, target, mode: mode === 0 ? 0o644 : mode & 0o777 }),
  }
}

/** `/opt/lib/x.so` is where the layer will be, for whoever made it. */
function linkEntry(layer: Layer, fileName: string, target: string): LayerEntry {
  const folder = posix.dirname(posix.normalize(fileName))
  const inside = /^\/opt(?:\/|$)/.test(target)
    ? posix.relative(folder, target.replace(/^\/opt\/*/, ''))
    : target
  const lands = posix.join(folder, inside)
  if (posix.isAbsolute(inside) || lands === '..' || lands.startsWith('../'))
    throw leadsOut(layer, fileName, target)
  return { kind: 'link', target: inside === '' ? '.' : inside, layer }
}

export function leadsOut(layer: Layer, link: string, target: string): FlexiError {
  return layerFault(layer, `has a link that leads out of it: ${link} → ${target}`, 'Pack what it points to.')
}

interface Unpacking {
  readonly zip: ZipFile
  readonly entry: Entry
  readonly target: string
  readonly mode: number
}

async function unpack(layer: Layer, { zip, entry, target, mode }: Unpacking): Promise<void> {
  try {
    // Read for whoever runs it; the stream fails when there are more bytes than the zip says.
    await pipeline(await zip.openReadStreamPromise(entry), createWriteStream(target, { mode: mode | 0o400 }))
  } catch (error) {
    throw unreadable(layer, error)
  }
}

async function readText(layer: Layer, zip: ZipFile, entry: Entry): Promise<string> {
  try {
    const chunks: Buffer[] = []
    for await (const chunk of await zip.openReadStreamPromise(entry)) chunks.push(chunk as Buffer)
    return Buffer.concat(chunks).toString()
  } catch (error) {
    throw unreadable(layer, error)
  }
}

function unreadable(layer: Layer, error: unknown): FlexiError {
  if (error instanceof FlexiError) return error
  const message = errorMessage(error)
  return /relative path|absolute path|invalid characters/.test(message)
    ? layerFault(
        layer,
        `has a name that leads out of it: ${message}`,
        'Pack it again, from inside its folder.',
      )
    : layerFault(layer, `cannot be unpacked: ${message}`, 'Pack it again with zip -r.')
}
