import type { IncomingMessage, ServerResponse } from 'node:http'
import type { SecureContext, SecureContextOptions } from 'node:tls'

import { originForm } from '../forward/request-line.ts'
import type { Refusal } from './head-check.ts'

/** Certificates as the gateway asks for them. What answers may change at any time; connections keep what they have. */
export interface GatewayTls {
  /** Certificate and key for clients that name no server, or one that nobody knows. */
  readonly fallback: SecureContextOptions
  /** For the name that a client asks for; undefined takes the fallback. Asked once a connection. */
  contextFor(serverName: string): Promise<SecureContext | undefined>
  /** True when the certificate that was shown for `serverName` does not stand for this host, and another one does. */
  isMisdirected(serverName: string, hostName: string): boolean
  /** Calls back when the fallback has changed. */
  onChange(listener: () => void): void
}

/**
 * A client that has a connection to one host may ask for another on it when the certificate stands for both; it may not
 * get around a certificate of its own (RFC 9110 section 15.5.20, RFC 9113 section 9.1.2).
 */
export function checkServerName(incoming: IncomingMessage, tls: GatewayTls | undefined): Refusal | undefined {
  if (tls === undefined) return undefined
  const { servername } = incoming.socket as { servername?: unknown }
  const { host } = incoming.headers
  if (typeof servername !== 'string' || servername === '' || host === undefined) return undefined
  if (host.startsWith(servername) && PORT.test(host.slice(servername.length))) return undefined
  const hostName = host.replace(/:\d*$/, '').toLowerCase()
  if (hostName === servername.toLowerCase() || !tls.isMisdirected(servername, hostName)) return undefined
  return { status: 421, message: `${hostName} is not served on a connection made for ${servername}` }
}

/** What may follow the name. */
const PORT = /^(?::\d*)?$/

/** Without a host there is nowhere to send a client. */
export function checkRedirect({ headers }: IncomingMessage): Refusal | undefined {
  return (headers.host ?? '') === '' ? { status: 400, message: 'HTTPS is spoken here' } : undefined
}

/** Plain HTTP where TLS is spoken: the same address, with https. The connection ends, since nothing else is served on it. */
export function redirectToTls(incoming: IncomingMessage, outgoing: ServerResponse): void {
  const { host = '' } = incoming.headers
  outgoing.writeHead(308, [
    'Location',
    `https://${host}${originForm(incoming.url ?? '/')}`,
    'Content-Length',
    '0',
    'Connection',
    'close',
  ])
  outgoing.end()
  incoming.resume()
}
