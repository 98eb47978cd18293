import type { LogRecord } from '../model.ts'

const STREAMS = ['stdout', 'stderr', 'platform'] as const
const LEVELS = ['debug', 'info', 'warn', 'error'] as const

/** A record as a line of its function's file, whose name says the rest. */
export function formatLine({ at, version, stream, level, text, requestId }: LogRecord): string {
  return `${JSON.stringify({ at, version, stream, level, text, requestId })}\n`
}

/** Undefined for a line that broke off, or that nobody of us wrote. */
export function parseLine(name: string, line: string): LogRecord | undefined {
  const value = jsonOf(line)
  if (typeof value !== 'object' || value === null) return undefined
  const { at, version, stream, level, text, requestId } = value as Readonly<Record<string, unknown>>
  if (typeof at !== 'number' || typeof version !== 'string' || typeof text !== 'string') return undefined
  return {
    at,
    function: name,
    version,
    stream: STREAMS.find((known) => known === stream) ?? 'platform',
    level: LEVELS.find((known) => known === level) ?? 'info',
    text,
    requestId: typeof requestId === 'string' ? requestId : undefined,
  }
}

function jsonOf(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}
