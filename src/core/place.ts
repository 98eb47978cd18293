/** A folder or file path that starts at the root. Made by `absolutePath` in one place, so that relative ones cannot slip in. */
export type AbsolutePath = string & { readonly __brand: 'AbsolutePath' }

/** Content hash of what a function runs: equal revisions behave alike. Not a version, which is published and numbered. */
export type Revision = string & { readonly __brand: 'Revision' }

/** A spot in a file; lines and columns count from 1. */
export interface Place {
  readonly file: string
  readonly line: number
  readonly column: number
}

/**
 * One thing wrong in a file a person wrote.
 * `text` is the whole source line, shown under the message with a caret at `place.column`.
 */
export interface Fault {
  readonly place: Place
  readonly message: string
  readonly text?: string
  /** One action in the imperative: `Write a value after "=".` */
  readonly hint?: string
  /** A warning is shown and does not stop anything. Default `error`. */
  readonly severity?: 'error' | 'warning'
}

/**
 * The printed form of a fault:
 *
 *     proxy.ini:3:1  no value for this key
 *       3 | [section]
 *         | ^
 *       Write "key = value".
 */
export function formatFault(fault: Fault): string {
  const { file, line, column } = fault.place
  const lines = [`${file}:${line}:${column}  ${fault.message}`]
  if (fault.text !== undefined) {
    const gutter = String(line)
    const shown = partAround(fault.text, column)
    const caret = shown.text.slice(0, shown.column - 1).replace(/[^\t]/g, ' ')
    lines.push(`  ${gutter} | ${shown.text}`, `  ${' '.repeat(gutter.length)} | ${caret}^`)
  }
  if (fault.hint !== undefined) lines.push(`  ${fault.hint}`)
  return lines.join('\n')
}

const LINE_MAX = 240

/** What is shown of a line, and the column in that: a bundle has lines of megabytes, of which people want to see what is around the place. */
export function partAround(text: string, column: number): { readonly text: string; readonly column: number } {
  if (text.length <= LINE_MAX) return { text, column }
  const from = Math.max(0, Math.min(column - 1 - LINE_MAX / 2, text.length - LINE_MAX))
  const before = from === 0 ? '' : '…'
  const after = from + LINE_MAX === text.length ? '' : '…'
  return {
    text: `${before}${text.slice(from, from + LINE_MAX)}${after}`,
    column: column - from + before.length,
  }
}

/** The place of a character offset in a text, for parsers that report offsets. */
export function placeAt(file: string, text: string, offset: number): { place: Place; text: string } {
  const before = text.slice(0, offset)
  const lineStart = before.lastIndexOf('\n') + 1
  const lineEnd = text.indexOf('\n', offset)
  return {
    place: { file, line: before.split('\n').length, column: offset - lineStart + 1 },
    text: text.slice(lineStart, lineEnd === -1 ? undefined : lineEnd).replace(/\r$/, ''),
  }
}
