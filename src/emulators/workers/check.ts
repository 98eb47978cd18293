import type { FunctionConfig } from '../../core/function.ts'
import type { Fault } from '../../core/place.ts'
import { openSettings } from './open-settings.ts'
import { programEntry } from './settings.ts'

/** What is odd about a wrangler file. @throws FlexiError FLEXI_CONFIG, also for a program that is not there. */
export async function checkWorker(config: FunctionConfig): Promise<readonly Fault[]> {
  await using reader = await openSettings(config)
  const settings = await reader.read()
  // A build command may be what makes the program.
  if (settings.config.build.command === undefined) await programEntry(settings)
  return settings.configuration.warnings
}
