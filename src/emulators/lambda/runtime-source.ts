import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { join } from 'node:path'

import { buildError } from '../../build/bundle.ts'
import type { Code, FunctionSource, PackagedFile } from '../../core/function.ts'
import type { AbsolutePath, Revision } from '../../core/place.ts'
import { createStandby, type Standby } from '../../instances/standby.ts'
import { lambdaCode } from './code.ts'
import { functionArn, region, type Definition } from './definition.ts'
import { runtimeEnvironment, startRuntimeProcess, type RuntimeProcess } from './environments/runtime.ts'
import { Execution } from './execution.ts'
import { isExecutable } from './find-program.ts'
import { packageFolder } from './folder-package.ts'
import { LambdaInstance } from './instance.ts'
import { preparePython } from './python-source.ts'
import { environmentVariables, functionVariables } from './variables.ts'

/** A program that speaks the Runtime API, and what it was made of. */
export interface Program {
  /** `python3.12`, `provided.al2023`. */
  readonly runtime: string
  /** What really runs: `3.11.7`. */
  readonly version: string
  readonly command: string
  readonly args: readonly string[]
  readonly inputs: readonly AbsolutePath[]
  readonly environment: Readonly<Record<string, string>>
  readonly handler: string
  /** It loads the user's code only when it is told to: such a process can be started before it is needed. */
  readonly waitsToLoad: boolean
}

const SPARE_DELAY_MS = 50

/** A function that runs in a process of its own language, through the Runtime API. */
export class RuntimeSource implements FunctionSource {
  readonly #definition: Definition
  #standby: Standby<RuntimeProcess> | undefined
  #standbyFor = ''
  #watched: readonly AbsolutePath[]
  #builds = 0
  #spareTimer: NodeJS.Timeout | undefined

  constructor(definition: Definition) {
    this.#definition = definition
    this.#watched = [definition.taskRoot]
  }

  async build(): Promise<Code> {
    this.#builds += 1
    if (this.#builds > 1) this.#standby?.prepare()
    const definition = this.#definition
    const program = isCustom(definition) ? prepareCustom(definition) : await preparePython(definition)
    this.#watched = [...program.inputs, definition.taskRoot]
    const hash = createHash('sha256').update(JSON.stringify([definition.options, definition.environment]))
    for (const contents of await Promise.all(program.inputs.map((file) => readFile(file))))
      hash.update(contents)
    return lambdaCode({
      definition,
      revision: hash.digest('hex').slice(0, 16) as Revision,
      start: () => this.#start(program),
    })
  }

  watched(): readonly AbsolutePath[] {
    return this.#watched
  }

  async package(directory: AbsolutePath): Promise<readonly PackagedFile[]> {
    return packageFolder(this.#definition.taskRoot, directory)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#spareTimer)
    await this.#standby?.[Symbol.asyncDispose]()
  }

  async #start(program: Program): Promise<LambdaInstance> {
    const definition = this.#definition
    const { variables } = environmentVariables(definition)
    const process_ = program.waitsToLoad
      ? this.#spares(program).take()
      : this.#startProcess(program, variables)
    const execution = await Execution.start({
      definition,
      environment: await runtimeEnvironment(process_, variables),
      runtime: { name: program.runtime, version: program.version },
      timed: definition.scope.inspectPort === undefined,
    })
    if (program.waitsToLoad && this.#builds > 1) this.#prepareSpareSoon()
    void execution.closed.then((error) => {
      if (error !== undefined && program.waitsToLoad) this.#prepareSpareSoon()
    })
    return new LambdaInstance(execution, definition)
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

  #prepareSpareSoon(): void {
    clearTimeout(this.#spareTimer)
    this.#spareTimer = setTimeout(() => this.#standby?.prepare(), SPARE_DELAY_MS)
    this.#spareTimer.unref()
  }

  #startProcess(program: Program, variables: Readonly<Record<string, string>>): RuntimeProcess {
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
      functionArn: functionArn(definition.name, region({ ...process.env, ...definition.environment })),
    })
  }
}

function isCustom({ options, taskRoot }: Definition): boolean {
  if (options.runtime !== undefined) return options.runtime.startsWith('provided')
  return !options.handler.endsWith('.py') && existsSync(join(taskRoot, 'bootstrap'))
}

/** A custom runtime is an executable called bootstrap. @throws FlexiError FLEXI_BUILD. */
function prepareCustom({ name, options, origin, taskRoot }: Definition): Program {
  const bootstrap = join(taskRoot, 'bootstrap') as AbsolutePath
  if (!existsSync(bootstrap)) {
    const hint = 'Build it there; for Go: GOOS=linux go build -o bootstrap.'
    throw buildError([{ place: origin, message: `${name}: there is no "bootstrap" in ${taskRoot}`, hint }])
  }
  if (!isExecutable(bootstrap)) {
    throw buildError([
      {
        place: origin,
        message: `${name}: ${bootstrap} is not executable`,
        hint: `Run: chmod +x ${bootstrap}`,
      },
    ])
  }
  return {
    runtime: options.runtime ?? 'provided.al2023',
    version: 'local',
    command: bootstrap,
    args: [],
    inputs: [bootstrap],
    environment: {},
    handler: options.handler,
    waitsToLoad: false,
  }
}
