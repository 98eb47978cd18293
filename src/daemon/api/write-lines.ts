import { once } from 'node:events'
import type { ServerResponse } from 'node:http'

import { beginLines } from './write-answer.ts'

/** After so long without a line, an empty one tells that the connection lives. */
const SIGN_OF_LIFE_MS = 15_000

/** How long a stream may take to its first value before its head is sent: until then an error is an answer of its own. */
const FIRST_VALUE_MS = 2_000

export interface LinesOptions {
  /** Aborts when nobody reads any more. */
  readonly signal: AbortSignal
  /** The line that an error becomes once the head is sent; undefined breaks the answer off. */
  failure(error: unknown): unknown
}

/**
 * Writes a JSON value a line, as fast as the client reads. Rejects with what the values throw while the head is not sent; then the
 * answer can still be an error.
 */
export async function writeLines(
  outgoing: ServerResponse,
  values: AsyncIterable<unknown>,
  options: LinesOptions,
): Promise<void> {
  const { signal } = options
  const head = setTimeout(() => beginLines(outgoing), FIRST_VALUE_MS)
  const life = setInterval(() => signOfLife(outgoing), SIGN_OF_LIFE_MS)
  try {
    for await (const value of values) {
      if (signal.aborted) break
      beginLines(outgoing)
      life.refresh()
      if (!outgoing.write(`${JSON.stringify(value)}\n`)) await once(outgoing, 'drain', { signal })
    }
    beginLines(outgoing)
    outgoing.end()
  } catch (error) {
    fail(outgoing, error, options)
  } finally {
    clearTimeout(head)
    clearInterval(life)
  }
}

function signOfLife(outgoing: ServerResponse): void {
  if (outgoing.headersSent && !outgoing.writableNeedDrain) outgoing.write('\n')
}

function fail(outgoing: ServerResponse, error: unknown, options: LinesOptions): void {
  if (options.signal.aborted) {
    outgoing.end()
    return
  }
  if (!outgoing.headersSent) throw error
  const line = options.failure(error)
  if (line === undefined) outgoing.destroy()
  else outgoing.end(`${JSON.stringify(line)}\n`)
}
