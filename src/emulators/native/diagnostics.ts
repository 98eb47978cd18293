import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'

import type { Fault } from '../../core/place.ts'

/** `file:line:column: error: message` of gcc, clang and zig; the column is missing in some, and Go has no word. */
const LINE = /^(?<file>[^\s:][^:]*):(?<line>\d+):(?:(?<column>\d+):)?\s*(?<rest>\S.*)$/
const WORD = /^(?<word>fatal error|error|warning|note|help)\s*:\s*(?<message>.+)$/
/** `error[E0425]: message` of rustc; its place follows in a line of its own. */
const RUST = /^(?<word>error|warning)(?:\[\w+\])?: (?<message>.+)$/
const RUST_PLACE = /^\s*--> (?<file>.+?):(?<line>\d+):(?<column>\d+)$/
const RUST_HELP = /^\s*(?:=|\|)?\s*(?:= )?help: (?<message>.+)$/
/** A linker's word for a missing symbol: GNU ld and gold, lld, Apple's. */
const UNDEFINED = [
  /(?<file>[^\s:()]+\.\w+):(?:\(\S+\)|(?<line>\d+)): undefined reference to [`'](?<symbol>[^']+)'/,
  /error: undefined symbol: (?<symbol>.+)$/,
  /^\s+"(?<symbol>[^"]+)", referenced from:/,
]
/** Most notes only point at a declaration. */
const ADVICE = /did you mean|perhaps|consider|include|try /i
/** Go prints `# package` above the errors of a package. */
const GO_FILE = /\.go$/

type Groups = Readonly<Record<string, string | undefined>>

interface Draft {
  readonly severity: 'error' | 'warning'
  readonly message: string
  place: { readonly file: string; readonly line: number; readonly column: number } | undefined
  hint: string | undefined
}

/** What a compiler or linker printed, as faults in the order printed; lines that are none of these are left out. */
export function parseDiagnostics(output: readonly string[], directory: string): Fault[] {
  const drafts: Draft[] = []
  for (const line of output) readLine(line, drafts)
  const seen = new Set<string>()
  return drafts.flatMap((draft) => {
    const fault = finish(draft, directory)
    const key = JSON.stringify([fault.place, fault.message])
    if (seen.has(key)) return []
    seen.add(key)
    return [fault]
  })
}

function readLine(raw: string, drafts: Draft[]): void {
  // eslint-disable-next-line no-control-regex
  const line = raw.replaceAll(/\x1b\[[\d;]*[A-Za-z]/g, '')
  for (const read of READERS) if (read(line, drafts)) return
}

/** Each says whether the line was its kind. */
type Reader = (line: string, drafts: Draft[]) => boolean

const READERS: readonly Reader[] = [
  (line, drafts) => {
    const symbol = matchAny(UNDEFINED, line)
    if (symbol !== undefined) drafts.push(undefinedDraft(symbol))
    return symbol !== undefined
  },
  (line, drafts) => {
    const place = RUST_PLACE.exec(line)?.groups
    const last = drafts.at(-1)
    if (place !== undefined && last !== undefined) last.place ??= placeOf(place)
    return place !== undefined
  },
  (line, drafts) => {
    const compiler = LINE.exec(line)?.groups
    if (compiler !== undefined) readCompilerLine(compiler, drafts)
    return compiler !== undefined
  },
  (line, drafts) => {
    const rust = RUST.exec(line)?.groups
    if (rust !== undefined && !isSummary(rust['message'] ?? '')) drafts.push(draftOf(rust, undefined))
    return rust !== undefined
  },
  (line, drafts) => {
    const help = RUST_HELP.exec(line)?.groups?.['message']
    const last = drafts.at(-1)
    if (help !== undefined && last !== undefined) last.hint ??= sentence(help)
    return help !== undefined
  },
]

function matchAny(patterns: readonly RegExp[], line: string): Groups | undefined {
  for (const pattern of patterns) {
    const groups = pattern.exec(line)?.groups
    if (groups !== undefined) return groups
  }
  return undefined
}

function undefinedDraft({ file, line, symbol }: Groups): Draft {
  return {
    severity: 'error',
    message: `undefined reference to ${symbol ?? 'a symbol'}`,
    place: file === undefined ? undefined : placeOf({ file, line: line ?? '1', column: '1' }),
    hint: 'Define it, or link the library that does (-l).',
  }
}

function readCompilerLine(groups: Groups, drafts: Draft[]): void {
  const rest = groups['rest'] ?? ''
  const said = WORD.exec(rest)?.groups
  if (said === undefined) {
    if (GO_FILE.test(groups['file'] ?? '')) drafts.push(draftOf({ message: rest }, placeOf(groups)))
    return
  }
  if (said['word'] === 'note' || said['word'] === 'help') advise(drafts.at(-1), said)
  else drafts.push(draftOf(said, placeOf(groups)))
}

function advise(draft: Draft | undefined, { word, message = '' }: Groups): void {
  if (draft !== undefined && (word === 'help' || ADVICE.test(message))) draft.hint ??= sentence(message)
}

function draftOf({ word, message }: Groups, place: Draft['place']): Draft {
  return {
    severity: word === 'warning' ? 'warning' : 'error',
    message: message ?? '',
    place,
    hint: undefined,
  }
}

function placeOf({ file, line, column }: Groups) {
  return { file: file ?? '', line: Number(line), column: Math.max(1, Number(column ?? 1)) }
}

/** rustc and cargo end with a count, which is no fault of its own. */
function isSummary(message: string): boolean {
  return /^(aborting due to|could not compile|\d+ warnings? emitted|`.*` \(lib\) generated|build failed)/.test(
    message,
  )
}

function sentence(text: string): string {
  const first = text.charAt(0).toUpperCase() + text.slice(1)
  return /[.!?:`'"]$/.test(first) ? first : `${first}.`
}

function finish({ message, severity, place, hint }: Draft, directory: string): Fault {
  const at = place ?? { file: directory, line: 1, column: 1 }
  const file = resolve(directory, at.file)
  const text = place === undefined ? undefined : sourceLine(file, at.line)
  return {
    place: { ...at, file },
    message,
    severity,
    ...(text === undefined ? {} : { text }),
    ...(hint === undefined ? {} : { hint }),
  }
}

function sourceLine(file: string, line: number): string | undefined {
  try {
    return readFileSync(file, 'utf8').split('\n')[line - 1]?.replace(/\r$/, '')
  } catch {
    return undefined
  }
}
