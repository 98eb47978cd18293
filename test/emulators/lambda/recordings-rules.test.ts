import { readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'

import {
  PublishVersionCommand,
  PutFunctionConcurrencyCommand,
  PutProvisionedConcurrencyConfigCommand,
} from '@aws-sdk/client-lambda'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { CodeStore } from '../../../src/emulators/lambda/api/code-store.ts'
import { format2Answer } from '../../../src/emulators/lambda/front-ends/format-2.ts'
import { temporaryFolder } from './harness.ts'
import { openCloud, type Cloud } from './recorded/cloud.ts'
import { Comparison, pathMatches } from './recorded/comparison.ts'
import { zipOf } from './zip.ts'

describe('what the recordings taught', () => {
  const NODE = { Runtime: 'nodejs20.x', Handler: 'index.handler' } as const
  const hello = { 'index.js': `exports.handler = async () => process.env.WRAPPED ?? 'hello'` }
  let cloud: Cloud
  beforeAll(async () => {
    cloud = await openCloud()
  })
  afterAll(() => cloud?.[Symbol.asyncDispose]())

  test('who does not wait for the result is not told which version has run', async () => {
    await cloud.create('unwaited', hello, NODE)
    for (const InvocationType of ['Event', 'DryRun'] as const) {
      const answer = await cloud.invoke('unwaited', {}, { InvocationType })
      expect(answer).not.toHaveProperty('ExecutedVersion')
    }
    expect(await cloud.invoke('unwaited', {})).toMatchObject({ ExecutedVersion: '$LATEST' })
  })

  test.each(['RequestResponse', 'Event'] as const)(
    'an event that is no JSON is refused in the recorded words, up to those of the parser: %s',
    async (InvocationType) => {
      await cloud.create(`broken-${InvocationType}`, hello, NODE)
      const Payload = Buffer.from('{"a":')
      const answer = await cloud.invoke(`broken-${InvocationType}`, undefined, { InvocationType, Payload })
      expect(answer).toMatchObject({
        Error: { Code: 'InvalidRequestContentException' },
        Type: 'User',
        message: expect.stringMatching(
          /^Could not parse request body into json: Could not parse payload into json: ./,
        ) as string,
      })
    },
  )

  test('a function that is made and published at once is named without its version', async () => {
    const made = await cloud.create('published', hello, { ...NODE, Publish: true })
    expect(made).toMatchObject({
      FunctionArn: 'arn:aws:lambda:us-east-1:123456789012:function:published',
      Version: '1',
      Environment: { Variables: {} },
      RuntimeVersionConfig: {
        RuntimeVersionArn: expect.stringMatching(/^arn:aws:lambda:us-east-1::runtime:\w{64}$/) as string,
      },
    })
  })

  test('a wrapper is found in /var/task, where code lies in the cloud', async () => {
    const wrap = '#!/bin/sh\nexport WRAPPED=wrapped\nexec "$@"\n'
    const Environment = { Variables: { AWS_LAMBDA_EXEC_WRAPPER: '/var/task/wrap' } }
    await cloud.create('wrapped', { ...hello, wrap }, { ...NODE, Environment })
    expect(await cloud.invoke('wrapped', {})).toMatchObject({ Payload: '"wrapped"' })
  })

  test('where all that is reserved is provisioned for a version, nothing else runs', async () => {
    const of = { FunctionName: 'reserved' }
    await cloud.create('reserved', hello, NODE)
    await cloud.lambda.send(new PublishVersionCommand(of))
    await cloud.lambda.send(new PutFunctionConcurrencyCommand({ ...of, ReservedConcurrentExecutions: 1 }))
    expect(await cloud.invoke('reserved', {})).toMatchObject({ StatusCode: 200 })
    const provide = (ProvisionedConcurrentExecutions: number) =>
      cloud.answer(
        cloud.lambda.send(
          new PutProvisionedConcurrencyConfigCommand({
            ...of,
            Qualifier: '1',
            ProvisionedConcurrentExecutions,
          }),
        ),
      )
    expect(await provide(2)).toMatchObject({ Error: { Code: 'InvalidParameterValueException' } })
    await provide(1)
    expect(await cloud.invoke('reserved', {})).toMatchObject({ Error: { Code: 'TooManyRequestsException' } })
    expect(await cloud.invoke('reserved', {}, { Qualifier: '1' })).toMatchObject({ StatusCode: 200 })
    const reserve = new PutFunctionConcurrencyCommand({ ...of, ReservedConcurrentExecutions: 0 })
    expect(await cloud.answer(cloud.lambda.send(reserve))).toMatchObject({
      Error: { Code: 'InvalidParameterValueException' },
    })
  })

  test('a function URL writes JSON without spaces; texts and numbers stay as they were written', () => {
    const written = (json: string): unknown => format2Answer(Buffer.from(json))?.body
    expect(written('{ "a b" : [ 1.0,\n 12345678901234567890, " \\" , " ] }')).toBe(
      '{"a b":[1.0,12345678901234567890," \\" , "]}',
    )
    const values = fc.oneof(
      fc.array(fc.jsonValue()),
      fc.dictionary(fc.constantFrom('a', 'b "c" \\', ' '), fc.jsonValue()),
    )
    fc.assert(
      fc.property(values, fc.integer({ min: 0, max: 4 }), (value, indent) => {
        expect(written(JSON.stringify(value, undefined, indent))).toBe(JSON.stringify(value))
      }),
    )
  })
})

describe('the comparison with a recording', () => {
  const differences = (recorded: unknown, actual: unknown): readonly string[] =>
    new Comparison().differences(recorded, actual).map(({ path }) => path)

  test('sees members that are other, missing or new', () => {
    expect(differences({ a: 1, b: [1, 2] }, { a: 1, b: [1, 2] })).toEqual([])
    expect(differences({ a: 1, b: [1, 2] }, { a: '1', b: [1], c: null })).toEqual(['a', 'b.1', 'c'])
    expect(differences({ a: null }, { a: undefined })).toEqual(['a'])
  })

  test('takes one value for a placeholder, and another one for another', () => {
    const recorded = { a: '<uuid:1>', b: 'x/<uuid:1>', c: '<uuid:2>' }
    expect(differences(recorded, { a: '7', b: 'x/7', c: '8' })).toEqual([])
    expect(differences(recorded, { a: '7', b: 'x/8', c: '9' })).toEqual(['b'])
    expect(differences(recorded, { a: '7', b: 'x/7', c: '7' })).toEqual(['uuid:1 and uuid:2'])
  })

  test('takes any value for a placeholder without a number, and none for nothing', () => {
    const recorded = { a: '<duration> ms', b: '<duration> ms', c: 'date', d: '<code-size>' }
    expect(differences(recorded, { a: '1 ms', b: '2 ms', c: 'now', d: 3 })).toEqual([])
    expect(differences(recorded, { a: '1 s', b: '2 ms', c: '', d: undefined })).toEqual(['a', 'c', 'd'])
  })

  test('account and region are those of here', () => {
    const recorded = 'arn:<partition>:lambda:<region>:111111111111:function:<name:1>'
    expect(differences(recorded, 'arn:aws:lambda:us-east-1:123456789012:function:a')).toEqual([])
    expect(differences(recorded, 'arn:aws:lambda:eu-west-1:123456789012:function:a')).toEqual([''])
  })

  test('names of paths may have stars', () => {
    expect(pathMatches('*.SnapStart', 'a.b.SnapStart')).toBe(true)
    expect(pathMatches('T::x[*]', 'T::x[java8.al2]')).toBe(true)
    expect(pathMatches('T::x', 'T::xy')).toBe(false)
  })
})

test('what says the format of kept code is written once, because runtimes may be reading it', async () => {
  const directory = await temporaryFolder({})
  const codes = new CodeStore(directory)
  const added = async (text: string) => {
    const folder = codes.pathOf(await codes.addZip(zipOf([{ name: 'index.js', text }])))
    const file = join(folder, '../package.json')
    const { mtimeNs, ino } = await stat(file, { bigint: true })
    return { mtimeNs, ino, text: await readFile(file, 'utf8') }
  }
  const first = await added('// one')
  expect(first.text).toBe('{}\n')
  expect(await added('// two')).toEqual(first)
  await rm(directory, { recursive: true })
})
