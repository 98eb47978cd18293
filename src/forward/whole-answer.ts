import type { ServerResponse } from 'node:http'

import { writeHead } from './client-side.ts'
import { fieldValue } from './request-line.ts'

export interface AnswerHead {
  readonly status: number
  readonly reason: string
  readonly fields: string[]
}

/** Up to here one string for head and content costs less than two buffers in one write. */
const STRING_BYTES_MAX = 16 * 1024

/** Writes an answer that has come whole and has no trailers: with its length, and in one write when it is short. A string is Latin-1. */
export function writeWhole(
  outgoing: ServerResponse,
  head: AnswerHead,
  content: string | Buffer | undefined,
): void {
  const length = content?.length ?? 0
  if (lacksLength(outgoing, head)) head.fields.push('Content-Length', String(length))
  writeHead(outgoing, head)
  if (content === undefined || length > STRING_BYTES_MAX || outgoing.req.httpVersionMajor !== 1) {
    outgoing.end(typeof content === 'string' ? Buffer.from(content, 'latin1') : content)
    return
  }
  outgoing.write(typeof content === 'string' ? content : content.toString('latin1'), 'latin1')
  // Written now, it leaves alone; left to end(), an empty string joins it, and the two cost a gathering write.
  outgoing.socket?.uncork()
  outgoing.end()
}

function lacksLength({ req }: ServerResponse, { status, fields }: AnswerHead): boolean {
  return (
    status !== 204 &&
    status !== 304 &&
    req.method !== 'HEAD' &&
    fieldValue(fields, 'content-length') === undefined &&
    fieldValue(fields, 'trailer') === undefined
  )
}
