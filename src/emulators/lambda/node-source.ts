import { createHash } from 'node:crypto'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import { openBundle, type Bundle, type BundleResult } from '../../build/bundle.ts'
import type { Code, FunctionSource, PackagedFile } from '../../core/function.ts'
import type { AbsolutePath, Revision } from '../../core/place.ts'
import { createStandby, type Standby } from '../../instances/standby.ts'
import { lambdaCode } from './code.ts'
import { functionArn, region, VERSION, type Definition } from './definition.ts'
import { nodeEnvironment, startNodeProcess, type NodeProcess } from './environments/node.ts'
import { Execution } from './execution.ts'
import { missingHandler } from './handler-fault.ts'
import { DEFAULT_EXPORT_PATH, findHandlerFile, splitHandler, type HandlerFile } from './handler-file.ts'
import { LambdaInstance } from './instance.ts'
import { moduleFormat } from './module-format.ts'
import { compiledPath, runSettings, withRequire } from './node-bundle.ts'
import { packageNode } from './node-package.ts'
import type { HandlerCode, HostInit } from './protocol.ts'
import { environmentVariables, functionVariables, logGroup } from './variables.ts'

/** After a swap the next spare is made at leisure, so that it does not compete with the first requests. */
const SPARE_DELAY_MS = 50

/** With more functions than these, none is started before it is asked for, and so none gets a process early. */
const EAGER_FUNCTIONS_MAX = 8
let openSources = 0

/** A function in JavaScript or TypeScript. */
export class NodeSource implements FunctionSource {
  readonly #definition: Definition
  readonly #runtime: string
  readonly #standby: Standby<NodeProcess>
  #handler: HandlerFile | undefined
  #bundle: Bundle | undefined
  #bundledFile: string | undefined
  #missing: readonly AbsolutePath[] = []
  #builds = 0
  #written: string[] = []
  #spareTimer: NodeJS.Timeout | undefined

  constructor(definition: Definition) {
    this.#definition = definition
    const { runtime } = definition.options
    this.#runtime = runtime ?? `nodejs${process.versions.node.split('.')[0]}.x`
    this.#standby = createStandby(() => this.#startProcess())
    openSources += 1
  }

  async build(): Promise<Code> {
    this.#builds += 1
    this.#prepareSpare()
    const handler = this.#findHandler()
    const { bundle, result } = await this.#bundleOf(handler)
    const code = await this.#codeOf(handler, result)
    const hash = createHash('sha256').update(
      JSON.stringify([this.#definition.options, this.#definition.environment]),
    )
    for (const file of result.files) hash.update(file.hash)
    if (code.kind === 'file') hash.update(await readFile(code.path))
    this.#missing = []
    this.#bundle = bundle
    return lambdaCode({
      ahead: true,
      definition: this.#definition,
      revision: hash.digest('hex').slice(0, 16) as Revision,
      start: () => this.#start(code, handler),
    })
  }

  watched(): readonly AbsolutePath[] {
    return [...(this.#bundle?.watched() ?? []), ...this.#missing]
  }

  async package(directory: AbsolutePath): Promise<readonly PackagedFile[]> {
    return packageNode(this.#findHandler(), this.#definition, directory)
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
      const compiled = handler.language === 'typescript'
      const format = compiled ? moduleFormat(handler.file) : 'esm'
      const resolvedFrom = compiled && format === 'esm' ? this.#buildFolder() : dirname(handler.file)
      const esbuild = runSettings({ file: handler.file, format, resolvedFrom })
      this.#bundle = await openBundle({ entry: handler.file, directory: taskRoot, esbuild })
      this.#bundledFile = handler.file
    }
    return { bundle: this.#bundle, result: await this.#bundle.build() }
  }

  /** JavaScript runs from its own files. CommonJS bundles run from memory; an ES module has to be a file. */
  async #codeOf(handler: HandlerFile, result: BundleResult): Promise<HandlerCode> {
    if (handler.language === 'javascript') return { kind: 'file', path: handler.file }
    const format = moduleFormat(handler.file)
    const [output] = result.files
    const text = Buffer.from(output?.contents ?? new Uint8Array()).toString()
    const compiled = compiledPath(handler.file, format)
    if (format === 'cjs') return { kind: 'text', path: compiled, text }
    const path = join(this.#buildFolder(), `${this.#builds}-${process.pid}.mjs`)
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, withRequire(text, compiled))
    this.#forget(path)
    return { kind: 'file', path }
  }

  #buildFolder(): string {
    return join(this.#definition.scope.stateDirectory, 'build', this.#definition.name)
  }

  /** Old revisions may still be drained and started again after a crash: the last few stay. */
  #forget(path: string): void {
    this.#written.push(path)
    for (const old of this.#written.splice(0, Math.max(0, this.#written.length - 4)))
      void rm(old, { force: true })
  }

  async #start(code: HandlerCode, handler: HandlerFile): Promise<LambdaInstance> {
    const definition = this.#definition
    const process_ = this.#standby.take()
    const { logStream, variables } = environmentVariables(definition)
    const init: HostInit = {
      environment: variables,
      code,
      exportPath: handler.exportPath,
      handler: definition.options.handler,
      context: {
        functionName: definition.name,
        functionVersion: VERSION,
        memoryLimitInMB: String(definition.memoryMb),
        logGroupName: logGroup(definition.name),
        logStreamName: logStream,
        invokedFunctionArn: functionArn(
          definition.name,
          region({ ...process.env, ...definition.environment }),
        ),
      },
    }
    const execution = await Execution.start({
      definition,
      environment: nodeEnvironment(process_, init),
      runtime: { name: this.#runtime, version: process.versions.node },
      timed: definition.scope.inspectPort === undefined,
    })
    if (this.#builds > 1) this.#prepareSpareSoon()
    // A crash is likely to be followed by another: the next start finds a process ready.
    void execution.closed.then((error) => (error === undefined ? undefined : this.#prepareSpareSoon()))
    return new LambdaInstance(execution, definition)
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
    return scope.inspectPort === undefined && environment['NODE_OPTIONS'] === undefined
  }

  #startProcess(): NodeProcess {
    const definition = this.#definition
    const environment = functionVariables({ definition, runtime: this.#runtime, host: process.env })
    return startNodeProcess({
      // Libraries take this name for being in Lambda; nothing listens there, since the host has its own channel.
      environment: { ...environment, AWS_LAMBDA_RUNTIME_API: '127.0.0.1:9001' },
      cwd: definition.taskRoot,
      memoryMb: definition.memoryMb,
      inspectPort: definition.scope.inspectPort,
      wrapper: environment['AWS_LAMBDA_EXEC_WRAPPER'],
    })
  }
}
