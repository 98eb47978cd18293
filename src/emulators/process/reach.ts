import { setTimeout as wait } from 'node:timers/promises'

import { accepts, LOOPBACKS } from '../../instances/accepts.ts'
import { holdSocket, type HeldSocket } from '../../instances/held-socket.ts'
import type { ListenPlace } from './place.ts'

/** Where a program that listens is asked. */
export interface Reached {
  readonly host: string
  readonly port: number
  /** A Unix socket in place of host and port. */
  readonly socketPath: string | undefined
  close(): void
}

const LOOK_MS_MIN = 3
const LOOK_MS_MAX = 50

/** There is no event for something that somebody begins to listen on: it is looked at, often at first. `isApart`: others write to its folder. */
export async function untilOpen(place: ListenPlace, isApart: boolean, signal: AbortSignal): Promise<Reached> {
  for (let ms = LOOK_MS_MIN; ; ms = Math.min(LOOK_MS_MAX, ms * 1.5)) {
    const { socketPath, port = 0 } = place
    const found = socketPath === undefined ? await openPort(port) : await openSocket(socketPath, isApart)
    if (found !== undefined) return found
    await wait(ms)
    signal.throwIfAborted()
  }
}

async function openPort(port: number): Promise<Reached | undefined> {
  for (const host of LOOPBACKS)
    if (await accepts({ host, port })) return { host, port, socketPath: undefined, close: () => undefined }
  return undefined
}

/** By what it is, where somebody could put a link in its place. */
async function openSocket(path: string, isApart: boolean): Promise<Reached | undefined> {
  const held: HeldSocket | undefined = isApart ? holdSocket(path) : { path, close: () => undefined }
  if (held === undefined) return undefined
  if (await accepts({ path: held.path }))
    return { host: 'localhost', port: 0, socketPath: held.path, close: () => held.close() }
  held.close()
  return undefined
}
