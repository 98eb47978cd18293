import type { AwsClient } from '../aws-client.ts'
import { memberOf } from '../batch-failures.ts'
import type { MessageAttribute, QueueMessage } from '../../service/queue.ts'
import { queueArn, queueName, regionOfArn, REQUEST_MESSAGES_MAX, type QueueAccess } from './queue-access.ts'

/** A queue of another SQS (LocalStack, ElasticMQ, AWS's own), by AWS's JSON protocol. */
export function remoteQueue(client: AwsClient, queue: string, region: string): QueueAccess {
  const arn = queueArn(queue, region)
  let known: Promise<unknown> | undefined
  const url = async (signal?: AbortSignal): Promise<unknown> => {
    try {
      known ??= client.call('GetQueueUrl', { QueueName: queueName(queue) }, signal)
      return memberOf(await known, 'QueueUrl')
    } catch (error) {
      // Asked again the next time: the queue may be made later.
      known = undefined
      throw error
    }
  }
  const inTens = async (
    operation: string,
    receipts: readonly string[],
    fields: Readonly<Record<string, unknown>>,
  ): Promise<void> => {
    for (let start = 0; start < receipts.length; start += REQUEST_MESSAGES_MAX) {
      const entries = receipts
        .slice(start, start + REQUEST_MESSAGES_MAX)
        .map((receipt, index) => ({ Id: String(index), ReceiptHandle: receipt, ...fields }))
      await client.call(operation, { QueueUrl: await url(), Entries: entries })
    }
  }
  return {
    arn,
    region: regionOfArn(arn, region),
    async receive({ max, waitMs, signal }) {
      const answer = await client.call(
        'ReceiveMessage',
        {
          QueueUrl: await url(signal),
          MaxNumberOfMessages: max,
          // Whole seconds alone: never none at all, or the wait would be a spin.
          WaitTimeSeconds: Math.ceil(waitMs / 1000),
          // Servers know one name or the other.
          AttributeNames: ['All'],
          MessageSystemAttributeNames: ['All'],
          MessageAttributeNames: ['All'],
        },
        signal,
      )
      const messages = memberOf(answer, 'Messages')
      return Array.isArray(messages) ? messages.map(message) : []
    },
    remove: (receipts) => inTens('DeleteMessageBatch', receipts, {}),
    release: (receipts) => inTens('ChangeMessageVisibilityBatch', receipts, { VisibilityTimeout: 0 }),
  }
}

function message(given: unknown): QueueMessage {
  return {
    id: textOf(given, 'MessageId'),
    receipt: textOf(given, 'ReceiptHandle'),
    body: textOf(given, 'Body'),
    bodyMd5: textOf(given, 'MD5OfBody'),
    systemAttributes: Object.fromEntries(
      Object.entries(memberOf(given, 'Attributes') ?? {}).map(([name, value]) => [name, String(value)]),
    ),
    attributes: Object.fromEntries(
      Object.entries(memberOf(given, 'MessageAttributes') ?? {}).map(([name, value]) => [
        name,
        attribute(value),
      ]),
    ),
    attributesMd5: optionalText(given, 'MD5OfMessageAttributes'),
  }
}

function attribute(given: unknown): MessageAttribute {
  return {
    type: textOf(given, 'DataType'),
    text: optionalText(given, 'StringValue'),
    binary: optionalText(given, 'BinaryValue'),
  }
}

function optionalText(given: unknown, name: string): string | undefined {
  const value = memberOf(given, name)
  return typeof value === 'string' ? value : undefined
}

function textOf(given: unknown, name: string): string {
  return optionalText(given, name) ?? ''
}
