import { describe, expect, test } from 'vitest'

import type { ApiFunction } from '../../../src/core/function.ts'
import type { AbsolutePath } from '../../../src/core/place.ts'
import type { EventSource } from '../../../src/emulators/lambda/service/event-source.ts'
import type { Listeners } from '../../../src/emulators/lambda/service/service.ts'
import {
  openSources,
  type SourceMapping,
  type Sources,
} from '../../../src/emulators/lambda/sources/sources.ts'
import { FakeClock, fakeInvoker, FakeQueue, saidLogger, settled, type Answer } from './source-harness.ts'

interface Run extends AsyncDisposable {
  readonly clock: FakeClock
  readonly queue: FakeQueue
  readonly sources: Sources
  readonly said: string[]
  readonly invocations: string[]
  readonly listened: Listeners[]
  /** Other functions, or other sources of them; with their options where more than sources count. */
  readonly change: (functions: Functions, mappings?: readonly SourceMapping[]) => Promise<void>
}

type Functions = Readonly<Record<string, readonly EventSource[] | object>>

function served(functions: Functions): readonly ApiFunction[] {
  return Object.entries(functions).map(([name, given]) => {
    const options = { handler: 'a.b', ...(Array.isArray(given) ? { sources: given as unknown } : given) }
    return { config: { name, options } } as unknown as ApiFunction
  })
}

async function opened(
  functions: Functions,
  answer: (event: never, count: number) => Answer | Promise<Answer> = () => ({}),
  mappings: readonly SourceMapping[] = [],
): Promise<Run> {
  let current = functions
  const clock = new FakeClock('2026-11-21T10:00:00Z')
  const queue = new FakeQueue(clock)
  const { log, said } = saidLogger()
  const listened: Listeners[] = []
  const invocations: string[] = []
  const inner = fakeInvoker(answer)
  const told = (reference: string, payload: Uint8Array): void => {
    const { Records, ...rest } = JSON.parse(Buffer.from(payload).toString()) as {
      readonly Records?: readonly { readonly body: string }[]
    }
    const what = Records?.map(({ body }) => body).join(' ') ?? JSON.stringify(rest)
    invocations.push(`${reference}: ${what}`)
  }
  const sources = await openSources({
    host: {
      log,
      stateDirectory: '/dev/null/none' as AbsolutePath,
      control: () => 'http://127.0.0.1:8069/_flexi',
      functions: () => served(current),
    },
    invoker: {
      async invoke(reference, payload, options) {
        told(reference, payload)
        return await inner.invoke(reference, payload, options)
      },
      invokeEvent(reference, payload) {
        told(reference, payload)
        return Promise.resolve()
      },
    },
    brokers: { queues: queue, listen: (listeners) => listened.push(listeners) },
    targets: { send: () => Promise.resolve() },
    mappings,
    // Points at flexi itself, which has no streams.
    environment: { AWS_ENDPOINT_URL: 'http://127.0.0.1:8069/_flexi/aws' },
    clock,
  })
  await settled()
  return {
    clock,
    queue,
    sources,
    said,
    invocations,
    listened,
    async change(others, otherMappings = []) {
      current = others
      sources.changed(otherMappings)
      await settled()
    },
    async [Symbol.asyncDispose]() {
      await sources[Symbol.asyncDispose]()
    },
  }
}

const orders: EventSource = { type: 'sqs', queue: 'orders' }

describe('a change', () => {
  test('leaves alone what is as it was: a batch that is gathered goes on', async () => {
    const windowed = { ...orders, window: 10 }
    await using run = await opened({ hello: [windowed] })
    run.queue.add('a')
    await run.clock.advance(6_000)
    await run.change({ hello: [windowed], other: [{ type: 'schedule', expression: 'rate(1 hour)' }] })
    run.queue.add('b')
    await run.clock.advance(4_100)
    expect(run.invocations).toEqual(['hello: a b'])
    expect(run.queue.messages).toEqual([])
  })

  test('of a source counts for the next batch; the one under way finishes', async () => {
    let end: (answer: Answer) => void = () => undefined
    await using run = await opened({ hello: [orders] }, (_event, count) =>
      count === 1 ? new Promise<Answer>((resolve) => (end = resolve)) : {},
    )
    run.queue.add('a', 'b', 'c')
    await settled()
    await run.change({ hello: [{ ...orders, batchSize: 1 }] })
    run.queue.add('d', 'e')
    await settled()
    end({})
    await settled()
    expect(run.invocations).toEqual(['hello: a b c', 'hello: d', 'hello: e'])
    expect(run.queue.bodies).toEqual([])
  })

  test('of a source, and another: whoever ends it waits for the batches of all that there were', async () => {
    let end: (answer: Answer) => void = () => undefined
    const run = await opened({ hello: [orders] }, () => new Promise<Answer>((resolve) => (end = resolve)))
    run.queue.add('a')
    await settled()
    await run.change({ hello: [{ ...orders, batchSize: 1 }] })
    await run.change({ hello: [{ ...orders, batchSize: 2 }] })
    let ended = false
    const ending = run[Symbol.asyncDispose]().then(() => (ended = true))
    await settled()
    expect(ended).toBe(false)
    end({})
    await ending
    expect(run.queue.bodies).toEqual([])
  })

  test('takes away what is there no more', async () => {
    await using run = await opened({ hello: [orders, { type: 'schedule', expression: 'rate(1 minute)' }] })
    await run.change({ hello: [] })
    run.queue.add('a')
    await run.clock.advance(120_000)
    expect(run.invocations).toEqual([])
    expect(run.sources.list()).toEqual([])
  })

  test('does not make a rate begin anew', async () => {
    const schedule: EventSource = { type: 'schedule', expression: 'rate(2 minutes)', input: 1 }
    await using run = await opened({ hello: [schedule] })
    await run.clock.advance(90_000)
    await run.change({ hello: [schedule], other: [] })
    await run.clock.advance(31_000)
    expect(run.invocations).toHaveLength(1)
  })
})

describe('what is read', () => {
  test('is not what is disabled', async () => {
    await using run = await opened({
      hello: [
        { ...orders, enabled: false },
        { type: 'schedule', expression: 'rate(1 minute)', enabled: false },
        { type: 'sns', topic: 'news', enabled: false },
      ],
    })
    run.queue.add('a')
    await run.clock.advance(120_000)
    expect(run.invocations).toEqual([])
    expect(run.listened).toEqual([{ topics: [], buses: [], buckets: [] }])
    expect(run.sources.list().map(({ state }) => state)).toEqual(['Disabled', 'Disabled', 'Disabled'])
  })

  test('is not what the served copy of a published version would repeat', async () => {
    await using run = await opened({ 'hello:1': { version: '1', sources: [orders] } })
    expect(run.sources.list()).toEqual([])
  })

  test('runs the function by what AWS calls it', async () => {
    await using run = await opened({ hello: { functionName: 'shop-hello-1A2B', sources: [orders] } })
    run.queue.add('a')
    await settled()
    expect(run.invocations).toEqual(['shop-hello-1A2B: a'])
  })

  test('is no stream whose only endpoint would be flexi’s own', async () => {
    await using run = await opened({ hello: [{ type: 'dynamodb', stream: 'people' }] })
    expect(run.said).toEqual([
      'dynamodb people: it is not read, because nothing says where it is: set "endpoint" of this source, or AWS_ENDPOINT_URL_DYNAMODB_STREAMS',
    ])
  })
})

test('what is wrong with one source is said, and keeps no other from running', async () => {
  await using run = await opened({
    hello: [
      { ...orders, filters: [{ body: 'text' as never }] },
      { type: 'schedule', expression: 'rate(1 minutes)' },
      { type: 'sqs', queue: 'others' },
    ],
  })
  run.queue.add('a')
  await settled()
  expect(run.invocations).toEqual(['hello: a'])
  expect(run.said).toEqual([
    expect.stringMatching(/^sqs orders: /),
    'schedule rate(1 minutes): it is written rate(1 minute)',
  ])
})

test('topics, buses and buckets are told to the brokers, and again only when they are others', async () => {
  const topic: EventSource = { type: 'sns', topic: 'news' }
  const bus: EventSource = { type: 'events', pattern: { source: ['shop'] } }
  const bucket: EventSource = { type: 's3', bucket: 'uploads', events: ['s3:ObjectCreated:*'] }
  await using run = await opened({ hello: [topic, bus], other: [bucket, topic] })
  const both = {
    topics: [
      { function: 'hello', source: topic },
      { function: 'other', source: topic },
    ],
    buses: [{ function: 'hello', source: bus }],
    buckets: [{ function: 'other', source: bucket }],
  }
  expect(run.listened).toEqual([both])
  await run.change({ hello: [topic, bus, orders], other: [bucket, topic] })
  expect(run.listened).toHaveLength(1)
  await run.change({ hello: [] })
  expect(run.listened.at(-1)).toEqual({ topics: [], buses: [], buckets: [] })
})

describe('mappings of the API', () => {
  const mapping = (more: object = {}): SourceMapping => ({
    uuid: 'm-1',
    function: 'arn:aws:lambda:us-east-1:123456789012:function:hello:live',
    source: { ...orders, ...more },
  })

  test('run as those of files do, and tell how they do', async () => {
    await using run = await opened({ hello: [] }, (_event, count) => ({ fails: count === 2 }), [mapping()])
    expect(run.sources.status('m-1')).toMatchObject({
      declared: false,
      state: 'Enabled',
      lastProcessingResult: 'No records processed',
      lastModified: run.clock.now(),
    })
    run.queue.add('a')
    await settled()
    expect(run.invocations).toEqual(['arn:aws:lambda:us-east-1:123456789012:function:hello:live: a'])
    expect(run.sources.status('m-1')?.lastProcessingResult).toBe('OK')
    run.queue.add('b')
    await settled()
    expect(run.sources.status('m-1')?.lastProcessingResult).toBe('PROBLEM: Function call failed')
    await run.change({ hello: [] }, [mapping({ enabled: false })])
    expect(run.sources.status('m-1')?.state).toBe('Disabled')
    await run.change({ hello: [] })
    expect(run.sources.status('m-1')).toBeUndefined()
  })

  test('those of files have a uuid that stays the same', async () => {
    await using run = await opened({ hello: [orders, orders] })
    const uuids = run.sources.list().map(({ uuid }) => uuid)
    expect(new Set(uuids).size).toBe(2)
    for (const uuid of uuids)
      expect(uuid).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}$/)
    await run.change({ hello: [{ ...orders, batchSize: 2 }, orders] })
    expect(
      run.sources
        .list()
        .map(({ uuid }) => uuid)
        .toSorted(),
    ).toEqual(uuids.toSorted())
  })
})

test('a schedule gives an event that nobody waits for', async () => {
  await using run = await opened({
    hello: [{ type: 'schedule', expression: 'cron(5 10 * * ? *)', input: { job: 'clean' } }],
  })
  await run.clock.advance(300_000)
  expect(run.invocations).toEqual(['hello: {"job":"clean"}'])
})
