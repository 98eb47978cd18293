import type { FunctionConfig } from '../../../../core/function.ts'
import type { FunctionSchedule, OpenSchedule, ProviderSchedules } from '../../../../core/schedule.ts'
import { functionRegion } from '../../definition.ts'
import { parseOptions } from '../../options.ts'
import type { ScheduleSource } from '../../service/event-source.ts'
import { settingsOf } from '../../service/function-settings.ts'
import { parseSchedule } from './schedule.ts'
import { scheduledEvent, type Occasion } from './scheduled-event.ts'

/** Of Lambda, for asynchronous invocations. */
const RETRIES = 2

/** The schedules among a deployed function's `sources`. */
export const lambdaSchedules: ProviderSchedules = { read, open }

async function read(config: FunctionConfig): Promise<readonly FunctionSchedule[]> {
  if (config.options['sources'] === undefined) return []
  await parseOptions(config)
  const { sources = [], maximumRetryAttempts: retries = RETRIES } = settingsOf(config)
  const region = functionRegion(config, {})
  return sources.flatMap((source): FunctionSchedule[] => {
    if (source.type !== 'schedule' || source.enabled === false) return []
    const { expression, timezone: timeZone } = source
    const details: Details = { source, name: source.name ?? config.name, region }
    return [{ expression, timeZone, retries, details }]
  })
}

type Details = Omit<Occasion, 'due'> & { readonly source: ScheduleSource }

function open({ expression, timeZone, details }: FunctionSchedule): OpenSchedule {
  const schedule = parseSchedule(expression, timeZone)
  return {
    next: (after, start) => schedule.next(after, start),
    event: (due) => ({
      event: JSON.parse(Buffer.from(scheduledEvent({ ...(details as Details), due })).toString()),
    }),
  }
}
