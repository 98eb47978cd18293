import type { IncomingHttpHeaders } from 'node:http'
import { isIP, type Socket } from 'node:net'

import type { AddressList } from '../core/addresses.ts'
import { forwardedElements, type ForwardedElement } from '../forward/client-fields.ts'

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
  /** The host the client asked, as its proxy says in Forwarded. */
  readonly forwardedHost?: string | undefined
}

const PEER = Symbol('peer')

/** A connection that was asked who it is from. */
interface KnownSocket extends Socket {
  [PEER]?: Client
}

/** The other end of a connection is the client, as long as no proxy is trusted. Asked of the system once a connection. */
export function peerOf(socket: KnownSocket): Client {
  return (socket[PEER] ??= readPeer(socket))
}

function readPeer(socket: Socket): Client {
  return {
    address: plainAddress(socket.remoteAddress ?? ''),
    port: socket.remotePort ?? 0,
    protocol: 'encrypted' in socket && socket.encrypted === true ? 'https' : 'http',
    trustedPeer: undefined,
    forwardedHost: undefined,
  }
}

/**
 * The first hop, counted from us, that is no trusted proxy: what stands before it in X-Forwarded-For anyone could have written.
 * Forwarded (RFC 7239) is read when there is no X-Forwarded-For, and then its protocol and host count as well. `peer` is trusted.
 */
export function readClient(headers: IncomingHttpHeaders, peer: Client, trusted: AddressList): Client {
  let client: Hop = peer
  let protocol: Client['protocol'] | undefined
  let forwardedHost: string | undefined
  const hops = hopsOf(headers)
  for (let i = hops.length - 1; i >= 0; i--) {
    const { node = '', proto, host } = hops[i] ?? {}
    // Written by a hop that is trusted, whoever it names.
    protocol = protocolOf(proto) ?? protocol
    forwardedHost = hostOf(host) ?? forwardedHost
    const hop = parseHop(node)
    if (hop === undefined) break
    client = hop
    if (!trusted.has(hop.address)) break
  }
  const { address, port } = client
  protocol ??= protocolOf(headers['x-forwarded-proto']) ?? peer.protocol
  return { address, port, protocol, trustedPeer: peer.address, forwardedHost }
}

function hopsOf(headers: IncomingHttpHeaders): readonly ForwardedElement[] {
  const list = headers['x-forwarded-for']
  if (typeof list === 'string') return list.split(',').map((node) => ({ node }))
  return headers.forwarded === undefined ? [] : forwardedElements(headers.forwarded)
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
  return PROTOCOLS.get(first.trim().toLowerCase())
}

/** Some proxies name the protocol of a WebSocket. */
const PROTOCOLS: ReadonlyMap<string, Client['protocol']> = new Map([
  ['http', 'http'],
  ['https', 'https'],
  ['ws', 'http'],
  ['wss', 'https'],
])

function hostOf(value: string | undefined): string | undefined {
  return value !== undefined && /^[\w.:[\]-]+$/.test(value) ? value : undefined
}

/** `::ffff:127.0.0.1`, as a socket on `::` has it, is 127.0.0.1. */
function plainAddress(address: string): string {
  return address.startsWith('::ffff:') ? address.slice(7) : address
}
