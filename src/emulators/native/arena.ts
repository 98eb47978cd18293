import { addressOf, allocate, type Address } from './memory.ts'

/** Bytes of bookkeeping that Zig's arena has in each of its blocks. */
const BLOCK_HEAD_BYTES = 16
/** What a thread keeps between requests beyond what it started with; a request that needed more gives it back. */
const KEPT_BYTES = 1024 * 1024

/** One piece of memory. `words` is the same bytes; both start at `address`, which is a multiple of 16. */
export interface Block {
  readonly bytes: Buffer
  readonly words: Uint32Array
  readonly address: Address
}

/**
 * Memory of one request: handed out in order, taken back as a whole by `reset`.
 * It grows as Zig's `ArenaAllocator` does, so that the access log's numbers are those of FlexiLib.
 */
export class Arena {
  /** What it holds before the first request. */
  readonly preAllocated: number
  /** Blocks that a pointer of the running request may lead to; the last one is being filled. */
  readonly #blocks: Block[] = []
  #block: Block = createBlock(0)
  /** Bytes taken of the last block. */
  #used = 0
  /** Of the last block: what remains of it, `createBlock` may give more than was asked for. */
  #limit = 0
  #capacity = 0

  /** `preallocationKb` is RESPONSE_PREALLOCATION_KB: 1 makes 1569 bytes. */
  constructor(preallocationKb: number) {
    this.preAllocated = preallocationKb === 0 ? 0 : grownBytes(0, preallocationKb * 1024 + 1)
    this.#hold(this.preAllocated)
  }

  /** Bytes it holds. */
  get capacity(): number {
    return this.#capacity
  }

  /** The block that the last `take` took from. */
  get block(): Block {
    return this.#block
  }

  /** Address of `bytes` bytes; `align` is a power of two. @throws RangeError when there is no such memory. */
  take(bytes: number, align: number): Address {
    let at = this.#place(bytes, align)
    if (at === undefined) {
      this.#add(grownBytes(this.#limit, bytes + align))
      at = this.#place(bytes, align) ?? 0
    }
    this.#used = at + bytes
    return this.#block.address + at
  }

  /** Whether what was taken can be `wanted` bytes long where it is: less always, more while nothing was taken after it. */
  resize(address: Address, bytes: number, wanted: number): boolean {
    const at = address - this.#block.address
    if (at < 0 || at + bytes !== this.#used) return wanted <= bytes
    if (at + wanted > this.#limit) return false
    this.#used = at + wanted
    return true
  }

  /** Everything is free again. What was needed stays for the next request, in one block. */
  reset(): void {
    this.#used = 0
    if (this.#blocks.length <= 1 && this.#capacity <= this.preAllocated + KEPT_BYTES) return
    this.#blocks.length = 0
    this.#hold(this.#capacity <= this.preAllocated + KEPT_BYTES ? this.#capacity : this.preAllocated)
  }

  #place(bytes: number, align: number): number | undefined {
    const from = this.#block.address + this.#used
    const at = Math.ceil(from / align) * align - this.#block.address
    return at + bytes <= this.#limit ? at : undefined
  }

  #add(bytes: number): void {
    this.#block = createBlock(bytes)
    this.#limit = bytes
    this.#used = 0
    this.#capacity += bytes
    this.#blocks.push(this.#block)
  }

  /** One block instead of those there are. */
  #hold(bytes: number): void {
    this.#capacity = 0
    this.#limit = 0
    if (bytes > 0) this.#add(bytes)
    else this.#block = createBlock(0)
  }
}

/** What Zig's arena can hand out of a block that it makes after one of `previous` bytes for `bytes` more. */
function grownBytes(previous: number, bytes: number): number {
  const wanted = previous + bytes + 2 * BLOCK_HEAD_BYTES
  return wanted + Math.floor(wanted / 2) - BLOCK_HEAD_BYTES
}

export function createBlock(bytes: number): Block {
  const memory = allocate(Math.ceil(bytes / 4) * 4)
  const words = new Uint32Array(memory.buffer, memory.byteOffset, memory.length >>> 2)
  return { bytes: memory, words, address: addressOf(memory) }
}
