import type { Registry } from 'prom-client'

import type { ChangeCounts, FunctionCounts } from './change-counts.ts'
import { counter, family, gauge, histogram } from './families.ts'

type Visit = (counts: FunctionCounts, labels: { readonly function: string }) => void

const MS_PER_SECOND = 1_000

/** Families of reloads and faults. */
export function changeFamilies(registry: Registry, changes: ChangeCounts): void {
  const { configuration } = changes
  const each = (visit: Visit): void => {
    for (const counts of changes.functions()) visit(counts, { function: counts.name })
  }
  counter(registry, RELOADS, (say) =>
    each(({ succeeded, failed }, labels) => {
      say({ ...labels, outcome: 'success' }, succeeded)
      say({ ...labels, outcome: 'failure' }, failed)
    }),
  )
  histogram(registry, RELOAD_DURATION, (say) => each(({ duration }, labels) => say(labels, duration)))
  counter(registry, FAULTS, (say) =>
    each(({ faults }, labels) => {
      for (const [kind, total] of faults) say({ ...labels, kind }, total)
    }),
  )
  counter(registry, CONFIGURATIONS, (say) => {
    say({ outcome: 'success' }, configuration.succeeded)
    say({ outcome: 'failure' }, configuration.failed)
  })
  histogram(registry, CONFIGURATION_DURATION, (say) => say({}, configuration.duration))
  gauge(registry, IS_GOOD, (say) => say({}, changes.configurationIsGood ? 1 : 0))
  gauge(registry, CONFIGURED_AT, (say) => say({}, changes.configuredAt / MS_PER_SECOND))
}

const RELOADS = family(
  'function_reloads_total',
  'Changes of code that were built and taken over (success), or could not be (failure).',
  'function',
  'outcome',
)
const RELOAD_DURATION = family(
  'function_reload_duration_seconds',
  'From the change of a file until the new code answers.',
  'function',
)
const FAULTS = family(
  'function_faults_total',
  'Faults of the code by kind: throw, init, crash, timeout, memory, result, build.',
  'function',
  'kind',
)
const CONFIGURATIONS = family(
  'configuration_reloads_total',
  'Changed configuration that was taken over (success), or had faults (failure).',
  'outcome',
)
const CONFIGURATION_DURATION = family(
  'configuration_reload_duration_seconds',
  'From the reading of changed configuration until it holds.',
)
const IS_GOOD = family(
  'configuration_last_reload_successful',
  '0 while the files have faults and an older configuration holds, else 1.',
)
const CONFIGURED_AT = family(
  'configuration_last_reload_success_timestamp_seconds',
  'When the configuration that holds was taken over, since the epoch.',
)
