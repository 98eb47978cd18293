import { createServer } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'

import {
  ConfirmSubscriptionCommand,
  CreateTopicCommand,
  DeleteTopicCommand,
  GetSubscriptionAttributesCommand,
  GetTopicAttributesCommand,
  ListSubscriptionsByTopicCommand,
  ListSubscriptionsCommand,
  ListTagsForResourceCommand,
  ListTopicsCommand,
  NotFoundException,
  PublishBatchCommand,
  PublishCommand,
  SetSubscriptionAttributesCommand,
  SetTopicAttributesCommand,
  SubscribeCommand,
  UnsubscribeCommand,
  type SNSServiceException,
  type SubscribeCommandInput,
} from '@aws-sdk/client-sns'
import { SnsSchema } from '@aws-lambda-powertools/parser/schemas'
import { describe, expect, test } from 'vitest'

import type { QueueMessage } from '../../../src/emulators/lambda/service/queue.ts'
import type { Resource } from '../../../src/emulators/lambda/service/resource.ts'
import { hosted, type Hosted } from './broker-harness.ts'

const HELLO = 'arn:aws:lambda:us-east-1:123456789012:function:hello'
const ORDERS = 'arn:aws:sqs:us-east-1:123456789012:orders'
const TOPIC = 'arn:aws:sns:us-east-1:123456789012:news'

async function topic(
  { sns }: Hosted,
  name = 'news',
  attributes: Record<string, string> = {},
): Promise<string> {
  const { TopicArn = '' } = await sns.send(new CreateTopicCommand({ Name: name, Attributes: attributes }))
  return TopicArn
}

async function subscribe({ sns }: Hosted, input: Omit<SubscribeCommandInput, 'TopicArn'>): Promise<string> {
  const { SubscriptionArn = '' } = await sns.send(new SubscribeCommand({ TopicArn: TOPIC, ...input }))
  return SubscriptionArn
}

async function received({ brokers }: Hosted, queue = ORDERS): Promise<readonly QueueMessage[]> {
  const signal = AbortSignal.timeout(5_000)
  return await brokers.queues.receive(queue, { max: 10, waitMs: 0, signal })
}

async function refusal(promise: Promise<unknown>): Promise<string> {
  const error = (await promise.then(
    () => Promise.reject(new Error('it was not refused')),
    (reason: unknown) => reason,
  )) as SNSServiceException
  return `${error.name}: ${error.message}`
}

interface Posted {
  readonly fields: Readonly<Record<string, unknown>>
  readonly body: string
}

/** A server that is subscribed. It answers with the statuses in order, then 200. */
async function listener(
  statuses: number[] = [],
): Promise<{ url: string; posted: Posted[] } & AsyncDisposable> {
  const posted: Posted[] = []
  const server = createServer((incoming, outgoing) => {
    let body = ''
    incoming.on('data', (chunk: Buffer) => (body += chunk.toString()))
    incoming.on('end', () => {
      posted.push({ fields: incoming.headers, body })
      outgoing.writeHead(statuses.shift() ?? 200)
      outgoing.end()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    posted,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

describe('a topic', () => {
  test('invokes functions with the event that SNS sends', async () => {
    await using host = await hosted()
    const TopicArn = await topic(host)
    const SubscriptionArn = await subscribe(host, { Protocol: 'lambda', Endpoint: HELLO })
    const { MessageId } = await host.sns.send(
      new PublishCommand({
        TopicArn,
        Message: 'Hello from SNS! <ü> & "more"',
        Subject: 'a subject',
        MessageAttributes: {
          kind: { DataType: 'String', StringValue: 'order' },
          bytes: { DataType: 'Binary', BinaryValue: new Uint8Array([1, 2]) },
        },
      }),
    )
    expect(host.invoked).toEqual([
      {
        reference: HELLO,
        event: {
          Records: [
            {
              EventSource: 'aws:sns',
              EventVersion: '1.0',
              EventSubscriptionArn: SubscriptionArn,
              Sns: {
                Type: 'Notification',
                MessageId,
                TopicArn,
                Subject: 'a subject',
                Message: 'Hello from SNS! <ü> & "more"',
                Timestamp: '2026-11-21T10:00:00.250Z',
                SignatureVersion: '1',
                Signature: expect.stringMatching(/^[A-Za-z0-9+/]+=*$/) as string,
                SigningCertUrl: expect.stringMatching(/^https:\/\/sns\..*\.pem$/) as string,
                UnsubscribeUrl: `${host.endpoint}/?Action=Unsubscribe&SubscriptionArn=${SubscriptionArn}`,
                MessageAttributes: {
                  kind: { Type: 'String', Value: 'order' },
                  bytes: { Type: 'Binary', Value: 'AQI=' },
                },
              },
            },
          ],
        },
      },
    ])
    expect(() => SnsSchema.parse(host.invoked[0]?.event)).not.toThrow()
    const unsubscribe = `${host.endpoint}/?Action=Unsubscribe&SubscriptionArn=${SubscriptionArn}`
    expect((await fetch(unsubscribe)).status).toBe(200)
    expect((await host.sns.send(new ListSubscriptionsCommand({}))).Subscriptions ?? []).toEqual([])
  })

  test('sends queues an envelope, or the message alone with its attributes', async () => {
    await using host = await hosted()
    host.brokers.queues.ensure('orders')
    host.brokers.queues.ensure('raw')
    const TopicArn = await topic(host)
    await subscribe(host, { Protocol: 'sqs', Endpoint: ORDERS })
    const raw = await subscribe(host, {
      Protocol: 'sqs',
      Endpoint: ORDERS.replace('orders', 'raw'),
      Attributes: { RawMessageDelivery: 'true' },
    })
    expect(raw).toMatch(/^arn:aws:sns:us-east-1:123456789012:news:[0-9a-f-]{36}$/)
    const MessageAttributes = { n: { DataType: 'Number', StringValue: '3' } }
    await host.sns.send(new PublishCommand({ TopicArn, Message: 'hi', MessageAttributes }))
    const [wrapped] = await received(host)
    expect(JSON.parse(wrapped?.body ?? '')).toMatchObject({
      Type: 'Notification',
      TopicArn,
      Message: 'hi',
      Timestamp: '2026-11-21T10:00:00.250Z',
      SignatureVersion: '1',
      SigningCertURL: expect.any(String) as string,
      UnsubscribeURL: expect.any(String) as string,
      MessageAttributes: { n: { Type: 'Number', Value: '3' } },
    })
    expect(wrapped?.attributes).toEqual({})
    expect(await received(host, 'raw')).toMatchObject([
      { body: 'hi', attributes: { n: { type: 'Number', text: '3' } } },
    ])
  })

  test('asks a URL to confirm, and tells it nothing before', async () => {
    await using host = await hosted()
    await using hook = await listener()
    const TopicArn = await topic(host)
    expect(await subscribe(host, { Protocol: 'http', Endpoint: hook.url })).toBe('pending confirmation')
    await expect.poll(() => hook.posted.length).toBe(1)
    const asked = hook.posted[0]
    expect(asked?.fields['x-amz-sns-message-type']).toBe('SubscriptionConfirmation')
    const content = JSON.parse(asked?.body ?? '') as { SubscribeURL: string; Token: string }
    expect(content).toMatchObject({ Type: 'SubscriptionConfirmation', TopicArn })
    await host.sns.send(new PublishCommand({ TopicArn, Message: 'too early' }))
    const confirmed = await (await fetch(content.SubscribeURL)).text()
    expect(confirmed).toContain('<ConfirmSubscriptionResult><SubscriptionArn>arn:aws:sns:')
    const { MessageId } = await host.sns.send(new PublishCommand({ TopicArn, Message: 'hi' }))
    await expect.poll(() => hook.posted.length).toBe(2)
    expect(hook.posted[1]?.fields).toMatchObject({
      'x-amz-sns-message-type': 'Notification',
      'x-amz-sns-message-id': MessageId,
      'x-amz-sns-topic-arn': TopicArn,
      'content-type': 'text/plain; charset=UTF-8',
    })
    expect(JSON.parse(hook.posted[1]?.body ?? '')).toMatchObject({ Type: 'Notification', Message: 'hi' })
    const again = { TopicArn, Token: content.Token }
    expect((await host.sns.send(new ConfirmSubscriptionCommand(again))).SubscriptionArn).toContain(TopicArn)
  })

  test('tries a URL again that is not well, and gives up on one that refuses', async () => {
    const dead = ORDERS.replace('orders', 'dead')
    await using unwell = await listener([500, 503])
    await using refusing = await listener([404])
    const subscriptions = [unwell, refusing].map(({ url }) => ({
      protocol: 'http' as const,
      endpoint: url,
      deadLetter: dead,
      rawMessageDelivery: true,
    }))
    await using host = await hosted({
      resources: [
        { kind: 'queue', name: 'dead', attributes: {} },
        { kind: 'topic', name: 'news', subscriptions },
      ],
    })
    await host.sns.send(new PublishCommand({ TopicArn: TOPIC, Message: 'hi' }))
    await expect.poll(() => unwell.posted.map(({ body }) => body)).toEqual(['hi', 'hi', 'hi'])
    expect(unwell.posted[0]?.fields).toMatchObject({ 'x-amz-sns-rawdelivery': 'true' })
    await expect.poll(async () => (await received(host, dead)).map(({ body }) => body)).toEqual(['hi'])
    expect(refusing.posted.length).toBe(1)
    expect(host.said).toEqual([
      expect.stringMatching(
        /^topic news: the http subscription .*\/hook did not get message .*: it answers 404$/,
      ) as string,
    ])
  })

  test('tells many URLs at once, and Node has nothing to warn of', async () => {
    const warned: Error[] = []
    const warn = (warning: Error): void => void warned.push(warning)
    process.on('warning', warn)
    await using well = await listener()
    const subscriptions = Array.from({ length: 20 }, (_, index) => ({
      protocol: 'http' as const,
      endpoint: `${well.url}/${index}`,
    }))
    await using host = await hosted({ resources: [{ kind: 'topic', name: 'news', subscriptions }] })
    await host.sns.send(new PublishCommand({ TopicArn: TOPIC, Message: 'hi' }))
    await expect.poll(() => well.posted.length).toBe(20)
    process.off('warning', warn)
    expect(warned.filter(({ name }) => name === 'MaxListenersExceededWarning')).toEqual([])
  })

  test('names topic, target and reason when nobody is there, and keeps the message for who looks', async () => {
    await using host = await hosted()
    host.brokers.queues.ensure('dead')
    const TopicArn = await topic(host)
    const RedrivePolicy = JSON.stringify({ deadLetterTargetArn: ORDERS.replace('orders', 'dead') })
    await subscribe(host, { Protocol: 'sqs', Endpoint: ORDERS, Attributes: { RedrivePolicy } })
    await host.sns.send(new PublishCommand({ TopicArn, Message: 'hi' }))
    await expect
      .poll(() => host.said)
      .toEqual([
        expect.stringMatching(
          /^topic news: the sqs subscription .*:orders did not get message .*: The specified queue/,
        ) as string,
      ])
    await expect.poll(async () => (await received(host, 'dead')).length).toBe(1)
  })

  test('takes messages for each protocol', async () => {
    await using host = await hosted()
    host.brokers.queues.ensure('orders')
    const TopicArn = await topic(host)
    await subscribe(host, { Protocol: 'lambda', Endpoint: HELLO })
    await subscribe(host, { Protocol: 'sqs', Endpoint: ORDERS, Attributes: { RawMessageDelivery: 'true' } })
    const publish = (Message: string): Promise<unknown> =>
      host.sns.send(new PublishCommand({ TopicArn, MessageStructure: 'json', Message }))
    await publish('{"default":"all","lambda":"function"}')
    expect(host.invoked).toMatchObject([{ event: { Records: [{ Sns: { Message: 'function' } }] } }])
    expect(await received(host)).toMatchObject([{ body: 'all' }])
    expect(await refusal(publish('{'))).toContain('JSON message body failed to parse')
    expect(await refusal(publish('{"lambda":"x"}'))).toContain('No default entry in JSON message body')
  })

  test('takes a batch entry by entry', async () => {
    await using host = await hosted()
    const TopicArn = await topic(host)
    await subscribe(host, { Protocol: 'lambda', Endpoint: HELLO })
    const { Successful, Failed } = await host.sns.send(
      new PublishBatchCommand({
        TopicArn,
        PublishBatchRequestEntries: [
          { Id: 'a', Message: 'one' },
          { Id: 'b', Message: 'two', Subject: ' no' },
          { Id: 'c', Message: 'three' },
        ],
      }),
    )
    expect(Successful?.map(({ Id }) => Id)).toEqual(['a', 'c'])
    expect(Failed).toMatchObject([{ Id: 'b', Code: 'InvalidParameter', SenderFault: true }])
    expect(host.invoked.length).toBe(2)
  })

  test('that is FIFO passes group and deduplication on, and takes nothing twice', async () => {
    await using host = await hosted()
    host.brokers.queues.ensure('orders.fifo', {})
    const TopicArn = await topic(host, 'news.fifo', { FifoTopic: 'true' })
    const Endpoint = `${ORDERS}.fifo`
    await host.sns.send(
      new SubscribeCommand({
        TopicArn,
        Protocol: 'sqs',
        Endpoint,
        Attributes: { RawMessageDelivery: 'true' },
      }),
    )
    const publish = (Message: string, ids: object): Promise<{ SequenceNumber?: string | undefined }> =>
      host.sns.send(new PublishCommand({ TopicArn, Message, ...ids }))
    const ids = { MessageGroupId: 'x', MessageDeduplicationId: '1' }
    expect((await publish('a', ids)).SequenceNumber).toMatch(/^\d{20}$/)
    await publish('b', ids)
    expect(await received(host, 'orders.fifo')).toMatchObject([
      { body: 'a', systemAttributes: { MessageGroupId: 'x', MessageDeduplicationId: '1' } },
    ])
    expect(await refusal(publish('a', {}))).toContain('MessageGroupId parameter is required')
    expect(await refusal(publish('a', { MessageGroupId: 'x' }))).toContain(
      'ContentBasedDeduplication enabled',
    )
  })
})

describe('a filter policy', () => {
  test('lets through what matches attributes, or the body', async () => {
    await using host = await hosted()
    const TopicArn = await topic(host)
    const own = await subscribe(host, {
      Protocol: 'lambda',
      Endpoint: HELLO,
      Attributes: { FilterPolicy: '{"kind":["order",{"prefix":"re"}]}' },
    })
    const publish = (kind: string, Message = '{}'): Promise<unknown> => {
      const MessageAttributes = { kind: { DataType: 'String', StringValue: kind } }
      return host.sns.send(new PublishCommand({ TopicArn, Message, MessageAttributes }))
    }
    for (const kind of ['order', 'mail', 'return']) await publish(kind)
    expect(host.invoked.length).toBe(2)
    const change = (AttributeName: string, AttributeValue: string): Promise<unknown> =>
      host.sns.send(
        new SetSubscriptionAttributesCommand({ SubscriptionArn: own, AttributeName, AttributeValue }),
      )
    await change('FilterPolicyScope', 'MessageBody')
    await change('FilterPolicy', '{"order":{"total":[{"numeric":[">",100]}]}}')
    await publish('mail', '{"order":{"total":99}}')
    await publish('mail', '{"order":{"total":101}}')
    await publish('mail', 'no json')
    expect(host.invoked.length).toBe(3)
    const { Attributes } = await host.sns.send(new GetSubscriptionAttributesCommand({ SubscriptionArn: own }))
    expect(Attributes).toMatchObject({
      FilterPolicyScope: 'MessageBody',
      Protocol: 'lambda',
      Endpoint: HELLO,
    })
    expect(await refusal(change('FilterPolicy', '{"a":[{"begins":"x"}]}'))).toContain(
      'InvalidParameterException: Invalid parameter: FilterPolicy: Unrecognized match type begins',
    )
    await change('FilterPolicy', '')
    await publish('mail', 'no json')
    expect(host.invoked.length).toBe(4)
  })
})

describe('topics', () => {
  test('are listed, changed, tagged and deleted', async () => {
    await using host = await hosted()
    const TopicArn = await topic(host)
    expect(await topic(host)).toBe(TopicArn)
    const subscription = await subscribe(host, { Protocol: 'lambda', Endpoint: HELLO })
    expect(await subscribe(host, { Protocol: 'lambda', Endpoint: HELLO })).toBe(subscription)
    await host.sns.send(
      new SetTopicAttributesCommand({ TopicArn, AttributeName: 'DisplayName', AttributeValue: 'News' }),
    )
    const { Attributes } = await host.sns.send(new GetTopicAttributesCommand({ TopicArn }))
    expect(Attributes).toMatchObject({ TopicArn, DisplayName: 'News', SubscriptionsConfirmed: '1' })
    const listed = await host.sns.send(new ListSubscriptionsByTopicCommand({ TopicArn }))
    expect(listed.Subscriptions).toEqual([
      { SubscriptionArn: subscription, TopicArn, Protocol: 'lambda', Endpoint: HELLO, Owner: '123456789012' },
    ])
    await host.sns.send(new UnsubscribeCommand({ SubscriptionArn: subscription }))
    expect((await host.sns.send(new ListSubscriptionsCommand({}))).Subscriptions ?? []).toEqual([])
    expect(
      (await host.sns.send(new ListTagsForResourceCommand({ ResourceArn: TopicArn }))).Tags ?? [],
    ).toEqual([])
    await host.sns.send(new DeleteTopicCommand({ TopicArn }))
    expect((await host.sns.send(new ListTopicsCommand({}))).Topics ?? []).toEqual([])
    const lost: unknown = await host.sns
      .send(new PublishCommand({ TopicArn, Message: 'x' }))
      .catch((error: unknown) => error)
    expect(lost).toBeInstanceOf(NotFoundException)
  })

  test('of files that are FIFO tell messages apart by their content where the file says so', async () => {
    const contentBasedDeduplication = true
    const resources: Resource[] = [
      { kind: 'topic', name: 'news.fifo', subscriptions: [], contentBasedDeduplication },
    ]
    await using host = await hosted({ resources })
    const input = { TopicArn: `${TOPIC}.fifo`, Message: 'a', MessageGroupId: 'x' }
    const { MessageId } = await host.sns.send(new PublishCommand(input))
    expect(await host.sns.send(new PublishCommand(input))).toMatchObject({ MessageId })
  })

  test('of files and functions are there at once, and follow them', async () => {
    const resources = [
      { kind: 'queue' as const, name: 'orders', attributes: {} },
      {
        kind: 'topic' as const,
        name: 'news',
        subscriptions: [{ protocol: 'sqs' as const, endpoint: ORDERS, rawMessageDelivery: true }],
      },
    ]
    await using host = await hosted({ resources })
    const publish = (): Promise<unknown> =>
      host.sns.send(
        new PublishCommand({
          TopicArn: TOPIC,
          Message: 'hi',
          MessageAttributes: { kind: { DataType: 'String', StringValue: 'a' } },
        }),
      )
    host.listen({
      topics: [
        { function: 'hello', source: { type: 'sns', topic: 'news' } },
        { function: 'picky', source: { type: 'sns', topic: TOPIC, filterPolicy: { kind: ['b'] } } },
        { function: 'asleep', source: { type: 'sns', topic: 'news', enabled: false } },
        { function: 'broken', source: { type: 'sns', topic: 'news', filterPolicy: { kind: 'b' } } },
        { function: 'other', source: { type: 'sns', topic: 'others' } },
      ],
    })
    expect(host.said).toEqual([expect.stringContaining('function:broken cannot be') as string])
    await publish()
    expect(host.invoked.map(({ reference }) => reference)).toEqual([HELLO])
    expect(await received(host)).toMatchObject([{ body: 'hi' }])
    expect((await host.sns.send(new ListTopicsCommand({}))).Topics?.length).toBe(2)
    const arns = async (): Promise<unknown> =>
      (await host.sns.send(new ListSubscriptionsCommand({}))).Subscriptions?.map((one) => one.SubscriptionArn)
    const before = await arns()
    host.listen({ topics: [{ function: 'hello', source: { type: 'sns', topic: 'news' } }] })
    expect(before).toEqual(expect.arrayContaining((await arns()) as string[]))
    host.listen({})
    await publish()
    expect(host.invoked.length).toBe(1)
  })

  test.each([
    [{ Protocol: 'sms', Endpoint: '+1' }, 'protocol sms is not supported here'],
    [{ Protocol: 'sqs', Endpoint: 'orders' }, 'SQS endpoint ARN'],
    [{ Protocol: 'https', Endpoint: 'http://a.b/' }, 'Endpoint must match the specified protocol'],
    [{ Protocol: 'lambda', Endpoint: HELLO, Attributes: { Colour: 'red' } }, 'AttributeName'],
    [{ Protocol: 'lambda', Endpoint: HELLO, Attributes: { RedrivePolicy: '{}' } }, 'RedrivePolicy'],
    [{ Protocol: 'lambda', Endpoint: HELLO, Attributes: { FilterPolicy: '{' } }, 'FilterPolicy'],
  ])('refuse the subscription %j', async (input, reason) => {
    await using host = await hosted()
    await topic(host)
    expect(await refusal(subscribe(host, input))).toContain(reason)
  })

  test('refuse a subscription that is there with other attributes, because it would not get what it asks for', async () => {
    await using host = await hosted()
    await topic(host)
    const queue = { Protocol: 'sqs', Endpoint: 'arn:aws:sqs:us-east-1:123456789012:orders' }
    const Attributes = { RawMessageDelivery: 'true', FilterPolicy: '{"kind":["a"]}' }
    const arn = await subscribe(host, { ...queue, Attributes })
    const alike = [
      {},
      { RawMessageDelivery: 'True' },
      { FilterPolicy: '{ "kind": [ "a" ] }' },
      { FilterPolicyScope: 'MessageAttributes' },
    ]
    for (const more of alike) expect(await subscribe(host, { ...queue, Attributes: more })).toBe(arn)
    for (const more of [
      { RawMessageDelivery: 'false' },
      { FilterPolicy: '{"kind":["b"]}' },
      { FilterPolicyScope: 'MessageBody' },
    ]) {
      expect(await refusal(subscribe(host, { ...queue, Attributes: more }))).toContain(
        'Attributes Reason: Subscription already exists with different attributes',
      )
    }
  })

  test('take a subject in any language', async () => {
    await using host = await hosted()
    const TopicArn = await topic(host)
    await subscribe(host, { Protocol: 'lambda', Endpoint: HELLO })
    await host.sns.send(new PublishCommand({ TopicArn, Message: 'x', Subject: 'Überraschung für 東京 😀' }))
    await expect
      .poll(() => host.invoked)
      .toMatchObject([{ event: { Records: [{ Sns: { Subject: 'Überraschung für 東京 😀' } }] } }])
  })

  test.each([
    [{ Message: '' }, 'Empty message'],
    [{ Message: 'x'.repeat(262_145) }, 'Message too long'],
    [{ Message: 'x', Subject: 'a\nb' }, 'Subject'],
    [{ Message: 'x', MessageStructure: 'xml' }, 'MessageStructure'],
    [{ Message: 'x', MessageDeduplicationId: '1' }, 'not valid for this topic type'],
  ])('refuse the message %#', async (input, reason) => {
    await using host = await hosted()
    const TopicArn = await topic(host)
    expect(await refusal(host.sns.send(new PublishCommand({ TopicArn, ...input })))).toContain(reason)
  })

  test('take larger messages where their attribute says so', async () => {
    await using host = await hosted()
    const TopicArn = await topic(host, 'news', { MaximumMessageSize: '300000' })
    const publish = (bytes: number): Promise<unknown> =>
      host.sns.send(new PublishCommand({ TopicArn, Message: 'x'.repeat(bytes) }))
    await publish(300_000)
    expect(await refusal(publish(300_001))).toContain('Message too long')
    const entry = { Message: 'x'.repeat(200_000) }
    const PublishBatchRequestEntries = ['a', 'b'].map((Id) => ({ Id, ...entry }))
    const batch = host.sns.send(new PublishBatchCommand({ TopicArn, PublishBatchRequestEntries }))
    expect(await refusal(batch)).toContain('BatchRequestTooLong')
    expect(await refusal(topic(host, 'other', { MaximumMessageSize: '1048577' }))).toContain(
      'MaximumMessageSize',
    )
  })

  test('refuse text messages to telephones, because nothing here can send them', async () => {
    await using host = await hosted()
    const text = host.sns.send(new PublishCommand({ PhoneNumber: '+491', Message: 'x' }))
    expect(await refusal(text)).toContain('TopicArn or TargetArn')
  })

  test('refuse names and actions that cannot be', async () => {
    await using host = await hosted()
    expect(await refusal(topic(host, 'a b'))).toContain('Topic Name')
    expect(await refusal(topic(host, 'a', { FifoTopic: 'true' }))).toContain('must end with .fifo')
    const body = new URLSearchParams({ Action: 'constructor', Version: '2010-03-31' })
    const answer = await fetch(host.endpoint, { method: 'POST', body })
    expect([answer.status, await answer.text()]).toEqual([
      400,
      expect.stringContaining('<Code>InvalidAction</Code>'),
    ])
  })
})

test('who asks STS who it is hears of the account that every ARN here has', async () => {
  await using host = await hosted()
  const ask = async (action: string): Promise<string> => {
    const body = new URLSearchParams({ Action: action, Version: '2011-06-15' })
    return (await fetch(host.endpoint, { method: 'POST', body })).text()
  }
  expect(await ask('GetCallerIdentity')).toContain('<Account>123456789012</Account>')
  expect(await ask('AssumeRole')).toContain('<Code>InvalidAction</Code>')
})
