import { link, readFile, rename, rm, writeFile } from 'node:fs/promises'

import { isAlive, startedAt } from '../core/processes.ts'
import type { AbsolutePath } from '../core/place.ts'

/** What a running daemon leaves for commands on the same machine. */
export interface DaemonNote {
  /** Of the process that holds the port: signals go to it. */
  readonly pid: number
  /** As the system counts it: numbers of processes come again. */
  readonly startedAt: string | undefined
  /** Of the process that serves. */
  readonly serverPid: number
  readonly url: string
  readonly domain: string
  /** The operator's Unix socket. */
  readonly socket: string
  readonly version: string
}

/** Who has a data directory: a note without an address is of a daemon that only starts. */
type Holder = Pick<DaemonNote, 'pid' | 'startedAt'> & Partial<DaemonNote>

/** Takes a data directory for this process: undefined, or else who has it already. Of two who begin at once, one gets it. */
export async function claimNote(file: AbsolutePath): Promise<Holder | undefined> {
  const draft = await writeDraft(file, {})
  try {
    for (;;) {
      if (await isNew(draft, file)) return undefined
      const holder = await readHolder(file)
      if (holder !== undefined) return holder
      // Of one that was killed.
      await rm(file, { force: true })
    }
  } finally {
    await rm(draft, { force: true })
  }
}

/** At once, and only where nothing is. */
async function isNew(draft: string, file: AbsolutePath): Promise<boolean> {
  try {
    await link(draft, file)
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false
    throw error
  }
}

/** At once: a reader never finds half of it. */
export async function writeNote(
  file: AbsolutePath,
  note: Omit<DaemonNote, 'pid' | 'startedAt'>,
): Promise<void> {
  await rename(await writeDraft(file, note), file)
}

async function writeDraft(file: AbsolutePath, note: Partial<DaemonNote>): Promise<string> {
  const whole: Holder = { pid: process.pid, startedAt: startedAt(process.pid), ...note }
  const draft = `${file}.${process.pid}`
  await writeFile(draft, `${JSON.stringify(whole, undefined, 2)}\n`, { mode: 0o644 })
  return draft
}

/** Of the daemon that serves on this data directory; undefined when none does. */
export async function readNote(file: AbsolutePath): Promise<DaemonNote | undefined> {
  const holder = await readHolder(file)
  return holder !== undefined && isServing(holder) ? holder : undefined
}

function isServing(holder: Holder): holder is DaemonNote {
  return holder.url !== undefined
}

async function readHolder(file: AbsolutePath): Promise<Holder | undefined> {
  const text = await readFile(file, 'utf8').catch(() => undefined)
  if (text === undefined) return undefined
  try {
    const note = JSON.parse(text) as Holder
    const isSame =
      isAlive(note.pid) && (note.startedAt === undefined || startedAt(note.pid) === note.startedAt)
    return isSame ? note : undefined
  } catch {
    // Cut off by a full disk: nobody to be found by it.
    return undefined
  }
}

/** The supervisor's own note alone. */
export async function removeNote(file: AbsolutePath): Promise<void> {
  const holder = await readHolder(file)
  if (holder?.pid === process.pid) await rm(file, { force: true })
}
