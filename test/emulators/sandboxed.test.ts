import { spawnSync } from 'node:child_process'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import type { FunctionConfig, OutputLine } from '../../src/core/function.ts'
import { silentLogger } from '../../src/core/log.ts'
import type { AbsolutePath } from '../../src/core/place.ts'
import { emulatorOf } from '../../src/emulators/registry.ts'
import { Pool } from '../../src/instances/pool.ts'
import { openSandbox } from '../../src/sandbox/open-sandbox.ts'
import type { Sandbox } from '../../src/sandbox/sandbox.ts'
import { WITHOUT_BWRAP } from '../fake-confinement.ts'
import { testScope } from '../scope.ts'
import { serveFunction } from './conformance.ts'
import { temporaryFolder, type Files } from './lambda/harness.ts'
import { compileC, FIXTURES, NO_CC } from './native/compile.ts'

const NO_PYTHON = spawnSync('python3', ['--version']).status !== 0

const BOOTSTRAP = `#!/usr/bin/env node
const api = 'http://' + process.env.AWS_LAMBDA_RUNTIME_API + '/2018-06-01/runtime/invocation/'
;(async () => {
  for (;;) {
    const next = await fetch(api + 'next')
    const id = next.headers.get('lambda-runtime-aws-request-id')
    await fetch(api + id + '/response', { method: 'POST', body: JSON.stringify({ uid: process.getuid() }) })
  }
})()
`

describe.skipIf(WITHOUT_BWRAP !== '')(`in the sandbox of the daemon${WITHOUT_BWRAP}`, () => {
  let directory: AbsolutePath
  let sandbox: Sandbox
  beforeAll(async () => {
    directory = (await mkdtemp(join(tmpdir(), 'fx-'))) as AbsolutePath
    await chmod(directory, 0o755)
    sandbox = await openSandbox({ kind: 'bwrap', directory: join(directory, 'run') as AbsolutePath })
  })
  afterAll(async () => {
    await sandbox[Symbol.asyncDispose]()
    await rm(directory, { recursive: true, force: true })
  })

  const confine = (contents: AbsolutePath) =>
    sandbox.open({
      name: 'tested@v1',
      number: 7,
      contents,
      network: 'none',
      limits: { memoryMb: 512, processes: 128, files: 1024, temporaryMb: 32 },
    })

  const invoke = async (files: Files, options: FunctionConfig['options']): Promise<unknown> => {
    const contents = await temporaryFolder(files)
    await chmod(contents, 0o755)
    if ('bootstrap' in files) await chmod(join(contents, 'bootstrap'), 0o755)
    const lines: OutputLine[] = []
    const stateDirectory = await temporaryFolder({})
    await using confinement = await confine(contents)
    const origin = { file: 'tested@v1', line: 1, column: 1 }
    const config = {
      name: 'tested',
      provider: 'lambda',
      directory: contents,
      origin,
      environment: {},
      options,
    }
    const given = {
      confinement,
      stateDirectory,
      mode: 'serve' as const,
      output: (line: OutputLine) => lines.push(line),
    }
    await using source = await emulatorOf('lambda').open(config, testScope(contents, given))
    await using pool = new Pool({ name: 'tested', log: silentLogger })
    try {
      await pool.replace(await source.build())
      const { signal } = new AbortController()
      const context = { id: 'a', deadline: Date.now() + 60_000, signal }
      const { payload } = await pool.invoke(Buffer.from('{}'), context)
      return JSON.parse(Buffer.from(payload).toString())
    } catch (error) {
      throw new Error(lines.map(({ text }) => text).join('\n'), { cause: error })
    } finally {
      await Promise.all([contents, stateDirectory].map((path) => rm(path, { recursive: true, force: true })))
    }
  }

  test('a Node Lambda runs as a user of its own', async () => {
    const answer = await invoke(
      { 'app.mjs': 'export const handler = async () => ({ uid: process.getuid() })\n' },
      { handler: 'app.handler', built: true },
    )
    expect(answer).toEqual({ uid: expect.any(Number) as number })
    expect(answer).not.toEqual({ uid: 0 })
  })

  test.skipIf(NO_PYTHON)('a Python Lambda runs', async () => {
    const code = 'import os\ndef handler(event, context):\n    return {"uid": os.getuid()}\n'
    expect(await invoke({ 'app.py': code }, { handler: 'app.handler', runtime: 'python3.11' })).not.toEqual({
      uid: 0,
    })
  })

  test('a custom runtime runs, and finds its API', async () => {
    const answer = await invoke({ bootstrap: BOOTSTRAP }, { runtime: 'provided.al2023', handler: 'x' })
    expect(answer).toEqual({ uid: expect.any(Number) as number })
  })

  const served = async (
    provider: string,
    install: (directory: AbsolutePath) => Promise<object>,
  ): Promise<string> => {
    const contents: { path?: AbsolutePath } = {}
    const emulator = emulatorOf(provider)
    await using opened = await serveFunction(
      {
        ...emulator,
        open: async (config, scope) =>
          emulator.open(config, { ...scope, mode: 'serve', confinement: await confine(config.directory) }),
      },
      async (folder) => {
        contents.path = folder
        const options = { ...(await install(folder)) }
        await chmod(folder, 0o755)
        const origin = { file: 'tested@v1', line: 1, column: 1 }
        return { name: 'tested', provider, directory: folder, origin, environment: {}, options }
      },
    )
    return (await opened.ask('/version')).body.toString()
  }

  test.each([[{}], [{ listen: 'socket' }]])('a program runs and is asked: %j', async (more) => {
    const text = await served('process', async (folder) => {
      const source = join(import.meta.dirname, '../fixtures/process/conformance.mjs')
      spawnSync('cp', [source, join(folder, 'server.mjs')])
      return Promise.resolve({ command: 'node', args: ['server.mjs'], ...more })
    })
    expect(text).toBe('v1')
  })

  test.skipIf(NO_CC !== undefined)('a native library runs and is asked', async () => {
    const text = await served('native', async (folder) => {
      await compileC(join(FIXTURES, 'conformance.c'), join(folder, 'lib.so'))
      return { library: './lib.so' }
    })
    expect(text).toMatch(/^v\d+$/)
  })
})
