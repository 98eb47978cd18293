import { errorMessage, FlexiError } from '../../../core/errors.ts'
import { VERSION } from '../definition.ts'
import type { Invoker } from '../service/service.ts'
import { referenceOf } from './async-event.ts'
import type { Job } from './lane.ts'

/** `throttled`: no room at this moment. `missing`: no such function at this moment. */
export type AttemptResult = 'done' | 'failed' | 'throttled' | 'missing'

const THROTTLES = ['FLEXI_THROTTLED', 'FLEXI_QUEUE_FULL', 'FLEXI_SHUTTING_DOWN']

/** Runs an event once, and counts that in its job. Never rejects. */
export async function attempt(job: Job, invoke: Invoker['invoke']): Promise<AttemptResult> {
  const { id, payload, trace, qualifier = VERSION } = job.event
  try {
    job.invoked = await invoke(referenceOf(job.event), payload, { id, trace })
  } catch (error) {
    if (error instanceof FlexiError && THROTTLES.includes(error.code)) return 'throttled'
    if (isMissing(error)) return 'missing'
    // It could not even begin, and would not the next time: that is a failure as any other.
    job.invoked = { payload: failure(error), functionError: 'Unhandled', executedVersion: qualifier }
  }
  job.attempts += 1
  return job.invoked.functionError === undefined ? 'done' : 'failed'
}

function isMissing(error: unknown): boolean {
  if (error instanceof FlexiError) return error.code === 'FLEXI_FUNCTION_UNKNOWN'
  return error instanceof Error && error.name === 'ResourceNotFoundException'
}

function failure(error: unknown): Uint8Array {
  const errorType = error instanceof FlexiError ? error.code : 'Runtime.Unknown'
  return Buffer.from(JSON.stringify({ errorType, errorMessage: errorMessage(error) }))
}
