import type { ApiConnection, BodySink } from './api-connection.ts'
import type { Fields } from './request-reader.ts'

/** Reads a body that nobody wants. */
export const DROPPED: BodySink = {
  data: () => undefined,
  end: () => undefined,
  truncated: () => undefined,
}

export type Collected = Buffer | 'too large' | 'truncated'

/** Keeps a body up to its limit, and reads the rest of one that is larger. */
export function collector(bytesMax: number, done: (payload: Collected, trailers: Fields) => void): BodySink {
  const chunks: Buffer[] = []
  let bytes = 0
  return {
    data(chunk) {
      bytes += chunk.length
      if (bytes <= bytesMax) chunks.push(chunk)
      else chunks.length = 0
    },
    end(trailers) {
      const [first = EMPTY] = chunks
      const whole = chunks.length <= 1 ? first : Buffer.concat(chunks)
      done(bytes > bytesMax ? 'too large' : whole, trailers)
    },
    truncated: () => done('truncated', NO_FIELDS),
  }
}

const NO_FIELDS: Fields = new Map()
const EMPTY = Buffer.alloc(0)
/** Bytes of a stream that are under way before its sender has to wait. */
const WINDOW_BYTES = 256 * 1024

export interface StreamEvents {
  chunk(bytes: Buffer, taken: () => void): void
  end(trailers: Fields): void
  truncated(): void
}

/** Passes a body on as it comes, as fast as it is taken. */
export function streamer(connection: ApiConnection, events: StreamEvents): BodySink {
  let underWay = 0
  let paused = false
  return {
    data(bytes) {
      const { length } = bytes
      underWay += length
      events.chunk(bytes, () => {
        underWay -= length
        if (!paused || underWay > WINDOW_BYTES) return
        paused = false
        connection.resume()
      })
      if (underWay <= WINDOW_BYTES || paused) return
      paused = true
      connection.pause()
    },
    end: (trailers) => events.end(trailers),
    truncated: () => events.truncated(),
  }
}
