import { execFileSync } from 'node:child_process'
import { chmod, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { expect, test } from 'vitest'

import { FlexiError } from '../../../src/core/errors.ts'
import type { AbsolutePath } from '../../../src/core/place.ts'
import { mergeLayers } from '../../../src/emulators/lambda/layers/merge.ts'
import { openFunction, prepareFunction, temporaryFolder, type Files } from './harness.ts'
import { zipOf } from './zip.ts'

const NODE = { handler: 'app.handler' }
const GREETS = 'exports.handler = async () => require("greeting")("you")'
const GREETING: Files = {
  'layer/nodejs/node_modules/greeting/index.js': 'module.exports = (name) => `hello ${name}`',
}

async function faultOf(work: Promise<unknown>): Promise<FlexiError> {
  const error: unknown = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (error instanceof FlexiError) return error
  throw new Error(`no FlexiError: ${String(error)}`)
}

test('requires a package that only a layer has', async () => {
  await using fn = await openFunction(
    { 'app.js': GREETS, ...GREETING },
    { ...NODE, options: { layers: ['layer'] } },
  )
  expect((await fn.invoke()).value).toBe('hello you')
})

test('imports a package that only a layer has from an ES module, as Lambda’s Node does', async () => {
  await using fn = await openFunction(
    {
      'app.mjs': 'import greet from "greeting"; export const handler = async () => greet("esm")',
      'layer/nodejs/node20/node_modules/greeting/package.json':
        '{"name":"greeting","type":"module","exports":"./main.js"}',
      'layer/nodejs/node20/node_modules/greeting/main.js': 'export default (name) => `hello ${name}`',
    },
    { ...NODE, options: { layers: ['layer'], runtime: 'nodejs20.x' } },
  )
  expect((await fn.invoke()).value).toBe('hello esm')
})

test.each(['app.mts', 'app.cts'])(
  'leaves a package of a layer to the run time when it compiles %s',
  async (file) => {
    await using fn = await openFunction(
      {
        [file]:
          'import greet from "greeting"; export const handler = async (): Promise<string> => greet("ts")',
        ...GREETING,
      },
      { ...NODE, options: { layers: ['layer'] } },
    )
    expect((await fn.invoke()).value).toBe('hello ts')
  },
)

test('prefers the function’s own package, because a layer is looked into last', async () => {
  await using fn = await openFunction(
    { 'app.js': GREETS, ...GREETING, 'node_modules/greeting/index.js': 'module.exports = () => "own"' },
    { ...NODE, options: { layers: ['layer'] } },
  )
  expect((await fn.invoke()).value).toBe('own')
})

test('does not ship a package that a layer has', async () => {
  await using fn = await openFunction(
    { 'app.ts': 'import greet from "greeting"; export const handler = () => greet("x")', ...GREETING },
    { ...NODE, options: { layers: ['layer'] } },
  )
  await using out = await disposable()
  await fn.source.package(out.path)
  const shipped = execFileSync('cat', [join(out.path, 'app.js')]).toString()
  expect(shipped).toContain('require("greeting")')
  expect(shipped).not.toContain('hello')
})

test('lets a later layer win, file by file', async () => {
  await using fn = await openFunction(
    {
      'app.js': `const { readFileSync } = require('fs')
        exports.handler = async () => ['a', 'b', 'c'].map((name) => readFileSync(process.env.FLEXI_OPT + '/' + name, 'utf8'))`,
      'one/a': '1a',
      'one/b': '1b',
      'two/b': '2b',
      'two/c/d': 'a folder',
      'three/c': '3c',
    },
    { ...NODE, options: { layers: ['one', 'two', 'three'] } },
  )
  expect((await fn.invoke()).value).toEqual(['1a', '2b', '3c'])
})

test('shows where libraries and programs are, after the function’s own', async () => {
  await using fn = await openFunction(
    { 'app.js': 'exports.handler = async () => process.env', 'layer/x': '' },
    { ...NODE, options: { layers: ['layer'], runtime: 'nodejs20.x' } },
  )
  const { value } = await fn.invoke()
  const variables = value as Record<string, string>
  const opt = variables['FLEXI_OPT'] ?? ''
  expect(opt).toMatch(/\/\.flexi\/layers\/\w+-\w+$/)
  expect(variables['PATH']?.split(':').at(-1)).toBe(`${opt}/bin`)
  expect(variables['LD_LIBRARY_PATH']?.split(':').at(-1)).toBe(`${opt}/lib`)
  expect(variables['NODE_PATH']?.split(':').slice(0, 2)).toEqual([
    `${opt}/nodejs/node20/node_modules`,
    `${opt}/nodejs/node_modules`,
  ])
})

test('runs a wrapper script that a layer brings, named as it is in Lambda', async () => {
  await using fn = await prepareFunction(
    {
      'app.js': 'exports.handler = async () => process.env.WRAPPED',
      'layer/wrapper': '#!/bin/sh\nexport WRAPPED=yes\nexec "$@"\n',
    },
    { ...NODE, options: { layers: ['layer'] }, environment: { AWS_LAMBDA_EXEC_WRAPPER: '/opt/wrapper' } },
  )
  await chmod(join(fn.directory, 'layer/wrapper'), 0o755)
  await fn.build()
  expect((await fn.invoke()).value).toBe('yes')
})

test('lets the scripts of a layer start what lies in it, by its path in Lambda', async () => {
  await using fn = await prepareFunction(
    {
      'app.js': 'exports.handler = async () => process.env.WRAPPED',
      'layer/wrapper':
        '#!/bin/bash\nNAME=tool\nexport WRAPPED="$("/opt/${NAME}/run") /srv/opt/x"\nexec "$@"\n',
      'layer/tool/run': '#!/bin/sh\nprintf /opt/is-as-it-was\n',
    },
    { ...NODE, options: { layers: ['layer'] }, environment: { AWS_LAMBDA_EXEC_WRAPPER: '/opt/wrapper' } },
  )
  for (const path of ['wrapper', 'tool/run']) await chmod(join(fn.directory, 'layer', path), 0o755)
  await fn.build()
  expect((await fn.invoke()).value).toBe('/opt/is-as-it-was /srv/opt/x')
  expect(await readFile(join(fn.directory, 'layer/wrapper'), 'utf8')).toContain('"/opt/${NAME}/run"')
})

test('runs the bootstrap of a layer when the function has none', async () => {
  await using fn = await prepareFunction(
    {
      'layer/bootstrap': `#!/bin/bash
API=http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime
while true; do
  ID=$(curl -sS -o /dev/null -D - "$API/invocation/next" | grep -i lambda-runtime-aws-request-id | tr -d '\\r' | cut -d' ' -f2)
  curl -sS -o /dev/null "$API/invocation/$ID/response" -d '"from the layer"'
done`,
    },
    { handler: 'any', options: { layers: ['layer'], runtime: 'provided.al2023' } },
  )
  await chmod(join(fn.directory, 'layer/bootstrap'), 0o755)
  await fn.build()
  expect((await fn.invoke()).value).toBe('from the layer')
})

test('maps variables to what a layer brought, and no other path', async () => {
  await using fn = await openFunction(
    { 'app.js': 'exports.handler = async () => [process.env.CONFIG, process.env.ELSE]', 'layer/c.yaml': '' },
    {
      ...NODE,
      options: { layers: ['layer'] },
      environment: { CONFIG: '/opt/c.yaml:/opt/none', ELSE: '/srv/opt/c.yaml' },
    },
  )
  expect((await fn.invoke()).value).toEqual([
    expect.stringMatching(/\.flexi\/layers\/[^:]+\/c\.yaml:\/opt\/none$/),
    '/srv/opt/c.yaml',
  ])
})

test('calls a handler that lies in a layer, as monitoring tools have it', async () => {
  await using fn = await openFunction(
    { 'layer/nodejs/node_modules/tool/wrap.js': 'exports.handler = async () => "wrapped"' },
    {
      handler: '/opt/nodejs/node_modules/tool/wrap.handler',
      options: { layers: ['layer'], runtime: 'nodejs20.x' },
    },
  )
  expect((await fn.invoke()).value).toBe('wrapped')
})

test('reloads when a file of a layer changes, and not when nothing did', async () => {
  await using fn = await openFunction(
    { 'app.js': GREETS, ...GREETING },
    { ...NODE, options: { layers: ['layer'] } },
  )
  const first = await fn.source.build()
  expect((await fn.source.build()).revision).toBe(first.revision)
  await fn.write({ 'layer/nodejs/node_modules/greeting/index.js': 'module.exports = () => "changed"' })
  fn.source.changed?.(fn.source.watched())
  await fn.build()
  expect((await fn.invoke()).value).toBe('changed')
})

test('watches the packages in a layer, which elsewhere nobody looks at', async () => {
  await using fn = await openFunction(
    { 'app.js': GREETS, ...GREETING },
    { ...NODE, options: { layers: ['layer'] } },
  )
  expect(fn.source.watched()).toEqual(
    expect.arrayContaining([join(fn.directory, 'layer'), join(fn.directory, 'layer/nodejs/node_modules')]),
  )
})

test('keeps what serves, however many edits cannot start', async () => {
  await using fn = await openFunction(
    {
      'app.mts': `import greet from "greeting"
        export const handler = async (event: { exit?: true }) => event.exit ? process.exit(1) : greet("you")`,
      ...GREETING,
    },
    { ...NODE, options: { layers: ['layer'] } },
  )
  for (const count of [1, 2, 3, 4, 5]) {
    await fn.write({ 'layer/nodejs/node_modules/greeting/index.js': `throw new Error('no ${count}')` })
    await expect(fn.build()).rejects.toThrow(`no ${count}`)
  }
  expect((await fn.invoke({ exit: true })).functionError).toBe('Unhandled')
  expect((await fn.invoke()).value).toBe('hello you')
})

test('leaves alone what another function with the same layers serves from', async () => {
  await using fn = await openFunction(
    {
      'app.js': `const greet = require('greeting')
        exports.handler = async ({ exit }) => exit ? process.exit(1) : greet('you')`,
      ...GREETING,
    },
    { ...NODE, options: { layers: ['layer'] } },
  )
  const layer = {
    name: 'layer',
    path: join(fn.directory, 'layer') as AbsolutePath,
    owner: 'other',
    origin: { file: 'flexi.jsonc', line: 1, column: 1 },
  }
  for (const count of [1, 2, 3, 4, 5]) {
    await fn.write({ 'layer/count': '.'.repeat(count) })
    await mergeLayers([layer], join(fn.directory, '.flexi'))
  }
  await fn.invoke({ exit: true })
  expect((await fn.invoke()).value).toBe('hello you')
})

test('keeps the merges of a few last revisions only, besides the one that serves', async () => {
  await using fn = await openFunction(
    { 'app.js': GREETS, ...GREETING },
    { ...NODE, options: { layers: ['layer'] } },
  )
  for (const count of [1, 2, 3, 4, 5]) {
    await fn.write({ 'layer/count': '.'.repeat(count) })
    await fn.source.build()
  }
  expect(await readdir(join(fn.directory, '.flexi/layers'))).toHaveLength(4)
})

test('takes along what a link in a folder leads to, as packages of a workspace are linked', async () => {
  await using outside = await disposable({ 'greeting/index.js': 'module.exports = () => "from outside"' })
  await using fn = await prepareFunction(
    { 'app.js': GREETS, 'layer/nodejs/node_modules/x/index.js': '' },
    { ...NODE, options: { layers: ['layer'] } },
  )
  await symlink(join(outside.path, 'greeting'), join(fn.directory, 'layer/nodejs/node_modules/greeting'))
  await symlink('..', join(fn.directory, 'layer/nodejs/up'))
  await fn.build()
  expect((await fn.invoke()).value).toBe('from outside')
  expect(fn.source.watched()).toContain(join(outside.path, 'greeting'))
})

test('says which layer is not there, and serves the function once it has come', async () => {
  await using fn = await prepareFunction({ 'app.js': GREETS }, { ...NODE, options: { layers: ['layer'] } })
  const error = await faultOf(fn.build())
  expect(error.code).toBe('FLEXI_BUILD')
  expect(error.faults[0]?.message).toContain('the layer layer is not there')
  expect(fn.source.watched()).toContain(fn.directory)
  await fn.write(GREETING)
  await fn.build()
  expect((await fn.invoke()).value).toBe('hello you')
})

test('refuses a sixth layer, as Lambda does', async () => {
  const layers = ['1', '2', '3', '4', '5', '6']
  const error = await faultOf(prepareFunction({ 'app.js': GREETS }, { ...NODE, options: { layers } }))
  expect(error.code).toBe('FLEXI_CONFIG')
  expect(error.message).toMatch(/layers.*5 folders or zip files at most/s)
})

test('serves a function whose layer is in the cloud only, without it', async () => {
  await using fn = await openFunction(
    { 'app.js': 'exports.handler = async () => "served"' },
    { ...NODE, options: { layers: ['arn:aws:lambda:us-east-1:580247275435:layer:Insights:38'] } },
  )
  expect((await fn.invoke()).value).toBe('served')
})

test('unpacks a zip file with its modes and links', async () => {
  await using fn = await prepareFunction(
    {
      'app.js': `const { execFileSync } = require('child_process')
        exports.handler = async () => execFileSync('alias', { encoding: 'utf8' })`,
    },
    { ...NODE, options: { layers: ['layer.zip'] } },
  )
  await writeFile(
    join(fn.directory, 'layer.zip'),
    zipOf([
      { name: 'bin/', mode: 0o40755 },
      { name: 'bin/tool', mode: 0o100755, text: '#!/bin/sh\nprintf ran\n' },
      { name: 'bin/alias', mode: 0o120777, text: '/opt/bin/tool' },
    ]),
  )
  await fn.build()
  expect((await fn.invoke()).value).toBe('ran')
})

test.each([
  ['a name with ".."', [{ name: '../evil', text: 'x' }], 'leads out of it'],
  ['an absolute name', [{ name: '/etc/evil', text: 'x' }], 'leads out of it'],
  ['a link out of it', [{ name: 'l', mode: 0o120777, text: '../../etc' }], 'leads out of it: l → ../../etc'],
  ['an absolute link', [{ name: 'l', mode: 0o120777, text: '/etc' }], 'leads out of it: l → /etc'],
  [
    'links that lead out together',
    [
      { name: 'a/b/up', mode: 0o120777, text: '../..' },
      { name: 'a/b/out', mode: 0o120777, text: 'up/..' },
    ],
    'leads out of it',
  ],
  ['a bomb', [{ name: 'bomb', text: 'x', claims: 300_000_000 }], 'more than 262144000 bytes unpacked'],
  ['more bytes than it says', [{ name: 'a', text: 'x'.repeat(100_000), claims: 10 }], 'cannot be unpacked'],
])('refuses a zip file with %s, and names the layer', async (_what, entries, message) => {
  await using fn = await prepareFunction({ 'app.js': GREETS }, { ...NODE, options: { layers: ['bad.zip'] } })
  await writeFile(join(fn.directory, 'bad.zip'), zipOf(entries))
  const error = await faultOf(fn.build())
  expect(error.code).toBe('FLEXI_BUILD')
  expect(error.faults[0]?.message).toContain('the layer bad.zip')
  expect(error.faults[0]?.message).toContain(message)
  expect(await readdir(join(fn.directory, '.flexi/layers')).catch(() => [])).toEqual([])
})

test('merges layers once that several functions have, although all of them begin at once', async () => {
  await using folder = await disposable({ 'one/a': '1', 'two/b': '2' })
  const layers = ['one', 'two'].map((name) => ({
    name,
    path: join(folder.path, name) as AbsolutePath,
    owner: 'tested',
    origin: { file: 'flexi.jsonc', line: 1, column: 1 },
  }))
  const state = join(folder.path, '.flexi')
  const merged = await Promise.all([1, 2, 3, 4].map(() => mergeLayers(layers, state)))
  expect(new Set(merged.map(({ directory }) => directory)).size).toBe(1)
  expect(await readdir(join(state, 'layers'))).toHaveLength(1)
  expect(await readFile(join(merged[0]?.directory ?? '', 'b'), 'utf8')).toBe('2')
})

test('refuses a file that is no zip file', async () => {
  await using fn = await openEmpty('no.zip')
  await writeFile(join(fn.directory, 'no.zip'), 'hello')
  expect((await faultOf(fn.build())).faults[0]?.message).toContain('the layer no.zip cannot be unpacked')
})

async function openEmpty(layer: string): Promise<Awaited<ReturnType<typeof prepareFunction>>> {
  return prepareFunction({ 'app.js': GREETS }, { ...NODE, options: { layers: [layer] } })
}

async function disposable(
  files: Files = {},
): Promise<AsyncDisposable & { readonly path: Awaited<ReturnType<typeof temporaryFolder>> }> {
  const path = await temporaryFolder(files)
  await mkdir(path, { recursive: true })
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}
