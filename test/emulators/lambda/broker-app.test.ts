import { EventBridgeClient, PutEventsCommand } from '@aws-sdk/client-eventbridge'
import { CreateQueueCommand, ReceiveMessageCommand, SQSClient } from '@aws-sdk/client-sqs'
import { expect, test } from 'vitest'

import { serveProject } from './api-project.ts'

const FILES = {
  'first.mjs': `
    import { PublishCommand, SNSClient } from '@aws-sdk/client-sns'
    const sns = new SNSClient({})
    export const handler = async (event) => {
      const Message = 'order ' + event.detail.order
      await sns.send(new PublishCommand({ TopicArn: 'arn:aws:sns:us-east-1:123456789012:news', Message }))
    }`,
  'second.mjs': `
    import { GetQueueUrlCommand, SendMessageCommand, SQSClient } from '@aws-sdk/client-sqs'
    const sqs = new SQSClient({})
    export const handler = async (event) => {
      const { QueueUrl } = await sqs.send(new GetQueueUrlCommand({ QueueName: 'results' }))
      const MessageBody = event.Records[0].Sns.Message + ' was read'
      await sqs.send(new SendMessageCommand({ QueueUrl, MessageBody }))
    }`,
}

const FUNCTIONS = {
  first: { handler: 'first.handler', sources: [{ type: 'events', pattern: { source: ['shop'] } }] },
  second: { handler: 'second.handler', sources: [{ type: 'sns', topic: 'news' }] },
}

test('an event goes from a bus to a function, a topic, another function and a queue, with clients that know no address', async () => {
  await using project = await serveProject(FUNCTIONS, FILES)
  const options = {
    endpoint: project.endpoint,
    region: 'us-east-1',
    credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
  }
  const bridge = new EventBridgeClient(options)
  const sqs = new SQSClient(options)
  const { QueueUrl } = await sqs.send(new CreateQueueCommand({ QueueName: 'results' }))
  const entry = { Source: 'shop', DetailType: 'Order Placed', Detail: '{"order":42}' }
  await bridge.send(new PutEventsCommand({ Entries: [entry] }))
  const { Messages } = await sqs.send(new ReceiveMessageCommand({ QueueUrl, WaitTimeSeconds: 20 }))
  expect(Messages?.map(({ Body }) => Body)).toEqual(['order 42 was read'])
  bridge.destroy()
  sqs.destroy()
})
