import { appendFile, mkdir, open, readdir, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'

import type { AbsolutePath } from '../../core/place.ts'

/** Files a log consists of: the oldest goes when there are more. */
const SEGMENTS = 8
/** A file is written in as many pieces, so that it gets no larger than its share by more than one of them. */
const PIECES = 4
const NAME = /^\d{8}\.jsonl$/

/** Where the log ended at a moment. */
export interface Position {
  readonly segment: string
  readonly bytes: number
}

/**
 * Lines on disk: `00000007.jsonl` follows `00000006.jsonl`. Two processes may append at the same time, as an old daemon and its successor
 * do: every write is whole lines, at the end of the file as it is then.
 */
export class Segments {
  readonly #directory: AbsolutePath
  readonly #bytesMax: number
  #current: string | undefined

  constructor(directory: AbsolutePath, bytesMax: number) {
    this.#directory = directory
    this.#bytesMax = bytesMax
  }

  /** Oldest first. */
  async names(): Promise<readonly string[]> {
    try {
      const names = await readdir(this.#directory)
      return names.filter((name) => NAME.test(name)).toSorted()
    } catch (error) {
      if (isMissing(error)) return []
      throw error
    }
  }

  /** Appends whole lines, and says where the log ends now. */
  async append(lines: readonly string[]): Promise<Position> {
    const pieces = this.#pieces(lines)
    let end = await this.#write(pieces[0] ?? '')
    for (const piece of pieces.slice(1)) end = await this.#write(piece)
    return end
  }

  /** A batch may be larger than all files together. */
  #pieces(lines: readonly string[]): readonly string[] {
    const pieces: string[] = []
    let piece = ''
    for (const line of lines) {
      piece += line
      if (piece.length * SEGMENTS * PIECES < this.#bytesMax) continue
      pieces.push(piece)
      piece = ''
    }
    return piece === '' ? pieces : [...pieces, piece]
  }

  async #write(text: string): Promise<Position> {
    const segment = await this.#segment()
    const path = join(this.#directory, segment)
    if (text !== '') await appendFile(path, text, { mode: 0o600 })
    const { size } = await stat(path)
    if (size * SEGMENTS >= this.#bytesMax) await this.#begin(nextName(segment))
    return { segment, bytes: size }
  }

  /** What a segment held, up to a position; nothing when it is gone meanwhile. */
  async read(segment: string, end: Position): Promise<readonly string[]> {
    try {
      const bytes = await readFile(join(this.#directory, segment))
      const part = segment === end.segment ? bytes.subarray(0, end.bytes) : bytes
      return part.toString('utf8').split('\n')
    } catch (error) {
      if (isMissing(error)) return []
      throw error
    }
  }

  /** When something was last written to a segment, ms since the epoch. */
  async writtenAt(segment: string): Promise<number> {
    try {
      return (await stat(join(this.#directory, segment))).mtimeMs
    } catch (error) {
      if (isMissing(error)) return 0
      throw error
    }
  }

  async remove(): Promise<void> {
    this.#current = undefined
    await rm(this.#directory, { recursive: true, force: true })
  }

  /** The one to append to. What broke off in the middle of a line, when the machine did, is left as it is. */
  async #segment(): Promise<string> {
    if (this.#current !== undefined) return this.#current
    await mkdir(this.#directory, { recursive: true, mode: 0o700 })
    const last = (await this.names()).at(-1)
    if (last !== undefined && (await endsWithLine(join(this.#directory, last)))) this.#current = last
    else await this.#begin(last === undefined ? '00000001.jsonl' : nextName(last))
    return this.#current ?? '00000001.jsonl'
  }

  async #begin(segment: string): Promise<void> {
    await appendFile(join(this.#directory, segment), '', { mode: 0o600 })
    this.#current = segment
    const old = (await this.names()).slice(0, -SEGMENTS)
    await Promise.all(old.map((name) => rm(join(this.#directory, name), { force: true })))
  }
}

function nextName(segment: string): string {
  return `${String(Number.parseInt(segment, 10) + 1).padStart(8, '0')}.jsonl`
}

async function endsWithLine(path: string): Promise<boolean> {
  const file = await open(path, 'r')
  try {
    const { size } = await file.stat()
    if (size === 0) return true
    const { buffer } = await file.read(Buffer.alloc(1), 0, 1, size - 1)
    return buffer[0] === LINE_FEED
  } finally {
    await file.close()
  }
}

function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT'
}

const LINE_FEED = 10
