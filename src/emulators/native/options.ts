import { basename, resolve, sep } from 'node:path'

import { configError } from '../../core/errors.ts'
import type { FunctionConfig, FunctionScope } from '../../core/function.ts'
import type { AbsolutePath, Fault } from '../../core/place.ts'
import { closest } from '../../core/suggest.ts'
import type { ZigVtable } from './wire.ts'

/** What a native library needs beyond what every function has. */
export interface NativeOptions {
  readonly library: AbsolutePath
  /** Shell command, run in the function's folder when a source has changed. */
  readonly build: string | undefined
  /** Paths and globs of the sources, relative to the function's folder. Undefined is every source file of it. */
  readonly watch: readonly string[] | undefined
  /** `process`: in a child; `none`: in the server itself, on its one thread. */
  readonly isolation: 'process' | 'none'
  /** Calls at once. */
  readonly threads: number
  /** Undefined asks the library, and takes it for 0.13 when it does not say. */
  readonly zig: ZigVtable | undefined
  /** Size of the arena that libraries with `zigInit` start a thread with, as RESPONSE_PREALLOCATION_KB. */
  readonly preallocationKb: number
}

const KNOWN = ['library', 'build', 'watch', 'isolation', 'threads', 'zig', 'preallocationKb'] as const
const THREADS_MAX = 256
const PREALLOCATION_KB_DEFAULT = 8
const PREALLOCATION_KB_MAX = 1024 * 1024

type Report = (message: string, hint: string) => void

/** @throws FlexiError FLEXI_CONFIG with a fault for each option that cannot be. */
export function parseOptions(
  config: FunctionConfig,
  scope: Pick<FunctionScope, 'threads' | 'preallocationKb' | 'confinement'>,
): NativeOptions {
  const faults: Fault[] = []
  const report: Report = (message, hint) => {
    faults.push({ place: config.origin, message: `${config.name}: ${message}`, hint })
  }
  const { library, build, watch, isolation, threads, zig, preallocationKb } = config.options
  checkKeys(config.options, report)
  const options: NativeOptions = {
    library: resolve(config.directory, parseLibrary(library, report)) as AbsolutePath,
    build: parseBuild(build, report),
    watch: parseWatch(watch, report),
    isolation: parseIsolation(isolation, report),
    threads:
      parseWhole({ name: 'threads', value: threads, min: 1, max: THREADS_MAX }, report) ?? scope.threads,
    zig: parseZig(zig, report),
    preallocationKb:
      parseWhole(
        { name: 'preallocationKb', value: preallocationKb, min: 0, max: PREALLOCATION_KB_MAX },
        report,
      ) ??
      scope.preallocationKb ??
      PREALLOCATION_KB_DEFAULT,
  }
  if (scope.confinement !== undefined) requireApart(options, config, report)
  if (faults.length > 0) throw configError(faults)
  return options
}

/** What is kept apart runs as it is, and in a process of its own: we open its files with our rights. */
function requireApart(
  { library, build, isolation }: NativeOptions,
  config: FunctionConfig,
  report: Report,
): void {
  const hint = 'Deploy it with "flexi deploy", which builds it first.'
  if (build !== undefined) report('"build" runs a command, and a deployed library is run as it is', hint)
  if (isolation === 'none') report('"isolation": "none" would run it in the daemon', 'Take it out.')
  if (!library.startsWith(config.directory + sep)) report(`${library} is outside of its folder`, hint)
}

function checkKeys(options: Readonly<Record<string, unknown>>, report: Report): void {
  for (const key of Object.keys(options)) {
    if (KNOWN.some((known) => known === key)) continue
    const near = closest(key, KNOWN)
    const hint = near === undefined ? `It has: ${KNOWN.join(', ')}.` : `Did you mean "${near}"?`
    report(`a native library has no option "${key}"`, hint)
  }
}

function parseLibrary(value: unknown, report: Report): string {
  if (typeof value === 'string' && value !== '') return value
  const message = value === undefined ? 'no library' : '"library" is no path'
  report(message, 'Add "library": "build/libhello.so".')
  return ''
}

function parseBuild(value: unknown, report: Report): string | undefined {
  if (value === undefined || (typeof value === 'string' && value.trim() !== '')) return value
  report('"build" is no command', 'Write a shell command, such as "make".')
  return undefined
}

function parseWatch(value: unknown, report: Report): readonly string[] | undefined {
  if (value === undefined) return undefined
  if (Array.isArray(value) && value.every((item) => typeof item === 'string' && item !== '')) return value
  report('"watch" is no list of paths', 'Write a list, such as ["src/**/*.c"].')
  return undefined
}

function parseWhole(
  { name, value, min, max }: { name: string; value: unknown; min: number; max: number },
  report: Report,
): number | undefined {
  if (value === undefined) return undefined
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value
  report(`"${name}" cannot be ${JSON.stringify(value)}`, `Write a whole number from ${min} to ${max}.`)
  return undefined
}

function parseIsolation(value: unknown, report: Report): 'process' | 'none' {
  if (value === 'process' || value === 'none') return value
  if (value !== undefined)
    report(
      `"isolation" cannot be ${JSON.stringify(value)}`,
      'Write "process" to run it in a child, "none" to run it in flexi itself.',
    )
  return 'process'
}

/** The layout changed once: any version says which of the two it is. */
function parseZig(value: unknown, report: Report): ZigVtable | undefined {
  if (value === undefined) return undefined
  const minor = typeof value === 'string' ? /^0\.(\d{1,3})(?:[.-].*)?$/.exec(value)?.[1] : undefined
  if (minor !== undefined) return Number(minor) < 14 ? '0.13' : '0.14'
  report(
    `"zig" cannot be ${JSON.stringify(value)}`,
    'Write the version that compiled it: "0.13" for Zig up to 0.13, "0.14" for later ones.',
  )
  return undefined
}

/** `lib/libfib.so`, `libfib.so.1`, `fib.dylib`. */
export function isLibraryName(target: string): boolean {
  return /[^/\\]\.(so(\.\d+)*|dylib|dll)$/i.test(target) && !target.includes('://')
}

export function libraryLabel({ library }: NativeOptions): string {
  return basename(library)
}
