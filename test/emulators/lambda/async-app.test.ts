import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda'
import { CreateQueueCommand, ReceiveMessageCommand, SQSClient, type Message } from '@aws-sdk/client-sqs'
import { expect, test } from 'vitest'

import { startFlexi, temporaryFolder } from '../../app/flexi-process.ts'
import { serveProject } from './api-project.ts'

/** Writes down each attempt; fails as long as it was called less often than its event says. */
const COUNTS = `
import { appendFileSync, readFileSync } from 'node:fs'
export const handler = async ({ fails }, { awsRequestId }) => {
  appendFileSync(process.cwd() + '/attempts.txt', awsRequestId + '\\n')
  const attempts = readFileSync(process.cwd() + '/attempts.txt', 'utf8').split('\\n').length - 1
  if (attempts <= fails) throw new TypeError('attempt ' + attempts)
}
`

test('an event whose function fails twice is done with the third attempt', async () => {
  await using project = await serveProject(
    { counts: { handler: 'counts.handler' } },
    { 'counts.mjs': COUNTS },
  )
  const { StatusCode, $metadata } = await project.client.send(
    new InvokeCommand({ FunctionName: 'counts', InvocationType: 'Event', Payload: '{"fails":2}' }),
  )
  expect(StatusCode).toBe(202)
  const attempts = async () =>
    (await readFile(join(project.directory, 'attempts.txt'), 'utf8').catch(() => '')).trim().split('\n')
  await expect
    .poll(attempts, { timeout: 10_000 })
    .toEqual([$metadata.requestId, $metadata.requestId, $metadata.requestId])
  const told = project.events.flatMap((event) => (event.event === 'log' ? event.text : []))
  expect(told.filter((text) => text.includes('is tried again'))).toEqual([
    `the event ${$metadata.requestId} for counts failed and is tried again in 1 s (1 of 3): attempt 1`,
    `the event ${$metadata.requestId} for counts failed and is tried again in 2 s (2 of 3): attempt 2`,
  ])
  expect(project.events.filter((event) => event.event === 'warning')).toEqual([])
})

test('a queue of flexi’s own is told of a failure, as a record and as a dead letter', async () => {
  const queue = (name: string): string => `arn:aws:sqs:us-east-1:123456789012:${name}`
  const fails = { handler: 'fails.handler', maximumRetryAttempts: 0 }
  await using project = await serveProject(
    { fails: { ...fails, onFailure: queue('records'), deadLetter: queue('dead') } },
    { 'fails.mjs': 'export const handler = () => { throw new TypeError("no luck") }' },
  )
  const credentials = { accessKeyId: 'a', secretAccessKey: 'b' }
  const sqs = new SQSClient({ endpoint: project.endpoint, region: 'us-east-1', credentials })
  const received = async (name: string): Promise<Message | undefined> => {
    const { QueueUrl } = await sqs.send(new CreateQueueCommand({ QueueName: name }))
    const WaitTimeSeconds = 10
    const request = new ReceiveMessageCommand({ QueueUrl, WaitTimeSeconds, MessageAttributeNames: ['All'] })
    return (await sqs.send(request)).Messages?.[0]
  }
  for (const QueueName of ['records', 'dead']) await sqs.send(new CreateQueueCommand({ QueueName }))
  const { $metadata } = await project.client.send(
    new InvokeCommand({ FunctionName: 'fails', InvocationType: 'Event', Payload: '{ "a": 1 }' }),
  )
  expect(JSON.parse((await received('records'))?.Body ?? '')).toMatchObject({
    requestContext: { requestId: $metadata.requestId, condition: 'RetriesExhausted' },
    requestPayload: { a: 1 },
    responsePayload: { errorType: 'TypeError', errorMessage: 'no luck' },
  })
  expect(await received('dead')).toMatchObject({
    Body: '{ "a": 1 }',
    MessageAttributes: {
      RequestID: { DataType: 'String', StringValue: $metadata.requestId },
      ErrorCode: { DataType: 'Number', StringValue: '200' },
      ErrorMessage: { DataType: 'String', StringValue: 'no luck' },
    },
  })
  sqs.destroy()
})

/** Stays in its first attempts until it is killed; a later flexi finds the gate open. */
const GATED = `
import { appendFileSync, existsSync } from 'node:fs'
export const handler = async ({ word }, { awsRequestId }) => {
  appendFileSync('begun.txt', word + '\\n')
  if (!existsSync('open')) await new Promise((resolve) => setTimeout(resolve, 60_000))
  appendFileSync('done.txt', word + ' ' + awsRequestId + '\\n')
}
`

test('what was acknowledged runs after flexi was killed, begun or not, unasked and with its id', async () => {
  await using folder = await temporaryFolder()
  await writeFile(join(folder.path, 'gated.mjs'), GATED)
  const gated = { provider: 'lambda', handler: 'gated.handler', timeout: 70 }
  await writeFile(join(folder.path, 'flexi.jsonc'), JSON.stringify({ functions: { gated } }))
  const lines = async (name: string): Promise<string[]> =>
    (await readFile(join(folder.path, name), 'utf8').catch(() => '')).split('\n').slice(0, -1)
  const sent: string[] = []
  {
    await using flexi = await startFlexi(folder.path)
    const client = new LambdaClient({
      endpoint: `${flexi.url}/_flexi/aws`,
      region: 'us-east-1',
      credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
    })
    for (let index = 0; index < 20; index += 1) {
      const Payload = JSON.stringify({ word: `w${index}` })
      const answer = await client.send(
        new InvokeCommand({ FunctionName: 'gated', InvocationType: 'Event', Payload }),
      )
      sent.push(`w${index} ${answer.$metadata.requestId ?? ''}`)
    }
    client.destroy()
    await expect.poll(() => lines('begun.txt'), { timeout: 10_000 }).not.toEqual([])
    flexi.signal('SIGKILL')
    await flexi.exited
  }
  await mkdir(join(folder.path, 'open'))
  const begun = await lines('begun.txt')
  expect(await lines('done.txt')).toEqual([])
  expect(begun.length).toBeLessThanOrEqual(16)
  await using flexi = await startFlexi(folder.path)
  await expect.poll(async () => (await lines('done.txt')).sort(), { timeout: 15_000 }).toEqual(sent.sort())
  expect(flexi.events.filter((event) => event.event === 'warning')).toEqual([])
})
