import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'

import type { Digest } from '../model.ts'
import { refused } from './archive-index.ts'
import { bytesText, type ArchiveLimits } from './limits.ts'

export interface InflateOptions {
  readonly digest: Digest
  readonly limits: ArchiveLimits
  /** Called for each so many unpacked bytes. @throws FlexiError FLEXI_QUOTA when the disk is too full. */
  readonly checkRoom: () => Promise<void>
}

const ROOM_CHECKED_BYTES = 64 * 1024 * 1024

/** The tar's own bytes; stops where there are too many of them, before they are looked at. */
export async function* inflated(archive: Readable, options: InflateOptions): AsyncGenerator<Buffer> {
  const { limits } = options
  const hash = createHash('sha256')
  const count = { packed: 0, unpacked: 0, checked: 0 }
  for await (const chunk of decompressed(archive, (packed) => {
    hash.update(packed)
    count.packed += packed.length
  })) {
    // A second layer would be unpacked behind our back, and uncounted.
    if (count.unpacked === 0 && isCompressed(chunk)) throw refused('the archive is compressed twice')
    count.unpacked += chunk.length
    if (count.unpacked > limits.unpackedBytesMax + limits.entriesMax * 1024)
      throw refused(`the archive holds more than ${bytesText(limits.unpackedBytesMax)}`)
    if (count.unpacked > limits.ratioFromBytes && count.unpacked > count.packed * limits.ratioMax)
      throw refused(`the archive grows by more than ${limits.ratioMax} times when it is unpacked`)
    if (count.unpacked - count.checked > ROOM_CHECKED_BYTES) {
      count.checked = count.unpacked
      await options.checkRoom()
    }
    yield chunk
  }
  if (hash.digest('hex') !== options.digest)
    throw refused('the archive was changed on the disk', { digest: options.digest })
}

async function* decompressed(archive: Readable, onPacked: (chunk: Buffer) => void): AsyncGenerator<Buffer> {
  const chunks: AsyncIterator<Buffer> = archive[Symbol.asyncIterator]()
  const first = await chunks.next()
  const packed = async function* (): AsyncGenerator<Buffer> {
    for (let next = first; next.done !== true; next = await chunks.next()) {
      onPacked(next.value)
      yield next.value
    }
  }
  if (first.done === true || !isGzip(first.value)) {
    yield* packed()
    return
  }
  const gunzip = createGunzip()
  const feeding = pipeline(Readable.from(packed()), gunzip)
  feeding.catch(() => undefined)
  try {
    for await (const chunk of gunzip) yield chunk as Buffer
    await feeding
  } finally {
    gunzip.destroy()
  }
}

function isGzip(chunk: Buffer): boolean {
  return chunk[0] === 0x1f && chunk[1] === 0x8b
}

function isCompressed(chunk: Buffer): boolean {
  return isGzip(chunk) || chunk.readUIntBE(0, Math.min(4, chunk.length)) === 0x28b52ffd
}
