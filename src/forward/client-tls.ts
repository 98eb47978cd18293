import { isIP } from 'node:net'
import type { ConnectionOptions, SecureContext } from 'node:tls'

/** How a connection to an `https` upstream is secured. */
export interface ClientTls {
  /** Authorities and client certificate, read and parsed once; the system's authorities when undefined. */
  readonly context?: SecureContext | undefined
  /** False accepts any certificate. Default true. */
  readonly verify?: boolean | undefined
  /** Name asked for and checked in place of the host. */
  readonly serverName?: string | undefined
}

/**
 * The name in the TLS handshake; undefined for an address, which is checked but not asked for (RFC 6066 section 3).
 * It never follows the request's Host: who may be reached is the configuration's decision.
 */
export function serverNameOf(host: string, tls: ClientTls | undefined): string | undefined {
  const name = tls?.serverName ?? host.replace(/^\[|\]$/g, '')
  return isIP(name) === 0 ? name : undefined
}

export function tlsOptions(
  host: string,
  tls: ClientTls | undefined,
): Pick<ConnectionOptions, 'servername' | 'secureContext' | 'rejectUnauthorized'> {
  const servername = serverNameOf(host, tls)
  return {
    ...(servername === undefined ? {} : { servername }),
    ...(tls?.context === undefined ? {} : { secureContext: tls.context }),
    rejectUnauthorized: tls?.verify ?? true,
  }
}
