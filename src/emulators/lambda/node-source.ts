import { createHash } from 'node:crypto'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import { openBundle, type Bundle, type BundleResult } from '../../build/bundle.ts'
import type { Code, FunctionSource, PackagedFile, PackageOptions } from '../../core/function.ts'
import type { AbsolutePath, Revision } from '../../core/place.ts'
import { startChild, type Child, type ChildOptions } from '../../instances/child.ts'
import { createStandby, type Standby } from '../../instances/standby.ts'
import { lambdaCode } from './code.ts'
import { confined, runsAsItIs } from './confined.ts'
import type { Definition } from './definition.ts'
import { nodeEnvironment, startNodeProcess, type NodeProcess } from './environments/node.ts'
import type { Environment } from './environments/environment.ts'
import type { Surroundings } from './environments/surroundings.ts'
import { Execution } from './execution.ts'
import { mayHaveExtensions } from './extensions/may-have-extensions.ts'
import { handlerHasCome, missingHandler } from './handler-fault.ts'
import { DEFAULT_EXPORT_PATH, findHandlerFile, splitHandler, type HandlerFile } from './handler-file.ts'
import { LambdaInstance } from './instance.ts'
import { moduleFormat, type ModuleFormat } from './module-format.ts'
import { bringsRequire, withBuildSettings } from './node-build-settings.ts'
import { compiledPath, runSettings, withRequire } from './node-bundle.ts'
import { breaksAtStart, hostInit } from './node-init.ts'
import { packageNode } from './node-package.ts'
import type { HandlerCode, HostInit } from './protocol.ts'
import { functionVariables } from './variables.ts'

/** Libraries take its name for being in Lambda; nothing listens there, since the host has its own channel. */
const NO_API = '127.0.0.1:9001'

/** After a swap the next spare is made at leisure, so that it does not compete with the first requests. */
const SPARE_DELAY_MS = 50

const WRITTEN_KEPT = 4

/** With more functions than these, none is started before it is asked for, and so none gets a process early. */
const EAGER_FUNCTIONS_MAX = 8
let openSources = 0

/** What a revision is made of. */
interface Parts {
  readonly handler: HandlerFile
  readonly hashes: readonly string[]
  readonly contents: readonly Uint8Array[]
}

/** A function in JavaScript or TypeScript. */
export class NodeSource implements FunctionSource {
  readonly #definition: Definition
  readonly #runtime: string
  readonly #standby: Standby<NodeProcess>
  #handler: HandlerFile | undefined
  #bundle: Bundle | undefined
  #bundledFile: string | undefined
  #missing: readonly AbsolutePath[] = []
  /** Of the last build that came to an end. */
  #failure: unknown
  #builds = 0
  #written: string[] = []
  /** The file of the code that started last. It may be asked for another environment. */
  #serving: string | undefined
  #spareTimer: NodeJS.Timeout | undefined
  #isExtended: boolean
  /** Nothing but a person at a debugger ends the start of these. */
  readonly #debugged = new Set<Environment>()

  constructor(definition: Definition) {
    this.#definition = definition
    const { runtime } = definition.options
    this.#runtime = runtime ?? `nodejs${process.versions.node.split('.')[0]}.x`
    this.#standby = createStandby(() => this.#startProcess())
    this.#isExtended = mayHaveExtensions(definition, [])
    openSources += 1
  }

  async build(): Promise<Code> {
    try {
      const code = await this.#build()
      this.#failure = undefined
      return code
    } catch (error) {
      this.#failure = error
      throw error
    }
  }

  async #build(): Promise<Code> {
    this.#builds += 1
    if (runsAsItIs(this.#definition)) return this.#asItIs()
    this.#prepareSpare()
    const handler = this.#findHandler()
    const { bundle, result } = await this.#bundleOf(handler)
    const code = await this.#codeOf(handler, result)
    const hashes = result.files.map((file) => file.hash)
    if (code.kind === 'file') hashes.push(await readFile(code.path, 'latin1'))
    this.#missing = []
    this.#bundle = bundle
    const contents = result.files.map((file) => file.contents)
    return this.#runs(code, { handler, hashes, contents })
  }

  /** What was shipped is complete: nobody looks for what it imports. */
  async #asItIs(): Promise<Code> {
    const handler = this.#findHandler()
    const contents = await readFile(handler.file)
    const parts = { handler, hashes: [contents.toString('latin1')], contents: [contents] }
    return this.#runs({ kind: 'file', path: handler.file }, parts)
  }

  #runs(code: HandlerCode, { handler, hashes, contents }: Parts): Code {
    const definition = this.#definition
    const hash = createHash('sha256').update(JSON.stringify([definition.options, definition.environment]))
    for (const part of hashes) hash.update(part)
    this.#isExtended = mayHaveExtensions(definition, contents)
    return lambdaCode({
      ahead: true,
      definition,
      revision: hash.digest('hex').slice(0, 16) as Revision,
      start: () => this.#start(code, handler),
    })
  }

  watched(): readonly AbsolutePath[] {
    return [...(this.#bundle?.watched() ?? []), ...this.#missing]
  }

  async lackedIsThere(): Promise<boolean> {
    return handlerHasCome(this.#definition, this.#failure, false)
  }

  cancel(): void {
    for (const environment of this.#debugged) void environment.kill()
  }

  async package(directory: AbsolutePath, options?: PackageOptions): Promise<readonly PackagedFile[]> {
    return packageNode(this.#findHandler(), this.#definition, { directory, ...options })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    openSources -= 1
    clearTimeout(this.#spareTimer)
    await Promise.all([this.#standby[Symbol.asyncDispose](), this.#bundle?.[Symbol.asyncDispose]()])
    await Promise.all(this.#written.map((path) => rm(path, { force: true })))
  }

  /** @throws FlexiError FLEXI_BUILD that says which files are there instead. */
  #findHandler(): HandlerFile {
    const { options, taskRoot } = this.#definition
    const entry = options.entry === undefined ? undefined : findHandlerFile(options.entry, taskRoot)
    const found = entry ?? findHandlerFile(options.handler, taskRoot)
    if (found === undefined || found.language === 'python') {
      this.#missing = [join(taskRoot, dirname(options.handler)) as AbsolutePath]
      throw missingHandler(this.#definition)
    }
    const exportPath =
      entry === undefined ? found.exportPath : splitHandler(options.handler, false).exportPath
    this.#handler = { ...found, exportPath: exportPath === '' ? DEFAULT_EXPORT_PATH : exportPath }
    return this.#handler
  }

  async #bundleOf(handler: HandlerFile): Promise<{ readonly bundle: Bundle; readonly result: BundleResult }> {
    const { taskRoot } = this.#definition
    if (this.#bundle === undefined || this.#bundledFile !== handler.file) {
      await this.#bundle?.[Symbol.asyncDispose]()
      const compiled = this.#isCompiled(handler)
      const format = compiled ? this.#format(handler) : 'esm'
      const resolvedFrom = compiled && format === 'esm' ? this.#buildFolder() : dirname(handler.file)
      const ours = runSettings({ file: handler.file, format, resolvedFrom })
      const esbuild = compiled ? withBuildSettings(ours, this.#definition.options.esbuild) : ours
      this.#bundle = await openBundle({ entry: handler.file, directory: taskRoot, esbuild })
      this.#bundledFile = handler.file
    }
    return { bundle: this.#bundle, result: await this.#bundle.build() }
  }

  /** JavaScript runs from its own files. CommonJS bundles run from memory; an ES module has to be a file. */
  async #codeOf(handler: HandlerFile, result: BundleResult): Promise<HandlerCode> {
    if (!this.#isCompiled(handler)) return { kind: 'file', path: handler.file }
    const format = this.#format(handler)
    const [output] = result.files
    const text = Buffer.from(output?.contents ?? new Uint8Array()).toString()
    const compiled = compiledPath(handler.file, format)
    if (format === 'cjs') return { kind: 'text', path: compiled, text }
    const path = join(this.#buildFolder(), `${this.#builds}-${process.pid}.mjs`)
    await mkdir(dirname(path), { recursive: true })
    const { esbuild } = this.#definition.options
    await writeFile(path, bringsRequire(esbuild) ? text : withRequire(text, compiled))
    this.#forget(path)
    return { kind: 'file', path }
  }

  /** JavaScript is run as it is, unless a template says how it is compiled. */
  #isCompiled({ language }: HandlerFile): boolean {
    return language === 'typescript' || this.#definition.options.esbuild !== undefined
  }

  #format({ file }: HandlerFile): ModuleFormat {
    return this.#definition.options.esbuild?.format ?? moduleFormat(file)
  }

  #buildFolder(): string {
    return join(this.#definition.scope.stateDirectory, 'build', this.#definition.name)
  }

  /** Old revisions may still be drained: the last few stay, and the one that serves, however many edits could not start. */
  #forget(path: string): void {
    this.#written.push(path)
    const old = this.#written.slice(0, -WRITTEN_KEPT).filter((one) => one !== this.#serving)
    this.#written = this.#written.filter((one) => !old.includes(one))
    for (const one of old) void rm(one, { force: true })
  }

  async #start(code: HandlerCode, handler: HandlerFile): Promise<LambdaInstance> {
    const definition = this.#definition
    const init = hostInit({ definition, runtime: this.#runtime, code, exportPath: handler.exportPath })
    const execution = await this.#begun(
      this.#isExtended ? await this.#extended(init) : nodeEnvironment(this.#standby.take(), init),
    )
    this.#serving = code.path
    if (this.#builds > 1) this.#prepareSpareSoon()
    // A crash is likely to be followed by another: the next start finds a process ready.
    void execution.closed.then((error) => (error === undefined ? undefined : this.#prepareSpareSoon()))
    return new LambdaInstance(execution, definition)
  }

  async #begun(environment: Environment): Promise<Execution> {
    const definition = this.#definition
    const timed = definition.scope.inspectPort === undefined
    if (!timed) this.#debugged.add(environment)
    try {
      const runtime = { name: this.#runtime, version: process.versions.node }
      return await Execution.start({ definition, environment, runtime, timed })
    } finally {
      this.#debugged.delete(environment)
    }
  }

  /** Extensions are started before the runtime, which is then told where they are. */
  async #extended(init: HostInit): Promise<Environment> {
    const { extendedHost } = await import('./extensions/open-extended.ts')
    const definition = this.#definition
    const own = functionVariables({ definition, runtime: this.#runtime, host: process.env })
    const runtime = { name: this.#runtime, version: process.versions.node }
    const variables = { ...own, ...init.environment }
    return extendedHost({ definition, runtime, variables }, (surroundings) =>
      nodeEnvironment(this.#startProcess(surroundings), init),
    )
  }

  /** The process starts while its code is built: at first, and for who edits. */
  #prepareSpare(): void {
    const wanted = this.#builds > 1 || openSources <= EAGER_FUNCTIONS_MAX
    if (wanted && this.#mayHaveSpare()) this.#standby.prepare()
  }

  #prepareSpareSoon(): void {
    if (!this.#mayHaveSpare()) return
    clearTimeout(this.#spareTimer)
    this.#spareTimer = setTimeout(() => this.#standby.prepare(), SPARE_DELAY_MS)
    this.#spareTimer.unref()
  }

  /** A debugger’s port cannot be shared, and what NODE_OPTIONS preloads is user code that must not run early. */
  #mayHaveSpare(): boolean {
    const { scope, environment } = this.#definition
    if (runsAsItIs(this.#definition) || this.#isExtended) return false
    return scope.inspectPort === undefined && environment['NODE_OPTIONS'] === undefined
  }

  #startProcess(surroundings?: Surroundings): NodeProcess {
    const definition = this.#definition
    const { confinement, readable } = confined(definition, [this.#buildFolder()])
    const alone = (options: ChildOptions): Child =>
      startChild({ ...options, confinement, readable: [...readable, ...(options.readable ?? [])] })
    const environment = functionVariables({ definition, runtime: this.#runtime, host: process.env })
    return startNodeProcess({
      environment: { ...environment, AWS_LAMBDA_RUNTIME_API: surroundings?.address ?? NO_API },
      cwd: definition.taskRoot,
      memoryMb: definition.memoryMb,
      inspectPort: breaksAtStart(definition) ? undefined : definition.scope.inspectPort,
      wrapper: environment['AWS_LAMBDA_EXEC_WRAPPER'],
      start: surroundings?.start ?? alone,
    })
  }
}
