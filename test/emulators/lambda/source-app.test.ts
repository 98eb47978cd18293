import {
  CreateEventSourceMappingCommand,
  DeleteEventSourceMappingCommand,
  GetEventSourceMappingCommand,
} from '@aws-sdk/client-lambda'
import {
  CreateQueueCommand,
  GetQueueAttributesCommand,
  GetQueueUrlCommand,
  SendMessageBatchCommand,
  SendMessageCommand,
  SetQueueAttributesCommand,
  SQSClient,
} from '@aws-sdk/client-sqs'
import { expect, test } from 'vitest'

import { serveProject, type ApiProject } from './api-project.ts'
import { SOON } from './source-harness.ts'

/** Prints what it is given, and fails on demand. */
const HANDLER = `
export const handler = async (event) => {
  const bodies = event.Records?.map(({ body }) => body) ?? [JSON.stringify(event)]
  console.log('GOT ' + bodies.join(' '))
  if (bodies.includes('bad')) throw new Error('bad')
}`

function queues({ endpoint }: ApiProject): SQSClient {
  return new SQSClient({
    endpoint,
    region: 'us-east-1',
    credentials: { accessKeyId: 'flexi', secretAccessKey: 'flexi' },
    maxAttempts: 1,
  })
}

/** What the functions printed of their events. */
function got({ events }: ApiProject): string[] {
  return events.flatMap((event) =>
    event.event === 'log' && event.text.startsWith('GOT ') ? [event.text.slice(4)] : [],
  )
}

async function left(client: SQSClient, queue: string): Promise<string> {
  const { QueueUrl } = await client.send(new GetQueueUrlCommand({ QueueName: queue }))
  const names = ['ApproximateNumberOfMessages', 'ApproximateNumberOfMessagesNotVisible'] as const
  const { Attributes } = await client.send(
    new GetQueueAttributesCommand({ QueueUrl, AttributeNames: [...names] }),
  )
  return names.map((name) => Attributes?.[name]).join(' ')
}

test('a message that an SDK sends runs the function whose source the queue is, and is gone then', async () => {
  await using project = await serveProject(
    { hello: { handler: 'index.handler', sources: [{ type: 'sqs', queue: 'orders' }] } },
    { 'index.mjs': HANDLER },
  )
  const client = queues(project)
  const { QueueUrl } = await client.send(new GetQueueUrlCommand({ QueueName: 'orders' }))
  await client.send(new SendMessageCommand({ QueueUrl, MessageBody: 'first' }))
  await expect.poll(() => got(project), SOON).toEqual(['first'])
  await client.send(
    new SendMessageBatchCommand({
      QueueUrl,
      Entries: ['a', 'b', 'c'].map((body) => ({ Id: body, MessageBody: body })),
    }),
  )
  await expect.poll(() => got(project).join(' ').split(' ').length, SOON).toBe(4)
  await expect.poll(() => left(client, 'orders'), SOON).toBe('0 0')
  client.destroy()
})

test('a message that always fails ends in the dead-letter queue, and runs the function that reads that', async () => {
  await using project = await serveProject(
    {
      worker: { handler: 'index.handler', sources: [{ type: 'sqs', queue: 'jobs' }] },
      undertaker: { handler: 'index.handler', sources: [{ type: 'sqs', queue: 'dead' }] },
    },
    { 'index.mjs': HANDLER.replace('throw', "if (event.Records[0].eventSourceARN.endsWith(':jobs')) throw") },
  )
  const client = queues(project)
  const { QueueUrl } = await client.send(new GetQueueUrlCommand({ QueueName: 'jobs' }))
  const redrive = { deadLetterTargetArn: 'arn:aws:sqs:us-east-1:123456789012:dead', maxReceiveCount: 2 }
  await client.send(
    new SetQueueAttributesCommand({
      QueueUrl,
      Attributes: { VisibilityTimeout: '1', RedrivePolicy: JSON.stringify(redrive) },
    }),
  )
  await client.send(new SendMessageCommand({ QueueUrl, MessageBody: 'bad' }))
  await expect.poll(() => got(project), SOON).toEqual(['bad', 'bad', 'bad'])
  await expect.poll(() => left(client, 'dead'), SOON).toBe('0 0')
  client.destroy()
})

test('the queue of another SQS is read by its URL', async () => {
  // The other SQS is another project of ours, asked over HTTP as any other.
  await using other = await serveProject(
    { idle: { handler: 'index.handler', sources: [{ type: 'sqs', queue: 'unused' }] } },
    { 'index.mjs': HANDLER },
  )
  const client = queues(other)
  const { QueueUrl } = await client.send(new CreateQueueCommand({ QueueName: 'remote' }))
  await using project = await serveProject(
    {
      hello: {
        handler: 'index.handler',
        sources: [{ type: 'sqs', queue: 'remote', endpoint: other.endpoint }],
      },
    },
    { 'index.mjs': HANDLER },
  )
  await client.send(
    new SendMessageCommand({
      QueueUrl,
      MessageBody: 'far',
      MessageAttributes: { kind: { DataType: 'String', StringValue: 'greeting' } },
    }),
  )
  await expect.poll(() => got(project), SOON).toEqual(['far'])
  await expect.poll(() => left(client, 'remote'), SOON).toBe('0 0')
  client.destroy()
})

test('messages of a group run in their order, also through one that fails', async () => {
  const steps = `
let failed = false
export const handler = async ({ Records }) => {
  for (const { body } of Records) {
    console.log('GOT ' + body)
    if (body === 'two' && !failed) {
      failed = true
      throw new Error('not yet')
    }
  }
}`
  const source = { type: 'sqs', queue: 'steps.fifo', batchSize: 1 }
  await using project = await serveProject(
    { hello: { handler: 'index.handler', sources: [source] } },
    { 'index.mjs': steps },
  )
  const client = queues(project)
  const { QueueUrl } = await client.send(new GetQueueUrlCommand({ QueueName: 'steps.fifo' }))
  await client.send(new SetQueueAttributesCommand({ QueueUrl, Attributes: { VisibilityTimeout: '1' } }))
  for (const body of ['one', 'two', 'three'])
    await client.send(
      new SendMessageCommand({
        QueueUrl,
        MessageBody: body,
        MessageGroupId: 'stairs',
        MessageDeduplicationId: body,
      }),
    )
  await expect.poll(() => got(project), SOON).toEqual(['one', 'two', 'two', 'three'])
  await expect.poll(() => left(client, 'steps.fifo'), SOON).toBe('0 0')
  client.destroy()
})

test('a mapping that an SDK makes runs the function, tells how it does, and is over when it is deleted', async () => {
  await using project = await serveProject({ hello: { handler: 'index.handler' } }, { 'index.mjs': HANDLER })
  const client = queues(project)
  const { QueueUrl } = await client.send(new CreateQueueCommand({ QueueName: 'mapped' }))
  const { UUID } = await project.client.send(
    new CreateEventSourceMappingCommand({
      FunctionName: 'hello',
      EventSourceArn: 'arn:aws:sqs:us-east-1:123456789012:mapped',
      FilterCriteria: { Filters: [{ Pattern: JSON.stringify({ body: [{ prefix: 'good' }] }) }] },
    }),
  )
  for (const MessageBody of ['good-1', 'other'])
    await client.send(new SendMessageCommand({ QueueUrl, MessageBody }))
  await expect.poll(() => got(project), SOON).toEqual(['good-1'])
  await expect.poll(() => left(client, 'mapped'), SOON).toBe('0 0')
  const told = async (): Promise<string | undefined> =>
    (await project.client.send(new GetEventSourceMappingCommand({ UUID }))).LastProcessingResult
  await expect.poll(told, SOON).toBe('OK')
  await project.client.send(new DeleteEventSourceMappingCommand({ UUID }))
  await client.send(new SendMessageCommand({ QueueUrl, MessageBody: 'good-2' }))
  await expect.poll(() => left(client, 'mapped'), SOON).toBe('1 0')
  expect(got(project)).toEqual(['good-1'])
  client.destroy()
})
