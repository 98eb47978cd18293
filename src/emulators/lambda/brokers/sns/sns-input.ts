import type { MessageAttribute } from '../../service/queue.ts'
import { nodesOf, textOf, type FormNode } from '../query/query-form.ts'
import { invalidParameter } from './sns-errors.ts'

/** @throws BrokerError InvalidParameter. */
export function required(form: FormNode, name: string): string {
  const value = textOf(form, name)
  if (value === undefined || value === '')
    throw invalidParameter(`${name} Reason: no value for required parameter`)
  return value
}

/** `MessageAttributes.entry.1.Name=kind&MessageAttributes.entry.1.Value.DataType=String` … */
export function messageAttributes(form: FormNode): Record<string, MessageAttribute> {
  const attributes = nodesOf(form, 'MessageAttributes').map((item) => {
    const value = item['Value']
    const parts = value === undefined || typeof value === 'string' ? {} : value
    return [textOf(item, 'Name') ?? '', messageAttribute(parts)]
  })
  return Object.fromEntries(attributes) as Record<string, MessageAttribute>
}

function messageAttribute(value: FormNode): MessageAttribute {
  const type = textOf(value, 'DataType') ?? ''
  const binary = textOf(value, 'BinaryValue')
  return binary === undefined ? { type, text: textOf(value, 'StringValue') } : { type, binary }
}
