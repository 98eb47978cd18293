import { readFile, rename, rm, writeFile } from 'node:fs/promises'

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

/** At once: a reader never finds half of it. */
export async function writeNote(
  file: AbsolutePath,
  note: Omit<DaemonNote, 'pid' | 'startedAt'>,
): Promise<void> {
  const whole: DaemonNote = { pid: process.pid, startedAt: startedAt(process.pid), ...note }
  const draft = `${file}.${process.pid}`
  await writeFile(draft, `${JSON.stringify(whole, undefined, 2)}\n`, { mode: 0o644 })
  await rename(draft, file)
}

/** Of the daemon that runs on this data directory; undefined when none does. */
export async function readNote(file: AbsolutePath): Promise<DaemonNote | undefined> {
  const text = await readFile(file, 'utf8').catch(() => undefined)
  if (text === undefined) return undefined
  try {
    const note = JSON.parse(text) as DaemonNote
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
  const note = await readNote(file)
  if (note?.pid === process.pid) await rm(file, { force: true })
}
