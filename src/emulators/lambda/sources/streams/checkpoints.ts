import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'

import type { Clock } from '../clock.ts'
import type { Position } from './stream-access.ts'

const WRITE_AFTER_MS = 500
/** In place of a sequence number: the shard is closed and all of it is done. */
const FINISHED = 'finished'
/** Nothing of it is done yet; it counts from this time on, in seconds since the epoch. */
const SINCE = 'since '
/** After a shard's name: its window, in place of a position. */
const WINDOW = ' window'

/** How far each shard of one stream is done for one function: kept over reloads, and in a file over restarts. */
export class Checkpoints {
  readonly #file: string
  readonly #clock: Clock
  readonly #shards: Map<string, string>
  #cancel: (() => void) | undefined
  #writing: Promise<void> = Promise.resolve()

  private constructor(file: string, clock: Clock, shards: Map<string, string>) {
    this.#file = file
    this.#clock = clock
    this.#shards = shards
  }

  /** A file that cannot be read is as none: what is in it is a comfort. */
  static async open(file: string, clock: Clock): Promise<Checkpoints> {
    return new Checkpoints(file, clock, await kept(file))
  }

  get empty(): boolean {
    return this.#shards.size === 0
  }

  /** Where the shard is to be read on; undefined for one of which nothing is known. */
  position(shard: string, since: (timestamp: number) => Position): Position | undefined {
    const value = this.#shards.get(shard)
    if (value === undefined || value === FINISHED) return undefined
    if (value.startsWith(SINCE)) return since(Number(value.slice(SINCE.length)))
    return { kind: 'AFTER_SEQUENCE_NUMBER', sequence: value }
  }

  /** The shard is read from this time on, in seconds since the epoch: a restart does not go back behind it. */
  begin(shard: string, timestamp: number): void {
    this.#set(shard, `${SINCE}${timestamp}`)
  }

  finished(shard: string): boolean {
    return this.#shards.get(shard) === FINISHED
  }

  advance(shard: string, sequence: string): void {
    this.#set(shard, sequence)
  }

  /** The state of a shard's tumbling window, JSON. */
  window(shard: string): string | undefined {
    return this.#shards.get(shard + WINDOW)
  }

  keepWindow(shard: string, window: string | undefined): void {
    this.#set(shard + WINDOW, window)
  }

  finish(shard: string): void {
    this.#set(shard, FINISHED)
  }

  /** The stream has forgotten these shards, and so do we. */
  retain(shards: readonly string[]): void {
    for (const name of this.#shards.keys()) {
      if (!shards.includes(name.replace(WINDOW, ''))) this.#shards.delete(name)
    }
  }

  /** Forgets a shard whose checkpoint is no place in it: the stream was made anew. */
  forget(shard: string): void {
    this.#shards.delete(shard)
  }

  /** Resolves once everything is in the file. */
  async flush(): Promise<void> {
    if (this.#cancel !== undefined) this.#write()
    await this.#writing
  }

  /** A file that cannot be removed says nothing: its mapping's name is not used again. */
  async delete(): Promise<void> {
    this.#cancel?.()
    this.#cancel = undefined
    await this.#writing
    await rm(this.#file, { force: true }).catch(() => undefined)
  }

  #set(shard: string, value: string | undefined): void {
    if (value === undefined) this.#shards.delete(shard)
    else this.#shards.set(shard, value)
    this.#cancel ??= this.#clock.after(WRITE_AFTER_MS, () => this.#write())
  }

  #write(): void {
    this.#cancel?.()
    this.#cancel = undefined
    const text = JSON.stringify(Object.fromEntries(this.#shards))
    this.#writing = this.#writing.then(() => written(this.#file, text))
  }
}

async function kept(file: string): Promise<Map<string, string>> {
  try {
    const shards: unknown = JSON.parse(await readFile(file, 'utf8'))
    const entries = Object.entries(shards ?? {})
    return new Map(entries.filter((entry): entry is [string, string] => typeof entry[1] === 'string'))
  } catch {
    return new Map()
  }
}

/** Without a place to write to, a restart begins anew. */
async function written(file: string, text: string): Promise<void> {
  try {
    await mkdir(dirname(file), { recursive: true })
    await writeFile(`${file}.new`, text)
    await rename(`${file}.new`, file)
  } catch {
    // The next change tries again.
  }
}
