import { execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { chmod } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'

import { expect, test } from 'vitest'

import { FlexiError } from '../../../src/core/errors.ts'
import { extension, NOTES_ALL, openExtended, prepareExtended, type Extended } from './extension-harness.ts'

/** On a busy machine. */
const SOON = { timeout: 10_000 }

const APP = {
  'app.js': `const fs = require('fs')
    const note = (text) => fs.appendFileSync(process.env.NOTES, text + '\\n')
    note('runtime')
    process.on('SIGTERM', () => { note('SIGTERM'); process.exit(0) })
    exports.handler = async (event) => {
      if (event.exit !== undefined) process.exit(event.exit)
      if (event.hang) await new Promise((resolve) => setTimeout(resolve, 60000))
      return { event, api: process.env.AWS_LAMBDA_RUNTIME_API }
    }`,
}

/** A runtime and an extension that need nothing but a shell and curl. */
const BOOTSTRAP = `#!/bin/bash
API=http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime
echo runtime >> "$NOTES"
while true; do
  HEAD=$(mktemp)
  EVENT=$(curl -sS -D "$HEAD" "$API/invocation/next") || exit 1
  ID=$(grep -i lambda-runtime-aws-request-id "$HEAD" | tr -d '\\r' | cut -d' ' -f2); rm "$HEAD"
  curl -sS -o /dev/null "$API/invocation/$ID/response" -d "$EVENT"
done
`
const SHELL_EXTENSION = `#!/bin/bash
API=http://$AWS_LAMBDA_RUNTIME_API/2020-01-01/extension
HEAD=$(mktemp)
curl -sS -o /dev/null -D "$HEAD" -H "Lambda-Extension-Name: $(basename "$0")" "$API/register" -d '{"events":["INVOKE","SHUTDOWN"]}'
ID=$(grep -i lambda-extension-identifier "$HEAD" | tr -d '\\r' | cut -d' ' -f2); rm "$HEAD"
while true; do
  EVENT=$(curl -sS -H "Lambda-Extension-Identifier: $ID" "$API/event/next")
  echo "shell says $EVENT"
  case "$EVENT" in
    *SHUTDOWN*) echo "SHUTDOWN" >> "$NOTES"; exit 0;;
    *) echo INVOKE >> "$NOTES";;
  esac
done
`
const PYTHON_EXTENSION = `#!/usr/bin/env python3
import json, os, sys, urllib.request
api = 'http://' + os.environ['AWS_LAMBDA_RUNTIME_API'] + '/2020-01-01/extension/'
def note(text):
    with open(os.environ['NOTES'], 'a') as file: file.write(text + '\\n')
request = urllib.request.Request(api + 'register', b'{"events":["INVOKE","SHUTDOWN"]}', {'Lambda-Extension-Name': os.path.basename(sys.argv[0])})
id = urllib.request.urlopen(request).headers['Lambda-Extension-Identifier']
while True:
    event = json.load(urllib.request.urlopen(urllib.request.Request(api + 'event/next', headers={'Lambda-Extension-Identifier': id})))
    note('python ' + event['eventType'])
    if event['eventType'] == 'SHUTDOWN': break
`

test('starts extensions before the runtime, and hands them every event', async () => {
  await using fn = await openExtended(APP, { watcher: NOTES_ALL })
  expect((await fn.invoke({ a: 1 })).value).toMatchObject({ event: { a: 1 } })
  await expect.poll(async () => (await fn.notes()).length, SOON).toBe(3)
  const [registered, runtime, invoke] = await fn.notes()
  expect(registered).toBe(
    'registered {"functionName":"tested","functionVersion":"$LATEST","handler":"app.handler"}',
  )
  expect(runtime).toBe('runtime')
  expect(JSON.parse(invoke?.slice('INVOKE '.length) ?? '')).toEqual({
    eventType: 'INVOKE',
    deadlineMs: expect.any(Number),
    requestId: expect.stringMatching(/^[\da-f-]{36}$/),
    invokedFunctionArn: 'arn:aws:lambda:us-east-1:123456789012:function:tested',
    tracing: { type: 'X-Amzn-Trace-Id', value: expect.stringContaining('Root=') },
  })
})

test('answers as soon as the handler has, and is done with an invocation when its extensions are', async () => {
  const slow = extension(`
    await register(['INVOKE'])
    for (;;) {
      await next()
      await new Promise((resolve) => setTimeout(resolve, 400))
      note('slow is done')
    }`)
  await using fn = await openExtended(APP, { slow })
  await invokeUnlogged(fn)
  expect(await fn.notes()).not.toContain('slow is done')
  expect(reports(fn)).toEqual([])
  await expect.poll(() => reports(fn).length, SOON).toBe(1)
  expect(await fn.notes()).toContain('slow is done')
  expect(Number(/Duration: ([\d.]+)/.exec(reports(fn)[0] ?? '')?.[1])).toBeGreaterThan(350)
})

test('gives an environment its next event only when its extensions are back', async () => {
  const slow = extension(`
    await register(['INVOKE'])
    for (;;) {
      const { requestId } = await next()
      await new Promise((resolve) => setTimeout(resolve, 50))
      note('done', requestId)
    }`)
  const app = `exports.handler = async (event, { awsRequestId }) => {
    require('fs').appendFileSync(process.env.NOTES, 'begins ' + awsRequestId + ' ' + process.pid + '\\n') }`
  await using fn = await openExtended({ 'app.js': app }, { slow })
  await Promise.all([1, 2, 3, 4].map(() => invokeUnlogged(fn)))
  await expect.poll(async () => (await fn.notes()).length, SOON).toBe(8)
  const notes = (await fn.notes()).map((line) => line.split(' '))
  const processes = new Map(notes.map(([, id = '', pid]) => [id, pid] as const).filter(([, pid]) => pid))
  expect(new Set(processes.values()).size).toBe(1)
  expect(notes.map(([what]) => what).join(' ')).toMatch(/^(begins done ?)+$/)
})

test('gives extensions the function’s variables, without those of its runtime', async () => {
  const names = extension(`
    note(Object.keys(process.env).sort())
    await register([])
    await next()`)
  await using fn = await openExtended(
    APP,
    { names },
    {
      handler: 'app.handler',
      environment: { MINE: '1', _HIDDEN: '1' },
    },
  )
  const [line = '[]'] = await fn.notes()
  const variables = JSON.parse(line) as string[]
  expect(variables).toEqual(
    expect.arrayContaining([
      'AWS_LAMBDA_FUNCTION_NAME',
      'AWS_LAMBDA_RUNTIME_API',
      'AWS_REGION',
      'FLEXI_OPT',
      'MINE',
    ]),
  )
  for (const name of [
    '_HANDLER',
    '_HIDDEN',
    'LAMBDA_TASK_ROOT',
    'AWS_EXECUTION_ENV',
    'AWS_XRAY_CONTEXT_MISSING',
  ])
    expect(variables).not.toContain(name)
})

test('warns the runtime first, then its extensions, when an environment is no longer needed', async () => {
  const fn = await openExtended(APP, { watcher: NOTES_ALL })
  await fn.invoke()
  await fn.pool[Symbol.asyncDispose]()
  const notes = await fn.notes()
  expect(notes.at(-2)).toBe('SIGTERM')
  const { shutdownReason, deadlineMs } = shutdownIn(notes)
  expect(shutdownReason).toBe('spindown')
  expect(deadlineMs - Date.now()).toBeGreaterThan(1000)
  await fn[Symbol.asyncDispose]()
})

test('ends an extension that is not done two seconds after it was told', async () => {
  const stays = extension(`
    await register(['INVOKE', 'SHUTDOWN'])
    await next()
    note('told', process.pid)
    setInterval(() => undefined, 1000)`)
  const fn = await openExtended(APP, { stays })
  const startedAt = performance.now()
  await fn.pool[Symbol.asyncDispose]()
  expect(performance.now() - startedAt).toBeGreaterThan(1500)
  expect(performance.now() - startedAt).toBeLessThan(8000)
  const pid = Number((await fn.notes()).at(-1)?.split(' ')[1])
  expect(() => process.kill(pid, 0)).toThrow('ESRCH')
  await fn[Symbol.asyncDispose]()
})

test.each([
  ['timeout', { hang: true }, 'Sandbox.Timedout'],
  ['failure', { exit: 3 }, 'Runtime.ExitError'],
])(
  'tells extensions of a %s, and serves the next event in a new environment',
  async (reason, event, errorType) => {
    await using fn = await openExtended(
      APP,
      { watcher: NOTES_ALL },
      { handler: 'app.handler', timeoutMs: 300 },
    )
    expect((await fn.invoke(event)).value).toMatchObject({ errorType })
    await expect.poll(async () => shutdownIn(await fn.notes()).shutdownReason, SOON).toBe(reason)
    expect((await fn.invoke({ again: 1 })).value).toMatchObject({ event: { again: 1 } })
  },
)

test('fails the invocation in which an extension crashes, and the environment with it', async () => {
  const crashes = extension(`
    await register(['INVOKE'])
    await next()
    process.exit(7)`)
  await using fn = await openExtended(APP, { crashes })
  const { value } = await fn.invoke({ hang: true })
  expect(value).toEqual({
    errorType: 'Extension.Crash',
    errorMessage: expect.stringMatching(
      /^RequestId: [\da-f-]{36} Error: exit code 7, of the extension crashes$/,
    ),
  })
})

test.each([
  ['ends before it registers', `process.exit(0)`, 'Extension.Crash: Error: exit code 0'],
  [
    'says that it cannot start',
    `await register(['INVOKE'])
     const answer = await call('POST', '/2020-01-01/extension/init/error', { 'Lambda-Extension-Identifier': id, 'Lambda-Extension-Function-Error-Type': 'Extension.NoLicence' }, {})
     note(answer.status)
     process.exit(1)`,
    'Extension.NoLicence: Error: the extension bad says so',
  ],
])('does not start a function whose extension %s', async (_what, body, message) => {
  await using fn = await prepareExtended(APP, { bad: extension(body) })
  const error: unknown = await fn.build().catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(FlexiError)
  expect(error).toMatchObject({ code: 'FLEXI_FUNCTION_INIT', message: expect.stringContaining(message) })
})

test('says which extension is not executable', async () => {
  await using fn = await prepareExtended(APP, { plain: NOTES_ALL })
  await chmod(join(fn.directory, 'layer/extensions/plain'), 0o644)
  await expect(fn.build()).rejects.toThrow(
    'Extension.LaunchError: Error: the extension plain is not executable',
  )
})

test('lets an agent have a port of its own, over a reload, a timeout and while requests come at once', async () => {
  const probe = createServer()
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve))
  const { port } = probe.address() as AddressInfo
  await new Promise((resolve) => probe.close(resolve))
  const agent = extension(`
    const server = http.createServer((incoming, outgoing) => outgoing.end('secret'))
    await new Promise((resolve) => server.listen(${port}, '127.0.0.1', resolve))
    await register(['SHUTDOWN'])
    await next()
    setTimeout(() => process.exit(0), 100)`)
  const app = (version: number): Record<string, string> => ({
    'app.js': `exports.handler = async (event) => {
      await new Promise((resolve) => setTimeout(resolve, event.ms ?? 50))
      return ${version} + (await (await fetch('http://127.0.0.1:${port}')).text()) }`,
  })
  await using fn = await openExtended(app(1), { agent }, { handler: 'app.handler', timeoutMs: 1000 })
  const values = await Promise.all([1, 2, 3].map(async () => (await fn.invoke()).value))
  expect(values).toEqual(['1secret', '1secret', '1secret'])
  await fn.write(app(2))
  await fn.build()
  expect((await fn.invoke()).value).toBe('2secret')
  expect((await fn.invoke({ ms: 5000 })).value).toMatchObject({ errorType: 'Sandbox.Timedout' })
  expect((await fn.invoke()).value).toBe('2secret')
})

test('prints what extensions print, and when they are ready', async () => {
  const talks = extension(`
    console.log('hello from outside')
    await register(['INVOKE', 'SHUTDOWN'])
    await next()`)
  await using fn = await openExtended(APP, { talks })
  await expect.poll(() => fn.lines.map(({ text }) => text), SOON).toContain('hello from outside')
  expect(fn.lines.map(({ text }) => text)).toContain(
    'EXTENSION\tName: talks\tState: Ready\tEvents: [INVOKE, SHUTDOWN]',
  )
})

test('lets code of the function itself register, although its host has no Runtime API', async () => {
  await using fn = await openExtended(
    {
      'app.mjs': `const api = 'http://' + process.env.AWS_LAMBDA_RUNTIME_API + '/2020-01-01/extension/'
        const register = (name, events) => fetch(api + 'register', { method: 'POST', headers: { 'Lambda-Extension-Name': name }, body: JSON.stringify({ events }) })
        const answer = await register('inside', ['INVOKE'])
        const refused = await register('greedy', ['SHUTDOWN'])
        const headers = { 'Lambda-Extension-Identifier': answer.headers.get('lambda-extension-identifier') }
        const seen = []
        const poll = async () => { for (;;) seen.push((await (await fetch(api + 'event/next', { headers })).json()).requestId) }
        poll()
        export const handler = async (event, { awsRequestId }) => {
          const late = await register('late', ['INVOKE'])
          return { status: [answer.status, refused.status], refused: await refused.json(), late: await late.json(), saw: seen.includes(awsRequestId) }
        }`,
    },
    {},
    { handler: 'app.handler', options: { layers: [] } },
  )
  expect((await fn.invoke()).value).toMatchObject({
    status: [200, 403],
    refused: { errorType: 'Extension.InvalidEventType' },
    late: { errorType: 'Extension.RegistrationClosed' },
    saw: true,
  })
})

test('runs an extension in a shell beside a runtime in a shell, at one address', async () => {
  const fn = await openExtended(
    { bootstrap: BOOTSTRAP },
    { shell: SHELL_EXTENSION },
    {
      handler: 'any',
      options: { runtime: 'provided.al2023' },
    },
  )
  expect((await fn.invoke({ n: 1 })).value).toEqual({ n: 1 })
  expect((await fn.invoke({ n: 2 })).value).toEqual({ n: 2 })
  await fn.pool[Symbol.asyncDispose]()
  expect(await fn.notes()).toEqual(['runtime', 'INVOKE', 'INVOKE', 'SHUTDOWN'])
  expect(fn.lines.some(({ text }) => text.startsWith('shell says {"eventType":"SHUTDOWN"'))).toBe(true)
  await fn[Symbol.asyncDispose]()
})

const python = works('python3')

test.skipIf(python !== undefined)(
  `runs an extension in Python beside a function in Python${python === undefined ? '' : ` (${python})`}`,
  async () => {
    const fn = await openExtended(
      {
        'app.py': 'import greeting\ndef handler(event, context):\n  return greeting.hello(event["name"])\n',
        'layer/python/greeting.py': 'def hello(name):\n  return "hello " + name\n',
      },
      { snake: PYTHON_EXTENSION },
      { handler: 'app.handler', options: { runtime: 'python3.12' } },
    )
    expect((await fn.invoke({ name: 'you' })).value).toBe('hello you')
    await fn.pool[Symbol.asyncDispose]()
    expect(await fn.notes()).toEqual(['python INVOKE', 'python SHUTDOWN'])
    await fn[Symbol.asyncDispose]()
  },
)

/** Why it does not run here. */
function works(program: string): string | undefined {
  try {
    execFileSync(program, ['--version'], { stdio: 'ignore' })
    return undefined
  } catch {
    return `${program} does not run here`
  }
}

/** Whoever reads the log waits for its last line. */
async function invokeUnlogged(fn: Extended): Promise<void> {
  const signal = new AbortController().signal
  const context = { id: randomUUID(), deadline: Date.now() + 5000, signal, unlogged: true }
  await fn.pool.invoke(Buffer.from('{}'), context)
}

function reports({ lines }: Extended): readonly string[] {
  return lines.map(({ text }) => text).filter((text) => text.startsWith('REPORT'))
}

function shutdownIn(notes: readonly string[]): {
  readonly shutdownReason?: string
  readonly deadlineMs: number
} {
  const line = notes.find((note) => note.startsWith('SHUTDOWN '))
  return line === undefined
    ? { deadlineMs: 0 }
    : (JSON.parse(line.slice('SHUTDOWN '.length)) as { shutdownReason: string; deadlineMs: number })
}
