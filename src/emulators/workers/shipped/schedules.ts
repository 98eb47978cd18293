import { join } from 'node:path'

import type { FunctionConfig } from '../../../core/function.ts'
import type { AbsolutePath } from '../../../core/place.ts'
import type { FunctionSchedule, OpenSchedule, ProviderSchedules } from '../../../core/schedule.ts'
import { readConfiguration } from '../configuration.ts'
import { UTC, zoneOf } from '../events/cron-clock.ts'
import { cronFaults } from '../events/cron-faults.ts'
import { nextDue } from '../events/cron-next.ts'
import { parseCron } from '../events/cron.ts'
import { configError } from '../../../core/errors.ts'
import { checkOptions } from '../worker-options.ts'
import { CONFIG_FILE } from './shipped-files.ts'

/** The crons of a deployed worker. */
export const workerSchedules: ProviderSchedules = { read, open }

async function read(config: FunctionConfig): Promise<readonly FunctionSchedule[]> {
  const { shipped, crons, time_zone: timeZone } = checkOptions(config)
  // Only what was packed for a deployment is opened there.
  if (shipped !== true || crons === false) return []
  const configuration = await readConfiguration(join(config.directory, CONFIG_FILE) as AbsolutePath)
  const expressions = new Set(configuration.config.triggers.crons ?? [])
  const faults = expressions.size === 0 ? [] : await cronFaults(configuration)
  if (faults.length > 0) throw configError(faults)
  return [...expressions].map((expression) => ({ expression, timeZone, retries: 0 }))
}

function open({ expression, timeZone }: FunctionSchedule): OpenSchedule {
  const cron = parseCron(expression)
  const zone = timeZone === undefined ? UTC : zoneOf(timeZone)
  return {
    next: (after) => nextDue(cron, zone, after),
    event: (due) => ({ source: 'workers:cron', event: { cron: expression, scheduledTime: due } }),
  }
}
