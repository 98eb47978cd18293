import { randomUUID } from 'node:crypto'
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import { errorMessage } from '../../../core/errors.ts'
import type { Logger } from '../../../core/log.ts'
import type { AbsolutePath } from '../../../core/place.ts'
import { NO_STATE, STATE_FORMAT, type State } from './state.ts'

/** The API's own folder below `.flexi/`. */
export function apiFolder(stateDirectory: AbsolutePath): AbsolutePath {
  return join(stateDirectory, 'lambda') as AbsolutePath
}

function stateFile(stateDirectory: AbsolutePath): string {
  return join(apiFolder(stateDirectory), 'state.json')
}

/** The API's state, in memory and in its file. The file is whole at every moment. */
export class StateStore {
  readonly #file: string
  #state: State
  #writing: Promise<void> = Promise.resolve()
  /** The write that has not begun yet: whatever is changed before it does is in it. */
  #next: Promise<void> | undefined

  private constructor(file: string, state: State) {
    this.#file = file
    this.#state = state
  }

  /** A file that cannot be read as state is set aside, with a warning: nothing of it is lost. */
  static async open(stateDirectory: AbsolutePath, log: Logger): Promise<StateStore> {
    const file = stateFile(stateDirectory)
    return new StateStore(file, (await readState(file, log)) ?? NO_STATE)
  }

  get state(): State {
    return this.#state
  }

  /** Counts at once; resolves when it is on the disk. */
  change(change: (state: State) => State): Promise<void> {
    this.#state = change(this.#state)
    this.#next ??= this.#write()
    return this.#next
  }

  /** Resolves when everything is on the disk. */
  async settled(): Promise<void> {
    await this.#writing.catch(() => undefined)
  }

  #write(): Promise<void> {
    const writing = this.#writing
      .catch(() => undefined)
      .then(async () => {
        this.#next = undefined
        await writeWhole(this.#file, JSON.stringify(this.#state, undefined, 1))
      })
    this.#writing = writing
    return writing
  }
}

async function writeWhole(file: string, text: string): Promise<void> {
  const folder = dirname(file)
  const temporary = join(folder, `.${randomUUID()}.tmp`)
  await makePrivateFolder(folder)
  try {
    // Variables of functions are in it.
    await writeFile(temporary, text, { mode: 0o600 })
    await rename(temporary, file)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}

/** Makes a folder below `.flexi/`, which belongs into nobody's repository. */
export async function makePrivateFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, '.gitignore'), '*\n')
}

async function readState(file: string, log: Logger): Promise<State | undefined> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    if (isMissing(error)) return undefined
    log.warn('state.unreadable', { message: `${file} cannot be read: ${errorMessage(error)}` })
    return undefined
  }
  try {
    return parseState(text)
  } catch (error) {
    const aside = `${file}.broken-${Date.now()}`
    await rename(file, aside)
    log.warn('state.broken', {
      message: `what Lambda's API kept cannot be read (${errorMessage(error)}); it is set aside as ${aside}`,
    })
    return undefined
  }
}

/** @throws Error that says why the text is no state. */
function parseState(text: string): State {
  const value: unknown = JSON.parse(text)
  if (!isRecord(value)) throw new Error('it is no object')
  if (value['format'] !== STATE_FORMAT)
    throw new Error(`its format is ${JSON.stringify(value['format'])}, not ${STATE_FORMAT}`)
  for (const part of ['functions', 'mappings', 'layers'] as const) {
    if (!isRecord(value[part])) throw new Error(`"${part}" is no object`)
  }
  for (const [name, kept] of Object.entries(value['functions'] as Readonly<Record<string, unknown>>)) {
    const parts = ['versions', 'aliases', 'urls', 'provisioned', 'eventInvoke', 'tags', 'policies'] as const
    if (!isRecord(kept) || !parts.every((part) => isRecord(kept[part])))
      throw new Error(`what it has of ${name} is not complete`)
  }
  return value as unknown as State
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}
