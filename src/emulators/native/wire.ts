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

export interface CallHead {
  readonly id: number
  readonly method: string
  readonly target: string
  /** name, value, name, value … in wire order. */
  readonly fields: readonly string[]
  readonly contentBytes: number
}

/** `method length, target length, number of strings in fields, content length`, each u32. */
export const CALL_HEAD_WORDS = 4

/**
 * A call frame without its content, which follows as it came:
 *
 *     frame head | CALL_HEAD_WORDS | length of each field string | method NUL target fields… | content
 *
 * Text is one byte a character, as Node's parser hands it out: bytes beyond ASCII come back unchanged.
 */
export function encodeCall({ id, method, target, fields, contentBytes }: CallHead): Buffer {
  const text = `${method}\0${target}${fields.join('')}`
  const lengths = (CALL_HEAD_WORDS + fields.length) * 4
  const frame = Buffer.allocUnsafe(HEAD_BYTES + lengths + text.length)
  frame.writeUInt32LE(lengths + text.length + contentBytes, 0)
  frame.writeUInt32LE(TO_CHILD.call, 4)
  frame.writeUInt32LE(id, 8)
  frame.writeUInt32LE(method.length, 12)
  frame.writeUInt32LE(target.length, 16)
  frame.writeUInt32LE(fields.length, 20)
  frame.writeUInt32LE(contentBytes, 24)
  let offset = 28
  for (const field of fields) offset = frame.writeUInt32LE(field.length, offset)
  frame.write(text, offset, 'latin1')
  return frame
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
  readonly fields: string[]
  /** A view of the frame. */
  readonly body: Buffer
  readonly callMicros: number
  readonly preAlloc: number
  readonly alloc: number
}

/** result words | length of each field string | reason | field strings… | body */
export function decodeResult(payload: Buffer): CallResult {
  const word = (index: number): number => payload.readUInt32LE(index * 4)
  const strings = word(RESULT_WORDS.fieldStrings)
  let offset = (RESULT_WORDS.count + strings) * 4
  const take = (bytes: number): string => payload.toString('latin1', offset, (offset += bytes))
  const reason = take(word(RESULT_WORDS.reasonBytes))
  const fields: string[] = []
  for (let index = 0; index < strings; index += 1) fields.push(take(word(RESULT_WORDS.count + index)))
  return {
    status: word(RESULT_WORDS.status),
    reason,
    fields,
    body: payload.subarray(offset, offset + word(RESULT_WORDS.bodyBytes)),
    callMicros: word(RESULT_WORDS.callMicros),
    preAlloc: word(RESULT_WORDS.preAlloc),
    alloc: word(RESULT_WORDS.alloc),
  }
}
