import { createHash } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'

import type { Detection, DetectOptions, Emulator, FunctionConfig } from '../../core/function.ts'
import { placeAt, type AbsolutePath } from '../../core/place.ts'

/** In wrangler's own order of preference. */
const CONFIG_NAMES = ['wrangler.json', 'wrangler.jsonc', 'wrangler.toml'] as const

const NOTHING: Detection = { functions: [], routes: [], files: [], faults: [] }

/**
 * One function per folder with a wrangler file, named as the file says. Only the name is read here; the file is validated when the
 * function is opened, so that a folder without one costs three failed `stat` calls.
 */
export async function detectWorker(
  directory: AbsolutePath,
  { environment, file: named }: DetectOptions,
): Promise<Detection> {
  const file = named ?? (await findConfig(directory))
  if (file === undefined) return NOTHING
  const text = await readFile(file, 'utf8')
  const name = await declaredName(file, text)
  const env = environment['CLOUDFLARE_ENV']
  const folder = dirname(file) as AbsolutePath
  const declared = name?.value ?? basename(folder)
  return {
    functions: [
      {
        name: hostLabel(env === undefined ? declared : `${declared}-${env}`),
        provider: 'workers',
        directory: folder,
        origin: placeAt(file, text, name?.offset ?? 0).place,
        environment: {},
        // The text stands for everything else in the file: with it the function's configuration changes when the file does.
        options: { config: file, digest: digestOf(text), ...(env === undefined ? {} : { env }) },
      },
    ],
    routes: [],
    files: [file],
    faults: [],
  }
}

/** `wrangler.jsonc`, and others that people name after it: `wrangler.staging.toml`. */
export function isWranglerFile(path: string): boolean {
  return /^wrangler\b.*\.(?:jsonc?|toml)$/.test(basename(path))
}

/** A folder with a wrangler file, or the file itself: `./edge/` → { config: '/project/edge/wrangler.jsonc' }. */
export const recogniseWorker: Emulator['recognise'] = async (target, directory) => {
  const path = resolve(directory, target) as AbsolutePath
  if (CONFIG_NAMES.some((name) => name === basename(path)) && (await isFile(path))) return { config: path }
  const config = await findConfig(path)
  return config === undefined ? undefined : { config }
}

/** The wrangler file of a function: the one its `config` names, there or not, else that of its folder. */
export async function configFileOf({
  directory,
  options,
}: Pick<FunctionConfig, 'directory' | 'options'>): Promise<AbsolutePath | undefined> {
  const path = options['config']
  return typeof path === 'string' ? (resolve(directory, path) as AbsolutePath) : await findConfig(directory)
}

/** The wrangler file of a folder that wrangler itself would take. */
async function findConfig(directory: string): Promise<AbsolutePath | undefined> {
  const paths = CONFIG_NAMES.map((name) => join(directory, name) as AbsolutePath)
  const there = await Promise.all(paths.map(isFile))
  return paths.find((_, index) => there[index])
}

async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() ?? false
}

async function declaredName(
  file: string,
  text: string,
): Promise<{ value: string; offset: number } | undefined> {
  if (file.endsWith('.toml')) return tomlName(text)
  const { findNodeAtLocation, parseTree } = await import('jsonc-parser')
  const tree = parseTree(text)
  const node = tree === undefined ? undefined : findNodeAtLocation(tree, ['name'])
  return typeof node?.value === 'string' ? { value: node.value, offset: node.offset } : undefined
}

/** `name = "x"` above the first table; what is in a table belongs to that. */
function tomlName(text: string): { value: string; offset: number } | undefined {
  const table = /^\s*\[/m.exec(text)
  const top = text.slice(0, table?.index ?? text.length)
  const match = /^(\s*name\s*=\s*)(["'])([^"'\n]*)\2/m.exec(top)
  if (match?.[3] === undefined) return undefined
  return { value: match[3], offset: match.index + (match[1]?.length ?? 0) }
}

function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16)
}

function hostLabel(name: string): string {
  const label = name.replace(/[^A-Za-z0-9_-]+/g, '-').replace(/^-+|-+$/g, '')
  return label === '' ? 'worker' : label
}
