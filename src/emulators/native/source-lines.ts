import { readFileSync, statSync } from 'node:fs'

import type { Place } from '../../core/place.ts'

/** Lines of the files that faults are in; each file is read once. */
export interface SourceLines {
  /** The whole line of a place; undefined when there is none to show. */
  read(place: Place): string | undefined
}

const FILE_BYTES_MAX = 8 * 1024 * 1024
/** Generated code has lines that fill a screen. */
const LINE_CHARACTERS_MAX = 500

export function openSourceLines(): SourceLines {
  const files = new Map<string, readonly string[]>()
  return {
    read({ file, line }) {
      const lines = files.get(file) ?? readLines(file)
      files.set(file, lines)
      const text = lines[line - 1]?.replace(/\r$/, '')
      return text === undefined || text.length > LINE_CHARACTERS_MAX ? undefined : text
    },
  }
}

function readLines(file: string): readonly string[] {
  try {
    const stat = statSync(file)
    // A compiler may name anything: reading /dev/stdin would never come back.
    return stat.isFile() && stat.size <= FILE_BYTES_MAX ? readFileSync(file, 'utf8').split('\n') : []
  } catch {
    return []
  }
}

/** What a compiler's columns count: bytes of UTF-8, places on a screen where a tab is eight wide, or characters. */
export type ColumnUnit = 'byte' | 'display' | 'character'

const TAB_WIDTH = 8

/** The column as ours count: characters from 1. */
export function characterColumn(column: number, text: string | undefined, unit: ColumnUnit): number {
  if (text === undefined || unit === 'character') return column
  if (unit === 'byte')
    return (
      Buffer.from(text)
        .subarray(0, column - 1)
        .toString().length + 1
    )
  let width = 0
  let characters = 0
  while (width < column - 1 && characters < text.length) {
    width += text[characters] === '\t' ? TAB_WIDTH - (width % TAB_WIDTH) : 1
    characters += 1
  }
  return characters + 1
}
