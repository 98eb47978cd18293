import { randomUUID } from 'node:crypto'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import {
  CreateAliasCommand,
  DeleteFunctionCommand,
  GetFunctionCommand,
  PublishVersionCommand,
  PutFunctionConcurrencyCommand,
  UpdateAliasCommand,
  UpdateFunctionCodeCommand,
  UpdateFunctionConfigurationCommand,
} from '@aws-sdk/client-lambda'
import { expect } from 'vitest'

import type { Files } from '../harness.ts'
import { zipOf } from '../zip.ts'
import { PYTHON, REVISIONS, type RecordedCases } from './case.ts'
import { until, type Answer, type Cloud } from './cloud.ts'
import { PYTHON_ENVIRONMENT, PYTHON_HELLO, pythonVersion } from './functions.ts'

const SHORT = { Timeout: 3, Environment: undefined, Description: 'No version :(' } as const

function zipped(code: Files): Uint8Array {
  return zipOf(Object.entries(code).map(([name, text]) => ({ name, text })))
}

/** The two halves of an answer that Python's helper for making functions gives. */
function madeWith(created: Answer): Answer {
  return { CreateEventSourceMappingResponse: null, CreateFunctionResponse: created }
}

function published(cloud: Cloud, FunctionName: string, Description?: string): Promise<Answer> {
  return cloud.answer(cloud.lambda.send(new PublishVersionCommand({ FunctionName, Description })))
}

async function updatedCode(cloud: Cloud, name: string, code: Files, more: object = {}): Promise<Answer> {
  const command = new UpdateFunctionCodeCommand({ FunctionName: name, ZipFile: zipped(code), ...more })
  const answer = await cloud.answer(cloud.lambda.send(command))
  await cloud.updated(name)
  return answer
}

/** Notes each event with the variant that took it; one with a gate waits until that is there. */
const VARIANTS: Files = {
  'handler.py': `import os, time
variant = os.environ["FUNCTION_VARIANT"]
def handler(event, context):
    prefix = event["request_prefix"]
    while "gate" in event and not os.path.exists(event["gate"]):
        time.sleep(0.02)
    if "file" in event:
        with open(event["file"], "a") as file:
            file.write(prefix + "--" + variant + "\\n")
    return {"function_variant": variant, "function_version": context.function_version,
            "request_id": context.aws_request_id, "request_prefix": prefix}
`,
}

const variant = (number: number) => ({ Variables: { FUNCTION_VARIANT: `variant-${number}` } })

const VERSIONS: RecordedCases = {
  'TestLambdaVersions::test_lambda_versions_with_code_changes': {
    needs: PYTHON,
    run: async (cloud, name) => {
      const invoke = (Qualifier?: string): Promise<Answer> => cloud.invoke(name, {}, { Qualifier })
      const create_response = await cloud.create(name, pythonVersion('version1'), SHORT)
      const first = await published(cloud, name, 'First version description :)')
      const invocation_result_v1 = await invoke('1')
      const update_lambda_response = await updatedCode(cloud, name, pythonVersion('version2'))
      const invocation_result_latest = await invoke()
      const second = await published(cloud, name, 'Second version description :)')
      const invocation_result_v2 = await invoke('2')
      const third = await updatedCode(cloud, name, pythonVersion('version3'), { Publish: true })
      return {
        create_response,
        first_publish_response: first,
        invocation_result_v1,
        update_lambda_response,
        invocation_result_latest,
        second_publish_response: second,
        invocation_result_v2,
        update_lambda_response_with_publish: third,
        invocation_result_v3: await invoke('3'),
        invocation_result_latest_end: await invoke(),
        invocation_result_v2_end: await invoke('2'),
        invocation_result_v1_end: await invoke('1'),
      }
    },
  },
  'TestLambdaVersions::test_lambda_handler_update': {
    needs: PYTHON,
    run: async (cloud, name) => {
      const code = {
        'handler.py': `def handler(event, context):
    return {"handler": "handler"}
def handler_two(event, context):
    return {"handler": "handler_two"}
`,
      }
      await cloud.create(name, code)
      const invoke_result_handler_one = await cloud.invoke(name)
      const update = new UpdateFunctionConfigurationCommand({
        FunctionName: name,
        Handler: 'handler.handler_two',
      })
      const updated = await cloud.answer(cloud.lambda.send(update))
      await cloud.updated(name)
      const got = await cloud.answer(cloud.lambda.send(new GetFunctionCommand({ FunctionName: name })))
      const invoke_result_handler_two = await cloud.invoke(name)
      await published(cloud, name)
      return {
        invoke_result_handler_one,
        update_function_configuration_result: updated,
        get_function_result: got,
        invoke_result_handler_two,
        invoke_result_handler_two_postpublish: await cloud.invoke(name),
      }
    },
    differs: { 'uuid:1 and uuid:2': REVISIONS },
  },
  'TestLambdaVersions::test_function_update_during_invoke': {
    needs: PYTHON,
    run: async (cloud, name) => {
      await cloud.create(name, VARIANTS, { Environment: variant(1) })
      const gate = join(tmpdir(), `flexi-test-${randomUUID()}`)
      const before = cloud.invoke(name, { request_prefix: '1-sleep', gate })
      const update = new UpdateFunctionConfigurationCommand({ FunctionName: name, Environment: variant(2) })
      await until('it has begun', () => cloud.printed(name).some((line) => line.startsWith('START')))
      await cloud.lambda.send(update)
      await cloud.updated(name)
      const { Payload } = await cloud.invoke(name, { request_prefix: '2-after' })
      expect(Payload).toMatchObject({ function_variant: 'variant-2' })
      await writeFile(gate, '')
      const invoke_response_before = await before
      await rm(gate)
      return { invoke_response_before }
    },
  },
  'TestLambdaVersions::test_async_invoke_queue_upon_function_update': {
    needs: PYTHON,
    run: async (cloud, name) => {
      const file = join(tmpdir(), `flexi-test-${randomUUID()}`)
      const lines = async (): Promise<readonly string[]> =>
        (await readFile(file, 'utf8').catch(() => '')).trim().split('\n').sort()
      const gate = `${file}-gate`
      const send = (prefix: string): Promise<Answer> =>
        cloud.invoke(name, { request_prefix: prefix, file, gate }, { InvocationType: 'Event' })
      const numbered = (from: number, to: number, word: string): string[] =>
        Array.from(
          { length: to - from + 1 },
          (_, index) => `${String(from + index).padStart(2, '0')}-${word}`,
        )
      await cloud.create(name, VARIANTS, { Environment: variant(1) })
      const reserve = { FunctionName: name, ReservedConcurrentExecutions: 1 }
      await cloud.lambda.send(new PutFunctionConcurrencyCommand(reserve))
      await send('01-sleep')
      await until('it has begun', () => cloud.printed(name).some((line) => line.startsWith('START')))
      for (const prefix of numbered(2, 10, 'before')) await send(prefix)
      const update = { FunctionName: name, Environment: variant(2) }
      await cloud.lambda.send(new UpdateFunctionConfigurationCommand(update))
      await cloud.updated(name)
      for (const prefix of numbered(11, 15, 'after')) await send(prefix)
      await writeFile(gate, '')
      await until('all have run', async () => (await lines()).length === 15)
      const history = await lines()
      await Promise.all([rm(file), rm(gate)])
      return { async_invoke_history_sorted: history }
    },
  },
}

const ALIASES: RecordedCases = {
  'TestLambdaAliases::test_alias_routingconfig': {
    needs: PYTHON,
    run: async (cloud, name) => {
      await cloud.create(name, PYTHON_HELLO)
      await published(cloud, name)
      await updatedCode(cloud, name, pythonVersion('2'))
      await published(cloud, name)
      const command = new CreateAliasCommand({
        FunctionName: name,
        Name: 'alias1',
        FunctionVersion: '1',
        RoutingConfig: { AdditionalVersionWeights: { '2': 0.5 } },
      })
      const create_alias_response = await cloud.answer(cloud.lambda.send(command))
      const versions = new Set<unknown>()
      for (let index = 0; index < 60; index += 1)
        versions.add((await cloud.invoke(name, {}, { Qualifier: 'alias1' }))['ExecutedVersion'])
      expect(versions).toEqual(new Set(['1', '2']))
      return { create_alias_response }
    },
  },
  'TestLambdaAliases::test_lambda_alias_moving': {
    needs: PYTHON,
    run: async (cloud, name) => {
      const invoke = (Qualifier: string): Promise<Answer> => cloud.invoke(name, {}, { Qualifier })
      const create_response = await cloud.create(name, pythonVersion('version1'), SHORT)
      await published(cloud, name, 'First version description :)')
      const alias = { FunctionName: name, Name: 'alias1' }
      const create = new CreateAliasCommand({ ...alias, FunctionVersion: '1', Description: '' })
      const create_alias_response = await cloud.answer(cloud.lambda.send(create))
      const invocation_result_qualifier_v1 = await invoke('alias1')
      const arn = String(create_alias_response['AliasArn'])
      const invocation_result_qualifier_v1_arn = await cloud.invoke(arn, {})
      const update_lambda_response = await updatedCode(cloud, name, pythonVersion('version2'))
      const invocation_result_qualifier_v1_after_update = await invoke('alias1')
      const second_publish_response = await published(cloud, name, 'Second version description :)')
      const invocation_result_qualifier_v1_after_publish = await invoke('alias1')
      const update = new UpdateAliasCommand({ ...alias, FunctionVersion: '2' })
      return {
        create_response,
        create_alias_response,
        invocation_result_qualifier_v1,
        invocation_result_qualifier_v1_arn,
        update_lambda_response,
        invocation_result_qualifier_v1_after_update,
        second_publish_response,
        invocation_result_qualifier_v1_after_publish,
        update_alias_response: await cloud.answer(cloud.lambda.send(update)),
        invocation_result_qualifier_v2: await invoke('alias1'),
        invocation_exc_not_existent: await invoke('non-existent-alias'),
      }
    },
  },
}

export const FUNCTIONS: RecordedCases = {
  'TestLambdaBaseFeatures::test_function_state': {
    needs: PYTHON,
    run: async (cloud, name) => {
      const created = await cloud.create(name, PYTHON_HELLO, { Timeout: 3, Environment: undefined })
      const got = await cloud.answer(cloud.lambda.send(new GetFunctionCommand({ FunctionName: name })))
      return { 'create-fn-response': created, 'get-fn-response': got }
    },
    differs: { 'uuid:1 and uuid:2': REVISIONS },
  },
  'TestLambdaBaseFeatures::test_lambda_different_iam_keys_environment': {
    needs: PYTHON,
    run: async (cloud, name) => ({ 'create-result': madeWith(await cloud.create(name, PYTHON_ENVIRONMENT)) }),
  },
  'TestLambdaBehavior::test_mixed_architecture': {
    needs: PYTHON,
    run: async (cloud, name) => {
      const created = await cloud.create(name, PYTHON_HELLO, { Architectures: ['x86_64'] })
      const updated = await updatedCode(cloud, name, PYTHON_HELLO, { Architectures: ['arm64'] })
      expect(await cloud.invoke(name)).toMatchObject({ Payload: { hello: 'world' } })
      return { create_function_response: madeWith(created), update_function_code_response: updated }
    },
  },
  'TestLambdaCleanup::test_recreate_function': {
    needs: PYTHON,
    run: async (cloud, name) => {
      const code = { 'lambda_echo.py': 'def handler(event, context):\n    return event\n' }
      const more = { Handler: 'lambda_echo.handler' }
      const one = await cloud.create(name, code, more)
      await cloud.lambda.send(new DeleteFunctionCommand({ FunctionName: name }))
      const two = await cloud.create(name, code, more)
      return { create_function_response_one: madeWith(one), create_function_response_two: madeWith(two) }
    },
  },
  ...ALIASES,
  ...VERSIONS,
}
