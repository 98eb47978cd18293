import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import { FlexiError } from '../../../src/core/errors.ts'
import { createLogger } from '../../../src/core/log.ts'
import type { AbsolutePath } from '../../../src/core/place.ts'
import { notFound } from '../../../src/emulators/lambda/api/api-error.ts'
import {
  openAsyncQueue,
  type AsyncEvent,
  type AsyncQueue,
  type AsyncTuning,
  type EventSettings,
} from '../../../src/emulators/lambda/async/async-queue.ts'
import type { Clock } from '../../../src/emulators/lambda/sources/clock.ts'
import { hasKeptEvents } from '../../../src/emulators/lambda/async/kept.ts'
import type { Invoked, Invoker, TargetMessage } from '../../../src/emulators/lambda/service/service.ts'

const ARN = 'arn:aws:lambda:us-east-1:123456789012:function:hello:$LATEST'
const QUEUE = 'arn:aws:sqs:us-east-1:123456789012:failed'
const TOPIC = 'arn:aws:sns:us-east-1:123456789012:failed'
const BUS = 'arn:aws:events:us-east-1:123456789012:event-bus/results'
const START = Date.parse('2026-11-21T10:00:00.500Z')

/** Time that moves when a test says so. */
class FakeClock implements Clock {
  #now = START
  readonly #tasks = new Set<{ readonly at: number; readonly run: () => void }>()

  now(): number {
    return this.#now
  }

  after(ms: number, run: () => void): () => void {
    const task = { at: this.#now + ms, run }
    this.#tasks.add(task)
    return () => this.#tasks.delete(task)
  }

  /** In ms from now, soonest first. */
  get due(): number[] {
    return [...this.#tasks].map(({ at }) => at - this.#now).sort((one, other) => one - other)
  }

  advance(ms: number): void {
    this.#now += ms
    for (const task of [...this.#tasks].sort((one, other) => one.at - other.at)) {
      if (task.at > this.#now || !this.#tasks.delete(task)) continue
      task.run()
    }
  }
}

type Invoke = (reference: string, payload: string, id: string) => Promise<Invoked>

const answer = (payload: string, functionError?: 'Unhandled'): Invoked => ({
  payload: Buffer.from(payload),
  functionError,
  executedVersion: '$LATEST',
  functionArn: ARN,
})
const done = answer('{"ok":true}')
const failed = answer('{"errorType":"TypeError","errorMessage":"no such thing"}', 'Unhandled')
const throttled = new FlexiError('FLEXI_THROTTLED', 'one runs already')

let state: AbsolutePath
let clock: FakeClock
let said: string[]
let sent: { readonly arn: string; readonly message: TargetMessage }[]
let settings: Record<string, Partial<EventSettings>>
let invoke: Invoke
let environment: Record<string, string>
let send: (arn: string, message: TargetMessage) => Promise<void>

beforeEach(async () => {
  state = (await mkdtemp(join(tmpdir(), 'flexi-test-'))) as AbsolutePath
  clock = new FakeClock()
  said = []
  sent = []
  settings = { hello: {} }
  environment = {}
  invoke = () => Promise.resolve(done)
  send = (arn, message) => Promise.resolve(void sent.push({ arn, message }))
})

afterEach(() => rm(state, { recursive: true, force: true }))

async function opened(tuning: Partial<AsyncTuning> = {}): Promise<AsyncQueue> {
  const call: Invoker['invoke'] = (reference, payload, options) =>
    invoke(reference, Buffer.from(payload).toString(), options?.id ?? '')
  return await openAsyncQueue({
    log: createLogger(
      ({ level, event: name, fields }) => void said.push(`${level} ${name} ${String(fields['message'])}`),
      'debug',
    ),
    directory: join(state, 'lambda') as AbsolutePath,
    invoke: call,
    settings: (reference) => {
      const found = settings[reference]
      return found === undefined ? undefined : { functionArn: ARN, ...found }
    },
    targets: { send: (arn, message) => send(arn, message) },
    environment,
    tuning: { clock, ...tuning },
  })
}

async function started(tuning: Partial<AsyncTuning> = {}): Promise<AsyncQueue> {
  const queue = await opened(tuning)
  queue.start()
  return queue
}

function event(id: string, more: Partial<AsyncEvent> = {}): AsyncEvent {
  return { id, function: 'hello', payload: Buffer.from(JSON.stringify({ id })), ...more }
}

/** Collects what runs; each call is ended by the test. */
function held(): {
  readonly ids: string[]
  readonly release: (id: string, result?: Invoked | Error) => void
} {
  const ids: string[] = []
  const open: { readonly id: string; readonly end: (result: Invoked | Error) => void }[] = []
  invoke = (_reference, _payload, id) => {
    ids.push(id)
    return new Promise((resolve, reject) => {
      open.push({ id, end: (result) => (result instanceof Error ? reject(result) : resolve(result)) })
    })
  }
  const take = (id: string) =>
    open.splice(
      open.findIndex((one) => one.id === id),
      1,
    )
  return { ids, release: (id, result = done) => take(id).forEach(({ end }) => end(result)) }
}

/** Counts attempts, and answers each with what `results` says; then with success. */
function answers(...results: (Invoked | Error)[]): string[] {
  const ids: string[] = []
  invoke = (_reference, _payload, id) => {
    const result = results[ids.length] ?? done
    ids.push(id)
    return result instanceof Error ? Promise.reject(result) : Promise.resolve(result)
  }
  return ids
}

/** Time is the test's own: nothing takes long. */
const SOON = { interval: 4 }

const ends = (): string[] => said.filter((line) => /event\.(done|drop)/.test(line))
const parse = (text: string | undefined): unknown => JSON.parse(text ?? 'null')

describe('an event', () => {
  test('is on disk before it is acknowledged, and leaves nothing once it ran', async () => {
    const { ids, release } = held()
    await using queue = await started()
    await queue.add(event('a', { qualifier: undefined, trace: 'Root=1' }))
    expect(await hasKeptEvents(state)).toBe(false)
    expect(await readdir(join(state, 'lambda'))).toHaveLength(1)
    expect(ids).toEqual(['a'])
    release('a')
    await expect.poll(ends, SOON).toEqual(['debug event.done the event a for hello is done'])
    await queue[Symbol.asyncDispose]()
    expect(await readdir(state)).toEqual([])
  })

  test('runs by its qualifier, with its payload, its id and its trace', async () => {
    settings['hello:3'] = {}
    const seen: unknown[] = []
    invoke = (...call) => {
      seen.push(call)
      return Promise.resolve(done)
    }
    await using queue = await started()
    await queue.add(event('a', { qualifier: '3', payload: Buffer.from('{"é":1}') }))
    expect(seen).toEqual([['hello:3', '{"é":1}', 'a']])
  })

  test('waits for start(), because nothing it needs may be there before', async () => {
    const ids = answers()
    await using queue = await opened()
    await queue.add(event('a'))
    expect(ids).toEqual([])
    queue.start()
    await expect.poll(() => ids, SOON).toEqual(['a'])
  })

  test('that came first begins first, and no more run at once than may', async () => {
    const { ids, release } = held()
    await using queue = await started({ concurrency: 2 })
    await Promise.all(['a', 'b', 'c', 'd'].map((id) => queue.add(event(id))))
    expect(ids).toEqual(['a', 'b'])
    release('b')
    await expect.poll(() => ids, SOON).toEqual(['a', 'b', 'c'])
    release('a')
    await expect.poll(() => ids, SOON).toEqual(['a', 'b', 'c', 'd'])
    release('c')
    release('d')
    await expect.poll(ends, SOON).toHaveLength(4)
  })

  test('does not wait for the events of another function', async () => {
    settings['other'] = {}
    const { ids, release } = held()
    await using queue = await started({ concurrency: 1 })
    await queue.add(event('a'))
    await queue.add(event('b'))
    await queue.add(event('c', { function: 'other' }))
    expect(ids).toEqual(['a', 'c'])
    release('a')
    release('c')
    await expect.poll(() => ids, SOON).toEqual(['a', 'c', 'b'])
    release('b')
  })

  test('never runs beside more of its function than are reserved for it', async () => {
    settings['hello'] = { reservedConcurrency: 1 }
    const { ids, release } = held()
    await using queue = await started()
    await queue.add(event('a'))
    await queue.add(event('b'))
    expect(ids).toEqual(['a'])
    release('a')
    await expect.poll(() => ids, SOON).toEqual(['a', 'b'])
    release('b')
  })

  test('may have the id of another: both run', async () => {
    const { ids, release } = held()
    await using queue = await started()
    await queue.add(event('a'))
    await queue.add(event('a'))
    expect(ids).toEqual(['a', 'a'])
    release('a')
    release('a')
    await expect.poll(ends, SOON).toHaveLength(2)
  })

  test('may have the id of some that an earlier flexi left: all run', async () => {
    settings = { hello: {}, other: {} }
    invoke = (reference) => (reference === 'hello' ? Promise.reject(throttled) : Promise.resolve(done))
    const first = await started()
    await first.add(event('a'))
    await first.add(event('b', { function: 'other' }))
    await first.add(event('a'))
    await expect.poll(ends, SOON).toHaveLength(1)
    await first[Symbol.asyncDispose]()
    const second = await opened()
    await second.add(event('a'))
    await second[Symbol.asyncDispose]()
    const ids = answers()
    await using third = await started()
    await expect.poll(() => ids, SOON).toEqual(['a', 'a', 'a'])
    expect(third).toBeDefined()
  })

  test('is refused when too many bytes wait already, and taken again once they are less', async () => {
    const { ids, release } = held()
    await using queue = await started({ bytesMax: 15 })
    await queue.add(event('a'))
    await expect(queue.add(event('b'))).rejects.toMatchObject({ code: 'FLEXI_QUEUE_FULL' })
    release('a')
    await expect.poll(ends, SOON).toHaveLength(1)
    await queue.add(event('b'))
    expect(ids).toEqual(['a', 'b'])
    release('b')
  })

  test('is refused while flexi stops', async () => {
    const queue = await started()
    await queue[Symbol.asyncDispose]()
    await expect(queue.add(event('a'))).rejects.toMatchObject({ code: 'FLEXI_SHUTTING_DOWN' })
  })
})

describe('an event whose function fails', () => {
  test('is tried twice more, a second and two seconds later, with the same id', async () => {
    const ids = answers(failed, failed, failed)
    await using queue = await started()
    await queue.add(event('a'))
    await expect.poll(() => clock.due, SOON).toEqual([1_000])
    expect(said.at(-1)).toBe(
      'info event.retry the event a for hello failed and is tried again in 1 s (1 of 3): no such thing',
    )
    clock.advance(999)
    expect(ids).toEqual(['a'])
    clock.advance(1)
    await expect.poll(() => clock.due, SOON).toEqual([2_000])
    clock.advance(2_000)
    await expect
      .poll(ends, SOON)
      .toEqual(['warn event.drop the event a for hello is dropped: every attempt failed'])
    expect(ids).toEqual(['a', 'a', 'a'])
  })

  test('is done when a later attempt succeeds', async () => {
    const ids = answers(failed, done)
    await using queue = await started()
    await queue.add(event('a'))
    await expect.poll(() => clock.due, SOON).toEqual([1_000])
    clock.advance(1_000)
    await expect.poll(ends, SOON).toEqual(['debug event.done the event a for hello is done'])
    expect(ids).toHaveLength(2)
  })

  test.each([
    [0, 1],
    [1, 2],
    [2, 3],
  ])('with %i further attempts runs %i times', async (maximumRetryAttempts, times) => {
    settings['hello'] = { maximumRetryAttempts }
    const ids = answers(failed, failed, failed, failed)
    await using queue = await started({ retryDelaysMs: [0, 0] })
    await queue.add(event('a'))
    await expect
      .poll(() => {
        clock.advance(1)
        return ends()
      }, SOON)
      .toHaveLength(1)
    expect(ids).toHaveLength(times)
  })

  test('is given up at once when the next attempt would come too late', async () => {
    settings['hello'] = { maximumEventAge: 60, onFailure: QUEUE }
    answers(failed)
    await using queue = await started({ retryDelaysMs: [61_000] })
    await queue.add(event('a'))
    await expect.poll(ends, SOON).toHaveLength(1)
    expect(parse(sent[0]?.message.body)).toMatchObject({
      requestContext: { condition: 'EventAgeExceeded', approximateInvokeCount: 1 },
      responsePayload: { errorMessage: 'no such thing' },
    })
  })

  test('because its code cannot be loaded counts as failed', async () => {
    settings['hello'] = { maximumRetryAttempts: 0, onFailure: QUEUE }
    answers(new FlexiError('FLEXI_TOOL_MISSING', 'there is no python3'))
    await using queue = await started()
    await queue.add(event('a'))
    await expect.poll(ends, SOON).toHaveLength(1)
    expect(parse(sent[0]?.message.body)).toMatchObject({
      responseContext: { statusCode: 200, executedVersion: '$LATEST', functionError: 'Unhandled' },
      responsePayload: { errorType: 'FLEXI_TOOL_MISSING', errorMessage: 'there is no python3' },
    })
  })

  test('lets those behind it run while it waits', async () => {
    const ids = answers(failed)
    await using queue = await started({ concurrency: 1 })
    await queue.add(event('a'))
    await queue.add(event('b'))
    await expect.poll(() => ids, SOON).toEqual(['a', 'b'])
    clock.advance(1_000)
    await expect.poll(() => ids, SOON).toEqual(['a', 'b', 'a'])
  })
})

describe('an event for whose function there is no room', () => {
  test('backs off from one second to five minutes and keeps its place, and failures are not counted', async () => {
    const ids = answers(...Array.from({ length: 12 }, () => throttled))
    settings['hello'] = { onSuccess: QUEUE }
    await using queue = await started({ concurrency: 1 })
    await queue.add(event('a'))
    await queue.add(event('b'))
    const waited: (number | undefined)[] = []
    for (let index = 0; index < 12; index += 1) {
      await expect.poll(() => clock.due, SOON).toHaveLength(1)
      waited.push((clock.due[0] ?? 0) / 1000)
      clock.advance(clock.due[0] ?? 0)
    }
    expect(waited).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300])
    await expect.poll(ends, SOON).toHaveLength(2)
    expect(ids.slice(11)).toEqual(['a', 'a', 'b'])
    expect(parse(sent[0]?.message.body)).toMatchObject({ requestContext: { approximateInvokeCount: 1 } })
  })

  test('runs as soon as another of its function has ended, because there is room then', async () => {
    const { ids, release } = held()
    await using queue = await started({ concurrency: 2 })
    await queue.add(event('a'))
    await queue.add(event('b'))
    release('b', throttled)
    await expect.poll(() => clock.due, SOON).toEqual([1_000])
    expect(ids).toEqual(['a', 'b'])
    release('a')
    await expect.poll(() => ids, SOON).toEqual(['a', 'b', 'b'])
    expect(clock.due).toEqual([])
    release('b')
  })

  test.each(['FLEXI_QUEUE_FULL', 'FLEXI_SHUTTING_DOWN'] as const)('says %s too', async (code) => {
    const ids = answers(new FlexiError(code, 'not now'))
    await using queue = await started()
    await queue.add(event('a'))
    await expect.poll(() => clock.due, SOON).toEqual([1_000])
    clock.advance(1_000)
    await expect.poll(ends, SOON).toHaveLength(1)
    expect(ids).toHaveLength(2)
  })

  test('is given up once it is too old, without a response in its record', async () => {
    settings['hello'] = { maximumEventAge: 60, onFailure: QUEUE, deadLetter: TOPIC }
    answers(...Array.from({ length: 20 }, () => throttled))
    await using queue = await started()
    await queue.add(event('a'))
    await expect
      .poll(() => {
        clock.advance(20_000)
        return ends()
      }, SOON)
      .toEqual([
        `info event.drop the event a for hello is dropped: it is too old; sent to ${QUEUE} and ${TOPIC}`,
      ])
    const record = parse(sent[0]?.message.body)
    expect(record).toMatchObject({
      requestContext: { condition: 'EventAgeExceeded', approximateInvokeCount: 0 },
      requestPayload: { id: 'a' },
    })
    expect(record).not.toHaveProperty('responseContext')
    expect(sent[1]?.message.attributes).toMatchObject({ ErrorCode: { value: '429' } })
  })

  test('because nothing is reserved for it is given up at once, and never runs', async () => {
    settings['hello'] = { reservedConcurrency: 0, onFailure: QUEUE }
    const ids = answers()
    await using queue = await started()
    await queue.add(event('a'))
    await expect
      .poll(ends, SOON)
      .toEqual([
        `info event.drop the event a for hello is dropped: the reserved concurrency of its function is 0; sent to ${QUEUE}`,
      ])
    expect(ids).toEqual([])
    expect(parse(sent[0]?.message.body)).toEqual({
      version: '1.0',
      timestamp: '2026-11-21T10:00:00.500Z',
      requestContext: {
        requestId: 'a',
        functionArn: ARN,
        condition: 'ZeroReservedConcurrency',
        approximateInvokeCount: 0,
      },
      requestPayload: { id: 'a' },
    })
  })
})

describe('an event whose function is gone', () => {
  test('waits for it, because a template may be half edited; others go on', async () => {
    delete settings['hello']
    settings['hello:live'] = {}
    const ids: string[] = []
    invoke = (reference) => {
      ids.push(reference)
      return reference in settings ? Promise.resolve(done) : Promise.reject(notFound('Function not found'))
    }
    await using queue = await started()
    await queue.add(event('a'))
    await expect.poll(() => clock.due, SOON).toEqual([1_000])
    expect(said).toEqual(['warn event.wait the event a waits for hello, which is not there'])
    await queue.add(event('b', { qualifier: 'live' }))
    expect(ids).toEqual(['hello', 'hello:live'])
    clock.advance(1_000)
    await expect.poll(() => clock.due, SOON).toEqual([2_000])
    settings['hello'] = {}
    clock.advance(2_000)
    await expect.poll(ends, SOON).toHaveLength(2)
  })

  test('is given up after six hours', async () => {
    delete settings['hello']
    invoke = () => Promise.reject(notFound('Function not found'))
    await using queue = await started()
    await queue.add(event('a'))
    await expect
      .poll(() => {
        clock.advance(3_600_000)
        return ends()
      }, SOON)
      .toEqual(['warn event.drop the event a for hello is dropped: it is too old'])
    expect(clock.now() - START).toBeGreaterThanOrEqual(6 * 3_600_000)
  })
})

describe('a destination', () => {
  test('of a success gets a record of what came in and what came out', async () => {
    settings['hello'] = { onSuccess: QUEUE, onFailure: TOPIC, deadLetter: TOPIC }
    await using queue = await started()
    await queue.add(event('a'))
    await expect
      .poll(ends, SOON)
      .toEqual([`debug event.done the event a for hello is done; sent to ${QUEUE}`])
    expect(sent.map(({ arn, message }) => ({ arn, ...message, body: parse(message.body) }))).toEqual([
      {
        arn: QUEUE,
        body: {
          version: '1.0',
          timestamp: '2026-11-21T10:00:00.500Z',
          requestContext: {
            requestId: 'a',
            functionArn: ARN,
            condition: 'Success',
            approximateInvokeCount: 1,
          },
          requestPayload: { id: 'a' },
          responseContext: { statusCode: 200, executedVersion: '$LATEST' },
          responsePayload: { ok: true },
        },
      },
    ])
  })

  test('of a failure gets its error, and the dead-letter queue the event as it came', async () => {
    settings['hello'] = { maximumRetryAttempts: 0, onSuccess: TOPIC, onFailure: QUEUE, deadLetter: TOPIC }
    answers(failed)
    await using queue = await started()
    await queue.add(event('a', { payload: Buffer.from('{ "big": 12345678901234567890 }') }))
    await expect.poll(ends, SOON).toHaveLength(1)
    expect(sent.map(({ arn }) => arn)).toEqual([QUEUE, TOPIC])
    expect(sent[0]?.message.body).toContain('"requestPayload":{ "big": 12345678901234567890 }')
    expect(parse(sent[0]?.message.body)).toMatchObject({
      requestContext: { condition: 'RetriesExhausted', approximateInvokeCount: 1 },
      responseContext: { statusCode: 200, executedVersion: '$LATEST', functionError: 'Unhandled' },
      responsePayload: { errorType: 'TypeError', errorMessage: 'no such thing' },
    })
    expect(sent[1]?.message).toEqual({
      body: '{ "big": 12345678901234567890 }',
      attributes: {
        RequestID: { type: 'String', value: 'a' },
        ErrorCode: { type: 'Number', value: '200' },
        ErrorMessage: { type: 'String', value: 'no such thing' },
      },
    })
  })

  test('that is a bus gets a detail type and what it is about', async () => {
    settings['hello'] = { maximumRetryAttempts: 0, onSuccess: BUS, onFailure: BUS }
    answers(done, failed)
    await using queue = await started()
    await queue.add(event('a'))
    await queue.add(event('b'))
    await expect.poll(ends, SOON).toHaveLength(2)
    expect(sent.map(({ message: { detailType, resources } }) => ({ detailType, resources }))).toEqual([
      { detailType: 'Lambda Function Invocation Result - Success', resources: [BUS, ARN] },
      { detailType: 'Lambda Function Invocation Result - Failure', resources: [BUS, ARN] },
    ])
  })

  test('gets an empty event as an empty object, and a result that is no JSON as a text', async () => {
    settings['hello'] = { onSuccess: QUEUE }
    answers(answer('hello\n'))
    await using queue = await started()
    await queue.add(event('a', { payload: new Uint8Array() }))
    await expect.poll(ends, SOON).toHaveLength(1)
    expect(parse(sent[0]?.message.body)).toMatchObject({ requestPayload: {}, responsePayload: 'hello\n' })
  })

  test('gets a failure without its payloads when they are too large for it', async () => {
    settings['hello'] = { maximumRetryAttempts: 0, onFailure: TOPIC }
    answers(answer(JSON.stringify({ errorMessage: 'é'.repeat(140_000) }), 'Unhandled'))
    await using queue = await started()
    await queue.add(event('a'))
    await expect.poll(ends, SOON).toHaveLength(1)
    expect(parse(sent[0]?.message.body)).toEqual({
      version: '1.0',
      timestamp: '2026-11-21T10:00:00.500Z',
      requestContext: {
        requestId: 'a',
        functionArn: ARN,
        condition: 'RetriesExhausted',
        approximateInvokeCount: 1,
      },
      responseContext: { statusCode: 200, executedVersion: '$LATEST', functionError: 'Unhandled' },
    })
  })

  test('gets at most a kilobyte of the error as an attribute, and no half character', async () => {
    settings['hello'] = { maximumRetryAttempts: 0, deadLetter: QUEUE }
    answers(answer(JSON.stringify({ errorMessage: `a${'é'.repeat(1_000)}` }), 'Unhandled'))
    await using queue = await started()
    await queue.add(event('a'))
    await expect.poll(ends, SOON).toHaveLength(1)
    expect(sent[0]?.message.attributes?.['ErrorMessage']?.value).toBe(`a${'é'.repeat(511)}`)
  })

  test('that is not there is a warning that says which, whose, and what to do; the event ends all the same', async () => {
    settings['hello'] = { onSuccess: QUEUE }
    send = () =>
      Promise.reject(
        new FlexiError('FLEXI_NO_INPUT', 'there is no such queue', { hint: 'Add it to the template.' }),
      )
    const queue = await started()
    await queue.add(event('a'))
    await expect.poll(ends, SOON).toEqual(['debug event.done the event a for hello is done'])
    expect(said[0]).toBe(
      `warn destination.fail the onSuccess of hello, ${QUEUE}, was not told of the event a: there is no such queue. Add it to the template.`,
    )
    await queue[Symbol.asyncDispose]()
    expect(await hasKeptEvents(state)).toBe(false)
  })

  test('that says no more than that it is not there is explained', async () => {
    settings['hello'] = { onSuccess: QUEUE }
    send = () => Promise.reject(notFound('Function not found: other'))
    await using queue = await started()
    await queue.add(event('a'))
    await expect.poll(ends, SOON).toHaveLength(1)
    expect(said[0]).toContain('Function not found: other. Add it to the project, or name another')
  })

  test('may not be the function itself, because that would never end', async () => {
    settings['hello'] = { onSuccess: 'arn:aws:lambda:us-east-1:123456789012:function:hello' }
    await using queue = await started()
    await queue.add(event('a'))
    await expect.poll(ends, SOON).toHaveLength(1)
    expect(sent).toEqual([])
    expect(said[0]).toContain('hello is its own destination')
  })

  test('that is a bucket needs an S3, because flexi has none', async () => {
    settings['hello'] = { maximumRetryAttempts: 0, onFailure: 'arn:aws:s3:::failures' }
    answers(failed)
    await using queue = await started()
    await queue.add(event('a'))
    await expect.poll(ends, SOON).toHaveLength(1)
    expect(said[0]).toContain(
      'the onFailure of hello, arn:aws:s3:::failures, was not told of the event a: flexi has no S3. Start one',
    )
  })

  test('that is a bucket gets an object by function and time, signed', async () => {
    const puts: unknown[] = []
    const server = createServer((request, response) => {
      let body = ''
      request.on('data', (chunk: Buffer) => (body += chunk.toString()))
      request.on('end', () => {
        const { method, url, headers } = request
        puts.push({ method, url, body: parse(body), isSigned: headers.authorization?.includes('/s3/aws4') })
        if (puts.length === 1) return response.end()
        return response.writeHead(404).end('<Error>\n<Code>NoSuchBucket</Code></Error>')
      })
    }).listen(0, '127.0.0.1')
    await expect.poll(() => server.listening, SOON).toBe(true)
    const { port } = server.address() as AddressInfo
    environment['AWS_ENDPOINT_URL_S3'] = `http://127.0.0.1:${port}/`
    settings['hello'] = { maximumRetryAttempts: 0, onFailure: 'arn:aws:s3:::failures' }
    answers(failed)
    await using queue = await started()
    await queue.add(event('a'))
    await expect.poll(ends, SOON).toHaveLength(1)
    answers(failed)
    await queue.add(event('b'))
    await expect.poll(ends, SOON).toHaveLength(2)
    expect(said.at(-2)).toContain(
      `S3 at http://127.0.0.1:${port}/ did not take it: 404 NoSuchBucket. Start it`,
    )
    server.close()
    expect(puts.slice(0, 1)).toEqual([
      {
        method: 'PUT',
        url: expect.stringMatching(
          /^\/failures\/aws\/lambda\/async\/hello\/2026\/11\/21\/2026-11-21T10\.00\.00-[0-9a-f-]{36}$/,
        ) as string,
        body: expect.objectContaining({
          responsePayload: parse(Buffer.from(failed.payload).toString()),
        }) as object,
        isSigned: true,
      },
    ])
  })
})

describe('a stop', () => {
  test('waits for what runs, and keeps what waits for the next start', async () => {
    const { ids, release } = held()
    const queue = await started({ concurrency: 1 })
    await queue.add(event('a'))
    await queue.add(event('b'))
    const stopped = queue[Symbol.asyncDispose]()
    release('a')
    await stopped
    expect(said).toEqual([
      'info event.drain events that are waited for, 30 s at most: 1',
      'debug event.done the event a for hello is done',
      'info event.keep events that run at the next start: 1',
    ])
    expect(await hasKeptEvents(state)).toBe(true)
    answers()
    const next = await started()
    await expect.poll(ends, SOON).toHaveLength(2)
    await next[Symbol.asyncDispose]()
    expect(ids).toEqual(['a'])
    expect(await hasKeptEvents(state)).toBe(false)
  })

  test('keeps a record that what still runs sends to a function', async () => {
    const { ids, release } = held()
    settings['hello'] = { onSuccess: 'arn:aws:lambda:us-east-1:123456789012:function:other' }
    settings['other'] = {}
    const queue = await started()
    send = (_arn, { body }) => queue.add({ id: 'record', function: 'other', payload: Buffer.from(body) })
    await queue.add(event('a'))
    const stopped = queue[Symbol.asyncDispose]()
    release('a')
    await stopped
    expect(ids).toEqual(['a'])
    const later = answers()
    await using next = await started()
    await expect.poll(() => later, SOON).toEqual(['record'])
    expect(next).toBeDefined()
  })

  test('gives up waiting after a while; what was cut off runs again', async () => {
    const { release } = held()
    const queue = await started()
    await queue.add(event('a'))
    const stopped = queue[Symbol.asyncDispose]()
    await expect.poll(() => clock.due, SOON).toEqual([30_000])
    clock.advance(30_000)
    await stopped
    release('a', failed)
    const ids = answers()
    await using next = await started()
    await expect.poll(() => ids, SOON).toEqual(['a'])
    await expect.poll(ends, SOON).toHaveLength(1)
    expect(next).toBeDefined()
  })

  test('does not forget how often an event was tried, nor for how long it is to wait', async () => {
    answers(failed, failed)
    const queue = await started()
    await queue.add(event('a'))
    await expect.poll(() => clock.due, SOON).toEqual([1_000])
    clock.advance(1_000)
    await expect.poll(() => clock.due, SOON).toEqual([2_000])
    await queue[Symbol.asyncDispose]()
    expect(clock.due).toEqual([])
    const ids = answers(failed)
    await using next = await started()
    expect(clock.due).toEqual([2_000])
    clock.advance(2_000)
    await expect
      .poll(ends, SOON)
      .toEqual(['warn event.drop the event a for hello is dropped: every attempt failed'])
    expect(ids).toEqual(['a'])
    expect(next).toBeDefined()
  })

  test('of a week does not cost an event its next attempt, though it is too old by then', async () => {
    const queue = await opened()
    await queue.add(event('a'))
    await queue[Symbol.asyncDispose]()
    clock.advance(7 * 24 * 3_600_000)
    const ids = answers(failed)
    await using next = await started()
    await expect.poll(ends, SOON).toEqual(['warn event.drop the event a for hello is dropped: it is too old'])
    expect(ids).toEqual(['a'])
    expect(next).toBeDefined()
  })
})
