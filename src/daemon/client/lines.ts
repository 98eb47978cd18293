import type { Readable } from 'node:stream'

import { FlexiError } from '../../core/errors.ts'

/** Longer than any event may be: what sends more is no daemon. */
const LINE_BYTES_MAX = 4 * 1024 * 1024

/**
 * The values of a stream of JSON lines, each as soon as it is whole; empty lines keep a connection alive and are left out.
 * @throws FlexiError FLEXI_DAEMON for a line that is no JSON, or is too long; what the stream itself fails with.
 */
export async function* jsonLines(content: Readable): AsyncGenerator<unknown, void, undefined> {
  let rest: Buffer[] = []
  let waiting = 0
  for await (const chunk of content as AsyncIterable<Buffer>) {
    let from = 0
    for (let end = chunk.indexOf(LINE_END); end !== -1; end = chunk.indexOf(LINE_END, from)) {
      const line = Buffer.concat([...rest, chunk.subarray(from, end)]).toString('utf8')
      from = end + 1
      rest = []
      waiting = 0
      if (line.trim() !== '') yield parsed(line)
    }
    if (from < chunk.length) rest.push(chunk.subarray(from))
    waiting += chunk.length - from
    if (waiting > LINE_BYTES_MAX) throw new FlexiError('FLEXI_DAEMON', 'the daemon sent a line without end')
  }
  const last = Buffer.concat(rest).toString('utf8')
  if (last.trim() !== '') yield parsed(last)
}

const LINE_END = 0x0a

function parsed(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch (cause) {
    throw new FlexiError('FLEXI_DAEMON', `the daemon sent a line that is no JSON: ${line.slice(0, 80)}`, {
      cause,
    })
  }
}
