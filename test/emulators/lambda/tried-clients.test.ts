import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { CreateFunctionCommand, InvokeCommand } from '@aws-sdk/client-lambda'
import { afterEach, expect, test, vi } from 'vitest'

import { json, serveProject } from './api-project.ts'
import { openFunction } from './harness.ts'
import { zipOf } from './zip.ts'

afterEach(() => {
  vi.unstubAllEnvs()
})

test('an empty variable of the shell is none, because clients would ask AWS', async () => {
  vi.stubEnv('AWS_ENDPOINT_URL_SNS', '')
  vi.stubEnv('AWS_REGION', '')
  vi.stubEnv('AWS_DEFAULT_REGION', 'eu-west-1')
  await using project = await serveProject(
    { hello: { handler: 'env.handler' } },
    {
      'env.js': `exports.handler = async (event, { invokedFunctionArn }) =>
        ({ arn: invokedFunctionArn, sns: process.env.AWS_ENDPOINT_URL_SNS, region: process.env.AWS_REGION })`,
    },
  )
  const { Payload } = await project.client.send(new InvokeCommand({ FunctionName: 'hello' }))
  expect(json(Payload)).toEqual({
    arn: 'arn:aws:lambda:eu-west-1:123456789012:function:hello',
    sns: project.endpoint,
    region: 'eu-west-1',
  })
})

test('variables that Lambda sets itself are refused, because they would say something else in the cloud', async () => {
  await using project = await serveProject(
    { hello: { handler: 'a.handler' } },
    { 'a.js': 'exports.handler = async () => 1' },
  )
  const create = new CreateFunctionCommand({
    ...made('made'),
    Environment: { Variables: { STAGE: 'dev', AWS_REGION: 'x', _HANDLER: 'y' } },
  })
  await expect(project.client.send(create)).rejects.toMatchObject({
    name: 'InvalidParameterValueException',
    message: expect.stringContaining('Reserved keys used in this request: AWS_REGION, _HANDLER') as string,
  })
})

test('a handler that is not there is an import error, and says once what is', async () => {
  await using project = await serveProject(
    { hello: { handler: 'a.handler' } },
    { 'a.js': 'exports.handler = async () => 1' },
  )
  await project.client.send(new CreateFunctionCommand({ ...made('made'), Handler: 'nope.handler' }))
  const { FunctionError, Payload } = await project.client.send(new InvokeCommand({ FunctionName: 'made' }))
  expect(FunctionError).toBe('Unhandled')
  expect(json(Payload)).toEqual({
    errorType: 'Runtime.ImportModuleError',
    errorMessage: expect.stringMatching(
      /^Error: made: no file for the handler "nope.handler" in \S+\nThere is: index.js\.$/,
    ) as string,
  })
})

test('a mistake in an option is shown where it stands', async () => {
  const sources = [
    { type: 'sqs', queue: 'jobs' },
    { type: 'sqs', queue: 'jobs', batchSize: 0 },
    { type: 'sqs' },
  ]
  const options = { handler: 'a.handler', maximumRetryAttempts: 5, colour: 'red', sources }
  const fault = (line: number, text: string) => ({
    place: { file: 'flexi.jsonc', line },
    text: expect.stringContaining(text) as string,
  })
  await expect(serveProject({ hello: options }, { 'a.js': '' })).rejects.toMatchObject({
    code: 'FLEXI_CONFIG',
    faults: [
      fault(7, '"colour": "red"'),
      fault(6, '"maximumRetryAttempts": 5'),
      fault(16, '"batchSize": 0'),
      fault(18, '{'),
    ],
  })
})

test('a service that is not here is told apart from those that are', async () => {
  await using project = await serveProject({ hello: { handler: 'a.handler' } }, { 'a.js': '' })
  const post = async (headers: Record<string, string>, body: string) =>
    (await project.ask('/', { method: 'POST', headers, body })).text()
  const form = { 'Content-Type': 'application/x-www-form-urlencoded' }
  const here = 'Lambda, SQS, SNS and EventBridge answer here'
  expect(await post({ 'X-Amz-Target': 'DynamoDB_20120810.ListTables' }, '{}')).toContain(
    `flexi has no DynamoDB_20120810.ListTables: ${here}`,
  )
  expect(await post(form, 'Action=ListUsers&Version=2010-05-08')).toContain(`flexi has no ListUsers: ${here}`)
})

test('a function that is taken out of its file answers who waits for it, and is gone for the next', async () => {
  const code = `exports.handler = async ({ ms = 0 }) => {
    if (ms > 0) console.log('begun')
    return new Promise((done) => setTimeout(done, ms, 'done'))
  }`
  await using project = await serveProject(
    { slow: { handler: 'a.handler' }, other: { handler: 'a.handler' } },
    { 'a.js': code },
  )
  const invoke = (Payload: string) =>
    project.client.send(new InvokeCommand({ FunctionName: 'slow', Payload }))
  expect(json((await invoke('{}')).Payload)).toBe('done')
  const waiting = invoke('{"ms":600}')
  await expect
    .poll(() => project.events)
    .toContainEqual(expect.objectContaining({ event: 'log', text: 'begun' }))
  const functions = { other: { provider: 'lambda', handler: 'a.handler' } }
  await writeFile(join(project.directory, 'flexi.jsonc'), JSON.stringify({ functions }))
  await project.app.restart()
  await expect(invoke('{}')).rejects.toMatchObject({ name: 'ResourceNotFoundException' })
  expect(json((await waiting).Payload)).toBe('done')
})

test('an environment that is ended answers who waits for it, because nobody else would', async () => {
  await using opened = await openFunction(
    {
      'app.js': `exports.handler = () => new Promise(() => { setInterval(() => {}, 1000); console.log('begun') })`,
    },
    { handler: 'app.handler' },
  )
  const waiting = opened.invoke()
  await expect.poll(() => opened.lines).toContainEqual(expect.objectContaining({ text: 'begun' }))
  await opened.pool[Symbol.asyncDispose]()
  expect(await waiting).toMatchObject({
    functionError: 'Unhandled',
    value: { errorType: 'Runtime.ExitError' },
  })
})

function made(FunctionName: string) {
  const ZipFile = zipOf([{ name: 'index.js', text: 'exports.handler = async () => 1' }])
  const Role = 'arn:aws:iam::123456789012:role/any'
  return { FunctionName, Runtime: 'nodejs20.x', Handler: 'index.handler', Role, Code: { ZipFile } } as const
}
