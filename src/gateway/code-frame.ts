import { readFileSync, statSync } from 'node:fs'
import { resolve } from 'node:path'

import type { Fault } from '../core/place.ts'

/** A line of source as a page shows it. */
export interface FrameLine {
  readonly number: number
  readonly text: string
  readonly marked: boolean
}

const LINES_AROUND = 4
const FILE_BYTES_MAX = 1024 * 1024

/**
 * The faulty line among its neighbours, read from the file as it is now; the line alone when the file is gone or has changed.
 * Reads synchronously: it runs once a failed page of a person who develops.
 */
export function codeFrame(fault: Fault, directory: string | undefined): readonly FrameLine[] {
  const { line } = fault.place
  const lines = readLines(resolve(directory ?? '.', fault.place.file))
  const found = lines?.[line - 1]
  if (lines === undefined || found === undefined || (fault.text !== undefined && found !== fault.text)) {
    return fault.text === undefined ? [] : [{ number: line, text: fault.text, marked: true }]
  }
  const first = Math.max(0, line - 1 - LINES_AROUND)
  return lines
    .slice(first, line + LINES_AROUND)
    .map((text, i) => ({ number: first + i + 1, text, marked: first + i + 1 === line }))
}

function readLines(file: string): readonly string[] | undefined {
  try {
    const { size } = statSync(file)
    return size > FILE_BYTES_MAX ? undefined : readFileSync(file, 'utf8').split(/\r?\n/)
  } catch {
    // Bundled, remote or deleted sources have no file: the fault's own line is shown.
    return undefined
  }
}
