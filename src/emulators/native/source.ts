import { copyFile, mkdir, readdir, rm, rmdir, stat } from 'node:fs/promises'
import { basename, dirname, extname, join, relative } from 'node:path'

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
import { lookAt, takeLibrary, type LibraryCopy } from './library-file.ts'
import type { NativeOptions } from './options.ts'

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

let sources = 0

/** A library, and when it has a build command, the sources it is made of. */
export class NativeSource implements FunctionSource {
  readonly #config: FunctionConfig
  readonly #scope: FunctionScope
  readonly #options: NativeOptions
  readonly #isolation: Isolation
  readonly #compiler: Compiler | undefined
  /** Private copies, one a revision. */
  readonly #directory: AbsolutePath
  readonly #copies = new Map<number, LibraryCopy>()
  #current: Built | undefined
  #sequence = 0
  #builds = 0

  constructor({ config, scope, options, isolate }: SourceOptions) {
    this.#config = config
    this.#scope = scope
    this.#options = options
    sources += 1
    const folder = `${config.name}-${process.pid}-${sources}`
    this.#directory = join(scope.stateDirectory, 'native', folder) as AbsolutePath
    const { library, build: command, watch } = options
    this.#compiler =
      command === undefined ? undefined : createCompiler({ config, scope, command, watch, library })
    this.#isolation = isolate({ config, scope, options, directory: this.#directory })
  }

  watched(): readonly AbsolutePath[] {
    const { files = [], folders = [] } = this.#compiler?.sources ?? {}
    return [this.#options.library, ...files, ...folders]
  }

  changed(files: readonly AbsolutePath[]): void {
    this.#compiler?.changed(files)
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

  async [Symbol.asyncDispose](): Promise<void> {
    this.#compiler?.stop()
    await this.#isolation[Symbol.asyncDispose]()
    await rm(this.#directory, { recursive: true, force: true })
    // Folders of ours that hold nothing else go with it.
    for (const folder of [dirname(this.#directory), this.#scope.stateDirectory])
      await rmdir(folder).catch(() => undefined)
  }

  async #take(): Promise<Code> {
    const { library, build } = this.#options
    if (this.#sequence === 0) await this.#clearLeftovers()
    await mkdir(this.#directory, { recursive: true })
    const sequence = (this.#sequence += 1)
    const target = join(this.#directory, `${sequence}${extname(library)}`) as AbsolutePath
    const hint =
      build === undefined
        ? 'Build it there, or tell flexi how: "build": "cc -shared -fPIC -o lib.so lib.c".'
        : `"${build}" has run and did not make it: mend "library", or the command.`
    const awaited = this.#current !== undefined
    const copy = await takeLibrary(library, { target, awaited, hint })
    if (copy.revision === this.#current?.copy.revision) {
      await rm(copy.path, { force: true })
      this.#current = { ...this.#current, copy: { ...this.#current.copy, look: copy.look } }
      return this.#current.code
    }
    this.#copies.set(sequence, copy)
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

  /** Copies of a flexi that was killed: their folder names a process that is no more. */
  async #clearLeftovers(): Promise<void> {
    const folder = dirname(this.#directory)
    const names = await readdir(folder).catch(() => [])
    const dead = names.filter((name) => {
      const pid = /-(\d+)-\d+$/.exec(name)?.[1]
      return pid !== undefined && Number(pid) !== process.pid && !isAlive(Number(pid))
    })
    await Promise.all(dead.map((name) => rm(join(folder, name), { recursive: true, force: true })))
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}
