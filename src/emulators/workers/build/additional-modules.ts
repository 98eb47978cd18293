import { readdir, readFile, stat } from 'node:fs/promises'
import { dirname, join, relative, sep } from 'node:path'

import { buildError } from '../../../build/bundle.ts'
import type { AbsolutePath } from '../../../core/place.ts'
import { matchers, type Matcher, type ModuleRules, type ModuleType } from '../module-rules.ts'
import type { ExtraModule } from '../program.ts'
import { identityMap } from './identity-map.ts'

export interface ModuleFolder {
  /** Where the names of modules start. */
  readonly root: AbsolutePath
  readonly entry: AbsolutePath
  readonly rules: ModuleRules
  /** Never a module: the wrangler file. */
  readonly configFile: string | undefined
}

/** Folders that tools fill; `node_modules` is none of them, because wrangler attaches what its rules find there. */
const SKIPPED = new Set(['.wrangler', '.flexi', '.git'])

/** Every file below the root that a rule names, whether anybody imports it or not. @throws FlexiError FLEXI_BUILD. */
export async function findModules(folder: ModuleFolder): Promise<readonly ExtraModule[]> {
  const { root, entry, rules, configFile } = folder
  const inForce = matchers(rules.rules, 'paths')
  const outOfForce = matchers(rules.removed, 'paths')
  const found: { source: AbsolutePath; name: string; type: ModuleType }[] = []
  for await (const source of filesBelow(root)) {
    if (source === entry || source === configFile) continue
    const name = relative(root, source).split(sep).join('/')
    const hit = inForce.find(({ pattern }) => pattern.test(name))
    if (hit?.type !== undefined) found.push({ source, name, type: hit.type })
    if (hit === undefined) refuse(source, name, outOfForce)
  }
  return await Promise.all(found.map(readModule))
}

async function readModule({
  source,
  name,
  type,
}: {
  source: AbsolutePath
  name: string
  type: ModuleType
}): Promise<ExtraModule> {
  const contents = await readFile(source)
  if (type !== 'ESModule' && type !== 'CommonJS') return { type, name, source, contents }
  const own = await linkedMap(source, contents.toString())
  return {
    type,
    name,
    source,
    contents,
    // Made when a stack asks for it.
    get sourceMap() {
      return own ?? identityMap(source, contents.toString())
    },
  }
}

/** Its own source map, or one that says that it is what it is. */
export async function mapOf(source: AbsolutePath, text: string): Promise<string> {
  return (await linkedMap(source, text)) ?? identityMap(source, text)
}

/** The source map that the last line of a JavaScript file names, with its sources as absolute paths. */
async function linkedMap(source: AbsolutePath, text: string): Promise<string | undefined> {
  const url = /\n\/\/# sourceMappingURL=(\S+)\s*$/.exec(text)?.[1]
  if (url === undefined) return undefined
  const inline = /^data:application\/json[^,]*;base64,(.*)$/.exec(url)?.[1]
  const raw =
    inline === undefined
      ? await readFile(join(dirname(source), url), 'utf8').catch(() => undefined)
      : Buffer.from(inline, 'base64').toString()
  return raw === undefined ? undefined : absoluteSources(raw, source)
}

function absoluteSources(raw: string, file: AbsolutePath): string | undefined {
  try {
    const map = JSON.parse(raw) as { sources: string[]; sourceRoot?: string; mappings?: unknown }
    // One in sections, or half of one: nobody after this looks again.
    if (typeof map.mappings !== 'string') return undefined
    const base = join(dirname(file), map.sourceRoot ?? '')
    return JSON.stringify({
      ...map,
      sourceRoot: undefined,
      sources: map.sources.map((path) => (/^[\w-]+:/.test(path) ? path : join(base, path))),
    })
  } catch {
    return undefined
  }
}

async function* filesBelow(folder: string): AsyncGenerator<AbsolutePath> {
  const entries = await readdir(folder, { withFileTypes: true })
  for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(folder, entry.name) as AbsolutePath
    if (entry.isDirectory()) {
      if (!SKIPPED.has(entry.name)) yield* filesBelow(path)
    } else if (entry.isFile() || (await leadsToFile(path))) yield path
  }
}

/** A link may lead nowhere: an editor's lock is one. */
async function leadsToFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() === true
}

function refuse(source: AbsolutePath, name: string, removed: readonly Matcher[]): void {
  const hit = removed.find(({ pattern }) => pattern.test(name))
  if (hit === undefined) return
  throw buildError([{ place: { file: source, line: 1, column: 1 }, ...shadowed(name, hit) }])
}

/** What is said about a file that only a rule out of force names. */
export function shadowed(name: string, { rule }: Matcher): { message: string; hint: string } {
  return {
    message: `${name} matches the rule ${JSON.stringify(rule)}, which an earlier rule of type ${rule.type} puts out of force`,
    hint: `Write "fallthrough": true into that earlier rule.`,
  }
}
