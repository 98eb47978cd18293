import type { Server } from 'node:net'

import { shareSocket } from '../../../instances/held-socket.ts'

/** At `127.0.0.1:PORT`, or on a Unix socket for everybody who comes into its folder. @returns what it listens on. */
export async function listen(server: Server, socketPath: string | undefined): Promise<string> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    if (socketPath === undefined) server.listen(0, '127.0.0.1', () => resolve())
    else server.listen(socketPath, () => resolve())
  })
  if (socketPath !== undefined) {
    shareSocket(socketPath)
    return socketPath
  }
  const address = server.address()
  return `127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`
}
