import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { FlexiError } from '../../../src/core/errors.ts'
import type { StreamSource } from '../../../src/emulators/lambda/service/event-source.ts'
import type { TargetMessage } from '../../../src/emulators/lambda/service/service.ts'
import { AwsError } from '../../../src/emulators/lambda/sources/aws-client.ts'
import { SourceState } from '../../../src/emulators/lambda/sources/source-state.ts'
import { Checkpoints } from '../../../src/emulators/lambda/sources/streams/checkpoints.ts'
import { ShardProgress } from '../../../src/emulators/lambda/sources/streams/shard-progress.ts'
import type { Position } from '../../../src/emulators/lambda/sources/streams/stream-access.ts'
import { StreamPoller } from '../../../src/emulators/lambda/sources/streams/stream-poller.ts'
import {
  FakeClock,
  fakeInvoker,
  FakeStream,
  saidLogger,
  settled,
  SOON,
  type Answer,
} from './source-harness.ts'

interface Event {
  readonly Records: readonly { readonly data: string; readonly sequence: string }[]
}

interface WindowEvent extends Event {
  readonly window: { readonly start: string; readonly end: string }
  readonly state: { readonly sum?: number }
  readonly isFinalInvokeForWindow: boolean
}

interface Polled extends AsyncDisposable {
  readonly clock: FakeClock
  readonly stream: FakeStream
  readonly poller: StreamPoller
  readonly state: SourceState
  readonly checkpoints: Checkpoints
  readonly said: string[]
  readonly told: { readonly arn: string; readonly body: Readonly<Record<string, unknown>> }[]
  readonly ids: readonly (string | undefined)[]
  readonly events: readonly unknown[]
  readonly batches: () => string[][]
}

type Opened = Pick<Polled, 'clock' | 'stream' | 'checkpoints'>

interface PolledOptions {
  readonly source?: Partial<StreamSource>
  readonly answer?: (event: Event, count: number) => Answer | Promise<Answer>
  /** Before the poller starts. */
  readonly before?: (stream: FakeStream) => void
  readonly after?: Opened
  readonly refuses?: boolean
  readonly environment?: Readonly<Record<string, string>>
}

const SINK = 'arn:aws:sqs:us-east-1:123456789012:failures'

async function opened({ before, after }: PolledOptions): Promise<Opened> {
  const clock = after?.clock ?? new FakeClock(1_700_000_000_000)
  const stream = after?.stream ?? new FakeStream(clock)
  if (after === undefined) stream.shard('s0')
  before?.(stream)
  return {
    clock,
    stream,
    checkpoints: after?.checkpoints ?? (await Checkpoints.open('/dev/null/none', clock)),
  }
}

async function polled(options: PolledOptions = {}): Promise<Polled> {
  const { source, answer, refuses } = options
  const { clock, stream, checkpoints } = await opened(options)
  const { log, said } = saidLogger()
  const told: Polled['told'] = []
  const invoker = fakeInvoker(answer as never)
  const state = new SourceState((problem) => said.push(problem ?? 'well'))
  const poller = new StreamPoller({
    source: { type: 'kinesis', stream: 'orders', startingPosition: 'TRIM_HORIZON', ...source },
    access: stream,
    target: { invoker, function: 'hello' },
    functionArn: 'arn:aws:lambda:us-east-1:123456789012:function:hello',
    targets: {
      send(arn: string, { body }: TargetMessage) {
        if (refuses === true) return Promise.reject(new FlexiError('FLEXI_NO_INPUT', `${arn} is not there`))
        told.push({ arn, body: JSON.parse(body) as never })
        return Promise.resolve()
      },
    },
    checkpoints,
    uuid: '0b6a3f0e-7c52-4d0f-9b1d-2e8f4a6c1d35',
    environment: options.environment ?? {},
    state,
    clock,
    log,
  })
  await settled()
  return {
    clock,
    stream,
    poller,
    state,
    checkpoints,
    said,
    told,
    ids: invoker.ids,
    events: invoker.events,
    batches: () => invoker.events.map((event) => (event as Event).Records.map(({ data }) => data)),
    async [Symbol.asyncDispose]() {
      await poller.stop()
    },
  }
}

const fails: Answer = { fails: true }
const many = (count: number): string[] => Array.from({ length: count }, (_, index) => `${index + 1}`)
const reported = (event: Event, ...data: readonly string[]): Answer => ({
  result: {
    batchItemFailures: event.Records.filter((record) => data.includes(record.data)).map(({ sequence }) => ({
      itemIdentifier: sequence,
    })),
  },
})

describe('where it begins', () => {
  test('TRIM_HORIZON has all that is there', async () => {
    await using run = await polled({ before: (stream) => stream.put('s0', 'a', 'b') })
    expect(run.batches()).toEqual([['a', 'b']])
    expect(run.state.lastProcessingResult).toBe('OK')
  })

  test('LATEST has what comes from now on', async () => {
    await using run = await polled({
      source: { startingPosition: 'LATEST' },
      before: (stream) => stream.put('s0', 'old'),
    })
    run.stream.put('s0', 'new')
    await run.clock.advance(1_000)
    expect(run.batches()).toEqual([['new']])
  })

  test('LATEST of a stream that is made later has all of it', async () => {
    const missing = new AwsError('ResourceNotFoundException', 'no stream orders')
    await using run = await polled({
      source: { startingPosition: 'LATEST' },
      before: (stream) => {
        stream.failure = missing
        stream.put('s0', 'first')
      },
    })
    expect(run.state.lastProcessingResult).toBe('PROBLEM: ResourceNotFoundException: no stream orders')
    await run.clock.advance(2_000)
    expect(run.batches()).toEqual([['first']])
    expect(run.said).toEqual(['ResourceNotFoundException: no stream orders', 'well'])
  })

  test('AT_TIMESTAMP has what came since', async () => {
    const clock = new FakeClock(1_700_000_000_000)
    const stream = new FakeStream(clock)
    stream.shard('s0')
    stream.put('s0', 'before')
    await clock.advance(10_000)
    stream.put('s0', 'since')
    const checkpoints = await Checkpoints.open('/dev/null/none', clock)
    await using run = await polled({
      source: { startingPosition: 'AT_TIMESTAMP', startingPositionTimestamp: 1_700_000_005 },
      after: { clock, stream, checkpoints },
    })
    expect(run.batches()).toEqual([['since']])
  })
})

describe('batches', () => {
  test('hold a hundred records by default, and come one after the other', async () => {
    let running = 0
    let most = 0
    await using run = await polled({
      before: (stream) => stream.put('s0', ...many(250)),
      async answer() {
        most = Math.max(most, ++running)
        await settled()
        running -= 1
        return {}
      },
    })
    await run.clock.advance(1_000)
    await expect.poll(() => run.batches().map(({ length }) => length)).toEqual([100, 100, 50])
    expect(run.batches().flat()).toEqual(many(250))
    expect(most).toBe(1)
  })

  test('wait for their window, or until they are full', async () => {
    await using run = await polled({
      source: { window: 5, batchSize: 3 },
      before: (stream) => stream.put('s0', 'a'),
    })
    await run.clock.advance(4_000)
    run.stream.put('s0', 'b')
    await run.clock.advance(900)
    expect(run.batches()).toEqual([])
    await run.clock.advance(200)
    expect(run.batches()).toEqual([['a', 'b']])
    run.stream.put('s0', 'c', 'd', 'e')
    await run.clock.advance(500)
    expect(run.batches()[1]).toEqual(['c', 'd', 'e'])
  })

  test('what a filter does not want is done without an invocation', async () => {
    await using run = await polled({
      source: { filters: [{ data: { kind: ['a'] } }] },
      before: (stream) => stream.put('s0', '{"kind":"a"}', '{"kind":"b"}', 'text'),
    })
    expect(run.batches()).toEqual([['{"kind":"a"}']])
    expect(run.checkpoints.position('s0', (timestamp) => run.stream.since(timestamp))).toEqual({
      kind: 'AFTER_SEQUENCE_NUMBER',
      sequence: '3',
    })
  })

  test('with a parallelization factor, keys go on beside one that fails, and each stays in order', async () => {
    await using run = await polled({
      source: { parallelizationFactor: 10, batchSize: 1 },
      before: (stream) => stream.put('s0', 'bad:1', 'a:1', 'bad:2', 'b:1', 'a:2'),
      answer: ({ Records }) => ({ fails: Records[0]?.data.startsWith('bad') === true }),
    })
    await run.clock.advance(10_000)
    const seen = run.batches().flat()
    expect(seen.filter((data) => !data.startsWith('bad')).toSorted()).toEqual(['a:1', 'a:2', 'b:1'])
    expect(seen.indexOf('a:1')).toBeLessThan(seen.indexOf('a:2'))
    expect(seen).not.toContain('bad:2')
    // Nothing in front of the failing one is done.
    expect(run.checkpoints.empty).toBe(true)
  })

  test('a checkpoint is the last record before the first that is not done, in whatever order they are done', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray(many(12), { minLength: 12 }), (order) => {
        let checkpoint = 0
        const progress = new ShardProgress((sequence) => (checkpoint = Number(sequence)))
        const record = (sequence: string) => ({ sequence, key: '', arrival: 0, content: {}, json: '' })
        progress.add(many(12).map(record))
        const done = new Set<number>()
        for (const sequence of order) {
          progress.done([record(sequence)])
          done.add(Number(sequence))
          let expected = 0
          while (done.has(expected + 1)) expected += 1
          expect(checkpoint).toBe(expected)
        }
      }),
    )
  })
})

describe('a batch that fails', () => {
  test('is tried for ever by default, and nothing overtakes it', async () => {
    await using run = await polled({
      source: { batchSize: 2 },
      before: (stream) => stream.put('s0', 'a', 'b', 'c'),
      answer: (_event, count) => (count < 6 ? fails : {}),
    })
    await run.clock.advance(60_000)
    expect(run.batches()).toEqual([...Array.from({ length: 6 }, () => ['a', 'b']), ['c']])
    expect(new Set(run.ids.slice(0, 6)).size).toBe(1)
  })

  test('is tried again at once when the function is another one', async () => {
    await using run = await polled({
      before: (stream) => stream.put('s0', 'a'),
      answer: (_event, count) => (count < 8 ? fails : {}),
    })
    await run.clock.advance(20_000)
    const tries = run.batches().length
    run.poller.wake()
    await settled()
    expect(run.batches()).toHaveLength(tries + 1)
  })

  test('is given up after its attempts, and the destination is told where the records are', async () => {
    await using run = await polled({
      source: { maximumRetryAttempts: 2, onFailure: SINK, batchSize: 2 },
      before: (stream) => stream.put('s0', 'a', 'b', 'c'),
      answer: ({ Records }) => ({ fails: Records[0]?.data === 'a' }),
    })
    await run.clock.advance(60_000)
    expect(run.batches()).toEqual([['a', 'b'], ['a', 'b'], ['a', 'b'], ['c']])
    expect(run.told).toEqual([
      {
        arn: SINK,
        body: {
          requestContext: {
            requestId: run.ids[0],
            functionArn: 'arn:aws:lambda:us-east-1:123456789012:function:hello',
            condition: 'RetryAttemptsExhausted',
            approximateInvokeCount: 3,
          },
          responseContext: { statusCode: 200, executedVersion: '$LATEST', functionError: 'Unhandled' },
          version: '1.0',
          timestamp: expect.stringMatching(/^2023-11-14T22:13:2\d\.\d{3}Z$/),
          KinesisBatchInfo: {
            shardId: 's0',
            startSequenceNumber: '1',
            endSequenceNumber: '2',
            approximateArrivalOfFirstRecord: '2023-11-14T22:13:20.000Z',
            approximateArrivalOfLastRecord: '2023-11-14T22:13:20.000Z',
            batchSize: 2,
            streamArn: run.stream.arn,
          },
        },
      },
    ])
    expect(run.said.some((line) => line.includes('every attempt failed'))).toBe(true)
  })

  test('is given up even where its destination is not there, and that is said', async () => {
    await using run = await polled({
      source: { maximumRetryAttempts: 0, onFailure: SINK },
      refuses: true,
      before: (stream) => stream.put('s0', 'a'),
      answer: (_event, count) => ({ fails: count === 1 }),
    })
    run.stream.put('s0', 'b')
    await run.clock.advance(2_000)
    expect(run.batches()).toEqual([['a'], ['b']])
    expect(run.said.join('\n')).toContain(`${SINK} was not told`)
  })

  test('is given to a bucket with all that is in it', async () => {
    const puts: { readonly path: string; readonly body: unknown }[] = []
    const server = createServer((request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        puts.push({ path: request.url ?? '', body: JSON.parse(Buffer.concat(chunks).toString()) })
        response.end()
      })
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    await using run = await polled({
      source: { maximumRetryAttempts: 0, onFailure: 'arn:aws:s3:::failures' },
      environment: {
        AWS_ENDPOINT_URL_S3: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      },
      before: (stream) => stream.put('s0', 'a'),
      answer: () => fails,
    })
    await expect.poll(() => puts, SOON).toHaveLength(1)
    server.closeAllConnections()
    server.close()
    expect(puts[0]?.path).toMatch(
      /^\/failures\/aws\/lambda\/0b6a3f0e-[0-9a-f-]+\/s0\/2023\/11\/14\/2023-11-14T22\.13\.20-[0-9a-f-]{36}$/,
    )
    expect(puts[0]?.body).toMatchObject({
      requestContext: { condition: 'RetryAttemptsExhausted' },
      payload: '{"Records":[{"data":"a","sequence":"1"}]}',
    })
    expect(run.told).toEqual([])
  })

  test('is given up when it is too old', async () => {
    await using run = await polled({
      source: { maximumRecordAge: 60, onFailure: SINK },
      before: (stream) => stream.put('s0', 'a'),
      answer: ({ Records }) => ({ fails: Records[0]?.data === 'a' }),
    })
    await run.clock.advance(100_000)
    expect(run.told.map(({ body }) => body['requestContext'])).toMatchObject([
      { condition: 'RecordAgeExceeded' },
    ])
    run.stream.put('s0', 'b')
    await run.clock.advance(2_000)
    expect(run.batches().at(-1)).toEqual(['b'])
  })

  test('is cut in halves where the source says so, which is no attempt: one bad record is given up alone', async () => {
    await using run = await polled({
      source: { bisectBatchOnError: true, maximumRetryAttempts: 1, onFailure: SINK },
      before: (stream) => stream.put('s0', 'a', 'b', 'bad', 'd'),
      answer: ({ Records }) => ({ fails: Records.some(({ data }) => data === 'bad') }),
    })
    await run.clock.advance(10_000)
    expect(run.batches()).toEqual([['a', 'b', 'bad', 'd'], ['a', 'b'], ['bad', 'd'], ['bad'], ['bad'], ['d']])
    expect(run.told.map(({ body }) => body['KinesisBatchInfo'])).toMatchObject([{ batchSize: 1 }])
  })

  test('comes again from the lowest record that is reported', async () => {
    await using run = await polled({
      source: { reportBatchItemFailures: true },
      before: (stream) => stream.put('s0', 'a', 'b', 'c', 'd'),
      answer: (event, count) => (count === 1 ? reported(event, 'c', 'b') : {}),
    })
    expect(run.checkpoints.position('s0', (timestamp) => run.stream.since(timestamp))).toMatchObject({
      sequence: '1',
    })
    await run.clock.advance(5_000)
    expect(run.batches()).toEqual([
      ['a', 'b', 'c', 'd'],
      ['b', 'c', 'd'],
    ])
  })

  test('has all of its attempts from the record that is in the way now', async () => {
    await using run = await polled({
      source: { reportBatchItemFailures: true, maximumRetryAttempts: 1, onFailure: SINK },
      before: (stream) => stream.put('s0', 'a', 'b', 'c'),
      answer: (event) => reported(event, 'b'),
    })
    await run.clock.advance(20_000)
    expect(run.batches()).toEqual([
      ['a', 'b', 'c'],
      ['b', 'c'],
    ])
    expect(run.told.map(({ body }) => body['KinesisBatchInfo'])).toMatchObject([{ batchSize: 2 }])
  })

  test('does not wait longer and longer while it gets on', async () => {
    await using run = await polled({
      source: { reportBatchItemFailures: true },
      before: (stream) => stream.put('s0', ...many(6)),
      answer: (event) => reported(event, ...event.Records.slice(1, 2).map(({ data }) => data)),
    })
    await run.clock.advance(2_600)
    expect(run.batches().map(({ length }) => length)).toEqual([6, 5, 4, 3, 2, 1])
  })

  test('throttled is not failed: it counts as no attempt', async () => {
    await using run = await polled({
      source: { maximumRetryAttempts: 0, onFailure: SINK },
      before: (stream) => stream.put('s0', 'a'),
      answer: (_event, count) => (count < 4 ? 'throttled' : {}),
    })
    await run.clock.advance(20_000)
    expect(run.batches()).toHaveLength(4)
    expect(run.told).toEqual([])
    expect(run.said).toEqual(['hello has no room', 'well'])
  })
})

describe('shards', () => {
  test('a shard waits for those that it came from', async () => {
    let open: (answer: Answer) => void = () => undefined
    await using run = await polled({
      before: (stream) => {
        stream.put('s0', 'parent')
        stream.close('s0')
        stream.shard('s1', ['s0'])
        stream.put('s1', 'child')
      },
      answer: (_event, count) => (count === 1 ? new Promise<Answer>((resolve) => (open = resolve)) : {}),
    })
    await run.clock.advance(5_000)
    expect(run.batches()).toEqual([['parent']])
    open({})
    await run.clock.advance(1_000)
    expect(run.batches()).toEqual([['parent'], ['child']])
  })

  test('those that a shard is split into are read from their beginning, also from LATEST', async () => {
    await using run = await polled({ source: { startingPosition: 'LATEST' } })
    run.stream.shard('s1', ['s0'])
    run.stream.shard('s2', ['s0'])
    run.stream.put('s1', 'one')
    run.stream.put('s2', 'two')
    run.stream.close('s0')
    await run.clock.advance(2_000)
    expect(run.batches().flat().toSorted()).toEqual(['one', 'two'])
  })

  test('one that LATEST finds closed is not read', async () => {
    await using run = await polled({
      source: { startingPosition: 'LATEST' },
      before: (stream) => {
        stream.put('s0', 'old')
        stream.close('s0')
        stream.shard('s1', ['s0'])
      },
    })
    run.stream.put('s1', 'new')
    await run.clock.advance(2_000)
    expect(run.batches()).toEqual([['new']])
  })
})

describe('reading', () => {
  test('an iterator that has expired is asked for again, and nothing is lost or comes twice', async () => {
    await using run = await polled({ before: (stream) => stream.put('s0', 'a') })
    run.stream.put('s0', 'b')
    run.stream.failure = new AwsError('ExpiredIteratorException', 'too old')
    await run.clock.advance(2_000)
    expect(run.batches()).toEqual([['a'], ['b']])
    expect(run.said).toEqual([])
  })

  test('one that expires before anything came goes on where it was, not at the end', async () => {
    await using run = await polled({ source: { startingPosition: 'LATEST' } })
    run.stream.put('s0', 'a')
    run.stream.failure = new AwsError('ExpiredIteratorException', 'too old')
    await run.clock.advance(2_000)
    expect(run.batches()).toEqual([['a']])
  })

  /** As a table's stream, which begins at its beginning or at its end, and holds something already. */
  function likeTable(stream: FakeStream): void {
    stream.put('s0', 'old')
    const iterator = stream.iterator.bind(stream)
    stream.iterator = (shard, position) =>
      iterator(shard, position.kind === 'AT_TIMESTAMP' ? { kind: 'TRIM_HORIZON' } : position)
  }

  test('one that knows no times has what came since told apart by its records', async () => {
    await using run = await polled({
      source: { type: 'dynamodb', startingPosition: 'LATEST' },
      before: likeTable,
    })
    await run.clock.advance(5_000)
    run.stream.put('s0', 'a')
    run.stream.failure = new AwsError('ExpiredIteratorException', 'too old')
    await run.clock.advance(2_000)
    expect(run.batches()).toEqual([['a']])
  })

  test('what is left out moves no checkpoint: a restart would begin in the midst of it', async () => {
    await using run = await polled({
      source: { type: 'dynamodb', startingPosition: 'LATEST' },
      before: likeTable,
    })
    await run.clock.advance(5_000)
    run.stream.failure = new AwsError('ExpiredIteratorException', 'too old')
    await run.clock.advance(2_000)
    const since = (timestamp: number): Position => ({ kind: 'AT_TIMESTAMP', timestamp })
    expect(run.checkpoints.position('s0', since)).toEqual({ kind: 'AT_TIMESTAMP', timestamp: 1_700_000_000 })
    expect(run.batches()).toEqual([])
  })

  test('a service that is away is waited for, and that is said once', async () => {
    await using run = await polled()
    for (let times = 0; times < 3; times += 1) {
      run.stream.failure = new Error('http://127.0.0.1:1 cannot be reached')
      await run.clock.advance(3_000)
    }
    run.stream.put('s0', 'a')
    await run.clock.advance(10_000)
    expect(run.batches()).toEqual([['a']])
    expect(run.said[0]).toBe('http://127.0.0.1:1 cannot be reached')
    expect(run.said.at(-1)).toBe('well')
  })

  test('where the record of the checkpoint is gone, the shard is read from its beginning', async () => {
    await using run = await polled({ before: (stream) => stream.put('s0', 'a') })
    await run.poller.stop()
    run.stream.put('s0', 'b')
    await using later = await polled({
      after: run,
      before: (stream) => {
        const iterator = stream.iterator.bind(stream)
        stream.iterator = async (shard, position) => {
          if (position.kind === 'AFTER_SEQUENCE_NUMBER')
            throw new AwsError('InvalidArgumentException', 'no such record')
          return await iterator(shard, position)
        }
      },
    })
    expect(later.batches()).toEqual([['a', 'b']])
    expect(later.said.join('')).toContain('read from its beginning')
  })
})

describe('a tumbling window', () => {
  const windows = (run: Polled): unknown[] =>
    run.events.map((event) => {
      const { Records, window, state, isFinalInvokeForWindow } = event as WindowEvent
      return [
        window.start.slice(14, 19),
        Records.map(({ data }) => data).join(''),
        state,
        isFinalInvokeForWindow,
      ]
    })
  const count = (event: Event): Answer => {
    const { Records, state } = event as WindowEvent
    return { result: { state: { sum: (state.sum ?? 0) + Records.length } } }
  }

  test('hands its state on, and ends with an event of its own; the next one begins empty', async () => {
    await using run = await polled({
      source: { tumblingWindow: 30, batchSize: 2 },
      before: (stream) => stream.put('s0', 'a', 'b', 'c'),
      answer: count,
    })
    // It is 22:13:20: the window is over at half past, and a little is waited for what comes late.
    await run.clock.advance(9_000)
    expect(windows(run)).toEqual([
      ['13:00', 'ab', {}, false],
      ['13:00', 'c', { sum: 2 }, false],
    ])
    await run.clock.advance(2_500)
    expect(windows(run).slice(2)).toEqual([['13:00', '', { sum: 3 }, true]])
    run.stream.put('s0', 'd')
    await run.clock.advance(1_000)
    expect(windows(run).slice(3)).toEqual([['13:30', 'd', {}, false]])
    expect(run.events[0]).toMatchObject({
      window: { start: '2023-11-14T22:13:00Z', end: '2023-11-14T22:13:30Z' },
      shardId: 's0',
      eventSourceARN: run.stream.arn,
      isWindowTerminatedEarly: false,
    })
  })

  test('is closed before a record of the next one is handed over', async () => {
    const clock = new FakeClock(1_700_000_000_000)
    const stream = new FakeStream(clock)
    stream.shard('s0')
    stream.put('s0', 'a')
    await clock.advance(30_000)
    stream.put('s0', 'b')
    const checkpoints = await Checkpoints.open('/dev/null/none', clock)
    await using run = await polled({
      source: { tumblingWindow: 30 },
      after: { clock, stream, checkpoints },
      answer: count,
    })
    expect(windows(run)).toEqual([
      ['13:00', 'a', {}, false],
      ['13:00', '', { sum: 1 }, true],
      ['13:30', 'b', {}, false],
    ])
  })

  test('that fails at its end is tried again, and its state outlives a poller', async () => {
    const run = await polled({
      source: { tumblingWindow: 30 },
      before: (stream) => stream.put('s0', 'a'),
      answer: (event, number) => (number === 2 ? fails : count(event)),
    })
    await run.clock.advance(11_200)
    expect(windows(run)).toHaveLength(2)
    await run.poller.stop()
    await using later = await polled({ source: { tumblingWindow: 30 }, after: run, answer: count })
    await later.clock.advance(1)
    expect(windows(later)).toEqual([['13:00', '', { sum: 1 }, true]])
  })

  test('ends with its shard: what that is split into begins anew', async () => {
    await using run = await polled({
      source: { tumblingWindow: 30 },
      before(stream) {
        stream.put('s0', 'a')
        stream.shard('s1', ['s0'])
        stream.put('s1', 'b')
        stream.close('s0')
      },
      answer: count,
    })
    await run.clock.advance(1)
    expect(windows(run)).toEqual([
      ['13:00', 'a', {}, false],
      ['13:00', '', { sum: 1 }, true],
      ['13:00', 'b', {}, false],
    ])
  })

  test('ends early when its state is too large', async () => {
    await using run = await polled({
      source: { tumblingWindow: 30 },
      before: (stream) => stream.put('s0', 'a'),
      answer: (_event, number) => (number === 1 ? { result: { state: 'x'.repeat(1024 * 1024) } } : {}),
    })
    await run.clock.advance(1)
    expect(run.events[1]).toMatchObject({
      Records: [],
      isFinalInvokeForWindow: true,
      isWindowTerminatedEarly: true,
    })
  })
})

describe('stopping', () => {
  test('lets the batch under way finish; another poller goes on behind it', async () => {
    let open: (answer: Answer) => void = () => undefined
    const run = await polled({
      source: { batchSize: 2 },
      before: (stream) => stream.put('s0', 'a', 'b', 'c'),
      answer: () => new Promise<Answer>((resolve) => (open = resolve)),
    })
    let isStopped = false
    const stopped = run.poller.stop().then(() => (isStopped = true))
    await settled()
    expect(isStopped).toBe(false)
    open({})
    await stopped
    expect(run.batches()).toEqual([['a', 'b']])
    await using later = await polled({ after: run })
    expect(later.batches()).toEqual([['c']])
  })

  test('a batch that fails meanwhile is not lost', async () => {
    const run = await polled({ before: (stream) => stream.put('s0', 'a'), answer: () => fails })
    await run.poller.stop()
    await using later = await polled({ after: run })
    expect(later.batches()).toEqual([['a']])
  })

  test('a restart goes on where the last run was: also where nothing had come yet', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'flexi-checkpoints-'))
    try {
      const file = join(directory, 'deep', 'checkpoints.json')
      const latest = { startingPosition: 'LATEST' } as const
      const clock = new FakeClock(1_700_000_000_000)
      const stream = new FakeStream(clock)
      stream.shard('s0')
      stream.put('s0', 'old')
      await clock.advance(1)
      const first = { clock, stream, checkpoints: await Checkpoints.open(file, clock) }
      const run = await polled({ source: latest, after: first })
      await run.poller.stop()
      await run.clock.advance(2_000)
      run.stream.put('s0', 'between')
      const read = async (): Promise<string[][]> => {
        const checkpoints = await Checkpoints.open(file, run.clock)
        await using later = await polled({ source: latest, after: { ...run, checkpoints } })
        return later.batches()
      }
      expect(await read()).toEqual([['between']])
      expect(await read()).toEqual([])
    } finally {
      await rm(directory, { recursive: true })
    }
  })
})
