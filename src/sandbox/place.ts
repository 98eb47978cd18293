import { chmod, mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'

import type { AbsolutePath } from '../core/place.ts'
import { isAlive, startedAt } from '../core/processes.ts'
import { removeStages } from './staging.ts'
import { runTool } from './tools.ts'

/** What one process calls its part of the sandbox's folder and its control groups: two daemons may share the folder for a while. */
export interface OwnPlace {
  /** `8xk.2f3a1.1`: process id, the time it began, and which of its sandboxes it is. */
  readonly id: string
  readonly directory: AbsolutePath
}

const ID = /^([0-9a-z]+)\.([0-9a-z]+)\.[0-9a-z]+$/

let opened = 0

/** Makes it. Everybody may look into it: what is not for everybody has modes of its own. */
export async function openPlace(directory: AbsolutePath): Promise<OwnPlace> {
  opened += 1
  const id = `${process.pid.toString(36)}.${(beganAt(process.pid) ?? 0).toString(36)}.${opened.toString(36)}`
  const own = join(directory, id) as AbsolutePath
  await mkdir(own, { recursive: true })
  // Whatever our umask is.
  await chmod(directory, 0o711)
  await chmod(own, 0o711)
  return { id, directory: own }
}

/** Whether the process that an id of ours names is gone. Undefined for what is no id. */
export function isLeftOver(id: string): boolean | undefined {
  const match = ID.exec(id)
  if (match === null) return undefined
  const [, pid = '', began = ''] = match
  return beganAt(Number.parseInt(pid, 36)) !== Number.parseInt(began, 36)
}

/** Removes what killed daemons left in the folder. */
export async function removeLeftOvers(directory: AbsolutePath, umount: string | undefined): Promise<void> {
  removeStages((id) => isLeftOver(id) === true)
  const names = await readdir(directory).catch(() => [])
  for (const name of names.filter((each) => isLeftOver(each) === true)) {
    const folder = join(directory, name) as AbsolutePath
    await unmountAll(folder, umount)
    await rm(folder, { recursive: true, force: true })
  }
}

/** Unmounts every file system at or below a folder. */
export async function unmountAll(folder: AbsolutePath, umount: string | undefined): Promise<void> {
  if (umount === undefined) return
  const mounts = await readFile('/proc/self/mountinfo', 'utf8').catch(() => '')
  const points = mounts
    .split('\n')
    .map((line) => (line.split(' ')[4] ?? '').replaceAll('\\040', ' '))
    .filter((point) => point === folder || point.startsWith(`${folder}/`))
  for (const point of points.reverse()) await runTool(umount, ['--lazy', point]).catch(() => undefined)
}

/** Clock ticks after the start of the system; undefined when there is no such process. Other systems than Linux only tell that there is. */
function beganAt(pid: number): number | undefined {
  if (process.platform !== 'linux') return isAlive(pid) ? 0 : undefined
  const ticks = startedAt(pid)
  return ticks === undefined ? undefined : Number(ticks)
}
