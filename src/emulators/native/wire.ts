import type { RawRequest } from '../../core/fetcher.ts'

/**
 * Frames between the server and a library's child. The twelve-byte head is the channel's own (`instances/channel.ts`);
 * the child reads it with blocking reads on its threads, not with a stream.
 */

/** Server to child. */
export const TO_CHILD = {
  /** JSON `Setup`; answered by `LOADED` or `FAILED`. */
  setup: 1,
  call: 2,
  /** Carries whole frames, heads included, so that one write wakes the child for all requests of a turn of the event loop. */
  batch: 3,
} as const

/** Child to server. */
export const FROM_CHILD = {
  /** JSON `Loaded`. */
  loaded: 1,
  /** UTF-8 text: why the library could not be loaded. */
  failed: 2,
  result: 3,
  /** `handle_request` returned NULL. */
  nothing: 4,
  /** UTF-8 text: what is wrong with the response struct. */
  invalid: 5,
} as const

export const HEAD_BYTES = 12

/** What a child needs to know to load one revision. */
export interface Setup {
  /** Private copy of the library: never written again. */
  readonly library: string
  /** File of `threads` 32-bit numbers, mapped by the child: the request each thread is in, 0 for none. */
  readonly recorder: string
  /** Undefined asks the library. */
  readonly zig?: ZigVtable | undefined
  readonly preallocationKb: number
}

/** Layout of Zig's `std.mem.Allocator` vtable; 0.14 put `remap` before `free`. */
export type ZigVtable = '0.13' | '0.14'

/** What the library exports besides `handle_request`. */
export interface Loaded {
  readonly zigInit: boolean
  readonly requestDeinit: boolean
}

/** One request in the form in which it is sent to a child, or laid out for a library in this process. */
export interface Call {
  readonly fields: readonly string[]
  /** `method NUL target fields…`, one character a byte. */
  readonly text: string
  readonly methodBytes: number
  readonly targetBytes: number
  readonly content: readonly Uint8Array[]
  readonly contentBytes: number
  /** Of everything but the content. */
  readonly headBytes: number
}

/** `method length, target length, number of strings in fields, content length`, each u32. */
export const CALL_HEAD_WORDS = 4

/** `fields` is name, value, name, value … in wire order. Text is one byte a character, as Node's parser hands it out. */
export function prepareCall(
  { method, target, fields }: Pick<RawRequest, 'method' | 'target' | 'fields'>,
  content: readonly Uint8Array[],
): Call {
  const text = `${method}\0${target}${fields.join('')}`
  let contentBytes = 0
  for (const chunk of content) contentBytes += chunk.length
  return {
    fields,
    text,
    methodBytes: method.length,
    targetBytes: target.length,
    content,
    contentBytes,
    headBytes: (CALL_HEAD_WORDS + fields.length) * 4 + text.length,
  }
}

/**
 * Writes a call without its content, and tells where that goes:
 *
 *     CALL_HEAD_WORDS | length of each field string | method NUL target fields… | content
 */
export function writeCallHead(call: Call, to: Buffer, at: number): number {
  const { fields, text } = call
  let offset = to.writeUInt32LE(call.methodBytes, at)
  offset = to.writeUInt32LE(call.targetBytes, offset)
  offset = to.writeUInt32LE(fields.length, offset)
  offset = to.writeUInt32LE(call.contentBytes, offset)
  for (const field of fields) offset = to.writeUInt32LE(field.length, offset)
  return offset + to.write(text, offset, 'latin1')
}

export function writeContent(call: Call, to: Buffer, at: number): number {
  let offset = at
  for (const chunk of call.content) {
    to.set(chunk, offset)
    offset += chunk.length
  }
  return offset
}

export function writeFrameHead(
  to: Buffer,
  at: number,
  { kind, id, bytes }: { kind: number; id: number; bytes: number },
): number {
  to.writeUInt32LE(bytes, at)
  to.writeUInt32LE(kind, at + 4)
  return to.writeUInt32LE(id, at + 8)
}

/** Words before the field lengths of a result, each u32. */
export const RESULT_WORDS = {
  /** As the library set it; `STATUS_MAX` for anything larger. */
  status: 0,
  callMicros: 1,
  preAlloc: 2,
  alloc: 3,
  fieldStrings: 4,
  reasonBytes: 5,
  bodyBytes: 6,
  count: 7,
} as const

export const STATUS_MAX = 0xffff_ffff

export interface CallResult {
  /** 0 when the library left it to us. */
  readonly status: number
  readonly reason: string
  /** name, value, name, value … as the library wrote them, one character a byte. */
  readonly fields: readonly string[]
  /** Holds the body, from `bodyAt` to `bodyEnd`. */
  readonly bytes: Buffer
  readonly bodyAt: number
  readonly bodyEnd: number
  readonly callMicros: number
  readonly preAlloc: number
  readonly alloc: number
}

/** The payload lies in `bytes` from `start` on: result words | length of each field string | reason | field strings… | body */
export function decodeResult(bytes: Buffer, start = 0): CallResult {
  const word = (index: number): number => bytes.readUInt32LE(start + index * 4)
  const strings = word(RESULT_WORDS.fieldStrings)
  const reasonBytes = word(RESULT_WORDS.reasonBytes)
  let at = start + (RESULT_WORDS.count + strings) * 4
  const reason = reasonBytes === 0 ? '' : bytes.toString('latin1', at, at + reasonBytes)
  at += reasonBytes
  const fields: string[] = []
  for (let index = 0; index < strings; index += 1) {
    const length = word(RESULT_WORDS.count + index)
    fields.push(bytes.toString('latin1', at, at + length))
    at += length
  }
  return {
    status: word(RESULT_WORDS.status),
    reason,
    fields,
    bytes,
    bodyAt: at,
    bodyEnd: at + word(RESULT_WORDS.bodyBytes),
    callMicros: word(RESULT_WORDS.callMicros),
    preAlloc: word(RESULT_WORDS.preAlloc),
    alloc: word(RESULT_WORDS.alloc),
  }
}
