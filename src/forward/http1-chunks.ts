import { InvalidAnswerError, readFields } from './http1-head.ts'

/** Takes the content of chunks as it comes: bytes of a buffer that is the caller's. */
export interface ContentSink {
  onContent(bytes: Buffer, from: number, to: number): void
}

type State = 'size' | 'content' | 'content end' | 'trailers' | 'done'

/** Sixteen digits would be more than a number holds exactly. */
const SIZE = /^([\da-fA-F]{1,12})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?$/
const LINE_LENGTH_MAX = 4 * 1024
const TRAILERS_LENGTH_MAX = 16 * 1024
const LF = 10

/** Undoes the chunked coding (RFC 9112 section 7.1), wherever its bytes are cut into pieces. */
export class ChunkedDecoder {
  /** name, value, name, value … once it is done. */
  trailers: readonly string[] = []
  readonly #sink: ContentSink
  #state: State = 'size'
  /** Bytes of the chunk that are still to come. */
  #left = 0
  /** The part of a line that came with the bytes before. */
  #line = ''
  #trailerLines = ''

  constructor(sink: ContentSink) {
    this.#sink = sink
  }

  get done(): boolean {
    return this.#state === 'done'
  }

  /**
   * Reads bytes and returns where it stopped: at `to`, or behind the last byte of the coding.
   * @throws InvalidAnswerError
   */
  read(bytes: Buffer, from: number, to: number): number {
    let at = from
    while (at < to && this.#state !== 'done')
      at = this.#state === 'content' ? this.#readContent(bytes, at, to) : this.#readLine(bytes, at, to)
    return at
  }

  #readContent(bytes: Buffer, from: number, to: number): number {
    const end = Math.min(to, from + this.#left)
    this.#left -= end - from
    if (this.#left === 0) this.#state = 'content end'
    this.#sink.onContent(bytes, from, end)
    return end
  }

  #readLine(bytes: Buffer, from: number, to: number): number {
    const end = bytes.indexOf(LF, from)
    const isWhole = end !== -1 && end < to
    const stop = isWhole ? end + 1 : to
    this.#line += bytes.toString('latin1', from, stop)
    if (this.#line.length > LINE_LENGTH_MAX) throw new InvalidAnswerError('a line between chunks is too long')
    if (isWhole) this.#takeLine()
    return stop
  }

  #takeLine(): void {
    const line = this.#line
    this.#line = ''
    if (!line.endsWith('\r\n')) throw new InvalidAnswerError('a line between chunks has no carriage return')
    if (this.#state === 'trailers') this.#takeTrailer(line)
    else if (this.#state === 'size') this.#takeSize(line)
    else if (line === '\r\n') this.#state = 'size'
    else throw new InvalidAnswerError('a chunk is longer than it says')
  }

  #takeSize(line: string): void {
    const size = SIZE.exec(line.slice(0, -2))?.[1]
    if (size === undefined) throw new InvalidAnswerError('a chunk has no size')
    this.#left = Number.parseInt(size, 16)
    this.#state = this.#left === 0 ? 'trailers' : 'content'
  }

  #takeTrailer(line: string): void {
    if (line !== '\r\n') {
      this.#trailerLines += line
      if (this.#trailerLines.length > TRAILERS_LENGTH_MAX)
        throw new InvalidAnswerError('the trailers are too long')
      return
    }
    if (this.#trailerLines !== '') this.trailers = readFields(this.#trailerLines, 0)
    this.#state = 'done'
  }
}
