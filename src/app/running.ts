import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import type { DevEvent } from '../core/events.ts'
import type { AbsolutePath } from '../core/place.ts'
import { isAlive } from '../core/processes.ts'
import type { Project } from '../core/project.ts'
import { makeStateDirectory, stateDirectoryOf } from './files.ts'

/** Where a server of a folder listens. */
export interface RunningServer {
  readonly pid: number
  /** Where flexi's own paths begin: `http://127.0.0.1:8069/_flexi`. */
  readonly control: string
}

const folderOf = (directory: AbsolutePath): string => join(stateDirectoryOf(directory), 'run')

/**
 * Lets other commands find this server; disposing takes the note away. A note that cannot be written is missed by nobody but them.
 * `meet` is told of a server that is there already.
 */
export async function announceServer(
  directory: AbsolutePath,
  control: string | undefined,
  meet: (other: RunningServer) => void = () => undefined,
): Promise<AsyncDisposable> {
  const other = await runningServer(directory)
  if (other !== undefined && other.pid !== process.pid) meet(other)
  if (control === undefined) return { [Symbol.asyncDispose]: () => Promise.resolve() }
  const folder = folderOf(directory)
  const file = join(folder, `${process.pid}.json`)
  await makeStateDirectory(directory)
    .then(() => mkdir(folder, { recursive: true }))
    .then(() => writeFile(file, `${JSON.stringify({ pid: process.pid, control })}\n`))
    .catch(() => undefined)
  return { [Symbol.asyncDispose]: () => rm(file, { force: true }).catch(() => undefined) }
}

/** Two servers of a folder disturb each other only where both have the same databases open. */
export function warnOfTwin(project: Project, onEvent: (event: DevEvent) => void) {
  return ({ pid, control }: RunningServer): void => {
    if (!project.functions.some(({ provider }) => provider === 'workers')) return
    const message = `another flexi serves this folder at ${new URL(control).origin} (process ${pid}): their Workers share stored data, so that a write can fail with SQLITE_BUSY, and crons fire in both`
    onEvent({ event: 'warning', message })
  }
}

/** The server of this folder that was started last, if one runs. Notes of servers that were killed are taken away. */
export async function runningServer(directory: AbsolutePath): Promise<RunningServer | undefined> {
  const folder = folderOf(directory)
  const files = await readdir(folder).catch(() => [])
  const notes = await Promise.all(
    files
      .filter((name) => /^\d+\.json$/.test(name))
      .map(async (name) => {
        const note = parse(await readFile(join(folder, name), 'utf8').catch(() => ''))
        if (note !== undefined && isAlive(note.pid)) return note
        await rm(join(folder, name), { force: true })
        return undefined
      }),
  )
  // Of two, the one with the higher process id: they mostly rise, and either will do.
  return notes.flatMap((note) => note ?? []).toSorted((left, right) => right.pid - left.pid)[0]
}

function parse(text: string): RunningServer | undefined {
  try {
    const { pid, control } = JSON.parse(text) as Partial<RunningServer>
    return typeof pid === 'number' && typeof control === 'string' ? { pid, control } : undefined
  } catch {
    return undefined
  }
}
