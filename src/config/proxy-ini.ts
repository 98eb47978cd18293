import type { Fault, Place } from '../core/place.ts'
import type { RouteMatcher } from '../core/route.ts'

/** One line of proxy.ini that says something. */
export interface ProxyIniEntry {
  /** As written, trimmed: `Host: iam /`. */
  readonly key: string
  /** As written, trimmed; empty for `key =`. */
  readonly value: string
  readonly matcher: Extract<RouteMatcher, { kind: 'prefix' | 'field' }>
  /** Where the key starts. */
  readonly place: Place
  /** Where the value starts, for faults about the target. */
  readonly valuePlace: Place
  /** The whole line without its end. */
  readonly text: string
}

export interface ParsedProxyIni {
  /** In file order; the first match wins. */
  readonly entries: readonly ProxyIniEntry[]
  readonly faults: readonly Fault[]
}

/**
 * Reads FlexiLib's grammar: one `key = value` a line, `#` anywhere cuts the line, spaces and tabs around key and value do not count,
 * a line without a key is skipped. A key with a colon is the header form: `Host: iam /` → field host, value prefix `iam`, path prefix `/`.
 * On purpose unlike FlexiLib: CRLF ends a line, and a key that comes twice is a fault. Never throws; everything wrong is in `faults`.
 */
export function parseProxyIni(text: string, file: string): ParsedProxyIni {
  const entries: ProxyIniEntry[] = []
  const faults: Fault[] = []
  const lineOfKey = new Map<string, number>()
  for (const [index, source] of text.split(/\r?\n/).entries()) {
    const line = readLine(source, { file, line: index + 1 })
    if (line === undefined) continue
    faults.push(...line.faults)
    if (line.entry === undefined) continue
    const first = lineOfKey.get(line.entry.key)
    if (first === undefined) {
      lineOfKey.set(line.entry.key, index + 1)
      entries.push(line.entry)
    } else faults.push(repeated(line.entry, first))
  }
  return { entries, faults }
}

interface Line {
  readonly entry: ProxyIniEntry | undefined
  readonly faults: readonly Fault[]
}

function readLine(source: string, at: Pick<Place, 'file' | 'line'>): Line | undefined {
  const pieces = splitWithOffsets(source.split('#', 1)[0] ?? '', '=')
  const [key, value, extra] = pieces
  if (key === undefined || key.text === '') return undefined
  const place = { ...at, column: key.offset + 1 }
  if (value === undefined) return { entry: undefined, faults: [keyAlone({ place, text: source }, key.text)] }
  const { matcher, faults } = readKey(key.text, { place, text: source })
  const valuePlace = { ...at, column: value.offset + 1 }
  if (value.text === '') faults.push(noTarget({ place: valuePlace, text: source }, key.text))
  if (extra !== undefined) {
    const offset = value.end
    faults.push(
      dropped({ place: { ...at, column: offset + 1 }, text: source }, { value: value.text, offset }),
    )
  }
  return { entry: { key: key.text, value: value.text, matcher, place, valuePlace, text: source }, faults }
}

interface Piece {
  /** Without the spaces and tabs around it. */
  readonly text: string
  /** Of its first character that is neither, or of its end when there is none. */
  readonly offset: number
  /** Of the separator after it. */
  readonly end: number
}

function splitWithOffsets(source: string, separator: string): Piece[] {
  let start = 0
  return source.split(separator).map((raw) => {
    const end = start + raw.length
    const text = trimBlanks(raw)
    const offset = text === '' ? end : start + raw.indexOf(text)
    start = end + separator.length
    return { text, offset, end }
  })
}

/** Spaces and tabs only: FlexiLib takes every other character as part of the text. */
function trimBlanks(text: string): string {
  let start = 0
  let end = text.length
  while (start < end && isBlank(text[start])) start++
  while (end > start && isBlank(text[end - 1])) end--
  return text.slice(start, end)
}

function isBlank(character: string | undefined): boolean {
  return character === ' ' || character === '\t'
}

type At = Pick<Fault, 'place'> & { readonly text: string }

function readKey(key: string, at: At): { matcher: ProxyIniEntry['matcher']; faults: Fault[] } {
  const colon = key.indexOf(':')
  if (colon === -1) return { matcher: { kind: 'prefix', prefix: asBytes(key) }, faults: [] }
  const name = key.slice(0, colon)
  // One space separates; of two in a row the second belongs to an empty path prefix, which takes every path.
  const [valuePrefix = '', pathPrefix, ...ignored] = trimBlanks(key.slice(colon + 1)).split(' ')
  const faults: Fault[] = []
  if (!FIELD_NAME.test(name)) faults.push(notAName(at, name))
  else if (pathPrefix === undefined) faults.push(noPath(at, key))
  else if (ignored.length > 0) faults.push(tooManyParts(at, { pathPrefix, ignored: ignored.join(' ') }))
  return {
    matcher: {
      kind: 'field',
      name: name.replace(/[A-Z]/g, (letter) => letter.toLowerCase()),
      valuePrefix: asBytes(valuePrefix),
      pathPrefix: pathPrefix === undefined ? undefined : asBytes(pathPrefix),
    },
    faults,
  }
}

/** RFC 9110 section 5.6.2: what a field can be called. */
const FIELD_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/

/** Node hands out targets and field values one character a byte; a prefix is compared in the same form. */
function asBytes(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1')
}

function keyAlone(at: At, key: string): Fault {
  const section = /^\[.*\]$/.test(key) ? ' proxy.ini has no sections.' : ''
  const comment = key.startsWith(';') ? ' A comment starts with "#".' : ''
  return {
    ...at,
    message: `no value for the key "${key}"`,
    hint: `Write "key = target".${section}${comment}`,
  }
}

function repeated({ key, place, text }: ProxyIniEntry, first: number): Fault {
  const message = `the key "${key}" is already on line ${first}`
  return { place, text, message, hint: 'Remove one of the two lines.' }
}

function noTarget(at: At, key: string): Fault {
  const message = `nothing is named that answers "${key}"`
  return { ...at, message, hint: 'Write a target after "=".', severity: 'warning' }
}

function dropped(at: At, { value, offset }: { value: string; offset: number }): Fault {
  const rest = trimBlanks((at.text.split('#', 1)[0] ?? '').slice(offset))
  return {
    ...at,
    message: `"${rest}" is ignored: a value ends at the second "="`,
    hint: `Write a target without "=", or keep "${value}".`,
    severity: 'warning',
  }
}

function notAName(at: At, name: string): Fault {
  const shown = JSON.stringify(name)
  const hint = name.startsWith('/')
    ? 'A path in proxy.ini cannot have a colon; write a shorter path, or a route in flexi.jsonc.'
    : 'Write "Name: value-prefix path-prefix", without a space before the colon.'
  return { ...at, message: `never matches: ${shown} is no field name`, hint, severity: 'warning' }
}

function noPath(at: At, key: string): Fault {
  const message = 'never matches: the path prefix is missing'
  return { ...at, message, hint: `Write "${key} /" to take every path.`, severity: 'warning' }
}

function tooManyParts(at: At, { pathPrefix, ignored }: { pathPrefix: string; ignored: string }): Fault {
  const taken =
    pathPrefix === ''
      ? 'two spaces in a row make the path prefix empty'
      : `the path prefix is "${pathPrefix}"`
  const hint = 'Put one space between value prefix and path prefix, and none within them.'
  return { ...at, message: `"${ignored}" is ignored: ${taken}`, hint, severity: 'warning' }
}
