import {
  CreateAliasCommand,
  DeleteFunctionConcurrencyCommand,
  GetFunctionCommand,
  GetFunctionConcurrencyCommand,
  GetFunctionConfigurationCommand,
  GetProvisionedConcurrencyConfigCommand,
  PublishVersionCommand,
  PutFunctionConcurrencyCommand,
  PutFunctionEventInvokeConfigCommand,
  PutProvisionedConcurrencyConfigCommand,
  UpdateAliasCommand,
  UpdateFunctionConfigurationCommand,
} from '@aws-sdk/client-lambda'
import { CreateQueueCommand, ReceiveMessageCommand } from '@aws-sdk/client-sqs'
import { expect } from 'vitest'

import { OLDER, PYTHON, REVISIONS, type RecordedCases } from './case.ts'
import { plain, until, type Answer, type Cloud } from './cloud.ts'
import { PYTHON_HELLO, PYTHON_SLEEP } from './functions.ts'

const SOON = 'they are counted one by one as they come, and come soon'
const ON_THE_WAY = { 'get_provisioned_prewait.*': SOON }

/** What is said of a function's concurrency, by the words of the recordings. */
function concurrencyOf(cloud: Cloud, FunctionName: string) {
  const { lambda, answer } = cloud
  return {
    reserve: (ReservedConcurrentExecutions: number): Promise<Answer> =>
      answer(lambda.send(new PutFunctionConcurrencyCommand({ FunctionName, ReservedConcurrentExecutions }))),
    reserved: (): Promise<Answer> => answer(lambda.send(new GetFunctionConcurrencyCommand({ FunctionName }))),
    free: (): Promise<Answer> => answer(lambda.send(new DeleteFunctionConcurrencyCommand({ FunctionName }))),
    publish: (Description?: string): Promise<Answer> =>
      answer(lambda.send(new PublishVersionCommand({ FunctionName, Description }))),
    alias: (Name: string, FunctionVersion: string): Promise<Answer> =>
      answer(lambda.send(new CreateAliasCommand({ FunctionName, Name, FunctionVersion }))),
    provide: (Qualifier: string, ProvisionedConcurrentExecutions: number): Promise<Answer> =>
      answer(
        lambda.send(
          new PutProvisionedConcurrencyConfigCommand({
            FunctionName,
            Qualifier,
            ProvisionedConcurrentExecutions,
          }),
        ),
      ),
    provided: (Qualifier: string): Promise<Answer> =>
      answer(lambda.send(new GetProvisionedConcurrencyConfigCommand({ FunctionName, Qualifier }))),
    configuration: (Qualifier?: string): Promise<Answer> =>
      answer(lambda.send(new GetFunctionConfigurationCommand({ FunctionName, Qualifier }))),
    get: (Qualifier?: string): Promise<Answer> =>
      answer(lambda.send(new GetFunctionCommand({ FunctionName, Qualifier }))),
    configure: async (Timeout: number): Promise<Answer> => {
      const updated = await answer(
        lambda.send(new UpdateFunctionConfigurationCommand({ FunctionName, Timeout })),
      )
      await cloud.updated(FunctionName)
      return updated
    },
  }
}

type Concurrency = ReturnType<typeof concurrencyOf>

async function settled(of: Concurrency, qualifier: string): Promise<Answer> {
  await until('it is provisioned', async () => (await of.provided(qualifier))['Status'] !== 'IN_PROGRESS')
  return of.provided(qualifier)
}

const RESERVED: RecordedCases = {
  'TestLambdaConcurrency::test_lambda_concurrency_crud': {
    needs: PYTHON,
    run: async (cloud, name) => {
      const of = concurrencyOf(cloud, name)
      await cloud.create(name, PYTHON_HELLO)
      const get_function_concurrency_default = await of.reserved()
      const put_function_concurrency = await of.reserve(0)
      const get_function_concurrency_updated = await of.reserved()
      await of.free()
      return {
        get_function_concurrency_default,
        put_function_concurrency,
        get_function_concurrency_updated,
        get_function_concurrency_deleted: await of.reserved(),
      }
    },
  },
  'TestLambdaConcurrency::test_lambda_concurrency_update': {
    needs: PYTHON,
    run: async (cloud, name) => {
      const of = concurrencyOf(cloud, name)
      await cloud.create(name, PYTHON_HELLO)
      const put_function_concurrency = await of.reserve(3)
      const get_function_concurrency_updated = await of.reserved()
      const get_function_concurrency_info = await of.get()
      await of.free()
      return {
        put_function_concurrency,
        get_function_concurrency_updated,
        get_function_concurrency_info,
        get_function_concurrency_deleted: await of.reserved(),
      }
    },
  },
  'TestLambdaConcurrency::test_reserved_concurrency': {
    needs: PYTHON,
    run: async (cloud, name) => {
      const of = concurrencyOf(cloud, name)
      const { lambda, sqs } = cloud
      await cloud.create(name, PYTHON_SLEEP, { Timeout: 20 })
      const fn = await of.configuration('$LATEST')
      const put_reserved = await of.reserve(0)
      const exc_no_cap_requestresponse = await cloud.invoke(name, {}, { InvocationType: 'RequestResponse' })
      const { QueueUrl } = await sqs.send(new CreateQueueCommand({ QueueName: name }))
      const Destination = `arn:aws:sqs:us-east-1:123456789012:${name}`
      const put = new PutFunctionEventInvokeConfigCommand({
        FunctionName: name,
        MaximumRetryAttempts: 0,
        DestinationConfig: { OnFailure: { Destination } },
      })
      const put_event_invoke_conf = await cloud.answer(lambda.send(put))
      const invoke_result = await cloud.invoke(name, {}, { InvocationType: 'Event' })
      const receive = new ReceiveMessageCommand({ QueueUrl, WaitTimeSeconds: 10, AttributeNames: ['All'] })
      const { Messages = [] } = await sqs.send(receive)
      return {
        fn,
        put_reserved,
        exc_no_cap_requestresponse,
        put_event_invoke_conf,
        invoke_result,
        msg: plain(Messages[0]),
      }
    },
    differs: { 'msg.Attributes.AWSTraceHeader': 'there is no X-Ray here' },
  },
  'TestLambdaConcurrency::test_reserved_concurrency_async_queue': {
    needs: PYTHON,
    run: async (cloud, name) => {
      const of = concurrencyOf(cloud, name)
      await cloud.create(name, PYTHON_SLEEP)
      const fn = await of.configuration('$LATEST')
      const put_fn_concurrency = await of.reserve(1)
      await cloud.invoke(name, { seconds: 4 }, { InvocationType: 'Event' })
      await cloud.invoke(name, { seconds: 0 }, { InvocationType: 'Event' })
      await until('it has begun', () => cloud.printed(name).some((line) => line.startsWith('START')))
      const too_many_requests_exc = await cloud.invoke(name, {})
      const ends = (): number => cloud.printed(name).filter((line) => line.startsWith('END')).length
      await until('both have run', () => ends() === 2)
      return { fn, put_fn_concurrency, too_many_requests_exc }
    },
  },
}

const PROVISIONED: RecordedCases = {
  'TestLambdaConcurrency::test_provisioned_concurrency': {
    needs: PYTHON,
    run: async (cloud, name) => {
      const of = concurrencyOf(cloud, name)
      await cloud.create(name, PYTHON_HELLO)
      await of.publish()
      return {
        put_provisioned_5: await of.provide('1', 5),
        get_provisioned_prewait: await of.provided('1'),
        get_provisioned_postwait: await settled(of, '1'),
      }
    },
    varies: ON_THE_WAY,
  },
  'TestLambdaConcurrency::test_provisioned_concurrency_on_alias': {
    needs: PYTHON,
    run: async (cloud, name) => {
      const of = concurrencyOf(cloud, name)
      await cloud.create(name, PYTHON_HELLO)
      await of.publish()
      await of.alias('alias1', '1')
      return {
        put_provisioned_5: await of.provide('alias1', 5),
        get_provisioned_prewait: await of.provided('alias1'),
        get_provisioned_postwait: await settled(of, 'alias1'),
      }
    },
    varies: ON_THE_WAY,
  },
  'TestLambdaConcurrency::test_provisioned_concurrency_init_failure': {
    needs: PYTHON,
    run: async (cloud, name) => {
      const of = concurrencyOf(cloud, name)
      await cloud.create(name, { 'handler.py': 'raise Exception("it does not start")\n' })
      await of.publish()
      return {
        put_provisioned: await of.provide('1', 1),
        get_provisioned_prewait: await of.provided('1'),
        get_provisioned_postwait: await settled(of, '1'),
      }
    },
    varies: ON_THE_WAY,
  },
  'TestLambdaConcurrency::test_lambda_concurrency_block': {
    needs: PYTHON,
    run: async (cloud, name) => {
      const of = concurrencyOf(cloud, name)
      await cloud.create(name, PYTHON_HELLO)
      const v1_result = await of.publish()
      const invoke_latest_before_block = await cloud.invoke(name, {}, { Qualifier: '$LATEST' })
      const reserved_concurrency_result = await of.reserve(1)
      const provisioned_concurrency_result = await of.provide('1', 1)
      await settled(of, '1')
      const latest = (): Promise<Answer> => cloud.invoke(name, {}, { Qualifier: '$LATEST' })
      return {
        v1_result,
        invoke_latest_before_block,
        reserved_concurrency_result,
        provisioned_concurrency_result,
        invoke_latest_first_exc: await latest(),
        invoke_latest_second_exc: await latest(),
        invoke_v1_after_block: await cloud.invoke(name, {}, { Qualifier: '1' }),
      }
    },
  },
  'TestLambdaConcurrency::test_reserved_provisioned_overlap': {
    needs: PYTHON,
    run: async (cloud, name) => {
      const of = concurrencyOf(cloud, name)
      await cloud.create(name, PYTHON_HELLO)
      await of.publish()
      const put_provisioned_5 = await of.provide('1', 2)
      const get_provisioned_prewait = await of.provided('1')
      const get_provisioned_postwait = await settled(of, '1')
      const reserved_lower_than_provisioned_exc = await of.reserve(1)
      await of.reserve(2)
      const get_concurrency = await of.reserved()
      const reserved_equals_provisioned_latest_invoke_exc = await cloud.invoke(name, {})
      expect(await cloud.invoke(name, {}, { Qualifier: '1' })).toMatchObject({ StatusCode: 200 })
      const update_func_config = await of.configure(15)
      await of.publish()
      return {
        put_provisioned_5,
        get_provisioned_prewait,
        get_provisioned_postwait,
        reserved_lower_than_provisioned_exc,
        get_concurrency,
        reserved_equals_provisioned_latest_invoke_exc,
        update_func_config,
        reserved_equals_provisioned_another_provisioned_exc: await of.provide('2', 1),
        reserved_equals_provisioned_increase_provisioned_exc: await of.provide('1', 3),
      }
    },
    varies: ON_THE_WAY,
  },
  'TestLambdaConcurrency::test_lambda_provisioned_concurrency_moves_with_alias': {
    needs: PYTHON,
    run: async (cloud, name) => {
      const of = concurrencyOf(cloud, name)
      const created = await cloud.create(name, PYTHON_HELLO, { Runtime: 'python3.8', Timeout: 2 })
      const configuration = await of.configuration('$LATEST')
      const publish_version_1 = await of.publish('my-first-version')
      const version1 = await of.configuration('1')
      const create_alias = await of.alias('live', '1')
      const get_function_before_provisioned = await of.get('1')
      await of.provide('live', 1)
      await settled(of, 'live')
      const get_function_after_provisioned = await of.get('live')
      await of.configure(10)
      const get_function_after_update = await of.configuration()
      const publish_version_2 = await of.publish('')
      const move = new UpdateAliasCommand({ FunctionName: name, Name: 'live', FunctionVersion: '2' })
      const update_alias = await cloud.answer(cloud.lambda.send(move))
      return {
        'create-result': { CreateEventSourceMappingResponse: null, CreateFunctionResponse: created },
        'get-function-configuration': configuration,
        publish_version_1,
        get_function_configuration_version_1: version1,
        create_alias,
        get_function_before_provisioned,
        get_function_after_provisioned,
        get_function_after_update,
        publish_version_2,
        update_alias,
        get_provisioned_config_after_alias_move: await of.provided('live'),
        provisioned_concurrency_notfound: await of.provided('1'),
      }
    },
    differs: { '*.LoggingConfig': OLDER, 'uuid:* and uuid:*': REVISIONS },
    varies: { 'get_provisioned_config_after_alias_move.*': 'how soon they are there' },
  },
}

export const CONCURRENCY: RecordedCases = { ...RESERVED, ...PROVISIONED }
