import { cpus } from 'node:os'

import { findProgram } from './places.js'

const taskset = findProgram('taskset')
const canPin = taskset !== undefined && cpus().length > 1

/** Where a server is kept, and where everything else: the load and the upstream. Undefined where processes cannot be kept on a core. */
export const SERVER_CORE = canPin ? '0' : undefined
export const OTHER_CORE = canPin ? '1' : undefined

/** The same command, kept on a core. */
export function onCore(core, { command, args, ...rest }) {
  if (core === undefined) return { command, args, ...rest }
  return { command: taskset, args: ['-c', core, command, ...args], ...rest }
}

/** What to say where `onCore` cannot do it. */
export const CORE_NOTE = canPin
  ? 'each proxy has core 0 to itself, with one worker; load and upstream share core 1'
  : 'processes could not be kept on cores of their own (taskset, two cores): the load disturbs what it measures'
