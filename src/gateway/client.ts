import type { IncomingHttpHeaders } from 'node:http'
import { isIP, type Socket } from 'node:net'

import type { AddressList } from '../core/addresses.ts'
import { forwardedNodes } from '../forward/client-fields.ts'

/** One end of a connection. */
interface Hop {
  readonly address: string
  /** 0 when nobody says. */
  readonly port: number
}

/** Who asks. */
export interface Client extends Hop {
  readonly protocol: 'http' | 'https'
  /** The proxy that speaks for the client. */
  readonly trustedPeer: string | undefined
}

/** The other end of a connection is the client, as long as no proxy is trusted. */
export function peerOf(socket: Socket): Client {
  return {
    address: plainAddress(socket.remoteAddress ?? ''),
    port: socket.remotePort ?? 0,
    protocol: 'encrypted' in socket && socket.encrypted === true ? 'https' : 'http',
    trustedPeer: undefined,
  }
}

/**
 * The first hop, counted from us, that is no trusted proxy: what stands before it in X-Forwarded-For anyone could have written.
 * Forwarded (RFC 7239) is read when there is no X-Forwarded-For. `peer` is trusted.
 */
export function readClient(headers: IncomingHttpHeaders, peer: Client, trusted: AddressList): Client {
  let client: Hop = peer
  const hops = hopsOf(headers)
  for (let i = hops.length - 1; i >= 0; i--) {
    const hop = parseHop(hops[i] ?? '')
    if (hop === undefined) break
    client = hop
    if (!trusted.has(hop.address)) break
  }
  const { address, port } = client
  const protocol = protocolOf(headers['x-forwarded-proto']) ?? peer.protocol
  return { address, port, protocol, trustedPeer: peer.address }
}

function hopsOf(headers: IncomingHttpHeaders): readonly string[] {
  const list = headers['x-forwarded-for']
  if (typeof list === 'string') return list.split(',')
  return headers.forwarded === undefined ? [] : forwardedNodes(headers.forwarded)
}

const HOP = /^\s*(?:\[([^\]]+)\]|([^:\s]+)|([^\s[\]]+))(?::(\d{1,5}))?\s*$/

/** `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]:80`; undefined for `unknown` and names. */
function parseHop(text: string): Hop | undefined {
  const whole = text.trim()
  if (isIP(whole) !== 0) return { address: plainAddress(whole), port: 0 }
  const match = HOP.exec(whole)
  const address = match?.[1] ?? match?.[2] ?? ''
  return isIP(address) === 0 ? undefined : { address: plainAddress(address), port: Number(match?.[4] ?? 0) }
}

/** The one of the client's own connection stands first. */
function protocolOf(value: string | string[] | undefined): 'http' | 'https' | undefined {
  const [first = ''] = String(value ?? '').split(',')
  const name = first.trim().toLowerCase()
  return name === 'https' || name === 'http' ? name : undefined
}

/** `::ffff:127.0.0.1`, as a socket on `::` has it, is 127.0.0.1. */
function plainAddress(address: string): string {
  return address.startsWith('::ffff:') ? address.slice(7) : address
}
