import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'

import type { Code, FunctionSource, PackagedFile } from '../../core/function.ts'
import type { AbsolutePath, Revision } from '../../core/place.ts'
import { createStandby, type Standby } from '../../instances/standby.ts'
import { lambdaCode } from './code.ts'
import { confined } from './confined.ts'
import { ownArn, type Definition } from './definition.ts'
import {
  runtimeEnvironment,
  startRuntimeProcess,
  type RuntimeProcess,
  type RuntimeProcessOptions,
} from './environments/runtime.ts'
import type { Environment } from './environments/environment.ts'
import { Execution } from './execution.ts'
import { mayHaveExtensions } from './extensions/may-have-extensions.ts'
import { packageFolder } from './folder-package.ts'
import { handlerHasCome } from './handler-fault.ts'
import { LambdaInstance } from './instance.ts'
import { prepareProgram } from './programs/prepare.ts'
import type { Program } from './programs/program.ts'
import { environmentVariables, functionVariables } from './variables.ts'

const SPARE_DELAY_MS = 50

/** A function that runs in a process of its own language, through the Runtime API. */
export class RuntimeSource implements FunctionSource {
  readonly #definition: Definition
  #standby: Standby<RuntimeProcess> | undefined
  #standbyFor = ''
  #watched: readonly AbsolutePath[]
  #builds = 0
  /** Of the last preparation that came to an end. */
  #failure: unknown
  #spareTimer: NodeJS.Timeout | undefined
  #isExtended = false

  constructor(definition: Definition) {
    this.#definition = definition
    this.#watched = [definition.taskRoot]
  }

  async build(): Promise<Code> {
    this.#builds += 1
    if (this.#builds > 1 && !this.#isExtended) this.#standby?.prepare()
    const definition = this.#definition
    const program = await this.#prepare()
    this.#watched = [...program.inputs, definition.taskRoot]
    const hash = createHash('sha256').update(JSON.stringify([definition.options, definition.environment]))
    const contents = await Promise.all(program.inputs.map((file) => readFile(file)))
    for (const bytes of contents) hash.update(bytes)
    this.#isExtended = mayHaveExtensions(definition, contents)
    return lambdaCode({
      ahead: true,
      definition,
      revision: hash.digest('hex').slice(0, 16) as Revision,
      start: () => this.#start(program),
    })
  }

  watched(): readonly AbsolutePath[] {
    return this.#watched
  }

  async lackedIsThere(): Promise<boolean> {
    return handlerHasCome(this.#definition, this.#failure, true)
  }

  async package(directory: AbsolutePath): Promise<readonly PackagedFile[]> {
    return packageFolder(this.#definition.taskRoot, directory)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#spareTimer)
    await this.#standby?.[Symbol.asyncDispose]()
  }

  async #prepare(): Promise<Program> {
    try {
      const program = await prepareProgram(this.#definition)
      this.#failure = undefined
      return program
    } catch (error) {
      this.#failure = error
      throw error
    }
  }

  async #start(program: Program): Promise<LambdaInstance> {
    const definition = this.#definition
    const { variables } = environmentVariables(definition)
    const environment = this.#isExtended
      ? await this.#extended(program, variables)
      : await this.#plain(program, variables)
    const execution = await Execution.start({
      definition,
      environment,
      runtime: { name: program.runtime, version: program.version },
      timed: definition.scope.inspectPort === undefined,
    })
    if (this.#builds > 1) this.#prepareSpareSoon(program)
    void execution.closed.then((error) => {
      if (error !== undefined) this.#prepareSpareSoon(program)
    })
    return new LambdaInstance(execution, definition)
  }

  #plain(program: Program, variables: Readonly<Record<string, string>>): Promise<Environment> {
    const process_ = program.waitsToLoad
      ? this.#spares(program).take()
      : this.#startProcess(program, variables)
    return runtimeEnvironment(process_, variables)
  }

  /** Extensions are started before the runtime, and talk to the same address. */
  async #extended(program: Program, variables: Readonly<Record<string, string>>): Promise<Environment> {
    const { extendedRuntime } = await import('./extensions/open-extended.ts')
    const definition = this.#definition
    const own = functionVariables({ definition, runtime: program.runtime, host: process.env })
    const runtime = { name: program.runtime, version: program.version }
    return extendedRuntime({ definition, runtime, variables: { ...own, ...variables } }, (before) =>
      runtimeEnvironment(this.#startProcess(program, variables, before), variables),
    )
  }

  /** Spares of one command line; another interpreter is another one. */
  #spares(program: Program): Standby<RuntimeProcess> {
    const key = [program.command, ...program.args].join(' ')
    if (this.#standby !== undefined && this.#standbyFor === key) return this.#standby
    void this.#standby?.[Symbol.asyncDispose]()
    this.#standby = createStandby(() => this.#startProcess(program, {}))
    this.#standbyFor = key
    return this.#standby
  }

  #prepareSpareSoon({ waitsToLoad }: Program): void {
    if (!waitsToLoad || this.#isExtended) return
    clearTimeout(this.#spareTimer)
    this.#spareTimer = setTimeout(() => this.#standby?.prepare(), SPARE_DELAY_MS)
    this.#spareTimer.unref()
  }

  #startProcess(
    program: Program,
    variables: Readonly<Record<string, string>>,
    before?: RuntimeProcessOptions['before'],
  ): RuntimeProcess {
    const definition = this.#definition
    const { runtime, command, args } = program
    const base: Readonly<Record<string, string>> = functionVariables({
      definition,
      runtime,
      host: process.env,
    })
    const environment = { ...base, ...program.environment, ...variables, _HANDLER: program.handler }
    const wrapper = base['AWS_LAMBDA_EXEC_WRAPPER']
    return startRuntimeProcess({
      command: wrapper ?? command,
      args: wrapper === undefined ? args : [command, ...args],
      cwd: definition.taskRoot,
      environment,
      functionArn: ownArn(definition),
      before,
      confined: confined(definition, program.readable),
      speaksSockets: program.waitsToLoad,
    })
  }
}
