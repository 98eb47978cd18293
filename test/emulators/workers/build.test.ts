import { execFile, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative, resolve } from 'node:path'
import { promisify } from 'node:util'

import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import { FlexiError } from '../../../src/core/errors.ts'
import type { FunctionConfig } from '../../../src/core/function.ts'
import type { AbsolutePath } from '../../../src/core/place.ts'
import { createCustomBuild } from '../../../src/emulators/workers/build/custom-build.ts'
import { packageWorker } from '../../../src/emulators/workers/package.ts'
import {
  createSettingsReader,
  programEntry,
  type SettingsReader,
} from '../../../src/emulators/workers/settings.ts'
import { createStackReader } from '../../../src/emulators/workers/stack.ts'
import {
  openWorkerBundle,
  type Program,
  type WorkerBundle,
} from '../../../src/emulators/workers/worker-bundle.ts'
import { serveWorker, write } from './serve.ts'

const ROOT = resolve(import.meta.dirname, '../../..')
const WRANGLER = join(ROOT, 'bench/peers/node_modules/wrangler/bin/wrangler.js')

let directory: AbsolutePath
const open: AsyncDisposable[] = []

beforeEach(async () => {
  directory = (await mkdtemp(join(tmpdir(), 'flexi-test-'))) as AbsolutePath
})
afterEach(async () => {
  for (const one of open.splice(0)) await one[Symbol.asyncDispose]()
  await rm(directory, { recursive: true })
})

const at = (name: string): AbsolutePath => join(directory, name) as AbsolutePath
const configured = (keys = ''): string =>
  `{ "name": "worker", "main": "src/index.ts", "compatibility_date": "2026-01-01"${keys === '' ? '' : `,\n${keys}`} }`

interface Project {
  readonly reader: SettingsReader
  readonly printed: string[]
  build(): Promise<Program>
  watched(): readonly string[]
}

function project(): Project {
  const printed: string[] = []
  const reader = createSettingsReader({
    file: at('wrangler.jsonc'),
    env: undefined,
    config: { environment: {} } as FunctionConfig,
    print: (_, line) => printed.push(line),
  })
  open.push(reader)
  let bundle: WorkerBundle | undefined
  return {
    reader,
    printed,
    async build() {
      const settings = await reader.prepare('dev')
      const entry = await programEntry(settings)
      if (entry === undefined) throw new Error('no program')
      await bundle?.[Symbol.asyncDispose]()
      bundle = await openWorkerBundle({ ...settings, entry, mode: 'development' })
      open.push(bundle)
      return await bundle.build()
    },
    watched: () => [...reader.watched(), ...(bundle?.watched() ?? [])],
  }
}

async function built(files: Record<string, string>): Promise<Program> {
  await write(directory, { 'wrangler.jsonc': configured(), ...files })
  return await project().build()
}

async function failure(files: Record<string, string>): Promise<FlexiError> {
  const error = await built(files).catch((cause: unknown) => cause)
  if (!(error instanceof FlexiError)) throw new Error(`no failure: ${String(error)}`)
  return error
}

const OK = `export default { fetch: () => new Response('ok') }\n`

describe('the bundle', () => {
  test('define, alias, paths of the tsconfig and JSX are followed', async () => {
    const { code } = await built({
      'wrangler.jsonc': configured(
        '"define": { "VERSION": "\\"1.2\\"" }, "alias": { "aliased": "./src/real.ts" }, "tsconfig": "conf/tsconfig.json"',
      ),
      'conf/tsconfig.json':
        '{ "compilerOptions": { "paths": { "@/*": ["../src/lib/*"] }, "jsx": "react-jsx", "jsxImportSource": "tiny" } }',
      'src/index.ts': `import { a } from '@/a'\nimport { b } from './deep/b'\nimport view from './view'\nexport default { fetch: () => new Response(a + b + VERSION + view) }`,
      'src/lib/a.ts': `export const a = 'from paths'`,
      'src/deep/b.ts': `import { real } from 'aliased'\nexport const b = real`,
      'src/real.ts': `export const real = 'from alias'`,
      'src/view.tsx': `export default <p>hi</p>`,
      'node_modules/tiny/package.json': '{ "name": "tiny", "main": "jsx.js" }',
      'node_modules/tiny/jsx-runtime.js': `export const jsx = (type, props) => '<' + type + '>' + props.children`,
    })
    for (const text of ['from paths', 'from alias', '"1.2"', 'jsx("p"']) expect(code).toContain(text)
  })

  test('jsx_factory and jsx_fragment are those of the wrangler file', async () => {
    const { code } = await built({
      'wrangler.jsonc': configured('"jsx_factory": "h", "jsx_fragment": "F"').replace(
        'index.ts',
        'index.jsx',
      ),
      'src/index.jsx': `const h = (...a) => a, F = 'f'\nexport default { fetch: () => Response.json(<><b/></>) }`,
    })
    expect(code).toMatch(/h\(F, null, .*h\("b", null\)\)/)
  })

  test('minify is followed, and names are kept', async () => {
    const source = `export default { fetch: function longName(request) { return new Response(longName.name) } }`
    const plain = await built({ 'src/index.ts': source })
    const small = await built({ 'wrangler.jsonc': configured('"minify": true'), 'src/index.ts': source })
    expect(small.code.length).toBeLessThan(plain.code.length)
    expect(small.code).toContain('"longName"')
    expect(JSON.parse(small.sourceMap ?? '')).toMatchObject({ sources: ['src/index.ts'] })
  })

  test('a stack of minified code leads to the line in the source', async () => {
    await using served = await serveWorker({
      files: {
        'wrangler.jsonc': configured('"minify": true'),
        'src/index.ts': `import { fail } from './fail'\nexport default { fetch: () => fail() }`,
        'src/fail.ts': `\n\nexport function fail(): never {\n  throw new Error('here')\n}\n`,
      },
    })
    expect((await served.ask('/')).status).toBe(500)
    const file = join(served.directory, 'src/fail.ts')
    expect(served.faults).toMatchObject([{ frame: { place: { file, line: 4, column: 9 } } }])
  })

  test('a program of listeners is a service worker, and the data it imports is part of it', async () => {
    const program = await built({
      'src/index.ts': `import text from './a.txt'\nimport data from './b.bin'\nimport wasm from './c.wasm'\naddEventListener('fetch', (event) => event.respondWith(new Response(text + data.byteLength + wasm)))`,
      'src/a.txt': 'words',
      'src/b.bin': 'abc',
      'src/c.wasm': 'wasm',
    })
    expect(program.format).toBe('service-worker')
    expect(program.code).not.toMatch(/^import/m)
    expect(program.code).toContain('words')
    expect(program.wasmGlobals).toEqual({ c_wasm: at('src/c.wasm') })
  })

  test('a service worker runs with what it imports', async () => {
    await using served = await serveWorker({
      files: {
        'wrangler.jsonc': configured(),
        'src/index.ts': `import text from './a.txt'\nimport data from './b.bin'\nimport wasm from './c.wasm'\naddEventListener('fetch', (event) => event.respondWith(new Response(text + data.byteLength + (wasm instanceof WebAssembly.Module))))`,
        'src/a.txt': 'words',
        'src/b.bin': 'abc',
        'src/c.wasm': '\0asm\u0001\0\0\0',
      },
    })
    expect((await served.ask('/')).body.toString()).toBe('words3true')
  })

  test('a service worker that imports from the runtime is told what a module is', async () => {
    const { faults } = await failure({
      'src/index.ts': `import { connect } from 'cloudflare:sockets'\naddEventListener('fetch', () => connect)`,
    })
    expect(faults[0]?.message).toContain('"cloudflare:sockets"')
    expect(faults[0]?.hint).toContain('export default')
  })

  test('a program that is not there is a fault at main', async () => {
    const { code, faults } = await failure({})
    expect(code).toBe('FLEXI_CONFIG')
    expect(faults).toMatchObject([{ place: { file: at('wrangler.jsonc'), line: 1, column: 21 } }])
  })

  test('neither a program nor assets is a fault', async () => {
    const error = await failure({ 'wrangler.jsonc': '{ "name": "x", "compatibility_date": "2026-01-01" }' })
    expect(error.faults[0]?.message).toContain('neither a program nor assets')
  })

  test('main may leave its extension out', async () => {
    const files = { 'wrangler.jsonc': configured().replace('index.ts', 'index'), 'src/index.tsx': OK }
    expect((await built(files)).name).toBe('index.js')
  })
})

describe('data modules', () => {
  test('text, data and wasm are modules beside the bundle, named by their content', async () => {
    const program = await built({
      'src/index.ts': `import a from './a.txt'\nimport b from './b.bin'\nimport c from './c.wasm?module'\nimport d from 'pkg/d.sql'\nexport default { a, b, c, d }`,
      'src/a.txt': 'a',
      'src/b.bin': 'b',
      'src/c.wasm': 'c',
      'node_modules/pkg/package.json': '{ "name": "pkg" }',
      'node_modules/pkg/d.sql': 'd',
    })
    expect(program.modules.map(({ type, name }) => [type, name.replace(/^[0-9a-f]{40}-/, '#')])).toEqual([
      ['Text', '#a.txt'],
      ['Data', '#b.bin'],
      ['CompiledWasm', '#c.wasm'],
      ['Text', '#d.sql'],
    ])
  })

  test('import source stays what it is', async () => {
    const { code } = await built({
      'src/index.ts': `import source wasm from './c.wasm'\nexport default { wasm }`,
      'src/c.wasm': 'c',
    })
    expect(code).toMatch(/^import source wasm from "\.\/[0-9a-f]{40}-c\.wasm";$/m)
  })

  test('with preserve_file_names a file keeps its name below the module root, where wrangler keeps `../` and writes beside its folder', async () => {
    const program = await built({
      'wrangler.jsonc': configured('"preserve_file_names": true'),
      'src/index.ts': `import a from './deep/a.txt'\nexport default { a }`,
      'src/deep/a.txt': 'a',
    })
    expect(program.modules.map(({ name }) => name)).toEqual(['deep/a.txt'])
    expect(program.code).toContain('from "./deep/a.txt"')
  })

  test('a change of data is a change of the program, whatever its name', async () => {
    const files = {
      'wrangler.jsonc': configured('"preserve_file_names": true'),
      'src/index.ts': `import a from './a.txt'\nexport default { a }`,
    }
    const before = await built({ ...files, 'src/a.txt': 'one' })
    expect((await built({ ...files, 'src/a.txt': 'two' })).hash).not.toBe(before.hash)
  })

  test('a file whose rule an earlier one puts out of force is an error at its import', async () => {
    const { faults } = await failure({
      'wrangler.jsonc': configured('"rules": [{ "type": "Text", "globs": ["**/*.md"] }]'),
      'src/index.ts': `import a from './a.txt'\nexport default { a }`,
      'src/a.txt': 'a',
    })
    expect(faults).toMatchObject([
      { place: { file: at('src/index.ts'), line: 1 }, hint: expect.stringContaining('fallthrough') },
    ])
  })
})

describe('additional modules', () => {
  const RULES =
    '"rules": [{ "type": "ESModule", "globs": ["**/*.mjs"] }, { "type": "CommonJS", "globs": ["**/*.cjs"] }]'

  test('what a rule names below the root is a module, imported or not, and imports of it stay', async () => {
    const program = await built({
      'wrangler.jsonc': configured(`"find_additional_modules": true, ${RULES}`),
      'src/index.ts': `import { a } from './deep/uses'\nexport default { fetch: () => new Response(a) }`,
      'src/deep/uses.ts': `export { a } from './a.mjs'`,
      'src/deep/a.mjs': `export const a = 'a'`,
      'src/lang/de.mjs': `export default 'Hallo'`,
      'src/c.cjs': `module.exports = 1`,
      'src/t.txt': 't',
    })
    expect(program.modules.map(({ type, name }) => `${type} ${name}`)).toEqual([
      'CommonJS c.cjs',
      'ESModule deep/a.mjs',
      'ESModule lang/de.mjs',
      'Text t.txt',
    ])
    expect(program.code).toContain('from "./deep/a.mjs"')
  })

  test('names start at base_dir', async () => {
    const program = await built({
      'wrangler.jsonc': configured(`"find_additional_modules": true, "base_dir": ".", ${RULES}`),
      'src/index.ts': OK,
      'lib/a.mjs': '',
    })
    expect(program.modules.map(({ name }) => name)).toEqual(['lib/a.mjs'])
  })

  test('a file that only a rule out of force names is a fault in that file', async () => {
    const { faults } = await failure({
      'wrangler.jsonc': configured(
        '"find_additional_modules": true, "rules": [{ "type": "Text", "globs": ["**/*.md"] }]',
      ),
      'src/index.ts': OK,
      'src/a.txt': 'a',
    })
    expect(faults).toMatchObject([
      { place: { file: at('src/a.txt') }, hint: expect.stringContaining('fallthrough') },
    ])
  })

  test('they run, also when their name is made while the program runs', async () => {
    await using served = await serveWorker({
      files: {
        'wrangler.jsonc': configured(`"find_additional_modules": true, ${RULES}`),
        'src/index.ts': `export default { async fetch(request) { const name = new URL(request.url).pathname.slice(1); return new Response((await import('./lang/' + name)).default) } }`,
        'src/lang/de.mjs': `export default 'Hallo'`,
        'src/lang/fr.mjs': `export default 'Salut'`,
      },
    })
    expect((await served.ask('/fr.mjs')).body.toString()).toBe('Salut')
  })

  test('no_bundle runs the entry as it is, with the modules that rules name', async () => {
    await using served = await serveWorker({
      files: {
        'wrangler.jsonc': configured(
          '"no_bundle": true, "rules": [{ "type": "ESModule", "globs": ["**/*.js"] }]',
        ).replace('src/index.ts', 'dist/index.js'),
        'dist/index.js': `import { a } from './lib/a.js'\nexport default { fetch: () => new Response(a) }`,
        'dist/lib/a.js': `export const a = 'not bundled'`,
      },
    })
    expect((await served.ask('/')).body.toString()).toBe('not bundled')
  })

  test('an error in a module that is not bundled is shown in its file', async () => {
    await using served = await serveWorker({
      files: {
        'wrangler.jsonc': configured(
          '"no_bundle": true, "rules": [{ "type": "ESModule", "globs": ["**/*.js"] }]',
        ).replace('src/index.ts', 'dist/index.js'),
        'dist/index.js': `import { fail } from './lib/a.js'\nexport default { fetch: () => fail() }`,
        'dist/lib/a.js': `\nexport function fail() {\n  throw new Error('here')\n}\n`,
      },
    })
    expect((await served.ask('/')).status).toBe(500)
    const file = join(served.directory, 'dist/lib/a.js')
    expect(served.faults).toMatchObject([{ frame: { place: { file, line: 3, column: 9 } } }])
  })

  test('links that lead to no file are no modules, such as the lock of an editor', async () => {
    await write(directory, { 'src/index.js': 'export default {}', 'src/b.js': '', 'lib/a.js': '' })
    await symlink('someone@machine.1234', at('src/.#index.js'))
    await symlink('../lib', at('src/lib.js'))
    await symlink('../lib/a.js', at('src/a.js'))
    const { modules } = await built({
      'wrangler.jsonc': configured(
        '"no_bundle": true, "rules": [{ "type": "ESModule", "globs": ["**/*.js"] }]',
      ).replace('index.ts', 'index.js'),
    })
    expect(modules.map(({ name }) => name)).toEqual(['a.js', 'b.js'])
  })

  test('a source map that is half of one counts for nothing', async () => {
    const half = Buffer.from('{"version":3,"sources":["x.ts"]}').toString('base64')
    const { sourceMap } = await built({
      'wrangler.jsonc': configured('"no_bundle": true').replace('index.ts', 'index.js'),
      'src/index.js': `export default {}\n//# sourceMappingURL=data:application/json;base64,${half}\n`,
    })
    expect(JSON.parse(sourceMap ?? '')).toMatchObject({ sources: [at('src/index.js')] })
  })

  test('an entry that is not bundled and no JavaScript is a fault at its place', async () => {
    const { code, faults } = await failure({
      'wrangler.jsonc': configured('"no_bundle": true').replace('index.ts', 'index.js'),
      'src/index.js': `export default {\n  fetch: () => }\n`,
    })
    expect(code).toBe('FLEXI_BUILD')
    expect(faults).toMatchObject([{ place: { file: at('src/index.js'), line: 2, column: 16 } }])
  })

  test('stacks of what is not bundled lead to its lines, with and without a map of its own', async () => {
    const code = `export default {\n  fetch() { throw new Error('x') },\n}\n`
    const plain = await built({
      'wrangler.jsonc': configured('"no_bundle": true').replace('index.ts', 'index.js'),
      'src/index.js': code,
    })
    const frame = createStackReader({
      name: plain.name,
      sourceMap: plain.sourceMap,
      directory,
    }).frame(`Error: x\n    at Object.fetch (file://${directory}/index.js:2:19)`)
    expect(frame).toMatchObject({ place: { file: at('src/index.js'), line: 2, column: 19 } })
    const map = JSON.stringify({ version: 3, sources: ['../real.ts'], names: [], mappings: 'AAAA;AACA' })
    const mapped = await built({
      'wrangler.jsonc': configured('"no_bundle": true').replace('index.ts', 'index.js'),
      'src/index.js': `${code}//# sourceMappingURL=index.js.map\n`,
      'src/index.js.map': map,
    })
    expect(JSON.parse(mapped.sourceMap ?? '')).toMatchObject({ sources: [at('real.ts')] })
  })
})

describe('the build command', () => {
  const COMMAND = `node build.mjs`
  const files = (keys = ''): Record<string, string> => ({
    'wrangler.jsonc': configured(`"build": { "command": "${COMMAND}"${keys} }`).replace(
      'src/index.ts',
      'out/index.js',
    ),
    'build.mjs': `import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
mkdirSync('out', { recursive: true })
appendFileSync('runs', process.env.WRANGLER_COMMAND + '\\n')
const text = readFileSync('src/text', 'utf8')
console.log('building', text)
if (text === 'bad') { console.error('no way'); process.exit(3) }
writeFileSync('out/index.js', \`export default { fetch: () => new Response('\${text}') }\`)
`,
    'src/text': 'one',
  })
  const runs = async (): Promise<number> => (await readFile(at('runs'), 'utf8')).split('\n').length - 1

  test('runs before the first build, and again when something below src has changed', async () => {
    await write(directory, files())
    const one = project()
    expect((await one.build()).code).toContain('one')
    expect(one.watched()).toContain(at('src'))
    expect(one.printed).toEqual(['building one'])
    await one.build()
    expect(await runs()).toBe(1)
    await writeFile(at('src/text'), 'two!')
    expect((await one.build()).code).toContain('two!')
    expect(await runs()).toBe(2)
    expect(await readFile(at('runs'), 'utf8')).toBe('dev\ndev\n')
  })

  test('a command that fails is a failed build, with its exit code and last lines at its key', async () => {
    await write(directory, { ...files(), 'src/text': 'bad' })
    const one = project()
    const error = await one.build().catch((cause: unknown) => cause)
    expect(error).toMatchObject({
      code: 'FLEXI_BUILD',
      faults: [
        {
          place: { file: at('wrangler.jsonc'), line: 2 },
          message: expect.stringContaining('ended with exit code 3'),
          hint: expect.stringContaining('no way'),
        },
      ],
    })
    // Nothing has changed, so there is nothing to try again.
    await expect(one.build()).rejects.toMatchObject({ code: 'FLEXI_BUILD' })
    expect(await runs()).toBe(1)
    await writeFile(at('src/text'), 'good')
    expect((await one.build()).code).toContain('good')
  })

  test('a command that failed is tried again when somebody asks later, and not at once for what it wrote', async () => {
    await write(directory, { 'src/x': '' })
    let now = 0
    const build = createCustomBuild({
      command: 'echo x >> src/runs; exit 1',
      cwd: directory,
      folders: [at('src')],
      origin: { file: at('wrangler.jsonc'), text: '{}' },
      purpose: 'dev',
      print: () => undefined,
      now: () => now,
    })
    open.push(build)
    const ask = async (): Promise<string> => {
      await expect(build.run()).rejects.toMatchObject({ code: 'FLEXI_BUILD' })
      return await readFile(at('src/runs'), 'utf8')
    }
    expect([await ask(), await ask()]).toEqual(['x\n', 'x\n'])
    now = 5_000
    expect(await ask()).toBe('x\nx\n')
  })

  test('links that lead around in circles are not followed for ever', async () => {
    await write(directory, { 'src/text': 'one' })
    await symlink('.', at('src/self'))
    await symlink('../src', at('src/loop'))
    const build = createCustomBuild({
      command: 'echo x >> runs',
      cwd: directory,
      folders: [at('src')],
      origin: { file: at('wrangler.jsonc'), text: '{}' },
      purpose: 'dev',
      print: () => undefined,
    })
    open.push(build)
    await build.run()
    await build.run()
    await writeFile(at('src/text'), 'two!')
    await build.run()
    expect(await readFile(at('runs'), 'utf8')).toBe('x\nx\n')
  })

  test('what it writes into the watched folder itself does not start it again', async () => {
    await write(directory, files(', "watch_dir": ["."]'))
    const one = project()
    await one.build()
    await one.build()
    await writeFile(at('src/text'), 'two!')
    await one.build()
    await one.build()
    expect(await runs()).toBe(2)
  })

  test('it runs in build.cwd, and a program that it does not make is a fault that says so', async () => {
    await write(directory, {
      'wrangler.jsonc': configured('"build": { "command": "pwd", "cwd": "src" }'),
      'src/x': '',
    })
    const one = project()
    const error = await one.build().catch((cause: unknown) => cause)
    expect(one.printed).toEqual([at('src')])
    expect((error as FlexiError).message).toContain('the build command "pwd" did not make it')
  })

  test('it ends with whoever started it, with all that it started', async () => {
    await write(directory, {
      'wrangler.jsonc': configured('"build": { "command": "sleep 60 & echo $! ; wait" }'),
      'src/index.ts': OK,
    })
    const one = project()
    const building = one.build().catch((error: unknown) => error)
    await expect.poll(() => one.printed.length).toBe(1)
    await one.reader[Symbol.asyncDispose]()
    expect(await building).toMatchObject({ code: 'FLEXI_BUILD' })
    const pid = Number(one.printed[0])
    await expect.poll(() => isRunning(pid)).toBe(false)
  })

  test('it ends when flexi is killed', async () => {
    await write(directory, {
      'wrangler.jsonc': configured('"build": { "command": "sleep 60 & echo $! > pid; wait" }'),
      'src/index.ts': OK,
    })
    const flexi = spawn(process.execPath, [join(ROOT, 'bin/run.js'), 'dev', '--port', '0', directory], {
      stdio: 'ignore',
    })
    const pidOf = async (): Promise<number> => Number(await readFile(at('pid'), 'utf8').catch(() => '0'))
    await expect.poll(pidOf, { timeout: 10_000 }).toBeGreaterThan(0)
    const pid = await pidOf()
    expect(await isRunning(pid)).toBe(true)
    flexi.kill('SIGKILL')
    await expect.poll(() => isRunning(pid)).toBe(false)
  }, 20_000)

  test('it makes assets before they are looked for', async () => {
    await write(directory, {
      'wrangler.jsonc':
        '{ "name": "x", "compatibility_date": "2026-01-01", "assets": { "directory": "dist" }, "build": { "command": "mkdir -p dist && echo hi > dist/index.html" } }',
      'src/x': '',
    })
    const { reader } = project()
    await reader.read()
    await reader.prepare('dev')
    expect(await readFile(at('dist/index.html'), 'utf8')).toBe('hi\n')
  })
})

async function isRunning(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  return stat !== '' && !/\) Z/.test(stat)
}

describe('what a deployment ships', () => {
  const MIXED = {
    'src/index.ts': `import a from './a.txt'\nimport b from './deep/b'\nimport w from './w.wasm'\nexport default { fetch: () => new Response(a + b + w + VERSION) }`,
    'src/deep/b.ts': `import c from '../c.sql'\nimport { real } from 'aliased'\nexport default c + real`,
    'src/a.txt': 'a',
    'src/c.sql': 'c',
    'src/w.wasm': '\0asm\u0001\0\0\0',
    'src/real.ts': `export const real = 'aliased'`,
    'src/more/m.mjs': 'export default 1',
    'src/more/n.cjs': 'module.exports = 1',
  }
  const COMMON = '"define": { "VERSION": "\\"1\\"" }, "alias": { "aliased": "./src/real.ts" }'
  const FOUND =
    '"find_additional_modules": true, "rules": [{ "type": "ESModule", "globs": ["**/*.mjs"] }, { "type": "CommonJS", "globs": ["**/*.cjs"] }]'

  test.skipIf(!existsSync(WRANGLER)).each([
    ['bundled', COMMON],
    ['minified', `${COMMON}, "minify": true`],
    ['with additional modules', `${COMMON}, ${FOUND}`],
    ['with additional modules of another folder', `${COMMON}, ${FOUND}, "base_dir": "./src/more"`],
  ])(
    '%s: the files that wrangler 4.86 ships of the same project',
    async (_, keys) => {
      await write(directory, { 'wrangler.jsonc': configured(keys), ...MIXED })
      const { reader } = project()
      const shipped = await packageWorker(await reader.prepare('deploy'), {
        directory: at('ours'),
        project: directory,
      })
      const args = [WRANGLER, 'deploy', '--dry-run', '--outdir', 'theirs', '--upload-source-maps']
      const env = { ...process.env, WRANGLER_SEND_METRICS: 'false' }
      await promisify(execFile)(process.execPath, args, { cwd: directory, env })
      const theirs = (await readdir(at('theirs'), { recursive: true, withFileTypes: true }))
        .filter((entry) => entry.isFile() && entry.name !== 'README.md')
        .map(({ parentPath, name }) => relative(at('theirs'), join(parentPath, name)))
      expect(shipped.map(({ path }) => path).toSorted()).toEqual(theirs.toSorted())
      for (const path of theirs.filter((name) => !name.startsWith('index.js')))
        expect(await readFile(join(at('ours'), path))).toEqual(await readFile(join(at('theirs'), path)))
    },
    30_000,
  )

  test('modules lie where their names say, and the build command ran for a deployment', async () => {
    await write(directory, {
      'wrangler.jsonc': configured(
        '"find_additional_modules": true, "rules": [{ "type": "ESModule", "globs": ["**/*.mjs"] }], "build": { "command": "echo $WRANGLER_COMMAND > said" }',
      ),
      'src/index.ts': OK,
      'src/lib/a.mjs': 'export {}',
    })
    const { reader } = project()
    const out = at('out')
    const shipped = await packageWorker(await reader.prepare('deploy'), {
      directory: out,
      project: directory,
    })
    expect(shipped.map(({ path }) => path).toSorted()).toEqual(['index.js', 'index.js.map', 'lib/a.mjs'])
    expect(await readFile(join(out, 'lib/a.mjs'), 'utf8')).toBe('export {}')
    expect(await readFile(at('said'), 'utf8')).toBe('deploy\n')
  })
})
