import {
  createScanner,
  findNodeAtLocation,
  printParseErrorCode,
  type Node,
  type ParseError,
} from 'jsonc-parser'

import { placeAt, type Fault } from '../core/place.ts'

/** The text of a flexi.jsonc and its syntax tree: what every fault points into. */
export interface FlexiSource {
  /** As messages show it. */
  readonly file: string
  readonly text: string
  readonly root: Node
}

export type Path = readonly (string | number)[]

export type FaultPlace = Required<Pick<Fault, 'place' | 'text'>>

/** Where the value at a path stands; where its key stands with `key`. The nearest object that is there when it is not. */
export function locate(source: FlexiSource, path: Path, part: 'key' | 'value' = 'value'): FaultPlace {
  const node = findNodeAtLocation(source.root, [...path])
  if (node === undefined) return path.length === 0 ? placeOf(source, 0) : locate(source, path.slice(0, -1))
  const key = node.parent?.type === 'property' ? node.parent.children?.[0] : undefined
  return placeOf(source, part === 'key' && key !== undefined ? key.offset : node.offset)
}

/** Is there anything at a path, even what has a fault? */
export function isWritten(source: FlexiSource, path: Path): boolean {
  return findNodeAtLocation(source.root, [...path]) !== undefined
}

function placeOf(source: FlexiSource, offset: number): FaultPlace {
  return placeAt(source.file, source.text, offset)
}

/** One fault a line, without those that only follow from an earlier one: a parser that is lost says much. */
export function syntaxFaults(file: string, text: string, errors: readonly ParseError[]): Fault[] {
  const faults: Fault[] = []
  for (const { error, offset } of errors) {
    const name = printParseErrorCode(error)
    if (faults.length > 0 && CONSEQUENCES.has(name)) continue
    const at = name === 'CommaExpected' ? endOfTokenBefore(text, offset) : offset
    const fault = { ...placeAt(file, text, at), ...(SYNTAX[name] ?? { message: `no valid JSON: ${name}` }) }
    if (faults.at(-1)?.place.line !== fault.place.line) faults.push(fault)
  }
  return faults
}

/** A comma is missed at the token that follows; it belongs behind the token before, which is mostly on another line. */
function endOfTokenBefore(text: string, offset: number): number {
  const scanner = createScanner(text, true)
  let end = 0
  scanner.scan()
  while (scanner.getTokenOffset() < offset) {
    end = scanner.getTokenOffset() + scanner.getTokenLength()
    scanner.scan()
  }
  return end
}

const CONSEQUENCES = new Set(['EndOfFileExpected', 'CloseBraceExpected', 'CloseBracketExpected'])

const SYNTAX: Readonly<Record<string, Pick<Fault, 'message' | 'hint'>>> = {
  InvalidSymbol: { message: 'this is no JSON value', hint: 'Write strings and keys in double quotes.' },
  InvalidNumberFormat: { message: 'this is no JSON number' },
  PropertyNameExpected: { message: 'a key is expected', hint: 'Write keys in double quotes.' },
  ValueExpected: { message: 'a value is expected' },
  ColonExpected: { message: 'a colon is expected', hint: 'Write "key": value.' },
  CommaExpected: { message: 'a comma is missing', hint: 'Put a comma here.' },
  CloseBraceExpected: { message: 'a closing brace is missing', hint: 'Put "}" here.' },
  CloseBracketExpected: { message: 'a closing bracket is missing', hint: 'Put "]" here.' },
  EndOfFileExpected: { message: 'the file goes on after its end', hint: 'Remove what follows the last "}".' },
  InvalidCommentToken: { message: 'a comment stands where none may' },
  UnexpectedEndOfComment: { message: 'the comment does not end', hint: 'Close it with "*/".' },
  UnexpectedEndOfString: { message: 'the string does not end on its line', hint: 'Close it with a quote.' },
  UnexpectedEndOfNumber: { message: 'the number does not end' },
  InvalidUnicode: { message: 'a Unicode escape has four hexadecimal digits', hint: 'Write it as \\u00e9.' },
  InvalidEscapeCharacter: { message: 'JSON has no such escape', hint: 'Write a backslash as "\\\\".' },
  InvalidCharacter: { message: 'a control character stands in a string', hint: 'Write it as an escape.' },
}

/** JSON keeps the last of two equal keys and forgets the first in silence. */
export function repeatedKeys(source: FlexiSource, node: Node = source.root): Fault[] {
  const lines = new Map<unknown, number>()
  return (node.children ?? []).flatMap((child) => {
    const key = node.type === 'object' ? child.children?.[0] : undefined
    if (key === undefined) return repeatedKeys(source, child)
    const at = placeOf(source, key.offset)
    const first = lines.get(key.value)
    lines.set(key.value, first ?? at.place.line)
    const inner = repeatedKeys(source, child)
    if (first === undefined) return inner
    const message = `the key "${String(key.value)}" is already on line ${first}`
    return [{ ...at, message, hint: 'Rename or remove one of the two.' }, ...inner]
  })
}
