export const LOG_LEVELS = { debug: 10, info: 20, warn: 30, error: 40, silent: 50 } as const
export type LogLevel = keyof typeof LOG_LEVELS

export type LogFields = Readonly<Record<string, unknown>>

/** One record; `event` is a stable noun.verb (`function.reload`), never a sentence. */
export interface LogRecord {
  readonly time: number
  readonly level: Exclude<LogLevel, 'silent'>
  readonly event: string
  readonly fields: LogFields
}

/** Where records go: a terminal, JSON lines, a test's array. */
export type LogSink = (record: LogRecord) => void

export interface Logger {
  readonly level: LogLevel
  debug(event: string, fields?: LogFields): void
  info(event: string, fields?: LogFields): void
  warn(event: string, fields?: LogFields): void
  error(event: string, fields?: LogFields): void
  /** A logger whose every record also carries these fields. */
  child(fields: LogFields): Logger
}

export function createLogger(sink: LogSink, level: LogLevel = 'info', base: LogFields = {}): Logger {
  const write = (at: LogRecord['level'], event: string, fields: LogFields = {}): void => {
    if (LOG_LEVELS[at] < LOG_LEVELS[level]) return
    sink({ time: Date.now(), level: at, event, fields: { ...base, ...fields } })
  }
  return {
    level,
    debug: (event, fields) => write('debug', event, fields),
    info: (event, fields) => write('info', event, fields),
    warn: (event, fields) => write('warn', event, fields),
    error: (event, fields) => write('error', event, fields),
    child: (fields) => createLogger(sink, level, { ...base, ...fields }),
  }
}

/** For tests and for callers that ask for silence. */
export const silentLogger: Logger = createLogger(() => undefined, 'silent')
