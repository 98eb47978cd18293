import { readFileSync } from 'node:fs'
import { dirname, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

import type { Fault } from '../../core/place.ts'

/**
 * The first frame in the user's own code, with its source line.
 * JavaScript prints the innermost call first, Python last.
 */
export function userFrame(trace: readonly string[], message: string): Fault | undefined {
  const python = trace.some((line) => /^\s*File "/.test(line))
  const places = trace.flatMap((line) => placesOf(line))
  const own = (python ? places.toReversed() : places).find(({ file }) => isUserFile(file))
  if (own === undefined) return undefined
  const text = sourceLine(own.file, own.line)
  const column =
    own.column ?? (python ? firstColumn(text) + pythonCaret(trace) : caretColumn(trace)) ?? firstColumn(text)
  return {
    place: { file: own.file, line: own.line, column },
    message: message.split('\n')[0] ?? '',
    ...(text === undefined ? {} : { text }),
  }
}

interface FramePlace {
  readonly file: string
  readonly line: number
  readonly column: number | undefined
}

const FRAME = /(?:\(|\s|^)((?:file:\/\/)?\/[^():]*):(\d+)(?::(\d+))?\)?$/
const PYTHON_FRAME = /^\s*File "([^"]+)", line (\d+)/gm

function placesOf(line: string): FramePlace[] {
  const python = [...line.matchAll(PYTHON_FRAME)].map(([, file = '', row]) => ({
    file,
    line: Number(row),
    column: undefined,
  }))
  if (python.length > 0) return python
  const [, path, row, column] = FRAME.exec(line.trimEnd()) ?? []
  if (path === undefined) return []
  const file = path.startsWith('file://') ? fileURLToPath(path) : path
  return [{ file, line: Number(row), column: column === undefined ? undefined : Number(column) }]
}

const OUR_FOLDER = dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url)))))
const FOREIGN = [`${sep}node_modules${sep}`, `${sep}site-packages${sep}`, `${sep}lib${sep}python3`]
const OUR_FOLDERS = ['dist', 'src', 'runtimes'].map((folder) => `${OUR_FOLDER}${sep}${folder}${sep}`)

function isUserFile(file: string): boolean {
  return (
    !FOREIGN.some((part) => file.includes(part)) && !OUR_FOLDERS.some((folder) => file.startsWith(folder))
  )
}

function sourceLine(file: string, line: number): string | undefined {
  try {
    return readFileSync(file, 'utf8').split('\n')[line - 1]?.replace(/\r$/, '')
  } catch {
    return undefined
  }
}

/** A syntax error has no column but carets under its source line. */
function caretColumn(trace: readonly string[]): number | undefined {
  const carets = trace.find((line) => /^\s*\^+\s*$/.test(line))
  return carets === undefined ? undefined : carets.indexOf('^') + 1
}

/** Python marks the failing expression below its source line, both indented by four: how far the mark is from the line's first character. */
function pythonCaret(trace: readonly string[]): number {
  const [, , marks] = trace[trace.length - 1]?.split('\n') ?? []
  return marks !== undefined && /^ *[~^]+ *$/.test(marks) ? Math.max(0, marks.search(/[~^]/) - 4) : 0
}

function firstColumn(text: string | undefined): number {
  return (text === undefined ? 0 : text.length - text.trimStart().length) + 1
}
