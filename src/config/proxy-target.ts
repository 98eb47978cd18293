import { readdir, stat } from 'node:fs/promises'
import { basename, dirname, resolve } from 'node:path'

import { FlexiError } from '../core/errors.ts'
import type { Emulator } from '../core/function.ts'
import type { AbsolutePath, Fault } from '../core/place.ts'
import type { RouteTarget } from '../core/route.ts'
import { closest } from '../core/suggest.ts'
import type { UpstreamOrigin } from '../core/upstream.ts'

/** What a target says, before names are known. */
export type ParsedTarget =
  | Exclude<RouteTarget, { kind: 'function' }>
  /** A function by its name; whether there is one is for the caller to find out. */
  | { readonly kind: 'name'; readonly name: string }
  /** Code that a provider knows by its shape: a function without a name of its own. */
  | {
      readonly kind: 'code'
      readonly provider: string
      readonly options: Readonly<Record<string, unknown>>
      /** Made of the file's name: `lib/libfib.so` → `fib`. */
      readonly name: string
    }

export interface TargetContext {
  /** Where relative paths start. */
  readonly directory: AbsolutePath
  readonly emulators: Readonly<Record<string, Emulator>>
  /** Names that mean a function even when a folder of that name exists. */
  readonly names: ReadonlySet<string>
  /** Where the target stands, for its faults. */
  readonly at: Pick<Fault, 'place' | 'text'>
}

export interface TargetReading {
  /** Undefined when the target is an error; `faults` says which. */
  readonly target: ParsedTarget | undefined
  readonly faults: readonly Fault[]
}

/**
 * Tells targets apart by shape: `http://…` (several are balanced) is an upstream; a known name is a function, `@alias` or not;
 * what an emulator recognises is its code; any other folder is served as files; what remains and looks like a name is one.
 */
export async function parseTarget(value: string, context: TargetContext): Promise<TargetReading> {
  if (value === '') return wrong(context, 'the target is empty', 'Name what answers.')
  if (SCHEME.test(value)) return parseUpstreams(value, context)
  const name = BARE_NAME.exec(value)?.[1]
  if (name !== undefined && context.names.has(name)) return found({ kind: 'name', name })
  const code = await recogniseCode(value, context)
  if (code !== undefined) return code
  const path = resolve(context.directory, value) as AbsolutePath
  const entry = await stat(path).catch(() => undefined)
  if (entry?.isDirectory() === true) return found({ kind: 'static', directory: path })
  if (name !== undefined) return found({ kind: 'name', name })
  return unusable(value, { ...context, path, exists: entry !== undefined })
}

const SCHEME = /^[a-z][a-z0-9+.-]*:\/\//i
const BARE_NAME = /^([A-Za-z][\w-]*)(?:@[$\w.-]+)?$/
const WHAT_RUNS =
  'Name a handler (./file.ts, ./file.py, file.handler), a shared library (./lib.so), a folder or an upstream.'

function found(target: ParsedTarget): TargetReading {
  return { target, faults: [] }
}

function wrong({ at }: TargetContext, message: string, hint: string): TargetReading {
  return { target: undefined, faults: [{ ...at, message, hint }] }
}

function parseUpstreams(value: string, context: TargetContext): TargetReading {
  return parseOrigins(value.split(/[ \t]+/).map((url) => ({ url, at: context.at })))
}

/** One upstream of several, as its file says it. */
export interface OriginDraft {
  readonly url: string
  /** Where the address stands. */
  readonly at: Pick<Fault, 'place' | 'text'>
  readonly settings?: Omit<UpstreamOrigin, 'url'> | undefined
}

/** Upstreams that share a route, with a fault for each that is none. */
export function parseOrigins(drafts: readonly OriginDraft[]): TargetReading {
  const faults = drafts.flatMap(({ url, at }): Fault[] => {
    const problem = upstreamProblem(url)
    return problem === undefined ? [] : [{ ...at, ...problem }]
  })
  if (faults.length > 0) return { target: undefined, faults }
  const origins = drafts.map(({ url, settings }) => {
    const { origin, pathname } = new URL(url)
    return { url: origin + pathname.replace(/\/+$/, ''), ...settings }
  })
  return found({ kind: 'upstream', origins })
}

function upstreamProblem(address: string): Pick<Fault, 'message' | 'hint'> | undefined {
  if (!/^https?:\/\//i.test(address)) {
    const hint = 'Write every address as http://host:port or https://host:port, with a space between.'
    return { message: `"${address}" is no address of an upstream`, hint }
  }
  if (!URL.canParse(address))
    return { message: `"${address}" is no valid address`, hint: 'Write http://host:port.' }
  const { username, password, search, hash } = new URL(address)
  if (username + password !== '')
    return { message: `"${address}" holds a user or a password`, hint: 'Remove what stands before the "@".' }
  if (search + hash === '') return undefined
  return { message: `"${address}" has a query`, hint: 'Write scheme, host, port and path only.' }
}

async function recogniseCode(value: string, context: TargetContext): Promise<TargetReading | undefined> {
  for (const [provider, emulator] of Object.entries(context.emulators)) {
    try {
      const options = await emulator.recognise(value, context.directory)
      if (options !== undefined)
        return found({ kind: 'code', provider, options, name: nameOf(resolve(context.directory, value)) })
    } catch (error) {
      if (!(error instanceof FlexiError)) throw error
      const hint = error.hint === undefined ? {} : { hint: error.hint }
      return { target: undefined, faults: [{ ...context.at, message: error.message, ...hint }] }
    }
  }
  return undefined
}

/** `/a/libfib.so.1` → `fib`, `/a/hello.handler` → `hello`, `/a/edge` → `edge`: letters, digits, `-` and `_`, a letter first. */
function nameOf(path: string): string {
  const file = basename(path)
  const library = /^(?:lib)?(.+?)\.(?:so(?:\.\d+)*|dylib|dll)$/.exec(file)?.[1]
  const stem = library ?? file.replace(/(?<=.)\..*$/, '')
  const name = stem.replaceAll(/[^A-Za-z0-9_-]+/g, '-').replaceAll(/^-+|-+$/g, '')
  return /^[A-Za-z]/.test(name) ? name : `f${name === '' ? '' : `-${name}`}`
}

async function unusable(
  value: string,
  context: TargetContext & { readonly path: AbsolutePath; readonly exists: boolean },
): Promise<TargetReading> {
  const { path, exists, at } = context
  if (exists) return wrong(context, `no provider runs the file "${value}"`, WHAT_RUNS)
  if (!value.endsWith('/'))
    return wrong(context, `there is no file or folder "${value}"`, await missingHint(value, path))
  // Not an error: a build may make the folder later.
  const message = `there is no folder "${value}" yet`
  const hint = 'Build it, or mend its name; until then every request gets 404.'
  return {
    target: { kind: 'static', directory: path },
    faults: [{ ...at, message, hint, severity: 'warning' }],
  }
}

async function missingHint(value: string, path: AbsolutePath): Promise<string> {
  if (/^[\w.-]+:\d+(\/.*)?$/.test(value)) return `Write http://${value} for an upstream.`
  const siblings = await readdir(dirname(path)).catch(() => undefined)
  if (siblings === undefined) return `Mend the path: there is no folder "${dirname(value)}".`
  const near = closest(basename(path), siblings)
  if (near === undefined) return WHAT_RUNS
  return `Did you mean "${value.slice(0, value.length - basename(value).length)}${near}"?`
}
