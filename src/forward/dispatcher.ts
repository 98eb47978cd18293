import type { Dispatcher } from 'undici'

import { serverNameOf, tlsOptions, type ClientTls } from './client-tls.ts'
import { HEAD_BYTES_MAX } from './http1-head.ts'
import { readToTheEnd } from './read-to-the-end.ts'

export type { Dispatcher } from 'undici'

export interface DispatcherOptions {
  /** How long a connection may take to open; default 10 000. */
  readonly connectMs?: number | undefined
  /** Connections at once; without it as many as there are requests at once. */
  readonly connectionsMax?: number | undefined
  /** Idle time after which a connection is closed when the upstream names none; default 4 000, below every common server's own. */
  readonly keepAliveMs?: number | undefined
  /** A Unix socket to connect to in place of the origin's host and port. */
  readonly socketPath?: string | undefined
  /** For an `https` origin. */
  readonly tls?: ClientTls | undefined
}

const CONNECT_MS = 10_000
const KEEP_ALIVE_MS = 4_000

/**
 * Opens a pool of keep-alive connections to one origin (`http://127.0.0.1:3000`); nothing is connected before the first request.
 * Loads undici on the first call, so that projects without upstreams do not pay for it.
 */
export async function createDispatcher(origin: string, options: DispatcherOptions = {}): Promise<Dispatcher> {
  const [{ default: Pool }, { default: buildConnector }] = await Promise.all([
    import('undici/lib/dispatcher/pool.js'),
    import('undici/lib/core/connect.js'),
  ])
  const { hostname } = new URL(origin)
  const connect = buildConnector({
    timeout: options.connectMs ?? CONNECT_MS,
    ...(options.socketPath === undefined ? {} : { socketPath: options.socketPath }),
    ...tlsOptions(hostname, options.tls),
  })
  const servername = serverNameOf(hostname, options.tls)
  return new Pool(origin, {
    connections: options.connectionsMax ?? null,
    pipelining: 1,
    keepAliveTimeout: options.keepAliveMs ?? KEEP_ALIVE_MS,
    maxHeaderSize: HEAD_BYTES_MAX,
    connect: (target, callback) => {
      connect({ ...target, servername: servername ?? '' }, (...[error, socket]) => {
        if (error !== null) callback(error, null)
        else callback(null, readToTheEnd(socket))
      })
    },
  })
}
