import { createHash } from 'node:crypto'
import { open, type FileHandle } from 'node:fs/promises'
import type { Readable } from 'node:stream'

import { FlexiError, errorMessage } from '../../core/errors.ts'
import type { Digest } from '../model.ts'
import { refused } from './archive-index.ts'
import { bytesText, type ArchiveLimits } from './limits.ts'
import type { Reservation } from './room.ts'

export interface Received {
  readonly digest: Digest
  readonly bytes: number
}

/**
 * Writes a stream into a new file, hashing it on the way; on the disk when it resolves. The stream is not destroyed when it fails, so that
 * who sends it can still be answered.
 * @throws FlexiError FLEXI_UPLOAD when it breaks off; FLEXI_QUOTA when it is too large.
 */
export async function receiveInto(
  file: string,
  content: Readable,
  { limits, room }: { readonly limits: ArchiveLimits; readonly room: Reservation },
): Promise<Received> {
  const handle = await open(file, 'wx', 0o600)
  try {
    const received = await copy(content, handle, { limits, room })
    await handle.sync()
    return received
  } catch (error) {
    throw asRefusal(error)
  } finally {
    await handle.close()
  }
}

async function copy(
  content: Readable,
  handle: FileHandle,
  { limits, room }: { readonly limits: ArchiveLimits; readonly room: Reservation },
): Promise<Received> {
  const hash = createHash('sha256')
  let bytes = 0
  const idle = setTimeout(
    () => content.destroy(refused(`the upload sent nothing for ${limits.idleMs / 1000} s`)),
    limits.idleMs,
  )
  try {
    for await (const chunk of content.iterator({ destroyOnReturn: false })) {
      const piece: Buffer = typeof chunk === 'string' ? Buffer.from(chunk) : chunk
      idle.refresh()
      bytes += piece.length
      if (bytes > limits.uploadBytesMax)
        throw new FlexiError(
          'FLEXI_QUOTA',
          `the archive is larger than ${bytesText(limits.uploadBytesMax)}`,
          {
            hint: 'Leave out what the function does not need.',
          },
        )
      await room.take(piece.length)
      hash.update(piece)
      await handle.writeFile(piece)
    }
  } finally {
    clearTimeout(idle)
  }
  return { digest: hash.digest('hex') as Digest, bytes }
}

function asRefusal(error: unknown): Error {
  if (error instanceof FlexiError) return error
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return new FlexiError('FLEXI_QUOTA', 'the disk is full', { hint: 'Free some room.', cause: error })
  return refused(`the upload broke off: ${errorMessage(error)}`, error)
}
