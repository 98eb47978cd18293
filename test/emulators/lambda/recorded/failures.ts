import { InvokeCommand } from '@aws-sdk/client-lambda'

import { PYTHON, type RecordedCase, type RecordedCases } from './case.ts'

/** A Python function whose one invocation is what was recorded. */
function failure(
  code: string,
  more: Partial<RecordedCase> & { readonly variables?: Record<string, string>; readonly file?: string } = {},
): RecordedCase {
  const { variables = {}, file = 'handler', ...rest } = more
  return {
    needs: PYTHON,
    run: async (cloud, name) => {
      await cloud.create(
        name,
        { [`${file}.py`]: code },
        { Handler: `${file}.handler`, Environment: { Variables: variables } },
      )
      return { invocation_error: await cloud.invoke(name, {}) }
    },
    ...rest,
  }
}

const JSON_WORDS = 'what is wrong with the text is said in Node’s words'

function notJson(recorded: string, Payload: Buffer): RecordedCase {
  return {
    run: async (cloud, name) => {
      await cloud.create(
        name,
        { 'index.js': 'exports.handler = async () => {}' },
        { Runtime: 'nodejs20.x', Handler: 'index.handler' },
      )
      const sent = cloud.lambda.send(new InvokeCommand({ FunctionName: name, Payload }))
      return { [recorded]: await cloud.answer(sent) }
    },
    differs: { [`${recorded}.Error.Message`]: JSON_WORDS, [`${recorded}.message`]: JSON_WORDS },
  }
}

export const FAILURES: RecordedCases = {
  'TestLambdaErrors::test_lambda_handler_error': failure(
    'def handler(event, context):\n    raise Exception("Handler fails")\n',
    { file: 'lambda_handler_error' },
  ),
  'TestLambdaErrors::test_lambda_handler_exit': failure(
    'import os\ndef handler(event, context):\n    os._exit(0)\n',
  ),
  'TestLambdaErrors::test_lambda_runtime_error': failure('raise Exception("Runtime startup fails")\n', {
    differs: { '*.stackTrace.*': 'the frames and files of this Python’s own importlib' },
  }),
  'TestLambdaErrors::test_lambda_runtime_exit': failure('import os\nos._exit(0)\n'),
  'TestLambdaErrors::test_lambda_runtime_exit_segfault': failure(
    'import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n',
    {
      differs: {
        '*.errorType': 'a crash is told at once, and as one',
        '*.errorMessage': 'a crash is told at once, and as one',
      },
    },
  ),
  'TestLambdaErrors::test_lambda_runtime_wrapper_not_found': failure(
    'def handler(event, context):\n    return {}\n',
    {
      variables: { AWS_LAMBDA_EXEC_WRAPPER: '/var/task/idontexist.sh' },
    },
  ),
  'TestLambdaErrors::test_lambda_invoke_payload_encoding_error[body-n\\x87r\\x9e\\xe9\\xb5\\xd7I\\xee\\x9bmt]':
    notJson(
      'invoke_function_invalid_payload_body',
      Buffer.from([0x6e, 0x87, 0x72, 0x9e, 0xe9, 0xb5, 0xd7, 0x49, 0xee, 0x9b, 0x6d, 0x74]),
    ),
  'TestLambdaErrors::test_lambda_invoke_payload_encoding_error[message-\\x99\\xeb,j\\x07\\xa1zYh]': notJson(
    'invoke_function_invalid_payload_message',
    Buffer.from([0x99, 0xeb, 0x2c, 0x6a, 0x07, 0xa1, 0x7a, 0x59, 0x68]),
  ),
}
