import { describe, expect, test } from 'vitest'

import { WITHOUT_BWRAP } from '../../fake-confinement.ts'
import { chmod, rm } from 'node:fs/promises'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { deploy, ship } from './confined-harness.ts'
import { temporaryFolder } from './harness.ts'

const NO_PYTHON = spawnSync('python3', ['--version']).status !== 0

/** A custom runtime: asks for invocations as any does, over TCP. */
const BOOTSTRAP = `#!/usr/bin/env node
const api = 'http://' + process.env.AWS_LAMBDA_RUNTIME_API + '/2018-06-01/runtime/invocation/'
console.log('custom runtime in ' + process.cwd())
;(async () => {
  for (;;) {
    const next = await fetch(api + 'next')
    const id = next.headers.get('lambda-runtime-aws-request-id')
    await fetch(api + id + '/response', { method: 'POST', body: JSON.stringify({ got: await next.json() }) })
  }
})()
`

/** Registers, subscribes to the platform's events on a port of its own, and says what it hears of. */
const EXTENSION = `#!/usr/bin/env node
const { createServer } = require('node:http')
const api = 'http://' + process.env.AWS_LAMBDA_RUNTIME_API
const heard = new Set()
const server = createServer(async (request, response) => {
  let text = ''
  for await (const chunk of request) text += chunk
  response.end()
  for (const { type } of JSON.parse(text)) if (!heard.has(type)) { heard.add(type); console.log('watcher was told of ' + type) }
})
server.listen(4243, async () => {
  const registered = await fetch(api + '/2020-01-01/extension/register', { method: 'POST', headers: { 'Lambda-Extension-Name': 'watcher' }, body: JSON.stringify({ events: ['INVOKE', 'SHUTDOWN'] }) })
  const id = { 'Lambda-Extension-Identifier': registered.headers.get('lambda-extension-identifier') }
  const destination = { protocol: 'HTTP', URI: 'http://sandbox.localdomain:4243' }
  await fetch(api + '/2022-07-01/telemetry', { method: 'PUT', headers: id, body: JSON.stringify({ schemaVersion: '2022-12-13', types: ['platform'], buffering: { timeoutMs: 25 }, destination }) })
  for (;;) {
    const { eventType } = await (await fetch(api + '/2020-01-01/extension/event/next', { headers: id })).json()
    if (eventType === 'SHUTDOWN') process.exit()
  }
})
`

describe.skipIf(WITHOUT_BWRAP !== '')(`a Lambda that is kept apart${WITHOUT_BWRAP}`, () => {
  test('in Node answers, and sees neither the machine’s processes nor its files', async () => {
    await using shipped = await ship(
      {
        'src/app.ts': `import { existsSync, readdirSync } from 'node:fs'
import { greeting } from './greeting'
export const handler = async (event: { name: string }) => {
  console.log('asked')
  return {
    text: greeting + event.name,
    work: existsSync('${import.meta.filename}'),
    processes: readdirSync('/proc').filter((name: string) => /^[0-9]+$/.test(name)).length,
  }
}
`,
        'src/greeting.ts': "export const greeting: string = 'hello '\n",
      },
      { options: { handler: 'src/app.ts' } },
    )
    expect(shipped.options).toMatchObject({ handler: 'src/app.handler', built: true })
    await using deployed = await deploy(shipped.directory, { options: shipped.options })
    expect(await deployed.invoke({ name: 'ada' })).toEqual({ text: 'hello ada', work: false, processes: 2 })
    expect(deployed.lines.some(({ text }) => text.includes('asked'))).toBe(true)
    expect(deployed.confinement.launches).toHaveLength(1)
  })

  test('in Node dies with the time it has, and the next invocation finds another', async () => {
    await using shipped = await ship(
      {
        'app.mjs':
          'export const handler = async ({ hang }) => hang ? new Promise(() => setInterval(() => 0, 1e3)) : process.pid\n',
      },
      { options: { handler: 'app.handler' } },
    )
    await using deployed = await deploy(shipped.directory, { options: shipped.options, timeoutMs: 300 })
    expect(await deployed.invoke({ hang: true })).toMatchObject({ errorType: 'Sandbox.Timedout' })
    expect(await deployed.invoke({})).toBe(2)
  })

  test('in Node that kills itself is told by its signal, not by what confines it', async () => {
    await using shipped = await ship(
      {
        'app.mjs':
          "export const handler = async () => { process.kill(process.pid, 'SIGSEGV'); await new Promise((r) => setTimeout(r, 1000)) }\n",
      },
      { options: { handler: 'app.handler' } },
    )
    await using deployed = await deploy(shipped.directory, { options: shipped.options })
    expect(JSON.stringify(await deployed.invoke())).toContain('segmentation fault')
  })

  test.skipIf(NO_PYTHON)('in Python answers, by a Unix socket of its own', async () => {
    await using shipped = await ship(
      {
        'app.py':
          "import os, socket\nimport helper\n\n\ndef handler(event, context):\n    print('asked')\n    return {'text': helper.TEXT + event['name'], 'api': os.environ['AWS_LAMBDA_RUNTIME_API'][:5]}\n",
        'helper.py': "TEXT = 'hello '\n",
      },
      { options: { handler: 'app.handler', runtime: 'python3.11' } },
    )
    await using deployed = await deploy(shipped.directory, { options: shipped.options })
    expect(await deployed.invoke({ name: 'ada' })).toEqual({ text: 'hello ada', api: 'unix:' })
    expect(deployed.lines.some(({ text }) => text.includes('asked'))).toBe(true)
  })

  test('of a custom runtime finds its API in its own network', async () => {
    await using shipped = await ship(
      { bootstrap: BOOTSTRAP },
      { options: { runtime: 'provided.al2023', handler: 'x' } },
    )
    await chmod(join(shipped.directory, 'bootstrap'), 0o755)
    await using deployed = await deploy(shipped.directory, { options: shipped.options })
    expect(await deployed.invoke({ name: 'ada' })).toEqual({ got: { name: 'ada' } })
    expect(await deployed.invoke({ name: 'eve' })).toEqual({ got: { name: 'eve' } })
    expect(deployed.lines.some(({ text }) => text.includes('custom runtime'))).toBe(true)
    expect(deployed.confinement.launches).toHaveLength(1)
  })

  test('of a custom runtime that ends is told with its exit status', async () => {
    await using shipped = await ship(
      { bootstrap: '#!/bin/sh\nexit 7\n' },
      { options: { runtime: 'provided.al2023', handler: 'x' } },
    )
    await chmod(join(shipped.directory, 'bootstrap'), 0o755)
    await expect(deploy(shipped.directory, { options: shipped.options })).rejects.toThrow('exit status 7')
  })

  test.each(['app.mjs', 'bootstrap'])(
    'has its extensions beside it, and their logs reach them: %s',
    async (file) => {
      const files = {
        'app.mjs': 'export const handler = async () => { console.log("from the handler"); return 1 }\n',
        bootstrap: BOOTSTRAP,
      }
      const options =
        file === 'app.mjs' ? { handler: 'app.handler' } : { runtime: 'provided.al2023', handler: 'x' }
      await using shipped = await ship(
        { [file]: files[file as keyof typeof files], 'layer/extensions/watcher': EXTENSION },
        { options: { ...options, layers: ['layer'] } },
      )
      expect(shipped.options).toMatchObject({ layers: ['.layers/0-layer'] })
      await chmod(join(shipped.directory, '.layers/0-layer/extensions/watcher'), 0o755)
      if (file === 'bootstrap') await chmod(join(shipped.directory, file), 0o755)
      await using deployed = await deploy(shipped.directory, { options: shipped.options })
      await deployed.invoke({ name: 'ada' })
      await expect
        .poll(() => deployed.lines.map(({ text }) => text).join('\n'), { timeout: 5000 })
        .toContain('watcher was told of platform.start')
      expect(deployed.confinement.launches).toHaveLength(1)
    },
  )
})

test('A Lambda that is kept apart is refused what leads out of its folder, because we open it with our rights', async () => {
  const directory = await temporaryFolder({ 'app.mjs': 'export const handler = async () => 1\n' })
  const config = (options: object): { options: Record<string, unknown> } => ({
    options: { handler: 'app.handler', ...options },
  })
  for (const options of [
    { layers: ['../../etc'] },
    { layers: ['/etc'] },
    { archive: '/etc/x.zip' },
    { esbuild: {} },
    { entry: 'app.mjs' },
  ])
    await expect(deploy(directory, config(options))).rejects.toMatchObject({ code: 'FLEXI_CONFIG' })
  await rm(directory, { recursive: true })
})
