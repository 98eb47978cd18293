import { addressOf, allocate, functionPointer, type Address } from './memory.ts'
import type { ZigVtable } from './wire.ts'

/** Bytes of bookkeeping Zig's arena adds to each of its blocks. */
const BLOCK_HEAD_BYTES = 16

/**
 * Memory of one request: handed out in order, taken back as a whole by `reset`.
 * Capacity is what Zig's `ArenaAllocator` would hold, so that the access log's numbers can be compared with FlexiLib's.
 */
export interface Arena {
  /** Address of `bytes` bytes; `align` is a power of two. */
  take(bytes: number, align: number): Address
  /** Counts memory that the request holds elsewhere: its own head and content. */
  count(bytes: number): void
  reset(): void
  readonly capacity: number
  readonly preAllocated: number
}

/** Capacity of a block that Zig's arena makes for `bytes` more than `capacity`. */
function blockBytes(capacity: number, bytes: number, align: number): number {
  const wanted = capacity + bytes + align + 2 * BLOCK_HEAD_BYTES
  return wanted + Math.floor(wanted / 2) - BLOCK_HEAD_BYTES
}

export function createArena(preallocationKb: number): Arena {
  const preAllocated = preallocationKb === 0 ? 0 : blockBytes(0, preallocationKb * 1024, 1)
  let capacity = preAllocated
  let used = 0
  let block = allocate(0)
  let start = addressOf(block)
  let offset = 0
  // Blocks that a pointer of the running request may lead to.
  const full: Buffer[] = []

  const count = (bytes: number, align: number): void => {
    if (used + bytes + align > capacity) capacity += blockBytes(capacity, bytes, align)
    used += bytes
  }
  return {
    take(bytes, align) {
      count(bytes, align)
      let at = Math.ceil((start + offset) / align) * align - start
      if (at + bytes > block.length) {
        full.push(block)
        block = allocate(Math.max(capacity, bytes + align))
        start = addressOf(block)
        at = Math.ceil(start / align) * align - start
      }
      offset = at + bytes
      return start + at
    },
    count: (bytes) => count(bytes, 0),
    reset() {
      used = 0
      offset = 0
      full.length = 0
    },
    get capacity() {
      return capacity
    },
    preAllocated,
  }
}

/**
 * A Zig `std.mem.Allocator` value over an arena, usable on this thread only.
 * Zig leaves its calling convention open; functions of these shapes follow the C one on every compiler back end tried (docs/native.md).
 * @returns the address to hand to `zigInit`, and what must stay referenced meanwhile.
 */
export function createZigAllocator(arena: Arena, version: ZigVtable): { address: Address; memory: Buffer } {
  const alloc = functionPointer(
    (_context, bytes = 0, alignLog2 = 0) => takeOrNull(arena, bytes, 2 ** alignLog2),
    'size_t',
    ['size_t', 'size_t', 'uint8_t', 'size_t'],
  )
  // The third and fifth value of both: the bytes there are, and the bytes wanted. Growing in place is refused and freeing does nothing, as an arena may: the request's end frees all.
  const resize = functionPointer((...values) => (fits(values) ? 1 : 0), 'uint8_t', [
    'size_t',
    'size_t',
    'size_t',
    'uint8_t',
    'size_t',
    'size_t',
  ])
  const remap = functionPointer((...values) => (fits(values) ? (values[1] ?? 0) : 0), 'size_t', [
    'size_t',
    'size_t',
    'size_t',
    'uint8_t',
    'size_t',
    'size_t',
  ])
  const free = functionPointer(() => 0, 'size_t', ['size_t', 'size_t', 'size_t', 'uint8_t', 'size_t'])
  const vtable = version === '0.13' ? [alloc, resize, free] : [alloc, resize, remap, free]
  const memory = allocate(16 + vtable.length * 8)
  const address = addressOf(memory)
  memory.writeBigUInt64LE(BigInt(address), 0)
  memory.writeBigUInt64LE(BigInt(address + 16), 8)
  for (const [index, pointer] of vtable.entries()) memory.writeBigUInt64LE(BigInt(pointer), 16 + index * 8)
  return { address, memory }
}

/** NULL is how an allocator says that there is no more. */
function takeOrNull(arena: Arena, bytes: number, align: number): Address {
  try {
    return arena.take(bytes, align)
  } catch {
    return 0
  }
}

function fits(values: readonly number[]): boolean {
  return (values[4] ?? 0) <= (values[2] ?? 0)
}
