import { relative } from 'node:path'

import { errorMessage, FlexiError } from '../core/errors.ts'
import type { DevEvent } from '../core/events.ts'
import type { Code, Emulator, FunctionConfig, FunctionScope, FunctionSource } from '../core/function.ts'
import type { AbsolutePath } from '../core/place.ts'
import { Pool } from '../instances/pool.ts'
import { changedSince } from './files.ts'

export interface ServedFunctionOptions {
  readonly emulator: Emulator
  readonly scope: FunctionScope
  readonly directory: AbsolutePath
  readonly onEvent: (event: DevEvent) => void
}

interface News {
  /** Whether the provider reported a fault since the last start began. */
  reported: boolean
}

/** One function of the running project: its source, what was last built of it, and the pool that runs it. */
export class ServedFunction implements AsyncDisposable {
  readonly name: string
  readonly pool: Pool
  readonly #options: ServedFunctionOptions
  #config: FunctionConfig
  #source: FunctionSource
  #revision: string | undefined
  #building: Promise<void> = Promise.resolve()
  #dirty = false
  /** True while what was last shown for this function is an error: an unchanged revision is then news. */
  #failed = false
  #shown: unknown
  readonly #news: News

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
    this.pool = new Pool({ name: config.name, log: options.scope.log })
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

  watched(): readonly AbsolutePath[] {
    return this.#source.watched()
  }

  /** First build. A failure is reported, and answered to requests, until a change mends it. */
  async start({ warm }: { readonly warm: boolean }): Promise<void> {
    try {
      const code = await this.#source.build()
      await this.#serve(code, warm)
    } catch (error) {
      this.#fail(error)
    }
  }

  /**
   * Builds what changed and swaps to it. Changes that come in meanwhile are built once more after it, so the last one always counts.
   */
  rebuild(files: readonly AbsolutePath[], at: number): Promise<void> {
    if (this.#dirty) return this.#building
    this.#dirty = true
    this.#building = this.#building.then(async () => {
      this.#dirty = false
      await this.#rebuildNow(files, at)
    })
    return this.#building
  }

  /**
   * Takes over another configuration of the same function without dropping a request.
   * @throws FlexiError when it is not valid or cannot be built; the old one serves on.
   */
  async reconfigure(config: FunctionConfig): Promise<{ apply(): Promise<void>; abandon(): Promise<void> }> {
    const source = await this.#options.emulator.open(config, this.#options.scope)
    let code: Code
    try {
      code = await source.build()
    } catch (error) {
      await source[Symbol.asyncDispose]()
      throw error
    }
    return {
      apply: async () => {
        const old = this.#source
        this.#source = source
        this.#config = config
        await this.#serve(code, true).catch((error: unknown) => this.#fail(error))
        await old[Symbol.asyncDispose]()
      },
      abandon: async () => source[Symbol.asyncDispose](),
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.pool[Symbol.asyncDispose]()
    await this.#source[Symbol.asyncDispose]()
  }

  async #rebuildNow(files: readonly AbsolutePath[], at: number): Promise<void> {
    try {
      const code = await this.#source.build()
      if (code.revision === this.#revision && !this.#failed) return
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
    } catch (error) {
      this.#fail(error)
    }
  }

  async #serve(code: Code, warm: boolean): Promise<void> {
    this.#news.reported = false
    await this.pool.replace(code, { warm })
    this.#revision = code.revision
    this.#failed = false
  }

  #fail(error: unknown): void {
    // A source that could not even try again throws what it threw before: its reader knows.
    if (this.#failed && error === this.#shown) return
    this.#failed = true
    this.#shown = error
    const failure =
      error instanceof FlexiError ? error : new FlexiError('FLEXI_BUG', errorMessage(error), { cause: error })
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
