import type { Registry } from 'prom-client'

import { counter, family, gauge, histogram, type Say } from './families.ts'
import type { Snapshot } from './metrics.ts'
import { METHODS, STATUSES, type RequestCounts, type RouteCounts } from './request-counts.ts'

type Visit = (counts: RouteCounts, labels: { readonly route: string }) => void

export function requestFamilies(registry: Registry, requests: RequestCounts, current: () => Snapshot): void {
  const each = (visit: Visit): void => {
    for (const counts of requests.routes()) visit(counts, { route: counts.route })
  }
  counter(registry, REQUESTS, (say) => each((counts) => sayRequests(counts, say)))
  counter(registry, ABORTED, (say) => each(({ aborted }, labels) => say(labels, aborted)))
  counter(registry, BYTES, (say) => each(({ responseBytes }, labels) => say(labels, responseBytes)))
  histogram(registry, DURATION, (say) => each(({ duration }, labels) => say(labels, duration)))
  histogram(registry, FIRST_BYTE, (say) => each(({ firstByte }, labels) => say(labels, firstByte)))
  gauge(registry, IN_FLIGHT, (say) => say({}, current().inFlight))
}

/** Only what was ever counted: of all that could be, most never is. */
function sayRequests({ route, requests }: RouteCounts, say: Say): void {
  for (const [row, method] of METHODS.entries()) {
    for (const [column, status] of STATUSES.entries()) {
      const total = requests[row * STATUSES.length + column] ?? 0
      if (total > 0) say({ route, method, status }, total)
    }
  }
}

const REQUESTS = family(
  'http_requests_total',
  'Requests that ended, by route, method and status; 499: the client left before an answer.',
  'route',
  'method',
  'status',
)
const ABORTED = family(
  'http_requests_aborted_total',
  'Requests of them whose answer did not end as it should: the client left, or an upstream broke off.',
  'route',
)
const BYTES = family(
  'http_response_bytes_total',
  'Bytes of content sent, and bytes sent on connections that changed their protocol.',
  'route',
)
const DURATION = family(
  'http_request_duration_seconds',
  'From the head of a request to the end of its answer; without connections that changed their protocol.',
  'route',
)
const FIRST_BYTE = family(
  'http_first_byte_seconds',
  'From the head of a request to the head of its answer; without connections that changed their protocol.',
  'route',
)
const IN_FLIGHT = family(
  'http_requests_in_flight',
  'Requests whose answer has not ended; the one that reads this is among them.',
)
