import { readFileSync } from 'node:fs'

const PAGE_BYTES = 4096

/** Memory of a process and of all that it started, shared pages counted by each. */
export function residentBytes(pid: number): number {
  const own = Number(read(`/proc/${pid}/statm`).split(' ')[1] ?? 0) * PAGE_BYTES
  return childrenOf(pid).reduce((sum, child) => sum + residentBytes(child), own)
}

function childrenOf(pid: number): number[] {
  return read(`/proc/${pid}/task/${pid}/children`)
    .split(' ')
    .flatMap((word) => (word.trim() === '' ? [] : [Number(word)]))
}

/** What has ended meanwhile has nothing. */
function read(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
