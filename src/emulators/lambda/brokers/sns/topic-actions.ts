import { BrokerError } from '../broker-error.ts'
import { itemsOf, mapOf, nodesOf, textOf, type FormNode } from '../query/query-form.ts'
import type { XmlObject } from '../query/xml.ts'
import { nameOf } from '../sqs/queues.ts'
import type { SnsAction, SnsCall } from './sns-call.ts'
import { invalidParameter } from './sns-errors.ts'
import { messageAttributes, required } from './sns-input.ts'
import { publicationBytes, type NewPublication, type Published } from './topic.ts'

/** What is done with topics, and with what is published. */
export const TOPIC_ACTIONS: Readonly<Record<string, SnsAction>> = {
  CreateTopic: ({ form, topics }) => {
    const topic = topics.create(required(form, 'Name'), mapOf(form, 'Attributes'))
    for (const [key, value] of Object.entries(mapOf(form, 'Tags'))) topic.tags.set(key, value)
    return { TopicArn: topic.arn }
  },
  // Of one that is gone it is nothing.
  DeleteTopic: ({ form, topics }) => {
    topics.delete(nameOf(required(form, 'TopicArn')))
    return undefined
  },
  ListTopics: ({ topics }) => ({ Topics: topics.all().map(({ arn }) => ({ TopicArn: arn })) }),
  GetTopicAttributes: ({ form, topics }) => ({
    Attributes: new Map(Object.entries(topics.get(required(form, 'TopicArn')).attributes())),
  }),
  SetTopicAttributes: ({ form, topics }) => {
    const topic = topics.get(required(form, 'TopicArn'))
    topic.setAttribute(required(form, 'AttributeName'), textOf(form, 'AttributeValue') ?? '')
    return undefined
  },
  TagResource: ({ form, topics }) => {
    const { tags } = topics.get(required(form, 'ResourceArn'))
    for (const [key, value] of Object.entries(mapOf(form, 'Tags'))) tags.set(key, value)
    return {}
  },
  UntagResource: ({ form, topics }) => {
    const { tags } = topics.get(required(form, 'ResourceArn'))
    for (const key of itemsOf(form, 'TagKeys')) if (typeof key === 'string') tags.delete(key)
    return {}
  },
  ListTagsForResource: ({ form, topics }) => {
    const { tags } = topics.get(required(form, 'ResourceArn'))
    return { Tags: [...tags].map(([Key, Value]) => ({ Key, Value })) }
  },
  Publish: publish,
  PublishBatch: publishBatch,
}

function publish({ form, topics }: SnsCall): XmlObject {
  const arn = textOf(form, 'TopicArn') ?? textOf(form, 'TargetArn')
  if (arn === undefined) {
    throw invalidParameter(
      'TopicArn or TargetArn Reason: no value for required parameter; nothing here sends text messages',
    )
  }
  return published(topics.publish(topics.get(arn), newPublication(form)))
}

function published({ id, sequence }: Published): XmlObject {
  return { MessageId: id, SequenceNumber: sequence }
}

function newPublication(form: FormNode): NewPublication {
  return {
    message: textOf(form, 'Message') ?? '',
    subject: textOf(form, 'Subject'),
    structure: textOf(form, 'MessageStructure'),
    attributes: messageAttributes(form),
    groupId: textOf(form, 'MessageGroupId'),
    deduplicationId: textOf(form, 'MessageDeduplicationId'),
  }
}

/** Every entry by itself: one that is refused keeps none of the others back. */
function publishBatch({ form, topics }: SnsCall): XmlObject {
  const topic = topics.get(required(form, 'TopicArn'))
  const entries = nodesOf(form, 'PublishBatchRequestEntries')
  checkEntries(entries)
  const bytes = entries.reduce((sum, entry) => sum + publicationBytes(newPublication(entry)), 0)
  if (bytes > topic.messageBytesMax) {
    const message = 'The length of all the batch messages put together is more than the limit.'
    throw new BrokerError('BatchRequestTooLong', message)
  }
  const Successful: XmlObject[] = []
  const Failed: XmlObject[] = []
  for (const entry of entries) {
    const Id = textOf(entry, 'Id')
    try {
      Successful.push({ Id, ...published(topics.publish(topic, newPublication(entry))) })
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error
      Failed.push({ Id, Code: error.code, Message: error.message, SenderFault: true })
    }
  }
  return { Successful, Failed }
}

function checkEntries(entries: readonly FormNode[]): void {
  if (entries.length === 0) {
    throw new BrokerError('EmptyBatchRequest', "The batch request doesn't contain any entries.")
  }
  if (entries.length > 10) {
    throw new BrokerError(
      'TooManyEntriesInBatchRequest',
      'The batch request contains more entries than permissible.',
    )
  }
  const ids = entries.map((entry) => textOf(entry, 'Id') ?? '')
  if (ids.some((id) => !/^[\w-]{1,80}$/.test(id))) {
    throw new BrokerError(
      'InvalidBatchEntryId',
      "The Id of a batch entry in a batch request doesn't abide by the specification.",
    )
  }
  if (new Set(ids).size < ids.length) {
    throw new BrokerError(
      'BatchEntryIdsNotDistinct',
      'Two or more batch entries in the request have the same Id.',
    )
  }
}
