import type { LibraryHandle } from 'koffi'

import { Arena, createBlock, type Block } from './arena.ts'
import { copyMemory, findFunction, openLibrary, type Address } from './memory.ts'
import {
  CALL_HEAD_WORDS,
  FROM_CHILD,
  HEAD_BYTES,
  RESULT_WORDS,
  STATUS_MAX,
  writeFrameHead,
  type Loaded,
  type Setup,
  type ZigVtable,
} from './wire.ts'
import { createZigAllocator } from './zig-allocator.ts'

/** Sizes of the C structs, 64-bit; `include/flexi.h` asserts the same. */
const REQUEST_BYTES = 64
const RESPONSE_BYTES = 56
const FIELD_BYTES = 32
const FIELD_WORDS = FIELD_BYTES / 4
/** Word of a frame at which a result begins. */
const RESULT_AT = HEAD_BYTES / 4

/** What a thread has for answers at first, and at most. */
const FRAME_BYTES = 64 * 1024
const FRAME_BYTES_MAX = 1024 * 1024
const RESPONSE_FIELDS_MAX = 1_000
const RESPONSE_FIELD_BYTES_MAX = 1024 * 1024
/** What one frame of the channel can carry, less its head and fields. */
const RESPONSE_BODY_BYTES_MAX = 1000 * 1024 * 1024
const REASON_LENGTH: Bound = { name: 'reason_len', at: 12, max: 8192 }
const BODY_LENGTH: Bound = { name: 'len', at: 2, max: RESPONSE_BODY_BYTES_MAX }
const HEADERS_LENGTH: Bound = { name: 'headers_len', at: 6, max: RESPONSE_FIELDS_MAX }

export interface CallerOptions extends Omit<Setup, 'recorder'> {
  /** An answer of more bytes gets memory of its own, which its reader may keep. */
  readonly ownFrameBytes?: number | undefined
}

export interface Place {
  readonly bytes: Buffer
  readonly at: number
}

/**
 * One thread's way into the library: memory for a request and its answer, and the call between them. Belongs to the thread that made
 * it. For each request `room`, `call` and `release` follow one another.
 */
export interface Caller {
  /** Has to stay referenced as long as code of it may run: koffi closes what is collected. */
  readonly library: unknown
  readonly loaded: Loaded
  /** Where the request's payload goes: into the arena, until `release`. */
  room(bytes: number): Place
  /** Runs the library on the payload, and gives the answer's whole frame; valid until the next call. */
  call(id: number): Buffer
  /** The answer is on its way: the library frees what it must, and the request's memory is free again. */
  release(): void
  /** The library is called no more. It stays loaded: code of it may still run. */
  close(): void
}

interface Library {
  readonly handle: LibraryHandle
  run(request: Address): Address
  init?: ((allocator: Address) => void) | undefined
  deinit?: (() => void) | undefined
  /** What it was compiled with, as it says. */
  readonly zig: ZigVtable
}

/** @throws Error when the library cannot be loaded or lacks `handle_request`; the message is the dynamic loader's. */
export function createCaller({ library: path, zig, preallocationKb, ownFrameBytes }: CallerOptions): Caller {
  const library = bind(path)
  const arena = new Arena(preallocationKb)
  const allocator = library.init === undefined ? undefined : createZigAllocator(arena, zig ?? library.zig)
  const answer = createAnswer(arena, ownFrameBytes ?? FRAME_BYTES_MAX)
  let content: Block = arena.block
  let at = 0
  let answered = false
  return {
    library: library.handle,
    loaded: { zigInit: library.init !== undefined, requestDeinit: library.deinit !== undefined },
    room(bytes) {
      // One more, so that a pointer to no content still points into the arena.
      const address = arena.take(bytes + 1, 16)
      content = arena.block
      at = address - content.address
      return { bytes: content.bytes, at }
    },
    call(id) {
      const request = layOut(arena, content, at)
      if (allocator !== undefined) library.init?.(allocator.address)
      const startedAt = performance.now()
      const response = library.run(request)
      const callMicros = Math.round((performance.now() - startedAt) * 1000)
      answered = response !== 0
      if (!answered) return frameOf(FROM_CHILD.nothing, id, '')
      try {
        return answer(id, response, callMicros)
      } catch (error) {
        return frameOf(FROM_CHILD.invalid, id, error instanceof Error ? error.message : String(error))
      }
    },
    release() {
      if (answered) library.deinit?.()
      answered = false
      arena.reset()
    },
    close: () => allocator?.release(),
  }
}

function bind(path: string): Library {
  const handle = openLibrary(path)
  const run = findFunction(handle, 'handle_request', { result: 'size_t', parameters: ['size_t'] })
  if (run === undefined) throw new Error('it does not export handle_request')
  const minor = findFunction(handle, 'flexi_zig_minor', { result: 'uint32_t', parameters: [] })
  return {
    handle,
    run,
    zig: (minor?.() ?? 0) < 14 ? '0.13' : '0.14',
    init: findFunction(handle, 'zigInit', { result: 'void', parameters: ['size_t'] }),
    deinit: findFunction(handle, 'request_deinit', { result: 'void', parameters: [] }),
  }
}

function putPointer(words: Uint32Array, index: number, value: number): void {
  words[index] = value >>> 0
  words[index + 1] = Math.floor(value / 2 ** 32)
}

function wordAt(words: Uint32Array, index: number): number {
  return words[index] ?? 0
}

/** A `size_t` or pointer; imprecise beyond 2^53, where no real one is. */
function longAt(words: Uint32Array, index: number): number {
  return wordAt(words, index) + wordAt(words, index + 1) * 2 ** 32
}

/** Writes the request struct and its headers, which point into the payload at `at`; gives the struct's address. */
function layOut(arena: Arena, content: Block, at: number): Address {
  const { words } = content
  const head = at / 4
  const methodBytes = wordAt(words, head)
  const targetBytes = wordAt(words, head + 1)
  const strings = wordAt(words, head + 2)
  const struct = arena.take(REQUEST_BYTES + (strings / 2) * FIELD_BYTES, 8)
  const { words: out, address: base } = arena.block
  const method = content.address + at + (CALL_HEAD_WORDS + strings) * 4
  const target = method + methodBytes + 1
  let text = target + targetBytes
  const first = (struct - base) / 4
  let to = first + REQUEST_BYTES / 4
  for (let index = 0; index < strings; index += 1) {
    const bytes = wordAt(words, head + CALL_HEAD_WORDS + index)
    putPointer(out, to, text)
    putPointer(out, to + 2, bytes)
    text += bytes
    to += FIELD_WORDS / 2
  }
  putPointer(out, first, target)
  putPointer(out, first + 2, targetBytes)
  putPointer(out, first + 4, method)
  putPointer(out, first + 6, methodBytes)
  // Never NULL: without content it points behind the last field.
  putPointer(out, first + 8, text)
  putPointer(out, first + 10, wordAt(words, head + 3))
  putPointer(out, first + 12, struct + REQUEST_BYTES)
  putPointer(out, first + 14, strings / 2)
  return struct
}

/**
 * Makes the copier of responses. Pointers are followed only where their length is not 0:
 * libraries leave them uninitialised otherwise.
 */
function createAnswer(
  arena: Arena,
  ownFrameBytes: number,
): (id: number, response: Address, callMicros: number) => Buffer {
  const struct = createBlock(RESPONSE_BYTES)
  const headers = createBlock(RESPONSE_FIELDS_MAX * FIELD_BYTES)
  let kept = createBlock(Math.min(FRAME_BYTES, ownFrameBytes))
  const frameOfBytes = (bytes: number): Block => {
    if (bytes <= kept.bytes.length) return kept
    const frame = createBlock(bytes)
    if (bytes <= ownFrameBytes) kept = frame
    return frame
  }
  return (id, response, callMicros) => {
    copyMemory(struct.address, response, RESPONSE_BYTES)
    const status = longAt(struct.words, 8)
    const reasonBytes = status === 0 ? 0 : bounded(REASON_LENGTH, struct.words)
    const bodyBytes = bounded(BODY_LENGTH, struct.words)
    const strings = bounded(HEADERS_LENGTH, struct.words) * 2
    if (strings > 0) copyMemory(headers.address, longAt(struct.words, 4), (strings / 2) * FIELD_BYTES)
    const textAt = HEAD_BYTES + (RESULT_WORDS.count + strings) * 4
    const total = textAt + reasonBytes + sumOfLengths(headers.words, strings) + bodyBytes
    const frame = frameOfBytes(total)
    writeFrameHead(frame.bytes, 0, { kind: FROM_CHILD.result, id, bytes: total - HEAD_BYTES })
    const { words } = frame
    words[RESULT_AT + RESULT_WORDS.status] = Math.min(status, STATUS_MAX)
    words[RESULT_AT + RESULT_WORDS.callMicros] = callMicros
    words[RESULT_AT + RESULT_WORDS.preAlloc] = arena.preAllocated
    words[RESULT_AT + RESULT_WORDS.alloc] = arena.capacity
    words[RESULT_AT + RESULT_WORDS.fieldStrings] = strings
    words[RESULT_AT + RESULT_WORDS.reasonBytes] = reasonBytes
    words[RESULT_AT + RESULT_WORDS.bodyBytes] = bodyBytes
    let to = frame.address + textAt
    if (reasonBytes > 0) copyMemory(to, longAt(struct.words, 10), reasonBytes)
    to = copyFields(headers.words, strings, { words, to: to + reasonBytes })
    if (bodyBytes > 0) copyMemory(to, longAt(struct.words, 0), bodyBytes)
    return frame.bytes.subarray(0, total)
  }
}

/** Copies names and values one behind the other, and notes their lengths; gives the address behind the last. */
function copyFields(
  fields: Uint32Array,
  strings: number,
  { words, to }: { readonly words: Uint32Array; readonly to: Address },
): Address {
  let at = to
  for (let index = 0; index < strings; index += 1) {
    const bytes = longAt(fields, index * 4 + 2)
    words[RESULT_AT + RESULT_WORDS.count + index] = bytes
    if (bytes > 0) copyMemory(at, longAt(fields, index * 4), bytes)
    at += bytes
  }
  return at
}

function sumOfLengths(words: Uint32Array, strings: number): number {
  let sum = 0
  for (let index = 0; index < strings; index += 1) {
    const at = index * 4 + 2
    sum += longAt(words, at)
    if (sum <= RESPONSE_FIELD_BYTES_MAX) continue
    const name = `${index % 2 === 0 ? 'name_len' : 'value_len'} of header ${(index >> 1) + 1}`
    bounded({ name, at, max: RESPONSE_FIELD_BYTES_MAX }, words)
    throw new Error(`the headers of the response have more than ${RESPONSE_FIELD_BYTES_MAX} bytes`)
  }
  return sum
}

/** A length in the response, and what it may be. */
interface Bound {
  readonly name: string
  /** Word where the length is. */
  readonly at: number
  readonly max: number
}

function bounded({ name, at, max }: Bound, words: Uint32Array): number {
  const value = longAt(words, at)
  if (value <= max) return value
  const exact = BigInt(wordAt(words, at)) + (BigInt(wordAt(words, at + 1)) << 32n)
  throw new Error(`${name} of the response is ${exact}, more than ${max}`)
}

/** A frame of text, for everything but results. */
export function frameOf(kind: number, id: number, text: string): Buffer {
  const payload = Buffer.from(text)
  const frame = Buffer.allocUnsafe(HEAD_BYTES + payload.length)
  frame.set(payload, writeFrameHead(frame, 0, { kind, id, bytes: payload.length }))
  return frame
}
