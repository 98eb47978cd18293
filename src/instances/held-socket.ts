import { chmodSync, closeSync, constants, fstatSync, lstatSync, openSync, rmSync } from 'node:fs'

/** A Unix socket that stays what it was found to be. */
export interface HeldSocket {
  /** To connect to. */
  readonly path: string
  close(): void
}

/** Of Linux: the file is only named, neither read nor written. Node has no constant for it; x86_64 and aarch64 have the same. */
const O_PATH = 0o10000000

/** Elsewhere nobody else writes to such a folder: only Linux has users of functions. */
const canHold = process.platform === 'linux'

/**
 * Takes hold of a socket in a folder that somebody else may write to: they could put a link to another one in its place, such as the daemon's
 * own, and have us speak to that with our rights. Undefined as long as no socket is there.
 */
export function holdSocket(path: string): HeldSocket | undefined {
  if (!canHold) return isSocket(path) ? { path, close: () => undefined } : undefined
  const fd = openSocket(path)
  if (fd === undefined) return undefined
  let isOpen = true
  return {
    path: `/proc/self/fd/${fd}`,
    close() {
      if (isOpen) closeSync(fd)
      isOpen = false
    },
  }
}

/** Lets every user who comes into its folder connect to a socket of ours. */
export function shareSocket(path: string): void {
  const socket = holdSocket(path)
  // By its name, what has taken its place would be opened to all.
  if (socket !== undefined) chmodSync(socket.path, 0o666)
  socket?.close()
}

function isSocket(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSocket() === true
}

/** Whatever it has become. */
export function removeSocket(path: string): void {
  rmSync(path, { force: true, recursive: true })
}

function openSocket(path: string): number | undefined {
  let fd: number | undefined
  try {
    fd = openSync(path, O_PATH | constants.O_NOFOLLOW)
    if (fstatSync(fd).isSocket()) return fd
  } catch {
    // Not there yet, or gone.
  }
  if (fd !== undefined) closeSync(fd)
  return undefined
}
