import type { IncomingMessage, ServerResponse } from 'node:http'

import { FlexiError } from '../core/errors.ts'
import type { Fetcher, SocketFetcher } from '../core/fetcher.ts'
import type { Exchange } from './context.ts'
import { isLoopbackAddress, isLoopbackHost } from './hosts.ts'
import type { RouteTable } from './route-table.ts'
import type { ServerState } from './server-state.ts'

export interface ReservedOptions {
  /** `/_flexi`; undefined reserves nothing. */
  readonly prefix: string | undefined
  readonly server: ServerState
  /** Everything below the prefix that is not a function and not `healthz`. */
  readonly control: SocketFetcher
  /** By the first segment below the prefix; under the same rules as control. */
  readonly mounts?: ReadonlyMap<string, SocketFetcher> | undefined
}

/** What lies below the prefix: never shadowed by a route of the user. */
export interface Reserved {
  has(target: string): boolean
  /**
   * What answers; a function finds its prefix gone from the target.
   * @throws FlexiError FLEXI_FORBIDDEN, FLEXI_FUNCTION_UNKNOWN.
   */
  fetcher(exchange: Exchange, table: RouteTable): Fetcher
}

export function openReserved({ prefix, server, control, mounts }: ReservedOptions): Reserved {
  if (prefix === undefined) return NOTHING
  const health = healthFetcher(server)
  const functions = `${prefix}/f/`
  return {
    has: (target) => target.startsWith(prefix) && isBoundary(target.charCodeAt(prefix.length)),
    fetcher(exchange, table) {
      const { target } = exchange.raw
      if (target === `${prefix}/healthz` || target.startsWith(`${prefix}/healthz?`)) return health
      if (target.startsWith(functions)) return functionAt(exchange, table, functions)
      refuseStrangers(exchange)
      return mountAt(exchange, mounts, prefix) ?? control
    },
  }
}

const NOTHING: Reserved = {
  has: () => false,
  fetcher() {
    throw new Error('nothing is reserved')
  },
}

function isBoundary(code: number): boolean {
  return Number.isNaN(code) || code === SLASH || code === QUESTION_MARK
}

/** For load balancers and start-up scripts: 503 once the gateway drains. */
function healthFetcher(server: ServerState): SocketFetcher {
  return {
    handle(_incoming: IncomingMessage, outgoing: ServerResponse) {
      const text = JSON.stringify({ status: server.draining ? 'draining' : 'ok' })
      outgoing.writeHead(server.draining ? 503 : 200, {
        'Content-Type': 'application/json',
        'Content-Length': text.length,
        'Cache-Control': 'no-store',
      })
      outgoing.end(text)
      return Promise.resolve()
    },
  }
}

/** `/_flexi/f/hello/a?b` is `/a?b` of hello. */
function functionAt(exchange: Exchange, table: RouteTable, prefix: string): Fetcher {
  refuseForeignHost(exchange)
  const rest = exchange.raw.target.slice(prefix.length)
  const end = rest.search(/[/?]/)
  const name = end === -1 ? rest : rest.slice(0, end)
  const fetcher = table.functions.get(name)
  if (fetcher === undefined) throw unknownFunction(name, table)
  cutTarget(exchange, end === -1 ? '' : rest.slice(end))
  return fetcher
}

/** `/_flexi/aws/2015-03-31/functions` is `/2015-03-31/functions` of what is mounted as `aws`. */
function mountAt(
  exchange: Exchange,
  mounts: ReservedOptions['mounts'],
  prefix: string,
): SocketFetcher | undefined {
  if (mounts === undefined) return undefined
  const rest = exchange.raw.target.slice(prefix.length + 1)
  const end = rest.search(/[/?]/)
  const fetcher = mounts.get(end === -1 ? rest : rest.slice(0, end))
  if (fetcher !== undefined) cutTarget(exchange, end === -1 ? '' : rest.slice(end))
  return fetcher
}

function cutTarget(exchange: Exchange, tail: string): void {
  const { method, fields } = exchange.raw
  const own = tail.startsWith('/') ? tail : `/${tail}`
  exchange.raw = { method, target: own, fields }
  exchange.incoming.url = own
}

function unknownFunction(name: string, table: RouteTable): FlexiError {
  const names = [...table.functions.keys()]
  const hint = names.length === 0 ? 'This project has no functions.' : `Ask for one of: ${names.join(', ')}.`
  return new FlexiError('FLEXI_FUNCTION_UNKNOWN', `no function is called ${JSON.stringify(name)}`, { hint })
}

/** A page of another site can make its own host name mean 127.0.0.1 and then read our answers (DNS rebinding). */
function refuseForeignHost({ incoming }: Exchange): void {
  const { host } = incoming.headers
  if (host === undefined || isLoopbackHost(host)) return
  throw new FlexiError('FLEXI_FORBIDDEN', `reserved paths are not served as ${host}`, {
    hint: 'Ask with the host 127.0.0.1 or localhost.',
  })
}

/** Control is for programs and pages of this machine. */
function refuseStrangers(exchange: Exchange): void {
  refuseForeignHost(exchange)
  if (!isLoopbackAddress(exchange.clientAddress) || isForwarded(exchange)) {
    throw new FlexiError('FLEXI_FORBIDDEN', 'reserved paths are served to this machine alone')
  }
  const { origin, 'sec-fetch-site': site } = exchange.incoming.headers
  if (site === 'cross-site' || (origin !== undefined && !isLoopbackOrigin(origin))) {
    throw new FlexiError('FLEXI_FORBIDDEN', 'reserved paths are not served to pages of other sites')
  }
}

/** A tunnel, or a proxy that names us as the host, runs on this machine; those it speaks for do not. */
function isForwarded({ incoming: { headers } }: Exchange): boolean {
  const clients = String(headers['x-forwarded-for'] ?? '').split(',')
  return clients.some((client) => {
    const address = client.trim().replace(/^::ffff:/i, '')
    return address !== '' && !isLoopbackAddress(address)
  })
}

/** `http://localhost:5173`; `null`, which sandboxed and local files send, is nobody we know. */
function isLoopbackOrigin(origin: string): boolean {
  const scheme = origin.indexOf('://')
  return scheme !== -1 && isLoopbackHost(origin.slice(scheme + 3))
}

const SLASH = 47
const QUESTION_MARK = 63
