import type { IncomingHttpHeaders } from 'node:http'

import type { Config } from '../configuration.ts'

export type Refusal = 'Invalid Host header' | 'Invalid Origin header'

const LOCAL_HOSTS: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]'])

/**
 * Why a request may not run a handler, if it may not: a web page of another site must not, neither by its own script (Origin) nor by a
 * name of its own that leads here (Host). Names of this machine and those of the worker's routes are good. Source: miniflare's entry, which
 * lets pass what a browser fetches for a page without naming it in Origin, an image for example.
 */
export function refusalOf(
  { host, origin, 'sec-fetch-site': site }: IncomingHttpHeaders,
  config: Pick<Config, 'route' | 'routes'>,
): Refusal | undefined {
  const hosts = routeHosts(config)
  if (host !== undefined && !isTrusted(`http://${host}`, hosts)) return 'Invalid Host header'
  if (origin !== undefined && !isTrusted(origin, hosts)) return 'Invalid Origin header'
  if (origin === undefined && site === 'cross-site') return 'Invalid Origin header'
  return undefined
}

function isTrusted(url: string, hosts: readonly string[]): boolean {
  if (!URL.canParse(url)) return false
  const { hostname } = new URL(url)
  if (LOCAL_HOSTS.has(hostname) || hostname.endsWith('.localhost')) return true
  return hosts.some((host) => hostname === host || hostname.endsWith(`.${host}`))
}

/** `https://*.example.com/api/*` → `example.com` */
function routeHosts({ route, routes }: Pick<Config, 'route' | 'routes'>): readonly string[] {
  return [...(route === undefined ? [] : [route]), ...(routes ?? [])].flatMap((entry) => {
    const pattern = typeof entry === 'string' ? entry : entry.pattern
    const [host = ''] = pattern.replace(/^https?:\/\//, '').split(/[/:]/)
    const name = host.replace(/^\*\.?/, '')
    return name.includes('*') || name === '' ? [] : [name]
  })
}
