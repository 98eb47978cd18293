import { STATUS_CODES } from 'node:http'

import type { AccessRecord } from '../core/events.ts'
import { Buckets, REQUEST_SECONDS } from './buckets.ts'

/** What is kept of one route's requests. */
export interface RouteCounts {
  readonly route: string
  /** Requests by method and status: `methodIndex * STATUSES.length + statusIndex`. */
  readonly requests: Float64Array
  /** Until the last byte; connections that changed their protocol are left out. */
  readonly duration: Buckets
  /** Until the head of the answer. */
  readonly firstByte: Buckets
  responseBytes: number
  aborted: number
}

/** Label values are sets that no client can widen: what is not in them is `other`. */
export const METHODS = [
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'OPTIONS',
  'TRACE',
  'CONNECT',
  'other',
] as const
const CLIENT_GONE = 499
export const STATUSES: readonly string[] = [...Object.keys(STATUS_CODES), String(CLIENT_GONE), 'other']

const METHOD_INDEX: ReadonlyMap<string, number> = new Map(METHODS.map((name, index) => [name, index]))
const OTHER_METHOD = METHODS.length - 1
const STATUS_INDEX = new Uint8Array(1_000).fill(STATUSES.length - 1)
for (const [index, status] of STATUSES.entries()) if (status !== 'other') STATUS_INDEX[Number(status)] = index

/** Routes come from configuration, which may change all day: those that come after so many share one name. */
const ROUTES_MAX = 500
const MS_PER_SECOND = 1_000
const SWITCHING_PROTOCOLS = 101

/** Counts finished requests. On the path of every request: numbers in arrays, no objects, no strings. */
export class RequestCounts {
  readonly #routes = new Map<string, RouteCounts>()
  readonly #control: string

  /** `controlPrefix` is where flexi's own paths begin: `/_flexi`. */
  constructor(controlPrefix: string) {
    this.#control = controlPrefix.replace(/\/+$/, '')
  }

  add(record: AccessRecord): void {
    const { status, bytes, ttlbMs, ttfbMs, aborted } = record
    const counts = this.#countsOf(record.route ?? this.#unrouted(record))
    const at = (METHOD_INDEX.get(record.method) ?? OTHER_METHOD) * STATUSES.length
    const index = at + (STATUS_INDEX[status] ?? STATUSES.length - 1)
    counts.requests[index] = (counts.requests[index] ?? 0) + 1
    counts.responseBytes += bytes
    if (aborted) counts.aborted += 1
    if (status === SWITCHING_PROTOCOLS) return
    counts.duration.add(ttlbMs / MS_PER_SECOND)
    counts.firstByte.add(ttfbMs / MS_PER_SECOND)
  }

  routes(): Iterable<RouteCounts> {
    return this.#routes.values()
  }

  #countsOf(route: string): RouteCounts {
    return this.#routes.get(route) ?? this.#open(this.#routes.size < ROUTES_MAX ? route : 'other')
  }

  #open(route: string): RouteCounts {
    const known = this.#routes.get(route)
    if (known !== undefined) return known
    const counts: RouteCounts = {
      route,
      requests: new Float64Array(METHODS.length * STATUSES.length),
      duration: new Buckets(REQUEST_SECONDS),
      firstByte: new Buckets(REQUEST_SECONDS),
      responseBytes: 0,
      aborted: 0,
    }
    this.#routes.set(route, counts)
    return counts
  }

  /** A function asked at its own address, flexi's own paths, or a request that no route took. */
  #unrouted({ notes, target }: AccessRecord): string {
    const name = notes['function']
    if (typeof name === 'string') return `${this.#control}/f/${name}/`
    return target.startsWith(`${this.#control}/`) ? this.#control : 'none'
  }
}
