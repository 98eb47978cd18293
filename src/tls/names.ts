import type { X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import { hostname, networkInterfaces } from 'node:os'

/** Domains that never lead out of a private network (RFC 6761, 6762, 8375, 9476); the authority may vouch for these alone. */
export const LOCAL_DOMAINS = ['localhost', 'local', 'test', 'internal', 'home.arpa'] as const

/** Address blocks of machines and private networks (RFC 1122, 1918, 3927, 4193, 4291, 6598), with the length of their prefix. */
export const LOCAL_BLOCKS = [
  ['127.0.0.0', 8],
  ['10.0.0.0', 8],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  ['169.254.0.0', 16],
  ['100.64.0.0', 10],
  ['::1', 128],
  ['fc00::', 7],
  ['fe80::', 10],
] as const satisfies readonly (readonly [string, number])[]

const LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/
const NAME_LENGTH_MAX = 253

/** `Hello.localhost` is local; `example.com` and names that cannot be one are not. `name` in lower case. */
export function isLocalName(name: string): boolean {
  if (name.length > NAME_LENGTH_MAX || !name.split('.').every((label) => LABEL.test(label))) return false
  return LOCAL_DOMAINS.some((domain) => name === domain || name.endsWith(`.${domain}`))
}

/** What a server that listens on `host` is called by clients which name no server, or this machine. */
export function namesOfServer(host: string): readonly string[] {
  const names = ['localhost', '*.localhost', '127.0.0.1', '::1']
  const everywhere = host === '0.0.0.0' || host === '::' || host === ''
  const others = everywhere ? namesOfMachine() : [host.toLowerCase()]
  const local = others.filter((name) => (isIP(name) === 0 ? isLocalName(name) : isLocalAddress(name)))
  return [...new Set([...names, ...local])]
}

/** Its addresses on private networks, and its name in multicast DNS. */
function namesOfMachine(): readonly string[] {
  const addresses = Object.values(networkInterfaces()).flatMap((all) => (all ?? []).map((one) => one.address))
  const [label = ''] = hostname().toLowerCase().split('.')
  return [...addresses, `${label}.local`].sort()
}

function isLocalAddress(address: string): boolean {
  const bytes = addressBytes(address)
  return LOCAL_BLOCKS.some(([block, length]) => {
    const start = addressBytes(block)
    return (
      start.length === bytes.length &&
      start.every((byte, i) => ((byte ^ (bytes[i] ?? 0)) & maskByte(length, i)) === 0)
    )
  })
}

/** Byte `index` of a network mask. */
export function maskByte(prefixLength: number, index: number): number {
  const bits = Math.min(8, Math.max(0, prefixLength - index * 8))
  return (0xff00 >> bits) & 0xff
}

/** 4 or 16 bytes; `address` is a valid one. */
export function addressBytes(address: string): readonly number[] {
  if (isIP(address) === 4) return address.split('.').map(Number)
  const [plain = ''] = address.split('%')
  const [left = '', right] = plain.split('::')
  const before = words(left)
  const after = words(right ?? '')
  const gap = right === undefined ? 0 : 8 - before.length - after.length
  return [...before, ...Array.from({ length: gap }, () => 0), ...after].flatMap((word) => [
    word >> 8,
    word & 0xff,
  ])
}

/** `fe80:0` → two; a last part `1.2.3.4` counts as two as well. */
function words(text: string): readonly number[] {
  if (text === '') return []
  return text.split(':').flatMap((part) => {
    if (!part.includes('.')) return [Number.parseInt(part, 16)]
    const [a = 0, b = 0, c = 0, d = 0] = part.split('.').map(Number)
    return [(a << 8) | b, (c << 8) | d]
  })
}

/** The DNS names and addresses that a certificate stands for, in lower case: its subjectAltName, which alone counts (RFC 9525). */
export function namesOfCertificate(certificate: X509Certificate): readonly string[] {
  const text = certificate.subjectAltName ?? ''
  return [...text.matchAll(/(?:DNS|IP Address):("(?:[^"\\]|\\.)*"|[^,]+)/g)].map((match) =>
    plainName((match[1] ?? '').toLowerCase()),
  )
}

/** Node writes IPv6 addresses at full length. */
function plainName(name: string): string {
  return isIP(name) === 6 ? canonicalAddress(name) : name
}

/** `0:0:0:0:0:0:0:1` and `::1` are written alike. */
export function canonicalAddress(address: string): string {
  return isIP(address) === 6 ? new URL(`http://[${address.split('%')[0]}]/`).hostname.slice(1, -1) : address
}

/**
 * Whether a name of a certificate stands for a host: a star is a whole first label and takes the place of exactly one
 * (RFC 6125 section 6.4.3). Both in lower case.
 */
export function coversHost(name: string, host: string): boolean {
  if (name === host) return true
  if (!name.startsWith('*.') || isIP(host) !== 0) return false
  const dot = host.indexOf('.')
  return dot > 0 && host.slice(dot) === name.slice(1)
}
