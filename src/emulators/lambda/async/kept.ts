import { join } from 'node:path'

import type { AbsolutePath } from '../../../core/place.ts'
import { hasLeft } from './journal-owner.ts'

/** Of the journal of events. */
export const JOURNAL = 'events'

/** Where Lambda's own files are, in the project's `.flexi/`. */
export function eventsDirectory(stateDirectory: AbsolutePath): AbsolutePath {
  return join(stateDirectory, 'lambda') as AbsolutePath
}

/** Whether an earlier run left events that are still to be run. Reads a folder, no file. */
export function hasKeptEvents(stateDirectory: AbsolutePath): Promise<boolean> {
  return hasLeft(eventsDirectory(stateDirectory), JOURNAL)
}
