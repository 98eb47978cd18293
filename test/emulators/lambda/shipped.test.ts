import { existsSync } from 'node:fs'
import { join } from 'node:path'

import { describe, expect, test } from 'vitest'

import type { FunctionConfig } from '../../../src/core/function.ts'
import type { AbsolutePath } from '../../../src/core/place.ts'
import { lambda } from '../../../src/emulators/lambda/index.ts'
import { WITHOUT_BWRAP } from '../../fake-confinement.ts'
import { deploy, ship } from './confined-harness.ts'

const CONFIG: FunctionConfig = {
  name: 'hello',
  provider: 'lambda',
  directory: '/' as AbsolutePath,
  origin: { file: '/' as AbsolutePath, line: 1, column: 1 },
  environment: {},
  options: {},
}

const ADDON = {
  'node_modules/addon/package.json': '{"main":"index.js","dependencies":{"bindings":"1","left":"1"}}',
  // What a bundle would break: it looks for its compiled part beside itself.
  'node_modules/addon/index.js':
    "exports.where = require('node:path').basename(__dirname) + require('left')\n",
  'node_modules/left/package.json': '{"main":"index.js"}',
  'node_modules/left/index.js': "module.exports = '+left'\n",
}

describe('what a daemon is sent of a Lambda', () => {
  test('has packages with a compiled part as they are, with all they depend on', async () => {
    await using shipped = await ship(
      { ...ADDON, 'app.mjs': "import { where } from 'addon'\nexport const handler = async () => where\n" },
      { options: { handler: 'app.handler' } },
    )
    expect(shipped.paths).toEqual(
      expect.arrayContaining(['app.mjs', 'node_modules/addon/index.js', 'node_modules/left/index.js']),
    )
    if (WITHOUT_BWRAP !== '') return
    await using deployed = await deploy(shipped.directory, { options: shipped.options })
    expect(await deployed.invoke()).toBe('addon+left')
  })

  test('has the packages that its settings leave out of the bundle, and AWS’s in it', async () => {
    await using shipped = await ship(
      {
        'node_modules/outside/package.json': '{"main":"index.js"}',
        'node_modules/outside/index.js': "exports.text = 'outside'\n",
        'node_modules/@aws-sdk/client-x/package.json': '{"main":"index.js"}',
        'node_modules/@aws-sdk/client-x/index.js': "exports.text = 'sdk'\n",
        'app.ts':
          "import { text } from 'outside'\nimport { text as sdk } from '@aws-sdk/client-x'\nimport 'absent'\nexport const handler = async () => text + sdk\n",
      },
      { options: { handler: 'app.handler', esbuild: { external: ['outside', '@aws-sdk/*', 'absent'] } } },
    )
    expect(shipped.paths).toContain('node_modules/outside/index.js')
    expect(shipped.paths.filter((path) => path.includes('@aws-sdk'))).toEqual([])
    expect(shipped.options).toEqual({ handler: 'app.handler', built: true })
  })

  test('of its sources has the schedules alone: what the daemon runs it by', async () => {
    const timed = {
      type: 'schedule',
      expression: 'cron(0 9 * * ? *)',
      timezone: 'Europe/Berlin',
      input: { a: 1 },
    }
    const sources = [{ type: 'sqs', queue: 'orders' }, timed, { ...timed, enabled: false }]
    await using shipped = await ship(
      { 'app.mjs': 'export const handler = async () => 1\n' },
      { options: { handler: 'app.handler', sources, maximumRetryAttempts: 1 } },
    )
    expect(shipped.options['sources']).toEqual([timed, { ...timed, enabled: false }])
    const schedules = await lambda.schedules?.()
    const config = { ...CONFIG, directory: shipped.directory, options: shipped.options }
    const [first, ...more] = (await schedules?.read(config)) ?? []
    expect(more).toEqual([])
    expect(first).toMatchObject({ expression: 'cron(0 9 * * ? *)', timeZone: 'Europe/Berlin', retries: 1 })
    if (first === undefined) throw new Error('there is none')
    // As it is kept.
    const opened = schedules?.open(JSON.parse(JSON.stringify(first)) as typeof first)
    const due = opened?.next(Date.parse('2026-01-01T12:00:00Z'), 0) ?? 0
    expect(new Date(due).toISOString()).toBe('2026-01-02T08:00:00.000Z')
    expect(opened?.event(due)).toEqual({ event: { a: 1 } })
  })

  test('runs CommonJS in an ES module: what it requires of Node is there', async () => {
    await using shipped = await ship(
      {
        'node_modules/old/package.json': '{"main":"index.js"}',
        'node_modules/old/index.js': "module.exports = require('node:path').sep\n",
        'app.mjs': "import sep from 'old'\nexport const handler = async () => sep\n",
      },
      { options: { handler: 'app.handler' } },
    )
    if (WITHOUT_BWRAP !== '') return
    await using deployed = await deploy(shipped.directory, { options: shipped.options })
    expect(await deployed.invoke()).toBe('/')
  })

  test('is a Python folder, and what its virtual environment has installed, as a layer', async () => {
    const site = '.venv/lib/python3.11/site-packages'
    await using shipped = await ship(
      {
        'app.py': 'import dep\ndef handler(event, context):\n    return dep.TEXT\n',
        '.venv/pyvenv.cfg': '',
        [`${site}/dep/__init__.py`]: "TEXT = 'installed'\n",
        [`${site}/dep/__pycache__/x.pyc`]: '',
        [`${site}/pip/__init__.py`]: '',
      },
      { options: { handler: 'app.handler', runtime: 'python3.11' } },
    )
    expect(shipped.paths.toSorted()).toEqual(['.layers/venv/python/dep/__init__.py', 'app.py'])
    expect(shipped.options).toEqual({
      handler: 'app.handler',
      runtime: 'python3.11',
      layers: ['.layers/venv'],
    })
    if (WITHOUT_BWRAP !== '' || !existsSync('/usr/bin/python3')) return
    await using deployed = await deploy(shipped.directory, { options: shipped.options })
    expect(await deployed.invoke()).toBe('installed')
    expect(existsSync(join(shipped.directory, '.venv'))).toBe(false)
  })
})
