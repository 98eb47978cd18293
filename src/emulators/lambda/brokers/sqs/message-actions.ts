import type { MessageAttribute } from '../../service/queue.ts'
import { BrokerError } from '../broker-error.ts'
import { objects, texts, type Input } from '../json-input.ts'
import { attributesMd5 } from './md5.ts'
import { messageBytes } from './new-message.ts'
import { HELD_MAX, type Queue } from './queue.ts'
import { MESSAGE_BYTES_MAX } from './queue-settings.ts'
import { heldByReceipt, removeByReceipt } from './queues.ts'
import { received } from './receipt.ts'
import type { SqsAction, SqsCall } from './sqs-call.ts'
import { batchError, emptyBatch, invalidParameter } from './sqs-errors.ts'
import { integer, messageAttributes, optional, required, writtenAttributes } from './sqs-input.ts'

const SECONDS_MAX = 43_200

/** What is done with messages. */
export const MESSAGE_ACTIONS: Readonly<Record<string, SqsAction>> = {
  SendMessage: (call) => send(call.queue(), call.input),
  SendMessageBatch: (call) => {
    const bytes = objects(call.input, 'Entries').reduce((sum, entry) => sum + entryBytes(entry), 0)
    if (bytes > MESSAGE_BYTES_MAX) {
      const message = `Batch requests cannot be longer than ${MESSAGE_BYTES_MAX} bytes. You have sent ${bytes} bytes.`
      throw batchError('BatchRequestTooLong', message)
    }
    return batch(call, (entry) => send(call.queue(), entry))
  },
  ReceiveMessage: receive,
  DeleteMessage: (call) => remove(call.queue(), call.input),
  DeleteMessageBatch: (call) => batch(call, (entry) => remove(call.queue(), entry)),
  ChangeMessageVisibility: (call) => changeVisibility(call.queue(), call.input),
  ChangeMessageVisibilityBatch: (call) => batch(call, (entry) => changeVisibility(call.queue(), entry)),
}

function entryBytes(entry: Input): number {
  return messageBytes({
    body: optional(entry, 'MessageBody') ?? '',
    attributes: messageAttributes(entry, 'MessageAttributes'),
  })
}

function send(queue: Queue, input: Input): Input {
  const attributes = messageAttributes(input, 'MessageAttributes')
  const system = messageAttributes(input, 'MessageSystemAttributes')
  const delay = integer(input, 'DelaySeconds', { min: 0, max: 900 })
  const message = queue.send(
    {
      body: required(input, 'MessageBody'),
      attributes,
      delayMs: delay === undefined ? undefined : delay * 1000,
      groupId: optional(input, 'MessageGroupId'),
      deduplicationId: optional(input, 'MessageDeduplicationId'),
    },
    system['AWSTraceHeader']?.text,
  )
  return {
    MessageId: message.id,
    MD5OfMessageBody: message.bodyMd5,
    MD5OfMessageAttributes: attributesMd5(attributes),
    MD5OfMessageSystemAttributes: attributesMd5(system),
    SequenceNumber: message.sequence,
  }
}

async function receive({ queue, input, signal }: SqsCall): Promise<Input> {
  const from = queue()
  const max = integer(input, 'MaxNumberOfMessages', { min: 1, max: 10 }) ?? 1
  const visibility = integer(input, 'VisibilityTimeout', { min: 0, max: SECONDS_MAX })
  const wait = integer(input, 'WaitTimeSeconds', { min: 0, max: 20 })
  if (from.held >= HELD_MAX) {
    throw new BrokerError('OverLimit', `Too many messages are in flight: ${HELD_MAX} at most.`)
  }
  const messages = await from.receive({
    max,
    waitMs: wait === undefined ? from.settings.waitMs : wait * 1000,
    visibilityMs: visibility === undefined ? undefined : visibility * 1000,
    signal,
  })
  if (messages.length === 0) return {}
  const system = [...texts(input, 'AttributeNames'), ...texts(input, 'MessageSystemAttributeNames')]
  const own = texts(input, 'MessageAttributeNames')
  return {
    Messages: messages.map((message) => {
      const { id, receipt, body, bodyMd5, systemAttributes, attributes } = received(message, from.name)
      const asked = selected(attributes, (name) => own.some((pattern) => isAsked(name, pattern)))
      return {
        MessageId: id,
        ReceiptHandle: receipt,
        MD5OfBody: bodyMd5,
        Body: body,
        Attributes: selected(systemAttributes, (name) => system.includes('All') || system.includes(name)),
        MD5OfMessageAttributes: asked && attributesMd5(asked),
        MessageAttributes: asked && writtenAttributes(asked),
      }
    }),
  }
}

/** `All`, `.*`, `order.*`, `kind` */
function isAsked(name: string, pattern: string): boolean {
  if (pattern === 'All') return true
  return pattern.endsWith('.*') ? name.startsWith(pattern.slice(0, -2)) : name === pattern
}

/** Undefined rather than none. */
function selected<Value extends string | MessageAttribute>(
  all: Readonly<Record<string, Value>>,
  isWanted: (name: string) => boolean,
): Readonly<Record<string, Value>> | undefined {
  const wanted = Object.entries(all).filter(([name]) => isWanted(name))
  return wanted.length === 0 ? undefined : Object.fromEntries(wanted)
}

function remove(queue: Queue, input: Input): Input {
  removeByReceipt(queue, required(input, 'ReceiptHandle'))
  return {}
}

function changeVisibility(queue: Queue, input: Input): Input {
  const seconds = integer(input, 'VisibilityTimeout', { min: 0, max: SECONDS_MAX })
  if (seconds === undefined)
    throw invalidParameter('The request must contain the parameter VisibilityTimeout.')
  queue.changeVisibility(heldByReceipt(queue, required(input, 'ReceiptHandle')), seconds * 1000)
  return {}
}

/** Every entry by itself: one that is refused keeps none of the others back. */
function batch(call: SqsCall, run: (entry: Input) => Input): Input {
  call.queue()
  const all = objects(call.input, 'Entries')
  checkEntries(all)
  const Successful: Input[] = []
  const Failed: Input[] = []
  for (const entry of all) {
    const Id = optional(entry, 'Id')
    try {
      Successful.push({ Id, ...run(entry) })
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error
      Failed.push({ Id, Code: error.code, Message: error.message, SenderFault: true })
    }
  }
  return { Successful, ...(Failed.length === 0 ? {} : { Failed }) }
}

function checkEntries(all: readonly Input[]): void {
  if (all.length === 0) throw emptyBatch()
  if (all.length > 10) {
    const message = `Maximum number of entries per request are 10. You have sent ${all.length}.`
    throw batchError('TooManyEntriesInBatchRequest', message)
  }
  const seen = new Set<string>()
  for (const entry of all) {
    const id = optional(entry, 'Id') ?? ''
    if (!/^[\w-]{1,80}$/.test(id)) {
      const message =
        'A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long.'
      throw batchError('InvalidBatchEntryId', message)
    }
    if (seen.has(id)) throw batchError('BatchEntryIdsNotDistinct', `Id ${id} repeated.`)
    seen.add(id)
  }
}
