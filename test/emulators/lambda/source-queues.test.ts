import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import type { QueueSource } from '../../../src/emulators/lambda/service/event-source.ts'
import { batchOutcome } from '../../../src/emulators/lambda/sources/batch-failures.ts'
import { ownQueue } from '../../../src/emulators/lambda/sources/queues/queue-access.ts'
import { QueuePoller } from '../../../src/emulators/lambda/sources/queues/queue-poller.ts'
import { queueRecord } from '../../../src/emulators/lambda/sources/queues/queue-record.ts'
import { recordFilter } from '../../../src/emulators/lambda/sources/record-filter.ts'
import { SourceState } from '../../../src/emulators/lambda/sources/source-state.ts'
import { FakeClock, fakeInvoker, FakeQueue, settled, type Answer } from './source-harness.ts'

interface SqsEvent {
  readonly Records: readonly { readonly messageId: string; readonly body: string }[]
}

type AnswerTo = (event: SqsEvent, count: number) => Answer | Promise<Answer>

interface Polled extends AsyncDisposable {
  readonly clock: FakeClock
  readonly queue: FakeQueue
  readonly state: SourceState
  readonly said: (string | undefined)[]
  readonly poller: QueuePoller
  /** Bodies of each invocation. */
  readonly batches: () => string[][]
}

async function polled(
  source: Partial<QueueSource> = {},
  answer: AnswerTo = () => ({}),
  bodies: readonly string[] = [],
): Promise<Polled> {
  const clock = new FakeClock(1_000_000)
  const queue = new FakeQueue(clock)
  queue.add(...bodies)
  const invoker = fakeInvoker(answer as never)
  const said: (string | undefined)[] = []
  const state = new SourceState((problem) => said.push(problem))
  const whole: QueueSource = { type: 'sqs', queue: 'orders', ...source }
  const access = ownQueue(queue, whole.queue, { region: 'us-east-1' })
  const poller = new QueuePoller({
    source: whole,
    access,
    state,
    clock,
    target: { invoker, function: 'hello' },
  })
  await settled()
  return {
    clock,
    queue,
    state,
    said,
    poller,
    batches: () => invoker.events.map((event) => (event as SqsEvent).Records.map(({ body }) => body)),
    async [Symbol.asyncDispose]() {
      await poller.stop()
    },
  }
}

const many = (count: number): string[] => Array.from({ length: count }, (_, index) => `${index + 1}`)

describe('a batch', () => {
  test('is deleted when the function succeeds', async () => {
    await using run = await polled({}, undefined, ['a', 'b'])
    expect(run.batches()).toEqual([['a', 'b']])
    expect(run.queue.bodies).toEqual([])
    expect(run.state.lastProcessingResult).toBe('OK')
  })

  test('comes again after the visibility timeout when the function fails', async () => {
    await using run = await polled({}, (_event, count) => ({ fails: count === 1 }), ['a'])
    expect(run.state.lastProcessingResult).toBe('PROBLEM: Function call failed')
    await run.clock.advance(29_000)
    expect(run.batches()).toHaveLength(1)
    await run.clock.advance(2_000)
    expect(run.batches()).toEqual([['a'], ['a']])
    expect(run.queue.bodies).toEqual([])
  })

  test('holds ten messages by default', async () => {
    await using run = await polled({}, undefined, many(12))
    expect(run.batches().map(({ length }) => length)).toEqual([10, 2])
  })

  test('waits for more as long as the window says, and not once it is full', async () => {
    await using run = await polled({ batchSize: 25, window: 5 }, undefined, many(3))
    expect(run.batches()).toEqual([])
    await run.clock.advance(4_000)
    run.queue.add('late')
    await settled()
    expect(run.batches()).toEqual([])
    await run.clock.advance(1_100)
    expect(run.batches()).toEqual([['1', '2', '3', 'late']])
    run.queue.add(...many(25))
    await settled()
    expect(run.batches()[1]).toHaveLength(25)
  })

  test('holds no more than six megabytes; what does not fit comes with the next', async () => {
    const large = 'x'.repeat(1024 * 1024)
    await using run = await polled(
      {},
      undefined,
      Array.from({ length: 8 }, () => large),
    )
    expect(run.batches().map(({ length }) => length)).toEqual([5, 3])
    expect(run.queue.bodies).toEqual([])
  })
})

describe('load', () => {
  function gate(): { readonly answer: AnswerTo; readonly open: () => void; most: () => number } {
    let open: () => void = () => undefined
    const opened = new Promise<void>((resolve) => (open = resolve))
    let running = 0
    let most = 0
    return {
      async answer() {
        most = Math.max(most, ++running)
        await opened
        running -= 1
        return {}
      },
      open: () => open(),
      most: () => most,
    }
  }

  test.each([
    [undefined, 5],
    [2, 2],
    [12, 12],
  ])('with a maximum concurrency of %s, %i batches run at once', async (maximumConcurrency, expected) => {
    const { answer, open, most } = gate()
    await using run = await polled({ maximumConcurrency, batchSize: 1 }, answer, many(20))
    await settled()
    expect(most()).toBe(expected)
    open()
    await settled()
    expect(run.queue.bodies).toEqual([])
    expect(most()).toBe(expected)
  })

  test('a function without room is asked again, and the messages are not received once more', async () => {
    await using run = await polled({}, (_event, count) => (count < 4 ? 'throttled' : {}), ['a'])
    await run.clock.advance(5_000)
    expect(run.batches()).toHaveLength(4)
    expect(run.queue.bodies).toEqual([])
    expect(run.said).toEqual([])
  })

  test('one that is not there is not asked again at once', async () => {
    await using run = await polled({}, () => 'missing', ['a'])
    await run.clock.advance(20_000)
    expect(run.batches()).toHaveLength(1)
    expect(run.state.lastProcessingResult).toBe('PROBLEM: hello is not there')
  })

  test('one that has no room for long gives its messages back and rests', async () => {
    await using run = await polled({}, () => 'throttled', ['a'])
    await run.clock.advance(28_000)
    expect(run.said).toEqual(['hello has no room'])
    expect(run.state.lastProcessingResult).toBe('PROBLEM: hello has no room')
    expect(run.queue.messages.map(({ received }) => received)).toEqual([1])
  })
})

describe('a queue that cannot be had', () => {
  test('is asked again and again, and that is said once', async () => {
    await using run = await polled()
    run.queue.failures.push(...many(4).map(() => new Error('nobody is there')))
    run.queue.add('a')
    // After one second, two, four and eight.
    await run.clock.advance(15_100)
    for (const body of ['b', 'c']) {
      run.queue.add(body)
      await run.clock.advance(10)
    }
    expect(run.said).toEqual(['nobody is there', undefined])
    expect(run.state.lastProcessingResult).toBe('OK')
    expect(run.batches()).toEqual([['a'], ['b'], ['c']])
  })

  test('a fault of our own is said, and breaks nothing else', async () => {
    const said: (string | undefined)[] = []
    const state = new SourceState((problem) => said.push(problem))
    await state.watched(Promise.reject(new Error('oops')))
    expect(said).toEqual(['it is read no more, by a fault of flexi: oops'])
  })
})

describe('stopping', () => {
  test('lets a batch under way finish, and takes nothing more', async () => {
    let end: (answer: Answer) => void = () => undefined
    const run = await polled({}, () => new Promise<Answer>((resolve) => (end = resolve)), ['a'])
    const stopped = run.poller.stop()
    run.queue.add('b')
    await settled()
    end({})
    await stopped
    expect(run.batches()).toEqual([['a']])
    expect(run.queue.bodies).toEqual(['b'])
  })

  test('gives back at once what waited for its window', async () => {
    const run = await polled({ window: 60 }, undefined, ['a'])
    await run.poller.stop()
    expect(run.batches()).toEqual([])
    expect(run.queue.messages[0]?.hiddenUntil).toBe(run.clock.now())
  })
})

describe('a queue with groups', () => {
  test('a group is not overtaken while its batch is under way, or has failed', async () => {
    const seen: string[] = []
    await using run = await polled({ queue: 'orders.fifo', batchSize: 1 }, ({ Records }, count) => {
      seen.push(...Records.map(({ body }) => body))
      return { fails: count === 1 }
    })
    run.queue.addTo('one', 'one-1')
    run.queue.addTo('one', 'one-2')
    run.queue.addTo('two', 'two-1')
    await settled()
    expect(seen).toEqual(['one-1', 'two-1'])
    await run.clock.advance(31_000)
    expect(seen).toEqual(['one-1', 'two-1', 'one-1', 'one-2'])
  })

  test('its batches hold ten messages at most, and wait for no window', async () => {
    await using run = await polled({ queue: 'orders.fifo', batchSize: 100, window: 0 }, undefined, many(15))
    expect(run.batches()[0]).toHaveLength(10)
  })
})

describe('failures of a batch that are reported', () => {
  const report = { reportBatchItemFailures: true }

  test('keep those messages alone', async () => {
    await using run = await polled(
      report,
      ({ Records }) => ({ result: { batchItemFailures: [{ itemIdentifier: Records[1]?.messageId }] } }),
      ['a', 'b', 'c'],
    )
    expect(run.queue.bodies).toEqual(['b'])
    expect(run.state.lastProcessingResult).toBe('PROBLEM: Function call failed')
  })

  test('count for nothing where the source does not say so', async () => {
    await using run = await polled(
      {},
      ({ Records }) => ({ result: { batchItemFailures: [{ itemIdentifier: Records[0]?.messageId }] } }),
      ['a'],
    )
    expect(run.queue.bodies).toEqual([])
  })

  const known = new Set(['m1', 'm2'])
  const outcome = (text: string): unknown => batchOutcome(Buffer.from(text), known)

  test.each([
    'null',
    '""',
    '{}',
    '[]',
    '',
    '{"batchItemFailures":null}',
    '{"batchItemFailures":[]}',
    '{"other":1}',
    '"done"',
  ])('%s is a success', (text) => {
    expect(outcome(text)).toBe('none')
  })

  test.each([
    '{"batchItemFailures":[{}]}',
    '{"batchItemFailures":[{"itemIdentifier":""}]}',
    '{"batchItemFailures":[{"itemIdentifier":null}]}',
    '{"batchItemFailures":[{"itemIdentifier":"m3"}]}',
    '{"batchItemFailures":[{"itemIdentifier":"m1"},{"id":"m2"}]}',
    '{"batchItemFailures":["m1"]}',
    '{"batchItemFailures":"m1"}',
    'no JSON',
  ])('%s is a failure of the whole batch', (text) => {
    expect(outcome(text)).toBe('all')
  })

  test('whatever a function answers, a batch has an outcome', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        expect(outcome(text)).toBeDefined()
      }),
    )
  })
})

describe('filters', () => {
  const accepts = (filter: object | undefined, body: string): boolean =>
    recordFilter(filter === undefined ? undefined : [filter as never], 'body')({ body, messageId: 'm1' })

  test.each([
    [undefined, 'text', true],
    [{}, 'text', true],
    [{ body: { city: ['Berlin'] } }, '{"city":"Berlin"}', true],
    [{ body: { city: ['Berlin'] } }, '{"city":"Paris"}', false],
    // JSON is asked for, and there is none.
    [{ body: { city: ['Berlin'] } }, 'Berlin', false],
    [{ body: { city: [{ exists: false }] } }, 'Berlin', false],
    [{ body: ['Berlin'] }, 'Berlin', true],
    [{ body: [{ prefix: 'Ber' }] }, 'Berlin', true],
    // Plain text is asked for, and there is JSON.
    [{ body: [{ prefix: '{' }] }, '{"city":"Berlin"}', false],
    [{ messageId: ['m1'] }, 'text', true],
  ])('%j and the body %s: %s', (filter, body, expected) => {
    expect(accepts(filter, body)).toBe(expected)
  })

  test('what no filter wants is deleted without an invocation', async () => {
    const filters = [{ body: { kind: ['a'] } }, { body: { kind: ['b'] } }]
    await using run = await polled({ filters }, undefined, [
      '{"kind":"a"}',
      '{"kind":"c"}',
      '{"kind":"b"}',
      'text',
    ])
    expect(run.batches()).toEqual([['{"kind":"a"}', '{"kind":"b"}']])
    expect(run.queue.bodies).toEqual([])
  })
})

describe('the record', () => {
  const FIXTURE = join(import.meta.dirname, '../../../../shared/fixtures/lambda/events/sqs-event.json')

  test.skipIf(!existsSync(FIXTURE))(
    'has the fields of a recorded one (skipped without the recordings)',
    () => {
      const recorded = (JSON.parse(readFileSync(FIXTURE, 'utf8')) as { Records: Record<string, never>[] })
        .Records[0]
      const made = queueRecord(
        {
          id: 'MessageID_1',
          receipt: 'MessageReceiptHandle',
          body: 'Message Body',
          bodyMd5: 'fce0ea8dd236ccb3ed9b37dae260836f',
          attributesMd5: '582c92c5c5b6ac403040a4f3ab3115c9',
          systemAttributes: recorded?.['attributes'] ?? {},
          attributes: {
            Attribute1: { type: 'String', text: 'AttributeValue1' },
            Attribute2: { type: 'Number', text: '123' },
            Attribute3: { type: 'Binary', binary: 'MTEwMA==' },
          },
        },
        { arn: 'arn:aws:sqs:us-west-2:123456789012:SQSQueue', region: 'us-west-2' },
      )
      // Lists are reserved: SQS itself never sends any.
      const attributes = Object.entries<object>(recorded?.['messageAttributes'] ?? {}).map(
        ([name, value]) => [name, { ...value, stringListValues: [], binaryListValues: [] }],
      )
      expect(made).toEqual({ ...recorded, messageAttributes: Object.fromEntries(attributes) as object })
    },
  )
})

test('a queue that nobody has declared hides messages as long as the function may take', () => {
  const queue = new FakeQueue(new FakeClock())
  ownQueue(queue, 'arn:aws:sqs:eu-west-1:123456789012:orders', { region: 'us-east-1', timeoutMs: 60_000 })
  ownQueue(queue, 'short', { region: 'us-east-1', timeoutMs: 3_000 })
  expect(queue.ensured).toEqual([
    ['orders', { VisibilityTimeout: '60' }],
    ['short', { VisibilityTimeout: '30' }],
  ])
})
