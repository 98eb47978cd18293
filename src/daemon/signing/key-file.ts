import { randomBytes } from 'node:crypto'
import { link, open, readFile, rm } from 'node:fs/promises'

import { FlexiError } from '../../core/errors.ts'
import type { AbsolutePath } from '../../core/place.ts'

const KEY_BYTES = 32

/**
 * The daemon's own key, 32 random bytes that only its user may read; made, once and durably, when it is not there.
 * @throws FlexiError FLEXI_CONFIG for a file that holds something else.
 */
export async function readKeyFile(file: AbsolutePath): Promise<Buffer> {
  const found = await readFile(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  if (found === undefined) {
    await makeKey(file)
    return readKeyFile(file)
  }
  if (found.length === KEY_BYTES) return found
  throw new FlexiError('FLEXI_CONFIG', `${file} is not the key of a daemon: it has ${found.length} bytes`, {
    hint: 'Put back the file from a copy of the data directory: tokens and secrets are worth nothing without it.',
  })
}

/** Whole or not at all, and of two that are made at once the first counts. */
async function makeKey(file: AbsolutePath): Promise<void> {
  const draft = `${file}.${process.pid}`
  const handle = await open(draft, 'w', 0o600)
  try {
    await handle.writeFile(randomBytes(KEY_BYTES))
    await handle.sync()
  } finally {
    await handle.close()
  }
  await link(draft, file).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error
  })
  await rm(draft, { force: true })
}
