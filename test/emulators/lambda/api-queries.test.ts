import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

import {
  GetAccountSettingsCommand,
  GetAliasCommand,
  GetFunctionCommand,
  GetFunctionConfigurationCommand,
  GetFunctionEventInvokeConfigCommand,
  GetFunctionUrlConfigCommand,
  GetPolicyCommand,
  GetProvisionedConcurrencyConfigCommand,
  InvokeCommand,
  LambdaServiceException,
  ListAliasesCommand,
  ListEventSourceMappingsCommand,
  ListFunctionEventInvokeConfigsCommand,
  ListFunctionUrlConfigsCommand,
  ListLayersCommand,
  ListProvisionedConcurrencyConfigsCommand,
  ListTagsCommand,
  ListVersionsByFunctionCommand,
  paginateListFunctions,
  PutRuntimeManagementConfigCommand,
  waitUntilFunctionActiveV2,
} from '@aws-sdk/client-lambda'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { serveProject, type ApiProject } from './api-project.ts'

const run = promisify(execFile)
const aws = await run('aws', ['--version']).then(
  ({ stdout }) => stdout.trim(),
  () => undefined,
)

const ARN = 'arn:aws:lambda:eu-central-1:123456789012:function:hello'
let project: ApiProject
beforeAll(async () => {
  project = await serveProject(
    {
      hello: {
        handler: 'app.handler',
        runtime: 'nodejs20.x',
        timeout: 7,
        memory: 256,
        environment: { STAGE: 'dev', AWS_REGION: 'eu-central-1' },
      },
      other: { handler: 'app.handler' },
      third: { handler: 'app.handler', maximumRetryAttempts: 0 },
    },
    { 'app.js': 'exports.handler = async (event) => ({ got: event })', 'event.json': '{"a":1}' },
  )
})
afterAll(() => project?.[Symbol.asyncDispose]())

describe('what a project says of its functions', () => {
  test('GetFunction and GetFunctionConfiguration show the configuration in force', async () => {
    const { Configuration, Code } = await project.client.send(
      new GetFunctionCommand({ FunctionName: 'hello' }),
    )
    expect(Configuration).toMatchObject({
      FunctionName: 'hello',
      FunctionArn: ARN,
      Runtime: 'nodejs20.x',
      Handler: 'app.handler',
      Timeout: 7,
      MemorySize: 256,
      Version: '$LATEST',
      Environment: { Variables: { STAGE: 'dev' } },
      State: 'Active',
      LastUpdateStatus: 'Successful',
      PackageType: 'Zip',
      LastModified: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000$/),
      RevisionId: expect.stringMatching(/^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/),
      CodeSha256: expect.stringMatching(/^[\w+/]{43}=$/),
    })
    expect(Code?.Location).toMatch(/^file:\/\/\//)
    const qualified = await project.client.send(
      new GetFunctionConfigurationCommand({ FunctionName: ARN, Qualifier: '$LATEST' }),
    )
    expect(qualified).toMatchObject({ FunctionArn: `${ARN}:$LATEST`, RevisionId: Configuration?.RevisionId })
  })

  test('a function without variables, timeout and memory has Lambda’s defaults', async () => {
    const found = await project.client.send(new GetFunctionConfigurationCommand({ FunctionName: 'other' }))
    expect(found).toMatchObject({
      Timeout: 3,
      MemorySize: 128,
      Runtime: expect.stringMatching(/^nodejs\d+\.x$/),
    })
    expect(found.Environment).toBeUndefined()
  })

  test('ListFunctions gives them in the project’s order, page by page', async () => {
    const pages: (string | undefined)[][] = []
    for await (const { Functions } of paginateListFunctions({ client: project.client, pageSize: 2 }, {}))
      pages.push((Functions ?? []).map(({ FunctionName }) => FunctionName))
    expect(pages).toEqual([['hello', 'other'], ['third']])
  })

  test('a page that cannot be is refused', async () => {
    for (const [query, type] of [
      ['Marker=bm9ib2R5', 'InvalidParameterValueException'],
      ['MaxItems=0', 'ValidationException'],
      ['MaxItems=many', 'ValidationException'],
    ]) {
      const answer = await project.ask(`/2015-03-31/functions/?${query}`)
      expect([answer.status, answer.headers.get('x-amzn-errortype')]).toEqual([400, type])
    }
  })

  test('there is one version and no alias', async () => {
    const { client } = project
    const { Versions } = await client.send(new ListVersionsByFunctionCommand({ FunctionName: 'hello' }))
    expect(Versions).toMatchObject([{ Version: '$LATEST', FunctionArn: `${ARN}:$LATEST` }])
    expect((await client.send(new ListAliasesCommand({ FunctionName: 'hello' }))).Aliases).toEqual([])
    await expect(
      client.send(new GetAliasCommand({ FunctionName: 'hello', Name: 'live' })),
    ).rejects.toMatchObject({
      name: 'ResourceNotFoundException',
      message: `Cannot find alias arn: ${ARN}:live`,
    })
  })

  test('the function URL is the function’s own address, and answers', async () => {
    const { client } = project
    const found = await client.send(new GetFunctionUrlConfigCommand({ FunctionName: 'hello' }))
    expect(found).toMatchObject({ FunctionArn: ARN, AuthType: 'NONE' })
    const answer = await fetch(`${found.FunctionUrl}a?b=c`)
    expect(await answer.json()).toMatchObject({ got: { rawPath: '/a', rawQueryString: 'b=c' } })
    const { FunctionUrlConfigs } = await client.send(
      new ListFunctionUrlConfigsCommand({ FunctionName: 'hello' }),
    )
    expect(FunctionUrlConfigs).toMatchObject([{ FunctionUrl: found.FunctionUrl }])
  })

  test('account settings, tags, layers and event source mappings', async () => {
    const { client } = project
    const settings = await client.send(new GetAccountSettingsCommand({}))
    expect(settings).toMatchObject({
      AccountUsage: { FunctionCount: 3 },
      AccountLimit: { ConcurrentExecutions: 1000 },
    })
    expect((await client.send(new ListTagsCommand({ Resource: ARN }))).Tags).toEqual({})
    expect((await client.send(new ListLayersCommand({}))).Layers).toEqual([])
    const mappings = await client.send(new ListEventSourceMappingsCommand({ FunctionName: 'hello' }))
    expect(mappings.EventSourceMappings).toEqual([])
  })

  test('settings that a function may have, and has not, are not found, each with the class that Lambda has for it', async () => {
    const { client } = project
    const input = { FunctionName: 'hello', Qualifier: '$LATEST' }
    await expect(client.send(new GetProvisionedConcurrencyConfigCommand(input))).rejects.toMatchObject({
      name: 'ProvisionedConcurrencyConfigNotFoundException',
      message: 'No Provisioned Concurrency Config found for this function',
    })
    await expect(client.send(new GetFunctionEventInvokeConfigCommand(input))).rejects.toMatchObject({
      name: 'ResourceNotFoundException',
      message: `The function ${ARN}:$LATEST doesn't have an EventInvokeConfig`,
    })
    await expect(client.send(new GetPolicyCommand(input))).rejects.toMatchObject({
      name: 'ResourceNotFoundException',
    })
    const provisioned = await client.send(
      new ListProvisionedConcurrencyConfigsCommand({ FunctionName: 'hello' }),
    )
    expect(provisioned.ProvisionedConcurrencyConfigs).toEqual([])
  })

  test('what is said of events that nobody waits for', async () => {
    const { client } = project
    const found = await client.send(new GetFunctionEventInvokeConfigCommand({ FunctionName: 'third' }))
    expect(found).toMatchObject({
      MaximumRetryAttempts: 0,
      DestinationConfig: { OnSuccess: {}, OnFailure: {} },
    })
    expect(found.MaximumEventAgeInSeconds).toBeUndefined()
    expect(found.LastModified?.getFullYear()).toBe(new Date().getFullYear())
    const listed = await client.send(new ListFunctionEventInvokeConfigsCommand({ FunctionName: 'third' }))
    expect(listed.FunctionEventInvokeConfigs).toHaveLength(1)
  })

  test('options of events that cannot be are faults, all at once', async () => {
    const wrong = { handler: 'app.handler', maximumRetryAttempts: 3, maximumEventAge: '1h' }
    await expect(serveProject({ wrong }, { 'app.js': '' })).rejects.toThrow(
      /"maximumRetryAttempts" cannot be 3[^]*"maximumEventAge" cannot be "1h"/,
    )
  })

  test('a waiter for a function that is there ends at once', async () => {
    const waited = await waitUntilFunctionActiveV2(
      { client: project.client, maxWaitTime: 5 },
      { FunctionName: 'hello' },
    )
    expect(waited.state).toBe('SUCCESS')
  })

  test('what is not known is not found, without a version in its name', async () => {
    await expect(
      project.client.send(new GetFunctionCommand({ FunctionName: 'nobody' })),
    ).rejects.toMatchObject({
      name: 'ResourceNotFoundException',
      message: 'Function not found: arn:aws:lambda:us-east-1:123456789012:function:nobody',
    })
  })
})

test('a changed configuration is shown at once, with a new revision', async () => {
  await using changing = await serveProject(
    { hello: { handler: 'app.handler' } },
    { 'app.js': 'exports.handler = async () => 1' },
  )
  const { client } = changing
  const before = await client.send(new GetFunctionConfigurationCommand({ FunctionName: 'hello' }))
  const hello = { provider: 'lambda', handler: 'app.handler' }
  const functions = { hello: { ...hello, timeout: 9 }, late: hello }
  await writeFile(join(changing.directory, 'flexi.jsonc'), JSON.stringify({ functions }))
  await changing.app.restart()
  const after = await client.send(new GetFunctionConfigurationCommand({ FunctionName: 'hello' }))
  expect([before.Timeout, after.Timeout]).toEqual([3, 9])
  expect(after.RevisionId).not.toBe(before.RevisionId)
  const { Payload } = await client.send(new InvokeCommand({ FunctionName: 'late' }))
  expect(Buffer.from(Payload ?? []).toString()).toBe('1')
})

test('an operation that is not there says so, with a status that no SDK repeats', async () => {
  const command = new PutRuntimeManagementConfigCommand({ FunctionName: 'hello', UpdateRuntimeOn: 'Auto' })
  const error: unknown = await project.client.send(command).catch((thrown: unknown) => thrown)
  if (!(error instanceof LambdaServiceException)) throw new Error('it was not refused')
  expect(error).toMatchObject({
    name: 'NotImplementedException',
    message: 'flexi has no PutRuntimeManagementConfig',
    $metadata: { httpStatusCode: 501, attempts: 1 },
  })
})

describe.skipIf(aws === undefined)('the aws command line (skipped where aws is not installed)', () => {
  const lambda = (...args: readonly string[]) =>
    run('aws', ['lambda', ...args, '--endpoint-url', project.endpoint], {
      cwd: project.directory,
      env: {
        PATH: process.env['PATH'],
        HOME: project.directory,
        AWS_ACCESS_KEY_ID: 'flexi',
        AWS_SECRET_ACCESS_KEY: 'flexi',
        AWS_REGION: 'eu-central-1',
        AWS_DEFAULT_REGION: 'eu-central-1',
        AWS_MAX_ATTEMPTS: '1',
        PYENV_VERSION: process.env['PYENV_VERSION'],
      },
    })

  test('invoke writes the answer to a file and prints what was run', async () => {
    const { stdout } = await lambda(
      'invoke',
      '--function-name',
      ARN,
      '--payload',
      'fileb://event.json',
      '--log-type',
      'Tail',
      'out.json',
    )
    expect(JSON.parse(stdout)).toMatchObject({
      StatusCode: 200,
      ExecutedVersion: '$LATEST',
      LogResult: expect.stringMatching(/^\S+$/),
    })
    expect(await readFile(join(project.directory, 'out.json'), 'utf8')).toBe('{"got":{"a":1}}')
  })

  test('list-functions lists', async () => {
    const { stdout } = await lambda(
      'list-functions',
      '--query',
      'Functions[].FunctionName',
      '--output',
      'text',
    )
    expect(stdout).toBe('hello\tother\tthird\n')
  })

  test('errors are shown with their names', async () => {
    await expect(lambda('get-function', '--function-name', 'nobody')).rejects.toThrow(
      /\(ResourceNotFoundException\) when calling the GetFunction operation: Function not found: arn:aws:lambda/,
    )
  })
})
