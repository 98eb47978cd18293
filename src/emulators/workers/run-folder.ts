import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

import type { AbsolutePath } from '../../core/place.ts'
import { startedAt } from '../../core/processes.ts'

/** What one runtime needs on the disk while it runs. */
export interface RunFolder {
  readonly path: string
  /** Writes down which process runs in it, for whoever has to end it when we cannot. */
  belongsTo(pid: number | undefined): Promise<void>
  remove(): Promise<void>
}

/** A process, so that no other one is taken for it: numbers are given out again. */
interface ProcessNote {
  readonly pid: number
  /** When it began, in the system's own words. */
  readonly since: string
}

interface RunNote {
  readonly owner: ProcessNote
  readonly workerd: ProcessNote
}

const NOTE = 'process.json'

/** A folder of its own for a runtime; the first one also takes away what flexis that were killed left behind. */
export async function openRunFolder(state: AbsolutePath): Promise<RunFolder> {
  const runs = join(state, 'run')
  const path = join(runs, `${process.pid}-${randomUUID()}`)
  // A configuration in it holds secrets, and what opens the control: nobody else of this machine is to read them.
  await mkdir(path, { recursive: true, mode: 0o700 })
  void cleanOnce(runs)
  return {
    path,
    async belongsTo(pid) {
      const [owner, workerd] = await Promise.all([noteOf(process.pid), noteOf(pid)])
      if (owner === undefined || workerd === undefined) return
      const note: RunNote = { owner, workerd }
      // The runtime may be gone by now, and its folder with it.
      await writeFile(join(path, NOTE), JSON.stringify(note)).catch(() => undefined)
    },
    // What cannot be removed now is at the next start.
    remove: () => rm(path, { recursive: true, force: true }).catch(() => undefined),
  }
}

const cleaned = new Map<string, Promise<void>>()

function cleanOnce(runs: string): Promise<void> {
  const known = cleaned.get(runs)
  if (known !== undefined) return known
  const cleaning = cleanRuns(runs).catch(() => undefined)
  cleaned.set(runs, cleaning)
  return cleaning
}

/** Ends processes whose owner is gone, and removes their folders. Where the kernel ends them with their owner, only folders are left. */
export async function cleanRuns(runs: string): Promise<void> {
  const names = await readdir(runs).catch(() => [])
  await Promise.all(
    names.map(async (name) => {
      const path = join(runs, name)
      const note = await readNote(path)
      if (await isOwned(name, note?.owner)) return
      if (note !== undefined && (await isRunning(note.workerd))) process.kill(note.workerd.pid, 'SIGKILL')
      await rm(path, { recursive: true, force: true })
    }),
  )
}

async function readNote(path: string): Promise<RunNote | undefined> {
  const text = await readFile(join(path, NOTE), 'utf8').catch(() => undefined)
  if (text === undefined) return undefined
  try {
    return JSON.parse(text) as RunNote
  } catch {
    // Its writer was killed while it wrote.
    return undefined
  }
}

/** A folder without a note belongs to a start that is under way, or was killed: its name tells whose. */
async function isOwned(name: string, owner: ProcessNote | undefined): Promise<boolean> {
  if (owner !== undefined) return await isRunning(owner)
  const [, pid] = /^(\d{1,7})-/.exec(name) ?? []
  return pid !== undefined && (await startOf(Number(pid))) !== undefined
}

async function isRunning({ pid, since }: ProcessNote): Promise<boolean> {
  return (await startOf(pid)) === since
}

async function noteOf(pid: number | undefined): Promise<ProcessNote | undefined> {
  const since = pid === undefined ? undefined : await startOf(pid)
  return pid === undefined || since === undefined ? undefined : { pid, since }
}

/** When a process began, in words that compare; undefined when there is none. */
async function startOf(pid: number): Promise<string | undefined> {
  if (process.platform === 'linux') return startedAt(pid)
  const { stdout } = await promisify(execFile)('ps', ['-o', 'lstart=', '-p', String(pid)]).catch(() => ({
    stdout: '',
  }))
  return stdout.trim() === '' ? undefined : stdout.trim()
}
