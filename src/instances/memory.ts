import { closeSync, openSync, readSync } from 'node:fs'
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
  const meter = openMeter(pid)
  if (meter === undefined) return () => undefined
  let file: number | undefined = meter
  const stop = (): void => {
    clearInterval(timer)
    if (file !== undefined) closeSync(file)
    file = undefined
  }
  const timer = setInterval(() => {
    const bytes = file === undefined ? undefined : readMeter(file)
    if (bytes === undefined || bytes <= bytesMax) return
    stop()
    onExceeded(bytes)
  }, SAMPLE_MS)
  timer.unref()
  return stop
}

function openMeter(pid: number): number | undefined {
  try {
    return openSync(`/proc/${pid}/statm`, 'r')
  } catch {
    // Not Linux, or the process is gone.
    return undefined
  }
}

const text = Buffer.alloc(128)

/** One call of the system, which waits for no disk: twenty of them a second cost less than one read in the background. */
function readMeter(file: number): number | undefined {
  try {
    const [, resident] = text.toString('latin1', 0, readSync(file, text, 0, text.length, 0)).split(' ')
    return Number(resident) * PAGE_BYTES
  } catch {
    // ESRCH: the process is gone.
    return undefined
  }
}
