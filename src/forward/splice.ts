import type { Duplex } from 'node:stream'

export interface SpliceOptions {
  /** How long one side may outlive the end of the other, once that was passed on; without it for ever, as half-closed connections may. */
  readonly lingerMs?: number | undefined
}

/**
 * Joins two connections until both are closed. An end on one is an end on the other, an error or a reset ends both; who reads
 * slowly holds the other one's sender back. Plain handlers cost less a byte than `pipe`.
 */
export async function splice(left: Duplex, right: Duplex, options: SpliceOptions = {}): Promise<void> {
  await Promise.all([pump(left, right, options), pump(right, left, options)])
}

/** What waits for a slow reader. At Node's own mark, every read would stop the next one until its bytes are gone. */
const HELD_BYTES_MAX = 512 * 1024

/** Resolves when `from` is closed, and sees to it that `to` closes after its last bytes. */
function pump(from: Duplex, to: Duplex, { lingerMs }: SpliceOptions): Promise<void> {
  const onEnd = (): void => {
    to.end(() => {
      if (lingerMs !== undefined) linger(from, to, lingerMs)
    })
  }
  from.on('data', (chunk: Buffer) => {
    to.write(chunk)
    if (to.writableLength > HELD_BYTES_MAX) from.pause()
  })
  to.on('drain', () => from.resume())
  // One that ended before has said so already.
  if (from.readableEnded) onEnd()
  else from.on('end', onEnd)
  from.on('error', () => to.destroy())
  return new Promise((resolve) => {
    const onClose = (): void => {
      if (to.writableFinished) to.destroy()
      else to.end(() => to.destroy())
      resolve()
    }
    if (from.closed) onClose()
    else from.once('close', onClose)
  })
}

function linger(from: Duplex, to: Duplex, ms: number): void {
  const timer = setTimeout(() => {
    from.destroy()
    to.destroy()
  }, ms)
  from.once('close', () => clearTimeout(timer))
}
