/**
 * A started process that waits for code, so that a reload or a crash costs its load and not its start.
 * A spare is made only while someone is editing or crashing: an idle project pays for none.
 */
export interface Spare extends AsyncDisposable {
  /** False once the process is gone: such a spare is never handed out. */
  readonly alive: boolean
}

export interface Standby<T extends Spare> extends AsyncDisposable {
  /** The spare, or a new one. */
  take(): T
  /** Sees to it that a spare exists; it is dropped when nobody takes it for `idleMs`. */
  prepare(): void
}

export function createStandby<T extends Spare>(make: () => T, { idleMs = 300_000 } = {}): Standby<T> {
  let spare: T | undefined
  let timer: NodeJS.Timeout | undefined
  let disposed = false
  const drop = async (): Promise<void> => {
    clearTimeout(timer)
    const unused = spare
    spare = undefined
    await unused?.[Symbol.asyncDispose]()
  }
  return {
    take() {
      const taken = spare?.alive === true ? spare : make()
      spare = undefined
      clearTimeout(timer)
      return taken
    },
    prepare() {
      if (disposed) return
      if (spare?.alive !== true) spare = make()
      clearTimeout(timer)
      timer = setTimeout(() => void drop(), idleMs)
      timer.unref()
    },
    async [Symbol.asyncDispose]() {
      disposed = true
      await drop()
    },
  }
}
