import type { Duplex } from 'node:stream'

/**
 * Joins two connections until both are closed. An end on one is an end on the other, an error or a reset ends both; who reads
 * slowly holds the other one's sender back. Plain handlers cost less a byte than `pipe`.
 */
export async function splice(left: Duplex, right: Duplex): Promise<void> {
  await Promise.all([pump(left, right), pump(right, left)])
}

/** What waits for a slow reader. At Node's own mark, every read would stop the next one until its bytes are gone. */
const HELD_BYTES_MAX = 512 * 1024

/** Resolves when `from` is closed, and sees to it that `to` closes after its last bytes. */
function pump(from: Duplex, to: Duplex): Promise<void> {
  from.on('data', (chunk: Buffer) => {
    to.write(chunk)
    if (to.writableLength > HELD_BYTES_MAX) from.pause()
  })
  to.on('drain', () => from.resume())
  from.on('end', () => to.end())
  from.on('error', () => to.destroy())
  return new Promise((resolve) => {
    from.once('close', () => {
      if (to.writableFinished) to.destroy()
      else to.end(() => to.destroy())
      resolve()
    })
  })
}
