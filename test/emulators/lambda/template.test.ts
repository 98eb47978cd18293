import { execFile, spawnSync } from 'node:child_process'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'

import { describe, expect, test } from 'vitest'

const ROOT = resolve(import.meta.dirname, '../../..')
const FLEXI = `${process.execPath} ${join(ROOT, 'bin/run.js')}`
const run = promisify(execFile)

/** A template as `flexi new` lays it out, in a folder of its own. */
async function withTemplate(name: string, use: (directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'flexi-test-'))
  try {
    await cp(join(ROOT, 'templates', name), directory, { recursive: true })
    const file = join(directory, 'README.md')
    await writeFile(file, (await readFile(file, 'utf8')).replaceAll('{{name}}', 'mine'))
    await use(directory)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

/** This process's own test context would make the one inside report to it instead of printing. */
function environment(): NodeJS.ProcessEnv {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env
  return { ...env, FLEXI }
}

describe('the templates pass their own tests, without an installation', () => {
  test('lambda-ts, and its own type check', async () => {
    await withTemplate('lambda-ts', async (directory) => {
      await run(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', directory])
      const { stdout } = await run(process.execPath, ['--test'], {
        cwd: directory,
        env: environment(),
      })
      expect(stdout).toMatch(/pass 3\b/)
    })
  }, 30_000)

  test('lambda-js', async () => {
    await withTemplate('lambda-js', async (directory) => {
      const { stdout } = await run(process.execPath, ['--test'], {
        cwd: directory,
        env: environment(),
      })
      expect(stdout).toMatch(/pass 3\b/)
    })
  })

  test.runIf(spawnSync('python3', ['--version']).status === 0)('lambda-python', async () => {
    await withTemplate('lambda-python', async (directory) => {
      const { stderr } = await run('python3', ['-m', 'unittest'], { cwd: directory })
      expect(stderr).toMatch(/Ran 3 tests[\s\S]*OK/)
    })
  })
})

describe('the templates answer', () => {
  const invoke = async (directory: string, name: string): Promise<unknown> => {
    const [command = '', ...args] = FLEXI.split(' ')
    const { stdout } = await run(
      command,
      [
        ...args,
        'invoke',
        name,
        '--event',
        'aws:function-url',
        '--set',
        'method=GET',
        '--set',
        'requestContext.http.path=/',
      ],
      { cwd: directory, env: environment() },
    )
    return JSON.parse(stdout)
  }
  const templates =
    spawnSync('python3', ['--version']).status === 0
      ? ['lambda-ts', 'lambda-js', 'lambda-python']
      : ['lambda-ts', 'lambda-js']

  test.each(templates)(
    '%s',
    async (name) => {
      await withTemplate(name, async (directory) => {
        const result = (await invoke(directory, 'hello')) as { statusCode: number; body: string }
        expect(result.statusCode).toBe(200)
        expect(JSON.parse(result.body)).toEqual({ message: 'Hello, world!', count: 1 })
      })
    },
    30_000,
  )
})
