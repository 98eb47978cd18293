import { readFileSync } from 'node:fs'

export interface FoundProgram {
  readonly pid: number
  /** False as long as it is only what will start the program. */
  readonly isFinal: boolean
}

/**
 * The program that runs behind a launcher (`setpriv … bwrap … PROGRAM`): the launcher itself as long as it has started nothing, or where
 * the system does not tell. In a process namespace of its own, the program is what the first process there has started.
 */
export function programBehind(launcher: number): FoundProgram {
  const [first] = insideOf(launcher)
  if (first === undefined) return { pid: launcher, isFinal: false }
  const [program] = childrenOf(first)
  return { pid: program ?? first, isFinal: program !== undefined }
}

/** Everything in the process namespace behind a launcher but its first process, parents first; none where there is no such namespace. */
export function programsBehind(launcher: number): readonly number[] {
  const [first, ...others] = insideOf(launcher)
  if (first === undefined) return []
  // Alone in there, the first one is the program.
  return others.length === 0 ? [first] : others
}

/** The child of a process that has this number in its own namespace. */
export function numberedBelow(parent: number, inside: number): number | undefined {
  return childrenOf(parent).find((pid) => numbersOf(pid).at(-1) === String(inside))
}

/** The processes below `launcher` in a namespace that is not ours. */
function insideOf(launcher: number): number[] {
  const found: number[] = []
  const open = [launcher]
  for (let pid = open.shift(); pid !== undefined; pid = open.shift()) {
    if (pid !== launcher && isInside(pid)) found.push(pid)
    open.push(...childrenOf(pid))
  }
  return found
}

function childrenOf(pid: number): number[] {
  // A process may have started others from any of its threads; launchers and their first process have one.
  return read(`/proc/${pid}/task/${pid}/children`).split(' ').filter(Boolean).map(Number)
}

function isInside(pid: number): boolean {
  return numbersOf(pid).length > ownDepth()
}

let depth: number | undefined

/** How many process namespaces we are in ourselves, as far as our /proc tells. */
function ownDepth(): number {
  depth ??= Math.max(1, numbersOf('self').length)
  return depth
}

/** `NSpid:\t4711\t2`: a number in each of the namespaces that it is in, the innermost last. */
function numbersOf(pid: number | 'self'): string[] {
  const line = /^NSpid:(.*)$/m.exec(read(`/proc/${pid}/status`))?.[1] ?? ''
  return line.trim().split(/\s+/)
}

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    // Not Linux, or the process is gone.
    return ''
  }
}
