import type { MessageAttribute, QueueMessage } from '../../service/queue.ts'
import type { QueueAccess } from './queue-access.ts'

/** A message as a function sees it, in `Records`. Source: Lambda guide, Amazon SQS event. */
export function queueRecord(
  message: QueueMessage,
  { arn, region }: Pick<QueueAccess, 'arn' | 'region'>,
): Readonly<Record<string, unknown>> {
  const { attributesMd5 } = message
  return {
    messageId: message.id,
    receiptHandle: message.receipt,
    body: message.body,
    attributes: message.systemAttributes,
    messageAttributes: Object.fromEntries(
      Object.entries(message.attributes).map(([name, attribute]) => [name, recordAttribute(attribute)]),
    ),
    md5OfBody: message.bodyMd5,
    ...(attributesMd5 === undefined ? {} : { md5OfMessageAttributes: attributesMd5 }),
    eventSource: 'aws:sqs',
    eventSourceARN: arn,
    awsRegion: region,
  }
}

function recordAttribute({ type, text, binary }: MessageAttribute): object {
  return {
    ...(text === undefined ? {} : { stringValue: text }),
    ...(binary === undefined ? {} : { binaryValue: binary }),
    stringListValues: [],
    binaryListValues: [],
    dataType: type,
  }
}
