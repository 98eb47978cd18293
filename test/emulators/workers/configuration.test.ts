import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import { FlexiError } from '../../../src/core/errors.ts'
import type { AbsolutePath, Fault } from '../../../src/core/place.ts'
import { mapBindings } from '../../../src/emulators/workers/bindings.ts'
import { keyPaths } from '../../../src/emulators/workers/config-faults.ts'
import { readConfiguration } from '../../../src/emulators/workers/configuration.ts'
import { workers } from '../../../src/emulators/workers/index.ts'
import { globPattern } from '../../../src/emulators/workers/module-rules.ts'
import { hasBareNodeNames } from '../../../src/emulators/workers/node-compat.ts'
import { compatibilityOf } from '../../../src/emulators/workers/settings.ts'
import { expand, readVariables } from '../../../src/emulators/workers/variables.ts'
import { write } from './serve.ts'

let directory: AbsolutePath

beforeEach(async () => {
  directory = (await mkdtemp(join(tmpdir(), 'flexi-test-'))) as AbsolutePath
})
afterEach(async () => rm(directory, { recursive: true }))

const at = (name: string): AbsolutePath => join(directory, name) as AbsolutePath
const detect = (environment: Record<string, string> = {}) => workers.detect(directory, { environment })

async function faultsOf(name: string, text: string): Promise<readonly Fault[]> {
  await write(directory, { [name]: text })
  const error = await readConfiguration(at(name)).catch((cause: unknown) => cause)
  expect(error).toBeInstanceOf(FlexiError)
  return error instanceof FlexiError ? error.faults : []
}

describe('detection', () => {
  test('a folder without a wrangler file has no worker', async () => {
    expect(await detect()).toEqual({ functions: [], routes: [], files: [], faults: [] })
  })

  test('wrangler.json comes before wrangler.jsonc and wrangler.toml, as wrangler has it', async () => {
    await write(directory, {
      'wrangler.toml': 'name = "toml"\n[env.x]\nname = "no"\n',
      'wrangler.jsonc': '{\n  // the name\n  "name": "jsonc" }',
    })
    expect((await detect()).functions).toMatchObject([
      { name: 'jsonc', provider: 'workers', origin: { file: at('wrangler.jsonc'), line: 3, column: 11 } },
    ])
    await write(directory, { 'wrangler.json': '{ "name": "json" }' })
    expect((await detect()).functions[0]?.name).toBe('json')
  })

  test('the name of a TOML file is the one above its tables', async () => {
    await write(directory, { 'wrangler.toml': '# x\nname = \'tom\'\n[env.x]\nname = "no"\n' })
    expect((await detect()).functions[0]?.name).toBe('tom')
    await write(directory, { 'wrangler.toml': '[env.x]\nname = "no"\n' })
    expect((await detect()).functions[0]?.name).toMatch(/^flexi-test-/)
  })

  test('a change in the file is a change of the configuration', async () => {
    await write(directory, { 'wrangler.jsonc': '{ "name": "x" }' })
    const before = (await detect()).functions[0]?.options
    await write(directory, { 'wrangler.jsonc': '{ "name": "x", "vars": {} }' })
    expect((await detect()).functions[0]?.options).not.toEqual(before)
  })

  test('CLOUDFLARE_ENV chooses the environment, and names the worker after it', async () => {
    await write(directory, { 'wrangler.jsonc': '{ "name": "My Worker!" }' })
    const [config] = (await detect({ CLOUDFLARE_ENV: 'staging' })).functions
    expect(config?.name).toBe('My-Worker--staging')
    expect(config?.options).toMatchObject({ config: at('wrangler.jsonc'), env: 'staging' })
  })

  test('a route may name the folder or the file', async () => {
    await write(directory, { 'edge/wrangler.toml': '', 'other/index.js': '' })
    const config = at('edge/wrangler.toml')
    expect(await workers.recognise('./edge/', directory)).toEqual({ config })
    expect(await workers.recognise('edge/wrangler.toml', directory)).toEqual({ config })
    expect(await workers.recognise('./other', directory)).toBeUndefined()
    expect(await workers.recognise('http://127.0.0.1:3000', directory)).toBeUndefined()
  })
})

describe('faults', () => {
  test('every fault is at its key, all at once', async () => {
    const faults = await faultsOf(
      'wrangler.jsonc',
      `{
  "name": "ok",
  "main": 3, // no path
  "kv_namespaces": [{ "binding": "A" }, { "bindng": "B", "id": "x" }],
  "limits": { "cpu_ms": "a" },
  "durable_objects": { "bindings": [{ "name": "X" }] },
}`,
    )
    expect(faults.map(({ place }) => place.line).toSorted((a, b) => a - b)).toEqual([3, 4, 5, 6])
    expect(faults.find(({ place }) => place.line === 5)).toEqual({
      place: { file: at('wrangler.jsonc'), line: 5, column: 15 },
      text: '  "limits": { "cpu_ms": "a" },',
      message: 'Expected "limits.cpu_ms" to be of type number but got "a".',
      severity: 'error',
    })
    expect(faults.find(({ place }) => place.line === 4)?.place.column).toBe(41)
  })

  test('the same in TOML, where lists are repeated tables', async () => {
    const faults = await faultsOf(
      'wrangler.toml',
      'name = "ok"\nmain = 3\n\n[[kv_namespaces]]\nbinding = "A"\n\n[[kv_namespaces]]\nid = "x"\n\n[limits]\ncpu_ms = "a"\n',
    )
    expect(faults.map(({ place }) => place.line).toSorted((a, b) => a - b)).toEqual([2, 7, 11])
  })

  test('a file that cannot be parsed is shown where it breaks', async () => {
    expect(await faultsOf('wrangler.jsonc', '{\n "name": "x",\n "main": ,\n}')).toEqual([
      {
        place: { file: at('wrangler.jsonc'), line: 3, column: 9 },
        message: 'value expected',
        text: ' "main": ,',
      },
    ])
    expect(await faultsOf('wrangler.toml', 'name = "x"\nmain = \n')).toMatchObject([
      { place: { line: 2 }, text: 'main = ' },
    ])
  })

  test('an unknown key is a warning at the key', async () => {
    await write(directory, { 'wrangler.jsonc': '{ "name": "x",\n  "mian": "index.ts" }' })
    expect((await readConfiguration(at('wrangler.jsonc'))).warnings).toMatchObject([
      { place: { line: 2, column: 3 }, message: expect.stringContaining('"mian"'), severity: 'warning' },
    ])
  })

  test('opening a worker with a broken file says what is wrong, before anything is built', async () => {
    await write(directory, { 'wrangler.jsonc': '{ "name": "x", "main": 3 }' })
    const [config] = (await detect()).functions
    if (config === undefined) throw new Error('no worker')
    const scope = {} as Parameters<typeof workers.open>[1]
    await expect(workers.open(config, scope)).rejects.toMatchObject({ code: 'FLEXI_CONFIG' })
  })

  test('options that a worker does not know are refused', async () => {
    await write(directory, { 'wrangler.jsonc': '{ "name": "x" }' })
    const [config] = (await detect()).functions
    if (config === undefined) throw new Error('no worker')
    const scope = {} as Parameters<typeof workers.open>[1]
    await expect(workers.open({ ...config, options: { handler: 'x', env: 3 } }, scope)).rejects.toMatchObject(
      {
        code: 'FLEXI_CONFIG',
        faults: [
          { message: expect.stringContaining('"handler"') },
          { message: expect.stringContaining('"env"') },
        ],
      },
    )
  })

  test('the keys in a message', () => {
    expect(keyPaths('Expected "limits.cpu_ms" to be "x y"')).toEqual([['limits', 'cpu_ms']])
    expect(keyPaths('Unexpected fields found in kv_namespaces[1] field: "bindng"')).toEqual([
      ['kv_namespaces', 1, 'bindng'],
    ])
    expect(keyPaths('Unexpected fields found in top-level field: "bogus"')).toEqual([['bogus']])
  })
})

describe('variables', () => {
  const read = (env?: string, environment: Record<string, string> = {}) =>
    readVariables({ file: at('wrangler.jsonc'), env, environment })

  test('.dev.vars of the environment replaces .dev.vars, which replaces .env', async () => {
    await write(directory, { '.env': 'A=env\nB=env', '.dev.vars': 'A=dev', '.dev.vars.staging': 'A=staging' })
    expect((await read()).values).toEqual({ A: 'dev' })
    expect((await read('staging')).values).toEqual({ A: 'staging' })
    expect((await read('other')).values).toEqual({ A: 'dev' })
  })

  test('.env files add up, the more special one winning', async () => {
    await write(directory, {
      '.env': 'A=1\nB=1\nC=1\nD=1',
      '.env.local': 'B=2\nC=2\nD=2',
      '.env.staging': 'C=3\nD=3',
      '.env.staging.local': 'D=4',
    })
    expect((await read('staging')).values).toEqual({ A: '1', B: '2', C: '3', D: '4' })
    expect((await read()).values).toEqual({ A: '1', B: '2', C: '2', D: '2' })
    expect((await read(undefined, { CLOUDFLARE_LOAD_DEV_VARS_FROM_DOT_ENV: 'false' })).values).toEqual({})
    const included = await read(undefined, { CLOUDFLARE_INCLUDE_PROCESS_ENV: 'true', X: 'shell', A: 'shell' })
    expect(included.values).toMatchObject({ X: 'shell', A: '1' })
  })

  test('files that are not there yet are watched too', async () => {
    expect((await read('x')).watched).toContain(at('.dev.vars.x'))
  })

  test('a reference takes the shell’s value, then the file’s, then its default', () => {
    const values = { A: '${B}-$C-${D:-none}-\\$E', B: 'file', C: 'file', LOOP: '$LOOP' }
    expect(expand(values, { C: 'shell' })).toEqual({
      A: 'file-shell-none-$E',
      B: 'file',
      C: 'file',
      LOOP: '',
    })
  })

  test('text without references is left as it is', () => {
    fc.assert(
      fc.property(
        fc.string().filter((text) => !text.includes('$')),
        (text) => {
          expect(expand({ A: text }, {})).toEqual({ A: text })
        },
      ),
    )
  })

  test('secrets.required is a fence, and says what is missing', async () => {
    await write(directory, {
      'wrangler.jsonc': '{ "name": "x", "vars": { "V": 1 }, "secrets": { "required": ["A", "B"] } }',
    })
    const { config } = await readConfiguration(at('wrangler.jsonc'))
    const { options, warnings } = mapBindings({ config, variables: { A: '1', C: '3' }, environment: {} })
    expect(options.bindings).toEqual({ V: 1, A: '1' })
    expect(warnings).toEqual([expect.stringContaining('the required secret B is not set')])
  })
})

describe('compatibility', () => {
  const of = (date: string | undefined, newest = '2026-11-17', today = '2026-11-21') =>
    compatibilityOf({ compatibility_date: date, compatibility_flags: ['x'] }, newest, today)

  test('a date the runtime knows is kept', () => {
    expect(of('2026-01-01')).toEqual({ compatibility: { date: '2026-01-01', flags: ['x'] }, warnings: [] })
  })

  test('a date beyond the runtime, or beyond today, is taken down with a warning', () => {
    expect(of('2026-11-20')).toMatchObject({
      compatibility: { date: '2026-11-17' },
      warnings: [expect.stringContaining('asks for 2026-11-20')],
    })
    expect(of('2026-11-20', '2026-11-30', '2026-11-10').compatibility.date).toBe('2026-11-10')
  })

  test('no date is the runtime’s own, with a warning', () => {
    expect(of(undefined)).toMatchObject({
      compatibility: { date: '2026-11-17' },
      warnings: [expect.stringContaining('"compatibility_date": "2026-11-17"')],
    })
  })

  test('bare node names need nodejs_compat, until it is the default', () => {
    expect(hasBareNodeNames({ date: '2026-01-01', flags: [] })).toBe(false)
    expect(hasBareNodeNames({ date: '2026-01-01', flags: ['nodejs_compat'] })).toBe(true)
    expect(hasBareNodeNames({ date: '2024-01-01', flags: ['nodejs_compat'] })).toBe(false)
    expect(hasBareNodeNames({ date: '2024-01-01', flags: ['nodejs_compat_v2'] })).toBe(true)
    expect(hasBareNodeNames({ date: '2026-09-01', flags: [] })).toBe(true)
    expect(hasBareNodeNames({ date: '2026-09-01', flags: ['no_nodejs_compat'] })).toBe(false)
  })
})

describe('bindings', () => {
  async function bindingsOf(text: string): Promise<ReturnType<typeof mapBindings>> {
    await write(directory, { 'wrangler.jsonc': text })
    const { config } = await readConfiguration(at('wrangler.jsonc'))
    return mapBindings({ config, variables: {}, environment: {} })
  }

  test('workers that own an object, a queue or a database are exchanged one after the other', async () => {
    const exclusive = async (text: string) => (await bindingsOf(`{ "name": "x", ${text} }`)).exclusive
    expect(await exclusive('"kv_namespaces": [{ "binding": "A" }], "r2_buckets": [{ "binding": "B" }]')).toBe(
      false,
    )
    expect(await exclusive('"d1_databases": [{ "binding": "A" }]')).toBe(true)
    expect(await exclusive('"queues": { "producers": [{ "binding": "A", "queue": "q" }] }')).toBe(true)
    expect(await exclusive('"durable_objects": { "bindings": [{ "name": "A", "class_name": "C" }] }')).toBe(
      true,
    )
  })

  test('migrations decide where a Durable Object is stored', async () => {
    const { options } = await bindingsOf(`{
      "name": "x",
      "durable_objects": { "bindings": [{ "name": "A", "class_name": "New" }] },
      "migrations": [
        { "tag": "1", "new_sqlite_classes": ["Old", "Gone"], "new_classes": ["Plain"] },
        { "tag": "2", "renamed_classes": [{ "from": "Old", "to": "New" }], "deleted_classes": ["Gone"] }
      ]
    }`)
    expect(options.durableObjects).toEqual({ A: { className: 'New', useSQLite: true } })
    expect(options.additionalUnboundDurableObjects).toEqual([{ className: 'Plain', useSQLite: false }])
  })

  test('what cannot work here is named with its reason', async () => {
    const { unavailable } = await bindingsOf(`{
      "name": "x",
      "vectorize": [{ "binding": "V", "index_name": "i" }],
      "browser": { "binding": "B" },
      "services": [{ "binding": "S", "service": "other" }],
      "hyperdrive": [{ "binding": "H", "id": "1" }]
    }`)
    expect(unavailable.map(({ name }) => name)).toEqual(['B', 'V', 'S', 'H'])
    expect(unavailable.find(({ name }) => name === 'S')?.reason).toContain('the worker other')
  })
})

test('globs of rules match import specifiers', () => {
  expect('./a/b.txt').toMatch(globPattern('**/*.txt'))
  expect('b.txt').toMatch(globPattern('**/*.txt'))
  expect('./x.wasm?module').toMatch(globPattern('**/*.wasm?module'))
  expect('./x.wasm').not.toMatch(globPattern('**/*.wasm?module'))
  expect('./a.md').toMatch(globPattern('**/*.{md,mdx}'))
  expect('./a.txtx').not.toMatch(globPattern('**/*.txt'))
})
