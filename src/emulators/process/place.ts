import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import type { Confinement } from '../../core/confinement.ts'
import { removeSocket } from '../../instances/held-socket.ts'
import type { ProcessOptions } from './options.ts'

/** Where a program is told to listen, and where we ask it. */
export interface ListenPlace extends AsyncDisposable {
  /** What tells the program. */
  readonly variables: Readonly<Record<string, string>>
  /** Undefined where it listens on a Unix socket. */
  readonly port: number | undefined
  /** Undefined where we reach its port. */
  readonly socketPath: string | undefined
}

/** In a network of its own, where nobody else listens. */
const PORT_INSIDE = 8080

export async function listenPlace(
  { listen }: Pick<ProcessOptions, 'listen'>,
  confinement: Confinement | undefined,
): Promise<ListenPlace> {
  const isApart = confinement?.sharesLoopback === false
  if (listen !== 'socket' && !isApart) return portPlace(listen ?? (await freePort()))
  const folder = confinement?.runDirectory ?? (await mkdtemp(join(tmpdir(), 'flexi-run-')))
  const socketPath = join(folder, `${randomBytes(6).toString('hex')}.sock`)
  const port = listen === 'socket' ? undefined : (listen ?? PORT_INSIDE)
  const dispose = async (): Promise<void> => {
    if (confinement === undefined) await rm(folder, { recursive: true, force: true })
    else removeSocket(socketPath)
  }
  const variables: Record<string, string> = port === undefined ? { SOCKET: socketPath } : portVariables(port)
  return { variables, port, socketPath, [Symbol.asyncDispose]: dispose }
}

function portPlace(port: number): ListenPlace {
  return {
    variables: portVariables(port),
    port,
    socketPath: undefined,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
}

/** YFASS_PORT: for programs that were written for YFASS. */
function portVariables(port: number): Record<string, string> {
  return { PORT: String(port), YFASS_PORT: String(port) }
}

/** The system gives it to nobody else for a while: it was bound a moment ago. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      const port = typeof address === 'object' && address !== null ? address.port : 0
      server.close(() => resolve(port))
    })
  })
}
