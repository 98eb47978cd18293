import { readFileSync } from 'node:fs'

import { collectDefaultMetrics, Registry } from 'prom-client'

import type { ChangeCounts } from './change-counts.ts'
import { changeFamilies } from './change-families.ts'
import { family, gauge } from './families.ts'
import type { Snapshot } from './metrics.ts'
import type { RequestCounts } from './request-counts.ts'
import { requestFamilies } from './request-families.ts'
import { originFamilies, poolFamilies } from './snapshot-families.ts'

export interface Exposition {
  print(snapshot: Snapshot): Promise<{ readonly contentType: string; readonly text: string }>
}

const NOTHING: Snapshot = { inFlight: 0, pools: new Map(), origins: [] }

/** What the process says of itself is said once, however many projects it serves. */
let ofProcess: Registry | undefined

/** Everything counted, as families of a registry of our own: whoever embeds flexi keeps prom-client's global one. */
export function openExposition(requests: RequestCounts, changes: ChangeCounts): Exposition {
  const registry = new Registry()
  let snapshot = NOTHING
  const current = (): Snapshot => snapshot
  const labels = { version: packageVersion(), node: process.version }
  const build = family('build_info', 'Always 1; its labels say what runs.', ...Object.keys(labels))
  gauge(registry, build, (say) => say(labels, 1))
  requestFamilies(registry, requests, current)
  poolFamilies(registry, current)
  changeFamilies(registry, changes)
  originFamilies(registry, current)
  ofProcess ??= openProcessRegistry()
  const both = Registry.merge([registry, ofProcess])
  return {
    async print(now) {
      snapshot = now
      return { contentType: both.contentType, text: await both.metrics() }
    },
  }
}

/** Processor time, memory, file descriptors, garbage collection and the event loop's lag, under the names that dashboards know. */
function openProcessRegistry(): Registry {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  return registry
}

function packageVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  const { version } = JSON.parse(text) as { readonly version: string }
  return version
}
