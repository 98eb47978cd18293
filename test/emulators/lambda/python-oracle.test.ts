import { spawnSync } from 'node:child_process'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { openFunction, type Opened } from './harness.ts'

const FOLDER = await mkdtemp(join(tmpdir(), 'flexi-awslambdaric-'))
const PYTHON = join(FOLDER, 'bin', 'python')

/** Why the official client is not here; undefined when it is. */
function install(): string | undefined {
  if (spawnSync('python3', ['--version']).status !== 0) return 'python3 is not installed'
  if (spawnSync('python3', ['-m', 'venv', FOLDER]).status !== 0) return 'python3 makes no virtual environment'
  const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', 'awslambdaric']
  const { status, stderr } = spawnSync(PYTHON, pip, { encoding: 'utf8', timeout: 120_000 })
  return status === 0 ? undefined : `pip install awslambdaric failed: ${stderr.trim().split('\n').at(-1)}`
}

const MISSING = install()
if (MISSING !== undefined) test.skip(`our Python runtime beside awslambdaric (not here: ${MISSING})`)

const CODE = `import collections, decimal, json, logging, os, sys, datetime, threading
log = logging.getLogger()
named = logging.getLogger('named')

class Own(Exception):
    pass

def fail(kind):
    raise kind('told: "x" ü')

def context_of(context):
    return {
        'request': context.aws_request_id is not None,
        'names': [context.function_name, context.function_version, context.memory_limit_in_mb, context.log_group_name],
        'client': repr(context.client_context), 'identity': repr(context.identity), 'tenant': context.tenant_id,
        'w3c': context.w3c(), 'left': 2000 < context.get_remaining_time_in_millis() <= 3000,
        'custom': context.client_context and context.client_context.custom,
        'title': context.client_context and context.client_context.client and context.client_context.client.app_title,
        'repr': repr(context).split('(')[0], 'count': repr(context).count('='),
    }

RESULTS = {
    'none': lambda: None, 'text': lambda: 'ü→😀"\\\\\\n', 'number': lambda: 1.50, 'big': lambda: 2 ** 70, 'deep': lambda: {'a': [{'b': (1, 2)}]},
    'keys': lambda: {1: 'a', None: 'b', True: 'c', 1.5: 'd'},
    'decimal': lambda: [decimal.Decimal('1.50'), decimal.Decimal('12345678901234567890.123'), decimal.Decimal('3')],
    'bytes': lambda: b'{"raw": true}', 'inner': lambda: {'b': b'text'}, 'nan': lambda: [float('nan')],
    'date': lambda: datetime.datetime(2026, 1, 1), 'set': lambda: {1}, 'object': lambda: object(),
    'raise': lambda: fail(ValueError), 'own': lambda: fail(Own), 'empty': lambda: fail(lambda _: KeyError()),
    'nested': lambda: json.loads('{'), 'zero': lambda: 1 / 0, 'assert': lambda: fail(AssertionError),
    'trace': lambda: os.environ.get('_X_AMZN_TRACE_ID') is not None,
}

def handler(event, context):
    case = event['case']
    if case == 'context':
        return context_of(context)
    if case == 'print':
        print('printed', event['case'])
        sys.stderr.write('to stderr\\n')
        log.warning('warned %s', 1)
        named.error('named')
        log.info('quiet')
        try:
            1 / 0
        except ZeroDivisionError:
            log.exception('caught')
        log.warning({'a': 1}, extra={'more': [1]})
        return None
    if case == 'exit':
        sys.exit(event['code'])
    return RESULTS[case]()
`

const CASES = ['none', 'text', 'number', 'big', 'deep', 'keys', 'decimal', 'bytes', 'inner', 'nan', 'date', 'set', 'object', 'raise', 'own', 'empty', 'nested', 'zero', 'assert', 'trace', 'context'] // prettier-ignore

describe.runIf(MISSING === undefined)('our Python runtime answers as awslambdaric does', () => {
  for (const format of ['Text', 'JSON']) {
    describe(`with logs as ${format}`, () => {
      let ours: Opened
      let official: Opened

      beforeAll(async () => {
        const environment = { AWS_LAMBDA_LOG_FORMAT: format, AWS_EXECUTION_ENV: 'AWS_Lambda_python3.11' }
        ours = await openFunction(
          { 'app.py': CODE },
          {
            handler: 'app.handler',
            environment,
            options: { runtime: 'python3.11' },
          },
        )
        official = await officialFunction(CODE, environment)
      })
      afterAll(async () => {
        await ours[Symbol.asyncDispose]()
        await official[Symbol.asyncDispose]()
      })

      for (const name of CASES) {
        test(`to ${name}`, async () => {
          const event = { case: name }
          const clientContext =
            '{"client":{"app_title":"ü"},"custom":{"a":1},"w3c":{"traceparent":"00-1","other":1}}'
          const [one, other] = await Promise.all([
            ours.invoke(event, { clientContext }),
            official.invoke(event, { clientContext }),
          ])
          expect(answerOf(one)).toEqual(answerOf(other))
          expect(one.functionError).toBe(other.functionError)
          expect(logOf(one.log)).toEqual(logOf(other.log))
        })
      }

      test('to what is printed and logged', async () => {
        const event = { case: 'print' }
        const [one, other] = await Promise.all([ours.invoke(event), official.invoke(event)])
        expect(logOf(one.log).toSorted()).toEqual(logOf(other.log).toSorted())
      })

      test('to an exit', async () => {
        for (const code of [0, 3]) {
          const event = { case: 'exit', code }
          const [one, other] = await Promise.all([ours.invoke(event), official.invoke(event)])
          expect(answerOf(one)).toEqual(answerOf(other))
        }
      })
    })
  }

  const BROKEN: Readonly<Record<string, string>> = {
    'a handler that is not there': 'other = 1\n',
    'an error at the top level': 'raise KeyError("top")\n',
    'an exit at the top level': 'import sys\nsys.exit(7)\n',
  }
  for (const [what, code] of Object.entries(BROKEN)) {
    test(`to ${what}`, async () => {
      const started = await Promise.allSettled([
        openFunction({ 'app.py': code }, { handler: 'app.handler' }),
        officialFunction(code, {}),
      ])
      const [one, other] = started.map((each) =>
        each.status === 'rejected' ? causeOf(each.reason) : 'started',
      )
      expect(one).toEqual(other)
    })
  }

  test('but an import that fails says where, which Lambda’s leaves out', async () => {
    const code = 'import nothing_like_it\n'
    const started = await Promise.allSettled([
      openFunction({ 'app.py': code }, { handler: 'app.handler' }),
      officialFunction(code, {}),
    ])
    const [one, other] = started.map((each) =>
      each.status === 'rejected' ? causeOf(each.reason) : undefined,
    )
    expect({ ...one, stackTrace: [] }).toEqual(other)
    expect(JSON.stringify(one?.['stackTrace'])).toContain('import nothing_like_it')
  })
})

async function officialFunction(
  code: string,
  environment: Readonly<Record<string, string>>,
): Promise<Opened> {
  const bootstrap = `#!/bin/sh\nexec ${PYTHON} -m awslambdaric "$_HANDLER"\n`
  const config = { handler: 'app.handler', environment, options: { runtime: 'provided.al2023' } }
  const { prepareFunction } = await import('./harness.ts')
  const opened = await prepareFunction({ 'app.py': code, bootstrap }, config)
  await chmod(join(opened.directory, 'bootstrap'), 0o755)
  try {
    await opened.build()
  } catch (error) {
    await opened[Symbol.asyncDispose]()
    throw error
  }
  return opened
}

interface Answered {
  readonly payload: Uint8Array
  readonly value: unknown
}

/** The answer, without what differs from one environment to the next: folders and ids. */
function answerOf({ payload, value }: Answered): unknown {
  const text = neutral(Buffer.from(payload).toString())
  // An error's object is built in another order.
  return typeof value === 'object' && value !== null && 'errorType' in value ? JSON.parse(text) : text
}

function causeOf(error: unknown): Record<string, unknown> {
  const { cause } = error as { cause: { payload: Buffer } }
  return JSON.parse(neutral(cause.payload.toString())) as Record<string, unknown>
}

function logOf(log: string): string[] {
  // Lambda's puts no line end behind a traceback in a log of text, so that the next line is glued to it: ours does.
  return neutral(log)
    .replace('division by zero[', 'division by zero\n[')
    .split('\n')
    .filter((line) => !/^(START|END|REPORT) /.test(line))
}

function neutral(text: string): string {
  return text
    .replaceAll(/\/[^" ]*flexi-test-\w+/g, 'FOLDER')
    .replaceAll(/[0-9a-f]{8}-[0-9a-f-]{27}/g, 'ID')
    .replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, 'TIME')
    .replaceAll(/0x[0-9a-f]+/g, 'ADDRESS')
}

afterAll(() => rm(FOLDER, { recursive: true, force: true }))
