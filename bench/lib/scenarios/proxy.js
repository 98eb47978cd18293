import { SERVER_CORE } from '../cores.js'
import { withUpstream } from '../upstream.js'
import { compare } from './comparison.js'

const UPSTREAMS = ['upstream-nginx', 'upstream-node']
const PROXIES = [
  ['flexi-proxy'],
  ['flexi-proxy-lines'],
  ['undici-proxy'],
  ['httpxy-proxy', { atMost: 0.6 }],
  ['http-proxy-3-proxy', { atMost: 0.6 }],
  ['caddy-proxy', { atMost: 0.75 }],
  ['nginx-proxy', { atMost: 2.2 }],
  ['haproxy-proxy'],
]
const CPU = {
  reference: 'flexi-proxy',
  ratioTitle: 'flexi ÷ this',
  ratio: (flexi, each) => flexi.cpuPer100k / each.cpuPer100k,
}
const THROUGHPUT = { ...CPU, rows: PROXIES, loads: [{ connections: 64 }, { connections: 256 }] }
const NEW_CONNECTIONS = {
  ...CPU,
  rows: PROXIES.map(([id]) => [id]),
  loads: [{ connections: 64, closing: true }],
}

/** Reverse proxies in front of the same upstream, by the processor time they take for a request. */
export function proxyThroughput(context) {
  return behindProxies(THROUGHPUT, context)
}

/** The same with a connection for each request. */
export function proxyConnections(context) {
  return behindProxies(NEW_CONNECTIONS, context)
}

function behindProxies(plan, context) {
  return withUpstream(UPSTREAMS, context, ({ port }) =>
    compare(plan, context, { upstream: port, core: SERVER_CORE }),
  )
}
