import { randomBytes } from 'node:crypto'
import { chmodSync, lchownSync, lstatSync, mkdirSync, readdirSync, rmSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'

import type { Confinement } from '../../../core/confinement.ts'
import { holdSocket, type HeldSocket } from '../../../instances/held-socket.ts'
import type { RunFolder } from '../run-folder.ts'

/** A runtime's own places in a confinement, which may have two runtimes for a moment. */
export interface ConfinedFolder extends RunFolder {
  /**
   * Where a process of the confinement is to put a socket: in the run folder itself, of which it may change everything but its place.
   * `name` is short.
   */
  socketPath(name: string): string
  /** How to connect to it, whatever is put in its place later. @throws Error when it is not there, or is none. */
  hold(name: string): string
}

/** Whoever opened the confinement looks after what is left of it when we are killed. */
export function openConfinedFolder({ runDirectory }: Confinement): ConfinedFolder {
  const name = randomBytes(4).toString('hex')
  // Beside the run folder, which may be a small file system in memory, a program has room.
  const path = `${runDirectory}.${name}`
  // A configuration in it holds secrets, and what opens the control.
  mkdirSync(path, { mode: 0o700 })
  const names = new Set<string>()
  const held = new Map<string, HeldSocket>()
  const socketPath = (socket: string): string => {
    names.add(socket)
    return join(runDirectory, `${name}.${socket}`)
  }
  return {
    path,
    socketPath,
    hold(socket) {
      const one = held.get(socket) ?? holdSocket(socketPath(socket))
      if (one === undefined) throw new Error(`${socketPath(socket)} is no socket`)
      held.set(socket, one)
      return one.path
    },
    // It ends with us in any case.
    belongsTo: () => Promise.resolve(),
    remove: () => {
      for (const socket of names) unlinked(socketPath(socket))
      rmSync(path, { recursive: true, force: true })
      letGo([...held.values()])
      return Promise.resolve()
    },
  }
}

function unlinked(path: string): void {
  try {
    unlinkSync(path)
  } catch {
    // It is gone, or never was; and what else is put there goes with the run folder.
  }
}

const LET_GO_MS = 10_000

/** Who is about to connect must not meet whoever is given the number next. */
function letGo(sockets: readonly HeldSocket[]): void {
  if (sockets.length === 0) return
  setTimeout(() => {
    for (const socket of sockets) socket.close()
  }, LET_GO_MS).unref()
}

/**
 * Lets the user that the confinement's processes run as, whose run folder tells, read what we wrote, and change nothing: where it could, we might be led elsewhere when we write there again. Sockets in it
 * can be connected to.
 */
export function share(path: string, { runDirectory }: Confinement): void {
  const { uid, gid } = lstatSync(runDirectory)
  if (uid !== process.getuid?.()) shareWith(path, gid)
}

const MODES = { folder: 0o750, file: 0o660 } as const

function shareWith(path: string, gid: number): void {
  const isFolder = lstatSync(path).isDirectory()
  lchownSync(path, -1, gid)
  chmodSync(path, isFolder ? MODES.folder : MODES.file)
  if (isFolder) for (const name of readdirSync(path)) shareWith(join(path, name), gid)
}
