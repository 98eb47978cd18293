import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { DynamoDBStreamSchema } from '@aws-lambda-powertools/parser/schemas'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import type { ApiFunction } from '../../../src/core/function.ts'
import type { AbsolutePath } from '../../../src/core/place.ts'
import type { StreamSource } from '../../../src/emulators/lambda/service/event-source.ts'
import type { TargetMessage } from '../../../src/emulators/lambda/service/service.ts'
import { openSources, type Sources } from '../../../src/emulators/lambda/sources/sources.ts'
import { FakeClock, fakeInvoker, FakeQueue, saidLogger, SOON, type Answer } from './source-harness.ts'

type Item = Readonly<Record<string, Readonly<Record<string, unknown>>>>

interface Change {
  readonly eventID: string
  readonly eventName: 'INSERT' | 'MODIFY' | 'REMOVE'
  readonly eventVersion: '1.1'
  readonly eventSource: 'aws:dynamodb'
  readonly awsRegion: string
  readonly userIdentity?: { readonly Type: string; readonly PrincipalId: string }
  readonly dynamodb: Readonly<Record<string, unknown>> & { readonly SequenceNumber: string }
}

interface PeerShard {
  readonly ShardId: string
  readonly ParentShardId?: string
  readonly changes: Change[]
  closed: boolean
}

/** DynamoDB Streams as its API reference tells it, over one table. */
class StreamsPeer {
  readonly arn = 'arn:aws:dynamodb:ddblocal:000000000000:table/people/stream/2026-11-21T10:00:00.000'
  readonly operations: string[] = []
  /** Other streams of the table: those it had are there for a day. */
  readonly others: string[] = []
  readonly #shards: PeerShard[] = [{ ShardId: 'shardId-00000000001-a', changes: [], closed: false }]
  readonly #server: Server
  #sequence = 100_000_000_000_000_000_000n

  constructor() {
    this.#server = createServer((request, response) => void this.#answer(request, response))
  }

  async listen(): Promise<string> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  close(): void {
    this.#server.closeAllConnections()
    this.#server.close()
  }

  change(eventName: Change['eventName'], id: string, image: Item = {}, more: Partial<Change> = {}): void {
    this.#sequence += 1n
    const key = { id: { S: id } }
    this.#shards.at(-1)?.changes.push({
      eventID: this.#sequence.toString(16).padStart(32, '0'),
      eventName,
      eventVersion: '1.1',
      eventSource: 'aws:dynamodb',
      awsRegion: 'us-east-1',
      dynamodb: {
        ApproximateCreationDateTime: Math.floor(Date.now() / 1000),
        Keys: key,
        ...(eventName === 'REMOVE' ? { OldImage: { ...key, ...image } } : { NewImage: { ...key, ...image } }),
        SequenceNumber: String(this.#sequence),
        SizeBytes: 26,
        StreamViewType: 'NEW_AND_OLD_IMAGES',
      },
      ...more,
    })
  }

  /** DynamoDB does so every few hours by itself. */
  rotate(): void {
    const last = this.#shards.at(-1)
    if (last === undefined) return
    last.closed = true
    const ShardId = `shardId-0000000000${this.#shards.length + 1}-b`
    this.#shards.push({ ShardId, ParentShardId: last.ShardId, changes: [], closed: false })
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const input = JSON.parse(Buffer.concat(chunks).toString()) as Readonly<Record<string, string>>
    const target = String(request.headers['x-amz-target'])
    const isSigned = /^AWS4-HMAC-SHA256 .*\/dynamodb\/aws4_request/.test(
      String(request.headers.authorization),
    )
    const operation = target.replace('DynamoDBStreams_20120810.', '')
    this.operations.push(operation)
    const output = isSigned ? this.#operate(operation, input) : undefined
    response.writeHead(output === undefined ? 400 : 200, { 'Content-Type': 'application/x-amz-json-1.0' })
    const refusal = {
      __type: 'com.amazonaws.dynamodb.v20120810#ResourceNotFoundException',
      message: 'not here',
    }
    response.end(JSON.stringify(output ?? refusal))
  }

  #operate(operation: string, input: Readonly<Record<string, string>>): object | undefined {
    if (operation === 'ListStreams') {
      const arns = input['TableName'] === 'people' ? [this.arn, ...this.others] : []
      return { Streams: arns.map((arn) => ({ StreamArn: arn, TableName: 'people' })) }
    }
    if (operation === 'DescribeStream' && input['StreamArn'] === this.arn) return this.#describe(input)
    if (operation === 'GetShardIterator') return this.#iterator(input)
    return operation === 'GetRecords' ? this.#read(input) : undefined
  }

  #iterator(input: Readonly<Record<string, string>>): object | undefined {
    const { ShardId = '', ShardIteratorType = '', SequenceNumber = '' } = input
    const changes = this.#shards.find((shard) => shard.ShardId === ShardId)?.changes ?? []
    const after = changes.findIndex(({ dynamodb }) => dynamodb.SequenceNumber === SequenceNumber) + 1
    const at = { TRIM_HORIZON: 0, LATEST: changes.length, AFTER_SEQUENCE_NUMBER: after }[ShardIteratorType]
    return at === undefined ? undefined : { ShardIterator: `${ShardId}|${at}` }
  }

  /** One shard a page. */
  #describe({ ExclusiveStartShardId }: Readonly<Record<string, string>>): object {
    const at = this.#shards.findIndex(({ ShardId }) => ShardId === ExclusiveStartShardId) + 1
    const page = this.#shards.slice(at, at + 1).map(({ ShardId, ParentShardId, closed }) => ({
      ShardId,
      ParentShardId,
      SequenceNumberRange: { StartingSequenceNumber: '1', ...(closed ? { EndingSequenceNumber: '2' } : {}) },
    }))
    const isLast = at + 1 >= this.#shards.length
    return {
      StreamDescription: {
        StreamArn: this.arn,
        StreamStatus: 'ENABLED',
        Shards: page,
        ...(isLast ? {} : { LastEvaluatedShardId: page[0]?.ShardId }),
      },
    }
  }

  #read({ ShardIterator = '', Limit }: Readonly<Record<string, string>>): object {
    const [id, from] = ShardIterator.split('|')
    const shard = this.#shards.find(({ ShardId }) => ShardId === id)
    const records = shard?.changes.slice(Number(from), Number(from) + Number(Limit)) ?? []
    const end = Number(from) + records.length
    const isOver = shard?.closed === true && end === shard.changes.length
    return { Records: records, ...(isOver ? {} : { NextShardIterator: `${id}|${end}` }) }
  }
}

interface Run extends AsyncDisposable {
  readonly sources: Sources
  readonly said: string[]
  readonly events: readonly unknown[]
  readonly told: unknown[]
  /** The changes of each batch: their kind and key. */
  readonly batches: () => string[][]
}

interface Event {
  readonly Records: readonly {
    readonly eventName: string
    readonly dynamodb: { readonly Keys: { readonly id: { readonly S: string } } }
  }[]
}

let peer: StreamsPeer
let endpoint: string
let directory: AbsolutePath

beforeEach(async () => {
  peer = new StreamsPeer()
  endpoint = await peer.listen()
  directory = (await mkdtemp(join(tmpdir(), 'flexi-dynamodb-'))) as AbsolutePath
})

afterEach(async () => {
  peer.close()
  await rm(directory, { recursive: true })
})

async function reading(
  source: Partial<StreamSource> = {},
  answer: (event: Event, count: number) => Answer | Promise<Answer> = () => ({}),
): Promise<Run> {
  const whole = { type: 'dynamodb', stream: 'people', startingPosition: 'TRIM_HORIZON', ...source }
  const config = { name: 'hello', options: { handler: 'a.b', sources: [whole] } }
  const invoker = fakeInvoker(answer as never)
  const { log, said } = saidLogger()
  const told: unknown[] = []
  const sources = await openSources({
    host: {
      log,
      stateDirectory: directory,
      control: () => undefined,
      functions: () => [{ config } as unknown as ApiFunction],
    },
    invoker,
    brokers: { queues: new FakeQueue(new FakeClock()), listen: () => undefined },
    targets: {
      send(_arn: string, { body }: TargetMessage) {
        told.push(JSON.parse(body))
        return Promise.resolve()
      },
    },
    environment: { AWS_ENDPOINT_URL_DYNAMODB: endpoint },
  })
  return {
    sources,
    said,
    told,
    events: invoker.events,
    batches: () =>
      (invoker.events as Event[]).map(({ Records }) =>
        Records.map(({ eventName, dynamodb }) => `${eventName} ${dynamodb.Keys.id.S}`),
      ),
    async [Symbol.asyncDispose]() {
      await sources[Symbol.asyncDispose]()
    },
  }
}

describe('changes of a DynamoDB table (a small peer that speaks DynamoDB Streams as documented: dynalite has none)', () => {
  test('come in order, through a batch that fails', async () => {
    peer.change('INSERT', 'ada')
    peer.change('MODIFY', 'ada')
    peer.change('REMOVE', 'ada')
    await using run = await reading({ batchSize: 2 }, (_event, count) => ({ fails: count === 1 }))
    const first = ['INSERT ada', 'MODIFY ada']
    await expect.poll(run.batches, SOON).toEqual([first, first, ['REMOVE ada']])
  })

  test('are what Powertools for Lambda takes for their event', async () => {
    for (const kind of ['INSERT', 'MODIFY', 'REMOVE'] as const) peer.change(kind, 'ada')
    await using run = await reading()
    await expect.poll(() => run.events.length, SOON).toBeGreaterThan(0)
    for (const event of run.events) expect(DynamoDBStreamSchema.safeParse(event).error).toBeUndefined()
  })

  test('a table is found by the ARN of a template, whose label is made up', async () => {
    peer.change('INSERT', 'ada')
    const stream = 'arn:aws:dynamodb:us-east-1:123456789012:table/people/stream/2020-01-01T00:00:00.000'
    await using run = await reading({ stream })
    await expect.poll(run.batches, SOON).toEqual([['INSERT ada']])
    expect(JSON.stringify(run.events[0])).toContain(peer.arn)
  })

  test('the newest stream of a table is read, unless an ARN says another one that is there', async () => {
    peer.change('INSERT', 'ada')
    peer.others.push(peer.arn.replace('2026', '2025'))
    await using byName = await reading({ name: 'newest' })
    await expect.poll(byName.batches, SOON).toEqual([['INSERT ada']])
    peer.others.push(peer.arn.replace('2026', '2027'))
    await using byArn = await reading({ stream: peer.arn, name: 'this one', batchSize: 1 })
    peer.change('INSERT', 'eve')
    await expect.poll(() => byArn.batches().flat(), SOON).toContain('INSERT eve')
  })

  test('a shard that ends is followed by those that came from it', async () => {
    peer.change('INSERT', 'a')
    await using run = await reading()
    await expect.poll(run.batches, SOON).toEqual([['INSERT a']])
    peer.change('INSERT', 'b')
    peer.rotate()
    peer.change('INSERT', 'c')
    peer.rotate()
    peer.change('INSERT', 'd')
    await expect
      .poll(() => run.batches().flat(), SOON)
      .toEqual(['a', 'b', 'c', 'd'].map((id) => `INSERT ${id}`))
  })

  test('LATEST begins with what comes from now on', async () => {
    peer.change('INSERT', 'old')
    peer.rotate()
    peer.change('INSERT', 'older')
    await using run = await reading({ startingPosition: 'LATEST' })
    await expect.poll(() => peer.operations.includes('GetRecords'), SOON).toBe(true)
    peer.change('INSERT', 'new')
    await expect.poll(run.batches, SOON).toEqual([['INSERT new']])
  })

  test('filters see the whole record', async () => {
    peer.change('INSERT', 'a', { state: { S: 'open' } })
    peer.change('INSERT', 'b', { state: { S: 'closed' } })
    peer.change('REMOVE', 'c', { state: { S: 'closed' } })
    const filter = { eventName: ['INSERT'], dynamodb: { NewImage: { state: { S: ['closed'] } } } }
    await using run = await reading({ filters: [filter] })
    await expect.poll(run.batches, SOON).toEqual([['INSERT b']])
  })

  test('a batch that is given up is told as one of DynamoDB', async () => {
    peer.change('INSERT', 'a')
    const onFailure = 'arn:aws:sqs:us-east-1:123456789012:failures'
    await using run = await reading({ maximumRetryAttempts: 0, onFailure }, () => ({ fails: true }))
    await expect
      .poll(() => run.told, SOON)
      .toMatchObject([
        { DDBStreamBatchInfo: { shardId: 'shardId-00000000001-a', batchSize: 1, streamArn: peer.arn } },
      ])
  })

  test('an item that expired is told by its identity, in small letters', async () => {
    peer.change(
      'REMOVE',
      'a',
      {},
      { userIdentity: { Type: 'Service', PrincipalId: 'dynamodb.amazonaws.com' } },
    )
    await using run = await reading()
    await expect
      .poll(() => run.events, SOON)
      .toMatchObject([
        { Records: [{ userIdentity: { type: 'Service', principalId: 'dynamodb.amazonaws.com' } }] },
      ])
  })

  test('a table that is not there is waited for, and said', async () => {
    await using run = await reading({ stream: 'nobody' })
    await expect
      .poll(() => run.said, SOON)
      .toEqual([
        'dynamodb nobody: ResourceNotFoundException: the table nobody is not there, or has no stream',
      ])
  })

  const FIXTURE = join(import.meta.dirname, '../../../../shared/fixtures/lambda/events/dynamodb-event.json')

  test.skipIf(!existsSync(FIXTURE))(
    'their event has the fields of a recorded one (skipped without the recordings)',
    async () => {
      peer.change('INSERT', 'ada')
      await using run = await reading()
      await expect.poll(() => run.events.length, SOON).toBe(1)
      const recorded = JSON.parse(readFileSync(FIXTURE, 'utf8')) as {
        readonly Records: readonly { readonly dynamodb: object }[]
      }
      const names = (record: { readonly dynamodb: object } | undefined): string[] =>
        [...Object.keys(record ?? {}), ...Object.keys(record?.dynamodb ?? {})].toSorted()
      expect(names((run.events[0] as Event).Records[0])).toEqual(names(recorded.Records[1]))
    },
  )
})
