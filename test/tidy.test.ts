import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join, relative } from 'node:path'

import { describe, expect, test } from 'vitest'

/** Who may import whom; a room not listed for another may not be imported by it. The arrows are argued in ARCHITECTURE.md. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  core: [],
  config: ['core'],
  watch: ['core'],
  build: ['core'],
  forward: ['core'],
  instances: ['core'],
  terminal: ['core'],
  tls: ['core'],
  metrics: ['core'],
  gateway: ['core', 'forward'],
  upstreams: ['core', 'forward'],
  emulators: ['core', 'instances', 'build', 'forward'],
  app: [
    'core',
    'config',
    'watch',
    'build',
    'forward',
    'instances',
    'tls',
    'metrics',
    'upstreams',
    'gateway',
    'emulators',
  ],
  sandbox: ['core'],
  daemon: [
    'core',
    'config',
    'instances',
    'sandbox',
    'forward',
    'upstreams',
    'gateway',
    'emulators',
    'tls',
    'metrics',
    'app',
  ],
  commands: ['core', 'config', 'app', 'daemon', 'terminal'],
  index: ['core', 'app'],
}

const ROOT = join(import.meta.dirname, '..')
const SOURCE = join(ROOT, 'src')
const IMPORT = /(?:from|import)\s*\(?\s*'(\.{1,2}\/[^']+)'/g

interface Import {
  readonly from: string
  readonly to: string
}

function filesBelow(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .map((name) => join(directory, name))
    .filter((path) => statSync(path).isFile() && path.endsWith('.ts'))
}

function importsOf(path: string): Import[] {
  return [...readFileSync(path, 'utf8').matchAll(IMPORT)].map((match) => ({
    from: relative(SOURCE, path),
    to: relative(SOURCE, join(path, '..', match[1] ?? '')),
  }))
}

/** `emulators/lambda/index.ts` → `emulators`; `app.ts` → `app`. */
function roomOf(path: string): string {
  return (path.split('/')[0] ?? '').replace(/\.ts$/, '')
}

function providerOf(path: string): string | undefined {
  const [room, provider, rest] = path.split('/')
  return room === 'emulators' && rest !== undefined ? provider : undefined
}

const files = filesBelow(SOURCE)
const imports = files.flatMap(importsOf)

describe('the rooms of src/', () => {
  test('imports were seen, so that the other rules cannot pass on nothing', () => {
    expect(files.length).toBeGreaterThan(40)
    expect(imports.length).toBeGreaterThan(100)
  })

  test('every room is in the table', () => {
    expect(
      [...new Set(files.map((file) => roomOf(relative(SOURCE, file))))].filter(
        (room) => !(room in MAY_IMPORT),
      ),
    ).toEqual([])
  })

  test('imports follow the arrows', () => {
    const breaches = imports.filter(
      ({ from, to }) =>
        roomOf(from) !== roomOf(to) && MAY_IMPORT[roomOf(from)]?.includes(roomOf(to)) !== true,
    )
    expect(breaches.map(({ from, to }) => `${from} → ${to}`)).toEqual([])
  })

  test('every import leads to a file', () => {
    const known = new Set(files.map((file) => relative(SOURCE, file)))
    expect(
      imports
        .filter(({ to }) => !known.has(to) && !to.startsWith('../'))
        .map(({ from, to }) => `${from} → ${to}`),
    ).toEqual([])
  })

  test('providers never import each other, and are entered through index.ts', () => {
    const breaches = imports.filter(({ from, to }) => {
      const provider = providerOf(to)
      if (provider === undefined || providerOf(from) === provider) return false
      // The sample events of a provider are data that app hands to `flexi events`.
      return (
        !/^emulators\/[^/]+\/(index|(events|state|types)\/index)\.ts$/.test(to) ||
        providerOf(from) !== undefined
      )
    })
    expect(breaches.map(({ from, to }) => `${from} → ${to}`)).toEqual([])
  })
})

describe('what hangs off the registry', () => {
  const providers = readdirSync(join(SOURCE, 'emulators'), { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? [entry.name] : [],
  )
  const registry = readFileSync(join(SOURCE, 'emulators/registry.ts'), 'utf8')
  const templates = readdirSync(join(ROOT, 'templates'))

  test.each(providers)(
    '%s is in the registry, has a template, a conformance run, a page and a row in README',
    (provider) => {
      expect(registry).toMatch(new RegExp(`emulators = \\{[^}]*\\b${provider}\\b`))
      expect(templates.filter((name) => name.startsWith(`${provider}-`))).not.toEqual([])
      const conformance = filesBelow(join(ROOT, 'test/emulators', provider)).some((file) =>
        readFileSync(file, 'utf8').includes('conforms('),
      )
      expect(conformance).toBe(true)
      expect(readdirSync(join(ROOT, 'docs'))).toContain(`${provider}.md`)
      expect(readFileSync(join(ROOT, 'README.md'), 'utf8')).toContain(`docs/${provider}.md`)
    },
  )
})

describe('what people read', () => {
  test('every error code has its line in docs/errors.md', () => {
    const codes = [
      ...readFileSync(join(SOURCE, 'core/errors.ts'), 'utf8').matchAll(/^ {2}(FLEXI_[A-Z_]+):/gm),
    ].map((match) => match[1] ?? '')
    const page = readFileSync(join(ROOT, 'docs/errors.md'), 'utf8')
    expect(codes.length).toBeGreaterThan(15)
    expect(codes.filter((code) => !page.includes(`\`${code}\``))).toEqual([])
  })

  test('every limit has its line in docs/limits.md, with its default', () => {
    const limits = [
      ...readFileSync(join(SOURCE, 'core/limits.ts'), 'utf8').matchAll(/^ {2}([a-zA-Z]+): (.+),$/gm),
    ].map((match) => match[1] ?? '')
    const page = readFileSync(join(ROOT, 'docs/limits.md'), 'utf8')
    expect(limits.length).toBeGreaterThan(10)
    expect(limits.filter((limit) => !page.includes(`\`${limit}\``))).toEqual([])
  })

  test('every command has a summary and an example', () => {
    const commands = filesBelow(join(SOURCE, 'commands')).filter((file) =>
      readFileSync(file, 'utf8').includes('export default class'),
    )
    expect(commands.length).toBeGreaterThan(4)
    const lacking = commands.filter(
      (file) =>
        !/static override (readonly )?summary/.test(readFileSync(file, 'utf8')) ||
        !/static override (readonly )?examples/.test(readFileSync(file, 'utf8')),
    )
    expect(lacking.map((file) => relative(SOURCE, file))).toEqual([])
  })

  test('no file names a machine path or a registry host', () => {
    const shown = [
      ...files,
      ...[
        'README.md',
        'ARCHITECTURE.md',
        'CONTRIBUTING.md',
        'CHANGELOG.md',
        'package.json',
        'package-lock.json',
      ].map((name) => join(ROOT, name)),
    ]
    const named = shown.filter((file) =>
      /\/work\/|\/root\/|registry\.npmjs|"resolved":/.test(readFileSync(file, 'utf8')),
    )
    expect(named.map((file) => relative(ROOT, file))).toEqual([])
  })
})
