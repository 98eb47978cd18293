import assert from 'node:assert/strict'

import type { CreateFunctionCommandInput, Runtime } from '@aws-sdk/client-lambda'

import type { Files } from '../harness.ts'
import { forEach, type Program, type RecordedCases } from './case.ts'
import { INTROSPECTION, WRAPPER } from './functions.ts'

const PATHS = 'folders of this machine'
const OURS = 'flexi says that it is it, and where its services are'

/** Variables that are other ones in a process of this machine. */
export function environmentDiffers(runtime: string): Readonly<Record<string, string>> {
  const differs: Record<string, string> = {
    AWS_LAMBDA_RUNTIME_API: 'the environment’s own address',
    PATH: PATHS,
    LD_LIBRARY_PATH: PATHS,
    LAMBDA_RUNTIME_DIR: 'there is no such folder',
    FLEXI: OURS,
    'AWS_ENDPOINT_URL_*': OURS,
  }
  const [, language = '', version = ''] = /^([a-z]+)(.*)$/.exec(runtime) ?? []
  if (language === 'provided') differs['PWD'] = 'every process has one here'
  else differs['SHLVL'] = 'no shell starts the runtime'
  if (language === 'nodejs') differs['NODE_PATH'] = PATHS
  if (language === 'python') differs['PYTHONPATH'] = PATHS
  if (['16.x', '18.x'].includes(version)) differs['NODE_EXTRA_CA_CERTS'] = PATHS
  return Object.fromEntries(Object.entries(differs).map(([name, why]) => [`*.environment.${name}`, why]))
}

/** Whether it is set is a matter of the Python and the machine. */
export const PYTHONS_OWN = { '*.environment.LC_CTYPE': 'one Python runs them all' }

/** Where there is no daemon of X-Ray. */
const NO_XRAY = { '*_DAEMON_ADDRESS': 'there is no X-Ray here' }

const NODE = ['nodejs16.x', 'nodejs18.x', 'nodejs20.x', 'nodejs22.x', 'nodejs24.x']
const PYTHON = [
  'python3.8',
  'python3.9',
  'python3.10',
  'python3.11',
  'python3.12',
  'python3.13',
  'python3.14',
]
const CUSTOM = ['provided.al2', 'provided.al2023']

interface Language {
  readonly code: Files
  readonly handler: string
  readonly needs: readonly Program[]
}

function languageOf(runtime: string): Language {
  if (runtime.startsWith('node')) return { code: INTROSPECTION.node, handler: 'index.handler', needs: [] }
  const needs = ['python3'] as const
  if (runtime.startsWith('python')) return { code: INTROSPECTION.python, handler: 'handler.handler', needs }
  return { code: INTROSPECTION.custom, handler: 'function.handler', needs }
}

function settings(runtime: string): Partial<CreateFunctionCommandInput> {
  const { handler } = languageOf(runtime)
  return {
    Runtime: runtime as Runtime,
    Handler: handler,
    MemorySize: 1024,
    Timeout: 3,
    Environment: undefined,
  }
}

const TEST = 'TestLambdaRuntimesCommon::'

export const RUNTIMES: RecordedCases = {
  ...forEach(`${TEST}test_introspection_invoke`, [...NODE, ...PYTHON, ...CUSTOM], (runtime) => ({
    needs: languageOf(runtime).needs,
    run: async (cloud, name) => ({
      create_function_result: await cloud.create(name, languageOf(runtime).code, {
        ...settings(runtime),
        Environment: { Variables: { TEST_KEY: 'TEST_VAL' } },
      }),
      invocation_result_payload: (await cloud.invoke(name, { simple: 'payload' }))['Payload'],
      invocation_result_payload_qualified: (await cloud.invoke(`${name}:$LATEST`, { simple: 'payload' }))[
        'Payload'
      ],
    }),
    differs: { ...environmentDiffers(runtime), ...NO_XRAY },
    varies: PYTHONS_OWN,
  })),
  ...forEach(`${TEST}test_uncaught_exception_invoke`, [...NODE, ...PYTHON, ...CUSTOM], (runtime) => ({
    needs: languageOf(runtime).needs,
    run: async (cloud, name) => ({
      create_function_result: await cloud.create(name, languageOf(runtime).code, settings(runtime)),
      error_result: traced(await cloud.invoke(name, { error_msg: 'some_error_msg' })),
    }),
    differs:
      runtime === 'python3.8'
        ? { '*.requestId': 'newer runtimes for Python have it; one serves them all here' }
        : {},
  })),
  ...forEach(`${TEST}test_runtime_wrapper_invoke`, [...NODE, ...PYTHON], (runtime) => ({
    needs: languageOf(runtime).needs,
    run: async (cloud, name) => {
      const Variables = { AWS_LAMBDA_EXEC_WRAPPER: '/var/task/environment_wrapper' }
      const code = { ...languageOf(runtime).code, environment_wrapper: WRAPPER }
      const created = await cloud.create(name, code, { ...settings(runtime), Environment: { Variables } })
      const { Payload } = await cloud.invoke(name, {})
      const { environment } = Payload as { readonly environment: Readonly<Record<string, string>> }
      assert.equal(environment['WRAPPER_VAR'], 'test_value')
      return { create_function_result: created }
    },
  })),
  ...forEach(`${TEST}test_echo_invoke`, [...NODE, ...PYTHON, ...CUSTOM], (runtime) => ({
    needs: languageOf(runtime).needs,
    run: async (cloud, name) => {
      const { handler } = languageOf(runtime)
      await cloud.create(name, echo(runtime), { Runtime: runtime as Runtime, Handler: handler })
      const payloads: unknown[] = [
        { simple: 'payload', echo: 1 },
        { nested: { a: [1, 'ü', null] }, echo: true },
      ]
      if (handler !== 'function.handler') payloads.push([1, 2], 'text', 0, -1.5, true, null, '')
      for (const payload of payloads) {
        const { Payload } = await cloud.invoke(name, payload)
        const told = typeof payload === 'object' && payload !== null ? payload : JSON.stringify(payload)
        assert.deepEqual(Payload, told)
      }
      return {}
    },
  })),
}

function echo(runtime: string): Files {
  if (runtime.startsWith('node')) return { 'index.js': 'exports.handler = async (event) => event' }
  if (runtime.startsWith('python'))
    return { 'handler.py': 'def handler(event, context):\n    return event\n' }
  return INTROSPECTION.custom
}

/** Frames are of files, so the recordings leave them out. */
function traced(answer: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const { Payload, ...rest } = answer
  const { trace, stackTrace, ...told } = Payload as Readonly<Record<string, unknown>>
  const frames = {
    ...(Array.isArray(trace) ? { trace: '<stack-trace>' } : {}),
    ...(Array.isArray(stackTrace) ? { stackTrace: '<stack-trace>' } : {}),
  }
  return { ...rest, Payload: { ...told, ...frames } }
}
