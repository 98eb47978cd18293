import type { Arena } from './arena.ts'
import { addressOf, allocate, functionPointer, type Address } from './memory.ts'
import type { ZigVtable } from './wire.ts'

export interface ZigAllocator {
  /** Of the `std.mem.Allocator` value. */
  readonly address: Address
  /** The value and its table; they have to stay referenced as long as the library may use them. */
  readonly memory: Buffer
  release(): void
}

/** `(context, memory pointer, memory length, log2 of the alignment, new length, return address)` */
const REMAKE = ['size_t', 'size_t', 'size_t', 'uint8_t', 'size_t', 'size_t']

/**
 * A Zig `std.mem.Allocator` value over an arena, usable on this thread only.
 * Zig leaves its calling convention open; functions of these shapes follow the C one on every compiler back end tried (docs/native.md).
 */
export function createZigAllocator(arena: Arena, version: ZigVtable): ZigAllocator {
  const alloc = functionPointer(
    (_context, bytes = 0, alignLog2 = 0) => takeOrNull(arena, lengthOf(bytes), 2 ** alignLog2),
    'size_t',
    ['size_t', 'size_t', 'uint8_t', 'size_t'],
  )
  const resize = functionPointer((...values) => (resized(arena, values) ? 1 : 0), 'uint8_t', REMAKE)
  // It may move memory, and an arena gains nothing by that: NULL tells Zig to allocate and copy.
  const remap = functionPointer(
    (...values) => (resized(arena, values) ? (values[1] ?? 0) : 0),
    'size_t',
    REMAKE,
  )
  const free = functionPointer(
    (_context, address = 0, bytes = 0) => Number(arena.resize(address, bytes, 0)),
    'size_t',
    ['size_t', 'size_t', 'size_t', 'uint8_t', 'size_t'],
  )
  const functions = version === '0.13' ? [alloc, resize, free] : [alloc, resize, remap, free]
  const vtable = functions.map(({ address }) => address)
  const memory = allocate(16 + vtable.length * 8)
  const address = addressOf(memory)
  // The context is never looked at; that it points somewhere keeps debuggers content.
  for (const [index, pointer] of [address, address + 16, ...vtable].entries())
    memory.writeBigUInt64LE(BigInt(pointer), index * 8)
  return {
    address,
    memory,
    release: () => {
      for (const pointer of [alloc, resize, remap, free]) pointer.release()
    },
  }
}

/** koffi hands lengths beyond 2^53 out as bigint, and those beyond 2^63 as negative numbers, whatever their type says. */
function lengthOf(value: number): number {
  return value < 0 ? Infinity : Number(value)
}

/** NULL is how an allocator says that there is no more. */
function takeOrNull(arena: Arena, bytes: number, align: number): Address {
  try {
    return arena.take(bytes, align)
  } catch {
    return 0
  }
}

function resized(arena: Arena, [, address = 0, bytes = 0, , wanted = 0]: readonly number[]): boolean {
  return arena.resize(address, bytes, lengthOf(wanted))
}
