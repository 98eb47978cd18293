import { copyFile, mkdir, rm, stat } from 'node:fs/promises'
import { basename, extname, join, relative } from 'node:path'

import type {
  Code,
  FunctionConfig,
  FunctionScope,
  FunctionSource,
  Instance,
  PackagedFile,
} from '../../core/function.ts'
import type { AbsolutePath } from '../../core/place.ts'
import { createCompiler, type Compiler } from './compiler.ts'
import type { Isolation, IsolationOptions } from './isolation.ts'
import { lookAt, takeInPlace, takeLibrary, type LibraryCopy } from './library-file.ts'
import type { NativeOptions } from './options.ts'
import { StateFolder } from './state-folder.ts'

interface Built {
  readonly code: Code
  readonly copy: LibraryCopy
}

export interface SourceOptions {
  readonly config: FunctionConfig
  readonly scope: FunctionScope
  readonly options: NativeOptions
  readonly isolate: (options: IsolationOptions) => Isolation
}

/** A library, and when it has a build command, the sources it is made of. */
export class NativeSource implements FunctionSource {
  readonly #config: FunctionConfig
  readonly #options: NativeOptions
  readonly #isolation: Isolation
  readonly #compiler: Compiler | undefined
  /** Private copies, one a revision. */
  readonly #folder: StateFolder
  readonly #copies = new Map<number, LibraryCopy>()
  #current: Built | undefined
  /** What the library looked like when it could last not be taken. */
  #refused: string | undefined
  readonly #isApart: boolean
  #sequence = 0
  #builds = 0

  constructor({ config, scope, options, isolate }: SourceOptions) {
    this.#config = config
    this.#options = options
    const { stateDirectory, log } = scope
    this.#isApart = scope.confinement !== undefined
    const folder = new StateFolder({ stateDirectory, log, name: config.name })
    this.#folder = folder
    const { library, build: command, watch } = options
    this.#compiler =
      command === undefined ? undefined : createCompiler({ config, scope, command, watch, library })
    this.#isolation = isolate({ config, scope, options, directory: () => folder.path() })
  }

  watched(): readonly AbsolutePath[] {
    const { files = [], folders = [] } = this.#compiler?.sources ?? {}
    return [this.#options.library, ...files, ...folders]
  }

  changed(files: readonly AbsolutePath[]): void {
    this.#compiler?.changed(files)
    void this.#endStaleLoad(files)
  }

  /** What is being loaded is of no use any more, and may hang. */
  async #endStaleLoad(files: readonly AbsolutePath[]): Promise<void> {
    const { library } = this.#options
    const source = files.some((file) => file !== library)
    if (source || this.#current?.copy.look !== (await lookAt(library))) this.#isolation.endLoad()
  }

  cancel(): void {
    this.#compiler?.stop()
  }

  async build(): Promise<Code> {
    this.#builds += 1
    // Somebody edits.
    if (this.#builds > 1) this.#isolation.prepare()
    await this.#compiler?.compile()
    const { library } = this.#options
    if (this.#current !== undefined && this.#current.copy.look === (await lookAt(library)))
      return this.#current.code
    return this.#take()
  }

  async lackedIsThere(): Promise<boolean> {
    if (this.#compiler !== undefined || this.#current !== undefined) return false
    const look = await lookAt(this.#options.library)
    return look !== undefined && look !== this.#refused
  }

  async package(directory: AbsolutePath): Promise<readonly PackagedFile[]> {
    await this.build()
    const path = basename(this.#options.library)
    await mkdir(directory, { recursive: true })
    await copyFile(this.#current?.copy.path ?? this.#options.library, join(directory, path))
    const { size } = await stat(join(directory, path))
    const files = this.#compiler?.sources.files ?? []
    const inputs = files.length === 0 ? [this.#options.library] : files
    return [{ path, bytes: size, inputs: inputs.map((file) => relative(this.#config.directory, file)) }]
  }

  /** A library is found in the folder by its name, and was built. */
  shipped(): Readonly<Record<string, unknown>> {
    const kept = Object.entries(this.#config.options).filter(([name]) => name !== 'build' && name !== 'watch')
    return { ...Object.fromEntries(kept), library: `./${basename(this.#options.library)}` }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#compiler?.stop()
    await this.#isolation[Symbol.asyncDispose]()
    await this.#folder[Symbol.asyncDispose]()
  }

  /** What is kept apart was deployed, and does not change any more. */
  async #takeInPlace(): Promise<Code> {
    const copy = await takeInPlace(this.#options.library)
    this.#sequence += 1
    return this.#codeOf(copy, this.#sequence)
  }

  async #take(): Promise<Code> {
    if (this.#isApart) return this.#takeInPlace()
    const { library, build } = this.#options
    if (this.#sequence === 0) await this.#folder.clearLeftovers()
    const sequence = (this.#sequence += 1)
    const target = join(this.#folder.path(), `${sequence}${extname(library)}`) as AbsolutePath
    const hint =
      build === undefined
        ? 'Build it there, or tell flexi how: "build": "cc -shared -fPIC -o lib.so lib.c".'
        : `"${build}" has run and did not make it: mend "library", or the command.`
    const awaited = this.#current !== undefined
    const copy = await takeLibrary(library, { target, awaited, hint }).catch(async (error: unknown) => {
      this.#refused = await lookAt(library)
      throw error
    })
    if (copy.revision === this.#current?.copy.revision) {
      await rm(copy.path, { force: true })
      this.#current = { ...this.#current, copy: { ...this.#current.copy, look: copy.look } }
      return this.#current.code
    }
    this.#copies.set(sequence, copy)
    return this.#codeOf(copy, sequence)
  }

  #codeOf(copy: LibraryCopy, sequence: number): Code {
    const code: Code = {
      revision: copy.revision,
      concurrency: this.#isolation.concurrency,
      instancesMax: 1,
      exclusive: false,
      start: () => this.#start(copy, sequence),
    }
    this.#current = { code, copy }
    return code
  }

  async #start(copy: LibraryCopy, sequence: number): Promise<Instance> {
    const instance = await this.#isolation.start(copy, sequence)
    await this.#dropCopiesBefore(sequence)
    return instance
  }

  /** An older revision is never started again once a newer one runs; until then it may have to be, after a crash. */
  async #dropCopiesBefore(sequence: number): Promise<void> {
    const old = [...this.#copies].filter(([own]) => own < sequence)
    for (const [own] of old) this.#copies.delete(own)
    await Promise.all(old.map(([, { path }]) => rm(path, { force: true })))
  }
}
