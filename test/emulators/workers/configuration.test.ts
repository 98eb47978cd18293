import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import { FlexiError } from '../../../src/core/errors.ts'
import type { FunctionConfig } from '../../../src/core/function.ts'
import type { AbsolutePath, Fault } from '../../../src/core/place.ts'
import { mapBindings } from '../../../src/emulators/workers/bindings.ts'
import { keyPaths } from '../../../src/emulators/workers/config-faults.ts'
import { readConfiguration } from '../../../src/emulators/workers/configuration.ts'
import { workers } from '../../../src/emulators/workers/index.ts'
import { globPattern } from '../../../src/emulators/workers/module-rules.ts'
import { nodeMode } from '../../../src/emulators/workers/node-compat.ts'
import { compatibilityOf } from '../../../src/emulators/workers/compatibility.ts'
import { expand, parseEnvText } from '../../../src/emulators/workers/env-text.ts'
import { createSettingsReader, type Settings } from '../../../src/emulators/workers/settings.ts'
import { readVariables } from '../../../src/emulators/workers/variables.ts'
import { write } from './serve.ts'

const PEERS = resolve(import.meta.dirname, '../../../bench/peers/node_modules')
const DOTENV = join(PEERS, 'dotenv/lib/main.js')
const DOTENV_EXPAND = join(PEERS, 'dotenv-expand/lib/main.js')

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
        place: { file: at('wrangler.jsonc'), line: 3, column: 10 },
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

  test('keys of older versions are told at their line, and the one without an effect is not', async () => {
    const faults = await faultsOf('wrangler.toml', 'name = "ok"\nlegacy_env = true\n\nnode_compat = true\n')
    expect(faults).toMatchObject([{ place: { line: 4, column: 1 }, message: 'Removed: "node_compat":' }])
    await write(directory, { 'wrangler.toml': 'name = "ok"\nlegacy_env = false\nusage_model = "bundled"\n' })
    const { warnings } = await readConfiguration(at('wrangler.toml'))
    expect(warnings.map(({ place }) => place.line)).toEqual([2, 3])
  })

  test('an environment that is not there, and what one does not inherit, are told', async () => {
    await write(directory, {
      'wrangler.jsonc': '{ "name": "x", "vars": { "A": 1 },\n "env": {\n  "staging": {} } }',
    })
    expect((await readConfiguration(at('wrangler.jsonc'), 'staging')).warnings).toMatchObject([
      { place: { line: 3 }, message: expect.stringContaining('"vars" exists at the top level') },
    ])
    await expect(readConfiguration(at('wrangler.jsonc'), 'nope')).rejects.toMatchObject({
      faults: [{ message: expect.stringContaining('"nope"') }],
    })
  })

  test('each of several unknown keys is a warning of its own, with the key that was meant', async () => {
    await write(directory, { 'wrangler.jsonc': '{ "name": "x",\n "mian": "a",\n "zone_id": "z" }' })
    expect((await readConfiguration(at('wrangler.jsonc'))).warnings).toMatchObject([
      { place: { line: 2 }, hint: 'Did you mean "main"?' },
      { place: { line: 3 } },
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
    expect(keyPaths('r2_buckets[0].bucket_name="b" is invalid.')).toContainEqual([
      'r2_buckets',
      0,
      'bucket_name',
    ])
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
  })

  test('the shell is taken when it is asked for, and wins then, as wrangler has it', async () => {
    await write(directory, { '.env': 'A=file\nB=${X}' })
    expect((await read(undefined, { X: 'shell', A: 'shell' })).values).toEqual({ A: 'file', B: '' })
    const environment = { CLOUDFLARE_INCLUDE_PROCESS_ENV: 'true', X: 'shell', A: 'shell' }
    expect((await read(undefined, environment)).values).toMatchObject({ X: 'shell', A: 'shell', B: 'shell' })
  })

  test('with required secrets only those are taken, and from the shell too', async () => {
    await write(directory, { '.env': 'A=file\nC=file' })
    const environment = { B: 'shell', D: 'shell' }
    const { values } = await readVariables({
      file: at('wrangler.jsonc'),
      environment,
      required: ['A', 'B', 'E'],
    })
    expect(values).toEqual({ A: 'file', B: 'shell' })
  })

  test('files that are not there yet are watched too', async () => {
    expect((await read('x')).watched).toContain(at('.dev.vars.x'))
  })

  test('a reference takes the shell’s value, then one from above in the file, then its default', () => {
    const values = {
      B: 'file',
      A: '${B}-$C-${D:-none}-${D-none}-${B:+is}-${D:+is}-\\$E-${LATER}',
      LATER: 'x',
      LOOP: '$LOOP',
    }
    expect(expand(values, { C: 'shell' })).toEqual({
      B: 'file',
      A: 'file-shell-none-none-is--$E-',
      LATER: 'x',
      LOOP: '',
    })
  })

  test('a value that grows with each reference ends', () => {
    expect(expand({ A: '$B' }, { B: '$B$B' })['A']).toBeTypeOf('string')
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

  test('how much of Node there is follows from date and flags', () => {
    const mode = (date: string, ...flags: string[]): string => nodeMode({ date, flags })
    expect(mode('2026-01-01')).toBe('none')
    expect(mode('2026-01-01', 'nodejs_compat')).toBe('v2')
    expect(mode('2024-01-01', 'nodejs_compat')).toBe('v1')
    expect(mode('2024-01-01', 'nodejs_compat_v2')).toBe('v2')
    expect(mode('2026-01-01', 'nodejs_compat', 'no_nodejs_compat_v2')).toBe('v1')
    expect(mode('2026-01-01', 'nodejs_als')).toBe('als')
    expect(mode('2026-09-01')).toBe('v2')
    expect(mode('2026-09-01', 'no_nodejs_compat')).toBe('none')
  })

  test.each(['2026-1-1', '2026-02-30', 'today'])(
    'a compatibility date that is none is a fault: %s',
    async (date) => {
      const error = await settingsOf(`{ "name": "x", "compatibility_date": "${date}" }`).catch(
        (cause: unknown) => cause,
      )
      expect(error).toMatchObject({ code: 'FLEXI_CONFIG', faults: [{ place: { column: 16 } }] })
    },
  )

  test('flags that exclude each other are a fault at their key', async () => {
    const error = await settingsOf(
      '{ "name": "x", "main": "i.js",\n "compatibility_flags": ["nodejs_compat", "nodejs_compat_v2"] }',
    ).catch((cause: unknown) => cause)
    expect(error).toMatchObject({
      code: 'FLEXI_CONFIG',
      faults: [{ place: { line: 2, column: 2 }, message: expect.stringContaining('exclude each other') }],
    })
  })
})

async function settingsOf(text: string, print?: (line: string) => void): Promise<Settings> {
  await write(directory, { 'wrangler.jsonc': text })
  const config = { environment: {} } as FunctionConfig
  const reader = createSettingsReader({
    file: at('wrangler.jsonc'),
    env: undefined,
    config,
    print: (_, line) => print?.(line),
  })
  return reader.read()
}

describe('redirected configuration', () => {
  const OUTPUT =
    '{ "name": "built", "main": "index.js", "no_bundle": true, "compatibility_date": "2026-01-01" }'
  const OWN = '{ "name": "own", "main": "src/index.ts" }'

  test('what a build wrote counts in place of the folder’s own file, and it is said', async () => {
    await write(directory, {
      '.wrangler/deploy/config.json':
        '{ "configPath": "../../dist/own/wrangler.json", "auxiliaryWorkers": [{ "configPath": "../../dist/aux/wrangler.json" }] }',
      'dist/own/wrangler.json': OUTPUT,
      '.dev.vars': 'SECRET=1',
    })
    const { config, warnings, bindings } = await settingsOf(OWN)
    expect(config.name).toBe('built')
    expect(config.main).toBe(at('dist/own/index.js'))
    expect(warnings[0]).toContain('dist/own/wrangler.json is used')
    expect(warnings[1]).toContain('dist/aux/wrangler.json')
    expect(bindings.options.bindings).toEqual({ SECRET: '1' })
  })

  test('a note that leads nowhere is a fault in the note', async () => {
    await write(directory, {
      '.wrangler/deploy/config.json': '{\n  "configPath": "../../gone/wrangler.json" }',
    })
    expect(await settingsOf(OWN).catch((cause: unknown) => cause)).toMatchObject({
      code: 'FLEXI_CONFIG',
      faults: [{ place: { file: at('.wrangler/deploy/config.json'), line: 2 } }],
    })
    await write(directory, { '.wrangler/deploy/config.json': 'no json' })
    expect(await settingsOf(OWN).catch((cause: unknown) => cause)).toMatchObject({ code: 'FLEXI_CONFIG' })
  })
})

describe('settings without a local meaning', () => {
  test('each key of dev that another part of flexi answers for is named', async () => {
    const { warnings } = await settingsOf(
      '{ "name": "x", "main": "i.js", "compatibility_date": "2026-01-01", "dev": { "host": "example.com", "ip": "0.0.0.0", "local_protocol": "https", "inspector_port": 9229 } }',
    )
    expect(warnings.map((text) => text.split(' ')[0])).toEqual([
      'dev.host',
      'dev.ip',
      'dev.local_protocol',
      'dev.inspector_port',
    ])
  })

  test('what wrangler dev is silent about is silent', async () => {
    const { warnings } = await settingsOf(
      '{ "name": "x", "main": "i.js", "compatibility_date": "2026-01-01", "observability": { "enabled": true }, "placement": { "mode": "smart" }, "logpush": true, "keep_vars": true, "workers_dev": true, "preview_urls": false, "limits": { "cpu_ms": 50 }, "account_id": "a", "send_metrics": false, "upload_source_maps": true, "first_party_worker": true, "dependencies_instrumentation": { "enabled": false }, "compliance_region": "public" }',
    )
    expect(warnings).toEqual([])
  })

  test('a rule that puts others out of force is told, unless it says so itself', async () => {
    const rules = (fallthrough: string): string =>
      `{ "name": "x", "main": "i.js", "compatibility_date": "2026-01-01", "rules": [{ "type": "Text", "globs": ["**/*.md"]${fallthrough} }] }`
    expect((await settingsOf(rules(''))).warnings).toEqual([expect.stringContaining('**/*.txt')])
    expect((await settingsOf(rules(', "fallthrough": false'))).warnings).toEqual([])
    expect((await settingsOf(rules(', "fallthrough": true'))).warnings).toEqual([])
  })
})

describe('any text', () => {
  const VALID = `{
  // a worker
  "name": "ok", "main": "index.ts", "compatibility_date": "2026-01-01",
  "kv_namespaces": [{ "binding": "A", "id": "1" }],
  "vars": { "X": "y", "N": { "a": [1] } },
  "env": { "staging": { "vars": { "X": "z" } } },
}`
  const TOML = `name = "ok"
main = "index.ts"
compatibility_date = "2026-01-01"
vars = { X = "y" }
[[kv_namespaces]]
binding = "A"
id = "1"
[env.staging.vars]
X = "z"
`

  /** Undefined for a valid text, and for one whose faults all lie inside it; else what is wrong with how it is told. */
  async function misjudged(name: string, text: string): Promise<unknown> {
    await write(directory, { [name]: text })
    const error = await readConfiguration(at(name)).then(
      () => undefined,
      (cause: unknown) => cause,
    )
    if (error === undefined) return undefined
    if (!(error instanceof FlexiError) || error.code !== 'FLEXI_CONFIG') return { text, error }
    const lines = text.split('\n')
    const isInside = ({ place: { file, line, column } }: Fault): boolean =>
      file === at(name) &&
      line >= 1 &&
      line <= lines.length &&
      column >= 1 &&
      column <= (lines[line - 1]?.length ?? 0) + 2
    const outside = error.faults.filter((fault) => !isInside(fault))
    return error.faults.length > 0 && outside.length === 0 ? undefined : { text, outside }
  }

  test.each([
    ['wrangler.jsonc', VALID],
    ['wrangler.toml', TOML],
  ])('%s without any one of its characters is valid, or at fault inside', async (name, text) => {
    for (let index = 0; index < text.length; index += 1)
      expect(await misjudged(name, text.slice(0, index) + text.slice(index + 1))).toBeUndefined()
  })

  test.each(['wrangler.jsonc', 'wrangler.toml'])('no text crashes the reader of %s', async (name) => {
    const piece = fc.oneof(
      fc.string(),
      fc.constantFrom(
        '{',
        '}',
        '[',
        ']',
        '"',
        '=',
        ':',
        ',',
        '\n',
        '[[a]]',
        '"name"',
        'null',
        '1e999',
        '\u0000',
        '__proto__',
      ),
      fc.json(),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 12 }), async (pieces) => {
        expect(await misjudged(name, pieces.join(''))).toBeUndefined()
      }),
      { numRuns: 150 },
    )
  })
})

describe('the grammar of variables', () => {
  const CASES = [
    'A=1 # comment', "A='single # no comment'", 'A="double\\nline"', 'A="two\nlines"', 'A=`back "tick`', 'export A=1', '  A = spaced  ',
    'A: colon', 'A=', 'A=""', '# A=1', 'A=un"quoted"', 'A="unclosed', "A='it\\'s'", 'A=a#b', 'A=$B\nB=2', 'A.b-c=1', 'A=1\r\nB=2', 'A==x',
    'A="x" trailing', 'NO_VALUE', 'A=1\nA=2', 'A=\\$x', "A='${B}'", 'A=pa$$word', '=x', 'A="{\n "k": 1\n}"',
  ] // prettier-ignore

  test('a line of each kind', () => {
    expect(parseEnvText('export A="a\\nb" # c\nB=\'x # y\'\nC = d # e\nD: f\nG="h\ni"\n')).toEqual({
      A: 'a\nb',
      B: 'x # y',
      C: 'd',
      D: 'f',
      G: 'h\ni',
    })
  })

  test.skipIf(!existsSync(DOTENV))('is that of dotenv, which wrangler reads them with', async () => {
    const dotenv = (await import(DOTENV)) as { parse(text: string): Record<string, string> }
    for (const text of CASES)
      expect({ text, values: parseEnvText(text) }).toEqual({ text, values: dotenv.parse(text) })
    const piece = fc.oneof(
      fc.constantFrom(
        'A',
        'B',
        '=',
        ' = ',
        ': ',
        '"',
        "'",
        '`',
        '\\',
        '#',
        '\n',
        'export ',
        '$',
        '{',
        '}',
        '\\n',
        ' ',
      ),
      fc.string({ maxLength: 3 }),
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 14 }), (pieces) => {
        const text = pieces.join('')
        expect(parseEnvText(text)).toEqual(dotenv.parse(text))
      }),
      { numRuns: 500 },
    )
  })

  test.skipIf(!existsSync(DOTENV_EXPAND))('and references are those of dotenv-expand', async () => {
    const { expand: theirs } = (await import(DOTENV_EXPAND)) as {
      expand: (options: { processEnv: object; parsed: object }) => { parsed: Record<string, string> }
    }
    const value = fc.array(
      fc.constantFrom('$A', '${B}', '${C:-d}', '${A:+e}', '${B-$A}', '\\$', 'x', '-', '${', '}', '$$'),
      { maxLength: 5 },
    )
    const file = fc.record({ A: value, B: value, C: value })
    fc.assert(
      fc.property(file, fc.constantFrom({}, { B: 'shell' }), (parts, shell) => {
        const parsed = Object.fromEntries(Object.entries(parts).map(([name, list]) => [name, list.join('')]))
        expect(expand(parsed, shell)).toEqual(
          theirs({ processEnv: { ...shell }, parsed: { ...parsed } }).parsed,
        )
      }),
      { numRuns: 500 },
    )
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
