import { chmod, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { describe, expect, test } from 'vitest'

import { createLogger } from '../../../src/core/log.ts'
import type { Definition } from '../../../src/emulators/lambda/definition.ts'
import { warnOfVersion } from '../../../src/emulators/lambda/programs/version-of.ts'
import { openFunction, prepareFunction } from './harness.ts'

const WITH_CALLBACK = 'exports.handler = (event, context, callback) => callback(null, typeof context.done)\n'

describe('handlers with a callback', () => {
  for (const runtime of ['nodejs18.x', 'nodejs22.x']) {
    test(`run as ${runtime}, and the context answers too`, async () => {
      await using opened = await openFunction(
        { 'app.cjs': WITH_CALLBACK },
        { handler: 'app.handler', options: { runtime } },
      )
      expect((await opened.invoke()).value).toBe('function')
    })
  }

  test('do not load as nodejs24.x', async () => {
    await using opened = await prepareFunction(
      { 'app.cjs': WITH_CALLBACK },
      { handler: 'app.handler', options: { runtime: 'nodejs24.x' } },
    )
    await expect(opened.build()).rejects.toMatchObject({ code: 'FLEXI_FUNCTION_INIT' })
    expect(opened.faults).toMatchObject([
      { kind: 'init', name: 'Runtime.CallbackHandlerDeprecated', message: expect.stringContaining('async') },
    ])
  })

  test('that stream have three parameters of another kind, as nodejs24.x too', async () => {
    const code =
      'exports.handler = awslambda.streamifyResponse(async (event, stream, context) => { stream.end(context.awsRequestId.length + "") })\n'
    await using opened = await openFunction(
      { 'app.cjs': code },
      { handler: 'app.handler', options: { runtime: 'nodejs24.x' } },
    )
    expect(Buffer.from((await opened.invoke()).payload).toString()).toBe('36')
  })
})

describe('as nodejs24.x', () => {
  const CODE = `exports.handler = (event, context, ...rest) => {
  if (event.nothing) { setTimeout(() => {}, 60_000); return }
  return { done: typeof context.done, succeed: typeof context.succeed, fail: typeof context.fail, rest: rest.filter((each) => each !== undefined).length }
}
`
  test('the context answers no more, and what a handler returns is its result at once', async () => {
    await using opened = await openFunction(
      { 'app.cjs': CODE },
      { handler: 'app.handler', options: { runtime: 'nodejs24.x' } },
    )
    expect((await opened.invoke()).value).toEqual({
      done: 'undefined',
      succeed: 'undefined',
      fail: 'undefined',
      rest: 0,
    })
    expect((await opened.invoke({ nothing: true })).value).toBeNull()
  })

  test('the handler may be in the default export', async () => {
    await using opened = await openFunction(
      { 'app.mjs': 'export default { handler: async () => "of default" }\n' },
      { handler: 'app.handler', options: { runtime: 'nodejs24.x' } },
    )
    expect((await opened.invoke()).value).toBe('of default')
  })
})

describe('AWS_LAMBDA_EXEC_WRAPPER', () => {
  const files = { 'app.cjs': 'exports.handler = async () => process.env.WRAPPED\n' }

  test('is run with the runtime’s command line', async () => {
    await using opened = await prepareFunction(
      { ...files, 'wrap.sh': '#!/bin/sh\nexport WRAPPED="$(basename "$1")"\nexec "$@"\n' },
      { handler: 'app.handler' },
    )
    await chmod(join(opened.directory, 'wrap.sh'), 0o755)
    const wrapper = join(opened.directory, 'wrap.sh')
    await using wrapped = await prepareFunction(files, {
      handler: 'app.handler',
      environment: { AWS_LAMBDA_EXEC_WRAPPER: wrapper },
    })
    await wrapped.build()
    expect((await wrapped.invoke()).value).toBe('node')
  })

  for (const runtime of ['nodejs22.x', 'provided.al2023']) {
    test(`that is not there ends ${runtime} with status 127`, async () => {
      await using opened = await prepareFunction(
        { ...files, bootstrap: '#!/bin/sh\n' },
        {
          handler: 'app.handler',
          environment: { AWS_LAMBDA_EXEC_WRAPPER: '/nowhere/wrap' },
          options: { runtime },
        },
      )
      await chmod(join(opened.directory, 'bootstrap'), 0o755)
      await expect(opened.build()).rejects.toMatchObject({ code: 'FLEXI_FUNCTION_INIT' })
      expect(opened.faults).toMatchObject([{ message: 'Runtime exited with error: exit status 127' }])
    })
  }
})

test('another version than the one that is named is told, once', () => {
  const told: unknown[] = []
  const log = createLogger((record) => told.push(record.fields))
  const scope = { log } as Definition['scope']
  for (let n = 0; n < 2; n += 1) warnOfVersion({ name: 'hello', scope }, 'python3.12', 'python 3.11.7')
  expect(told).toEqual([{ message: 'python3.12 is not here, python 3.11.7 runs it' }])
})

describe('runtimes whose tools are not here', () => {
  const MISSING: Readonly<Record<string, readonly [handler: string, hint: string]>> = {
    java21: ['example.Handler::handle', 'apt install default-jdk'],
    'ruby3.4': ['app.Handler.handle', 'gem install aws_lambda_ric'],
    dotnet8: ['Assembly::Class::Method', 'https://dotnet.microsoft.com'],
    'python3.12': ['app.handler', 'apt install python3'],
  }
  for (const [runtime, [handler, hint]] of Object.entries(MISSING)) {
    test(`${runtime} says what to install`, async () => {
      const { PATH, JAVA_HOME, VIRTUAL_ENV } = process.env
      process.env['PATH'] = '/nowhere'
      delete process.env['JAVA_HOME']
      delete process.env['VIRTUAL_ENV']
      try {
        await using opened = await prepareFunction({ 'app.py': '' }, { handler, options: { runtime } })
        await expect(opened.source.build()).rejects.toMatchObject({
          code: 'FLEXI_TOOL_MISSING',
          hint: expect.stringContaining(hint),
        })
      } finally {
        Object.assign(process.env, {
          PATH,
          ...(JAVA_HOME && { JAVA_HOME }),
          ...(VIRTUAL_ENV && { VIRTUAL_ENV }),
        })
      }
    })
  }

  test('go1.x is an executable of the handler’s name', async () => {
    await using opened = await prepareFunction({}, { handler: 'main', options: { runtime: 'go1.x' } })
    await expect(opened.source.build()).rejects.toMatchObject({
      faults: [{ hint: expect.stringContaining('go build -o main') }],
    })
    await writeFile(join(opened.directory, 'main'), '#!/bin/sh\nexit 5\n')
    await chmod(join(opened.directory, 'main'), 0o755)
    await expect(opened.build()).rejects.toMatchObject({ code: 'FLEXI_FUNCTION_INIT' })
    expect(opened.faults).toMatchObject([{ message: 'Runtime exited with error: exit status 5' }])
  })
})
