import { lookup } from 'node:dns/promises'
import net from 'node:net'
import { getSystemErrorName } from 'node:util'

import { portTaken, unusableAddress } from './listen.ts'

/**
 * A bound TCP socket, open in this process and listened on by another that inherits its descriptor. It outlives that process:
 * connections that arrive until the next one listens wait in the kernel's queue instead of being refused.
 */
export interface HeldPort extends Disposable {
  readonly fd: number
  readonly port: number
}

/**
 * Binds host and port; 0 takes any free port.
 * @throws FlexiError FLEXI_PORT_TAKEN naming who has it; FLEXI_USAGE when the address or port cannot be used at all.
 */
export async function holdPort({
  host,
  port,
}: {
  readonly host: string
  readonly port: number
}): Promise<HeldPort> {
  const { address, family } = await lookup(host).catch((error: NodeJS.ErrnoException) => {
    throw unusableAddress(error, host, port)
  })
  const handle = createServerHandle(address, port, family === 6 ? 6 : 4)
  if (typeof handle === 'number') throw await failure(handle, host, port)
  const bound: { port?: number } = {}
  // A taken port is told here, not when binding.
  const error = handle.getsockname(bound)
  if (error !== 0) {
    handle.close()
    throw await failure(error, host, port)
  }
  return { fd: handle.fd, port: bound.port ?? port, [Symbol.dispose]: () => handle.close() }
}

/** The part of Node's TCP handle that is used here. */
interface TcpHandle {
  readonly fd: number
  /** 0, or a negative error number. */
  getsockname(out: { port?: number }): number
  close(): void
}

/**
 * What `net.Server` and `node:cluster` bind with, under the name that Node has kept since 0.8. `net.Server` itself would do if it
 * did not accept: it takes connections from the moment it is bound, and the holder must never take one.
 */
const { _createServerHandle: createServerHandle } = net as unknown as {
  readonly _createServerHandle: (address: string, port: number, addressType: 4 | 6) => TcpHandle | number
}

function failure(number: number, host: string, port: number): Promise<Error> {
  const code = getSystemErrorName(number)
  const cause: NodeJS.ErrnoException = Object.assign(new Error(`bind ${code} ${host}:${port}`), { code })
  if (code === 'EADDRINUSE') return portTaken(cause, { host, port, portFallback: false })
  return Promise.resolve(unusableAddress(cause, host, port))
}
