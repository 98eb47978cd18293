import { mkdir, open, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'

import { FlexiError } from '../../../core/errors.ts'
import type { AbsolutePath } from '../../../core/place.ts'
import { isAlive } from '../../../core/processes.ts'

/** Commands are short; one that waits longer than this waits for something that hangs. */
const WAIT_MS = 30_000
const LOOK_MS = 25

/**
 * Waits until no other command has the folder's data open: SQLite's files are not for two runtimes at a time.
 * A note of a process that is gone counts for nothing. @throws FlexiError FLEXI_UPSTREAM_TIMEOUT.
 */
export async function takeTurn(folder: AbsolutePath, waitMs = WAIT_MS): Promise<AsyncDisposable> {
  const file = join(folder, 'command.pid')
  const until = performance.now() + waitMs
  await mkdir(folder, { recursive: true })
  while (!(await noted(file))) {
    const holder = await holderOf(file)
    if (holder === undefined) await rm(file, { force: true })
    else if (performance.now() > until)
      throw new FlexiError('FLEXI_UPSTREAM_TIMEOUT', `process ${holder} has the local state open`, {
        hint: 'Wait for it, or end it.',
      })
    else await setTimeout(LOOK_MS)
  }
  return { [Symbol.asyncDispose]: () => rm(file, { force: true }) }
}

async function noted(file: string): Promise<boolean> {
  try {
    await using handle = await open(file, 'wx')
    await handle.writeFile(String(process.pid))
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false
    throw error
  }
}

/** The process that has it; an empty note is one that is just being written, or that nobody wrote to its end. */
async function holderOf(file: string): Promise<number | undefined> {
  const text = await readFile(file, 'utf8').catch(() => undefined)
  if (text === '') return (await isFresh(file)) ? 0 : undefined
  const pid = Number(text)
  return text !== undefined && Number.isInteger(pid) && isAlive(pid) ? pid : undefined
}

/** As long as writing a number may take on a busy machine. */
const WRITE_MS = 2_000

async function isFresh(file: string): Promise<boolean> {
  const found = await stat(file).catch(() => undefined)
  return found !== undefined && Date.now() - found.mtimeMs < WRITE_MS
}
