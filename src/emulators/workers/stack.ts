import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

import type { Fault } from '../../core/place.ts'
import { CONSOLE_NAME } from './console-module.ts'
import { FACADE_NAME } from './facade.ts'
import { readMappings, type Lookup } from './mappings.ts'

/** Turns places in bundles into places in the files they were made from. */
export interface StackReader {
  /** A stack, or any text with frames in it, as V8 prints it: `file:///p/index.js:3:10` → `/p/src/index.ts:1:7`. */
  map(text: string): string
  /** The first frame in the user's own code: not in a package, not in ours. */
  frame(stack: string): Fault | undefined
  /** The function whose code the first frame is in. */
  owner(stack: string): string | undefined
}

/** One worker's bundle. */
export interface StackOptions {
  /** The bundle's file name in the worker. */
  readonly name: string
  readonly sourceMap: string | undefined
  /** Where the map's relative sources start. */
  readonly directory: string
  /** What stands before the names of its modules in a stack (`scriptRoot()`); `directory` when undefined. */
  readonly root?: string | undefined
  /** Modules of JavaScript beside the bundle. */
  readonly modules?: readonly { readonly name: string; readonly sourceMap?: string | undefined }[] | undefined
  /** The function's name. */
  readonly owner?: string | undefined
}

const CODE_FOLDER = '/.flexi/workers/code/'

/**
 * The folder that the modules of a worker seem to be in, which is nowhere on the disk: a bundle must not have the path of a file that it
 * is made from, or debuggers take one for the other, and a stack must tell whose of several workers in a process a module is.
 */
export function scriptRoot(directory: string, worker: string): string {
  return join(directory, CODE_FOLDER, worker)
}

/** For a bundle that stands so many lines below the start of its file. */
export function shiftMap(map: string | undefined, lines: number): string | undefined {
  return map?.replace(/"mappings":\s*"/, (key) => key + ';'.repeat(lines))
}

interface Origin {
  readonly file: string
  readonly line: number
  readonly column: number
}

interface Script {
  readonly owner: string | undefined
  /** Counted from 1, as stacks do. */
  originOf(line: number, column: number): Origin | undefined
  lineOf(origin: Origin): string | undefined
}

/** The workers of one process; those before have the names that several have. */
export function createStackReader(options: StackOptions | readonly StackOptions[]): StackReader {
  const scripts = scriptsByName('name' in options ? [options] : options)
  // Whole paths and no pattern before them: a line may be long, and all of it is looked through.
  const names = [...scripts.keys()].map(escapeLiteral).toSorted((a, b) => b.length - a.length)
  const places = new RegExp(`(?<![\\w./%-])(${names.join('|')}):(\\d+):(\\d+)`, 'g')
  const find = (name: string, line: string, column: string): Origin | undefined =>
    scripts.get(name)?.originOf(Number(line), Number(column))
  return {
    map(text) {
      if (names.length === 0) return text
      const mapped = withoutOurFrames(text).replace(
        places,
        (match, name: string, line: string, column: string) => {
          const origin = find(name, line, column)
          return origin === undefined ? match : `${origin.file}:${origin.line}:${origin.column}`
        },
      )
      // What comes from no file is a bundler's helper, or what stands before a script.
      return mapped.includes(CODE_FOLDER) ? mapped.replace(UNMAPPED_FRAMES, withoutFrame) : mapped
    },
    frame(stack) {
      for (const [, name = '', line = '', column = ''] of matches(stack, names, places)) {
        const place = find(name, line, column)
        if (place === undefined || place.file.includes('/node_modules/')) continue
        const text = scripts.get(name)?.lineOf(place)
        const message = stack.split('\n', 1)[0] ?? ''
        return { place, message, ...(text === undefined ? {} : { text }) }
      }
      return undefined
    },
    owner(stack) {
      const [first] = matches(stack, names, places)
      return first === undefined ? undefined : scripts.get(first[1] ?? '')?.owner
    },
  }
}

function matches(stack: string, names: readonly string[], places: RegExp): Iterable<RegExpExecArray> {
  return names.length === 0 ? [] : withoutOurFrames(stack).matchAll(places)
}

/** Under each way that workerd has to write a module: as the URL of its file, as its path, and as its bare name. */
function scriptsByName(workers: readonly StackOptions[]): ReadonlyMap<string, Script> {
  const scripts = new Map<string, Script>()
  for (const worker of workers) {
    for (const { name, sourceMap } of [worker, ...(worker.modules ?? [])]) {
      const script = readScript(worker, sourceMap)
      const path = join(worker.root ?? worker.directory, name)
      scripts.set(pathToFileURL(path).href, script)
      scripts.set(`file://${path}`, script)
      scripts.set(path, script)
      if (!scripts.has(name)) scripts.set(name, script)
    }
  }
  return scripts
}

/** The map is parsed at the first stack, because most runs never see one. */
function readScript({ owner, directory }: StackOptions, sourceMap: string | undefined): Script {
  let parsed: ParsedMap | undefined
  const load = (): ParsedMap | undefined =>
    sourceMap === undefined ? undefined : (parsed ??= parseMap(sourceMap, directory))
  return {
    owner,
    originOf(line, column) {
      const map = load()
      const found = map?.lookup(line - 1, column - 1)
      const file = found === undefined ? undefined : map?.files[found.source]
      if (found === undefined || file === undefined) return undefined
      return { file, line: found.line + 1, column: found.column + 1 }
    },
    lineOf({ file, line }) {
      const map = load()
      const content = map?.contents[map.files.indexOf(file)] ?? undefined
      return content?.split('\n', line)[line - 1]?.replace(/\r$/, '')
    },
  }
}

interface ParsedMap {
  readonly lookup: Lookup
  /** Absolute paths. */
  readonly files: readonly string[]
  readonly contents: readonly (string | null)[]
}

const NO_MAP: ParsedMap = { lookup: () => undefined, files: [], contents: [] }

/** A map that a build of the user's own wrote may be anything. */
function parseMap(text: string, directory: string): ParsedMap {
  try {
    const { mappings, sources, sourceRoot, sourcesContent } = JSON.parse(text) as {
      readonly mappings: string
      readonly sources: readonly (string | null)[]
      readonly sourceRoot?: string
      readonly sourcesContent?: readonly (string | null)[]
    }
    const base = resolve(directory, sourceRoot ?? '')
    return {
      lookup: readMappings(mappings),
      files: sources.map((source) => sourceFile(base, source ?? '')),
      contents: sourcesContent ?? [],
    }
  } catch {
    return NO_MAP
  }
}

function sourceFile(base: string, source: string): string {
  return source.startsWith('file://') ? decodeURIComponent(new URL(source).pathname) : resolve(base, source)
}

/** What the runtime puts behind the last frame of an error with properties stays. */
const OUR_FRAMES = new RegExp(
  `\\n\\s+at [^\\n]*(?:${escapeLiteral(FACADE_NAME)}|${escapeLiteral(CONSOLE_NAME)})[^\\n]*?( \\{)?(?=\\n|$)`,
  'g',
)

const UNMAPPED_FRAMES = new RegExp(
  `\\n\\s+at [^\\n]*${escapeLiteral(CODE_FOLDER)}[^\\n]*?( \\{)?(?=\\n|$)`,
  'g',
)

function withoutOurFrames(text: string): string {
  return text.includes(FACADE_NAME) || text.includes(CONSOLE_NAME)
    ? text.replace(OUR_FRAMES, withoutFrame)
    : text
}

function withoutFrame(_frame: string, rest: string | undefined): string {
  return rest ?? ''
}

function escapeLiteral(text: string): string {
  return text.replace(/[.*+?^$()|[\]\\{}]/g, '\\$&')
}
