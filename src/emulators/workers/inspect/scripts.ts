import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

import { CONSOLE_NAME } from '../console-module.ts'
import { FACADE_NAME } from '../facade.ts'
import { findGenerated, readMappings, type Original } from '../mappings.ts'
import type { StackOptions } from '../stack.ts'

/** The modules of one revision of a worker, as its debugger is to see them. */
export interface Scripts {
  /** The source map of the module with this URL as a `data:` URL, its sources as absolute `file:` URLs. */
  sourceMapOf(url: string): string | undefined
  /** Where a place of the module (from 0) comes from. */
  originOf(url: string, line: number, column: number): OriginPlace | undefined
  /** Where this place is in the module now; undefined where it is gone. */
  placeOf(url: string, origin: OriginPlace): { readonly line: number; readonly column: number } | undefined
  /** URLs that a pattern or an exact URL names. */
  matching(matches: (url: string) => boolean): string | undefined
}

export interface OriginPlace extends Omit<Original, 'source'> {
  readonly source: string
}

/** Patterns for `Debugger.setBlackboxPatterns`: what is around the program is stepped over. */
export const OUR_SCRIPTS: readonly string[] = [FACADE_NAME, CONSOLE_NAME].map(
  (name) => `/${name.replaceAll('.', '\\.')}$`,
)

export function isOurScript(url: string): boolean {
  return url.endsWith(FACADE_NAME) || url.endsWith(CONSOLE_NAME)
}

/** More lines than any module of ours has. */
const OUR_LINES_MAX = 1_000

/** Each line is itself, in a file that debuggers leave out of call stacks. Source: ECMA-426, `ignoreList`. */
const OUR_MAP = dataUrl(
  JSON.stringify({
    version: 3,
    sources: ['flexi:///around-the-program.mjs'],
    sourcesContent: ['// What flexi puts around a program to tell what it throws and prints.\n'],
    names: [],
    mappings: `AAAA${';AACA'.repeat(OUR_LINES_MAX)}`,
    ignoreList: [0],
    x_google_ignoreList: [0],
  }),
)

function dataUrl(map: string): string {
  return `data:application/json;charset=utf-8;base64,${Buffer.from(map).toString('base64')}`
}

interface Parsed {
  readonly mappings: string
  readonly sources: readonly string[]
}

const NO_MAP: Parsed = { mappings: '', sources: [] }

/** A map that a build of the user's own wrote may be anything. */
function parseMap(text: string): Parsed {
  try {
    const { mappings, sources } = JSON.parse(text) as Partial<Parsed>
    return typeof mappings === 'string' && Array.isArray(sources) ? { mappings, sources } : NO_MAP
  } catch {
    return NO_MAP
  }
}

/** Maps are read when a debugger comes, and once. */
export function readScripts(options: StackOptions): Scripts {
  const { directory, root = directory } = options
  const maps = new Map<string, string>()
  for (const { name, sourceMap } of [options, ...(options.modules ?? [])])
    if (sourceMap !== undefined)
      maps.set(pathToFileURL(join(root, name)).href, absoluteSources(sourceMap, directory))
  const urls = new Map<string, string>()
  const parsed = new Map<string, Parsed>()
  const parse = (url: string): Parsed | undefined => {
    const map = maps.get(url)
    if (map === undefined) return undefined
    const known = parsed.get(url) ?? parseMap(map)
    parsed.set(url, known)
    return known
  }
  return {
    sourceMapOf(url) {
      if (isOurScript(url)) return OUR_MAP
      const map = maps.get(url)
      if (map === undefined) return undefined
      const data = urls.get(url) ?? dataUrl(map)
      urls.set(url, data)
      return data
    },
    originOf(url, line, column) {
      const map = parse(url)
      const found = map === undefined ? undefined : readMappings(map.mappings)(line, column)
      const source = found === undefined ? undefined : map?.sources[found.source]
      return found === undefined || source === undefined ? undefined : { ...found, source }
    },
    placeOf(url, origin) {
      const map = parse(url)
      const source = map?.sources.indexOf(origin.source) ?? -1
      return map === undefined || source < 0 ? undefined : findGenerated(map.mappings, { ...origin, source })
    },
    matching: (matches) => [...maps.keys()].find(matches),
  }
}

/** esbuild writes the list of sources first, so that a big map need not be taken apart to make them absolute. */
export function absoluteSources(map: string, directory: string): string {
  const base = pathToFileURL(join(directory, '/')).href
  const absolute = (sources: readonly (string | null)[], from = base): readonly string[] =>
    sources.map((source) =>
      URL.canParse(source ?? '', from) ? new URL(source ?? '', from).href : (source ?? ''),
    )
  const head = /^\{\s*"version":\s*3,\s*"sources":\s*/.exec(map)?.[0]
  const end = head === undefined ? -1 : endOfArray(map, head.length)
  try {
    if (head !== undefined && end > 0 && !map.includes('"sourceRoot"')) {
      const sources = JSON.parse(map.slice(head.length, end)) as string[]
      return head + JSON.stringify(absolute(sources)) + map.slice(end)
    }
    const parsed = JSON.parse(map) as { readonly sources: string[]; readonly sourceRoot?: string }
    const root = new URL(parsed.sourceRoot === undefined ? '' : `${parsed.sourceRoot}/`, base).href
    return JSON.stringify({ ...parsed, sourceRoot: undefined, sources: absolute(parsed.sources, root) })
  } catch {
    return map
  }
}

/** Behind the `]` that closes an array of strings. */
function endOfArray(text: string, start: number): number {
  const pattern = /"(?:[^"\\]|\\.)*"|\]/g
  pattern.lastIndex = start
  for (let found = pattern.exec(text); found !== null; found = pattern.exec(text))
    if (found[0] === ']') return pattern.lastIndex
  return -1
}
