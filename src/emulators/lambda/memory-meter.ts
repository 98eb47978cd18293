import { residentBytes } from '../../instances/memory.ts'

/** Follows what a process holds while it works, and not while it idles. */
export interface MemoryMeter {
  /** The process is at work until `rest`; it is looked at for a moment longer, in case more work comes at once. */
  work(): void
  rest(): void
  /** The most that was seen. */
  readonly usedMb: number
  stop(): void
}

const SAMPLE_MS = 50
const MB = 1024 * 1024

/** The process is asked for at each look: what runs may be known only after a while. `onExceeded` is called once, when the process holds more than `limitMb`. */
export function createMemoryMeter(
  of: { readonly pid: number | undefined },
  limitMb: number,
  onExceeded: () => void,
): MemoryMeter {
  let usedMb = 0
  let working = false
  /** Work came since the last look. */
  let worked = false
  let stopped = false
  let timer: NodeJS.Timeout | undefined
  const sample = async (): Promise<void> => {
    const { pid } = of
    const bytes = pid === undefined ? undefined : await residentBytes(pid)
    if (bytes === undefined || stopped) return
    usedMb = Math.max(usedMb, Math.ceil(bytes / MB))
    if (usedMb <= limitMb) return
    stop()
    onExceeded()
  }
  const stop = (): void => {
    stopped = true
    clearInterval(timer)
  }
  const tick = (): void => {
    void sample()
    if (!working && !worked) {
      clearInterval(timer)
      timer = undefined
    }
    worked = false
  }
  return {
    work() {
      working = true
      worked = true
      if (timer !== undefined || stopped) return
      void sample()
      timer = setInterval(tick, SAMPLE_MS)
      timer.unref()
    },
    rest() {
      working = false
    },
    get usedMb() {
      return usedMb
    },
    stop,
  }
}
