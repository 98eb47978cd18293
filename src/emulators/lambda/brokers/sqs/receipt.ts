import type { QueueMessage } from '../../service/queue.ts'
import { ACCOUNT_ID } from '../../definition.ts'
import { attributesMd5 } from './md5.ts'
import type { StoredMessage } from './message.ts'
import { invalidReceipt } from './sqs-errors.ts'

/** Which message was received, and for the how manieth time. */
export interface Receipt {
  readonly id: string
  readonly receives: number
}

function receiptOf({ id, receives }: StoredMessage, queue: string): string {
  return Buffer.from(`${receives} ${id} ${queue}`).toString('base64')
}

/** @throws BrokerError ReceiptHandleIsInvalid for one that this queue did not give. */
export function parseReceipt(receipt: string, queue: string): Receipt {
  const [receives = '', id = '', name] = Buffer.from(receipt, 'base64').toString().split(' ')
  if (name !== queue || !/^\d+$/.test(receives)) throw invalidReceipt(receipt)
  return { id, receives: Number(receives) }
}

/** Who sent it: there is one user here. */
const SENDER_ID = `AIDA${ACCOUNT_ID}FLEXI`

/** A message as its receiver sees it at this moment. */
export function received(message: StoredMessage, queue: string): QueueMessage {
  const { id, body, bodyMd5, attributes } = message
  return {
    id,
    receipt: receiptOf(message, queue),
    body,
    bodyMd5,
    systemAttributes: systemAttributes(message),
    attributes,
    attributesMd5: attributesMd5(attributes),
  }
}

function systemAttributes(message: StoredMessage): Record<string, string> {
  const all: Record<string, string | undefined> = {
    ApproximateReceiveCount: String(message.receives),
    SentTimestamp: String(message.sentAt),
    SenderId: SENDER_ID,
    ApproximateFirstReceiveTimestamp: String(message.firstReceivedAt ?? message.sentAt),
    SequenceNumber: message.sequence,
    MessageGroupId: message.groupId,
    MessageDeduplicationId: message.deduplicationId,
    AWSTraceHeader: message.trace,
    DeadLetterQueueSourceArn: message.deadLetterSource,
  }
  const present: Record<string, string> = {}
  for (const [name, value] of Object.entries(all)) if (value !== undefined) present[name] = value
  return present
}
