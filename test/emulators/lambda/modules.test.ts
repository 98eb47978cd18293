import { readdir, rm, symlink } from 'node:fs/promises'
import { basename } from 'node:path'

import { describe, expect, test } from 'vitest'

import { writeInlineCode } from '../../../src/emulators/lambda/inline-code.ts'
import { openFunction, prepareFunction, temporaryFolder, type Files } from './harness.ts'

const cjs = (body: string): string => `exports.handler = async () => (${body})\n`
const esm = (body: string): string => `export const handler = async () => (${body})\n`

interface Case {
  readonly files: Files
  readonly handler: string
  readonly value: unknown
}

const CASES: Readonly<Record<string, Case>> = {
  '.js is CommonJS without a package.json': {
    files: { 'app.js': cjs('typeof require') },
    handler: 'app.handler',
    value: 'function',
  },
  '.js is an ES module when package.json says so': {
    files: { 'package.json': '{"type":"module"}', 'app.js': esm('typeof require') },
    handler: 'app.handler',
    value: 'undefined',
  },
  'the nearest package.json decides, not the topmost': {
    files: {
      'package.json': '{"type":"module"}',
      'old/package.json': '{"type":"commonjs"}',
      'old/app.js': cjs('typeof require'),
    },
    handler: 'old/app.handler',
    value: 'function',
  },
  'a package.json without a type is CommonJS': {
    files: {
      'package.json': '{"type":"module"}',
      'old/package.json': '{}',
      'old/app.js': cjs('typeof require'),
    },
    handler: 'old/app.handler',
    value: 'function',
  },
  '.mjs is an ES module': {
    files: { 'app.mjs': esm('import.meta.url.slice(-7)') },
    handler: 'app.handler',
    value: 'app.mjs',
  },
  '.cjs is CommonJS whatever package.json says': {
    files: { 'package.json': '{"type":"module"}', 'app.cjs': cjs('typeof require') },
    handler: 'app.handler',
    value: 'function',
  },
  '.js comes before .mjs and .cjs': {
    files: { 'app.js': cjs("'js'"), 'app.mjs': esm("'mjs'"), 'app.cjs': cjs("'cjs'") },
    handler: 'app.handler',
    value: 'js',
  },
  '.mjs comes before .cjs': {
    files: { 'app.mjs': esm("'mjs'"), 'app.cjs': cjs("'cjs'") },
    handler: 'app.handler',
    value: 'mjs',
  },
  'a compiled .js comes before its .ts': {
    files: { 'app.js': cjs("'js'"), 'app.ts': esm("'ts'") },
    handler: 'app.handler',
    value: 'js',
  },
  'a .ts is taken when nothing was compiled': {
    files: { 'src/app.ts': esm("'ts' as string") },
    handler: 'src/app.handler',
    value: 'ts',
  },
  'a .ts is CommonJS without a type, and knows where it is': {
    files: { 'src/app.ts': 'export const handler = async () => [typeof require, __filename.slice(-10)]\n' },
    handler: 'src/app.handler',
    value: ['function', 'src/app.js'],
  },
  'a .ts is an ES module when package.json says so, and knows where it is': {
    files: {
      'package.json': '{"type":"module"}',
      'src/app.ts':
        'const late = await Promise.resolve("late")\nexport const handler = async () => [late, import.meta.url.slice(-11)]\n',
    },
    handler: 'src/app.handler',
    value: ['late', 'src/app.mjs'],
  },
  'a .mts is an ES module': {
    files: { 'app.mts': 'const x: number = await 1\n' + esm('x') },
    handler: 'app.handler',
    value: 1,
  },
  'a handler may lie in a folder and in an object': {
    files: { 'lib/deep/app.js': 'exports.api = { get: async () => "deep" }\n' },
    handler: 'lib/deep/app.api.get',
    value: 'deep',
  },
  'a file alone means its export called handler': {
    files: { 'src/app.ts': esm("'alone'") },
    handler: 'src/app.ts',
    value: 'alone',
  },
  'a default export may hold the handler': {
    files: { 'app.mjs': 'export default { handler: async () => "default" }\n' },
    handler: 'app.handler',
    value: 'default',
  },
  'a bundle reads files that lie beside its source': {
    files: {
      'src/app.ts':
        "import { readFileSync } from 'node:fs'\nimport { join } from 'node:path'\nexport const handler = async () => readFileSync(join(__dirname, 'a.txt'), 'utf8')\n",
      'src/a.txt': 'beside',
    },
    handler: 'src/app.handler',
    value: 'beside',
  },
  'packages stay outside of a CommonJS bundle, and are found': {
    files: {
      'src/app.ts': "import { where } from 'dep'\nexport const handler = async () => where\n",
      'node_modules/dep/package.json': '{"main":"index.js"}',
      'node_modules/dep/index.js': "exports.where = __filename.includes('node_modules')\n",
    },
    handler: 'src/app.handler',
    value: true,
  },
  'packages of a nested folder are found from an ES module too': {
    files: {
      'fn/package.json': '{"type":"module"}',
      'fn/src/app.ts':
        "import { where } from 'dep'\nimport cjs from 'old'\nexport const handler = async () => [where, cjs.old]\n",
      'fn/node_modules/dep/package.json': '{"exports":{"import":"./index.mjs","default":"./wrong.js"}}',
      'fn/node_modules/dep/index.mjs': 'export const where = import.meta.url.includes("node_modules")\n',
      'fn/node_modules/old/package.json': '{"main":"index.js"}',
      'fn/node_modules/old/index.js': 'exports.old = true\n',
    },
    handler: 'fn/src/app.handler',
    value: [true, true],
  },
  'CommonJS inside an ES bundle can still require': {
    files: {
      'package.json': '{"type":"module"}',
      'app.ts': "import legacy from './legacy.cjs'\nexport const handler = async () => legacy\n",
      'legacy.cjs': "module.exports = require('node:path').basename('/a/b')\n",
    },
    handler: 'app.handler',
    value: 'b',
  },
}

describe('the code is found and loaded as the Node runtime does', () => {
  for (const [rule, { files, handler, value }] of Object.entries(CASES)) {
    test(rule, async () => {
      await using opened = await openFunction(files, { handler })
      expect((await opened.invoke()).value).toEqual(value)
    })
  }
})

describe('code that cannot be loaded', () => {
  interface InitError {
    readonly name: string
    readonly message: string
    readonly hint: string | undefined
    /** `app.js:1` */
    readonly place: string
  }

  const initError = async (files: Files): Promise<InitError> => {
    await using opened = await prepareFunction(files, { handler: 'app.handler' })
    await expect(opened.build()).rejects.toMatchObject({ code: 'FLEXI_FUNCTION_INIT' })
    const [fault, ...others] = opened.faults
    if (fault === undefined) throw new Error('no fault was reported')
    expect([fault.kind, others]).toEqual(['init', []])
    const place =
      fault.frame === undefined ? '' : `${basename(fault.frame.place.file)}:${fault.frame.place.line}`
    return { name: fault.name, message: fault.message, hint: fault.hint, place }
  }

  test('a missing package is an ImportModuleError, and the hint installs it', async () => {
    const error = await initError({ 'app.js': "require('@acme/none/deep')\n" + cjs('1') })
    expect(error).toMatchObject({
      name: 'Runtime.ImportModuleError',
      hint: 'Install it: npm install @acme/none',
      place: 'app.js:1',
    })
    expect(error.message).toContain("Error: Cannot find module '@acme/none/deep'")
  })

  test('a missing export is HandlerNotFound, and names what is exported', async () => {
    const error = await initError({ 'app.js': 'exports.main = async () => 1\n' })
    expect(error.name).toBe('Runtime.HandlerNotFound')
    expect(error.message).toBe('app.handler is undefined or not exported. The module exports: main.')
  })

  test('an export that is no function is HandlerNotFound', async () => {
    const error = await initError({ 'app.js': 'exports.handler = 5\n' })
    expect(error).toMatchObject({
      name: 'Runtime.HandlerNotFound',
      message: 'app.handler is not a function but a number',
    })
  })

  test('a throw at the top level is the error itself, at its line', async () => {
    const error = await initError({
      'app.ts': 'const a: number = 1\nthrow new RangeError(`top ${a}`)\n' + esm('1'),
    })
    expect(error).toMatchObject({ name: 'RangeError', message: 'top 1', place: 'app.ts:2' })
  })

  test('an await at the top level that cannot settle is noticed', async () => {
    const error = await initError({ 'app.mjs': 'await new Promise(() => {})\n' + esm('1') })
    expect(error.name).toBe('Runtime.NodeJsExit')
  })

  test('a process that exits at the top level is Runtime.ExitError', async () => {
    const error = await initError({ 'app.js': 'process.exit(3)\n' })
    expect(error).toMatchObject({
      name: 'Runtime.ExitError',
      message: 'Runtime exited with error: exit status 3',
    })
  })

  test('a handler without a file says which files there are', async () => {
    await using opened = await prepareFunction({ 'src/hello.ts': esm('1') }, { handler: 'src/helo.handler' })
    await expect(opened.source.build()).rejects.toMatchObject({
      code: 'FLEXI_BUILD',
      faults: [
        {
          message: expect.stringContaining('src/helo.handler'),
          hint: 'There is: src/hello.ts.',
          place: { line: 3, column: 5 },
        },
      ],
    })
    expect(opened.source.watched()).toContain(`${opened.directory}/src`)
    await opened.write({ 'src/helo.ts': esm("'found'") })
    await opened.build()
    expect((await opened.invoke()).value).toBe('found')
  })

  test('a syntax error in plain JavaScript is a fault of the build, with its line; the old code serves on', async () => {
    await using opened = await openFunction(
      { 'app.js': cjs("'old'"), 'lib.js': 'exports.a = 1\n' },
      { handler: 'app.handler' },
    )
    await opened.write({
      'app.js': "const lib = require('./lib')\n" + cjs('lib.a'),
      'lib.js': 'exports.ä = 1\nexports.b = = 2\n',
    })
    await expect(opened.build()).rejects.toMatchObject({
      code: 'FLEXI_BUILD',
      faults: [
        { place: { file: `${opened.directory}/lib.js`, line: 2, column: 13 }, text: 'exports.b = = 2' },
      ],
    })
    expect((await opened.invoke()).value).toBe('old')
    expect(opened.source.watched()).toContain(`${opened.directory}/lib.js`)
    await opened.write({ 'lib.js': "exports.a = 'mended'\n" })
    await opened.build()
    expect((await opened.invoke()).value).toBe('mended')
  })

  test('all faults of a build are told at once', async () => {
    await using opened = await prepareFunction(
      { 'app.ts': "import './one'\nimport './two'\n", 'one.ts': 'let a = ;\n', 'two.ts': 'let b = ;\n' },
      { handler: 'app.handler' },
    )
    await expect(opened.source.build()).rejects.toMatchObject({
      faults: [{ place: { line: 1 } }, { place: { line: 1 } }],
    })
    expect(opened.source.watched()).toEqual(
      expect.arrayContaining([`${opened.directory}/one.ts`, `${opened.directory}/two.ts`]),
    )
  })

  test('a file that does not exist yet is waited for', async () => {
    await using opened = await prepareFunction(
      { 'app.ts': "import { x } from './lib/x'\n" + esm('x') },
      { handler: 'app.handler' },
    )
    await expect(opened.source.build()).rejects.toMatchObject({ code: 'FLEXI_BUILD' })
    expect(opened.source.watched()).toContain(`${opened.directory}/lib`)
    await opened.write({ 'lib/x.ts': "export const x = 'there'\n" })
    await opened.build()
    expect((await opened.invoke()).value).toBe('there')
  })
})

describe('what is watched', () => {
  test('every file of the user that the handler imports, and no package', async () => {
    await using opened = await openFunction(
      {
        'src/app.ts':
          "import { a } from './a'\nimport data from './data.json'\nimport 'dep'\nexport const handler = async () => [a, data]\n",
        'src/a.ts': 'export const a = 1\n',
        'src/data.json': '{}',
        'node_modules/dep/package.json': '{"main":"index.js"}',
        'node_modules/dep/index.js': '',
      },
      { handler: 'src/app.handler' },
    )
    const names = opened.source.watched().map((path) => path.slice(opened.directory.length + 1))
    expect(names.toSorted()).toEqual(['src/a.ts', 'src/app.ts', 'src/data.json'])
  })

  test('the sources of a neighbour in the workspace, which are bundled', async () => {
    await using opened = await prepareFunction(
      {
        'apps/api/app.ts':
          "import { shared } from '@acme/shared'\nexport const handler = async () => shared\n",
        'packages/shared/package.json': '{"name":"@acme/shared","main":"src/index.ts"}',
        'packages/shared/src/index.ts': "export const shared: string = 'v1'\n",
        'node_modules/@acme/.keep': '',
      },
      { handler: 'apps/api/app.handler' },
    )
    await symlink('../../packages/shared', `${opened.directory}/node_modules/@acme/shared`)
    await opened.build()
    expect((await opened.invoke()).value).toBe('v1')
    expect(opened.source.watched()).toContain(`${opened.directory}/packages/shared/src/index.ts`)
    await opened.write({ 'packages/shared/src/index.ts': "export const shared: string = 'v2'\n" })
    await opened.build()
    expect((await opened.invoke()).value).toBe('v2')
  })

  test('the revision is the content: an edit changes it, and taking the edit back restores it', async () => {
    await using opened = await openFunction({ 'app.js': cjs('1') }, { handler: 'app.handler' })
    const first = (await opened.source.build()).revision
    await opened.write({ 'app.js': cjs('2') })
    const second = (await opened.source.build()).revision
    await opened.write({ 'app.js': cjs('1') })
    expect(second).not.toBe(first)
    expect((await opened.source.build()).revision).toBe(first)
  })
})

test('code in a template that becomes CommonJS does not leave the ES module beside it, which would win', async () => {
  const stateDirectory = await temporaryFolder({})
  const write = (code: string) => writeInlineCode({ name: 'f', code, runtime: undefined, stateDirectory })
  try {
    await write(esm('1'))
    expect(await readdir(await write(cjs('2')))).toEqual(['index.cjs'])
  } finally {
    await rm(stateDirectory, { recursive: true, force: true })
  }
})

test('what serves can be started again, however many edits were built and could not start', async () => {
  const code = (first: string): Files => ({
    'app.mts': `${first}\nexport const handler = async ({ exit }: { exit?: true }) => exit ? process.exit(1) : 'serves'`,
  })
  await using fn = await openFunction(code(''), { handler: 'app.handler' })
  for (const count of [1, 2, 3, 4, 5, 6]) {
    await fn.write(code(`throw new Error('no ${count}')`))
    await expect(fn.build()).rejects.toThrow(`no ${count}`)
  }
  await fn.invoke({ exit: true })
  expect((await fn.invoke()).value).toBe('serves')
})
