import { spawnSync } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { describe, expect, test } from 'vitest'

import type { AbsolutePath } from '../../../src/core/place.ts'
import { prepareFunction, temporaryFolder } from './harness.ts'
import { rm } from 'node:fs/promises'

describe('what a deployment would ship', () => {
  test('is one bundle under the handler’s name, dependencies and source map included', async () => {
    await using opened = await prepareFunction(
      {
        'src/app.ts':
          "import { where } from 'dep'\nimport { a } from './a'\nexport const handler = async () => [where, a]\n",
        'src/a.ts': 'export const a: number = 1\n',
        'node_modules/dep/package.json': '{"main":"index.js"}',
        'node_modules/dep/index.js': "exports.where = 'bundled'\n",
      },
      { handler: 'src/app.handler' },
    )
    const out = await temporaryFolder({})
    const files = await opened.source.package(out)
    expect(files.map(({ path }) => path)).toEqual(expect.arrayContaining(['src/app.js', 'src/app.js.map']))
    const code = files.find(({ path }) => path === 'src/app.js')
    expect(code?.inputs.toSorted()).toEqual(['node_modules/dep/index.js', 'src/a.ts', 'src/app.ts'])
    const text = await readFile(join(out, 'src/app.js'), 'utf8')
    expect(code?.bytes).toBe(Buffer.byteLength(text))
    expect(text).toContain('sourceMappingURL=app.js.map')
    const ran = spawnSync(
      process.execPath,
      ['-e', "require('./src/app.js').handler().then((value) => console.log(JSON.stringify(value)))"],
      { cwd: out, encoding: 'utf8' },
    )
    expect(ran.stdout.trim()).toBe('["bundled",1]')
    await rm(out, { recursive: true })
  })

  test('is an ES module where the code is one', async () => {
    await using opened = await prepareFunction(
      { 'app.mts': 'export const handler = async () => 1\n' },
      { handler: 'app.handler' },
    )
    const out = await temporaryFolder({})
    expect((await opened.source.package(out)).map(({ path }) => path)).toContain('app.mjs')
    await rm(out, { recursive: true })
  })

  test('is the folder itself for Python, without what belongs to the machine', async () => {
    await using opened = await prepareFunction(
      {
        'app.py': 'def handler(event, context): pass\n',
        'data/a.json': '{}',
        '.venv/x.py': '',
        '.env': 'A=1',
        '__pycache__/app.pyc': '',
        'flexi.jsonc': '{}',
      },
      { handler: 'app.handler' },
    )
    const out = join(opened.directory, 'dist') as AbsolutePath
    expect((await opened.source.package(out)).map(({ path, inputs }) => [path, inputs])).toEqual([
      ['app.py', ['app.py']],
      ['data/a.json', ['data/a.json']],
    ])
    expect((await readdir(out)).toSorted()).toEqual(['app.py', 'data'])
  })

  test('cannot be made of code that does not build', async () => {
    await using opened = await prepareFunction({ 'app.ts': 'export const = 1\n' }, { handler: 'app.handler' })
    await expect(opened.source.package(opened.directory)).rejects.toMatchObject({
      code: 'FLEXI_BUILD',
      faults: [{ place: { line: 1 } }],
    })
  })
})
