import { format } from 'node:util'

import { CONSOLE_LEVELS, type ConsoleLevel, type LogFormat } from '../protocol.ts'
import { describeError } from './errors.ts'

export interface ConsoleOptions {
  /** `AWS_LAMBDA_LOG_FORMAT` and `AWS_LAMBDA_LOG_LEVEL`. */
  readonly format: string | undefined
  readonly level: string | undefined
  requestId(): string | undefined
  write(level: ConsoleLevel, text: string, format: LogFormat): void
}

/** `notice`: what is said is also told as a failure. */
export type Log = (level: ConsoleLevel, parts: readonly unknown[], notice?: 'notice') => void

const METHODS = {
  trace: 'TRACE',
  debug: 'DEBUG',
  log: 'INFO',
  info: 'INFO',
  warn: 'WARN',
  error: 'ERROR',
  fatal: 'FATAL',
} as const

/** Replaces the console's methods: a line carries its level and request, and keeps its line breaks. */
export function patchConsole(options: ConsoleOptions): Log {
  const json = options.format?.toUpperCase() === 'JSON'
  const lowest = json ? Math.max(0, CONSOLE_LEVELS.indexOf(asLevel(options.level))) : 0
  const log: Log = (level, parts, notice) => {
    if (CONSOLE_LEVELS.indexOf(level) < lowest) return
    const text = json ? jsonLine(level, parts, options.requestId()) : format(...parts)
    options.write(level, text, json ? 'whole' : (notice ?? 'text'))
  }
  const target: Record<string, unknown> = Object(console)
  for (const [method, level] of Object.entries(METHODS)) {
    target[method] = (...parts: unknown[]): void => log(level, parts)
  }
  return log
}

function asLevel(text: string | undefined): ConsoleLevel {
  return CONSOLE_LEVELS.find((level) => level === text?.toUpperCase()) ?? 'INFO'
}

function jsonLine(level: ConsoleLevel, parts: readonly unknown[], requestId: string | undefined): string {
  const head = {
    timestamp: new Date().toISOString(),
    level,
    ...(requestId === undefined ? {} : { requestId }),
  }
  const [only] = parts
  if (parts.length === 1 && typeof only === 'object' && only !== null && !(only instanceof Error)) {
    const text = stringify({ ...head, message: only })
    if (text !== undefined) return text
  }
  const error = parts.find((part) => part instanceof Error)
  const message = parts.length === 1 && error !== undefined ? error.message : format(...parts)
  if (error === undefined) return JSON.stringify({ ...head, message })
  const { errorType, errorMessage, stack } = JSON.parse(describeError(error)) as Record<string, unknown>
  return JSON.stringify({ ...head, message, errorType, errorMessage, stackTrace: stack })
}

/** Undefined for what JSON cannot say. */
function stringify(value: unknown): string | undefined {
  try {
    return JSON.stringify(value)
  } catch {
    return undefined
  }
}
