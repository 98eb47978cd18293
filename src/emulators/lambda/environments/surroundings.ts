import { randomBytes } from 'node:crypto'
import { join } from 'node:path'

import type { Confinement } from '../../../core/confinement.ts'
import { FlexiError } from '../../../core/errors.ts'
import { startChild, type Child, type ChildOptions } from '../../../instances/child.ts'
import { openGuest } from '../../../instances/guest/guest.ts'
import { holdSocket, removeSocket, type HeldSocket } from '../../../instances/held-socket.ts'
import type { Confined } from '../confined.ts'
import type { RuntimeApi } from './runtime-api.ts'

/** What the processes of one environment have in common: where they run, and where its APIs are for them. */
export interface Surroundings {
  /** What AWS_LAMBDA_RUNTIME_API says: `127.0.0.1:PORT`, or `unix:PATH` for a runtime of ours. */
  readonly address: string
  readonly start: (options: ChildOptions) => Child
  /** The Unix socket by which a port of theirs is reached from here; undefined where the port itself can be. */
  readonly reach: ((port: number) => Promise<string>) | undefined
  close(): Promise<void>
}

export interface SurroundingsOptions {
  readonly api: RuntimeApi
  readonly confined: Confined
  readonly cwd: string
  /** One process of ours, which speaks to Unix sockets too. */
  readonly speaksSockets: boolean
  readonly onLine: (stream: 'stdout' | 'stderr', text: string) => void
}

/** @throws FlexiError FLEXI_SANDBOX when what keeps them apart cannot be started. */
export async function openSurroundings(options: SurroundingsOptions): Promise<Surroundings> {
  const { api, confined, speaksSockets } = options
  const { confinement } = confined
  if (confinement === undefined || confinement.sharesLoopback)
    return direct(await api.listen(), confined, () => Promise.resolve())
  const socketPath = socketIn(confinement)
  await api.listen(socketPath)
  const forget = (): void => removeSocket(socketPath)
  if (speaksSockets) return direct(`unix:${socketPath}`, confined, () => Promise.resolve(forget()))
  return inTheirNetwork(options, { confinement, socketPath, forget })
}

function direct(
  address: string,
  { confinement, readable }: Confined,
  close: () => Promise<void>,
): Surroundings {
  return {
    address,
    start: (options) =>
      startChild({ ...options, confinement, readable: [...readable, ...(options.readable ?? [])] }),
    reach: undefined,
    close,
  }
}

interface Apart {
  readonly confinement: Confinement
  readonly socketPath: string
  readonly forget: () => void
}

/** All of them share a network of their own, as in the cloud; a process of ours in there leads to the APIs. */
async function inTheirNetwork(
  { confined, cwd, onLine }: SurroundingsOptions,
  { confinement, socketPath, forget }: Apart,
): Promise<Surroundings> {
  const guest = openGuest({ confinement, cwd, readable: confined.readable, onLine })
  const died = guest.exited.then(({ error }) => {
    const cause = error === undefined ? {} : { cause: error }
    throw new FlexiError('FLEXI_SANDBOX', error?.message ?? 'what keeps the function apart has ended', cause)
  })
  const held: HeldSocket[] = []
  const reached = new Map<number, Promise<string>>()
  const open = async (port: number): Promise<string> => {
    const path = socketIn(confinement)
    await guest.open(path, port)
    const socket = holdSocket(path)
    if (socket === undefined) throw new Error(`there is no socket for port ${port}`)
    held.push(socket)
    return socket.path
  }
  const close = async (): Promise<void> => {
    await guest[Symbol.asyncDispose]()
    for (const socket of held) socket.close()
    forget()
  }
  try {
    const port = await Promise.race([guest.lead(socketPath), died])
    return {
      address: `127.0.0.1:${port}`,
      start: (options) => guest.start(options),
      reach(inside) {
        const known = reached.get(inside) ?? open(inside)
        reached.set(inside, known)
        return known
      },
      close,
    }
  } catch (error) {
    await close()
    throw error
  } finally {
    died.catch(() => undefined)
  }
}

function socketIn({ runDirectory }: Confinement): string {
  return join(runDirectory, `${randomBytes(6).toString('hex')}.sock`)
}
