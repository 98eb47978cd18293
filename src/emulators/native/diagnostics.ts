import { basename, resolve, sep } from 'node:path'

import type { Fault, Place } from '../../core/place.ts'
import { READERS, type Draft, type Reading } from './diagnostic-lines.ts'
import { characterColumn, openSourceLines, type SourceLines } from './source-lines.ts'

export interface DiagnosticsOptions {
  /** Where the command ran: relative paths start here. */
  readonly directory: string
  /** The place of what no file is to blame for, such as a library that the linker does not find. */
  readonly origin: Place
}

/** More than anybody reads; a missing brace in C++ can cause thousands. */
const FAULTS_MAX = 50

/**
 * What gcc, clang, zig, rustc, cargo, go, make and linkers printed, as faults in the order printed, errors before warnings when there
 * are too many; lines that are none of these are left out.
 */
export function parseDiagnostics(output: readonly string[], options: DiagnosticsOptions): Fault[] {
  const reading: Reading = { drafts: [], via: [] }
  for (const line of output) readLine(line, reading)
  const seen = new Set<string>()
  const lines = openSourceLines()
  const unique = reading.drafts.filter((draft) => {
    const key = JSON.stringify([draft.place, draft.message])
    return !seen.has(key) && seen.add(key)
  })
  return select(unique).map((draft) => finish(draft, options, lines))
}

function select(drafts: readonly Draft[]): readonly Draft[] {
  if (drafts.length <= FAULTS_MAX) return drafts
  const errors = drafts.filter(({ severity }) => severity === 'error')
  const warnings = drafts.filter(({ severity }) => severity === 'warning')
  return [...errors, ...warnings].slice(0, FAULTS_MAX)
}

/** Colours and links of terminals. */
// eslint-disable-next-line no-control-regex
const ESCAPES = /\x1b\[[\d;]*[A-Za-z]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)/g

/** Nothing that we read is longer, and no pattern is fast on a megabyte. */
const LINE_CHARACTERS_MAX = 2_000

function readLine(raw: string, reading: Reading): void {
  const line = raw.slice(0, LINE_CHARACTERS_MAX).replaceAll(ESCAPES, '')
  for (const read of READERS) if (read(line, reading)) return
}

function finish(draft: Draft, { directory, origin }: DiagnosticsOptions, lines: SourceLines): Fault {
  const { message, severity, hint } = draft
  const end = hint === undefined ? {} : { hint }
  if (draft.place === undefined) return { place: origin, message, severity, ...end }
  const place = absolute(draft.place, directory)
  const own = draft.via.map((via) => absolute(via, directory)).find(({ file }) => isInside(file, directory))
  // An error in somebody else's template is mended where it is used.
  const moved = own !== undefined && !isInside(place.file, directory)
  const at = moved ? own : place
  const text = lines.read(at)
  return {
    place: moved ? at : { ...at, column: characterColumn(at.column, text, draft.unit ?? 'byte') },
    message: moved ? `${message} (in ${basename(place.file)}:${place.line})` : message,
    severity,
    ...(text === undefined ? {} : { text }),
    ...end,
  }
}

function absolute(place: Place, directory: string): Place {
  return { ...place, file: resolve(directory, place.file) }
}

function isInside(file: string, directory: string): boolean {
  return file.startsWith(directory.endsWith(sep) ? directory : directory + sep)
}
