import type { Duplex } from 'node:stream'

/**
 * Frames between the server and a child, over a socket pair that the child inherits as fd 3.
 *
 *     payload length u32 LE | kind u8 | 3 bytes zero | id u32 LE | payload
 *
 * Binary frames cost half of Node's JSON IPC and carry bodies untouched. What `kind` means is the emulator's business.
 */
export interface Frame {
  readonly kind: number
  readonly id: number
  /** Not shared with any other frame's reader; may be kept. */
  readonly payload: Buffer
}

/** One part, or several that the receiver sees as one. Text is sent as UTF-8. */
export type FramePayload = string | Uint8Array | readonly (string | Uint8Array)[]

export interface Channel {
  /** False when the peer reads slower than we write; wait for `drained()` before sending more of a stream. */
  send(kind: number, id: number, payload?: FramePayload): boolean
  drained(): Promise<void>
  /** Ends our side after what was sent. */
  end(): void
  readonly closed: Promise<void>
}

export const CHANNEL_FD = 3

const HEAD_BYTES = 12
/** Below this, one copy into one write is cheaper than a second system call. */
const COPY_BYTES_MAX = 16 * 1024
/** A length beyond this is a broken peer, not a message. */
const PAYLOAD_BYTES_MAX = 1024 * 1024 * 1024

export function openChannel(stream: Duplex, onFrame: (frame: Frame) => void): Channel {
  const read = createFrameReader(onFrame)
  stream.on('data', (chunk: Buffer) => {
    try {
      read(chunk)
    } catch (error) {
      stream.destroy(error instanceof Error ? error : undefined)
    }
  })
  // A peer that dies resets the pair; its exit is what its owner reports.
  stream.on('error', () => undefined)
  const closed = new Promise<void>((resolve) => stream.once('close', () => resolve()))
  return {
    send: (kind, id, payload = '') => stream.writable && writeFrame(stream, { kind, id, payload }),
    drained: () =>
      new Promise((resolve) => (stream.writableNeedDrain ? onceEither(stream, resolve) : resolve())),
    end: () => void stream.end(),
    closed,
  }
}

function onceEither(stream: Duplex, done: () => void): void {
  const settle = (): void => {
    stream.off('drain', settle)
    stream.off('close', settle)
    done()
  }
  stream.on('drain', settle)
  stream.on('close', settle)
}

function writeFrame(stream: Duplex, frame: { kind: number; id: number; payload: FramePayload }): boolean {
  const parts = partsOf(frame.payload)
  const sizes = parts.map((part) => (typeof part === 'string' ? Buffer.byteLength(part) : part.byteLength))
  const total = sizes.reduce((sum, size) => sum + size, 0)
  // Text is encoded straight behind the head, whatever its size: that is the one copy it needs.
  const inline = total <= COPY_BYTES_MAX || parts.every((part) => typeof part === 'string')
  const head = Buffer.allocUnsafe(HEAD_BYTES + (inline ? total : 0))
  head.writeUInt32LE(total, 0)
  head.writeUInt32LE(frame.kind, 4)
  head.writeUInt32LE(frame.id, 8)
  if (!inline) return writeApart(stream, head, parts)
  let offset = HEAD_BYTES
  for (const [index, part] of parts.entries()) {
    if (typeof part === 'string') head.write(part, offset)
    else head.set(part, offset)
    offset += sizes[index] ?? 0
  }
  return stream.write(head)
}

function writeApart(stream: Duplex, head: Buffer, parts: readonly (string | Uint8Array)[]): boolean {
  stream.cork()
  let flowing = stream.write(head)
  for (const part of parts) if (part.length > 0) flowing = stream.write(part)
  stream.uncork()
  return flowing
}

function partsOf(payload: FramePayload): readonly (string | Uint8Array)[] {
  return typeof payload === 'string' || payload instanceof Uint8Array ? [payload] : payload
}

/** Takes a byte stream in any split and hands out whole frames. A frame inside one chunk is not copied. */
export function createFrameReader(onFrame: (frame: Frame) => void): (chunk: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0)
  let partial: { kind: number; id: number; payload: Buffer; filled: number } | undefined

  const fill = (chunk: Buffer): number => {
    if (partial === undefined) return 0
    const taken = chunk.copy(partial.payload, partial.filled, 0)
    partial.filled += taken
    if (partial.filled === partial.payload.length) {
      const { kind, id, payload } = partial
      partial = undefined
      onFrame({ kind, id, payload })
    }
    return taken
  }

  return (chunk) => {
    let offset = fill(chunk)
    if (partial !== undefined) return
    const data = rest.length === 0 ? chunk.subarray(offset) : Buffer.concat([rest, chunk.subarray(offset)])
    offset = 0
    while (data.length - offset >= HEAD_BYTES) {
      const length = data.readUInt32LE(offset)
      if (length > PAYLOAD_BYTES_MAX) throw new Error(`frame of ${length} bytes`)
      const kind = data.readUInt32LE(offset + 4)
      const id = data.readUInt32LE(offset + 8)
      const start = offset + HEAD_BYTES
      if (data.length - start < length) {
        partial = { kind, id, payload: Buffer.allocUnsafe(length), filled: 0 }
        rest = Buffer.alloc(0)
        fill(data.subarray(start))
        return
      }
      onFrame({ kind, id, payload: data.subarray(start, start + length) })
      offset = start + length
    }
    rest = data.subarray(offset)
  }
}
