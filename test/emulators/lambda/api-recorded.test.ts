import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import {
  CreateAliasCommand,
  CreateFunctionCommand,
  CreateFunctionUrlConfigCommand,
  DeleteFunctionConcurrencyCommand,
  GetFunctionCommand,
  GetFunctionConcurrencyCommand,
  InvokeCommand,
  PublishVersionCommand,
  PutFunctionConcurrencyCommand,
  PutProvisionedConcurrencyConfigCommand,
  UpdateAliasCommand,
  UpdateFunctionCodeCommand,
} from '@aws-sdk/client-lambda'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { serveProject, type ApiProject } from './api-project.ts'
import { zipOf } from './zip.ts'

const RECORDED = join(import.meta.dirname, '../../../../shared/fixtures/lambda/recordings/test_lambda.json')
const isThere = existsSync(RECORDED)
const why = isThere ? '' : ' (no recordings in ../shared/fixtures)'

/** Members that this machine decides, or that are not told here. */
const LEFT_OUT = new Set(['$metadata', 'ResponseMetadata', 'RuntimeVersionConfig', 'Runtime', 'Payload'])

function record(test_: string, step: string): Readonly<Record<string, unknown>> {
  const all = JSON.parse(readFileSync(RECORDED, 'utf8')) as Record<string, { 'recorded-content'?: object }>
  const name = Object.keys(all).find((key) => key.endsWith(`::${test_}`)) ?? ''
  const content = all[name]?.['recorded-content'] as Record<string, Readonly<Record<string, unknown>>>
  if (content?.[step] === undefined) throw new Error(`${test_} has no ${step}`)
  return content[step]
}

function names(value: object): readonly string[] {
  return Object.entries(value)
    .filter(([name, inner]) => !LEFT_OUT.has(name) && inner !== undefined)
    .map(([name]) => name)
    .toSorted()
}

/** The same members; the same values where the recording has no placeholder. */
function expectAsRecorded(answer: object, recorded: Readonly<Record<string, unknown>>): void {
  expect(names(answer)).toEqual(names(recorded))
  const plain = Object.entries(recorded).filter(
    ([name, value]) =>
      !LEFT_OUT.has(name) && !/<[^>]+>|"date"|"code-sha256"|x86_64/.test(JSON.stringify(value)),
  )
  expect(answer).toMatchObject(Object.fromEntries(plain))
  const { HTTPStatusCode } = recorded['ResponseMetadata'] as { readonly HTTPStatusCode: number }
  expect(answer).toMatchObject({ $metadata: { httpStatusCode: HTTPStatusCode } })
}

describe.skipIf(!isThere)(`answers have what the cloud was recorded to answer${why}`, () => {
  let project: ApiProject
  beforeAll(async () => {
    project = await serveProject({ any: { handler: 'a.handler' } }, { 'a.js': 'exports.handler = () => 1' })
  })
  afterAll(() => project?.[Symbol.asyncDispose]())

  const code = (text: string) =>
    zipOf([{ name: 'handler.js', text: `exports.handler = async () => '${text}'` }])
  const create = (FunctionName: string, more: object = {}) =>
    project.client.send(
      new CreateFunctionCommand({
        FunctionName,
        Runtime: 'nodejs20.x',
        Handler: 'handler.handler',
        Role: 'arn:aws:iam::123456789012:role/tests',
        Code: { ZipFile: code('one') },
        ...more,
      }),
    )

  test('versions and aliases', async () => {
    const { client } = project
    const FunctionName = 'moving'
    const recorded = (step: string) => record('TestLambdaAliases::test_lambda_alias_moving', step)
    expectAsRecorded(
      await create(FunctionName, { Description: 'No version :(' }),
      recorded('create_response'),
    )
    await client.send(
      new PublishVersionCommand({ FunctionName, Description: 'First version description :)' }),
    )
    const alias = { FunctionName, Name: 'alias1' }
    expectAsRecorded(
      await client.send(new CreateAliasCommand({ ...alias, FunctionVersion: '1', Description: '' })),
      recorded('create_alias_response'),
    )
    expectAsRecorded(
      await client.send(new InvokeCommand({ FunctionName, Qualifier: 'alias1' })),
      recorded('invocation_result_qualifier_v1'),
    )
    expectAsRecorded(
      await client.send(new UpdateFunctionCodeCommand({ FunctionName, ZipFile: code('two') })),
      recorded('update_lambda_response'),
    )
    const published = await client.send(
      new PublishVersionCommand({ FunctionName, Description: 'Second version description :)' }),
    )
    expectAsRecorded(published, recorded('second_publish_response'))
    expectAsRecorded(
      await client.send(new UpdateAliasCommand({ ...alias, FunctionVersion: '2' })),
      recorded('update_alias_response'),
    )
    const { Message } = recorded('invocation_exc_not_existent') as { readonly Message: string }
    const nobody = client.send(new InvokeCommand({ FunctionName, Qualifier: 'non-existent-alias' }))
    await expect(nobody).rejects.toMatchObject({
      name: 'ResourceNotFoundException',
      message: Message.replace('<partition>', 'aws')
        .replace('<region>', 'us-east-1')
        .replace('111111111111', '123456789012')
        .replace('<function-name:1>', FunctionName),
    })
  })

  test('functions that are published with their code', async () => {
    const { client } = project
    const recorded = (step: string) =>
      record('TestLambdaVersions::test_lambda_versions_with_code_changes', step)
    await create('published', { Description: 'No version :(' })
    const answer = await client.send(
      new UpdateFunctionCodeCommand({ FunctionName: 'published', ZipFile: code('three'), Publish: true }),
    )
    expect(names(answer)).toEqual(names(recorded('update_lambda_response_with_publish')))
  })

  test('a function that is there', async () => {
    const recorded = record('TestLambdaBaseFeatures::test_function_state', 'get-fn-response')
    await create('state')
    const { Configuration = {}, Code = {} } = await project.client.send(
      new GetFunctionCommand({ FunctionName: 'state' }),
    )
    expect(names(Configuration)).toEqual(names(recorded['Configuration'] as object))
    expect(names(Code)).toEqual(names(recorded['Code'] as object))
  })

  test('concurrency', async () => {
    const { client } = project
    const FunctionName = 'reserved'
    const recorded = (step: string) => record('TestLambdaConcurrency::test_lambda_concurrency_crud', step)
    await create(FunctionName, { Publish: true })
    const get = () => client.send(new GetFunctionConcurrencyCommand({ FunctionName }))
    expectAsRecorded(await get(), recorded('get_function_concurrency_default'))
    const put = new PutFunctionConcurrencyCommand({ FunctionName, ReservedConcurrentExecutions: 0 })
    expectAsRecorded(await client.send(put), recorded('put_function_concurrency'))
    expectAsRecorded(await get(), recorded('get_function_concurrency_updated'))
    await client.send(new DeleteFunctionConcurrencyCommand({ FunctionName }))
    expectAsRecorded(await get(), recorded('get_function_concurrency_deleted'))
    expect((await get()).ReservedConcurrentExecutions).toBeUndefined()
    expectAsRecorded(
      await client.send(
        new PutProvisionedConcurrencyConfigCommand({
          FunctionName,
          Qualifier: '1',
          ProvisionedConcurrentExecutions: 5,
        }),
      ),
      record('TestLambdaConcurrency::test_provisioned_concurrency_on_alias', 'put_provisioned_5'),
    )
  })

  test('function URLs', async () => {
    await create('url')
    const answer = await project.client.send(
      new CreateFunctionUrlConfigCommand({ FunctionName: 'url', AuthType: 'NONE', InvokeMode: 'BUFFERED' }),
    )
    const recorded = record(
      'TestLambdaURL::test_lambda_update_function_url_config',
      'create_lambda_url_config',
    )
    expectAsRecorded(answer, recorded)
    expect(answer.FunctionUrl).toMatch(/^http:/)
  })
})
