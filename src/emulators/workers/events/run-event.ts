import { FlexiError } from '../../../core/errors.ts'
import type { InvokeResult, ProviderEvent } from '../../../core/function.ts'
import { runtimeName } from '../api/members.ts'
import { groupsOf } from '../groups/groups.ts'
import { emailFrom, isObject, queueFrom, scheduledFrom } from './event-input.ts'
import { tellOutcome } from './trigger-story.ts'
import { trigger, type TriggerEvent } from './trigger.ts'

/** Runs a handler of a worker with an event of one of `workersSamples`; the result's payload is how it ended, as JSON. */
export async function runEvent({ app, name, source, event }: ProviderEvent): Promise<InvokeResult> {
  const groups = groupsOf(app)
  const member = groups.members().find(({ config }) => config.name === name)
  if (member === undefined) throw new FlexiError('FLEXI_FUNCTION_UNKNOWN', `no worker is called ${name}`)
  const asked = triggerOf(source, event)
  const result = await trigger(await groups.control(name), runtimeName(member), asked)
  await tellOutcome(member.scope, asked, result)
  return {
    payload: Buffer.from(JSON.stringify(result)),
    contentType: 'application/json',
    functionError: result.outcome === 'ok' ? undefined : 'Unhandled',
    log: '',
  }
}

function triggerOf(source: string, event: unknown): TriggerEvent {
  const value = isObject(event) ? event : {}
  const now = Date.now()
  if (source === 'workers:cron') return scheduledFrom(value, now)
  if (source === 'workers:queue') return queueFrom(value, now)
  if (source === 'workers:email') return emailFrom(value)
  throw new FlexiError('FLEXI_USAGE', `a Worker has no handler for ${source}`, {
    hint: 'Send it a request in place of an event, or name workers:cron, workers:queue or workers:email.',
  })
}
