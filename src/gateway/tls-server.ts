import { createServer, type SecureContext, type Server, type TLSSocket } from 'node:tls'

import { errorMessage } from '../core/errors.ts'
import type { Logger } from '../core/log.ts'
import type { GatewayTls } from './secure.ts'

export interface TlsServerOptions {
  readonly log: Logger
  readonly accept: (socket: TLSSocket) => void
}

const HANDSHAKE_MS = 10_000

/** A TLS server that does not listen: connections are given to it by its `connection` event. */
export function openTlsServer(tls: GatewayTls, { log, accept }: TlsServerOptions): Server {
  const chooseContext = async (
    serverName: string,
    chosen: (error: Error | null, context?: SecureContext) => void,
  ): Promise<void> => {
    let context: SecureContext | undefined
    try {
      context = await tls.contextFor(serverName)
    } catch (error) {
      // The fallback may do, and where it does not its mismatch tells the client more than a broken handshake.
      log.warn('certificate.fail', { serverName, message: errorMessage(error) })
    }
    chosen(null, context)
  }
  const server = createServer({
    ...tls.fallback,
    ALPNProtocols: ['h2', 'http/1.1'],
    handshakeTimeout: HANDSHAKE_MS,
    SNICallback: (serverName, callback) => void chooseContext(serverName, callback),
  })
  tls.onChange(() => server.setSecureContext(tls.fallback))
  return server
    .on('secureConnection', accept)
    .on('tlsClientError', (error: NodeJS.ErrnoException) =>
      log.debug('handshake.fail', { code: error.code, message: error.message }),
    )
}
