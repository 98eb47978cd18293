import type { MessageAttribute } from '../service/queue.ts'
import { isRecord } from './leaf.ts'
import { compilePattern } from './pattern.ts'
import { patternFault } from './pattern-fault.ts'

export type FilterPolicyScope = 'MessageAttributes' | 'MessageBody'

interface FilteredMessage {
  readonly body: string
  readonly attributes: Readonly<Record<string, MessageAttribute>>
}

/**
 * A filter policy of an SNS subscription. An empty one lets everything through.
 * @throws FlexiError FLEXI_CONFIG for a policy that cannot be.
 */
export function compileFilterPolicy(
  policy: unknown,
  scope: FilterPolicyScope = 'MessageAttributes',
): (message: FilteredMessage) => boolean {
  if (isRecord(policy) && Object.keys(policy).length === 0) return () => true
  const matches = compilePattern(policy)
  if (scope === 'MessageBody') {
    return ({ body }) => {
      const content = objectOf(body)
      return content !== undefined && matches(content)
    }
  }
  if (isRecord(policy) && Object.values(policy).some((value) => isRecord(value))) {
    throw patternFault('Filter policy scope MessageAttributes does not support nested filter policy')
  }
  return ({ attributes }) => matches(valuesOf(attributes))
}

/** A body that is no JSON object matches no policy, not even one that asks for absence. */
function objectOf(body: string): unknown {
  const content = parsed(body)
  return isRecord(content) ? content : undefined
}

/** Attributes as an event's members. Binary ones cannot be filtered by. */
function valuesOf(attributes: Readonly<Record<string, MessageAttribute>>): Record<string, unknown> {
  const values: Record<string, unknown> = {}
  for (const [name, { type, text }] of Object.entries(attributes)) {
    if (text === undefined) continue
    if (type === 'Number' || type.startsWith('Number.')) values[name] = Number(text)
    else values[name] = type === 'String.Array' ? parsed(text) : text
  }
  return values
}

/** Undefined for what is no JSON. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
