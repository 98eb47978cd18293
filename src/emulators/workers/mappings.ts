/** Place in the files that a bundle was made from; both counted from 0. */
export interface Original {
  /** Index into the map's `sources`. */
  readonly source: number
  readonly line: number
  readonly column: number
}

/** Finds what stands at, or next before, a place of the bundle. Lines and columns count from 0. */
export type Lookup = (line: number, column: number) => Original | undefined

/** What the numbers of a line are relative to: source, line, column. They go on from line to line, the bundle's column does not. */
const STATE = 3
const DIGITS = new Int8Array(128).fill(-1)
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
for (let value = 0; value < ALPHABET.length; value++) DIGITS[ALPHABET.charCodeAt(value)] = value

/**
 * Reads the `mappings` of a source map. One pass keeps what each line starts with, which for 11 MB takes 100 ms and 6 MB; decoding every
 * segment into objects, as Node's own class does, takes half a second and 400 MB. Source: ECMA-426, source map format.
 */
export function readMappings(mappings: string): Lookup {
  const { starts, states } = indexLines(mappings)
  return (line, column) => {
    const start = starts[line]
    if (start === undefined) return undefined
    const end = (starts[line + 1] ?? mappings.length + 1) - 1
    const state = states.slice(line * STATE, (line + 1) * STATE)
    return findSegment(mappings.slice(start, end), column, state)
  }
}

function indexLines(mappings: string): { readonly starts: Int32Array; readonly states: Int32Array } {
  const count = countLines(mappings)
  const starts = new Int32Array(count)
  const states = new Int32Array(count * STATE)
  const state = new Int32Array(STATE + 1)
  const reader = new SegmentReader(mappings)
  for (let line = 1; line < count;) {
    reader.read(state)
    if (!reader.atLineEnd) continue
    state[0] = 0
    starts[line] = reader.position
    states.set(state.subarray(1), line * STATE)
    line++
  }
  return { starts, states }
}

function countLines(mappings: string): number {
  let count = 1
  for (let at = mappings.indexOf(';'); at >= 0; at = mappings.indexOf(';', at + 1)) count++
  return count
}

function findSegment(text: string, column: number, before: Int32Array): Original | undefined {
  const state = new Int32Array([0, ...before])
  const reader = new SegmentReader(text)
  let found: Original | undefined
  while (!reader.atEnd) {
    const isMapped = reader.read(state)
    if ((state[0] ?? 0) > column) break
    found = isMapped ? { source: state[1] ?? 0, line: state[2] ?? 0, column: state[3] ?? 0 } : undefined
  }
  return found
}

const COMMA = 44
const SEMICOLON = 59

class SegmentReader {
  position = 0
  /** The last `read()` met a `;`. */
  atLineEnd = false
  readonly #text: string

  constructor(text: string) {
    this.#text = text
  }

  get atEnd(): boolean {
    return this.position >= this.#text.length
  }

  /** Adds the next segment to the state (column of the bundle, source, line, column); false when it maps to no source. A line's end leaves the column to the caller. */
  read(state: Int32Array): boolean {
    this.atLineEnd = false
    let field = 0
    while (!this.atEnd) {
      const code = this.#text.charCodeAt(this.position)
      if (code === COMMA || code === SEMICOLON) {
        this.position++
        this.atLineEnd = code === SEMICOLON
        if (field > 0 || code === SEMICOLON) break
      } else {
        const delta = this.#number()
        // The fifth field is an index of names, which nobody asks for.
        if (field <= STATE) state[field] = (state[field] ?? 0) + delta
        field++
      }
    }
    return field > STATE
  }

  /** Base64 VLQ: five bits a digit, the lowest first, the sign in the lowest of all. */
  #number(): number {
    let value = 0
    let shift = 0
    for (;;) {
      const code = this.#text.charCodeAt(this.position)
      // A number that breaks off; what is no digit at all is passed over.
      if (shift > 0 && (code === COMMA || code === SEMICOLON)) break
      this.position++
      const digit = DIGITS[code] ?? -1
      if (digit < 0) break
      value |= (digit & 31) << shift
      if ((digit & 32) === 0) break
      shift += 5
    }
    return (value & 1) === 1 ? -(value >>> 1) : value >>> 1
  }
}

/** Where a place of a source is in the bundle, or what comes next after it: its line may have no code. */
export function findGenerated(
  mappings: string,
  origin: Original,
): { readonly line: number; readonly column: number } | undefined {
  const state = new Int32Array(STATE + 1)
  const reader = new SegmentReader(mappings)
  let found: { line: number; column: number } | undefined
  let nearest = Infinity
  for (let line = 0; !reader.atEnd;) {
    const isMapped = reader.read(state)
    const distance = isMapped && state[1] === origin.source ? distanceTo(origin, state) : Infinity
    if (distance < nearest) {
      nearest = distance
      found = { line, column: state[0] ?? 0 }
    }
    if (reader.atLineEnd) {
      line++
      state[0] = 0
    }
  }
  return found
}

/** More than any column. */
const LINE = 1_000_000

function distanceTo({ line, column }: Original, state: Int32Array): number {
  const lines = (state[2] ?? 0) - line
  return lines < 0 ? Infinity : lines * LINE + Math.abs((state[3] ?? 0) - column)
}
