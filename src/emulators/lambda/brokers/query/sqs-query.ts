import { BrokerError } from '../broker-error.ts'
import { isInput, type Input } from '../json-input.ts'
import { itemsOf, mapOf, nodesOf, textOf, type FormNode } from './query-form.ts'
import { content, element } from './xml.ts'

export const SQS_NAMESPACE = 'http://queue.amazonaws.com/doc/2012-11-05/'

/** Actions without a result in XML. */
const SILENT: ReadonlySet<string> = new Set([
  'DeleteQueue',
  'PurgeQueue',
  'SetQueueAttributes',
  'DeleteMessage',
  'ChangeMessageVisibility',
  'TagQueue',
  'UntagQueue',
  'AddPermission',
  'RemovePermission',
])

/** A form of SQS's older protocol as the JSON protocol would say it: `Attribute.1.Name=…` is `Attributes: { … }`. */
export function sqsInput(action: string, form: FormNode): Input {
  const input: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(form)) if (typeof value === 'string') input[name] = value
  if (form['Attribute'] !== undefined) input['Attributes'] = mapOf(form, 'Attribute')
  if (form['Tag'] !== undefined) input['Tags'] = mapOf(form, 'Tag')
  for (const name of ['AttributeName', 'MessageSystemAttributeName', 'MessageAttributeName', 'TagKey']) {
    if (form[name] !== undefined) input[`${name}s`] = itemsOf(form, name)
  }
  for (const name of ['MessageAttribute', 'MessageSystemAttribute']) {
    if (form[name] !== undefined) input[`${name}s`] = attributesOf(form, name)
  }
  const entries = nodesOf(form, `${action}RequestEntry`)
  if (entries.length > 0) input['Entries'] = entries.map((entry) => sqsInput('', entry))
  return input
}

function attributesOf(form: FormNode, name: string): Input {
  const all = nodesOf(form, name).map((item) => [textOf(item, 'Name') ?? '', { ...asNode(item['Value']) }])
  return Object.fromEntries(all) as Input
}

function asNode(value: FormNode | string | undefined): FormNode {
  return value === undefined || typeof value === 'string' ? {} : value
}

/** The result in XML; undefined for an action that has none. */
export function sqsResult(action: string, output: Input): string | undefined {
  return SILENT.has(action) ? undefined : parts(action, output)
}

function parts(action: string, output: Input): string {
  return Object.entries(output)
    .map(([name, value]) => part(action, name, value))
    .join('')
}

/** Lists and maps are not wrapped: each item is an element of its own. */
function part(action: string, name: string, value: unknown): string {
  if (value === undefined) return ''
  if (Array.isArray(value)) {
    const items: readonly unknown[] = value
    return items.map((item) => wrapped(itemName(action, name), itemText(action, item))).join('')
  }
  if (!isInput(value)) return element(name, scalar(value))
  const key = name === 'Tags' ? 'Key' : 'Name'
  return Object.entries(value)
    .map(([entry, one]) =>
      wrapped(name.slice(0, -1), `${element(key, entry)}${wrapped('Value', itemText(action, one))}`),
    )
    .join('')
}

function itemText(action: string, item: unknown): string {
  return isInput(item) ? parts(action, item) : content(scalar(item))
}

function scalar(value: unknown): string {
  if (typeof value === 'string') return value
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  throw new BrokerError('InternalError', 'The result cannot be written as XML.', { status: 500 })
}

function wrapped(name: string, text: string): string {
  return `<${name}>${text}</${name}>`
}

function itemName(action: string, name: string): string {
  if (name === 'Successful') return `${action}ResultEntry`
  if (name === 'Failed') return 'BatchResultErrorEntry'
  return name === 'queueUrls' ? 'QueueUrl' : name.slice(0, -1)
}
