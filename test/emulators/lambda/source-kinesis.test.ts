import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'

import {
  CreateStreamCommand,
  DescribeStreamSummaryCommand,
  KinesisClient,
  type KinesisClientConfig,
  PutRecordCommand,
  SplitShardCommand,
} from '@aws-sdk/client-kinesis'
import kinesalite from 'kinesalite'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import type { ApiFunction } from '../../../src/core/function.ts'
import type { AbsolutePath } from '../../../src/core/place.ts'
import type { StreamSource } from '../../../src/emulators/lambda/service/event-source.ts'
import { openSources, type Sources } from '../../../src/emulators/lambda/sources/sources.ts'
import { FakeClock, fakeInvoker, FakeQueue, saidLogger, SOON, type Answer } from './source-harness.ts'

type Handler = NonNullable<KinesisClientConfig['requestHandler']>

/** The SDK asks Kinesis by HTTP/2 alone, which kinesalite does not speak. */
const HTTP_1 = {
  metadata: { handlerProtocol: 'http/1.1' },
  async handle({ protocol, hostname, port, path, method, headers, body }: HttpRequest) {
    const answer = await fetch(`${protocol}//${hostname}:${port}${path}`, { method, headers, body })
    const content = Readable.from([Buffer.from(await answer.arrayBuffer())])
    return {
      response: { statusCode: answer.status, headers: Object.fromEntries(answer.headers), body: content },
    }
  },
} as unknown as Handler

interface HttpRequest {
  readonly protocol: string
  readonly hostname: string
  readonly port: number
  readonly path: string
  readonly method: string
  readonly headers: Record<string, string>
  readonly body: Uint8Array<ArrayBuffer>
}

let server: Server
let endpoint: string
let client: KinesisClient
let directory: AbsolutePath

beforeAll(async () => {
  server = kinesalite({ createStreamMs: 0, deleteStreamMs: 0, updateStreamMs: 0, shardLimit: 100 })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  client = new KinesisClient({
    endpoint,
    region: 'us-east-1',
    credentials: { accessKeyId: 'flexi', secretAccessKey: 'flexi' },
    requestHandler: HTTP_1,
  })
  directory = (await mkdtemp(join(tmpdir(), 'flexi-kinesis-'))) as AbsolutePath
})

afterAll(async () => {
  client.destroy()
  server.closeAllConnections()
  server.close()
  await rm(directory, { recursive: true })
})

interface Event {
  readonly Records: readonly {
    readonly eventID: string
    readonly kinesis: {
      readonly data: string
      readonly partitionKey: string
      readonly sequenceNumber: string
    }
  }[]
}

interface Run extends AsyncDisposable {
  /** Other settings of the same source. */
  readonly change: (source: Read) => void
  readonly sources: Sources
  readonly said: string[]
  readonly events: readonly unknown[]
  /** What came, in its order: of each batch. */
  readonly batches: () => string[][]
}

type Read = Partial<StreamSource> & { readonly stream: string }

interface Surroundings {
  readonly environment?: Readonly<Record<string, string>>
  readonly clock?: FakeClock
}

async function reading(
  source: Read,
  answer: (event: Event, count: number) => Answer | Promise<Answer> = () => ({}),
  { environment = { AWS_ENDPOINT_URL_KINESIS: endpoint }, clock }: Surroundings = {},
): Promise<Run> {
  let current = source
  const served = (): ApiFunction[] => {
    const whole = { type: 'kinesis', startingPosition: 'TRIM_HORIZON', ...current }
    const config = { name: `hello-${source.stream}`, options: { handler: 'a.b', sources: [whole] } }
    return [{ config } as unknown as ApiFunction]
  }
  const invoker = fakeInvoker(answer as never)
  const { log, said } = saidLogger()
  const sources = await openSources({
    host: {
      log,
      stateDirectory: directory,
      control: () => undefined,
      functions: served,
    },
    invoker,
    brokers: { queues: new FakeQueue(new FakeClock()), listen: () => undefined },
    targets: { send: () => Promise.resolve() },
    environment,
    clock,
  })
  return {
    sources,
    said,
    change(other) {
      current = other
      sources.changed([])
    },
    events: invoker.events,
    batches: () =>
      (invoker.events as Event[]).map(({ Records }) => Records.map(({ kinesis }) => text(kinesis.data))),
    async [Symbol.asyncDispose]() {
      await sources[Symbol.asyncDispose]()
    },
  }
}

const text = (data: string): string => Buffer.from(data, 'base64').toString()

async function status(stream: string): Promise<string | undefined> {
  const { StreamDescriptionSummary } = await client.send(
    new DescribeStreamSummaryCommand({ StreamName: stream }),
  )
  return StreamDescriptionSummary?.StreamStatus
}

async function create(stream: string, shards = 1): Promise<void> {
  await client.send(new CreateStreamCommand({ StreamName: stream, ShardCount: shards }))
  await expect.poll(() => status(stream), SOON).toBe('ACTIVE')
}

/** One after the other, so that their order is known. */
async function put(stream: string, ...texts: readonly string[]): Promise<void> {
  for (const one of texts)
    await client.send(
      new PutRecordCommand({ StreamName: stream, PartitionKey: one.split(':')[0], Data: Buffer.from(one) }),
    )
}

describe('a Kinesis stream (kinesalite)', () => {
  test('its records come in order, through a batch that fails', async () => {
    await create('ordered')
    await put('ordered', 'a:1', 'a:2', 'a:3')
    await using run = await reading({ stream: 'ordered', batchSize: 2 }, (_event, count) => ({
      fails: count === 1,
    }))
    await expect.poll(run.batches, SOON).toEqual([['a:1', 'a:2'], ['a:1', 'a:2'], ['a:3']])
    await put('ordered', 'a:4')
    await expect.poll(() => run.batches().at(-1), SOON).toEqual(['a:4'])
    expect(run.sources.list()).toMatchObject([
      { state: 'Enabled', lastProcessingResult: 'OK', declared: true },
    ])
  })

  test('each key stays in order over several shards, and after one of those is split', async () => {
    await create('resharded', 2)
    const keys = ['a', 'b', 'c', 'd']
    const round = (number: number): string[] => keys.map((key) => `${key}:${number}`)
    await using run = await reading({ stream: 'resharded' })
    await put('resharded', ...round(1))
    await client.send(
      new SplitShardCommand({
        StreamName: 'resharded',
        ShardToSplit: 'shardId-000000000000',
        NewStartingHashKey: '85070591730234615865843651857942052863',
      }),
    )
    await expect.poll(() => status('resharded'), SOON).toBe('ACTIVE')
    await put('resharded', ...round(2), ...round(3))
    await expect
      .poll(() => run.batches().flat().toSorted(), SOON)
      .toEqual([1, 2, 3].flatMap(round).toSorted())
    for (const key of keys) {
      const own = run
        .batches()
        .flat()
        .filter((one) => one.startsWith(key))
      expect(own).toEqual([`${key}:1`, `${key}:2`, `${key}:3`])
    }
  })

  test('a change of its settings waits for the batch under way, and goes on behind it', async () => {
    await create('altered')
    await put('altered', 'a:1', 'a:2', 'a:3')
    let end: (answer: Answer) => void = () => undefined
    await using run = await reading({ stream: 'altered', batchSize: 2 }, (_event, count) =>
      count === 1 ? new Promise<Answer>((resolve) => (end = resolve)) : {},
    )
    await expect.poll(run.batches, SOON).toEqual([['a:1', 'a:2']])
    run.change({ stream: 'altered', batchSize: 7 })
    await put('altered', 'a:4')
    // Time enough for whoever does not wait.
    for (let asked = 0; asked < 20; asked += 1) await status('altered')
    expect(run.batches()).toHaveLength(1)
    end({})
    await expect.poll(() => run.batches().flat(), SOON).toEqual(['a:1', 'a:2', 'a:3', 'a:4'])
  })

  test('a batch that failed is tried again as soon as functions are others', async () => {
    await create('mended')
    await put('mended', 'a:1')
    const clock = new FakeClock(Date.now())
    await using run = await reading({ stream: 'mended' }, (_event, count) => ({ fails: count === 1 }), {
      clock,
    })
    await expect.poll(() => clock.waiting, SOON).toBeGreaterThan(2)
    expect(run.batches()).toHaveLength(1)
    run.change({ stream: 'mended' })
    // Its clock stands still: without that it would wait for ever.
    await expect.poll(run.batches, SOON).toEqual([['a:1'], ['a:1']])
  })

  test('only what its filters want comes', async () => {
    await create('filtered')
    await put('filtered', '{"kind":"a"}', 'text', '{"kind":"b"}')
    await using run = await reading({ stream: 'filtered', filters: [{ data: { kind: ['b'] } }] })
    await expect.poll(run.batches, SOON).toEqual([['{"kind":"b"}']])
  })

  const FIXTURE = join(import.meta.dirname, '../../../../shared/fixtures/lambda/events/kinesis-event.json')

  test.skipIf(!existsSync(FIXTURE))(
    'its event has the shape of a recorded one (skipped without the recordings)',
    async () => {
      await create('shape')
      await put('shape', 'a:1')
      await using run = await reading({ stream: 'shape' })
      await expect.poll(run.batches, SOON).toEqual([['a:1']])
      const recorded = JSON.parse(readFileSync(FIXTURE, 'utf8')) as { readonly Records: readonly object[] }
      expect(shape((run.events[0] as Event).Records[0])).toEqual(shape(recorded.Records[0]))
      expect(JSON.stringify(run.events[0])).toContain(':stream/shape"')
    },
  )

  test('one that nobody says the place of is not read, and the log says what to set', async () => {
    await using run = await reading({ stream: 'nowhere' }, undefined, { environment: {} })
    expect(run.said).toEqual([
      'kinesis nowhere: it is not read, because nothing says where it is: set "endpoint" of this source, or AWS_ENDPOINT_URL_KINESIS',
    ])
  })

  test('one that is not there is waited for', async () => {
    await using run = await reading({ stream: 'later', startingPosition: 'LATEST' })
    await expect.poll(() => run.said.join(''), SOON).toContain('kinesis later: ResourceNotFoundException')
    await create('later')
    await put('later', 'a:1')
    await expect.poll(run.batches, SOON).toEqual([['a:1']])
  })

  test.each([
    [200, '<html>', 'does not answer with JSON'],
    [503, '<html>', 'status 503'],
    [
      400,
      '{"__type":"com.amazonaws.kinesis#LimitExceededException","message":"slow down"}',
      'LimitExceededException: slow down',
    ],
    [200, '{"Shards":[{"ShardId":7}],"StreamDescriptionSummary":null}', 'status 404'],
  ])('what answers %i %s is no Kinesis, and breaks nothing', async (code, body, message) => {
    const odd = createServer((request, response) => {
      const isKnown = /ListShards|DescribeStreamSummary/.test(String(request.headers['x-amz-target']))
      response.writeHead(isKnown ? code : 404).end(body)
    })
    odd.listen(0, '127.0.0.1')
    await once(odd, 'listening')
    const { port } = odd.address() as AddressInfo
    await using run = await reading({
      stream: `odd-${code}-${body.length}`,
      endpoint: `http://127.0.0.1:${port}`,
    })
    await expect.poll(() => run.said.join(' '), SOON).toContain(message)
    odd.closeAllConnections()
    odd.close()
  })

  test('where nobody listens, that is said, and nothing breaks', async () => {
    await using run = await reading({ stream: 'away', endpoint: 'http://127.0.0.1:9' })
    await expect.poll(() => run.said.join(''), SOON).toContain('http://127.0.0.1:9 cannot be reached')
  })
})

/** Names and types. */
function shape(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return typeof value
  const entries = Object.entries(value).map(([name, member]): [string, unknown] => [name, shape(member)])
  return Object.fromEntries(entries)
}
