import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { readdir, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

import { isLeftOver } from '../place.ts'

/** Folders of control groups that are ours begin with it; an id of a sandbox follows. */
const PREFIX = 'flexi.'

const BUSY_WAIT_MS = 20
const BUSY_TRIES = 150
/** As many times nobody is ended: whoever is on its way out shall tell how it ended. */
const PATIENT_TRIES = 25

export function groupName(id: string): string {
  return `${PREFIX}${id}`
}

export function makeGroup(parent: string, name: string): string {
  const path = join(parent, name)
  mkdirSync(path, { recursive: true })
  return path
}

/** Writes one of the kernel's control files. @throws Error */
export function setControl(group: string, name: string, value: string | number): void {
  writeFileSync(join(group, name), String(value), { flag: 'r+' })
}

/** Undefined where the kernel has no such file. */
export function getControl(group: string, name: string): string | undefined {
  try {
    return readFileSync(join(group, name), 'utf8')
  } catch {
    return undefined
  }
}

/** Removes groups once they are empty: the kernel takes a moment to let go of the dead. What stays longer is ended. */
export async function removeGroups(groups: readonly string[]): Promise<void> {
  for (let tries = 0; tries < BUSY_TRIES; tries += 1) {
    if (tries >= PATIENT_TRIES) for (const group of groups) endProcesses(group)
    const isGone = groups.map((group) => removeGroup(group))
    if (isGone.every(Boolean)) return
    await delay(BUSY_WAIT_MS)
  }
}

function endProcesses(group: string): void {
  for (const line of (getControl(group, 'cgroup.procs') ?? '').split('\n')) {
    const pid = Number(line)
    if (pid > 0 && pid !== process.pid) end(pid)
  }
}

function end(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // ESRCH: it is gone.
  }
}

/** Whether it is gone. */
export function removeGroup(group: string): boolean {
  try {
    rmdirSync(group)
    return true
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'ENOENT'
  }
}

/** Removes the groups of daemons that were killed, with what still runs in them. */
export async function removeLeftOverGroups(parent: string): Promise<void> {
  const names = await readdir(parent).catch(() => [])
  for (const name of names) {
    if (!name.startsWith(PREFIX) || isLeftOver(name.slice(PREFIX.length)) !== true) continue
    const group = join(parent, name)
    const children = await readdir(group, { withFileTypes: true }).catch(() => [])
    await removeGroups(children.filter((each) => each.isDirectory()).map((each) => join(group, each.name)))
    await rmdir(group).catch(() => undefined)
  }
}
