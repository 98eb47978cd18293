import { watch } from 'node:fs'
import { mkdir, open, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import { FlexiError } from '../../core/errors.ts'
import type { AbsolutePath } from '../../core/place.ts'
import { isAlive, startedAt } from '../../core/processes.ts'

/** Longer than another may take to finish what it does with the data. */
const WAIT_MS_MAX = 60_000
const LOOK_MS = 50
/** Longer than it takes to write a few bytes. */
const WRITE_MS_MAX = 5_000

export interface LockOptions {
  /** Whose data it is, for messages. */
  readonly name: string
  /** Another process waits for it. May be called again and again. */
  readonly onWanted: () => void
  readonly waitMs?: number | undefined
}

/**
 * Keeps other processes of ours from what the file stands for, until it is disposed of; asks the one that has it to let go. One that was
 * killed holds nothing.
 * @throws FlexiError FLEXI_FUNCTION_INIT when the other does not let go.
 */
export async function lockFile(
  path: AbsolutePath,
  { name, onWanted, waitMs = WAIT_MS_MAX }: LockOptions,
): Promise<AsyncDisposable> {
  await mkdir(dirname(path), { recursive: true })
  const until = performance.now() + waitMs
  while (!(await take(path))) {
    if (performance.now() >= until) throw inUse(name)
    await writeFile(wish(path), '')
    await sleep(LOOK_MS)
  }
  await rm(wish(path), { force: true })
  const watcher = watch(dirname(path), { persistent: false }, (_event, file) => {
    if (file === basename(wish(path))) onWanted()
  })
  // Without it nobody is told that somebody waits, and the wait has its limit.
  watcher.on('error', () => undefined)
  return {
    async [Symbol.asyncDispose]() {
      watcher.close()
      await rm(path, { force: true })
    },
  }
}

function inUse(name: string): FlexiError {
  return new FlexiError('FLEXI_FUNCTION_INIT', `the data of ${name} is in use by another process`, {
    hint: 'A daemon that was there before still serves requests of it. It is tried again when somebody asks.',
    retryAfterSeconds: 1,
  })
}

/** Written by who waits, seen by who holds. */
function wish(path: AbsolutePath): string {
  return `${path}.wanted`
}

async function take(path: AbsolutePath): Promise<boolean> {
  try {
    const file = await open(path, 'wx', 0o600)
    await file.writeFile(`${process.pid} ${startedAt(process.pid) ?? ''}`)
    await file.close()
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    if (!(await isHeld(path))) await rm(path, { force: true })
    return false
  }
}

async function isHeld(path: AbsolutePath): Promise<boolean> {
  const text = await readFile(path, 'utf8').catch(() => '')
  const [pid = '', started = ''] = text.split(' ')
  // Empty: it is being written at this moment, or its writer was killed in it.
  if (pid === '') return await isFresh(path)
  return isAlive(Number(pid)) && (started === '' || startedAt(Number(pid)) === started)
}

async function isFresh(path: AbsolutePath): Promise<boolean> {
  const found = await stat(path).catch(() => undefined)
  return found !== undefined && Date.now() - found.mtimeMs < WRITE_MS_MAX
}
