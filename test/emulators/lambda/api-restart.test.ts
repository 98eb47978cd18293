import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import {
  CreateAliasCommand,
  CreateFunctionCommand,
  CreateFunctionUrlConfigCommand,
  GetFunctionCommand,
  GetFunctionConfigurationCommand,
  InvokeCommand,
  ListFunctionsCommand,
  PublishVersionCommand,
  PutFunctionConcurrencyCommand,
  UpdateFunctionConfigurationCommand,
} from '@aws-sdk/client-lambda'
import { expect, test } from 'vitest'

import { json, serveProject, type ApiProject } from './api-project.ts'
import { zipOf } from './zip.ts'

const HANDLER = `exports.handler = async (_event, { functionVersion }) => functionVersion + ' ' + process.env.STAGE`
const files = { 'app.js': HANDLER }

async function ran({ client }: ApiProject, FunctionName: string, Qualifier?: string): Promise<unknown> {
  return json((await client.send(new InvokeCommand({ FunctionName, Qualifier }))).Payload)
}

async function make({ client }: ApiProject, FunctionName = 'made'): Promise<void> {
  await client.send(
    new CreateFunctionCommand({
      FunctionName,
      Runtime: 'nodejs20.x',
      Handler: 'index.handler',
      Role: 'arn:aws:iam::123456789012:role/tests',
      Code: { ZipFile: zipOf([{ name: 'index.js', text: HANDLER }]) },
      Environment: { Variables: { STAGE: 'made' } },
      Publish: true,
      Tags: { kept: 'yes' },
    }),
  )
}

function setStage({ client }: ApiProject, FunctionName: string, STAGE: string) {
  const Environment = { Variables: { STAGE } }
  return client.send(new UpdateFunctionConfigurationCommand({ FunctionName, Environment }))
}

test('what the API made is there after a restart: functions, versions, aliases, URLs, limits', async () => {
  const first = await serveProject({ own: { handler: 'app.handler' } }, files)
  const { client } = first
  await make(first)
  await setStage(first, 'made', 'later')
  await setStage(first, 'own', 'over')
  await client.send(new PublishVersionCommand({ FunctionName: 'own' }))
  await client.send(new CreateAliasCommand({ FunctionName: 'made', Name: 'live', FunctionVersion: '1' }))
  await client.send(
    new CreateFunctionUrlConfigCommand({ FunctionName: 'made', Qualifier: 'live', AuthType: 'NONE' }),
  )
  await client.send(
    new PutFunctionConcurrencyCommand({ FunctionName: 'own', ReservedConcurrentExecutions: 0 }),
  )
  await using second = await first.restarted()
  expect(await ran(second, 'made')).toBe('$LATEST later')
  expect(await ran(second, 'made', 'live')).toBe('1 made')
  const { Configuration, Tags, Concurrency } = await second.client.send(
    new GetFunctionCommand({ FunctionName: 'made' }),
  )
  expect([Configuration?.State, Tags, Concurrency]).toEqual(['Active', { kept: 'yes' }, undefined])
  await expect(ran(second, 'own')).rejects.toMatchObject({ name: 'TooManyRequestsException' })
  await expect.poll(async () => (await fetch(`${second.app.url}/_flexi/f/made:live/`)).text()).toBe('1 made')
  const own = await second.client.send(new GetFunctionConfigurationCommand({ FunctionName: 'own' }))
  expect(own.Environment?.Variables).toEqual({ STAGE: 'over' })
  const again = await second.client.send(new PublishVersionCommand({ FunctionName: 'own' }))
  expect(again.Version).toBe('1')
})

test('a file that says something else of a function than it did counts again, before and after a restart', async () => {
  const first = await serveProject({ own: { handler: 'app.handler' } }, files)
  const say = (stage: string) =>
    writeFile(
      join(first.directory, 'flexi.jsonc'),
      JSON.stringify({
        functions: { own: { provider: 'lambda', handler: 'app.handler', environment: { STAGE: stage } } },
      }),
    )
  await setStage(first, 'own', 'over')
  expect(await ran(first, 'own')).toBe('$LATEST over')
  await say('file')
  await first.app.restart()
  await expect.poll(() => ran(first, 'own')).toBe('$LATEST file')
  await setStage(first, 'own', 'again')
  await using second = await first.restarted(() => say('other'))
  expect(await ran(second, 'own')).toBe('$LATEST other')
})

test.each([
  ['cut off', '{"format":1,'],
  ['of another format', '{"format":2}'],
  ['not complete', '{"format":1,"functions":{"a":{}},"mappings":{},"layers":{}}'],
])('state that is %s is set aside with a warning, and the project is served', async (_how, broken) => {
  const first = await serveProject({ own: { handler: 'app.handler' } }, files)
  const folder = join(first.directory, '.flexi', 'lambda')
  await using second = await first.restarted(async () => {
    await mkdir(folder, { recursive: true })
    await writeFile(join(folder, 'state.json'), broken)
  })
  const { Functions } = await second.client.send(new ListFunctionsCommand({}))
  expect(Functions?.map(({ FunctionName }) => FunctionName)).toEqual(['own'])
  const [aside = ''] = (await readdir(folder)).filter((name) => name.startsWith('state.json.broken-'))
  expect(await readFile(join(folder, aside), 'utf8')).toBe(broken)
  const warnings = second.events.flatMap((event) => (event.event === 'warning' ? [event.message] : []))
  expect(warnings).toEqual([expect.stringContaining(`it is set aside as ${join(folder, aside)}`)])
})

test('what moves inside of its file says nothing else: what the API changed stays', async () => {
  await using project = await serveProject({ own: { handler: 'app.handler' } }, files)
  await setStage(project, 'own', 'over')
  const own = { provider: 'lambda', handler: 'app.handler' }
  const text = JSON.stringify({ functions: { first: own, own } }, undefined, 4)
  await writeFile(join(project.directory, 'flexi.jsonc'), `// moved\n\n${text}`)
  await project.app.restart()
  expect(await ran(project, 'first')).toBe('$LATEST undefined')
  expect(await ran(project, 'own')).toBe('$LATEST over')
})

test('a project that uses nothing of it leaves no trace of the API', async () => {
  await using project = await serveProject({ own: { handler: 'app.handler' } }, files)
  expect(await ran(project, 'own')).toBe('$LATEST undefined')
  await expect(readdir(join(project.directory, '.flexi', 'lambda'))).rejects.toThrow('ENOENT')
})

test('a queue that a file declares later is there, while sources of functions run', async () => {
  const template = (queues: readonly string[]) =>
    JSON.stringify({
      Transform: 'AWS::Serverless-2016-10-31',
      Resources: {
        Own: {
          Type: 'AWS::Serverless::Function',
          Properties: {
            Handler: 'app.handler',
            Runtime: 'nodejs20.x',
            Events: { Tick: { Type: 'Schedule', Properties: { Schedule: 'rate(1 day)' } } },
          },
        },
        ...Object.fromEntries(
          queues.map((name) => [name, { Type: 'AWS::SQS::Queue', Properties: { QueueName: name } }]),
        ),
      },
    })
  await using project = await serveProject({}, { ...files, 'template.json': template(['first']) })
  const queues = async () => {
    const headers = { 'x-amz-target': 'AmazonSQS.ListQueues', 'content-type': 'application/x-amz-json-1.0' }
    const answer = await project.ask('/', { method: 'POST', headers, body: '{}' })
    return (((await answer.json()) as { QueueUrls?: string[] }).QueueUrls ?? []).map((url) =>
      url.split('/').at(-1),
    )
  }
  expect(await queues()).toEqual(['first'])
  await writeFile(join(project.directory, 'template.json'), template(['first', 'second']))
  await project.app.restart()
  await expect.poll(queues).toEqual(['first', 'second'])
})

test('names that every object of JavaScript has are names like others', async () => {
  const first = await serveProject({ own: { handler: 'app.handler' } }, files)
  const { client } = first
  const missing = (path: string) => first.ask(path).then(({ status }) => status)
  expect(await missing('/2015-03-31/event-source-mappings/constructor')).toBe(404)
  expect(await missing('/2018-10-31/layers/constructor/versions')).toBe(200)
  const alias = { FunctionName: 'own', Name: 'constructor' }
  await expect(ran(first, 'own', alias.Name)).rejects.toMatchObject({ name: 'ResourceNotFoundException' })
  await client.send(new CreateAliasCommand({ ...alias, FunctionVersion: '$LATEST' }))
  await make(first, 'constructor')
  expect(await ran(first, 'own', alias.Name)).toBe('$LATEST undefined')
  await using again = await first.restarted()
  expect(await ran(again, 'constructor', '1')).toBe('1 made')
})
