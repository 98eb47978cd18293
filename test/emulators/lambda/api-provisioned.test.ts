import {
  CreateAliasCommand,
  DeleteProvisionedConcurrencyConfigCommand,
  GetProvisionedConcurrencyConfigCommand,
  InvokeCommand,
  PublishVersionCommand,
  PutProvisionedConcurrencyConfigCommand,
  type LambdaClient,
} from '@aws-sdk/client-lambda'
import { afterAll, beforeAll, expect, test } from 'vitest'

import { json, serveProject, type ApiProject } from './api-project.ts'

const CODE = `exports.handler = async () => ({
  type: process.env.AWS_LAMBDA_INITIALIZATION_TYPE,
  version: process.env.AWS_LAMBDA_FUNCTION_VERSION,
})`

let project: ApiProject
let client: LambdaClient
beforeAll(async () => {
  project = await serveProject(
    {
      plain: { handler: 'app.handler' },
      broken: { handler: 'broken.handler' },
      ahead: { handler: 'app.handler', alias: 'live', provisionedConcurrency: 2 },
    },
    { 'app.js': CODE, 'broken.js': `throw new Error('not today')` },
  )
  client = project.client
})
afterAll(() => project?.[Symbol.asyncDispose]())

async function stateOf(FunctionName: string, Qualifier: string): Promise<object> {
  const config = await client.send(new GetProvisionedConcurrencyConfigCommand({ FunctionName, Qualifier }))
  const { Status, AvailableProvisionedConcurrentExecutions: available } = config
  return { Status, available }
}

async function typeOf(FunctionName: string): Promise<unknown> {
  const { Payload } = await client.send(new InvokeCommand({ FunctionName }))
  return json(Payload)
}

test('environments of a version are started ahead, and know it', async () => {
  await client.send(new PublishVersionCommand({ FunctionName: 'plain' }))
  await client.send(new CreateAliasCommand({ FunctionName: 'plain', Name: 'blue', FunctionVersion: '1' }))
  const put = await client.send(
    new PutProvisionedConcurrencyConfigCommand({
      FunctionName: 'plain',
      Qualifier: 'blue',
      ProvisionedConcurrentExecutions: 2,
    }),
  )
  expect(put).toMatchObject({ Status: 'IN_PROGRESS', RequestedProvisionedConcurrentExecutions: 2 })
  await expect
    .poll(() => stateOf('plain', 'blue'), { timeout: 10_000 })
    .toEqual({ Status: 'READY', available: 2 })
  expect(await typeOf('plain:blue')).toEqual({ type: 'provisioned-concurrency', version: '1' })
  expect(await typeOf('plain')).toEqual({ type: 'on-demand', version: '$LATEST' })
  await client.send(
    new DeleteProvisionedConcurrencyConfigCommand({ FunctionName: 'plain', Qualifier: 'blue' }),
  )
  expect(await typeOf('plain:blue')).toEqual({ type: 'on-demand', version: '1' })
})

test('environments that cannot be started are told as failed', async () => {
  await client.send(new PublishVersionCommand({ FunctionName: 'broken' }))
  await client.send(
    new PutProvisionedConcurrencyConfigCommand({
      FunctionName: 'broken',
      Qualifier: '1',
      ProvisionedConcurrentExecutions: 1,
    }),
  )
  await expect
    .poll(() => stateOf('broken', '1'), { timeout: 10_000 })
    .toEqual({ Status: 'FAILED', available: 0 })
})

test('what a file provisions is there at the start, for the alias that it names', async () => {
  await expect
    .poll(() => stateOf('ahead', 'live'), { timeout: 10_000 })
    .toEqual({ Status: 'READY', available: 2 })
  expect(await typeOf('ahead:live')).toEqual({ type: 'provisioned-concurrency', version: '$LATEST' })
})
