import { chmod, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { join } from 'node:path'

import type { AbsolutePath } from '../core/place.ts'

/** A Unix socket for whoever may open it: the user the daemon runs as, and root. */
export interface OperatorSocket extends AsyncDisposable {
  readonly path: AbsolutePath
  /** Takes nothing new. Resolves when all that was asked is answered, or broken off at the limit; called again, the shorter one counts. */
  drain(limitMs: number): Promise<void>
}

/** Each process has a socket of its own: at a restart two of them serve for a while. */
export async function listenToOperator(
  directory: AbsolutePath,
  onRequest: (incoming: IncomingMessage, outgoing: ServerResponse) => void,
): Promise<OperatorSocket> {
  const path = join(directory, `operator-${process.pid}.sock`) as AbsolutePath
  await rm(path, { force: true })
  const server = createServer(onRequest)
  // Nobody else may open it, from its first moment on.
  const before = process.umask(0o177)
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(path, resolve)
    })
  } finally {
    process.umask(before)
  }
  await chmod(path, 0o600)
  let closed: Promise<void> | undefined
  const drain = (limitMs: number): Promise<void> => {
    closed ??= new Promise<void>((resolve) => server.close(() => resolve()))
    const late = setTimeout(() => server.closeAllConnections(), limitMs)
    return closed.finally(() => clearTimeout(late))
  }
  return { path, drain, [Symbol.asyncDispose]: () => drain(0) }
}
