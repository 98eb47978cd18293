import { createHash } from 'node:crypto'

import {
  ListMessageMoveTasksCommand,
  ChangeMessageVisibilityBatchCommand,
  ChangeMessageVisibilityCommand,
  CreateQueueCommand,
  DeleteMessageBatchCommand,
  DeleteMessageCommand,
  DeleteQueueCommand,
  GetQueueAttributesCommand,
  GetQueueUrlCommand,
  ListDeadLetterSourceQueuesCommand,
  ListQueuesCommand,
  ListQueueTagsCommand,
  PurgeQueueCommand,
  QueueDoesNotExist,
  ReceiveMessageCommand,
  SendMessageBatchCommand,
  SendMessageCommand,
  SetQueueAttributesCommand,
  SQSClient,
  StartMessageMoveTaskCommand,
  TagQueueCommand,
  UntagQueueCommand,
  type Message,
  type ReceiveMessageCommandInput,
  type SQSServiceException,
} from '@aws-sdk/client-sqs'
import { constantFrom, assert as check, asyncProperty, array, record } from 'fast-check'
import { describe, expect, test } from 'vitest'

import { attributesMd5 } from '../../../src/emulators/lambda/brokers/sqs/md5.ts'
import type { Resource } from '../../../src/emulators/lambda/service/resource.ts'
import { hosted, type Hosted } from './broker-harness.ts'

async function queue(
  { sqs }: Hosted,
  name = 'orders',
  attributes: Record<string, string> = {},
): Promise<string> {
  const { QueueUrl = '' } = await sqs.send(
    new CreateQueueCommand({ QueueName: name, Attributes: attributes }),
  )
  return QueueUrl
}

async function receive(
  { sqs }: Hosted,
  url: string,
  options: Partial<ReceiveMessageCommandInput> = {},
): Promise<Message[]> {
  const input = { QueueUrl: url, MaxNumberOfMessages: 10, ...options }
  return (await sqs.send(new ReceiveMessageCommand(input))).Messages ?? []
}

async function bodies(
  host: Hosted,
  url: string,
  options?: Partial<ReceiveMessageCommandInput>,
): Promise<string[]> {
  return (await receive(host, url, options)).map(({ Body = '' }) => Body)
}

function send(
  { sqs }: Hosted,
  url: string,
  body: string,
  more: object = {},
): Promise<{ MessageId?: string | undefined }> {
  return sqs.send(new SendMessageCommand({ QueueUrl: url, MessageBody: body, ...more }))
}

async function refusal(
  promise: Promise<unknown>,
): Promise<{ name: string; message: string; status: number }> {
  const error = (await promise.then(
    () => Promise.reject(new Error('it was not refused')),
    (reason: unknown) => reason,
  )) as SQSServiceException
  return { name: error.name, message: error.message, status: error.$metadata?.httpStatusCode ?? 0 }
}

describe('a queue', () => {
  test('has a URL below the address that the client asked', async () => {
    await using host = await hosted()
    const url = await queue(host)
    expect(url).toBe(`${host.endpoint}/123456789012/orders`)
    expect((await host.sqs.send(new GetQueueUrlCommand({ QueueName: 'orders' }))).QueueUrl).toBe(url)
    const local = new SQSClient({
      endpoint: host.endpoint.replace('127.0.0.1', 'localhost'),
      region: 'us-east-1',
      credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
    })
    const { QueueUrl } = await local.send(new GetQueueUrlCommand({ QueueName: 'orders' }))
    expect(QueueUrl).toContain('http://localhost:')
    local.destroy()
  })

  test('is found by clients that know the endpoint from their environment alone', async () => {
    await using host = await hosted()
    process.env['AWS_ENDPOINT_URL_SQS'] = host.endpoint
    const client = new SQSClient({
      region: 'us-east-1',
      credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
    })
    try {
      const url = await queue(host)
      await client.send(new SendMessageCommand({ QueueUrl: url, MessageBody: 'a' }))
      const { Messages } = await client.send(new ReceiveMessageCommand({ QueueUrl: url }))
      expect(Messages?.map(({ Body }) => Body)).toEqual(['a'])
    } finally {
      delete process.env['AWS_ENDPOINT_URL_SQS']
      client.destroy()
    }
  })

  test('hands a message over once, and never again when it is deleted', async () => {
    await using host = await hosted()
    const url = await queue(host)
    const sent = await send(host, url, 'hello')
    const [message] = await receive(host, url, { MessageSystemAttributeNames: ['All'] })
    expect(message).toMatchObject({ Body: 'hello', MessageId: sent.MessageId })
    expect(message?.Attributes).toEqual({
      ApproximateReceiveCount: '1',
      ApproximateFirstReceiveTimestamp: String(host.clock),
      SentTimestamp: String(host.clock),
      SenderId: expect.any(String) as string,
    })
    expect(await receive(host, url)).toEqual([])
    await host.sqs.send(new DeleteMessageCommand({ QueueUrl: url, ReceiptHandle: message?.ReceiptHandle }))
    host.clock += 31_000
    expect(await receive(host, url)).toEqual([])
  })

  test('hands a message over again after the visibility timeout, with a higher count', async () => {
    await using host = await hosted()
    const url = await queue(host, 'orders', { VisibilityTimeout: '5' })
    await send(host, url, 'a')
    await receive(host, url)
    host.clock += 4_999
    expect(await receive(host, url)).toEqual([])
    host.clock += 1
    const [again] = await receive(host, url, {
      MessageSystemAttributeNames: ['ApproximateReceiveCount'],
    })
    expect(again?.Attributes).toEqual({ ApproximateReceiveCount: '2' })
    // An old receipt deletes as well.
    host.clock += 5_000
    await host.sqs.send(new DeleteMessageCommand({ QueueUrl: url, ReceiptHandle: again?.ReceiptHandle }))
    expect(await receive(host, url)).toEqual([])
  })

  test('shows a message earlier or later as its receiver says', async () => {
    await using host = await hosted()
    const url = await queue(host)
    await send(host, url, 'a')
    const [message] = await receive(host, url, { VisibilityTimeout: 10 })
    const change = (seconds: number): Promise<unknown> =>
      host.sqs.send(
        new ChangeMessageVisibilityCommand({
          QueueUrl: url,
          ReceiptHandle: message?.ReceiptHandle,
          VisibilityTimeout: seconds,
        }),
      )
    await change(100)
    host.clock += 99_000
    expect(await receive(host, url)).toEqual([])
    await change(0)
    expect(await bodies(host, url)).toEqual(['a'])
    host.clock += 31_000
    expect(await refusal(change(5))).toMatchObject({ name: 'MessageNotInflight' })
    await host.sqs.send(new DeleteMessageCommand({ QueueUrl: url, ReceiptHandle: message?.ReceiptHandle }))
    expect((await refusal(change(5))).message).toContain('Message does not exist or is not available')
  })

  test('keeps a message back for its delay, or for the queue’s', async () => {
    await using host = await hosted()
    const url = await queue(host, 'orders', { DelaySeconds: '10' })
    await send(host, url, 'queue')
    await send(host, url, 'own', { DelaySeconds: 3 })
    await send(host, url, 'none', { DelaySeconds: 0 })
    expect(await bodies(host, url)).toEqual(['none'])
    host.clock += 3_000
    expect(await bodies(host, url)).toEqual(['own'])
    host.clock += 7_000
    expect(await bodies(host, url)).toEqual(['queue'])
  })

  test('forgets what is older than its retention', async () => {
    await using host = await hosted()
    const url = await queue(host, 'orders', { MessageRetentionPeriod: '60' })
    await send(host, url, 'old')
    host.clock += 59_000
    await send(host, url, 'new')
    host.clock += 1_000
    expect(await bodies(host, url)).toEqual(['new'])
  })

  test('tells how many messages it has', async () => {
    await using host = await hosted()
    const url = await queue(host, 'orders', { VisibilityTimeout: '60' })
    for (const body of ['a', 'b', 'c']) await send(host, url, body)
    await send(host, url, 'later', { DelaySeconds: 60 })
    await receive(host, url, { MaxNumberOfMessages: 1 })
    const { Attributes } = await host.sqs.send(
      new GetQueueAttributesCommand({ QueueUrl: url, AttributeNames: ['All'] }),
    )
    expect(Attributes).toMatchObject({
      ApproximateNumberOfMessages: '2',
      ApproximateNumberOfMessagesNotVisible: '1',
      ApproximateNumberOfMessagesDelayed: '1',
      QueueArn: 'arn:aws:sqs:us-east-1:123456789012:orders',
      VisibilityTimeout: '60',
      CreatedTimestamp: String(Math.floor(host.clock / 1000)),
    })
    await host.sqs.send(new PurgeQueueCommand({ QueueUrl: url }))
    host.clock += 61_000
    expect(await receive(host, url)).toEqual([])
  })

  test('can be purged as often as tests like, because nothing here takes a minute for it', async () => {
    await using host = await hosted()
    const url = await queue(host)
    await host.sqs.send(new PurgeQueueCommand({ QueueUrl: url }))
    await expect(host.sqs.send(new PurgeQueueCommand({ QueueUrl: url }))).resolves.toBeDefined()
  })

  test('carries attributes of messages, and gives those that are asked for', async () => {
    await using host = await hosted()
    const url = await queue(host)
    const MessageAttributes = {
      kind: { DataType: 'String', StringValue: 'order ü' },
      'order.total': { DataType: 'Number.int', StringValue: '42' },
      picture: { DataType: 'Binary', BinaryValue: new Uint8Array([0, 255, 7]) },
    }
    await send(host, url, 'a', { MessageAttributes })
    const [all] = await receive(host, url, { MessageAttributeNames: ['All'], VisibilityTimeout: 0 })
    expect(all?.MessageAttributes).toMatchObject(MessageAttributes)
    const [some] = await receive(host, url, { MessageAttributeNames: ['order.*'], VisibilityTimeout: 0 })
    expect(Object.keys(some?.MessageAttributes ?? {})).toEqual(['order.total'])
    expect(some?.MD5OfMessageAttributes).toBe(
      attributesMd5({ 'order.total': { type: 'Number.int', text: '42' } }),
    )
    const [none] = await receive(host, url)
    expect(none?.MessageAttributes).toBeUndefined()
  })

  test('has the checksum of attributes that SQS has', () => {
    // The value of the sample event in the Lambda developer guide's own test tool.
    expect(attributesMd5({})).toBeUndefined()
    expect(attributesMd5({ my_attribute: { type: 'String', text: 'my_value' } })).toBe(
      bytesMd5(
        '000000' +
          '0c' +
          hex('my_attribute') +
          '00000006' +
          hex('String') +
          '01' +
          '00000008' +
          hex('my_value'),
      ),
    )
  })

  test('waits for a message that comes, and no longer than it is asked to', async () => {
    await using host = await hosted({ ticking: true })
    const url = await queue(host)
    const waiting = bodies(host, url, { WaitTimeSeconds: 20 })
    await send(host, url, 'a')
    expect(await waiting).toEqual(['a'])
    const started = performance.now()
    expect(await bodies(host, url, { WaitTimeSeconds: 1 })).toEqual([])
    expect(performance.now() - started).toBeGreaterThan(900)
  })

  test('hands several at once to who waits, in order, to who waited first', async () => {
    await using host = await hosted({ ticking: true })
    const url = await queue(host)
    const { queues } = host.brokers
    const options = { max: 2, waitMs: 10_000, signal: new AbortController().signal }
    const first = queues.receive('orders', options)
    const second = queues.receive('orders', options)
    await host.sqs.send(
      new SendMessageBatchCommand({
        QueueUrl: url,
        Entries: ['a', 'b', 'c'].map((MessageBody) => ({ Id: MessageBody, MessageBody })),
      }),
    )
    expect((await first).map(({ body }) => body)).toEqual(['a', 'b'])
    expect((await second).map(({ body }) => body)).toEqual(['c'])
  })

  test('wakes who waits when a held message is ready again, with one timer', async () => {
    await using host = await hosted({ ticking: true })
    await queue(host)
    const { queues } = host.brokers
    const { signal } = new AbortController()
    await queues.send('orders', { body: 'a' })
    await queues.receive('orders', { max: 1, waitMs: 0, visibilityMs: 30, signal })
    const [again] = await queues.receive('orders', { max: 1, waitMs: 5_000, signal })
    expect(again).toMatchObject({ body: 'a', systemAttributes: { ApproximateReceiveCount: '2' } })
  })

  test('lets nobody wait when flexi is about to stop', async () => {
    await using host = await hosted({ ticking: true })
    const url = await queue(host)
    const started = performance.now()
    const waiting = bodies(host, url, { WaitTimeSeconds: 20 })
    await receive(host, url)
    host.close()
    expect([await waiting, await bodies(host, url, { WaitTimeSeconds: 20 })]).toEqual([[], []])
    expect(performance.now() - started).toBeLessThan(5_000)
  })

  test('keeps the message for others when a client leaves while it waits', async () => {
    await using host = await hosted({ ticking: true })
    const url = await queue(host)
    const leaving = new AbortController()
    const gone = host.sqs.send(new ReceiveMessageCommand({ QueueUrl: url, WaitTimeSeconds: 20 }), {
      abortSignal: leaving.signal,
    })
    setImmediate(() => leaving.abort())
    await expect(gone).rejects.toThrow('abort')
    // What was sent to a client that left is not lost: it is visible again, or was never taken.
    await expect
      .poll(async () => {
        await send(host, url, 'a')
        return await bodies(host, url)
      })
      .toContain('a')
  })
})

function hex(text: string): string {
  return Buffer.from(text).toString('hex')
}

function bytesMd5(bytes: string): string {
  return createHash('md5').update(Buffer.from(bytes, 'hex')).digest('hex')
}

describe('a dead letter queue', () => {
  async function pair(host: Hosted): Promise<{ source: string; dead: string }> {
    const dead = await queue(host, 'dead')
    const deadLetterTargetArn = 'arn:aws:sqs:us-east-1:123456789012:dead'
    const RedrivePolicy = JSON.stringify({ deadLetterTargetArn, maxReceiveCount: 2 })
    return { dead, source: await queue(host, 'source', { VisibilityTimeout: '1', RedrivePolicy }) }
  }

  test('gets what was received too often, with its id and where it came from', async () => {
    await using host = await hosted()
    const { source, dead } = await pair(host)
    const { MessageId } = await send(host, source, 'bad')
    for (const seen of [['bad'], ['bad'], []]) {
      expect(await bodies(host, source)).toEqual(seen)
      host.clock += 1_000
    }
    const [message] = await receive(host, dead, { MessageSystemAttributeNames: ['All'] })
    expect(message).toMatchObject({
      MessageId,
      Body: 'bad',
      Attributes: { DeadLetterQueueSourceArn: 'arn:aws:sqs:us-east-1:123456789012:source' },
    })
    const { queueUrls } = await host.sqs.send(new ListDeadLetterSourceQueuesCommand({ QueueUrl: dead }))
    expect(queueUrls).toEqual([source])
  })

  test('gives its messages back when it is told to', async () => {
    await using host = await hosted()
    const { source, dead } = await pair(host)
    await send(host, source, 'bad')
    for (let count = 0; count < 3; count++) {
      await receive(host, source)
      host.clock += 1_000
    }
    const SourceArn = 'arn:aws:sqs:us-east-1:123456789012:dead'
    const { TaskHandle } = await host.sqs.send(new StartMessageMoveTaskCommand({ SourceArn }))
    expect(TaskHandle).toEqual(expect.any(String))
    expect(await bodies(host, source)).toEqual(['bad'])
    expect(await bodies(host, dead)).toEqual([])
    const { Results } = await host.sqs.send(new ListMessageMoveTasksCommand({ SourceArn }))
    expect(Results).toEqual([
      {
        Status: 'COMPLETED',
        SourceArn,
        ApproximateNumberOfMessagesMoved: 1,
        ApproximateNumberOfMessagesToMove: 1,
        StartedTimestamp: expect.any(Number) as number,
      },
    ])
  })

  test('counts anew, so that queues which give up to each other, or to themselves, never spin', async () => {
    await using host = await hosted()
    const { source, dead } = await pair(host)
    const redriven = (name: string): Record<string, string> => ({
      VisibilityTimeout: '1',
      RedrivePolicy: JSON.stringify({
        deadLetterTargetArn: `arn:aws:sqs:us-east-1:123456789012:${name}`,
        maxReceiveCount: 1,
      }),
    })
    await host.sqs.send(new SetQueueAttributesCommand({ QueueUrl: dead, Attributes: redriven('source') }))
    const own = await queue(host, 'own', redriven('own'))
    await send(host, source, 'round')
    await send(host, own, 'itself')
    const seen: string[][] = []
    for (let count = 0; count < 7; count++) {
      seen.push([
        ...(await bodies(host, source)),
        ...(await bodies(host, dead)),
        ...(await bodies(host, own)),
      ])
      host.clock += 1_000
    }
    // Once it comes back to the first just after that was asked.
    expect(seen.filter((found) => found.includes('round')).length).toBe(6)
    expect(seen.filter((found) => found.includes('itself')).length).toBe(7)
  })

  test('that is not there loses nothing: messages are handed over again', async () => {
    await using host = await hosted()
    const { source, dead } = await pair(host)
    await host.sqs.send(new DeleteQueueCommand({ QueueUrl: dead }))
    await send(host, source, 'bad')
    for (let count = 0; count < 4; count++) {
      expect(await bodies(host, source)).toEqual(['bad'])
      host.clock += 1_000
    }
  })
})

describe('a FIFO queue', () => {
  const fifo = (host: Hosted, more: Record<string, string> = {}): Promise<string> =>
    queue(host, 'orders.fifo', { FifoQueue: 'true', ContentBasedDeduplication: 'true', ...more })

  test('keeps the order of a group, and holds the group while one of it is held', async () => {
    await using host = await hosted()
    const url = await fifo(host)
    for (const [group, body] of [
      ['x', 'x1'],
      ['x', 'x2'],
      ['y', 'y1'],
      ['x', 'x3'],
    ] as const) {
      await send(host, url, body, { MessageGroupId: group })
    }
    const held = await receive(host, url, { MaxNumberOfMessages: 2 })
    expect(held.map(({ Body }) => Body)).toEqual(['x1', 'x2'])
    expect(await bodies(host, url)).toEqual(['y1'])
    await host.sqs.send(new DeleteMessageCommand({ QueueUrl: url, ReceiptHandle: held[0]?.ReceiptHandle }))
    expect(await bodies(host, url)).toEqual([])
    await host.sqs.send(
      new ChangeMessageVisibilityCommand({
        QueueUrl: url,
        ReceiptHandle: held[1]?.ReceiptHandle,
        VisibilityTimeout: 0,
      }),
    )
    expect(await bodies(host, url)).toEqual(['x2', 'x3'])
  })

  test('takes a message once in five minutes, by its id or by its content', async () => {
    await using host = await hosted()
    const url = await fifo(host)
    const first = await send(host, url, 'a', { MessageGroupId: 'x' })
    const same = await send(host, url, 'a', { MessageGroupId: 'x' })
    expect(same).toMatchObject({ MessageId: first.MessageId })
    await send(host, url, 'b', { MessageGroupId: 'x', MessageDeduplicationId: '1' })
    await send(host, url, 'c', { MessageGroupId: 'x', MessageDeduplicationId: '1' })
    const got = await receive(host, url, { MessageSystemAttributeNames: ['All'] })
    expect(got.map(({ Body }) => Body)).toEqual(['a', 'b'])
    expect(got[1]?.Attributes).toMatchObject({ MessageGroupId: 'x', MessageDeduplicationId: '1' })
    const numbers = got.map(({ Attributes }) => Attributes?.['SequenceNumber'] ?? '')
    expect(numbers[0]?.length).toBe(20)
    expect(numbers.toSorted()).toEqual(numbers)
    for (const { ReceiptHandle } of got) {
      await host.sqs.send(new DeleteMessageCommand({ QueueUrl: url, ReceiptHandle }))
    }
    host.clock += 300_000
    await send(host, url, 'a', { MessageGroupId: 'x' })
    expect(await bodies(host, url)).toEqual(['a'])
  })

  test('tells groups apart where its scope says so', async () => {
    await using host = await hosted()
    const url = await fifo(host, { DeduplicationScope: 'messageGroup' })
    await send(host, url, 'a', { MessageGroupId: 'x' })
    await send(host, url, 'a', { MessageGroupId: 'y' })
    expect(await bodies(host, url)).toEqual(['a', 'a'])
  })

  test('refuses what a FIFO queue cannot take, and a receipt that has expired', async () => {
    await using host = await hosted()
    const url = await queue(host, 'orders.fifo', { FifoQueue: 'true', VisibilityTimeout: '1' })
    expect((await refusal(send(host, url, 'a'))).message).toContain('MessageGroupId')
    expect((await refusal(send(host, url, 'a', { MessageGroupId: 'x' }))).message).toContain(
      'ContentBasedDeduplication enabled or MessageDeduplicationId provided',
    )
    const ids = { MessageGroupId: 'x', MessageDeduplicationId: '1' }
    expect((await refusal(send(host, url, 'a', { ...ids, DelaySeconds: 3 }))).message).toContain(
      'DelaySeconds',
    )
    await send(host, url, 'a', ids)
    const [message] = await receive(host, url)
    host.clock += 1_000
    const late = host.sqs.send(
      new DeleteMessageCommand({ QueueUrl: url, ReceiptHandle: message?.ReceiptHandle }),
    )
    expect((await refusal(late)).message).toContain('The receipt handle has expired')
  })

  test('never breaks the order of a group, whatever its receivers do', async () => {
    const step = record({
      group: constantFrom('x', 'y'),
      act: constantFrom('send', 'send', 'receive', 'delete', 'giveBack', 'expire'),
    })
    await check(
      asyncProperty(array(step, { maxLength: 40 }), async (steps) => {
        await using host = await hosted()
        const model = new FifoModel(host)
        for (const { group, act } of steps) await model[act](group)
        expect(model.broken).toEqual([])
      }),
      { numRuns: 20 },
    )
  })
})

/** What a FIFO queue promises, and a receiver that does as it likes. */
class FifoModel {
  readonly #host: Hosted
  readonly #left = new Map<string, number[]>()
  #held: { readonly group: string; readonly number: number; readonly receipt: string }[] = []
  #sent = 0
  /** What was not kept. */
  readonly broken: string[] = []

  constructor(host: Hosted) {
    this.#host = host
    host.brokers.queues.ensure('q.fifo', { ContentBasedDeduplication: 'true' })
  }

  async send(group: string): Promise<void> {
    this.#left.set(group, [...(this.#left.get(group) ?? []), ++this.#sent])
    await this.#host.brokers.queues.send('q.fifo', { body: String(this.#sent), groupId: group })
  }

  /** They come in order, and none of a group of which some are held. */
  async receive(): Promise<void> {
    const before = new Set(this.#held.map(({ group }) => group))
    const { signal } = new AbortController()
    const options = { max: 2, waitMs: 0, visibilityMs: 1000, signal }
    for (const { body, receipt, systemAttributes } of await this.#host.brokers.queues.receive(
      'q.fifo',
      options,
    )) {
      const group = systemAttributes['MessageGroupId'] ?? ''
      if (before.has(group)) this.broken.push(`${body}: its group is held`)
      const position = this.#held.filter((one) => one.group === group).length
      if (this.#left.get(group)?.[position] !== Number(body)) this.broken.push(`${body}: not its turn`)
      this.#held.push({ group, number: Number(body), receipt })
    }
  }

  expire(): void {
    this.#host.clock += 1000
    this.#held = []
  }

  async delete(): Promise<void> {
    const one = this.#held.shift()
    if (one === undefined) return
    await this.#host.brokers.queues.remove('q.fifo', [one.receipt])
    const left = this.#left.get(one.group) ?? []
    this.#left.set(
      one.group,
      left.filter((number) => number !== one.number),
    )
  }

  /** All that is held of the group of the first one. */
  async giveBack(): Promise<void> {
    const group = this.#held[0]?.group
    const receipts = this.#held.filter((one) => one.group === group).map(({ receipt }) => receipt)
    this.#held = this.#held.filter((one) => one.group !== group)
    await this.#host.brokers.queues.changeVisibility('q.fifo', receipts, 0)
  }
}

describe('batches', () => {
  test('are taken entry by entry', async () => {
    await using host = await hosted()
    const url = await queue(host)
    const { Successful, Failed } = await host.sqs.send(
      new SendMessageBatchCommand({
        QueueUrl: url,
        Entries: [
          { Id: 'good', MessageBody: 'a' },
          { Id: 'bad', MessageBody: 'b\u0000' },
          { Id: 'slow', MessageBody: 'c', DelaySeconds: 900 },
        ],
      }),
    )
    expect(Successful?.map(({ Id }) => Id)).toEqual(['good', 'slow'])
    expect(Failed).toMatchObject([{ Id: 'bad', Code: 'InvalidMessageContents', SenderFault: true }])
    const [message] = await receive(host, url)
    const changed = await host.sqs.send(
      new ChangeMessageVisibilityBatchCommand({
        QueueUrl: url,
        Entries: [
          { Id: '1', ReceiptHandle: message?.ReceiptHandle, VisibilityTimeout: 5 },
          { Id: '2', ReceiptHandle: 'x', VisibilityTimeout: 5 },
        ],
      }),
    )
    expect(changed).toMatchObject({
      Successful: [{ Id: '1' }],
      Failed: [{ Id: '2', Code: 'ReceiptHandleIsInvalid' }],
    })
    const deleted = await host.sqs.send(
      new DeleteMessageBatchCommand({
        QueueUrl: url,
        Entries: [{ Id: '1', ReceiptHandle: message?.ReceiptHandle }],
      }),
    )
    expect(deleted).toMatchObject({ Successful: [{ Id: '1' }] })
  })

  test.each([
    [[], 'EmptyBatchRequest'],
    [Array.from({ length: 11 }, (_, index) => `e${index}`), 'TooManyEntriesInBatchRequest'],
    [['a', 'a'], 'BatchEntryIdsNotDistinct'],
    [['a b'], 'InvalidBatchEntryId'],
  ])('of %j are refused: %s', async (ids, name) => {
    await using host = await hosted()
    const QueueUrl = await queue(host)
    const Entries = ids.map((Id) => ({ Id, MessageBody: 'x' }))
    // SDKs give the shape of the JSON protocol, or the old code that is in a field.
    expect((await refusal(host.sqs.send(new SendMessageBatchCommand({ QueueUrl, Entries })))).name).toContain(
      name,
    )
  })
})

describe('what cannot be', () => {
  test('a queue that is not there is QueueDoesNotExist, to old clients by its old name', async () => {
    await using host = await hosted()
    const error: unknown = await send(host, `${host.endpoint}/123456789012/nobody`, 'a').catch(
      (reason: unknown) => reason,
    )
    expect(error).toBeInstanceOf(QueueDoesNotExist)
    const response = await fetch(host.endpoint, {
      method: 'POST',
      headers: { 'x-amz-target': 'AmazonSQS.GetQueueUrl', 'content-type': 'application/x-amz-json-1.0' },
      body: '{"QueueName":"nobody"}',
    })
    expect(response.status).toBe(400)
    expect(response.headers.get('x-amzn-query-error')).toBe('AWS.SimpleQueueService.NonExistentQueue;Sender')
    expect(await response.json()).toEqual({
      __type: 'com.amazonaws.sqs#QueueDoesNotExist',
      message: 'The specified queue does not exist.',
    })
  })

  test.each<[string, Record<string, string>, string]>([
    ['a b', {}, 'InvalidParameterValue'],
    ['x'.repeat(81), {}, 'InvalidParameterValue'],
    ['a.fifo', { FifoQueue: 'false' }, 'InvalidParameterValue'],
    ['a', { FifoQueue: 'true' }, 'InvalidParameterValue'],
    ['a', { VisibilityTimeout: '43201' }, 'InvalidAttributeValue'],
    ['a', { DelaySeconds: '-1' }, 'InvalidAttributeValue'],
    ['a', { DelaySeconds: 'x' }, 'InvalidAttributeValue'],
    ['a', { MessageRetentionPeriod: '59' }, 'InvalidAttributeValue'],
    ['a', { ContentBasedDeduplication: 'true' }, 'InvalidAttributeName'],
    ['a', { Colour: 'red' }, 'InvalidAttributeName'],
    ['a', { RedrivePolicy: '{' }, 'InvalidAttributeValue'],
    ['a', { RedrivePolicy: '{"deadLetterTargetArn":"x","maxReceiveCount":1}' }, 'InvalidAttributeValue'],
  ])('a queue %j with %j: %s', async (name, attributes, code) => {
    await using host = await hosted()
    expect((await refusal(queue(host, name, attributes))).name).toContain(code)
  })

  test('a queue of the same name with other attributes', async () => {
    await using host = await hosted()
    const url = await queue(host, 'orders', { DelaySeconds: '1' })
    expect(await queue(host, 'orders', { DelaySeconds: '1' })).toBe(url)
    expect(await refusal(queue(host, 'orders', { DelaySeconds: '2' }))).toMatchObject({
      name: expect.stringMatching(/QueueNameExists|QueueAlreadyExists/) as string,
      message: expect.stringContaining('DelaySeconds') as string,
    })
  })

  test.each<[object, string]>([
    [{ MessageBody: '' }, 'MessageBody'],
    [{ MessageBody: 'x'.repeat(1_048_577) }, 'Message must be shorter than 1048576 bytes'],
    [{ MessageBody: 'a', DelaySeconds: 901 }, 'DelaySeconds'],
    [{ MessageBody: 'a', MessageDeduplicationId: '1' }, 'MessageDeduplicationId'],
    [{ MessageBody: 'a', MessageAttributes: { 'a b': { DataType: 'String', StringValue: 'x' } } }, 'name'],
    [{ MessageBody: 'a', MessageAttributes: { a: { DataType: 'Text', StringValue: 'x' } } }, 'type prefixes'],
    [{ MessageBody: 'a', MessageAttributes: { a: { DataType: 'String', StringValue: '' } } }, 'non-empty'],
    [{ MessageBody: 'a', MessageAttributes: { a: { DataType: 'Number', StringValue: 'x' } } }, 'number'],
  ])('a message %#', async (message, reason) => {
    await using host = await hosted()
    const url = await queue(host)
    expect((await refusal(send(host, url, '', message))).message).toContain(reason)
  })

  test('content that is no JSON, and an action that is none', async () => {
    await using host = await hosted()
    const ask = async (action: string, body: string): Promise<unknown> => {
      const headers = { 'x-amz-target': `AmazonSQS.${action}`, 'content-type': 'application/x-amz-json-1.0' }
      const response = await fetch(host.endpoint, { method: 'POST', headers, body })
      return [response.status, await response.json()]
    }
    expect(await ask('ListQueues', '{')).toMatchObject([
      400,
      { __type: expect.stringContaining('Serialization') as string },
    ])
    expect(await ask('ListQueues', '[]')).toMatchObject([400, {}])
    expect(await ask('constructor', '{}')).toMatchObject([400, { __type: 'com.amazonaws.sqs#InvalidAction' }])
    expect(await ask('SendMessage', '{"QueueUrl":3}')).toMatchObject([400, {}])
  })
})

describe('queues', () => {
  test('are listed, tagged, changed and deleted', async () => {
    await using host = await hosted()
    const urls = [await queue(host, 'a-1'), await queue(host, 'a-2'), await queue(host, 'b')]
    const [first = ''] = urls
    const page = await host.sqs.send(new ListQueuesCommand({ QueueNamePrefix: 'a-', MaxResults: 1 }))
    expect(page.QueueUrls).toEqual([first])
    const rest = await host.sqs.send(
      new ListQueuesCommand({ QueueNamePrefix: 'a-', MaxResults: 1, NextToken: page.NextToken }),
    )
    expect([rest.QueueUrls, rest.NextToken]).toEqual([[urls[1]], undefined])
    await host.sqs.send(new TagQueueCommand({ QueueUrl: first, Tags: { team: 'blue', x: '1' } }))
    await host.sqs.send(new UntagQueueCommand({ QueueUrl: first, TagKeys: ['x'] }))
    expect((await host.sqs.send(new ListQueueTagsCommand({ QueueUrl: first }))).Tags).toEqual({
      team: 'blue',
    })
    await host.sqs.send(new SetQueueAttributesCommand({ QueueUrl: first, Attributes: { DelaySeconds: '7' } }))
    const { Attributes } = await host.sqs.send(
      new GetQueueAttributesCommand({ QueueUrl: first, AttributeNames: ['DelaySeconds', 'RedrivePolicy'] }),
    )
    expect(Attributes).toEqual({ DelaySeconds: '7' })
    await host.sqs.send(new DeleteQueueCommand({ QueueUrl: first }))
    expect((await host.sqs.send(new ListQueuesCommand({}))).QueueUrls).toEqual(urls.slice(1))
  })

  test('of the project’s files are there at once, and keep their messages and changes over a reload', async () => {
    const attributes = { DelaySeconds: '0', VisibilityTimeout: '9' }
    const resources: Resource[] = [{ kind: 'queue', name: 'orders', attributes }]
    await using host = await hosted({ resources })
    const { QueueUrl } = await host.sqs.send(new GetQueueUrlCommand({ QueueName: 'orders' }))
    await host.brokers.queues.send('orders', { body: 'a' })
    await host.sqs.send(new SetQueueAttributesCommand({ QueueUrl, Attributes: { VisibilityTimeout: '3' } }))
    resources[0] = { kind: 'queue', name: 'more', attributes: {} }
    resources.push({ kind: 'queue', name: 'orders', attributes })
    host.brokers.changed()
    expect(host.brokers.queues.has('more')).toBe(true)
    const settings = await host.sqs.send(new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['All'] }))
    expect(settings.Attributes).toMatchObject({ VisibilityTimeout: '3', ApproximateNumberOfMessages: '1' })
    expect(await bodies(host, QueueUrl ?? '')).toEqual(['a'])
  })

  test('that cannot be are told, and the others work', async () => {
    const resources = [
      { kind: 'queue' as const, name: 'bad', attributes: { DelaySeconds: 'x' } },
      { kind: 'queue' as const, name: 'good', attributes: {} },
    ]
    await using host = await hosted({ resources })
    expect(host.said).toEqual([expect.stringContaining('queue bad cannot be') as string])
    expect(host.brokers.queues.has('good')).toBe(true)
  })
})

test.each([
  ['bodies', { body: 'x'.repeat(1024 * 1024) }],
  ['attributes', { body: 'x', attributes: { a: { type: 'String', text: 'x'.repeat(1024 * 1024 - 10) } } }],
])(
  'a queue that nobody reads takes 256 MiB of %s and no more, because it is in memory',
  async (_of, large) => {
    await using host = await hosted()
    const { queues } = host.brokers
    queues.ensure('orders')
    for (let count = 0; count < 256; count++) await queues.send('orders', large)
    await expect(queues.send('orders', { body: 'a' })).rejects.toThrow('holds 268435456 bytes')
    const signal = AbortSignal.timeout(5_000)
    const [message] = await queues.receive('orders', { max: 1, waitMs: 0, signal })
    await queues.remove('orders', [message?.receipt ?? ''])
    await expect(queues.send('orders', { body: 'a' })).resolves.toEqual(expect.any(String))
    await host.sqs.send(new PurgeQueueCommand({ QueueUrl: 'orders' }))
    await expect(queues.send('orders', large)).resolves.toEqual(expect.any(String))
  },
)

describe('the older protocol', () => {
  async function ask(host: Hosted, form: Record<string, string>, path = ''): Promise<string> {
    const body = new URLSearchParams({ Version: '2012-11-05', ...form })
    return await (await fetch(`${host.endpoint}${path}`, { method: 'POST', body })).text()
  }

  test('does the same in forms and XML', async () => {
    await using host = await hosted()
    const created = await ask(host, {
      Action: 'CreateQueue',
      QueueName: 'orders',
      'Attribute.1.Name': 'VisibilityTimeout',
      'Attribute.1.Value': '0',
    })
    expect(created).toContain(`<CreateQueueResult><QueueUrl>${host.endpoint}/123456789012/orders</QueueUrl>`)
    const path = '/123456789012/orders'
    const sent = await ask(
      host,
      {
        Action: 'SendMessage',
        MessageBody: '<a & b>\r',
        'MessageAttribute.1.Name': 'kind',
        'MessageAttribute.1.Value.DataType': 'String',
        'MessageAttribute.1.Value.StringValue': 'x',
      },
      path,
    )
    expect(sent).toMatch(/<MD5OfMessageBody>[0-9a-f]{32}</)
    const received = await ask(
      host,
      { Action: 'ReceiveMessage', 'AttributeName.1': 'All', 'MessageAttributeName.1': 'All' },
      path,
    )
    expect(received).toContain('<Body>&lt;a &amp; b&gt;&#xD;</Body>')
    expect(received).toContain('<Attribute><Name>ApproximateReceiveCount</Name><Value>1</Value></Attribute>')
    expect(received).toMatch(
      /<MessageAttribute><Name>kind<\/Name><Value><StringValue>x<\/StringValue><DataType>String<\/DataType><\/Value>/,
    )
    const batch = await ask(
      host,
      {
        Action: 'SendMessageBatch',
        'SendMessageBatchRequestEntry.1.Id': 'one',
        'SendMessageBatchRequestEntry.1.MessageBody': 'a',
      },
      path,
    )
    expect(batch).toContain('<SendMessageBatchResultEntry><Id>one</Id>')
    expect(await ask(host, { Action: 'ListQueues' })).toContain('/123456789012/orders</QueueUrl>')
    expect(await ask(host, { Action: 'PurgeQueue' }, path)).not.toContain('PurgeQueueResult')
  })

  test('names errors by their old codes', async () => {
    await using host = await hosted()
    const answer = await ask(host, { Action: 'GetQueueUrl', QueueName: 'nobody' })
    expect(answer).toContain('<Code>AWS.SimpleQueueService.NonExistentQueue</Code>')
    expect(await ask(host, {})).toContain('<Code>MissingAction</Code>')
  })
})
