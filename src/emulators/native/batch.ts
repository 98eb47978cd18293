import type { Flight } from './dispatcher.ts'
import { HEAD_BYTES, TO_CHILD, writeCallHead, writeContent, writeFrameHead, type Call } from './wire.ts'

/** Content up to here is copied behind its head, so that all calls of a batch are one write; more is written from where it is. */
const COPIED_BYTES_MAX = 16 * 1024

/** Whole frames one behind the other: in one piece, interrupted by contents that are too large to copy. */
export function encodeBatch(batch: readonly Flight[]): readonly Uint8Array[] {
  let bytes = 0
  for (const { call } of batch)
    bytes += HEAD_BYTES + call.headBytes + (isCopied(call) ? call.contentBytes : 0)
  const buffer = Buffer.allocUnsafe(bytes)
  const parts: Uint8Array[] = []
  let from = 0
  let at = 0
  for (const { id, call } of batch) {
    at = writeFrameHead(buffer, at, { kind: TO_CHILD.call, id, bytes: call.headBytes + call.contentBytes })
    at = writeCallHead(call, buffer, at)
    if (isCopied(call)) at = writeContent(call, buffer, at)
    else {
      parts.push(buffer.subarray(from, at), ...call.content)
      from = at
    }
  }
  if (from === 0) return [buffer]
  parts.push(buffer.subarray(from))
  return parts
}

function isCopied({ contentBytes }: Call): boolean {
  return contentBytes <= COPIED_BYTES_MAX
}
