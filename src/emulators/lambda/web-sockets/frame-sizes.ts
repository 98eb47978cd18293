/** Bytes of a frame's head that tell its length: two, and up to eight more. */
const HEAD_BYTES_MAX = 10
const MASK_BYTES = 4

/**
 * Reads along on a client's bytes and tells of a frame that is larger than it may be, as soon as its head is there.
 * A WebSocket library counts whole messages only. Source: RFC 6455 section 5.2.
 */
export class FrameSizes {
  readonly #bytesMax: number
  readonly #head = Buffer.alloc(HEAD_BYTES_MAX)
  #headBytes = 0
  /** Bytes to pass over until the next frame begins. */
  #rest = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  /** False once a frame is too large: nothing after it is looked at any more. */
  take(chunk: Buffer): boolean {
    let at = 0
    while (at < chunk.length) {
      const passed = Math.min(this.#rest, chunk.length - at)
      this.#rest -= passed
      at += passed
      if (at === chunk.length) return true
      this.#head[this.#headBytes] = chunk[at] ?? 0
      this.#headBytes += 1
      at += 1
      const length = this.#length()
      if (length === undefined) continue
      if (length > this.#bytesMax) return false
      this.#headBytes = 0
      this.#rest = length + MASK_BYTES
    }
    return true
  }

  /** Undefined until enough of the head is there. */
  #length(): number | undefined {
    if (this.#headBytes < 2) return undefined
    const short = (this.#head[1] ?? 0) & 0x7f
    if (short < 126) return short
    if (short === 126) return this.#headBytes < 4 ? undefined : this.#head.readUInt16BE(2)
    return this.#headBytes < HEAD_BYTES_MAX ? undefined : Number(this.#head.readBigUInt64BE(2))
  }
}
