import type { Logger } from '../../../core/log.ts'
import type { Condition } from './async-event.ts'
import type { Job } from './lane.ts'
import { errorMessageOf } from './record.ts'

/** Characters of a function's error in a line of the log. */
const REASON_LENGTH_MAX = 200

export interface End {
  readonly job: Job
  readonly condition: Condition
  /** ARNs that took a record of it. */
  readonly told: readonly string[]
}

const REASONS: Readonly<Record<Exclude<Condition, 'Success'>, string>> = {
  RetriesExhausted: 'every attempt failed',
  EventAgeExceeded: 'it is too old',
  ZeroReservedConcurrency: 'the reserved concurrency of its function is 0',
}

/** What became of an event, in one line. It is a warning where nobody else knows of a failure. */
export function reportEnd(log: Logger, { job, condition, told }: End): void {
  const { id, function: name } = job.event
  const sent = told.length === 0 ? '' : `; sent to ${told.join(' and ')}`
  if (condition === 'Success') {
    log.debug('event.done', { function: name, message: `the event ${id} for ${name} is done${sent}` })
    return
  }
  const fields = {
    function: name,
    message: `the event ${id} for ${name} is dropped: ${REASONS[condition]}${sent}`,
  }
  if (told.length === 0) log.warn('event.drop', fields)
  else log.info('event.drop', fields)
}

/** That an event is tried again, when, and why. */
export function reportRetry(
  log: Logger,
  job: Job,
  { delayMs, attemptsMax }: { readonly delayMs: number; readonly attemptsMax: number },
): void {
  const { id, function: name } = job.event
  const [reason = ''] = errorMessageOf({ ...job, condition: 'RetriesExhausted' }).split('\n')
  const again = `is tried again in ${delayMs / 1000} s (${job.attempts} of ${attemptsMax})`
  const message = `the event ${id} for ${name} failed and ${again}: ${reason.slice(0, REASON_LENGTH_MAX)}`
  log.info('event.retry', { function: name, message })
}
