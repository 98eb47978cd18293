import { mkdir, open, rename, rm, rmdir, type FileHandle } from 'node:fs/promises'

import { errorMessage, FlexiError } from '../../../core/errors.ts'
import type { Logger } from '../../../core/log.ts'
import type { AbsolutePath } from '../../../core/place.ts'
import { addLine, endLine, HEADER, noteLine, type Codec, type Entry } from './journal-lines.ts'
import { claimLeft, forget, nobodysPath, ownPath, unfinishedPath } from './journal-owner.ts'
import { readLeft } from './journal-reader.ts'

export type { Codec, Entry } from './journal-lines.ts'

export interface JournalOptions<Value> {
  /** Made with the first value. */
  readonly directory: AbsolutePath
  /** Begins the names of the files; letters. */
  readonly name: string
  readonly codec: Codec<Value>
  readonly log: Logger
  /** A file of so many characters is written anew once half of it says nothing any more. Default 1 Mi. */
  readonly compactLength?: number | undefined
}

interface Batch {
  readonly lines: string[]
  readonly done: Promise<void>
  resolve(): void
  reject(error: unknown): void
}

const COMPACT_LENGTH = 1024 * 1024
/** What is written at once of a journal that is written anew. */
const PIECE_LENGTH = 1024 * 1024

/**
 * Values that outlive the process: each is added, may have something noted of it, and ends. What was added and has not ended is there
 * again when the next process opens the journal, whatever became of this one. Files are written and not synchronised: a process that is
 * killed loses nothing, a machine that loses its power may lose the last second.
 */
export class Journal<Value> implements AsyncDisposable {
  readonly #options: JournalOptions<Value>
  readonly #entries = new Map<string, Entry<Value>>()
  #path: string | undefined
  #file: FileHandle | undefined
  /** In characters: of the file, of what it was when it was made, and of its values that are alive. */
  #length = 0
  #madeLength = 0
  #liveLength = 0
  readonly #lengths = new Map<string, number>()
  /** A write failed: the file may end within a line. */
  #torn = false
  /** Nothing can be written here: values live as long as the process. */
  #unwritable = false
  #batch: Batch | undefined
  #writing: Promise<void> | undefined
  #warned = false

  private constructor(options: JournalOptions<Value>) {
    this.#options = options
  }

  /** Reads what processes that have ended left, and takes it over. Never rejects: what cannot be read is a warning, and set aside. */
  static async open<Value>(options: JournalOptions<Value>): Promise<Journal<Value>> {
    const journal = new Journal(options)
    const left = await claimLeft(options.directory, options.name)
    for (const [key, entry] of await readLeft(left, options)) {
      journal.#entries.set(key, entry)
      journal.#measure(key, addLine(key, options.codec.write(entry.value)))
    }
    if (journal.#entries.size > 0 && !(await journal.#keepTaken())) return journal
    for (const path of left) {
      await rm(path, { force: true })
      forget(path)
    }
    return journal
  }

  /** In the order of their adding. */
  get entries(): ReadonlyMap<string, Entry<Value>> {
    return this.#entries
  }

  /** Resolves once the value is in the file. @throws FlexiError FLEXI_QUEUE_FULL when the disk takes no more; it is not kept then. */
  async add(key: string, value: Value): Promise<void> {
    const line = addLine(key, this.#options.codec.write(value))
    this.#entries.set(key, { value, note: undefined })
    this.#measure(key, line)
    try {
      await this.#write(line)
    } catch (error) {
      this.#forget(key)
      throw new FlexiError('FLEXI_QUEUE_FULL', `nothing can be kept: ${errorMessage(error)}`, {
        hint: 'Make room on the disk.',
        cause: error,
      })
    }
  }

  /** Replaces what was noted of it before. */
  note(key: string, note: unknown): void {
    const entry = this.#entries.get(key)
    if (entry === undefined) return
    this.#entries.set(key, { value: entry.value, note })
    this.#write(noteLine(key, note)).catch((error: unknown) => this.#complain(error))
  }

  end(key: string): void {
    if (!this.#forget(key)) return
    this.#write(endLine(key)).catch((error: unknown) => this.#complain(error))
  }

  /** Writes what is to be written. A journal without values leaves no file; another one waits for the next process. Never rejects. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writing
    const path = this.#path
    if (path === undefined) return
    this.#path = undefined
    try {
      await this.#leave(path)
    } catch (error) {
      this.#complain(error)
    }
    forget(path)
  }

  async #leave(path: string): Promise<void> {
    const { directory, name } = this.#options
    // Anew, because somebody may have removed the folder.
    if (this.#entries.size > 0) await this.#rewrite(path)
    await this.#file?.close()
    this.#file = undefined
    if (this.#entries.size > 0) return await rename(path, nobodysPath(directory, name))
    await rm(path, { force: true })
    await rmdir(directory).catch(() => undefined)
  }

  #measure(key: string, line: string): void {
    this.#liveLength += line.length
    this.#lengths.set(key, line.length)
  }

  #forget(key: string): boolean {
    this.#liveLength -= this.#lengths.get(key) ?? 0
    this.#lengths.delete(key)
    return this.#entries.delete(key)
  }

  /** Whatever comes within one turn of the event loop, or while a write is under way, is one write. */
  #write(line: string): Promise<void> {
    this.#batch ??= newBatch()
    this.#batch.lines.push(line)
    const { done } = this.#batch
    this.#writing ??= new Promise(setImmediate).then(() => this.#writeAll())
    return done
  }

  async #writeAll(): Promise<void> {
    for (let batch = this.#batch; batch !== undefined; batch = this.#batch) {
      this.#batch = undefined
      try {
        await this.#writeBatch(batch.lines.join(''))
        batch.resolve()
      } catch (error) {
        batch.reject(error)
      }
    }
    this.#writing = undefined
  }

  async #writeBatch(text: string): Promise<void> {
    if (this.#unwritable) return
    // What the batch says is known already, so that a new file has it.
    if (this.#file === undefined || (await isRemoved(this.#file))) return this.#rewrite()
    if (this.#isMostlyDead(text.length) && (await this.#compacted())) return
    const isTorn = this.#torn
    this.#torn = true
    await this.#file.appendFile(isTorn ? `\n${text}` : text)
    this.#torn = false
    this.#length += text.length
  }

  #isMostlyDead(more: number): boolean {
    const { compactLength = COMPACT_LENGTH } = this.#options
    const length = this.#length + more
    if (length <= compactLength) return false
    return this.#entries.size === 0 || length > 2 * Math.max(this.#madeLength, this.#liveLength)
  }

  async #compacted(): Promise<boolean> {
    try {
      await this.#rewrite()
      return true
    } catch {
      // A full disk may have no room for two files, and some for a line.
      return false
    }
  }

  /** A file with nothing in it but what is alive takes the place of the one there is, if any. */
  async #rewrite(own?: string): Promise<void> {
    const path = own ?? (await this.#ownPath())
    if (path === undefined) return
    await mkdir(this.#options.directory, { recursive: true })
    const next = unfinishedPath(path)
    const file = await open(next, 'w')
    try {
      const pieces = this.#pieces()
      for (const piece of pieces) await file.appendFile(piece)
      await rename(next, path)
      await this.#file?.close()
      this.#file = file
      this.#length = pieces.reduce((length, piece) => length + piece.length, 0)
      this.#madeLength = this.#length
      this.#torn = false
    } catch (error) {
      await file.close()
      await rm(next, { force: true })
      throw error
    }
  }

  /** The lines of this moment: what comes while they are written is in the next batch. */
  #pieces(): readonly string[] {
    const pieces: string[] = []
    let piece = HEADER
    for (const [key, { value, note }] of this.#entries) {
      piece += addLine(key, this.#options.codec.write(value))
      if (note !== undefined) piece += noteLine(key, note)
      if (piece.length < PIECE_LENGTH) continue
      pieces.push(piece)
      piece = ''
    }
    return [...pieces, piece]
  }

  async #ownPath(): Promise<string | undefined> {
    if (this.#path !== undefined) return this.#path
    const { directory, name } = this.#options
    try {
      await mkdir(directory, { recursive: true })
      const path = ownPath(directory, name)
      await (await open(path, 'w')).close()
      this.#path = path
    } catch (error) {
      if (!isUnwritable(error)) throw error
      this.#unwritable = true
      const message = `${name} are not kept over a restart: ${errorMessage(error)}`
      this.#options.log.warn('journal.unwritable', { message })
    }
    return this.#path
  }

  async #keepTaken(): Promise<boolean> {
    try {
      await this.#rewrite()
      return !this.#unwritable
    } catch (error) {
      this.#complain(error)
      return false
    }
  }

  /** Once: a full disk would say it for each line. */
  #complain(error: unknown): void {
    if (this.#warned) return
    this.#warned = true
    const { log, name } = this.#options
    const message = `the journal of ${name} cannot be written: ${errorMessage(error)}; some may run again at the next start`
    log.warn('journal.fail', { message })
  }
}

function newBatch(): Batch {
  let resolve = (): void => undefined
  let reject = (_error: unknown): void => undefined
  const done = new Promise<void>((accept, refuse) => {
    resolve = accept
    reject = refuse
  })
  return { lines: [], done, resolve, reject }
}

/** Somebody may have removed the folder: what is written to the open file is nowhere then. */
async function isRemoved(file: FileHandle): Promise<boolean> {
  return (await file.stat()).nlink === 0
}

const UNWRITABLE = ['EROFS', 'EACCES', 'EPERM', 'ENOTDIR']

function isUnwritable(error: unknown): boolean {
  return error instanceof Error && 'code' in error && UNWRITABLE.includes(String(error.code))
}
