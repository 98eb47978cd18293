import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'

import type { RequestContext } from '../core/fetcher.ts'

/** Our pseudonym in Via (RFC 9110 section 7.6.3); a request that carries it many times goes round in a loop. */
export const VIA_NAME = 'flexi'

/** Whose request it is, and how it came. */
export interface Asked {
  readonly incoming: IncomingMessage
  readonly context: RequestContext
}

/**
 * Tells an upstream who asked: X-Forwarded-For, -Proto and -Host, Forwarded (RFC 7239) and Via.
 * Behind a proxy that is trusted the chain it sent is continued; else it begins with the client.
 */
export function addClientFields(fields: string[], asked: Asked): void {
  const { incoming, context } = asked
  if (context.trustedPeer === undefined) addFirstHop(fields, asked)
  else addNextHop(fields, asked, context.trustedPeer)
  const { via } = incoming.headers
  fields.push(
    'Via',
    via === undefined ? ownVia(incoming.httpVersion) : `${via}, ${ownVia(incoming.httpVersion)}`,
  )
}

const VIA_1_1 = `1.1 ${VIA_NAME}`

function ownVia(httpVersion: string): string {
  return httpVersion === '1.1' ? VIA_1_1 : `${httpVersion} ${VIA_NAME}`
}

function addFirstHop(fields: string[], { incoming, context }: Asked): void {
  const { clientAddress, protocol } = context
  const { host } = incoming.headers
  fields.push('X-Forwarded-For', clientAddress, 'X-Forwarded-Proto', protocol)
  if (host !== undefined) fields.push('X-Forwarded-Host', host)
  fields.push('Forwarded', firstHop(clientAddress, protocol, host))
}

/** The hop that was written last: nearly always the next one's as well. */
let last = { address: '', protocol: '', host: undefined as string | undefined, text: '' }

function firstHop(address: string, protocol: string, host: string | undefined): string {
  if (last.address !== address || last.host !== host || last.protocol !== protocol) {
    last = { address, protocol, host, text: forwardedHop({ address, protocol, host }) }
  }
  return last.text
}

function addNextHop(fields: string[], { incoming, context }: Asked, peer: string): void {
  const { headers } = incoming
  const chain = textOf(headers['x-forwarded-for'])
  const { forwarded } = headers
  const nodes = chain === undefined ? forwardedNodes(forwarded ?? '') : chain.split(',')
  fields.push('X-Forwarded-For', [...nodes.map((node) => node.trim()), peer].join(', '))
  fields.push('X-Forwarded-Proto', context.protocol)
  const host = context.forwardedHost ?? textOf(headers['x-forwarded-host']) ?? headers.host
  if (host !== undefined) fields.push('X-Forwarded-Host', host)
  const before = forwarded === undefined ? nodes.map((node) => `for=${quotedNode(node.trim())}`) : [forwarded]
  const own = forwardedHop({ address: peer, protocol: context.protocol, host: headers.host })
  fields.push('Forwarded', [...before, own].join(', '))
}

function textOf(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(', ') : value
}

interface ForwardedHop {
  readonly address: string
  readonly protocol: string
  readonly host: string | undefined
}

function forwardedHop({ address, protocol, host }: ForwardedHop): string {
  const suffix = host === undefined ? '' : `;host="${host.replaceAll('"', '')}"`
  return `for=${quotedNode(address)};proto=${protocol}${suffix}`
}

/** RFC 7239 section 6: IPv6 addresses are bracketed and quoted; what is no address is not passed on. */
function quotedNode(node: string): string {
  if (!node.includes(':')) return isIP(node) === 4 ? node : 'unknown'
  if (isIP(node) === 6) return `"[${node}]"`
  return /^[\w.:[\]-]+$/.test(node) ? `"${node}"` : 'unknown'
}

/** What one hop says of the connection it got (RFC 7239 section 4). */
export interface ForwardedElement {
  readonly node?: string | undefined
  readonly proto?: string | undefined
  readonly host?: string | undefined
}

/** No comma or semicolon within quotes, which no value we read has: an open quote that a client sent swallows nothing of what follows. */
const PAIR = /(^|[,;])\s*([\w-]+)\s*=\s*(?:"((?:[^",;\\]|\\[^,;])*)"|([^,;\s"]*))/g

const KEYS: ReadonlyMap<string, keyof ForwardedElement> = new Map([
  ['for', 'node'],
  ['proto', 'proto'],
  ['host', 'host'],
])

/** `for=192.0.2.43;proto=http, for="[2001:db8::17]:47011"` → [{ node: '192.0.2.43', proto: 'http' }, { node: '[2001:db8::17]:47011' }] */
export function forwardedElements(forwarded: string): readonly ForwardedElement[] {
  const elements: ForwardedElement[] = []
  for (const [, separator, name = '', quoted, token] of forwarded.matchAll(PAIR)) {
    const key = KEYS.get(name.toLowerCase())
    const pair = key === undefined ? {} : { [key]: quoted ?? token }
    if (separator === ';') elements.push({ ...elements.pop(), ...pair })
    else elements.push(pair)
  }
  return elements
}

function forwardedNodes(forwarded: string): string[] {
  return forwardedElements(forwarded).flatMap(({ node }) => node ?? [])
}
