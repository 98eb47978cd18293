import { ACCOUNT_ID } from '../../definition.ts'
import { texts, type Input } from '../json-input.ts'
import { listMoves, startMove } from './move-tasks.ts'
import type { Queue } from './queue.ts'
import type { SqsAction, SqsCall } from './sqs-call.ts'
import { invalidParameter, queueDoesNotExist, unknownAttribute } from './sqs-errors.ts'
import { integer, optional, required, textMap } from './sqs-input.ts'

const LIST_MAX = 1000

/** What is done with queues. */
export const QUEUE_ACTIONS: Readonly<Record<string, SqsAction>> = {
  CreateQueue: ({ input, queues, urlOf }) => {
    const queue = queues.create(required(input, 'QueueName'), textMap(input, 'Attributes'))
    addTags(queue, { ...textMap(input, 'tags'), ...textMap(input, 'Tags') })
    return { QueueUrl: urlOf(queue.name) }
  },
  GetQueueUrl: ({ input, queues, urlOf }) => {
    const owner = optional(input, 'QueueOwnerAWSAccountId') ?? ACCOUNT_ID
    const queue = queues.find(required(input, 'QueueName'))
    if (queue === undefined || owner !== ACCOUNT_ID) throw queueDoesNotExist()
    return { QueueUrl: urlOf(queue.name) }
  },
  ListQueues: (call) => {
    const prefix = optional(call.input, 'QueueNamePrefix') ?? ''
    const { page, NextToken } = paged(
      call,
      call.queues.names().filter((name) => name.startsWith(prefix)),
    )
    return { QueueUrls: page.length === 0 ? undefined : page.map(call.urlOf), NextToken }
  },
  ListDeadLetterSourceQueues: (call) => {
    const { arn } = call.queue()
    const sources = call.queues
      .names()
      .filter((name) => call.queues.get(name).settings.redrive?.target === arn)
    const { page, NextToken } = paged(call, sources)
    return { queueUrls: page.map(call.urlOf), NextToken }
  },
  DeleteQueue: ({ queue, queues }) => done(queues.delete(queue())),
  // In the cloud that is refused for a minute after the last time. Here tests do it between each other.
  PurgeQueue: ({ queue }) => done(queue().purge()),
  GetQueueAttributes: ({ queue, input }) => attributesOf(queue(), texts(input, 'AttributeNames')),
  SetQueueAttributes: ({ queue, input }) => done(queue().setAttributes(textMap(input, 'Attributes'))),
  TagQueue: ({ queue, input }) => done(addTags(queue(), textMap(input, 'Tags'))),
  UntagQueue: ({ queue, input }) => {
    const { tags } = queue()
    for (const key of texts(input, 'TagKeys')) tags.delete(key)
    return {}
  },
  ListQueueTags: ({ queue }) => {
    const tags = Object.fromEntries(queue().tags)
    return Object.keys(tags).length === 0 ? {} : { Tags: tags }
  },
  // Permissions are not looked at.
  AddPermission: ({ queue }) => done(queue()),
  RemovePermission: ({ queue }) => done(queue()),
  StartMessageMoveTask: startMove,
  ListMessageMoveTasks: listMoves,
}

function done(_result: unknown): Input {
  return {}
}

function addTags({ tags }: Queue, added: Readonly<Record<string, string>>): void {
  for (const [key, value] of Object.entries(added)) tags.set(key, value)
}

function attributesOf(queue: Queue, names: readonly string[]): Input {
  const all = queue.attributes()
  const asked = names.includes('All') ? Object.keys(all) : names
  const unknown = asked.find((name) => !(name in all) && !KNOWN.has(name))
  if (unknown !== undefined) throw unknownAttribute(unknown)
  const there = asked.filter((name) => name in all)
  return there.length === 0 ? {} : { Attributes: Object.fromEntries(there.map((name) => [name, all[name]])) }
}

/** Attributes that a queue may have and often has not. */
const KNOWN: ReadonlySet<string> = new Set([
  'Policy',
  'RedrivePolicy',
  'RedriveAllowPolicy',
  'KmsMasterKeyId',
  'KmsDataKeyReusePeriodSeconds',
  'FifoQueue',
  'ContentBasedDeduplication',
  'DeduplicationScope',
  'FifoThroughputLimit',
])

/** One page of names. The token is where the next begins. */
function paged(
  { input }: SqsCall,
  names: readonly string[],
): { readonly page: readonly string[]; readonly NextToken: string | undefined } {
  const max = integer(input, 'MaxResults', { min: 1, max: LIST_MAX })
  const token = optional(input, 'NextToken')
  const start = token === undefined ? 0 : Number(Buffer.from(token, 'base64').toString())
  if (!Number.isInteger(start)) throw invalidParameter('Invalid or expired next token.')
  const end = start + (max ?? LIST_MAX)
  const more = max !== undefined && end < names.length
  return {
    page: names.slice(start, end),
    NextToken: more ? Buffer.from(String(end)).toString('base64') : undefined,
  }
}
