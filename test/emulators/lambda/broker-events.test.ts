import {
  CreateEventBusCommand,
  DeleteEventBusCommand,
  DeleteRuleCommand,
  DescribeRuleCommand,
  DisableRuleCommand,
  EnableRuleCommand,
  ListEventBusesCommand,
  ListRulesCommand,
  ListTargetsByRuleCommand,
  PutEventsCommand,
  PutRuleCommand,
  PutTargetsCommand,
  RemoveTargetsCommand,
  TestEventPatternCommand,
  type PutEventsRequestEntry,
  type PutRuleCommandInput,
  type Target,
} from '@aws-sdk/client-eventbridge'
import { EventBridgeSchema } from '@aws-lambda-powertools/parser/schemas'
import { describe, expect, test } from 'vitest'

import type { Resource } from '../../../src/emulators/lambda/service/resource.ts'
import { hosted, type Hosted } from './broker-harness.ts'

const HELLO = 'arn:aws:lambda:us-east-1:123456789012:function:hello'
const ORDERS = 'arn:aws:sqs:us-east-1:123456789012:orders'

function put({ bridge }: Hosted, entry: PutEventsRequestEntry = {}): Promise<unknown> {
  const full = {
    Source: 'shop',
    DetailType: 'Order Placed',
    Detail: '{"total":120,"who":{"name":"ada"}}',
    ...entry,
  }
  return bridge.send(new PutEventsCommand({ Entries: [full] }))
}

async function rule(
  { bridge }: Hosted,
  targets: Partial<Target>[],
  input: Partial<PutRuleCommandInput> = {},
): Promise<string> {
  const command = { Name: 'orders', EventPattern: '{"source":["shop"]}', ...input }
  const { RuleArn = '' } = await bridge.send(new PutRuleCommand(command))
  const Targets = targets.map((target, index) => ({ Id: `t${index}`, Arn: HELLO, ...target }))
  const { EventBusName } = command
  await bridge.send(new PutTargetsCommand({ Rule: command.Name, EventBusName, Targets }))
  return RuleArn
}

async function refusal(promise: Promise<unknown>): Promise<string> {
  const error = (await promise.then(
    () => Promise.reject(new Error('it was not refused')),
    (reason: unknown) => reason,
  )) as Error
  return `${error.name}: ${error.message}`
}

async function received({ brokers }: Hosted, queue = ORDERS): Promise<string[]> {
  const signal = AbortSignal.timeout(5_000)
  const messages = await brokers.queues.receive(queue, { max: 10, waitMs: 0, signal })
  return messages.map(({ body }) => body)
}

describe('an event bus', () => {
  test('invokes functions with the event that EventBridge makes', async () => {
    await using host = await hosted()
    await rule(host, [{}])
    const Time = new Date('2026-01-02T03:04:05.678Z')
    await put(host, { Resources: ['arn:a'], Time })
    await put(host, { Source: 'other' })
    expect(host.invoked).toEqual([
      {
        reference: HELLO,
        event: {
          version: '0',
          id: expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
          'detail-type': 'Order Placed',
          source: 'shop',
          account: '123456789012',
          time: '2026-01-02T03:04:05Z',
          region: 'us-east-1',
          resources: ['arn:a'],
          detail: { total: 120, who: { name: 'ada' } },
        },
      },
    ])
    expect(() => EventBridgeSchema.parse(host.invoked[0]?.event)).not.toThrow()
    await put(host)
    expect(host.invoked[1]?.event).toMatchObject({ time: '2026-11-21T10:00:00Z', resources: [] })
  })

  test('takes entries one by one', async () => {
    await using host = await hosted()
    await rule(host, [{}])
    const good = { Source: 'shop', DetailType: 'x', Detail: '{}' }
    const answer = await host.bridge.send(
      new PutEventsCommand({
        Entries: [
          good,
          { ...good, Source: '' },
          { ...good, DetailType: undefined },
          { ...good, Detail: undefined },
          { ...good, Detail: '{' },
          { ...good, Detail: '[]' },
          good,
        ],
      }),
    )
    expect(answer.FailedEntryCount).toBe(5)
    expect(answer.Entries?.map(({ ErrorCode }) => ErrorCode)).toEqual([
      undefined,
      'InvalidArgument',
      'InvalidArgument',
      'InvalidArgument',
      'MalformedDetail',
      'MalformedDetail',
      undefined,
    ])
    expect(host.invoked.length).toBe(2)
    const body = JSON.stringify({ Entries: [{ ...good, Time: 1e30 }] })
    const headers = { 'X-Amz-Target': 'AWSEvents.PutEvents' }
    expect((await fetch(`${host.endpoint}/`, { method: 'POST', headers, body })).status).toBe(200)
    const large = Array.from({ length: 2 }, () => ({
      ...good,
      Detail: JSON.stringify({ x: 'y'.repeat(525_000) }),
    }))
    expect(await refusal(host.bridge.send(new PutEventsCommand({ Entries: large })))).toContain('Total size')
    const many = Array.from({ length: 11 }, () => good)
    expect(await refusal(host.bridge.send(new PutEventsCommand({ Entries: many })))).toContain(
      'ValidationException',
    )
    expect(await refusal(host.bridge.send(new PutEventsCommand({ Entries: [] })))).toContain(
      'ValidationException',
    )
  })

  test.each<[Partial<Target>, unknown]>([
    [{ Input: '{"fixed":true}' }, { fixed: true }],
    [{ InputPath: '$.detail.who' }, { name: 'ada' }],
    [{ InputPath: '$.detail.nobody' }, null],
    [{ InputPath: "$['detail']['total']" }, 120],
    [
      {
        InputTransformer: {
          InputPathsMap: { name: '$.detail.who.name', who: '$.detail.who', none: '$.detail.none' },
          InputTemplate:
            '{"text":"<name> says \\"<who>\\"","who":<who>,"n":<name>,"rule":"<aws.events.rule-name>","no":<none>}',
        },
      },
      { text: 'ada says "{"name":"ada"}"', who: { name: 'ada' }, n: 'ada', rule: 'orders', no: '' },
    ],
    [
      {
        InputTransformer: { InputPathsMap: { total: '$.detail.total' }, InputTemplate: '"<total> and <x>"' },
      },
      '120 and ',
    ],
    [
      {
        InputTransformer: {
          InputTemplate: '{"all":<aws.events.event.json>,"at":"<aws.events.event.ingestion-time>"}',
        },
      },
      {
        all: expect.objectContaining({ source: 'shop' }) as object,
        at: '2026-11-21T10:00:00Z',
      },
    ],
  ])('hands over what a target wants: %j', async (target, event) => {
    await using host = await hosted()
    await rule(host, [target])
    await put(host)
    expect(host.invoked.map((one) => one.event)).toEqual([event])
  })

  test('hands events to queues, topics and other buses', async () => {
    const news = 'arn:aws:sns:us-east-1:123456789012:news'
    await using host = await hosted({
      resources: [
        { kind: 'queue', name: 'orders', attributes: {} },
        { kind: 'queue', name: 'orders.fifo', attributes: {} },
        { kind: 'topic', name: 'news', subscriptions: [{ protocol: 'lambda', endpoint: 'reader' }] },
        { kind: 'bus', name: 'second' },
      ],
    })
    await rule(host, [{}], { Name: 'there', EventBusName: 'second' })
    await rule(host, [
      { Arn: ORDERS, InputPath: '$.detail.total' },
      { Arn: `${ORDERS}.fifo`, SqsParameters: { MessageGroupId: 'x' } },
      { Arn: news, Input: '{"a":1}' },
      { Arn: 'arn:aws:events:us-east-1:123456789012:event-bus/second' },
    ])
    await put(host)
    expect(await received(host)).toEqual(['120'])
    expect(await received(host, 'orders.fifo')).toEqual([expect.stringContaining('"Order Placed"') as string])
    expect(host.invoked.map(({ reference }) => reference).toSorted()).toEqual([HELLO, 'reader'])
    expect(host.said).toEqual([])
  })

  test('says so when a template makes no JSON, which functions need', async () => {
    await using host = await hosted()
    const InputTransformer = { InputPathsMap: { total: '$.detail.total' }, InputTemplate: 'it is <total>' }
    await rule(host, [{ InputTransformer }])
    await put(host)
    expect(host.said).toEqual([
      expect.stringContaining('its input template makes no JSON of it: it is 120') as string,
    ])
    expect(host.invoked).toEqual([])
  })

  test('stops events that go in a circle', async () => {
    await using host = await hosted()
    await rule(host, [{ Arn: 'arn:aws:events:us-east-1:123456789012:event-bus/default' }])
    await put(host)
    await expect
      .poll(() => host.said)
      .toEqual([expect.stringContaining('the event goes in a circle') as string])
  })

  test('names rule, target and reason when nobody is there, and keeps the event for who looks', async () => {
    await using host = await hosted({ resources: [{ kind: 'queue', name: 'dead', attributes: {} }] })
    await rule(host, [{ Arn: ORDERS, DeadLetterConfig: { Arn: ORDERS.replace('orders', 'dead') } }])
    await put(host)
    await expect
      .poll(() => host.said)
      .toEqual([
        expect.stringMatching(/^rule orders: .*:orders did not get event .*: The specified queue/) as string,
      ])
    await expect.poll(async () => (await received(host, 'dead')).length).toBe(1)
  })

  test('that is not there takes events for nobody, as in the cloud, and it is told', async () => {
    await using host = await hosted()
    expect(await put(host, { EventBusName: 'nowhere' })).toMatchObject({ FailedEntryCount: 0 })
    expect(host.said).toEqual([expect.stringContaining('event bus nowhere does not exist') as string])
  })

  test('tells functions that listen, and follows them', async () => {
    await using host = await hosted()
    host.listen({
      buses: [
        { function: 'a', source: { type: 'events', pattern: { source: ['shop'] } } },
        {
          function: 'b',
          source: { type: 'events', pattern: { source: ['shop'] }, inputPath: '$.detail.who' },
        },
        { function: 'c', source: { type: 'events', pattern: { source: ['shop'] }, bus: 'mine' } },
        { function: 'd', source: { type: 'events', pattern: { source: ['shop'] }, input: { x: 1 } } },
        { function: 'e', source: { type: 'events', pattern: { source: ['shop'] }, enabled: false } },
        { function: 'f', source: { type: 'events', pattern: { source: 'shop' } } },
      ],
    })
    expect(host.said).toEqual([expect.stringContaining('"source" must be an object or an array') as string])
    await put(host)
    expect(host.invoked.map(({ reference }) => reference.slice(-1))).toEqual(['a', 'b', 'd'])
    const { Rules } = await host.bridge.send(new ListRulesCommand({}))
    expect(Rules?.map(({ Name, State }) => [Name, State])).toEqual([
      ['a-0', 'ENABLED'],
      ['b-1', 'ENABLED'],
      ['d-3', 'ENABLED'],
      ['e-4', 'DISABLED'],
    ])
    expect(host.invoked.slice(1).map(({ event }) => event)).toEqual([{ name: 'ada' }, { x: 1 }])
    await put(host, { EventBusName: 'arn:aws:events:us-east-1:123456789012:event-bus/mine' })
    expect(host.invoked.at(-1)?.reference).toBe(HELLO.replace('hello', 'c'))
    host.listen({})
    await put(host)
    expect(host.invoked.length).toBe(4)
  })
})

describe('rules of files', () => {
  const resource = {
    kind: 'rule' as const,
    name: 'copied',
    pattern: { source: ['shop'] },
    targets: [
      { Id: 'q', Arn: ORDERS, InputPath: '$.detail.total' },
      {
        Id: 'f',
        Arn: HELLO,
        InputTransformer: { InputPathsMap: { t: '$.detail.total' }, InputTemplate: '{"t":<t>}' },
      },
      { Id: 's', Arn: 'arn:aws:states:us-east-1:123456789012:stateMachine:x' },
    ],
  }
  const queueOfOrders = { kind: 'queue' as const, name: 'orders', attributes: {} }

  test('hand events to their targets, and say which they cannot reach', async () => {
    await using host = await hosted({ resources: [queueOfOrders, resource] })
    expect(host.said).toEqual([
      expect.stringMatching(/^rule copied: flexi hands events to .* not to states\.$/) as string,
    ])
    await put(host)
    expect(await received(host)).toEqual(['120'])
    expect(host.invoked).toEqual([{ reference: HELLO, event: { t: 120 } }])
    const { Targets } = await host.bridge.send(new ListTargetsByRuleCommand({ Rule: 'copied' }))
    expect(Targets?.map(({ Id }) => Id)).toEqual(['q', 'f'])
  })

  test('keep their time over reloads, and end with their declaration', async () => {
    const resources: Resource[] = [
      {
        kind: 'rule',
        name: 'hourly',
        schedule: 'rate(1 hour)',
        targets: [{ Id: 'f', Arn: HELLO, Input: '{}' }],
      },
      { kind: 'rule', name: 'wrong', schedule: 'rate(1 hours)', targets: [{ Id: 'f', Arn: HELLO }] },
    ]
    await using host = await hosted({ resources })
    expect(host.said).toEqual([
      expect.stringMatching(/^rule wrong cannot be: Parameter ScheduleExpression/) as string,
    ])
    host.clock += 1_800_000
    host.listen({})
    host.clock += 1_800_000
    expect(host.invoked.length).toBe(1)
    resources.length = 0
    host.listen({})
    host.clock += 3_600_000
    expect(host.invoked.length).toBe(1)
  })
})

describe('rules', () => {
  test('are described, listed, switched off and on, and deleted', async () => {
    await using host = await hosted()
    const { bridge } = host
    const RuleArn = await rule(host, [{}, { Input: '{}' }], { Description: 'of orders' })
    expect(RuleArn).toBe('arn:aws:events:us-east-1:123456789012:rule/orders')
    expect(await bridge.send(new DescribeRuleCommand({ Name: 'orders' }))).toMatchObject({
      Arn: RuleArn,
      EventPattern: '{"source":["shop"]}',
      State: 'ENABLED',
      Description: 'of orders',
      EventBusName: 'default',
    })
    await bridge.send(new DisableRuleCommand({ Name: 'orders' }))
    await put(host)
    expect(host.invoked).toEqual([])
    await bridge.send(new EnableRuleCommand({ Name: 'orders' }))
    await put(host)
    expect(host.invoked.length).toBe(2)
    expect((await bridge.send(new ListRulesCommand({ NamePrefix: 'or' }))).Rules?.length).toBe(1)
    const listed = await bridge.send(new ListTargetsByRuleCommand({ Rule: 'orders' }))
    expect(listed.Targets).toEqual([
      { Id: 't0', Arn: HELLO },
      { Id: 't1', Arn: HELLO, Input: '{}' },
    ])
    expect(await refusal(bridge.send(new DeleteRuleCommand({ Name: 'orders' })))).toContain(
      'since it has targets',
    )
    const removed = await bridge.send(new RemoveTargetsCommand({ Rule: 'orders', Ids: ['t0', 't1', 't2'] }))
    expect(removed).toMatchObject({ FailedEntryCount: 1, FailedEntries: [{ TargetId: 't2' }] })
    await bridge.send(new DeleteRuleCommand({ Name: 'orders' }))
    expect(await refusal(bridge.send(new DescribeRuleCommand({ Name: 'orders' })))).toBe(
      'ResourceNotFoundException: Rule orders does not exist on EventBus default.',
    )
  })

  test.each<[Partial<PutRuleCommandInput>, string]>([
    [
      { EventPattern: '{' },
      'InvalidEventPatternException: Event pattern is not valid. Reason: Pattern is not valid JSON',
    ],
    [{ EventPattern: '{"source":"a"}' }, 'InvalidEventPatternException'],
    [{ EventPattern: undefined }, 'ValidationException'],
    [{ Name: 'a b' }, 'ValidationException'],
    [{ EventBusName: 'nowhere' }, 'ResourceNotFoundException: Event bus nowhere does not exist.'],
    [{ ScheduleExpression: 'rate(1 minutes)' }, 'Parameter ScheduleExpression is not valid. Reason: '],
    [{ ScheduleExpression: 'at(2027-01-01T00:00:00)' }, 'Parameter ScheduleExpression is not valid'],
  ])('refuse %j', async (input, reason) => {
    await using host = await hosted()
    const command = { Name: 'x', EventPattern: '{"source":["a"]}', ...input }
    expect(await refusal(host.bridge.send(new PutRuleCommand(command)))).toContain(reason)
  })

  test('with a schedule are due by themselves, until they are switched off', async () => {
    await using host = await hosted()
    const input = { EventPattern: undefined, ScheduleExpression: 'rate(1 minute)' }
    const RuleArn = await rule(host, [{}, { Input: '{"a":1}' }], input)
    host.clock += 60_000
    expect(host.invoked).toMatchObject([
      {
        event: {
          source: 'aws.events',
          'detail-type': 'Scheduled Event',
          time: '2026-11-21T10:01:00Z',
          resources: [RuleArn],
          detail: {},
        },
      },
      { event: { a: 1 } },
    ])
    await rule(host, [], { ...input, ScheduleExpression: 'rate(1 hour)' }).catch(() => undefined)
    host.clock += 60_000
    expect(host.invoked.length).toBe(2)
    await host.bridge.send(new DisableRuleCommand({ Name: 'orders' }))
    host.clock += 3_600_000
    expect(host.invoked.length).toBe(2)
    await host.bridge.send(new EnableRuleCommand({ Name: 'orders' }))
    host.clock += 3_600_000
    expect(host.invoked.length).toBe(4)
    await host.bridge.send(new RemoveTargetsCommand({ Rule: 'orders', Ids: ['t0', 't1'] }))
    await host.bridge.send(new DeleteRuleCommand({ Name: 'orders' }))
    host.clock += 3_600_000
    expect(host.invoked.length).toBe(4)
  })

  test('refuse targets that nothing here is', async () => {
    await using host = await hosted()
    await rule(host, [{}])
    const Targets = [{ Id: 'x', Arn: 'arn:aws:states:us-east-1:123456789012:stateMachine:x' }]
    const answer = await host.bridge.send(new PutTargetsCommand({ Rule: 'orders', Targets }))
    expect(answer).toMatchObject({ FailedEntryCount: 1, FailedEntries: [{ TargetId: 'x' }] })
    const both = [{ Id: 'x', Arn: HELLO, Input: '{}', InputPath: '$' }]
    expect(
      await refusal(host.bridge.send(new PutTargetsCommand({ Rule: 'orders', Targets: both }))),
    ).toContain('Only one of Input')
    const path = [{ Id: 'x', Arn: HELLO, InputPath: 'detail' }]
    expect(
      await refusal(host.bridge.send(new PutTargetsCommand({ Rule: 'orders', Targets: path }))),
    ).toContain('Invalid JSON path')
  })

  test('are tried without an event', async () => {
    await using host = await hosted()
    const ask = async (EventPattern: string): Promise<boolean | undefined> =>
      (await host.bridge.send(new TestEventPatternCommand({ EventPattern, Event: '{"source":"shop"}' })))
        .Result
    expect([await ask('{"source":["shop"]}'), await ask('{"source":["x"]}')]).toEqual([true, false])
    expect(await refusal(ask('{"source":[]}'))).toContain('Empty arrays are not allowed')
  })

  test('belong to buses that come and go', async () => {
    await using host = await hosted()
    const { bridge } = host
    const { EventBusArn } = await bridge.send(new CreateEventBusCommand({ Name: 'mine' }))
    expect(EventBusArn).toBe('arn:aws:events:us-east-1:123456789012:event-bus/mine')
    expect(await refusal(bridge.send(new CreateEventBusCommand({ Name: 'mine' })))).toContain('AlreadyExists')
    const names = async (): Promise<unknown> =>
      (await bridge.send(new ListEventBusesCommand({}))).EventBuses?.map(({ Name }) => Name)
    expect(await names()).toEqual(['default', 'mine'])
    await bridge.send(new DeleteEventBusCommand({ Name: 'mine' }))
    expect(await names()).toEqual(['default'])
    expect(await refusal(bridge.send(new DeleteEventBusCommand({ Name: 'default' })))).toContain('default')
  })
})

describe('destinations and dead letters', () => {
  test('reach queues, topics and buses by their ARN', async () => {
    await using host = await hosted({ resources: [{ kind: 'queue', name: 'orders', attributes: {} }] })
    await rule(host, [{}], { EventPattern: '{"source":["lambda"]}' })
    await host.brokers.send('arn:aws:events:us-east-1:123456789012:event-bus/default', {
      body: '{"version":"1.0"}',
      detailType: 'Lambda Function Invocation Result - Success',
      resources: [HELLO],
    })
    expect(host.invoked).toMatchObject([
      {
        event: {
          source: 'lambda',
          'detail-type': 'Lambda Function Invocation Result - Success',
          resources: [HELLO],
          detail: { version: '1.0' },
        },
      },
    ])
    const attributes = { ErrorCode: { type: 'Number' as const, value: '200' } }
    await host.brokers.send(ORDERS, { body: 'x', attributes })
    const signal = AbortSignal.timeout(5_000)
    const [message] = await host.brokers.queues.receive('orders', { max: 1, waitMs: 0, signal })
    expect(message).toMatchObject({ body: 'x', attributes: { ErrorCode: { type: 'Number', text: '200' } } })
  })

  test.each([
    `${ORDERS}x`,
    'arn:aws:sns:us-east-1:123456789012:nobody',
    'arn:aws:events:us-east-1:123456789012:event-bus/nobody',
    'arn:aws:states:us-east-1:123456789012:x',
  ])('say so when nothing has the ARN %s', async (arn) => {
    await using host = await hosted()
    await expect(host.brokers.send(arn, { body: '{}' })).rejects.toMatchObject({ code: 'FLEXI_NO_INPUT' })
  })
})
