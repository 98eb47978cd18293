import type { DevEvent } from '../core/events.ts'
import type { OriginState } from '../core/upstream.ts'
import { ChangeCounts } from './change-counts.ts'
import type { Exposition } from './exposition.ts'
import { RequestCounts } from './request-counts.ts'

export interface MetricsOptions {
  /** Where flexi's own paths begin: `/_flexi`. */
  readonly controlPrefix: string
}

/** How one function's instances are, as its pool says. */
export interface PoolView {
  readonly instances: number
  readonly inFlight: number
  readonly queued: number
  readonly draining: number
  /** Since the pool was made; times in ms. */
  readonly counts: Readonly<Record<'started' | 'startedMs' | 'startFailed' | 'ended' | 'refused', number>>
}

/** What is read when somebody asks, because it is true of that moment only. */
export interface Snapshot {
  /** Exchanges whose response has not ended. */
  readonly inFlight: number
  /** By the function's name. */
  readonly pools: ReadonlyMap<string, PoolView>
  readonly origins: readonly OriginState[]
}

/** What flexi counts of itself, for Prometheus. */
export interface Metrics {
  /** To be told of every event. A request costs some tens of nanoseconds. */
  observe(event: DevEvent): void
  /** Everything in Prometheus' text format. prom-client is loaded with the first call, and watches the event loop from then on. */
  scrape(snapshot: Snapshot): Promise<{ readonly contentType: string; readonly text: string }>
}

export function createMetrics({ controlPrefix }: MetricsOptions): Metrics {
  const requests = new RequestCounts(controlPrefix)
  const changes = new ChangeCounts()
  let opening: Promise<Exposition> | undefined
  return {
    observe(event) {
      if (event.event === 'request') requests.add(event)
      else changes.add(event)
    },
    async scrape(snapshot) {
      opening ??= import('./exposition.ts').then(({ openExposition }) => openExposition(requests, changes))
      const exposition = await opening
      return exposition.print(snapshot)
    },
  }
}
