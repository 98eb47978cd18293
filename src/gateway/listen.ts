import type { Server } from 'node:net'

import { errorMessage, FlexiError } from '../core/errors.ts'
import { findPortHolder } from './port-holder.ts'

export interface ListenOptions {
  readonly host: string
  /** 0 takes any free port. */
  readonly port: number
  /** Tries the next ports when this one is taken. */
  readonly portFallback: boolean
  /** The descriptor of a socket that is bound already, to `host` and `port`: see held-port.ts. */
  readonly fd?: number | undefined
}

const FALLBACKS_MAX = 20
/** Node's own backlog of 511 drops connections of load tests and busy pages. */
const BACKLOG = 4_096

/**
 * Listens, and says on which port.
 * @throws FlexiError FLEXI_PORT_TAKEN naming who has it; FLEXI_USAGE when the address or port cannot be used at all.
 */
export async function listen(server: Server, options: ListenOptions): Promise<number> {
  const last = options.portFallback ? Math.min(options.port + FALLBACKS_MAX, 65_535) : options.port
  for (let port = options.port; ; port++) {
    const error = await tryListen(server, { ...options, port })
    if (error === undefined) return boundPort(server)
    if (error.code !== 'EADDRINUSE') throw unusableAddress(error, options.host, port)
    if (port >= last) throw await portTaken(error, options)
  }
}

function tryListen(
  server: Server,
  { host, port, fd }: ListenOptions,
): Promise<NodeJS.ErrnoException | undefined> {
  return new Promise((resolve) => {
    const onError = (error: Error): void => {
      server.off('listening', onListening)
      resolve(error)
    }
    const onListening = (): void => {
      server.off('error', onError)
      resolve(undefined)
    }
    server.once('error', onError).once('listening', onListening)
    if (fd === undefined) server.listen({ host, port, backlog: BACKLOG })
    // With a descriptor Node reads the backlog from the second argument alone.
    else server.listen({ fd }, BACKLOG)
  })
}

function boundPort(server: Server): number {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('an HTTP server without a TCP address')
  return address.port
}

/** Somebody else listens there. */
export async function portTaken(
  cause: NodeJS.ErrnoException,
  { host, port, portFallback }: ListenOptions,
): Promise<FlexiError> {
  const holder = await findPortHolder(port)
  const by = holder === undefined ? '' : ` by process ${holder.pid} (${holder.command})`
  const and = portFallback ? `, and so are the next ${FALLBACKS_MAX} ports` : ''
  const stop = holder === undefined ? 'Stop it' : `Stop it (kill ${holder.pid})`
  return new FlexiError('FLEXI_PORT_TAKEN', `${host}:${port} is taken${by}${and}`, {
    hint: `${stop}, or choose another port with --port.`,
    cause,
  })
}

const UNUSABLE: Readonly<Record<string, (host: string, port: number) => { message: string; hint: string }>> =
  {
    EACCES: (host, port) => ({
      message: `this user may not listen on ${host}:${port}`,
      hint: 'Choose a port above 1023 with --port.',
    }),
    EADDRNOTAVAIL: (host) => ({
      message: `${host} is no address of this machine`,
      hint: 'Use 127.0.0.1, or 0.0.0.0 for every address.',
    }),
    ENOTFOUND: (host) => ({
      message: `the host ${host} has no address`,
      hint: 'Use 127.0.0.1, or 0.0.0.0 for every address.',
    }),
  }

/** No port of that address can be listened on. */
export function unusableAddress(cause: NodeJS.ErrnoException, host: string, port: number): FlexiError {
  const known = UNUSABLE[cause.code ?? '']?.(host, port)
  if (known === undefined) {
    return new FlexiError('FLEXI_USAGE', `cannot listen on ${host}:${port}: ${errorMessage(cause)}`, {
      cause,
    })
  }
  return new FlexiError('FLEXI_USAGE', known.message, { hint: known.hint, cause })
}
