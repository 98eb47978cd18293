import { readFileSync } from 'node:fs'

/** Whether a process of this number runs. One that has ended, and that nobody has asked how, does not. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return !hasEnded(statusOf(pid))
  } catch (error) {
    // EPERM: it is there, and somebody else's.
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}

/** When a process started, as Linux counts it: numbers of processes come again. Undefined for one that does not run, and elsewhere. */
export function startedAt(pid: number): string | undefined {
  const status = statusOf(pid)
  return hasEnded(status) ? undefined : status[19]
}

function hasEnded([state = '']: readonly string[]): boolean {
  return /^[ZX]/.test(state)
}

/** What Linux says of a process, from its state on; nothing elsewhere. Source: proc(5), fields 3 and following. */
function statusOf(pid: number): readonly string[] {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The name before it may hold anything.
    return text.slice(text.lastIndexOf(')') + 2).split(' ')
  } catch {
    return []
  }
}
