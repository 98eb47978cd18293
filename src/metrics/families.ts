import { Counter, Gauge, Histogram, type Registry } from 'prom-client'

import type { Buckets } from './buckets.ts'

export type Labels = Readonly<Record<string, string>>

/** Says the value of one series. */
export type Say = (labels: Labels, value: number) => void

export interface Family {
  readonly name: string
  readonly help: string
  readonly labels: readonly string[]
}

/** `family('build_info', 'What runs.', 'version')` is flexi_build_info. */
export function family(name: string, help: string, ...labels: readonly string[]): Family {
  return { name: `flexi_${name}`, help, labels }
}

/** A family whose values are kept elsewhere and read at each scrape; `read` says all of them. */
export function counter(registry: Registry, described: Family, read: (say: Say) => void): void {
  const metric: Counter = new Counter({
    ...configuration(registry, described),
    collect() {
      metric.reset()
      read((labels, value) => metric.inc(labels, value))
    },
  })
}

export function gauge(registry: Registry, described: Family, read: (say: Say) => void): void {
  const metric: Gauge = new Gauge({
    ...configuration(registry, described),
    collect() {
      metric.reset()
      read((labels, value) => metric.set(labels, value))
    },
  })
}

/** prom-client can only be told one value at a time, so the series of a histogram that is kept elsewhere are handed to its registry as they are. */
export function histogram(
  registry: Registry,
  described: Family,
  read: (say: (labels: Labels, buckets: Buckets) => void) => void,
): void {
  const { name, help } = described
  const metric = new Histogram(configuration(registry, described))
  const get = () => {
    const values: Series[] = []
    read((labels, buckets) => values.push(...seriesOf(name, labels, buckets)))
    return Promise.resolve({ name, help, type: 'histogram', values })
  }
  Object.assign(metric, { get, getForPromString: get })
}

interface Series {
  readonly metricName: string
  readonly labels: Record<string, string | number>
  readonly value: number
}

/** In the text format buckets are cumulative. */
function seriesOf(name: string, labels: Labels, { bounds, counts, sum }: Buckets): Series[] {
  let total = 0
  const values: Series[] = [...counts].map((each, at) => {
    total += each
    const le = bounds[at] ?? '+Inf'
    return { metricName: `${name}_bucket`, labels: { ...labels, le }, value: total }
  })
  return [
    ...values,
    { metricName: `${name}_sum`, labels: { ...labels }, value: sum },
    { metricName: `${name}_count`, labels: { ...labels }, value: total },
  ]
}

function configuration(registry: Registry, { name, help, labels }: Family) {
  return { name, help, labelNames: [...labels], registers: [registry] }
}
