import { ChunkedDecoder, type ContentSink } from './http1-chunks.ts'
import { HEAD_BYTES_MAX, InvalidAnswerError, readResponseHead, type ResponseHead } from './http1-head.ts'

/** Content; a string is Latin-1. */
export type Content = string | Buffer | undefined

/** Takes an answer as it comes. */
export interface AnswerSink {
  /** A head below 200, which another one follows. */
  onInform(head: ResponseHead): void
  /** `content` came along with the head, and is all of it when the answer is `whole`: then nothing follows. */
  onHead(head: ResponseHead, content: Content, whole: boolean): void
  /** The bytes are the sink's to keep. */
  onContent(bytes: Buffer): void
  onEnd(trailers: readonly string[]): void
}

/** Beyond this, handing out the buffer itself is cheaper than a copy; below, it would keep much memory for few bytes. */
const COPIED_BYTES_MAX = 16 * 1024
/** As much of what came with a head becomes a string in one step. */
const TEXT_BYTES_MAX = 16 * 1024

type State = 'head' | 'length' | 'chunked' | 'close' | 'done'

/** What came in one read together with the end of a head. */
interface Came {
  /** From the first letter of the head on. */
  readonly text: string
  /** Where the content starts in the text. */
  readonly contentAt: number
  readonly bytes: Buffer
  /** Where the content starts in the bytes, and where what came ends. */
  readonly at: number
  readonly to: number
}

/** Reads one answer after the other from the bytes of a connection, wherever they are cut into pieces. */
export class AnswerDecoder implements ContentSink {
  /** The buffer that was read last belongs to the sink now. */
  isTaken = false
  readonly #sink: AnswerSink
  #method = ''
  #state: State = 'done'
  #headText = ''
  /** The one read last: the answers of a function mostly begin alike. */
  #lastText = ''
  #lastHead: ResponseHead | undefined
  /** Bytes of the content that are still to come. */
  #left = 0
  #chunks: ChunkedDecoder | undefined
  /** Content that came along with a head that is not told yet. */
  #first: string | undefined
  #isGathering = false

  constructor(sink: AnswerSink) {
    this.#sink = sink
  }

  /** The next bytes are the answer to a request of this method. */
  begin(method: string): void {
    this.#method = method
    this.#state = 'head'
    this.#headText = ''
  }

  get done(): boolean {
    return this.#state === 'done'
  }

  /**
   * Reads bytes and returns where it stopped: at `to`, or behind the last byte of the answer.
   * @throws InvalidAnswerError
   */
  read(bytes: Buffer, from: number, to: number): number {
    let at = from
    while (at < to && this.#state !== 'done') at = this.#readSome(bytes, at, to)
    return at
  }

  /** No bytes will come any more. True when that was the end of the content. */
  end(): boolean {
    if (this.#state !== 'close') return false
    this.#tellEnd([])
    return true
  }

  #readSome(bytes: Buffer, from: number, to: number): number {
    switch (this.#state) {
      case 'head':
        return this.#readHead(bytes, from, to)
      case 'length':
        return this.#readLength(bytes, from, to)
      case 'chunked':
        return this.#readChunks(bytes, from, to)
      case 'close':
        this.#sink.onContent(this.#take(bytes, from, to))
        return to
      case 'done':
        return from
    }
  }

  #readHead(bytes: Buffer, from: number, to: number): number {
    const before = this.#headText.length
    let text = this.#headText + bytes.toString('latin1', from, Math.min(to, from + TEXT_BYTES_MAX))
    let end = text.indexOf('\r\n\r\n', Math.max(0, before - 3))
    if (end === -1 && to - from > TEXT_BYTES_MAX) {
      text = this.#headText + bytes.toString('latin1', from, to)
      end = text.indexOf('\r\n\r\n')
    }
    if ((end === -1 ? text.length : end) > HEAD_BYTES_MAX)
      throw new InvalidAnswerError('its head is too long')
    if (end === -1) {
      this.#headText = text
      return to
    }
    this.#headText = ''
    const head = this.#parse(text.slice(0, end + 2))
    const at = from + end + 4 - before
    if (head.status >= 200) return this.#readBeginning(head, { text, contentAt: end + 4, bytes, at, to })
    if (head.status === 101) throw new InvalidAnswerError('it changed to a protocol that was not offered')
    this.#sink.onInform(head)
    return at
  }

  #parse(text: string): ResponseHead {
    if (this.#lastHead !== undefined && this.#lastText === text) return this.#lastHead
    const head = readResponseHead(text)
    this.#lastText = text
    this.#lastHead = head
    return head
  }

  /** Tells the head with what came along of the content: most answers are complete by then. */
  #readBeginning(head: ResponseHead, came: Came): number {
    const length = hasNoContent(head.status, this.#method) ? 0 : head.length
    if (length === 'chunked') return this.#readFirstChunks(head, came)
    const { at, to } = came
    if (typeof length === 'number' && length <= to - at) {
      this.#state = 'done'
      this.#sink.onHead(head, length === 0 ? undefined : this.#contentOf(came, length), true)
      return at + length
    }
    this.#state = length === 'close' ? 'close' : 'length'
    this.#left = length === 'close' ? 0 : length - (to - at)
    this.#sink.onHead(head, at === to ? undefined : this.#contentOf(came, to - at), false)
    return to
  }

  #readFirstChunks(head: ResponseHead, { bytes, at, to }: Came): number {
    const chunks = new ChunkedDecoder(this)
    this.#isGathering = true
    const stop = chunks.read(bytes, at, to)
    this.#isGathering = false
    const first = this.#first
    this.#first = undefined
    const isWhole = chunks.done && chunks.trailers.length === 0
    this.#state = isWhole ? 'done' : 'chunked'
    this.#chunks = chunks
    this.#sink.onHead(head, first, isWhole)
    if (chunks.done && !isWhole) this.#tellEnd(chunks.trailers)
    return stop
  }

  #readLength(bytes: Buffer, from: number, to: number): number {
    const end = Math.min(to, from + this.#left)
    this.#left -= end - from
    this.#sink.onContent(this.#take(bytes, from, end))
    if (this.#left === 0) this.#tellEnd([])
    return end
  }

  #readChunks(bytes: Buffer, from: number, to: number): number {
    const chunks = this.#chunks
    if (chunks === undefined) return to
    const end = chunks.read(bytes, from, to)
    if (chunks.done) this.#tellEnd(chunks.trailers)
    return end
  }

  #tellEnd(trailers: readonly string[]): void {
    this.#state = 'done'
    this.#chunks = undefined
    this.#sink.onEnd(trailers)
  }

  /** Of a chunk. */
  onContent(bytes: Buffer, from: number, to: number): void {
    if (this.#isGathering) this.#first = (this.#first ?? '') + bytes.toString('latin1', from, to)
    else this.#sink.onContent(this.#take(bytes, from, to))
  }

  #contentOf({ text, contentAt, bytes, at }: Came, length: number): Content {
    const end = contentAt + length
    return end <= text.length ? text.slice(contentAt, end) : this.#take(bytes, at, at + length)
  }

  #take(bytes: Buffer, from: number, to: number): Buffer {
    const part = bytes.subarray(from, to)
    if (to - from <= COPIED_BYTES_MAX) return Buffer.from(part)
    this.isTaken = true
    return part
  }
}

/** RFC 9112 section 6.3: the fields of these answers tell of content that is not there. */
function hasNoContent(status: number, method: string): boolean {
  return status === 204 || status === 304 || method === 'HEAD'
}
