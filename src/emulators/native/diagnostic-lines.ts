import type { Place } from '../../core/place.ts'
import type { ColumnUnit } from './source-lines.ts'

/** A fault as far as it has been read. */
export interface Draft {
  readonly severity: 'error' | 'warning'
  readonly message: string
  /** As printed: the file may be relative. Undefined when no file is to blame. */
  place: Place | undefined
  /** What the place's column counts; bytes, while nothing shows it. */
  unit: ColumnUnit | undefined
  hint: string | undefined
  /** Where it was caused from, nearest first: uses of a template, of a macro, of a generic function. */
  readonly via: Place[]
}

/** What the lines up to now said. */
export interface Reading {
  readonly drafts: Draft[]
  /** Places that were named before the fault they belong to. */
  readonly via: Place[]
}

/** Each says whether the line was its kind. */
type Reader = (line: string, reading: Reading) => boolean

type Groups = Readonly<Record<string, string | undefined>>

/** `file:line:column: error: message` of gcc, clang and zig; the column is missing in some, and Go has no word. */
const LINE = /^(?<file>[^\s:][^:]*):(?<line>\d{1,7}):(?:(?<column>\d{1,7}):)?\s*(?<rest>\S.*)$/
const WORD = /^(?<word>fatal error|error|warning|note|help)(?:\[\w+\])?\s*:\s*(?<message>.+)$/
/** `error[E0425]: message` of rustc; its place follows in a line of its own. */
const HEADLINE = /^(?<word>error|warning)(?:\[\w+\])?: (?<message>.+)$/
const RUST_PLACE = /^\s*--> (?<file>.+?):(?<line>\d{1,7}):(?<column>\d{1,7})$/
const RUST_HELP = /^\s*(?:=|\|)?\s*(?:= )?help: (?<message>.+)$|\^ help: (?<inline>.+)$/
/** The mark under a source line that gcc or clang shows. */
const CARET = /^\s*\| (?<before>[\s~]*)\^/
/** `cc1: fatal error: …`, `clang: error: …`: what a tool says of itself. */
const TOOL =
  /^(?:\S*\/)?(?:cc1(?:plus)?|gcc|g\+\+|cc|c\+\+|clang(?:\+\+)?|ld\S*|cargo|go|as)(?:-\d+)?: (?<word>fatal error|error): (?<message>.+)$/
/** zig: `    print__anon_1: src/hello.zig:30:40` below "referenced by:". */
const ZIG_REFERENCE = /^ {4}\S+: (?<file>\S.*?):(?<line>\d{1,7}):(?<column>\d{1,7})$/
/** gcc says where a template is used before what is wrong with it, clang and zig after. */
const USED_BEFORE = /^\s*required (?:from|by)\b/
const USED_AFTER =
  /requested here$|^in expansion of macro|^expanded from macro|^called from here$|^included from here/
/** Most notes only point at a declaration. */
const ADVICE = /did you mean|perhaps|consider|include|try /i
/** Go prints `# package` above the errors of a package. */
const GO_FILE = /\.go$/
const GO_GET = /^\s+(?<command>go get \S+)$/
const MAKE = /^\*\*\* (?<message>.+?)\.?\s+Stop\.$/

interface LinkerWord {
  /** In the line; looked for first, because the pattern is slow on long lines. */
  readonly says: string
  readonly pattern: RegExp
  readonly hint: string
  readonly messageOf: (symbol: string) => string
}

const UNDEFINED = { messageOf: undefinedReference, hint: 'Define it, or link the library that does (-l).' }
const NOT_FOUND = {
  messageOf: (symbol: string) => `the linker does not find ${symbol}`,
  hint: 'Install it, or name its folder (-L).',
}

/** What linkers say, and what to do about it: GNU ld and gold, lld, zig, Apple's. */
const LINKER: readonly LinkerWord[] = [
  {
    says: 'undefined reference to',
    pattern:
      /(?:(?<file>[^\s:()]+\.\w+):(?:\(\S+\)|(?<line>\d{1,7})): )?undefined reference to [`'](?<symbol>[^']+)'/,
    ...UNDEFINED,
  },
  { says: 'undefined symbol', pattern: /error: undefined symbol: (?<symbol>.+)$/, ...UNDEFINED },
  { says: 'referenced from:', pattern: /^\s+"(?<symbol>[^"]+)", referenced from:/, ...UNDEFINED },
  {
    says: 'multiple definition of',
    pattern:
      /(?<file>[^\s:()]+\.\w+):(?:\(\S+\)|(?<line>\d{1,7})): multiple definition of [`'](?<symbol>[^']+)'/,
    messageOf: (symbol) => `${symbol} is defined more than once`,
    hint: 'Define it in one file, and declare it "extern" or "static" in the others.',
  },
  { says: 'cannot find -l', pattern: /cannot find (?<symbol>-l[^\s:]+)/, ...NOT_FOUND },
  { says: 'unable to find library', pattern: /unable to find library (?<symbol>-l\S+)/, ...NOT_FOUND },
  { says: 'not found for -l', pattern: /library not found for (?<symbol>-l\S+)/, ...NOT_FOUND },
  {
    says: 'system library',
    pattern: /error: unable to find (?:dynamic|static) system library '(?<symbol>[^']+)'/,
    ...NOT_FOUND,
  },
  {
    says: ': relocation ',
    pattern:
      /(?<symbol>[^\s:]+\.\w+): relocation .* can ?not be used (?:when making a shared object|against)/,
    messageOf: (symbol) => `${symbol} is not made for a shared library`,
    hint: 'Compile it with -fPIC.',
  },
]

function undefinedReference(symbol: string): string {
  return `undefined reference to ${symbol}`
}

/** They end with a count, or say that what they called has failed: no faults of their own. */
const SUMMARY =
  /^(aborting due to|could not compile|\d+ warnings? emitted|`.*` \([^)]*\) generated|build failed|linker command failed|ld returned|the following (build )?command (failed|terminated))/

export const READERS: readonly Reader[] = [
  (line, { drafts }) => {
    for (const { says, pattern, messageOf, hint } of LINKER) {
      const groups = line.includes(says) ? pattern.exec(line)?.groups : undefined
      if (groups === undefined) continue
      const message = messageOf(groups['symbol'] ?? '')
      drafts.push({ ...draftOf({ message }, linkerPlace(groups)), hint })
      return true
    }
    return false
  },
  (line, { drafts }) => {
    const place = RUST_PLACE.exec(line)?.groups
    const last = drafts.at(-1)
    if (place !== undefined && last !== undefined && last.place === undefined) {
      last.place = placeOf(place)
      last.unit = 'character'
    }
    return place !== undefined
  },
  (line, { drafts }) => {
    const reference = ZIG_REFERENCE.exec(line)?.groups
    if (reference !== undefined) drafts.at(-1)?.via.push(placeOf(reference))
    return reference !== undefined
  },
  (line, { drafts }) => {
    const before = CARET.exec(line)?.groups?.['before']
    const last = drafts.at(-1)
    if (before === undefined || last === undefined) return false
    // Only gcc counts the columns of its own picture, in which tabs are eight wide.
    last.unit ??= last.place?.column === before.length + 1 ? 'display' : 'byte'
    return true
  },
  (line, reading) => {
    const compiler = LINE.exec(line)?.groups
    if (compiler !== undefined) readCompilerLine(compiler, reading)
    return compiler !== undefined
  },
  (line, { drafts }) => {
    const tool = (HEADLINE.exec(line) ?? TOOL.exec(line))?.groups
    if (tool !== undefined && !SUMMARY.test(tool['message'] ?? '')) drafts.push(draftOf(tool, undefined))
    return tool !== undefined
  },
  (line, { drafts }) => {
    const groups = RUST_HELP.exec(line)?.groups
    const help = groups?.['message'] ?? groups?.['inline']
    const last = drafts.at(-1)
    if (help !== undefined && last !== undefined) last.hint ??= sentence(help)
    return help !== undefined
  },
  (line, { drafts }) => {
    const command = GO_GET.exec(line)?.groups?.['command']
    const last = drafts.at(-1)
    if (command !== undefined && last !== undefined) last.hint ??= `Run "${command}".`
    return command !== undefined
  },
]

function readCompilerLine(groups: Groups, reading: Reading): void {
  const rest = groups['rest'] ?? ''
  const place = placeOf(groups)
  const said = WORD.exec(rest)?.groups
  if (said !== undefined) return readWord(said, place, reading)
  if (USED_BEFORE.test(rest)) {
    reading.via.push(place)
    return
  }
  const message = GO_FILE.test(place.file) ? rest : MAKE.exec(rest)?.groups?.['message']
  if (message !== undefined) reading.drafts.push(draftOf({ message }, place))
}

function readWord(said: Groups, place: Place, { drafts, via }: Reading): void {
  const { word, message = '' } = said
  const last = drafts.at(-1)
  if (word !== 'note' && word !== 'help') drafts.push({ ...draftOf(said, place), via: via.splice(0) })
  else if (last !== undefined && USED_AFTER.test(message)) last.via.push(place)
  else if (last !== undefined && (word === 'help' || ADVICE.test(message))) last.hint ??= sentence(message)
}

function draftOf({ word, message }: Groups, place: Place | undefined): Draft {
  return {
    severity: word === 'warning' ? 'warning' : 'error',
    message: message ?? '',
    place,
    unit: undefined,
    hint: undefined,
    via: [],
  }
}

function placeOf({ file, line, column }: Groups): Place {
  return { file: file ?? '', line: Math.max(1, Number(line)), column: Math.max(1, Number(column ?? 1)) }
}

/** An object file is no place that anyone can mend. */
function linkerPlace({ file, line }: Groups): Place | undefined {
  if (file === undefined || /\.(o|a|so|obj|dylib)$/.test(file)) return undefined
  return placeOf({ file, line: line ?? '1', column: '1' })
}

function sentence(text: string): string {
  const first = text.charAt(0).toUpperCase() + text.slice(1)
  return /[.!?:`'"]$/.test(first) ? first : `${first}.`
}
