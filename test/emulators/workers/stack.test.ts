import { SourceMap, type SourceMapPayload } from 'node:module'

import { build } from 'esbuild'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { absoluteSources, readScripts } from '../../../src/emulators/workers/inspect/scripts.ts'
import { findGenerated, readMappings } from '../../../src/emulators/workers/mappings.ts'
import { createStackReader, scriptRoot, shiftMap } from '../../../src/emulators/workers/stack.ts'

interface Built {
  readonly code: string
  readonly map: string
}

async function bundle(contents: string, options: object = {}): Promise<Built> {
  const { outputFiles } = await build({
    stdin: { contents, sourcefile: 'src/index.ts', loader: 'ts', resolveDir: '/p' },
    outdir: '/p',
    bundle: true,
    format: 'esm',
    sourcemap: 'external',
    write: false,
    ...options,
  })
  const [map = '', code = ''] = outputFiles.map(({ text }) => text)
  return { map, code }
}

/** Many lines with code on them. */
function program(functions: number): string {
  const one = (at: number): string =>
    `export function f${at}(alpha: number, beta: string): string {\n  const value = alpha * ${at} + beta.length\n  if (value > 10) { console.log('text', value, beta) }\n  return beta + String(value)\n}\n`
  return Array.from({ length: functions }, (_, at) => one(at)).join('')
}

const payloadOf = ({ map }: Built): SourceMapPayload => JSON.parse(map) as SourceMapPayload

describe('places in a bundle', () => {
  test('are found as Node.js finds them', async () => {
    const payload = payloadOf(await bundle(program(50), { minify: true }))
    const lookup = readMappings(payload.mappings)
    const theirs = new SourceMap(payload)
    fc.assert(
      fc.property(fc.nat(3), fc.nat(8_000), (line, column) => {
        const expected = theirs.findEntry(line, column)
        // Node.js goes back to lines before, which are other code.
        fc.pre('originalLine' in expected && expected.generatedLine === line)
        const { originalLine, originalColumn } = expected as { originalLine: number; originalColumn: number }
        expect(lookup(line, column)).toEqual({ source: 0, line: originalLine, column: originalColumn })
      }),
    )
  })

  test('are found the other way round, where a line without code leads to the next', async () => {
    const built = await bundle(
      `// nothing\n\nexport const one = 1\n\nexport function two() {\n  return one\n}\n`,
    )
    const { mappings } = payloadOf(built)
    const lines = built.code.split('\n')
    const codeAt = (line: number): string | undefined => {
      const place = findGenerated(mappings, { source: 0, line, column: 0 })
      return place === undefined ? undefined : lines[place.line]?.slice(place.column)
    }
    expect(codeAt(5)).toBe('  return one;')
    expect(codeAt(3)).toMatch(/^function two/)
    expect(codeAt(99)).toBeUndefined()
  })

  test('no text takes them down', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom('A', 'g', 'C', '+', ';', ',', '/', 'z', '9', 'é', '!') }),
        fc.nat(20),
        fc.nat(50),
        (mappings, line, column) => {
          const place = readMappings(mappings)(line, column)
          const back = findGenerated(mappings, { source: 0, line, column })
          expect([typeof place, typeof back]).not.toContain('function')
        },
      ),
    )
  })

  test('of a map of several MB are there at once, and the next in no time', async () => {
    const built = await bundle(program(20_000))
    expect(built.map.length).toBeGreaterThan(5_000_000)
    const reader = createStackReader({ name: 'index.js', sourceMap: built.map, directory: '/p' })
    const line = built.code.split('\n').findIndex((text) => text.includes('alpha * 19001')) + 1
    const cpuMs = (since: NodeJS.CpuUsage): number => process.cpuUsage(since).user / 1000
    const first = process.cpuUsage()
    expect(reader.map(`    at f (file:///p/index.js:${line}:3)`)).toBe(
      `    at f (/p/src/index.ts:${19_001 * 5 + 2}:3)`,
    )
    expect(cpuMs(first)).toBeLessThan(500)
    const second = process.cpuUsage()
    for (let count = 0; count < 20; count++) reader.map(`    at f (file:///p/index.js:${line - count}:3)`)
    expect(cpuMs(second) / 20).toBeLessThan(10)
  }, 60_000)
})

describe('a stack', () => {
  const root = scriptRoot('/p', 'one')
  const code = `function inner() {\n  throw new Error('x')\n}\nexport default { fetch: () => inner() }\n`

  async function reader(): Promise<ReturnType<typeof createStackReader>> {
    const [one, two] = await Promise.all([bundle(code), bundle(`\n\n${code}`)])
    return createStackReader([
      { name: 'index.js', sourceMap: one.map, directory: '/p', root, owner: 'one' },
      { name: 'index.js', sourceMap: two.map, directory: '/q', root: scriptRoot('/q', 'two'), owner: 'two' },
    ])
  }

  test('leads into the sources of each of several workers', async () => {
    const stacks = await reader()
    const stack = `Error: x\n    at inner (file://${root}/index.js:3:9)\n    at a (file:///q/.flexi/workers/code/two/index.js:3:9)`
    expect(stacks.map(stack)).toBe(
      'Error: x\n    at inner (/p/src/index.ts:2:9)\n    at a (/q/src/index.ts:4:9)',
    )
    expect(stacks.owner(stack)).toBe('one')
    expect(stacks.owner(stack.split('\n').toSpliced(1, 1).join('\n'))).toBe('two')
    expect(stacks.frame(stack)).toEqual({
      place: { file: '/p/src/index.ts', line: 2, column: 9 },
      message: 'Error: x',
      text: "  throw new Error('x')",
    })
  })

  test('is without frames of ours, and keeps what is printed behind the last one', async () => {
    const stacks = await reader()
    const ours = `    at Object.fetch (file://${root}/flexi-facade.mjs:4:5)`
    expect(
      stacks.map(`Error: x\n    at inner (file://${root}/index.js:3:9)\n${ours}\n${ours} {\n  code: 1\n}`),
    ).toBe('Error: x\n    at inner (/p/src/index.ts:2:9) {\n  code: 1\n}')
  })

  test('of a script is without what stands before it', async () => {
    const { map } = await bundle(code)
    const stacks = createStackReader({
      name: 'index.js',
      sourceMap: shiftMap(map, 100),
      directory: '/p',
      root,
    })
    expect(
      stacks.map(
        `Error: x\n    at inner (file://${root}/index.js:103:9)\n    at begin (file://${root}/index.js:7:1)`,
      ),
    ).toBe('Error: x\n    at inner (/p/src/index.ts:2:9)')
  })

  test('other paths and numbers stay as they are', async () => {
    const stacks = await reader()
    for (const text of [
      'at http://host/index.js:3:9',
      'at /other/index.js:3:9',
      'index.jsx:3:9',
      'at node:internal:1:2',
      'index.js',
    ])
      expect(stacks.map(text)).toBe(text)
  })

  test('long lines take no long time', async () => {
    const stacks = await reader()
    const text = 'a/b.c:'.repeat(50_000)
    const start = process.cpuUsage()
    expect(stacks.map(text)).toBe(text)
    expect(process.cpuUsage(start).user).toBeLessThan(200_000)
  })

  test('a map that is none is none', () => {
    const stacks = createStackReader({ name: 'index.js', sourceMap: '{"version":3,', directory: '/p' })
    expect(stacks.map('at /p/index.js:1:1')).toBe('at /p/index.js:1:1')
    expect(stacks.frame('Error\n    at /p/index.js:1:1')).toBeUndefined()
  })
})

describe('sources for a debugger', () => {
  test('are absolute URLs, whoever wrote the map', async () => {
    const { map } = await bundle(program(1))
    const sources = (text: string): unknown => (JSON.parse(text) as { sources: unknown }).sources
    expect(sources(absoluteSources(map, '/p q'))).toEqual(['file:///p%20q/src/index.ts'])
    const other = {
      version: 3,
      sourceRoot: '../lib',
      sources: ['a.ts', '/b/c.ts', 'file:///d.ts', 'webpack://x/e.ts'],
      mappings: '',
    }
    expect(sources(absoluteSources(JSON.stringify(other), '/p'))).toEqual([
      'file:///lib/a.ts',
      'file:///b/c.ts',
      'file:///d.ts',
      'webpack://x/e.ts',
    ])
    expect(absoluteSources('no map', '/p')).toBe('no map')
  })

  test('of a map that is none are none, and no debugger falls over it', () => {
    for (const sourceMap of ['no map', '{}', '{"version":3,"sources":["a.ts"],"mappings":7}', 'null']) {
      const scripts = readScripts({ name: 'index.js', sourceMap, directory: '/p' })
      const url = 'file:///p/index.js'
      expect(scripts.sourceMapOf(url)).toMatch(/^data:application\/json/)
      expect(scripts.originOf(url, 1, 1)).toBeUndefined()
      expect(scripts.placeOf(url, { source: 'file:///p/a.ts', line: 1, column: 1 })).toBeUndefined()
      const stacks = createStackReader({ name: 'index.js', sourceMap, directory: '/p' })
      expect(stacks.map('at /p/index.js:1:1')).toBe('at /p/index.js:1:1')
    }
  })
})
