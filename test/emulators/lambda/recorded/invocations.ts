import { randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import {
  GetFunctionCommand,
  GetFunctionConfigurationCommand,
  PutFunctionEventInvokeConfigCommand,
  type Runtime,
} from '@aws-sdk/client-lambda'
import { expect } from 'vitest'

import { forEach, OLDER, PYTHON, REVISIONS, type RecordedCases } from './case.ts'
import { until, type Answer, type Cloud } from './cloud.ts'
import {
  NODE_CONTEXT,
  NODE_COUNTER,
  NODE_ECHO,
  PYTHON_CONTEXT,
  PYTHON_COUNTER,
  PYTHON_ECHO,
  PYTHON_ENVIRONMENT,
  PYTHON_LARGE,
  PYTHON_SLEEP,
  PYTHON_STATE,
} from './functions.ts'
import { environmentDiffers, PYTHONS_OWN } from './runtimes.ts'

const RUNTIMES = ['nodejs16.x', 'python3.10', 'python3.9'] as const satisfies Runtime[]
const MEASURED = 'what was measured; and newer REPORT lines tell of errors'
const NODE = { Runtime: 'nodejs16.x', Handler: 'index.handler' } as const
const OLDER_CONFIGURATION = {
  '*.LoggingConfig': OLDER,
  '*.RuntimeVersionConfig': OLDER,
  '*.SnapStart': OLDER,
}

/** A function that answers what it is sent, in the language of a runtime. */
async function echo(cloud: Cloud, name: string, runtime: Runtime): Promise<void> {
  const isNode = runtime.startsWith('node')
  const more = { Runtime: runtime, Handler: isNode ? 'index.handler' : 'handler.handler' }
  await cloud.create(name, isNode ? NODE_ECHO : PYTHON_ECHO, more)
}

/** The lines of a log's tail; what differs each time is as the recordings have it. */
function tailLines(answer: Answer): readonly string[] {
  return Buffer.from(String(answer['LogResult']), 'base64')
    .toString()
    .split(/(?<=\n)/)
    .map(undated)
}

function undated(line: string): string {
  return line.replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'date')
}

const INVOCATION_TYPES: RecordedCases = {
  ...forEach('TestLambdaFeatures::test_invocation_type_request_response', RUNTIMES, (runtime) => ({
    needs: PYTHON,
    run: async (cloud, name) => {
      await echo(cloud, name, runtime)
      return { 'invoke-result': await cloud.invoke(name, {}, { InvocationType: 'RequestResponse' }) }
    },
  })),
  ...forEach('TestLambdaFeatures::test_invocation_type_event', RUNTIMES, (runtime) => ({
    needs: PYTHON,
    run: async (cloud, name) => {
      await echo(cloud, name, runtime)
      return { 'invoke-result': await cloud.invoke(name, {}, { InvocationType: 'Event' }) }
    },
  })),
  ...forEach('TestLambdaFeatures::test_invocation_type_dry_run', RUNTIMES, (runtime) => ({
    needs: PYTHON,
    run: async (cloud, name) => {
      await echo(cloud, name, runtime)
      return { 'invoke-result': await cloud.invoke(name, {}, { InvocationType: 'DryRun' }) }
    },
  })),
  ...forEach(
    'TestLambdaFeatures::test_invocation_type_no_return_payload',
    ['nodejs-Event', 'nodejs-RequestResponse', 'python-Event', 'python-RequestResponse'],
    (variant) => ({
      needs: PYTHON,
      run: async (cloud, name) => {
        const InvocationType = variant.endsWith('Event') ? 'Event' : 'RequestResponse'
        if (variant.startsWith('nodejs'))
          await cloud.create(name, { 'index.js': 'exports.handler = async () => {}' }, NODE)
        else await cloud.create(name, PYTHON_SLEEP)
        return { 'invoke-result': await cloud.invoke(name, {}, { InvocationType }) }
      },
    }),
  ),
}

const LOGS: RecordedCases = {
  ...forEach(
    'TestLambdaFeatures::test_invocation_with_logs',
    ['nodejs16.x', 'python3.10'] as const,
    (runtime) => ({
      needs: PYTHON,
      run: async (cloud, name) => {
        await echo(cloud, name, runtime)
        const invoke = await cloud.invoke(name, {}, { LogType: 'Tail' })
        return { invoke, logs: { logs: tailLines(invoke) } }
      },
    }),
  ),
  'TestLambdaFeatures::test_invocation_with_qualifier': {
    needs: PYTHON,
    run: async (cloud, name) => {
      const created = await cloud.create(name, PYTHON_CONTEXT, {
        Timeout: 10,
        Environment: undefined,
        Publish: true,
      })
      const event = { foo: `bar with 'quotes"` }
      const invoked = await cloud.invoke(name, event, { Qualifier: '1', LogType: 'Tail' })
      const lines = tailLines(invoked).map((line) => line.trimEnd())
      return {
        'creation-response': created,
        'invocation-response': invoked,
        log_result: { log_result: lines.filter((line) => !line.startsWith('REPORT')) },
      }
    },
  },
  'TestLambdaFeatures::test_invocation_type_event_error': {
    needs: PYTHON,
    run: async (cloud, name) => {
      const code = {
        'handler.py': `class CustomException(Exception):
    pass

def handler(event, context):
    if True:
        raise CustomException("some error occurred")
`,
      }
      const created = await cloud.create(name, code, { Runtime: 'python3.10' })
      await cloud.answer(
        cloud.lambda.send(
          new PutFunctionEventInvokeConfigCommand({ FunctionName: name, MaximumRetryAttempts: 1 }),
        ),
      )
      const invoked = await cloud.invoke(name, {}, { InvocationType: 'Event' })
      const ends = (): number => cloud.printed(name).filter((line) => line.startsWith('REPORT')).length
      await until('both attempts have ended', () => ends() === 2)
      return {
        creation_response: { CreateEventSourceMappingResponse: null, CreateFunctionResponse: created },
        invocation_response: invoked,
        log_events: cloud.printed(name).map((line) => ({
          // A message of several lines is one line of the output; the log has them as they were.
          message: line.startsWith('[') ? line.replaceAll('\r', '\n').trimEnd() : `${line}\n`,
          timestamp: 'timestamp',
          ingestionTime: 'timestamp',
        })),
      }
    },
    differs: {
      '*.LoggingConfig': OLDER,
      'log_events.0.message': 'the runtime is another build',
      'log_events.4.message': MEASURED,
      'log_events.8.message': MEASURED,
    },
  },
  'TestRequestIdHandling::test_request_id_invoke': {
    needs: PYTHON,
    run: async (cloud, name) => {
      const code = {
        'handler.py': `import logging
logging.getLogger().setLevel(logging.INFO)
def handler(event, context):
    logging.info("RequestId log message")
    return context.aws_request_id
`,
      }
      await cloud.create(name, code)
      const invoke = await cloud.invoke(name, {}, { LogType: 'Tail' })
      const { LogResult: _, ...invoke_result } = invoke
      return { invoke_result, log_entries: { logs: tailLines(invoke).map((line) => line.trimEnd()) } }
    },
  },
  'TestRequestIdHandling::test_request_id_async_invoke_with_retry': {
    needs: PYTHON,
    run: async (cloud, name) => {
      await cloud.create(name, {
        'handler.py': `def handler(event, context):
    raise Exception("once more")
`,
      })
      await cloud.answer(
        cloud.lambda.send(
          new PutFunctionEventInvokeConfigCommand({ FunctionName: name, MaximumRetryAttempts: 1 }),
        ),
      )
      const invoke_result = await cloud.invoke(name, {}, { InvocationType: 'Event' })
      const ends = (): readonly string[] => cloud.printed(name).filter((line) => line.startsWith('END'))
      await until('both attempts have ended', () => ends().length === 2)
      return { invoke_result, end_messages: ends() }
    },
  },
  'TestRequestIdHandling::test_request_id_format': {
    run: async (cloud, name) => {
      await cloud.create(name, NODE_ECHO, NODE)
      const { requestId } = (await cloud.raw(name)).$metadata
      expect(requestId).toMatch(/^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/)
      return {}
    },
  },
}

const CONTEXTS: RecordedCases = {
  'TestLambdaFeatures::test_lambda_with_context': {
    run: async (cloud, name) => {
      const creation = await cloud.create(name, NODE_CONTEXT, {
        ...NODE,
        Handler: 'lambda_integration.handler',
      })
      const context = { custom: { foo: 'bar' }, client: { snap: ['crackle', 'pop'] }, env: { fizz: 'buzz' } }
      const ClientContext = Buffer.from(JSON.stringify(context)).toString('base64')
      return {
        creation: { CreateEventSourceMappingResponse: null, CreateFunctionResponse: creation },
        invocation: await cloud.invoke(name, {}, { ClientContext }),
      }
    },
    differs: OLDER_CONFIGURATION,
  },
  'TestLambdaFeatures::test_lambda_environment': {
    needs: PYTHON,
    run: async (cloud, name) => {
      const code = {
        'handler.py': 'import os\ndef handler(event, context):\n    return {"Hello": os.environ["Hello"]}\n',
      }
      const more = { Runtime: 'python3.9', Environment: { Variables: { Hello: 'World' } } } as const
      const created = await cloud.create(name, code, more)
      const got = cloud.lambda.send(new GetFunctionConfigurationCommand({ FunctionName: name }))
      return {
        'creation-result': { CreateEventSourceMappingResponse: null, CreateFunctionResponse: created },
        'get-configuration-result': await cloud.answer(got),
        'invocation-result': await cloud.invoke(name, {}),
      }
    },
    differs: { ...OLDER_CONFIGURATION, 'uuid:1 and uuid:2': REVISIONS },
  },
  'TestLambdaFeatures::test_basic_invoke': {
    needs: PYTHON,
    run: async (cloud, name) => {
      const more = {
        Runtime: 'python3.9',
        Handler: 'index.handler',
        Timeout: 3,
        Environment: undefined,
      } as const
      const code = { 'index.py': 'def handler(event, context):\n    return {}\n' }
      const get = (FunctionName: string): Promise<Answer> =>
        cloud.answer(cloud.lambda.send(new GetFunctionCommand({ FunctionName })))
      return {
        lambda_create_fn: await cloud.create(name, code, more),
        lambda_create_fn_2: await cloud.create(`${name}-2`, code, more),
        lambda_get_fn: await get(name),
        lambda_get_fn_2: await get(`${name}-2`),
        lambda_invoke_result: await cloud.invoke(name, {}),
      }
    },
    differs: { ...OLDER_CONFIGURATION, 'uuid:* and uuid:*': REVISIONS },
  },
  'TestLambdaBehavior::test_lambda_init_environment': {
    needs: PYTHON,
    run: async (cloud, name) => {
      const created = await cloud.create(name, PYTHON_ENVIRONMENT, { Runtime: 'python3.14' })
      return {
        'create-result': { CreateEventSourceMappingResponse: null, CreateFunctionResponse: created },
        'lambda-init-inspection': await cloud.invoke(name, {}),
      }
    },
    differs: {
      ...environmentDiffers('python3.14'),
      '*._X_AMZN_TRACE_ID': 'there is no trace before the first event',
    },
    varies: PYTHONS_OWN,
  },
}

const STATES: RecordedCases = {
  'TestLambdaBehavior::test_lambda_cache_local[nodejs]': {
    run: async (cloud, name) => {
      await cloud.create(name, NODE_COUNTER, NODE)
      return {
        first_invoke_result: await cloud.invoke(name),
        second_invoke_result: await cloud.invoke(name),
      }
    },
  },
  'TestLambdaBehavior::test_lambda_cache_local[python]': {
    needs: PYTHON,
    run: async (cloud, name) => {
      await cloud.create(name, PYTHON_COUNTER)
      return {
        first_invoke_result: await cloud.invoke(name),
        second_invoke_result: await cloud.invoke(name),
      }
    },
  },
  'TestLambdaBehavior::test_lambda_invoke_no_timeout': {
    needs: PYTHON,
    run: async (cloud, name) => {
      const created = await cloud.create(name, PYTHON_SLEEP, { Timeout: 2 })
      return {
        'create-result': { CreateEventSourceMappingResponse: null, CreateFunctionResponse: created },
        'invoke-result': await cloud.invoke(name, { seconds: 1 }),
      }
    },
  },
  'TestLambdaBehavior::test_lambda_invoke_with_timeout': {
    needs: PYTHON,
    run: async (cloud, name) => {
      const created = await cloud.create(name, PYTHON_SLEEP, { Timeout: 1 })
      return {
        'create-result': { CreateEventSourceMappingResponse: null, CreateFunctionResponse: created },
        'invoke-result': await cloud.invoke(name, { seconds: 2 }),
      }
    },
  },
  'TestLambdaBehavior::test_lambda_invoke_timed_out_environment_reuse': {
    needs: PYTHON,
    run: async (cloud, name) => {
      const created = await cloud.create(name, PYTHON_STATE, { Timeout: 1 })
      const file = join(tmpdir(), `flexi-test-${randomUUID()}`)
      const told = {
        'create-result': { CreateEventSourceMappingResponse: null, CreateFunctionResponse: created },
        'invoke-result-file-write': await cloud.invoke(name, { file, write: 'some-content' }),
        'invoke-result-file-read': await cloud.invoke(name, { file, read: true }),
        'invoke-result-set-number': await cloud.invoke(name, { number: 42 }),
        'invoke-result-read-number': await cloud.invoke(name, {}),
        'invoke-result-timed-out': await cloud.invoke(name, { seconds: 2 }),
        'invoke-result-file-read-after-timeout': await cloud.invoke(name, { file, read: true }),
        'invoke-result-read-number-after-timeout': await cloud.invoke(name, {}),
      }
      await rm(file)
      return told
    },
    differs: {
      'invoke-result-timed-out.Payload.errorType': OLDER,
      'invoke-result-timed-out.Payload.errorMessage':
        'an older recording; test_lambda_invoke_with_timeout has the new words',
    },
  },
}

const SIZES: RecordedCases = {
  'TestLambdaBaseFeatures::test_large_payloads': {
    needs: PYTHON,
    run: async (cloud, name) => {
      await cloud.create(name, { 'handler.py': 'def handler(event, context):\n    return event\n' })
      const payload = { test: 'test123456'.repeat(100 * 1024 * 5) }
      expect(await cloud.invoke(name, payload)).toMatchObject({ StatusCode: 200, Payload: payload })
      return {}
    },
  },
  'TestLambdaBaseFeatures::test_lambda_large_response': {
    needs: PYTHON,
    run: async (cloud, name) => {
      await cloud.create(name, PYTHON_LARGE)
      const { Payload } = await cloud.invoke(name, { bytes: 6 * 1024 * 1024 })
      expect(String(Payload).length).toBe(6 * 1024 * 1024 + 2)
      return {}
    },
  },
  'TestLambdaBaseFeatures::test_lambda_too_large_response': {
    needs: PYTHON,
    run: async (cloud, name) => {
      await cloud.create(name, PYTHON_LARGE)
      const invoke = (): Promise<Answer> => cloud.invoke(name, { bytes: 6 * 1024 * 1024 + 100 })
      return { invoke_result: await invoke(), invoke_result_2: await invoke() }
    },
  },
}

export const INVOCATIONS: RecordedCases = {
  'TestLambdaFeatures::test_invoke_exceptions': {
    run: async (cloud) => ({ invoke_function_doesnotexist: await cloud.invoke('doesnotexist', {}) }),
  },
  ...INVOCATION_TYPES,
  ...LOGS,
  ...CONTEXTS,
  ...STATES,
  ...SIZES,
}
