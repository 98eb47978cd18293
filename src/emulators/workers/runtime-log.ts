import type { Readable } from 'node:stream'

import { LIMITS } from '../../core/limits.ts'

/** One line of workerd or of the program in it. */
export type RuntimeLine =
  /** `console.*` of the program. */
  | { readonly kind: 'program'; readonly level: 'debug' | 'info' | 'warn' | 'error'; readonly text: string }
  /** workerd about itself; `fatal` is its last word. */
  | { readonly kind: 'runtime'; readonly level: string; readonly text: string }
  /** What the wrapper script says before it becomes workerd. */
  | { readonly kind: 'pid'; readonly pid: number }
  /** Native stack dumps and the like. */
  | { readonly kind: 'noise'; readonly text: string }

/** `console.debug` is seen as the other lines are: `wrangler dev` prints it too. */
const LEVELS = { debug: 'info', log: 'info', info: 'info', warn: 'warn', error: 'error' } as const

/** `{"timestamp":…,"level":"log","message":"hi"}`; lines of workerd itself also name their `source`. */
function parseRuntimeLine(line: string): RuntimeLine {
  const record = parseObject(line)
  if (typeof record?.['flexiPid'] === 'number') return { kind: 'pid', pid: record['flexiPid'] }
  const { level, message, source } = record ?? {}
  if (typeof level !== 'string' || typeof message !== 'string') return { kind: 'noise', text: line }
  if (source !== undefined) return { kind: 'runtime', level, text: message }
  return { kind: 'program', level: isLevel(level) ? LEVELS[level] : 'info', text: message }
}

function isLevel(level: string): level is keyof typeof LEVELS {
  return level in LEVELS
}

function parseObject(line: string): Record<string, unknown> | undefined {
  if (!line.startsWith('{')) return undefined
  try {
    return JSON.parse(line) as Record<string, unknown>
  } catch {
    return undefined
  }
}

/** Resolves when the stream has ended by itself: when its process is gone, but not when it was destroyed from here. */
export function readRuntimeLines(stream: Readable, onLine: (line: RuntimeLine) => void): Promise<void> {
  let rest = ''
  stream.setEncoding('utf8')
  stream.on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) if (line !== '') onLine(parseRuntimeLine(line))
    if (rest.length > LIMITS.logLineBytesMax) {
      onLine(parseRuntimeLine(`${rest.slice(0, LIMITS.logLineBytesMax)}…`))
      rest = ''
    }
  })
  return new Promise((resolve) => {
    stream.once('end', () => {
      if (rest !== '') onLine(parseRuntimeLine(rest))
      resolve()
    })
  })
}
