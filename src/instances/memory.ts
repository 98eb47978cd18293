import { readFile } from 'node:fs/promises'

const SAMPLE_MS = 50
/** 4 KiB on every Linux that Node 20 runs on but some arm64 builds; those overstate nothing, they only notice later. */
const PAGE_BYTES = 4096

/** Resident bytes of a process, or undefined where the system does not tell (not Linux, or the process is gone). */
export async function residentBytes(pid: number): Promise<number | undefined> {
  try {
    const [, resident] = (await readFile(`/proc/${pid}/statm`, 'ascii')).split(' ')
    return Number(resident) * PAGE_BYTES
  } catch {
    return undefined
  }
}

/** Calls `onExceeded` once when the process holds more than `bytesMax`; looks every 50 ms until stopped. */
export function watchMemory(pid: number, bytesMax: number, onExceeded: (bytes: number) => void): () => void {
  let stopped = false
  const timer = setInterval(() => {
    void residentBytes(pid).then((bytes) => {
      if (stopped || bytes === undefined || bytes <= bytesMax) return
      stopped = true
      clearInterval(timer)
      onExceeded(bytes)
    })
  }, SAMPLE_MS)
  timer.unref()
  return () => {
    stopped = true
    clearInterval(timer)
  }
}
