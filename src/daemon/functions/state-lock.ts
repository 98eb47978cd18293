import { mkdir, open, readFile, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import { FlexiError } from '../../core/errors.ts'
import type { AbsolutePath } from '../../core/place.ts'
import { isAlive, startedAt } from '../../core/processes.ts'

/** A daemon that is being replaced has so long to end what uses the data. */
const WAIT_MS_MAX = 60_000
const LOOK_MS = 50

/**
 * Keeps other processes of ours from what the file stands for, until it is disposed of. One that was killed holds nothing.
 * @throws FlexiError FLEXI_FUNCTION_INIT when the other does not let go.
 */
export async function lockFile(
  path: AbsolutePath,
  name: string,
  waitMs = WAIT_MS_MAX,
): Promise<AsyncDisposable> {
  await mkdir(dirname(path), { recursive: true })
  const until = performance.now() + waitMs
  while (!(await take(path))) {
    if (performance.now() >= until)
      throw new FlexiError('FLEXI_FUNCTION_INIT', `the data of ${name} is in use by another process`, {
        hint: 'A daemon that was there before still serves requests of it. It is tried again when somebody asks.',
        retryAfterSeconds: 1,
      })
    await sleep(LOOK_MS)
  }
  return {
    async [Symbol.asyncDispose]() {
      await rm(path, { force: true })
    },
  }
}

async function take(path: AbsolutePath): Promise<boolean> {
  try {
    const file = await open(path, 'wx', 0o600)
    await file.writeFile(`${process.pid} ${startedAt(process.pid) ?? ''}`)
    await file.close()
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    if (await isHeld(path)) return false
    await rm(path, { force: true })
    return false
  }
}

async function isHeld(path: AbsolutePath): Promise<boolean> {
  const text = await readFile(path, 'utf8').catch(() => '')
  const [pid = '', started = ''] = text.split(' ')
  // Empty: being written at this moment, or by one that was killed in it, which nobody can tell: the wait has its limit.
  if (pid === '') return true
  return isAlive(Number(pid)) && (started === '' || startedAt(Number(pid)) === started)
}
