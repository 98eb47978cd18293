import { createArena, createZigAllocator, type Arena } from './zig-allocator.ts'
import { addressOf, allocate, copyMemory, findFunction, openLibrary, type Address } from './memory.ts'
import {
  CALL_HEAD_WORDS,
  FROM_CHILD,
  HEAD_BYTES,
  RESULT_WORDS,
  STATUS_MAX,
  type Loaded,
  type Setup,
  type ZigVtable,
} from './wire.ts'

/** Sizes of the C structs, 64-bit; `include/flexi.h` asserts the same. */
const REQUEST_BYTES = 64
const RESPONSE_BYTES = 56
const FIELD_BYTES = 32
const FIELD_WORDS = FIELD_BYTES / 4

/** Memory that a thread keeps between requests; what a larger one needed is given back. */
const KEPT_BYTES = 1024 * 1024
const RESPONSE_FIELDS_MAX = 1_000
const RESPONSE_FIELD_BYTES_MAX = 1024 * 1024
/** What one frame of the channel can carry, less its head and fields. */
const RESPONSE_BODY_BYTES_MAX = 1000 * 1024 * 1024

/** One thread's way into the library: memory for a request and its answer, and the call between them. Belongs to the thread that made it. */
export interface Caller {
  readonly loaded: Loaded
  /** Where the next request's payload goes; valid until the next `room`. */
  room(bytes: number): Buffer
  /** Runs the library on the payload in `room`, and gives the answer's whole frame; valid until the next `call`. */
  call(id: number, payloadBytes: number): Buffer
}

interface Library {
  handle(request: Address): Address
  init?: ((allocator: Address) => void) | undefined
  deinit?: (() => void) | undefined
  /** What it was compiled with, as it says. */
  readonly zig: ZigVtable
}

/** Memory with its address, grown on demand; its content is not kept. */
interface Region {
  bytes: Buffer
  words: Uint32Array
  address: Address
}

/** @throws Error when the library cannot be loaded or lacks `handle_request`; the message is the dynamic loader's. */
export function createCaller({ library: path, zig, preallocationKb }: Omit<Setup, 'recorder'>): Caller {
  const library = bind(path)
  const arena = createArena(preallocationKb)
  const allocator = library.init === undefined ? undefined : createZigAllocator(arena, zig ?? library.zig)
  const content = region(64 * 1024)
  const structs = region(4096)
  const answer = createAnswer(arena)
  const invoke = (id: number, payloadBytes: number): Buffer => {
    arena.count(payloadBytes)
    const request = layOut(content, structs)
    if (allocator !== undefined) library.init?.(allocator.address)
    const startedAt = performance.now()
    const response = library.handle(request)
    const callMicros = Math.round((performance.now() - startedAt) * 1000)
    if (response === 0) return frameOf(FROM_CHILD.nothing, id, '')
    try {
      return answer(id, response, callMicros)
    } catch (error) {
      return frameOf(FROM_CHILD.invalid, id, error instanceof Error ? error.message : String(error))
    } finally {
      // After the copy and before the write: nothing of the library's is looked at any more.
      library.deinit?.()
    }
  }
  return {
    loaded: { zigInit: library.init !== undefined, requestDeinit: library.deinit !== undefined },
    room: (bytes) => grow(content, bytes + 1).bytes,
    call(id, payloadBytes) {
      try {
        return invoke(id, payloadBytes)
      } finally {
        arena.reset()
      }
    },
  }
}

function bind(path: string): Library {
  const library = openLibrary(path)
  const handle = findFunction(library, 'handle_request', { result: 'size_t', parameters: ['size_t'] })
  if (handle === undefined) throw new Error('it does not export handle_request')
  const minor = findFunction(library, 'flexi_zig_minor', { result: 'uint32_t', parameters: [] })
  return {
    handle,
    zig: (minor?.() ?? 0) < 14 ? '0.13' : '0.14',
    init: findFunction(library, 'zigInit', { result: 'void', parameters: ['size_t'] }),
    deinit: findFunction(library, 'request_deinit', { result: 'void', parameters: [] }),
  }
}

function region(bytes: number): Region {
  const memory = allocate(bytes)
  return { bytes: memory, words: wordsOf(memory), address: addressOf(memory) }
}

function wordsOf(memory: Buffer): Uint32Array {
  return new Uint32Array(memory.buffer, memory.byteOffset, memory.length >>> 2)
}

function grow(target: Region, bytes: number): Region {
  const fits = bytes <= target.bytes.length && (bytes > KEPT_BYTES || target.bytes.length <= KEPT_BYTES)
  if (!fits) Object.assign(target, region(Math.max(bytes, 64 * 1024)))
  return target
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

/** Writes the request struct and its headers, which point into the payload; gives the struct's address. */
function layOut(content: Region, structs: Region): Address {
  const { words } = content
  const methodBytes = wordAt(words, 0)
  const targetBytes = wordAt(words, 1)
  const strings = wordAt(words, 2)
  const { words: out, address } = grow(structs, REQUEST_BYTES + (strings / 2) * FIELD_BYTES)
  const method = content.address + (CALL_HEAD_WORDS + strings) * 4
  const target = method + methodBytes + 1
  let text = target + targetBytes
  let at = REQUEST_BYTES / 4
  for (let index = 0; index < strings; index += 1) {
    const bytes = wordAt(words, CALL_HEAD_WORDS + index)
    putPointer(out, at, text)
    putPointer(out, at + 2, bytes)
    text += bytes
    at += FIELD_WORDS / 2
  }
  putPointer(out, 0, target)
  putPointer(out, 2, targetBytes)
  putPointer(out, 4, method)
  putPointer(out, 6, methodBytes)
  // Never NULL: without content it points behind the last field, inside the region.
  putPointer(out, 8, text)
  putPointer(out, 10, wordAt(words, 3))
  putPointer(out, 12, address + REQUEST_BYTES)
  putPointer(out, 14, strings / 2)
  return address
}

/**
 * Makes the copier of responses. Pointers are followed only where their length is not 0:
 * libraries leave them uninitialised otherwise.
 */
function createAnswer(arena: Arena): (id: number, response: Address, callMicros: number) => Buffer {
  const struct = region(RESPONSE_BYTES)
  const headers = region(32 * FIELD_BYTES)
  const frame = region(64 * 1024)
  return (id, response, callMicros) => {
    copyMemory(struct.address, response, RESPONSE_BYTES)
    const status = longAt(struct.words, 8)
    const reasonBytes = status === 0 ? 0 : bounded('reason_len', longAt(struct.words, 12), 8192)
    const bodyBytes = bounded('len', longAt(struct.words, 2), RESPONSE_BODY_BYTES_MAX)
    const count = bounded('headers_len', longAt(struct.words, 6), RESPONSE_FIELDS_MAX)
    grow(headers, count * FIELD_BYTES)
    if (count > 0) copyMemory(headers.address, longAt(struct.words, 4), count * FIELD_BYTES)
    const lengthsAt = HEAD_BYTES / 4 + RESULT_WORDS.count
    const textAt = (lengthsAt + count * 2) * 4
    const fieldBytes = sumOfLengths(headers.words, count * 2)
    const total = textAt + reasonBytes + fieldBytes + bodyBytes
    const { words } = grow(frame, total)
    writeHead(words, { kind: FROM_CHILD.result, id, payloadBytes: total - HEAD_BYTES })
    const head = [Math.min(status, STATUS_MAX), callMicros, arena.preAllocated, arena.capacity, count * 2]
    words.set(head, HEAD_BYTES / 4)
    words[HEAD_BYTES / 4 + RESULT_WORDS.reasonBytes] = reasonBytes
    words[HEAD_BYTES / 4 + RESULT_WORDS.bodyBytes] = bodyBytes
    let to = frame.address + textAt
    if (reasonBytes > 0) copyMemory(to, longAt(struct.words, 10), reasonBytes)
    to += reasonBytes
    for (let index = 0; index < count * 2; index += 1) {
      const bytes = longAt(headers.words, index * 4 + 2)
      words[lengthsAt + index] = bytes
      if (bytes > 0) copyMemory(to, longAt(headers.words, index * 4), bytes)
      to += bytes
    }
    if (bodyBytes > 0) copyMemory(to, longAt(struct.words, 0), bodyBytes)
    return frame.bytes.subarray(0, total)
  }
}

function sumOfLengths(words: Uint32Array, strings: number): number {
  let sum = 0
  for (let index = 0; index < strings; index += 1) {
    sum += longAt(words, index * 4 + 2)
    bounded('the length of all headers', sum, RESPONSE_FIELD_BYTES_MAX)
  }
  return sum
}

function bounded(name: string, value: number, max: number): number {
  if (value > max) throw new Error(`${name} of the response is ${value}, more than ${max}`)
  return value
}

function writeHead(
  words: Uint32Array,
  { kind, id, payloadBytes }: { kind: number; id: number; payloadBytes: number },
): void {
  words[0] = payloadBytes
  words[1] = kind
  words[2] = id
}

/** A frame of text, for everything but results. */
export function frameOf(kind: number, id: number, text: string): Buffer {
  const payload = Buffer.from(text)
  const frame = Buffer.allocUnsafe(HEAD_BYTES + payload.length)
  frame.writeUInt32LE(payload.length, 0)
  frame.writeUInt32LE(kind, 4)
  frame.writeUInt32LE(id, 8)
  frame.set(payload, HEAD_BYTES)
  return frame
}
