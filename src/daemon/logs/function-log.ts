import { errorMessage } from '../../core/errors.ts'
import type { Logger } from '../../core/log.ts'
import type { AbsolutePath } from '../../core/place.ts'
import type { LogRecord } from '../model.ts'
import type { LogFilter } from '../runtime.ts'
import { Follower } from './follower.ts'
import { formatLine, parseLine } from './log-line.ts'
import { Segments, type Position } from './segments.ts'

/** Lines of so long are written at once: a file is opened, written and looked at for a batch, not for a line. Readers do not wait for it. */
const BATCH_MS = 20
/** Characters that wait for the disk: what comes beyond is dropped, and that is said. */
const WAITING_MAX = 4 * 1024 * 1024

export interface FunctionLogOptions {
  readonly name: string
  readonly directory: AbsolutePath
  readonly bytesMax: number
  readonly log: Logger
}

/** The log of one function: appended in batches, and read from the disk. */
export class FunctionLog {
  readonly #options: FunctionLogOptions
  readonly #segments: Segments
  readonly #followers = new Set<Follower>()
  #waiting: string[] = []
  /** Characters that are not on disk yet, those being written included. */
  #behind = 0
  #dropped = 0
  /** The last of them. */
  #lost: LogRecord | undefined
  #writing: Promise<Position | undefined> = Promise.resolve(undefined)
  #batch: NodeJS.Timeout | undefined

  constructor(options: FunctionLogOptions) {
    this.#options = options
    this.#segments = new Segments(options.directory, options.bytesMax)
  }

  append(record: LogRecord): void {
    for (const follower of this.#followers) follower.push(record)
    if (this.#behind > WAITING_MAX) {
      this.#dropped += 1
      this.#lost = record
      return
    }
    if (this.#lost !== undefined) this.#tellDropped(record)
    this.#write(record)
  }

  async *read(filter: LogFilter): AsyncGenerator<LogRecord> {
    // In one turn: what is appended from now on is the follower's, all before is in the batch that is cut here.
    using follower = filter.follow === true ? this.#follow() : undefined
    const end = await this.#cut()
    if (end !== undefined) yield* this.#kept(filter, end)
    if (follower === undefined) return
    for await (const record of follower.records(filter.signal)) if (matches(record, filter)) yield record
  }

  /** Resolves when everything appended is on its way to the disk. */
  async flush(): Promise<void> {
    await this.#cut()
  }

  async remove(): Promise<void> {
    this.#waiting = []
    await this.#writing
    await this.#segments.remove()
  }

  #write(record: LogRecord): void {
    const line = formatLine(record)
    this.#waiting.push(line)
    this.#behind += line.length
    // One batch is written at a time: while the disk is slow, the next one grows.
    this.#batch ??= setTimeout(() => void this.#writing.then(() => this.#cut()), BATCH_MS)
  }

  /** Writes what waits. Resolves, when all before is written too, with where the log ends. Never rejects. */
  #cut(): Promise<Position | undefined> {
    clearTimeout(this.#batch)
    this.#batch = undefined
    const lines = this.#waiting
    this.#waiting = []
    this.#writing = this.#writing.then(async () => {
      try {
        return await this.#append(lines)
      } catch (error) {
        this.#options.log.warn('logs.write', { function: this.#options.name, error: errorMessage(error) })
        return undefined
      } finally {
        this.#behind -= lines.reduce((sum, line) => sum + line.length, 0)
        if (this.#lost !== undefined && this.#behind <= WAITING_MAX) this.#tellDropped(this.#lost)
      }
    })
    return this.#writing
  }

  /** Nothing is made for a function that has printed nothing. */
  async #append(lines: readonly string[]): Promise<Position | undefined> {
    const isEmpty = lines.length === 0 && (await this.#segments.names()).length === 0
    return isEmpty ? undefined : await this.#segments.append(lines)
  }

  #tellDropped(record: LogRecord): void {
    const text = `${this.#dropped} lines are left out here: they came faster than they could be written`
    this.#dropped = 0
    this.#lost = undefined
    this.#write({ ...record, stream: 'platform', level: 'warn', text, requestId: undefined })
  }

  #follow(): Follower {
    const follower: Follower = new Follower(() => this.#followers.delete(follower))
    this.#followers.add(follower)
    return follower
  }

  async *#kept(filter: LogFilter, end: Position): AsyncGenerator<LogRecord> {
    const segments = (await this.#segments.names()).filter((name) => name <= end.segment)
    if (filter.limit !== undefined) {
      yield* await this.#last(segments, filter.limit, { filter, end })
      return
    }
    for (const segment of segments) yield* await this.#records(segment, filter, end)
  }

  async #last(
    segments: readonly string[],
    limit: number,
    { filter, end }: { readonly filter: LogFilter; readonly end: Position },
  ): Promise<readonly LogRecord[]> {
    let found: readonly LogRecord[] = []
    for (const segment of segments.toReversed()) {
      if (found.length >= limit) break
      found = [...(await this.#records(segment, filter, end)), ...found]
    }
    return limit === 0 ? [] : found.slice(-limit)
  }

  async #records(segment: string, filter: LogFilter, end: Position): Promise<readonly LogRecord[]> {
    if (filter.since !== undefined && (await this.#segments.writtenAt(segment)) < filter.since - CLOCK_MS)
      return []
    const lines = await this.#segments.read(segment, end)
    return lines.flatMap((line) => {
      const record = parseLine(this.#options.name, line)
      return record !== undefined && matches(record, filter) ? [record] : []
    })
  }
}

/** A file is written a moment after its lines were printed, and file systems count time in steps of their own. */
const CLOCK_MS = 1_000

function matches({ version, at }: LogRecord, filter: LogFilter): boolean {
  return (
    (filter.version === undefined || filter.version === version) &&
    (filter.since === undefined || at >= filter.since)
  )
}
