import { spawnSync } from 'node:child_process'
import { readdir } from 'node:fs/promises'

import { describe, expect, test } from 'vitest'

import { openFunction, prepareFunction } from './harness.ts'

const PRESENT = spawnSync('python3', ['--version']).status === 0

if (!PRESENT) test.skip('python handlers (not here: python3 is not installed)')

test('a machine without python3 is told what to install', async () => {
  const path = process.env['PATH']
  process.env['PATH'] = '/nowhere'
  try {
    await using opened = await prepareFunction(
      { 'app.py': 'def handler(event, context): pass\n' },
      { handler: 'app.handler' },
    )
    await expect(opened.source.build()).rejects.toMatchObject({
      code: 'FLEXI_TOOL_MISSING',
      hint: expect.stringContaining('apt install python3'),
    })
  } finally {
    process.env['PATH'] = path
  }
})

describe.runIf(PRESENT)('python handlers', () => {
  test('get the event and a context with Lambda’s names', async () => {
    await using opened = await openFunction(
      {
        'api/app.py': `import os
def handler(event, context):
    names = ['function_name', 'function_version', 'memory_limit_in_mb', 'invoked_function_arn', 'aws_request_id', 'log_group_name', 'log_stream_name']
    return {'event': event, 'context': {name: getattr(context, name) for name in names}, 'left': context.get_remaining_time_in_millis(),
            'custom': context.client_context.custom, 'env': dict(os.environ), 'cwd': os.getcwd(), 'identity': context.identity.cognito_identity_id}
`,
      },
      { handler: 'api/app.handler', timeoutMs: 5_000, memoryMb: 256, environment: { STAGE: 'dev' } },
    )
    const { value } = await opened.invoke({ text: 'ü' }, { clientContext: '{"custom":{"a":1}}' })
    expect(value).toMatchObject({
      event: { text: 'ü' },
      context: {
        function_name: 'tested',
        function_version: '$LATEST',
        memory_limit_in_mb: '256',
        invoked_function_arn: 'arn:aws:lambda:us-east-1:123456789012:function:tested',
        log_group_name: '/aws/lambda/tested',
        log_stream_name: expect.stringContaining('[$LATEST]'),
      },
      custom: { a: 1 },
      identity: null,
      env: {
        STAGE: 'dev',
        FLEXI: '1',
        _HANDLER: 'api/app.handler',
        AWS_EXECUTION_ENV: expect.stringMatching(/^AWS_Lambda_python3\.\d+$/),
        TZ: ':UTC',
      },
      cwd: opened.directory,
    })
    expect((value as { left: number }).left).toBeGreaterThan(3_000)
    expect((value as { env: object }).env).not.toHaveProperty('VITEST')
  })

  test('print as Lambda has it, and log with level, time and request', async () => {
    await using opened = await openFunction(
      {
        'app.py':
          'import logging\nlog = logging.getLogger()\nlog.setLevel(logging.INFO)\ndef handler(event, context):\n    print("raw")\n    log.info("told %s", 1)\n',
      },
      { handler: 'app.handler' },
    )
    const lines = (await opened.invoke()).log.split('\n')
    const id = /RequestId: (\S+)/.exec(lines[0] ?? '')?.[1]
    expect(lines[1]).toBe('raw')
    expect(lines[2]).toMatch(
      new RegExp(`^\\[INFO\\]\\t\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z\\t${id}\\ttold 1$`),
    )
    expect(lines[3]).toBe(`END RequestId: ${id}`)
  })

  test('fail with type, message and stack; the fault points at the expression', async () => {
    await using opened = await openFunction(
      {
        'lib.py': 'def deep(n):\n    return 1 / n\n',
        'app.py': 'from lib import deep\ndef handler(event, context):\n    return deep(event["n"])\n',
      },
      { handler: 'app.handler' },
    )
    const { value, functionError } = await opened.invoke({ n: 0 })
    expect(functionError).toBe('Unhandled')
    expect(value).toMatchObject({
      errorType: 'ZeroDivisionError',
      errorMessage: 'division by zero',
      requestId: expect.stringMatching(/^[\w-]{36}$/),
    })
    expect((value as { stackTrace: string[] }).stackTrace).toHaveLength(2)
    expect(opened.faults).toMatchObject([
      {
        kind: 'throw',
        name: 'ZeroDivisionError',
        frame: { place: { file: `${opened.directory}/lib.py`, line: 2 }, text: '    return 1 / n' },
      },
    ])
    expect((await opened.invoke({ n: 2 })).value).toBe(0.5)
  })

  test('a result that is no JSON is Runtime.MarshalError; a Decimal is a number', async () => {
    await using opened = await openFunction(
      {
        'app.py':
          'from decimal import Decimal\ndef handler(event, context):\n    return {1, 2} if event.get("bad") else [Decimal("1.5"), Decimal("2")]\n',
      },
      { handler: 'app.handler' },
    )
    expect((await opened.invoke({ bad: 1 })).value).toMatchObject({
      errorType: 'Runtime.MarshalError',
      errorMessage: expect.stringContaining('not JSON serializable'),
    })
    expect((await opened.invoke()).value).toEqual([1.5, 2])
  })

  const INIT: Readonly<Record<string, readonly [code: string, name: string, message: RegExp]>> = {
    'a missing module is an ImportModuleError': [
      'import nothing_like_it\n',
      'Runtime.ImportModuleError',
      /^Unable to import module 'app': No module named 'nothing_like_it'$/,
    ],
    'a missing function is HandlerNotFound': [
      'def other(): pass\n',
      'Runtime.HandlerNotFound',
      /^Handler 'handler' missing on module 'app'$/,
    ],
    'a throw at the top level is itself': ['raise KeyError("top")\n', 'KeyError', /top/],
  }
  for (const [rule, [code, name, message]] of Object.entries(INIT)) {
    test(rule, async () => {
      await using opened = await prepareFunction({ 'app.py': code }, { handler: 'app.handler' })
      await expect(opened.build()).rejects.toMatchObject({ code: 'FLEXI_FUNCTION_INIT' })
      expect(opened.faults).toMatchObject([{ kind: 'init', name, message: expect.stringMatching(message) }])
    })
  }

  test('a syntax error in any of its files is a fault of the build; the old code serves on', async () => {
    await using opened = await openFunction(
      {
        'app.py': 'from pack import lib\ndef handler(event, context): return lib.X\n',
        'pack/__init__.py': '',
        'pack/lib.py': 'X = 1\n',
      },
      { handler: 'app.handler' },
    )
    await opened.write({ 'pack/lib.py': 'X = 1\nY = = 2\n' })
    await expect(opened.build()).rejects.toMatchObject({
      code: 'FLEXI_BUILD',
      faults: [
        {
          place: { file: `${opened.directory}/pack/lib.py`, line: 2, column: 5 },
          text: 'Y = = 2',
          message: expect.stringContaining('SyntaxError'),
        },
      ],
    })
    expect((await opened.invoke()).value).toBe(1)
    await opened.write({ 'pack/lib.py': 'X = 3\n' })
    await opened.build()
    expect((await opened.invoke()).value).toBe(3)
  })

  test('two edits within a second are two, and leave no bytecode beside the code', async () => {
    await using opened = await openFunction(
      { 'app.py': 'import lib\ndef handler(event, context): return lib.X\n', 'lib.py': 'X = 0\n' },
      { handler: 'app.handler' },
    )
    for (let version = 1; version <= 3; version += 1) {
      await opened.write({ 'lib.py': `X = ${version}\n` })
      await opened.build()
      expect((await opened.invoke()).value).toBe(version)
    }
    expect(await readdir(opened.directory)).not.toContain('__pycache__')
  })

  test('memory without end is told as memory', async () => {
    await using opened = await openFunction(
      {
        'app.py':
          'def handler(event, context):\n    kept = []\n    while True: kept.append(b"x" * (4 << 20))\n',
      },
      { handler: 'app.handler', timeoutMs: 20_000 },
    )
    expect((await opened.invoke()).value).toMatchObject({
      errorType: 'Runtime.ExitError',
      errorMessage: expect.stringContaining('signal: killed'),
    })
    expect(opened.faults.map(({ kind }) => kind)).toEqual(['memory'])
  })
})
