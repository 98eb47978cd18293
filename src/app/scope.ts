import type { DevEvent } from '../core/events.ts'
import type { FunctionScope } from '../core/function.ts'
import { stateDirectoryOf } from './files.ts'
import { createLogger, type Logger, type LogLevel, type LogRecord } from '../core/log.ts'
import type { AbsolutePath } from '../core/place.ts'

export interface ScopeOptions {
  /** What all functions of one running application have in common. */
  readonly app: object
  readonly directory: AbsolutePath
  readonly mode: 'dev' | 'serve'
  readonly threads: number
  readonly preallocationKb: number
  readonly origin: () => string | undefined
  readonly breakAtStart?: boolean | undefined
  readonly passCredentials?: boolean | undefined
  /** `/_flexi`; false or undefined when nothing is reserved. */
  readonly controlPrefix?: string | false | undefined
  readonly log: Logger
  readonly onEvent: (event: DevEvent) => void
}

export function functionScope(name: string, options: ScopeOptions, inspectPort?: number): FunctionScope {
  return {
    log: options.log.child({ function: name }),
    app: options.app,
    mode: options.mode,
    stateDirectory: stateDirectoryOf(options.directory),
    threads: options.threads,
    preallocationKb: options.preallocationKb,
    inspectPort,
    breakAtStart: options.breakAtStart,
    passCredentials: options.passCredentials,
    endpoints() {
      const origin = options.origin()
      return { origin, control: controlOf(origin, options.controlPrefix) }
    },
    output: (line) => options.onEvent({ event: 'log', function: name, ...line }),
    report: (fault) => options.onEvent({ event: 'fault', ...fault }),
  }
}

/** Each function has a port of its own, the same for as long as the application runs: debuggers find it where it was before. */
export function inspectPorts(first: number | undefined): (name: string) => number | undefined {
  const ports = new Map<string, number>()
  return (name) => {
    if (first === undefined) return undefined
    const port = ports.get(name) ?? first + ports.size
    ports.set(name, port)
    return port
  }
}

/** Where flexi's own paths begin; undefined where none are reserved, or nobody listens yet. */
export function controlOf(
  origin: string | undefined,
  prefix: string | false | undefined,
): string | undefined {
  return origin === undefined || prefix === undefined || prefix === false ? undefined : origin + prefix
}

/** Our own log records as events: warnings and errors are shown, the rest only when asked for. */
export function eventLogger(level: LogLevel, onEvent: (event: DevEvent) => void): Logger {
  const text = (record: LogRecord): string => {
    const { message, function: _function, request: _request, ...rest } = record.fields
    const fields = Object.entries(rest).map(([key, value]) => `${key}=${formatValue(value)}`)
    return typeof message === 'string' ? message : [record.event, ...fields].join(' ')
  }
  return createLogger((record) => {
    const name = typeof record.fields['function'] === 'string' ? record.fields['function'] : undefined
    if (record.level === 'warn' || record.level === 'error')
      onEvent({ event: 'warning', message: text(record), function: name })
    else
      onEvent({
        event: 'log',
        function: name ?? 'flexi',
        stream: 'platform',
        level: record.level,
        text: text(record),
      })
  }, level)
}

function formatValue(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}
