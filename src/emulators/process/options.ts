import { realpathSync, statSync } from 'node:fs'
import { dirname, resolve, sep } from 'node:path'

import { configError } from '../../core/errors.ts'
import type { FunctionConfig, FunctionScope } from '../../core/function.ts'
import type { Fault } from '../../core/place.ts'
import { closest } from '../../core/suggest.ts'

/** What a program needs beyond what every function has. */
export interface ProcessOptions {
  /** `./server` is a file of the function's folder, `node` one of PATH. */
  readonly command: string
  readonly args: readonly string[]
  /** A port it always listens on; `socket` is a Unix socket that SOCKET names; undefined is a port that PORT names. */
  readonly listen: number | 'socket' | undefined
  /** Asked until it answers with a status below 500; undefined is content with a connection. */
  readonly readyPath: string | undefined
  readonly readyMs: number
  /** From SIGTERM to SIGKILL. */
  readonly stopMs: number
  /** Files and folders whose change starts it again; undefined are all of its folder that look like code. */
  readonly watch: readonly string[] | undefined
  /** Files and folders that are deployed; undefined is the whole folder. */
  readonly files: readonly string[] | undefined
}

const KNOWN = ['command', 'args', 'listen', 'ready', 'stop_timeout', 'watch', 'files'] as const
const READY_KNOWN = ['path', 'timeout'] as const
const READY_MS = 30_000
const STOP_MS = 5_000
const SECONDS_MAX = 3_600
const PORT_MAX = 65_535

type Report = (message: string, hint: string, option?: string) => void

/** @throws FlexiError FLEXI_CONFIG with a fault for each option that cannot be. */
export function parseOptions(
  config: FunctionConfig,
  scope: Pick<FunctionScope, 'confinement'>,
): ProcessOptions {
  const faults: Fault[] = []
  const report: Report = (message, hint, option) => {
    const at = (option === undefined ? undefined : config.placeOf?.([option])) ?? { place: config.origin }
    faults.push({ ...at, message: `${config.name}: ${message}`, hint })
  }
  const { command, args, listen, ready, stop_timeout: stop, watch, files } = config.options
  checkKeys(config.options, KNOWN, report)
  const options: ProcessOptions = {
    command: parseCommand(command, report),
    args: parseTexts('args', args, report) ?? [],
    listen: parseListen(listen, report),
    ...parseReady(ready, report),
    stopMs: parseSeconds('stop_timeout', stop, report) ?? STOP_MS,
    watch: parsePaths('watch', watch, { config, report }),
    files: parsePaths('files', files, { config, report }),
  }
  if (scope.confinement !== undefined) requireInside(options, config, report)
  if (faults.length > 0) throw configError(faults)
  return options
}

function checkKeys(options: object, known: readonly string[], report: Report): void {
  for (const key of Object.keys(options)) {
    if (known.includes(key)) continue
    const near = closest(key, known)
    report(
      `a process has no option "${key}"`,
      near === undefined ? `It has: ${known.join(', ')}.` : `Did you mean "${near}"?`,
      key,
    )
  }
}

function parseCommand(value: unknown, report: Report): string {
  if (typeof value === 'string' && value.trim() !== '' && !value.includes('\0')) return value
  report(
    value === undefined ? 'no command' : '"command" is no program',
    'Write the program, such as "node" or "./server"; what follows it goes into "args".',
    'command',
  )
  return ''
}

function parseTexts(name: string, value: unknown, report: Report): readonly string[] | undefined {
  if (value === undefined) return undefined
  if (Array.isArray(value) && value.every((one) => typeof one === 'string' && !one.includes('\0')))
    return value as readonly string[]
  report(`"${name}" is no list of texts`, 'Write a list, such as ["server.js"].', name)
  return undefined
}

function parseListen(value: unknown, report: Report): ProcessOptions['listen'] {
  if (value === undefined || value === 'socket') return value
  if (typeof value === 'number' && Number.isInteger(value) && value > 0 && value <= PORT_MAX) return value
  const hint = 'Write the port it listens on, or "socket", or nothing: then PORT tells it one.'
  report(`"listen" cannot be ${JSON.stringify(value)}`, hint, 'listen')
  return undefined
}

function parseReady(value: unknown, report: Report): Pick<ProcessOptions, 'readyPath' | 'readyMs'> {
  if (value === undefined) return { readyPath: undefined, readyMs: READY_MS }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    report('"ready" is no object', 'Write { "path": "/healthz", "timeout": 30 }.', 'ready')
    return { readyPath: undefined, readyMs: READY_MS }
  }
  checkKeys(value, READY_KNOWN, report)
  const { path, timeout } = value as { readonly path?: unknown; readonly timeout?: unknown }
  const isPath = typeof path === 'string' && /^\/[\x21-\x7e]*$/.test(path)
  if (path !== undefined && !isPath)
    report('"ready.path" is no path', 'Write one such as "/healthz".', 'ready')
  return {
    readyPath: isPath ? path : undefined,
    readyMs: parseSeconds('ready.timeout', timeout, report) ?? READY_MS,
  }
}

function parseSeconds(name: string, value: unknown, report: Report): number | undefined {
  if (value === undefined) return undefined
  if (typeof value === 'number' && value > 0 && value <= SECONDS_MAX) return value * 1000
  const [option] = name.split('.')
  report(`"${name}" cannot be ${JSON.stringify(value)}`, `Write seconds, up to ${SECONDS_MAX}.`, option)
  return undefined
}

function parsePaths(
  name: string,
  value: unknown,
  { config, report }: { readonly config: FunctionConfig; readonly report: Report },
): readonly string[] | undefined {
  const paths = parseTexts(name, value, report)
  const outside = paths?.find((path) => !isInside(config.directory, path))
  if (outside !== undefined)
    report(`"${name}": ${outside} is outside of its folder`, 'Name what lies in it.', name)
  return paths
}

/** A path of its own folder, and none that leads out. */
function isInside(directory: string, path: string): boolean {
  const whole = resolve(directory, path)
  return whole === directory || whole.startsWith(directory + sep)
}

/** What is kept apart sees its folder and the system: another program cannot be started, and had better be refused now. */
/** What confines a program is told to show its file: also one that the function's user could not get at. */
function requireInside({ command }: ProcessOptions, config: FunctionConfig, report: Report): void {
  if (!command.includes(sep) || isInside(config.directory, command)) return
  if (command.startsWith(sep) && isForEverybody(command)) return
  report(`the command ${command} is outside of its folder`, 'Put the program into the folder.', 'command')
}

/** Whether everybody on the machine may pass through all folders above it, and above what it leads to. */
function isForEverybody(path: string): boolean {
  try {
    if (!isPassable(dirname(resolve(path)))) return false
    return isPassable(dirname(realpathSync(path)))
  } catch {
    // That it is not there is told when it is looked for.
    return true
  }
}

function isPassable(folder: string): boolean {
  const mode = statSync(folder, { throwIfNoEntry: false })?.mode ?? 0o001
  return (mode & 0o001) !== 0 && (folder === dirname(folder) || isPassable(dirname(folder)))
}
