/** `localhost`, `x.localhost`, `127.0.0.1`, `[::1]`, each with or without a port. */
export function isLoopbackHost(host: string): boolean {
  const name = hostName(host)
  return name === 'localhost' || name === '[::1]' || name.endsWith('.localhost') || IPV4_LOOPBACK.test(name)
}

const IPV4_LOOPBACK = /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/

/** Of a peer: `127.0.0.1`, `::1`. */
export function isLoopbackAddress(address: string): boolean {
  return address.startsWith('127.') || address === '::1'
}

const LOCAL_SUFFIX = '.localhost'

/** `Hello.localhost:8069` → `hello`; undefined when the host is no name below localhost. */
export function localLabel(host: string): string | undefined {
  // Most hosts end here, at the price of one search.
  if (!host.includes(LOCAL_SUFFIX)) return undefined
  const name = hostName(host)
  return name.endsWith(LOCAL_SUFFIX) ? name.slice(0, -LOCAL_SUFFIX.length) : undefined
}

/** Lower-case, without port. */
export function hostName(host: string): string {
  return host.replace(/:\d*$/, '').toLowerCase()
}

/** Where a server that listens on this address is asked from this machine. */
export function urlOf(address: string, port: number, scheme: 'http' | 'https'): string {
  const open = address === '0.0.0.0' || address === '::' || address === ''
  const host = open ? '127.0.0.1' : address
  return `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}`
}
