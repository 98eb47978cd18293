import { isIP } from 'node:net'

import { hostName } from '../../gateway/hosts.ts'

/** Lower-case, without port and without the dot that ends a full name: `Hello.Example.com.:80` → `hello.example.com`. */
export function plainHost(host: string): string {
  const name = hostName(host)
  return name.endsWith('.') ? name.slice(0, -1) : name
}

/** What always leads to the daemon itself: the domain, an address, localhost. `name` as `plainHost` writes it. */
export function isOwnHost(name: string, domain: string): boolean {
  return name === domain || name === 'localhost' || isIP(name) !== 0 || name.startsWith('[')
}

export function isBelow(name: string, domain: string): boolean {
  return name.length > domain.length && name.endsWith(domain) && name.at(-domain.length - 1) === '.'
}

/** RFC 1123 section 2.1, with one dot at least: a name that a person owns. */
export function isHostName(name: string): boolean {
  return (
    name.length <= 253 &&
    /^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(name)
  )
}

/** A label of a host name, as functions, versions and aliases are called. */
export function isLabel(name: string): boolean {
  return /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(name)
}
