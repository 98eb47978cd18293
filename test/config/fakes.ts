import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

import { onTestFinished } from 'vitest'

import { configError } from '../../src/core/errors.ts'
import type { Detection, Emulator } from '../../src/core/function.ts'
import type { AbsolutePath } from '../../src/core/place.ts'
import { parseTemplate, type RouteRule } from '../../src/core/route.ts'

/** A real folder with these files, gone after the test. A path that ends in `/` is an empty folder. */
export async function folder(files: Readonly<Record<string, string>>): Promise<AbsolutePath> {
  const directory = await mkdtemp(join(tmpdir(), 'flexi-config-'))
  onTestFinished(() => rm(directory, { recursive: true }))
  for (const [name, text] of Object.entries(files)) {
    const path = join(directory, name)
    await mkdir(name.endsWith('/') ? path : dirname(path), { recursive: true })
    if (!name.endsWith('/')) await writeFile(path, text)
  }
  return directory as AbsolutePath
}

const NOTHING: Detection = { functions: [], routes: [], files: [], faults: [] }

function fake(name: string, parts: Partial<Emulator>): Emulator {
  return {
    name,
    detect: () => Promise.resolve(NOTHING),
    recognise: () => Promise.resolve(undefined),
    open: () => Promise.reject(new Error('a fake opens nothing')),
    ...parts,
  }
}

/** `template.fake`: one function a line, `name [METHOD /path]`. `!` at the start of a line is a fault. */
async function detectLambda(directory: AbsolutePath, stage: string | undefined): Promise<Detection> {
  const file = join(directory, 'template.fake') as AbsolutePath
  const text = await readFile(file, 'utf8').catch(() => undefined)
  if (text === undefined) return NOTHING
  const lines = text.split('\n').map((line, index) => {
    const [name = '', method, path] = line.split(' ')
    return { name, method, path, place: { file: 'template.fake', line: index + 1, column: 1 } }
  })
  const wrong = lines.filter(({ name }) => name.startsWith('!'))
  const named = lines.filter(({ name }) => /^\w/.test(name))
  const functions = named.map(({ name, place }) => ({
    name,
    provider: 'lambda',
    directory,
    origin: place,
    environment: { FROM: 'template', ...(stage === undefined ? {} : { STAGE: stage }) },
    options: { handler: `${name}.handler` },
  }))
  const routes = named.flatMap(({ name, method, path, place }): RouteRule[] => {
    if (path === undefined) return []
    return [
      {
        matcher: { kind: 'template', method, segments: parseTemplate(path) },
        target: { kind: 'function', name },
        pattern: `${method} ${path}`,
        origin: place,
      },
    ]
  })
  const faults = wrong.map(({ name, place }) => ({ place, message: name.slice(1) }))
  return { functions, routes, files: [file], faults }
}

async function detectWorker(directory: AbsolutePath): Promise<Detection> {
  const file = join(directory, 'wrangler.fake') as AbsolutePath
  const name = await readFile(file, 'utf8').catch(() => undefined)
  if (name === undefined) return NOTHING
  const origin = { file, line: 1, column: 1 }
  if (name === 'broken') throw configError([{ place: origin, message: 'broken' }])
  const config = {
    name,
    provider: 'workers',
    directory,
    origin,
    environment: {},
    options: { config: 'wrangler.fake' },
  }
  return { functions: [config], routes: [], files: [file], faults: [] }
}

/** The three providers' shapes, without the providers. */
export const emulators: Readonly<Record<string, Emulator>> = {
  lambda: fake('lambda', {
    detect: (directory, { environment }) => detectLambda(directory, environment['STAGE']),
    async recognise(target, directory) {
      const [, path, method] = /^(.+)\.(\w+)$/.exec(target) ?? []
      const siblings = await readdir(dirname(join(directory, target))).catch((): string[] => [])
      const stem = path?.split('/').at(-1) ?? ''
      const isFile = ['ts', 'js', 'mjs', 'cjs', 'py'].includes(method ?? '')
      const wanted = isFile ? [`${stem}.${method}`] : [`${stem}.ts`, `${stem}.js`, `${stem}.py`]
      if (!siblings.some((name) => wanted.includes(name))) return undefined
      return { handler: isFile ? `${path}.handler` : target }
    },
  }),
  workers: fake('workers', {
    detect: detectWorker,
    async recognise(target, directory) {
      const files = await readdir(join(directory, target)).catch((): string[] => [])
      return files.includes('wrangler.fake') ? { config: join(target, 'wrangler.fake') } : undefined
    },
  }),
  native: fake('native', {
    recognise: (target) =>
      Promise.resolve(/\.(so|dylib|dll)$/.test(target) ? { library: target } : undefined),
  }),
}
