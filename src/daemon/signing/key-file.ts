import { randomBytes, randomUUID } from 'node:crypto'
import { link, lstat, open, readFile, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'

import { FlexiError } from '../../core/errors.ts'
import { syncFolder } from '../artifacts/durable.ts'

const KEY_BYTES = 32

/**
 * The key of a data directory: 32 random bytes, base64url, in a file that its user alone may read. Made when it is not there.
 * @throws FlexiError FLEXI_DAEMON when others may read it, or when it is no such key.
 */
export async function readKeyFile(file: string): Promise<Buffer> {
  const there = await lstat(file).catch(() => undefined)
  if (there === undefined) await makeKey(file)
  else if ((there.mode & 0o077) !== 0 || !there.isFile())
    throw new FlexiError('FLEXI_DAEMON', `${file} may be read by others than its user`, {
      hint: `Run "chmod 600 ${file}". If somebody may have read it, set all secrets and tokens anew.`,
    })
  const key = Buffer.from((await readFile(file, 'utf8')).trim(), 'base64url')
  if (key.length === KEY_BYTES) return key
  throw new FlexiError('FLEXI_DAEMON', `${file} is no key of a daemon`, {
    hint: 'Put back the file that was there: secrets and tokens are worth nothing without it.',
  })
}

/** Whole or not at all, also when two processes make it at the same time: the first one's is kept. */
async function makeKey(file: string): Promise<void> {
  const draft = `${file}.${randomUUID()}`
  const handle = await open(draft, 'wx', 0o600)
  try {
    await handle.writeFile(`${randomBytes(KEY_BYTES).toString('base64url')}\n`)
    await handle.sync()
  } finally {
    await handle.close()
  }
  try {
    await link(draft, file)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
  } finally {
    await unlink(draft)
  }
  await syncFolder(dirname(file))
}
