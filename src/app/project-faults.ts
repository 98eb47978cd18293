import { configError, FlexiError } from '../core/errors.ts'
import type { DevEvent } from '../core/events.ts'
import type { FunctionConfig } from '../core/function.ts'
import type { Fault } from '../core/place.ts'
import type { Project } from '../core/project.ts'
import { emulatorOf } from '../emulators/registry.ts'

/** What is odd about the functions' own files. @throws FlexiError FLEXI_CONFIG with the faults of all of them. */
export async function checkFunctions(functions: readonly FunctionConfig[]): Promise<readonly Fault[]> {
  const outcomes = await Promise.allSettled(
    functions.map(async (config) => await emulatorOf(config.provider).check?.(config)),
  )
  const failures = outcomes.flatMap((outcome): unknown[] =>
    outcome.status === 'rejected' ? [outcome.reason] : [],
  )
  if (failures.length > 0) throw mergeFailures(failures)
  return outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? (outcome.value ?? []) : []))
}

/** The faults of all files in one error; anything that is not a configuration fault is thrown as it is. */
export function mergeFailures(failures: readonly unknown[]): unknown {
  const faults: Fault[] = []
  for (const failure of failures) {
    if (!(failure instanceof FlexiError) || failure.faults.length === 0) return failure
    faults.push(...failure.faults)
  }
  return configError(faults)
}

/** What is odd about a project and stops nothing. */
export function projectWarnings(project: Project): DevEvent[] {
  return project.faults.map(({ place: { file, line, column }, message, hint }) => ({
    event: 'warning',
    message: `${file}:${line}:${column}  ${message}${hint === undefined ? '' : `. ${hint}`}`,
  }))
}
