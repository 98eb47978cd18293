import type { Readable } from 'node:stream'

import { LIMITS } from '../core/limits.ts'

/** Calls back once a line, without its line end; an over-long line is cut, and what follows is dropped up to its end. */
export function readLines(stream: Readable | null, onLine: (text: string) => void): void {
  if (stream === null) return
  let rest = ''
  stream.setEncoding('utf8')
  stream.on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) onLine(line.endsWith('\r') ? line.slice(0, -1) : line)
    if (rest.length > LIMITS.logLineBytesMax) {
      onLine(`${rest.slice(0, LIMITS.logLineBytesMax)}…`)
      rest = ''
    }
  })
  stream.on('end', () => {
    if (rest !== '') onLine(rest)
  })
  stream.on('error', () => undefined)
}
