import { FlexiError } from '../../../core/errors.ts'
import type { Fault } from '../../../core/place.ts'
import { faultAt, type KeyPath } from '../config-faults.ts'
import type { Configuration } from '../configuration.ts'
import { parseCron } from './cron.ts'

const HINT =
  'Write minutes, hours, day of month, month, day of week: "0 7 * * MON-FRI" is 7 o\u2019clock on workdays.'

/** Each cron of `triggers.crons` that cannot be, at its line. */
export async function cronFaults(configuration: Configuration): Promise<readonly Fault[]> {
  const { config, origin } = configuration
  const path = triggersPath(configuration)
  const faults: Fault[] = []
  for (const [index, cron] of (config.triggers.crons ?? []).entries()) {
    const problem = problemOf(cron)
    if (problem === undefined) continue
    const message = `cron "${cron}" cannot be: ${problem}`
    faults.push(await faultAt(origin, [...path, 'crons', index], { message, hint: HINT }))
  }
  return faults
}

/** An environment has triggers of its own, or those of the top. */
function triggersPath({ config, raw }: Configuration): KeyPath {
  const env = config.targetEnvironment
  return env === undefined || raw.env?.[env]?.triggers === undefined ? ['triggers'] : ['env', env, 'triggers']
}

function problemOf(cron: string): string | undefined {
  try {
    parseCron(cron)
    return undefined
  } catch (error) {
    if (error instanceof FlexiError) return error.message
    throw error
  }
}
