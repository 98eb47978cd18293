import type { Registry } from 'prom-client'

import type { OriginState } from '../core/upstream.ts'
import { counter, family, gauge } from './families.ts'
import type { PoolView, Snapshot } from './metrics.ts'

/** `[name, help, value]` */
type PoolFamily = readonly [string, string, (pool: PoolView) => number]

const MS_PER_SECOND = 1_000

const POOL_GAUGES: readonly PoolFamily[] = [
  ['instances', 'Instances of the newest revision.', (pool) => pool.instances],
  ['requests_in_flight', 'Requests that the newest revision works on.', (pool) => pool.inFlight],
  ['requests_queued', 'Requests that wait for an instance.', (pool) => pool.queued],
  ['revisions_draining', 'Older revisions that finish what they hold.', (pool) => pool.draining],
]

const POOL_COUNTERS: readonly PoolFamily[] = [
  ['cold_starts_total', 'Instances that were started.', ({ counts }) => counts.started],
  [
    'cold_start_seconds_total',
    'How long the starts took, together.',
    ({ counts }) => counts.startedMs / MS_PER_SECOND,
  ],
  ['cold_start_failures_total', 'Instances that could not be started.', ({ counts }) => counts.startFailed],
  [
    'instance_exits_total',
    'Instances that ended by themselves: crashes and the like.',
    ({ counts }) => counts.ended,
  ],
  [
    'requests_refused_total',
    'Requests turned away because too many waited, or waited too long.',
    ({ counts }) => counts.refused,
  ],
]

/** Families of every function's instances. */
export function poolFamilies(registry: Registry, current: () => Snapshot): void {
  const declare =
    (kind: typeof gauge) =>
    ([name, help, valueOf]: PoolFamily): void =>
      kind(registry, family(`function_${name}`, help, 'function'), (say) => {
        for (const [label, pool] of current().pools) say({ function: label }, valueOf(pool))
      })
  POOL_GAUGES.forEach(declare(gauge))
  POOL_COUNTERS.forEach(declare(counter))
}

const CIRCUITS: readonly OriginState['circuit'][] = ['closed', 'probing', 'ejected', 'down']

/** Families of every server that routes forward to. */
export function originFamilies(registry: Registry, current: () => Snapshot): void {
  gauge(registry, UP, (say) => {
    for (const { url, circuit } of byOrigin(current().origins))
      say({ origin: url }, circuit === 'closed' || circuit === 'probing' ? 1 : 0)
  })
  gauge(registry, CIRCUIT, (say) => {
    for (const { url, circuit } of byOrigin(current().origins))
      for (const state of CIRCUITS) say({ origin: url, state }, state === circuit ? 1 : 0)
  })
  gauge(registry, IN_FLIGHT, (say) => {
    for (const { url, inFlight } of byOrigin(current().origins)) say({ origin: url }, inFlight)
  })
}

const UP = family('upstream_up', '1 while requests may go to the origin, else 0.', 'origin')
const CIRCUIT = family(
  'upstream_circuit',
  '1 for the state that the origin is in, 0 for the others: closed (asked), probing, ejected, down.',
  'origin',
  'state',
)
const IN_FLIGHT = family('upstream_requests_in_flight', 'Requests that the origin works on.', 'origin')

/** One of each, although routes with other settings may ask the same: requests add up, the worst state is told. */
function byOrigin(origins: readonly OriginState[]): Iterable<OriginState> {
  const merged = new Map<string, OriginState>()
  for (const { url, circuit, inFlight } of origins) {
    const name = withoutUser(url)
    const known = merged.get(name)
    const worst = known !== undefined && rank(known.circuit) > rank(circuit) ? known.circuit : circuit
    merged.set(name, { url: name, circuit: worst, inFlight: inFlight + (known?.inFlight ?? 0) })
  }
  return merged.values()
}

function rank(circuit: OriginState['circuit']): number {
  return CIRCUITS.indexOf(circuit)
}

/** A password in a URL is nobody's to read. */
function withoutUser(url: string): string {
  return url.replace(/\/\/[^/]*@/, '//')
}
