import type { InvokeOptions } from '../app.ts'
import { FlexiError } from '../core/errors.ts'
import type { JsonObject } from '../core/event-sample.ts'
import { assignments } from './options.ts'
import { payloadOf } from './payload.ts'

interface EventFlags {
  readonly event: string
  readonly set: readonly string[] | undefined
  readonly payload: string | undefined
}

/**
 * The sample event that `--event` names, with the values of `--set`. `--payload` is what it carries, where its source carries something.
 * @throws FlexiError FLEXI_NO_INPUT, FLEXI_USAGE.
 */
export async function eventOf({
  event,
  set = [],
  payload,
}: EventFlags): Promise<NonNullable<InvokeOptions['event']>> {
  const { eventSource, sampleEvent } = await import('../app/events.ts')
  const { source, provider } = eventSource(event)
  const sample = sampleEvent(source, assignments('set', set))
  const value = payload === undefined ? sample : filled(sample, source, await payloadOf(payload))
  return { source, provider, value }
}

/** A queue's messages have these bodies; an email is this message. */
function filled(sample: JsonObject, source: string, payload: Uint8Array): JsonObject {
  const text = new TextDecoder().decode(payload)
  if (source === 'workers:email') return { ...sample, raw: text }
  if (source === 'workers:queue') {
    const content = jsonOrText(text)
    const bodies = Array.isArray(content) ? content : [content]
    return { ...sample, messages: bodies.map((body) => ({ body })) }
  }
  throw new FlexiError('FLEXI_USAGE', `an event of ${source} takes no --payload`, {
    hint: 'Change its values with --set NAME=VALUE, or pass the whole event with --payload alone.',
  })
}

export function jsonOrText(text: string): JsonObject[string] {
  try {
    return JSON.parse(text) as JsonObject[string]
  } catch {
    return text
  }
}
