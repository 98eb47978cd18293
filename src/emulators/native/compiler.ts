import { createHash } from 'node:crypto'
import { access, readFile } from 'node:fs/promises'

import { FlexiError } from '../../core/errors.ts'
import type { FunctionConfig, FunctionScope } from '../../core/function.ts'
import type { AbsolutePath } from '../../core/place.ts'
import { runBuildCommand, type RunningBuild } from './build-command.ts'
import { findLibraries } from './made-libraries.ts'
import { findSources, type Sources } from './sources.ts'

export interface CompilerOptions {
  readonly config: Pick<FunctionConfig, 'directory' | 'environment' | 'origin'>
  readonly scope: Pick<FunctionScope, 'output'>
  readonly command: string
  readonly watch: readonly string[] | undefined
  readonly library: AbsolutePath
  /** How long a build may go on when a source changes meanwhile, at least; twice its usual time when that is more. Default `GRACE_MS`. */
  readonly graceMs?: number | undefined
}

/** A project's build command, run when its sources have changed. */
export interface Compiler {
  /** Valid after the first `compile`, failed or not. */
  readonly sources: Sources
  /** @throws FlexiError what `runBuildCommand` throws; again, without running it, while no source changes. */
  compile(): Promise<void>
  /** Sources have changed: a command that hangs is ended, any other may finish before the next. */
  changed(files: readonly AbsolutePath[]): void
  /** Ends a command that is running, for good. */
  stop(): void
}

const NO_SOURCES: Sources = { files: [], folders: [], looks: new Map(), signature: '' }
/** A command that writes sources, other ones each time, is believed after so many runs. */
const ROUNDS_MAX = 5
const GRACE_MS = 2_000

interface Run {
  readonly build: RunningBuild
  readonly startedAt: number
  /** Ends the build when it lasts; set by the first change that makes it out of date. */
  overdue: NodeJS.Timeout | undefined
  superseded: boolean
}

/** Undefined is success; `superseded` that a change has ended it. */
type Outcome = FlexiError | 'superseded' | undefined

export function createCompiler(options: CompilerOptions): Compiler {
  return new CommandCompiler(options)
}

class CommandCompiler implements Compiler {
  readonly #options: CompilerOptions
  #sources = NO_SOURCES
  #last: { readonly signature: string; readonly error: FlexiError | undefined } | undefined
  #running: Run | undefined
  #stopped = false
  #longestMs = 0
  /** Files that changed during a build, and what they then held: equal content next time is the build's own work. */
  #generated = new Map<string, string>()
  /** Files that have ended a build of the current `compile` once: twice would be the build itself. */
  #blamed = new Set<string>()

  constructor(options: CompilerOptions) {
    this.#options = options
  }

  get sources(): Sources {
    return this.#sources
  }

  async compile(): Promise<void> {
    this.#blamed.clear()
    const known = this.#sources
    for (const file of differing(known, await this.#scan())) this.#generated.delete(file)
    for (let round = 1; round <= ROUNDS_MAX && this.#sources.signature !== this.#last?.signature;) {
      const before = this.#sources
      const outcome = await this.#run()
      const after = await this.#scan()
      if (outcome === 'superseded') continue
      const settled = (await this.#isOwnWork(differing(before, after))) || round === ROUNDS_MAX
      this.#last = { signature: settled ? after.signature : '', error: outcome }
      round += 1
    }
    if (this.#last?.error !== undefined) throw this.#last.error
    await this.#requireLibrary()
  }

  changed(files: readonly AbsolutePath[]): void {
    const run = this.#running
    if (run === undefined || run.overdue !== undefined) return
    const fresh = files.filter(
      (file) => this.#sources.looks.has(file) && !this.#blamed.has(file) && !this.#generated.has(file),
    )
    if (fresh.length === 0) return
    const graceMs = Math.max(this.#options.graceMs ?? GRACE_MS, 2 * this.#longestMs)
    const left = run.startedAt + graceMs - performance.now()
    run.overdue = setTimeout(
      () => {
        for (const file of fresh) this.#blamed.add(file)
        run.superseded = true
        run.build.stop()
      },
      Math.max(0, left),
    )
  }

  stop(): void {
    this.#stopped = true
    this.#running?.build.stop()
  }

  async #scan(): Promise<Sources> {
    const { config, watch, library } = this.#options
    this.#sources = await findSources(config.directory, { patterns: watch, except: library })
    return this.#sources
  }

  /** @throws FlexiError FLEXI_SHUTTING_DOWN, and FLEXI_TOOL_MISSING: it may be there by the next time, without any source changing. */
  async #run(): Promise<Outcome> {
    const { config, command, scope } = this.#options
    if (this.#stopped) throw stoppedError(command)
    const build = runBuildCommand({ ...config, command, scope })
    const run: Run = { build, startedAt: performance.now(), overdue: undefined, superseded: false }
    this.#running = run
    try {
      await build.done
      this.#longestMs = Math.max(this.#longestMs, performance.now() - run.startedAt)
      return undefined
    } catch (error) {
      if (this.#stopped) throw stoppedError(command)
      if (run.superseded) return 'superseded'
      if (error instanceof FlexiError && error.code !== 'FLEXI_TOOL_MISSING') return error
      throw error
    } finally {
      clearTimeout(run.overdue)
      this.#running = undefined
    }
  }

  /** Whether files that changed during a build hold what the build before had made of them; else a person has saved them. */
  async #isOwnWork(files: readonly string[]): Promise<boolean> {
    const contents = await Promise.all(files.map(async (file) => [file, await contentOf(file)] as const))
    const own = contents.every(([file, content]) => this.#generated.get(file) === content)
    for (const [file, content] of contents) this.#generated.set(file, content)
    return own
  }

  async #requireLibrary(): Promise<void> {
    const { library, command, config } = this.#options
    const there = await access(library).then(
      () => true,
      () => false,
    )
    if (there) return
    const [made] = await findLibraries(config.directory)
    const hint = `"${command}" has run and did not make it: ${made === undefined ? 'mend "library", or the command.' : `is it ${made}? Then write that as "library".`}`
    throw new FlexiError('FLEXI_BUILD', `the build made no library ${library}`, { hint })
  }
}

function stoppedError(command: string): FlexiError {
  return new FlexiError('FLEXI_SHUTTING_DOWN', `"${command}" was ended, because nobody needs it any more`)
}

function differing(before: Sources, after: Sources): string[] {
  const files = new Set([...before.looks.keys(), ...after.looks.keys()])
  return [...files].filter((file) => before.looks.get(file) !== after.looks.get(file))
}

async function contentOf(file: string): Promise<string> {
  const bytes = await readFile(file).catch(() => undefined)
  return bytes === undefined ? 'none' : createHash('sha256').update(bytes).digest('hex')
}
