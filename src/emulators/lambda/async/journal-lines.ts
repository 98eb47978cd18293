import { randomUUID } from 'node:crypto'

/** What a value of a journal is on its line. */
export interface Codec<Value> {
  /** Something that JSON can say. */
  write(value: Value): unknown
  /** Undefined for what was never written by `write`. */
  read(json: unknown): Value | undefined
}

export interface Entry<Value> {
  readonly value: Value
  /** The last that was noted of it, as JSON has it. */
  readonly note: unknown
}

/** What a journal's text comes to. */
export interface Replayed<Value> {
  /** Added and not ended, in the order of their adding. */
  readonly entries: Map<string, Entry<Value>>
  /** Whether it begins as a journal does. A file that is empty, or whose first line is cut off, was never used. */
  readonly kind: 'journal' | 'unused' | 'foreign'
  /** Whole lines that say nothing. */
  readonly broken: number
  /** Whether the last line has no end: whoever wrote it was never told that it is kept. */
  readonly cutOff: boolean
}

/** The first line of every journal. */
export const HEADER = '{"flexi":"journal","version":1}\n'

export function addLine(key: string, value: unknown): string {
  return `${JSON.stringify({ add: key, value })}\n`
}

export function noteLine(key: string, note: unknown): string {
  return `${JSON.stringify({ note: key, value: note })}\n`
}

export function endLine(key: string): string {
  return `${JSON.stringify({ end: key })}\n`
}

/** A name that nothing else has. */
export function uniqueName(): string {
  return randomUUID().slice(0, 8)
}

/** Never fails: what cannot be read is counted. Empty lines are nothing. */
export function replay<Value>(text: string, codec: Codec<Value>): Replayed<Value> {
  const entries = new Map<string, Entry<Value>>()
  if (HEADER.startsWith(text) && text !== HEADER)
    return { entries, kind: 'unused', broken: 0, cutOff: text !== '' }
  if (!text.startsWith(HEADER)) return { entries, kind: 'foreign', broken: 0, cutOff: false }
  let broken = 0
  let start = HEADER.length
  for (let end = text.indexOf('\n', start); end !== -1; end = text.indexOf('\n', start)) {
    const line = text.slice(start, end)
    if (line !== '' && !apply(line, entries, codec)) broken += 1
    start = end + 1
  }
  return { entries, kind: 'journal', broken, cutOff: start < text.length }
}

function apply<Value>(line: string, entries: Map<string, Entry<Value>>, codec: Codec<Value>): boolean {
  const { add, note, end, value } = parsed(line)
  if (typeof add === 'string') {
    const read = codec.read(value)
    if (read !== undefined) entries.set(add, { value: read, note: undefined })
    return read !== undefined
  }
  if (typeof note === 'string') {
    const entry = entries.get(note)
    if (entry !== undefined) entries.set(note, { value: entry.value, note: value })
    return true
  }
  if (typeof end === 'string') entries.delete(end)
  return typeof end === 'string'
}

interface Line {
  readonly add?: unknown
  readonly note?: unknown
  readonly end?: unknown
  readonly value?: unknown
}

function parsed(line: string): Line {
  try {
    const json: unknown = JSON.parse(line)
    return typeof json === 'object' && json !== null ? json : {}
  } catch {
    return {}
  }
}
