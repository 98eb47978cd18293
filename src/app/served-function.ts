import { relative } from 'node:path'

import { asFlexiError, type FlexiError } from '../core/errors.ts'
import type { DevEvent } from '../core/events.ts'
import type {
  Code,
  Emulator,
  FunctionConfig,
  FunctionScope,
  FunctionSource,
  PackagedFile,
} from '../core/function.ts'
import type { AbsolutePath } from '../core/place.ts'
import { LimitedPool } from '../instances/limited-pool.ts'
import { Pool } from '../instances/pool.ts'
import { changedSince } from './files.ts'

export interface ServedFunctionOptions {
  readonly emulator: Emulator
  readonly scope: FunctionScope
  readonly directory: AbsolutePath
  readonly onEvent: (event: DevEvent) => void
  /** Starts no instance before the first request, and of new code only when the old had one. */
  readonly lazy?: boolean | undefined
}

interface News {
  /** Whether the provider reported a fault since the last start began. */
  reported: boolean
}

/** Changes that wait for their build. */
interface Pending {
  readonly files: Set<AbsolutePath>
  /** When the first of them was seen, on the clock of `performance.now()`. */
  readonly at: number
  readonly done: Promise<void>
}

/**
 * One function of the running project: its source, what was last built of it, and the pool that runs it.
 * What changes it happens one after the other, in the order it was asked for: the last word counts.
 */
export class ServedFunction implements AsyncDisposable {
  readonly name: string
  readonly pool: Pool
  /** The pool, as requests and invocations reach it. */
  readonly entry: LimitedPool
  readonly #options: ServedFunctionOptions
  readonly #news: News
  #config: FunctionConfig
  #source: FunctionSource
  /** Builds for `reconfigure`. */
  #coming: FunctionSource | undefined
  #revision: string | undefined
  #turn: Promise<void> = Promise.resolve()
  #pending: Pending | undefined
  /** What was last shown for this function, while it is an error: an unchanged revision is then news. */
  #failure: { readonly error: unknown } | undefined

  private constructor(
    config: FunctionConfig,
    source: FunctionSource,
    options: ServedFunctionOptions,
    news: News,
  ) {
    this.#news = news
    this.name = config.name
    this.#config = config
    this.#source = source
    this.#options = options
    this.pool = new Pool({ name: config.name, log: options.scope.log, mend: () => this.#mend() })
    this.entry = new LimitedPool(config.name, this.pool)
  }

  /** Validates the function's options; builds and starts nothing. @throws FlexiError FLEXI_CONFIG. */
  static async open(config: FunctionConfig, options: ServedFunctionOptions): Promise<ServedFunction> {
    const news: News = { reported: false }
    const scope: FunctionScope = {
      ...options.scope,
      report: (fault) => {
        news.reported = true
        options.scope.report(fault)
      },
    }
    const own = { ...options, scope }
    return new ServedFunction(config, await options.emulator.open(config, scope), own, news)
  }

  get config(): FunctionConfig {
    return this.#config
  }

  /** Writes what a deployment would ship of the code in force. @throws FlexiError FLEXI_BUILD. */
  async package(directory: AbsolutePath): Promise<readonly PackagedFile[]> {
    await this.#turn
    return await this.#source.package(directory)
  }

  watched(): readonly AbsolutePath[] {
    return this.#source.watched()
  }

  /** First build. A failure is reported, and answered to requests, until a change mends it. */
  start({ warm }: { readonly warm: boolean }): Promise<void> {
    return this.#inTurn(async () => this.#serve(await this.#source.build(), warm))
  }

  /**
   * Builds what changed and swaps to it. Changes that come in before that build begins share it; `files` are named in the event.
   */
  rebuild(files: readonly AbsolutePath[], at: number): Promise<void> {
    this.#source.changed?.(files)
    if (this.#pending === undefined) {
      const changed = new Set<AbsolutePath>()
      const done = this.#inTurn(async () => {
        this.#pending = undefined
        const code = await this.#source.build()
        if (code.revision !== this.#revision || this.#failure !== undefined)
          await this.#reload(code, { files: [...changed], at })
      })
      this.#pending = { files: changed, at, done }
    }
    for (const file of files) this.#pending.files.add(file)
    return this.#pending.done
  }

  /** Builds and starts anew, changed or not. */
  restart(at: number): Promise<void> {
    return this.#inTurn(async () => this.#reload(await this.#source.build(), { files: [], at }))
  }

  /**
   * Takes over another configuration of the same function without dropping a request.
   * @throws FlexiError when it is not valid or cannot be built; the old one serves on.
   */
  async reconfigure(config: FunctionConfig): Promise<{ apply(): Promise<void>; abandon(): Promise<void> }> {
    const source = await this.#options.emulator.open(config, this.#options.scope)
    let code: Code
    this.#coming = source
    try {
      code = await source.build()
    } catch (error) {
      await source[Symbol.asyncDispose]()
      throw error
    } finally {
      this.#coming = undefined
    }
    return {
      apply: () => {
        // What it still builds nobody will see.
        this.#source.cancel?.()
        return this.#inTurn(async () => {
          const old = this.#source
          this.#source = source
          this.#config = config
          try {
            await this.#serve(code, true)
          } finally {
            await old[Symbol.asyncDispose]()
          }
        })
      },
      abandon: async () => source[Symbol.asyncDispose](),
    }
  }

  /** A newer configuration than the one that `reconfigure` builds is there: what still builds rejects soon. */
  supersede(): void {
    this.#coming?.cancel?.()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#source.cancel?.()
    await this.pool[Symbol.asyncDispose]()
    await this.#turn
    await this.#source[Symbol.asyncDispose]()
  }

  /** Never rejects: what fails is shown. */
  #inTurn(task: () => Promise<void>): Promise<void> {
    this.#turn = this.#turn.then(task).catch((error: unknown) => this.#fail(error))
    return this.#turn
  }

  /** What the first build lacked may be there, and the watcher has not said so yet. */
  async #mend(): Promise<void> {
    if (await this.#source.lackedIsThere?.()) await this.rebuild([], performance.now())
  }

  async #reload(code: Code, { files, at }: { files: readonly AbsolutePath[]; at: number }): Promise<void> {
    await this.#serve(code, true)
    // Editors write beside the file and rename: those names mean nothing to anyone.
    const named = await changedSince(files, 0)
    this.#options.onEvent({
      event: 'reload',
      function: this.name,
      revision: code.revision,
      files: (named.length > 0 ? named : files).map((file) => relative(this.#options.directory, file)),
      durationMs: performance.now() - at,
    })
  }

  async #serve(code: Code, warm: boolean): Promise<void> {
    this.#news.reported = false
    const wanted = this.#options.lazy !== true || this.pool.state().instances > 0
    const replaced = this.pool.replace(code, { warm: (warm && wanted) || (code.instancesMin ?? 0) > 0 })
    // The server does not wait with it: requests do.
    if (code.startsPaused === true) void replaced.catch((error: unknown) => this.#fail(error))
    else await replaced
    this.#revision = code.revision
    this.#failure = undefined
  }

  #fail(error: unknown): void {
    // A source that could not even try again throws what it threw before: its reader knows.
    if (this.#failure?.error === error) return
    const failure = asFlexiError(error)
    if (failure.code === 'FLEXI_SHUTTING_DOWN') return
    this.#failure = { error }
    this.pool.fail(failure)
    // A provider that has shown the stack of a failed start has said it better.
    if (failure.code === 'FLEXI_FUNCTION_INIT' && this.#news.reported) return
    this.#options.onEvent(errorEvent(failure, this.name))
  }
}

export function errorEvent(error: FlexiError, name?: string): DevEvent {
  return {
    event: 'error',
    code: error.code,
    message: error.message,
    function: name,
    faults: error.faults,
    hint: error.hint,
  }
}
