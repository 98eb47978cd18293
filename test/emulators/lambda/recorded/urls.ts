import {
  CreateAliasCommand,
  CreateFunctionUrlConfigCommand,
  DeleteAliasCommand,
  GetFunctionCommand,
  GetFunctionUrlConfigCommand,
  PublishVersionCommand,
  UpdateFunctionUrlConfigCommand,
  type InvokeMode,
} from '@aws-sdk/client-lambda'
import { expect } from 'vitest'

import { forEach, PYTHON, type RecordedCase, type RecordedCases } from './case.ts'
import { askUrl, plain, until, type Answer, type Cloud, type UrlAnswer, type UrlRequest } from './cloud.ts'
import { NODE_ECHO, PYTHON_HELLO, PYTHON_URL_ECHO } from './functions.ts'

const NODE = { Runtime: 'nodejs20.x', Handler: 'index.handler' } as const

/** Results by the name of their variant, and as Python writes them. */
const RESULTS: Readonly<Record<string, string>> = {
  boolean: 'True',
  dict: '{"hello": "world"}',
  float: '3.1',
  'http-response-json': '{"statusCode": 200, "body": json.dumps({"hello": "world"})}',
  'http-response': '{"statusCode": "200", "body": "body123"}',
  integer: '3',
  'list-mixed': '["hello", 3, True]',
  string: '"hello"',
}

function told({ status, headers, body }: UrlAnswer): Answer {
  const fields = {
    'Content-Length': headers['content-length'] ?? String(Buffer.byteLength(body)),
    'Content-Type': headers['content-type'],
  }
  return { statuscode: status, headers: fields, content: body.startsWith('{') ? plain(body) : body }
}

async function echoed(cloud: Cloud, name: string, request: UrlRequest): Promise<Answer> {
  await cloud.create(name, PYTHON_URL_ECHO)
  const { address } = await cloud.url(name)
  const headers = {
    'user-agent': 'test/echo',
    'accept-encoding': 'gzip, deflate',
    accept: '*/*',
    connection: 'keep-alive',
    ...request.headers,
  }
  const { body } = await askUrl(address, { ...request, headers })
  return { url_response: plain(body) }
}

const ECHOED = {
  method: 'POST',
  headers: { 'ExTrA-HeADErs': 'With WeiRd CapS', 'content-type': 'application/json' },
  body: JSON.stringify({ foo: 'bar' }).replace(':', ': '),
}

const FORM = [
  '\r\n--4efd159eae0c4f4e125a5a509e073d85',
  'Content-Disposition: form-data; name="formfield"',
  '',
  'not a file, just a field',
  '--4efd159eae0c4f4e125a5a509e073d85',
  'Content-Disposition: form-data; name="foo"; filename="foo"',
  'Content-Type: text/plain;',
  '',
  'bar\r\n',
  '--4efd159eae0c4f4e125a5a509e073d85--\r\n',
].join('\r\n')

const REQUESTS: RecordedCases = {
  'TestLambdaURL::test_lambda_url_echo_http_fixture_default': {
    needs: PYTHON,
    run: (cloud, name) =>
      echoed(cloud, name, { ...ECHOED, path: '/pa2%Fth/1?q=query&multiQuery=foo&multiQuery=%2Fbar' }),
    differs: {
      '*.x-amzn-tls-cipher-suite': 'the address is one of http',
      '*.x-amzn-tls-version': 'the address is one of http',
    },
  },
  'TestLambdaURL::test_lambda_url_echo_http_fixture_trim_x_headers': {
    needs: PYTHON,
    run: (cloud, name) => echoed(cloud, name, { ...ECHOED, path: '/path/1?q=query' }),
  },
  'TestLambdaURL::test_lambda_url_form_payload': {
    needs: PYTHON,
    run: (cloud, name) =>
      echoed(cloud, name, {
        path: '/test/value',
        method: 'POST',
        headers: {
          'content-type': 'multipart/form-data; boundary=4efd159eae0c4f4e125a5a509e073d85',
          'user-agent': 'python/test-request',
        },
        body: FORM,
      }),
  },
}

const ANSWERS: RecordedCases = {
  ...forEach('TestLambdaURL::test_lambda_url_invocation', Object.keys(RESULTS), (variant) => ({
    needs: PYTHON,
    run: async (cloud, name) => {
      const code = `import json\ndef handler(event, context):\n    return ${RESULTS[variant] ?? ''}\n`
      await cloud.create(name, { 'handler.py': code })
      const { address, ...made } = await cloud.url(name)
      const asked = await askUrl(address, { path: '/' })
      return { ...made, lambda_url_invocation: told(asked) }
    },
  })),
  'TestLambdaURL::test_lambda_url_headers_and_status': {
    run: async (cloud, name) => {
      const code = `exports.handler = async () => ({ statusCode: '418', body: 'teapot', headers: { 'x-some': 'one', 'content-type': 'text/x-tea' } })`
      await cloud.create(name, { 'index.js': code }, NODE)
      const { address } = await cloud.url(name)
      const { status, headers, body } = await askUrl(address)
      expect([status, headers['x-some'], headers['content-type'], body]).toEqual([
        418,
        'one',
        'text/x-tea',
        'teapot',
      ])
      return {}
    },
  },
  'TestLambdaURL::test_lambda_url_invocation_exception': {
    needs: PYTHON,
    run: async (cloud, name) => {
      await cloud.create(name, { 'handler.py': 'def handler(event, context):\n    raise Exception("no")\n' })
      const got = await cloud.answer(cloud.lambda.send(new GetFunctionCommand({ FunctionName: name })))
      const { address, ...made } = await cloud.url(name)
      const { status, body } = await askUrl(address)
      expect([status, body]).toEqual([502, 'Internal Server Error'])
      return { ...made, get_fn_result: got }
    },
  },
  'TestRequestIdHandling::test_request_id_invoke_url': {
    needs: PYTHON,
    run: async (cloud, name) => {
      await cloud.create(name, { 'handler.py': 'def handler(event, context):\n    return "hi"\n' })
      const { address, ...made } = await cloud.url(name)
      const { status, headers, body } = await askUrl(address)
      const ends = (): readonly string[] => cloud.printed(name).filter((line) => line.startsWith('END'))
      await until('it has ended', () => ends().length === 1)
      return {
        ...made,
        lambda_url_invocation: {
          statuscode: status,
          headers: { 'x-amzn-RequestId': headers['x-amzn-requestid'] },
          content: body,
        },
        end_log_entries: ends(),
      }
    },
  },
  'TestLambdaURL::test_function_url_with_response_streaming': {
    run: async (cloud, name) => {
      const code = `exports.handler = awslambda.streamifyResponse(async (event, stream) => {
  stream.setContentType('text/plain')
  stream.write('Hello, ')
  stream.end('world!')
})`
      await cloud.create(name, { 'index.js': code }, NODE)
      const { address } = await cloud.url(name, { InvokeMode: 'RESPONSE_STREAM' })
      const { status, body } = await askUrl(address)
      return { response_status: status, response_data: body }
    },
  },
}

function echoInvoke(InvokeMode: InvokeMode | undefined): RecordedCase {
  return {
    run: async (cloud, name) => {
      await cloud.create(name, NODE_ECHO, NODE)
      const { address, ...made } = await cloud.url(name, InvokeMode === undefined ? {} : { InvokeMode })
      const { status, body } = await askUrl(address, {
        method: 'POST',
        body: '{"test": "ok"}',
        headers: { 'content-type': 'application/json' },
      })
      expect([status, JSON.parse(body)]).toEqual([200, expect.objectContaining({ body: '{"test": "ok"}' })])
      return made
    },
  }
}

const CONFIGURATIONS: RecordedCases = {
  'TestLambdaURL::test_lambda_url_echo_invoke[BUFFERED]': echoInvoke('BUFFERED'),
  'TestLambdaURL::test_lambda_url_echo_invoke[RESPONSE_STREAM]': echoInvoke('RESPONSE_STREAM'),
  'TestLambdaURL::test_lambda_url_echo_invoke[None]': echoInvoke(undefined),
  'TestLambdaURL::test_lambda_url_invalid_invoke_mode': {
    run: async (cloud, name) => {
      await cloud.create(name, NODE_ECHO, NODE)
      // A mode that the service does not know is not of the SDK's types.
      const input = JSON.parse(`{"FunctionName":"${name}","AuthType":"NONE","InvokeMode":"UNKNOWN"}`) as {
        FunctionName: string
        AuthType: 'NONE'
      }
      const sent = cloud.lambda.send(new CreateFunctionUrlConfigCommand(input))
      return { invoke_function_invalid_invoke_type: await cloud.answer(sent) }
    },
  },
  'TestLambdaURL::test_lambda_update_function_url_config': {
    run: async (cloud, name) => {
      await cloud.create(name, NODE_ECHO, NODE)
      const of = { FunctionName: name }
      const get = (): Promise<Answer> => cloud.answer(cloud.lambda.send(new GetFunctionUrlConfigCommand(of)))
      const update = (more: object): Promise<Answer> =>
        cloud.answer(cloud.lambda.send(new UpdateFunctionUrlConfigCommand({ ...of, ...more })))
      const create = new CreateFunctionUrlConfigCommand({ ...of, AuthType: 'NONE', InvokeMode: 'BUFFERED' })
      return {
        create_lambda_url_config: await cloud.answer(cloud.lambda.send(create)),
        get_url_config: await get(),
        modify_lambda_url_config: await update({ InvokeMode: 'RESPONSE_STREAM' }),
        get_url_config_2: await get(),
        modify_lambda_url_config_none: await update({ AuthType: 'NONE' }),
        get_url_config_3: await get(),
      }
    },
  },
  'TestLambdaURL::test_lambda_url_persists_after_alias_delete': {
    needs: PYTHON,
    run: async (cloud, name) => {
      const { lambda, answer } = cloud
      await cloud.create(name, PYTHON_HELLO)
      await lambda.send(new PublishVersionCommand({ FunctionName: name }))
      const alias = { FunctionName: name, Name: 'live' }
      await lambda.send(new CreateAliasCommand({ ...alias, FunctionVersion: '1' }))
      const create = {
        FunctionName: name,
        Qualifier: 'live',
        AuthType: 'NONE',
        InvokeMode: 'BUFFERED',
      } as const
      const created = await answer(lambda.send(new CreateFunctionUrlConfigCommand(create)))
      const address = String(created['FunctionUrl'])
      const { status } = await askUrl(address)
      const deleted = await answer(lambda.send(new DeleteAliasCommand(alias)))
      const refused = await askUrl(address)
      return {
        create_lambda_url_config: created,
        invoke_aliased_url_response: { status_code: status },
        delete_alias_resp: deleted,
        invoke_deleted_alias_url_response_delayed: {
          status_code: refused.status,
          headers: { 'x-amzn-ErrorType': refused.headers['x-amzn-errortype'] },
          content: plain(refused.body),
        },
      }
    },
  },
}

export const URLS: RecordedCases = { ...REQUESTS, ...ANSWERS, ...CONFIGURATIONS }
