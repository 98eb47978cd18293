import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { FlexiError } from '../../../src/core/errors.ts'
import type { FunctionConfig } from '../../../src/core/function.ts'
import type { AbsolutePath } from '../../../src/core/place.ts'
import { parseOptions } from '../../../src/emulators/lambda/options.ts'

const config = (options: Record<string, unknown>): FunctionConfig => ({
  name: 'f',
  provider: 'lambda',
  directory: '/' as AbsolutePath,
  origin: { file: 'flexi.jsonc', line: 3, column: 5 },
  environment: {},
  options: { handler: 'a.handler', ...options },
})

/** `message` and `hint` of each fault. */
async function faultsOf(options: Record<string, unknown>): Promise<readonly (readonly unknown[])[]> {
  const error = await parseOptions(config(options)).then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (error === undefined) return []
  if (!(error instanceof FlexiError)) throw error
  return error.faults.map(({ message, hint }) => [message, hint])
}

const source = (one: Record<string, unknown>): Record<string, unknown> => ({ sources: [one] })

describe('settings of a function', () => {
  test('what AWS takes', async () => {
    const queue = 'arn:aws:sqs:us-east-1:123456789012:dead'
    expect(
      await faultsOf({
        functionName: 'shop-dev-f',
        alias: 'live',
        reservedConcurrency: 0,
        maximumRetryAttempts: 0,
        maximumEventAge: 60,
        deadLetter: queue,
        onSuccess: 'arn:aws:events:us-east-1:123456789012:event-bus/default',
        onFailure: 'arn:aws:s3:::failures',
        layers: ['layers/a', 'b.zip'],
        url: { invokeMode: 'RESPONSE_STREAM', cors: { allowOrigins: ['*'], maxAge: 60 } },
        esbuild: { loader: { '.sql': 'text' } },
        sources: [
          { type: 'sqs', queue: 'jobs', batchSize: 10_000, window: 1, filters: [{ body: { a: [1] } }] },
          { type: 'sqs', queue: 'arn:aws:sqs:us-east-1:123456789012:o.fifo', maximumConcurrency: 2 },
          { type: 'kinesis', stream: 's', startingPosition: 'AT_TIMESTAMP', startingPositionTimestamp: 1.5 },
          { type: 'dynamodb', stream: 't', maximumRetryAttempts: -1, maximumRecordAge: -1, onFailure: queue },
          { type: 'schedule', expression: 'rate(1 minute)', timezone: 'Europe/Berlin', input: null },
          { type: 'events', pattern: { source: [{ prefix: 'a' }] }, bus: 'b', enabled: false, name: 'n' },
          { type: 'sns', topic: 't', filterPolicy: {}, filterPolicyScope: 'MessageBody' },
          { type: 's3', bucket: 'b', events: ['s3:ObjectCreated:*'], prefix: 'in/' },
        ],
      }),
    ).toEqual([])
  })

  const WRONG: readonly (readonly [options: Record<string, unknown>, message: string, hint: string])[] = [
    [{ functionName: 'a b' }, '"functionName" cannot be "a b"', 'Write a text, such as "shop-dev-hello".'],
    [{ alias: '12' }, '"alias" cannot be "12"', 'Write a text, such as "live".'],
    [{ reservedConcurrency: -1 }, '"reservedConcurrency" cannot be -1', 'whole number of invocations'],
    [
      { reservedConcurrency: 1, provisionedConcurrency: 2 },
      '"provisionedConcurrency" 2 is more than "reservedConcurrency" 1',
      'Reserve as many',
    ],
    [{ maximumRetryAttempts: 3 }, '"maximumRetryAttempts" cannot be 3', '0 to 2.'],
    [{ maximumEventAge: 59 }, '"maximumEventAge" cannot be 59', '60 to 21,600.'],
    [{ deadLetter: 'jobs' }, '"deadLetter" cannot be "jobs"', 'Write an ARN of sqs, sns'],
    [{ onSuccess: 'arn:aws:iam::1:role' }, '"onSuccess" cannot be', 'Write an ARN of sqs, sns, lambda'],
    [
      { layers: ['a', 'b', 'c', 'd', 'e', 'f'] },
      '"layers" cannot be',
      'Write 5 folders or zip files at most.',
    ],
    [{ layers: 'a' }, '"layers" cannot be "a"', 'Write a list'],
    [{ url: { invokeMode: 'STREAM' } }, '"url.invokeMode" cannot be "STREAM"', '"BUFFERED" or'],
    [{ url: { cors: { origins: ['*'] } } }, 'there is no "url.cors.origins"', 'It has: allowOrigins'],
    [{ sources: {} }, '"sources" cannot be {}', 'Write a list of sources.'],
    [source({ type: 'mqtt' }), '"sources[0].type" cannot be "mqtt"', 'Write sqs, kinesis'],
    [source({ type: 'sqs' }), '"sources[0].queue" is missing', 'such as "jobs"'],
    [source({ type: 'sqs', queue: 'a', batchsize: 1 }), 'there is no "sources[0].batchsize"', 'It has: type'],
    [source({ type: 'sqs', queue: 'a', batchSize: 0 }), '"sources[0].batchSize" cannot be 0', '1 to 10,000.'],
    [source({ type: 'sqs', queue: 'a', batchSize: 11 }), 'cannot be 11 without a window', 'Add a "window"'],
    [source({ type: 'sqs', queue: 'a.fifo', window: 1 }), '"sources[0].queue" is a FIFO queue', 'Leave out'],
    [source({ type: 'sqs', queue: 'a', window: 301 }), '"sources[0].window" cannot be 301', '0 to 300.'],
    [
      source({ type: 'sqs', queue: 'a', maximumConcurrency: 1 }),
      '"sources[0].maximumConcurrency" cannot be 1',
      '2 to 1,000.',
    ],
    [
      source({ type: 'sqs', queue: 'a', filters: Array.from({ length: 6 }, () => ({ a: [1] })) }),
      '"sources[0].filters" cannot be',
      'Write 5 patterns at most.',
    ],
    [
      source({ type: 'sqs', queue: 'a', filters: [{ a: 1 }] }),
      '"sources[0].filters" cannot be',
      '"a" must be',
    ],
    [
      source({ type: 'kinesis', stream: 'a', startingPosition: 'AT_TIMESTAMP' }),
      '"sources[0].startingPositionTimestamp" is missing',
      'Write seconds since 1970',
    ],
    [
      source({
        type: 'dynamodb',
        stream: 'a',
        startingPosition: 'AT_TIMESTAMP',
        startingPositionTimestamp: 1,
      }),
      'of a table cannot be AT_TIMESTAMP',
      'Write "TRIM_HORIZON"',
    ],
    [
      source({ type: 'kinesis', stream: 'a', maximumRecordAge: 5 }),
      '"sources[0].maximumRecordAge" cannot be 5',
      '60 to 604,800.',
    ],
    [
      source({ type: 'kinesis', stream: 'a', parallelizationFactor: 11 }),
      '"sources[0].parallelizationFactor" cannot be 11',
      '1 to 10.',
    ],
    [
      source({ type: 'schedule', expression: 'rate(0 minutes)' }),
      '"sources[0].expression" cannot be "rate(0 minutes)": ',
      'Write rate(5 minutes), cron(',
    ],
    [
      source({ type: 'schedule', expression: 'rate(1 hour)', timezone: 'Mars/Base' }),
      '"sources[0].expression" cannot be',
      'Write rate',
    ],
    [source({ type: 'events', pattern: {} }), '"sources[0].pattern" cannot be {}', 'Empty patterns'],
    [
      source({ type: 'events', pattern: { a: ['b'] }, input: 1, inputPath: '$' }),
      'exclude each other',
      'Keep one of them.',
    ],
    [
      source({ type: 'sns', topic: 't', filterPolicy: [] }),
      '"sources[0].filterPolicy" cannot be []',
      'object',
    ],
    [source({ type: 's3', bucket: 'b' }), '"sources[0].events" is missing', 'Write a list of names'],
    [source({ type: 's3', bucket: 'b', events: ['created'] }), '"sources[0].events" cannot be', 's3:'],
  ]
  test.each(WRONG)('%j', async (options, message, hint) => {
    const [fault, ...more] = await faultsOf(options)
    expect(more).toEqual([])
    expect(fault?.[0]).toContain(`f: `)
    expect(fault?.[0]).toContain(message)
    expect(fault?.[1]).toContain(hint)
  })

  test('editors complete each of them', async () => {
    const schema = await readFile(join(import.meta.dirname, '../../../flexi.schema.json'), 'utf8')
    const [fault] = await faultsOf({ none: 1 })
    const names = String(fault?.[1]).replace('It has: ', '').replace('.', '').split(', ')
    expect(names).toContain('sources')
    expect(names.filter((name) => !schema.includes(`"${name}": {`))).toEqual([])
  })

  test('every fault of every source is told at once', async () => {
    const faults = await faultsOf({
      hanlder: 1,
      alias: '',
      sources: [{ type: 'sqs', batchSize: 'x' }, { type: 'schedule', expression: 'x' }, { type: 's3' }],
    })
    expect(faults.map(([message]) => String(message).split(' cannot')[0])).toEqual([
      'f: a Lambda has no option "hanlder"',
      'f: "alias"',
      'f: "sources[0].queue" is missing',
      'f: "sources[0].batchSize"',
      'f: "sources[1].expression"',
      'f: "sources[2].bucket" is missing',
      'f: "sources[2].events" is missing',
    ])
  })

  test('a name that every object has is no setting', async () => {
    expect(await faultsOf({ url: { valueOf: [], constructor: 1 } })).toEqual([
      ['f: there is no "url.valueOf"', 'It has: cors, invokeMode.'],
      ['f: there is no "url.constructor"', 'It has: cors, invokeMode.'],
    ])
  })

  test('whatever is written is taken or is a fault, never a crash', async () => {
    const key = fc.constantFrom(
      'type',
      'queue',
      'batchSize',
      'expression',
      'pattern',
      'events',
      'filters',
      'topic',
    )
    const value = fc.oneof(
      fc.constantFrom('sqs', 'kinesis', 'schedule', 'events', 'sns', 's3', '__proto__', 'constructor'),
      fc.jsonValue(),
    )
    const one = fc.oneof(fc.dictionary(key, value), fc.jsonValue())
    await fc.assert(
      fc.asyncProperty(fc.array(one), fc.jsonValue(), async (sources, url) => {
        const faults = await faultsOf({
          sources,
          url,
          layers: url,
          alias: url,
          deadLetter: url,
          esbuild: url,
        })
        expect(faults.every(([message]) => typeof message === 'string')).toBe(true)
      }),
      { numRuns: 200 },
    )
  })
})
