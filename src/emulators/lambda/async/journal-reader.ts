import { readFile, rename } from 'node:fs/promises'

import { errorMessage } from '../../../core/errors.ts'
import type { Logger } from '../../../core/log.ts'
import { replay, type Codec, type Entry, type Replayed } from './journal-lines.ts'

export interface ReaderOptions<Value> {
  /** For messages: what the values are. */
  readonly name: string
  readonly codec: Codec<Value>
  readonly log: Logger
}

/** What journals of processes that have ended still hold, oldest first. Never rejects: what cannot be read is a warning, and set aside. */
export async function readLeft<Value>(
  paths: readonly string[],
  options: ReaderOptions<Value>,
): Promise<ReadonlyMap<string, Entry<Value>>> {
  const entries = new Map<string, Entry<Value>>()
  for (const path of paths) {
    try {
      const replayed = replay(await readFile(path, 'utf8'), options.codec)
      for (const [key, entry] of replayed.entries) entries.set(key, entry)
      await report(path, replayed, options)
    } catch (error) {
      const aside = await setAside(path).catch(() => path)
      const message = `${path} cannot be read: ${errorMessage(error)}. It is kept as ${aside}`
      options.log.warn('journal.unreadable', { message })
    }
  }
  return entries
}

async function report<Value>(
  path: string,
  { kind, broken, cutOff, entries }: Replayed<Value>,
  { name, log }: ReaderOptions<Value>,
): Promise<void> {
  if (cutOff) log.warn('journal.torn', { message: `${path} ends within a line, which is left out` })
  if (kind !== 'foreign' && broken === 0) return
  const aside = await setAside(path)
  const what =
    kind === 'foreign'
      ? `of ${name} is no journal`
      : `has ${broken} broken lines among its ${name}; ${entries.size} were read`
  log.warn('journal.broken', { message: `a file ${what}. It is kept as ${aside}` })
}

/** What nobody can read is kept for people. */
async function setAside(path: string): Promise<string> {
  const aside = path.replace(/\.journal$/, '.broken')
  await rename(path, aside)
  return aside
}
