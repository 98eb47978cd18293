import type { ChildExit } from '../../../instances/child.ts'
import { ACCOUNT_ID, ownArn, type Definition } from '../definition.ts'
import type {
  Environment,
  EnvironmentEvents,
  Invocation,
  Outcome,
  PrintedLine,
} from '../environments/environment.ts'
import type { RuntimeApi } from '../environments/runtime-api.ts'
import type { Surroundings } from '../environments/surroundings.ts'
import { exitMessage, type Report } from '../report.ts'
import { EnvironmentTelemetry } from '../telemetry/environment-telemetry.ts'
import type { Telemetry } from '../telemetry/telemetry.ts'
import { ExtensionProcesses, extensionVariables } from './extension-processes.ts'
import { ExtensionsApi } from './extensions-api.ts'
import { mountApis } from './mount-apis.ts'
import {
  endRuntime,
  noteEnding,
  othersHaveEnded,
  SHUTDOWN_MS,
  within,
  type ShutdownReason,
} from './shutdown.ts'

export interface ExtendedOptions {
  readonly definition: Definition
  /** `nodejs20.x` and the version that really runs. */
  readonly runtime: { readonly name: string; readonly version: string }
  /** All that the function has. */
  readonly variables: Readonly<Record<string, string>>
  readonly telemetry: Telemetry
  /** Starts the runtime once `before` has resolved. Whoever called this closes the API, and what the processes run in. */
  startRuntime(before: (surroundings: Surroundings, api: RuntimeApi) => Promise<void>): Promise<Environment>
}

type InitOutcome = { readonly error: Buffer | undefined }

/** For subscribers to take what was told before the end. */
const LAST_FLUSH_MS = 300

/** An environment whose runtime has extensions beside it, or in it. An invocation is over when all of them are done with it. */
export class ExtendedEnvironment implements Environment {
  readonly polls = true
  readonly #options: ExtendedOptions
  readonly #api: ExtensionsApi
  readonly #processes: ExtensionProcesses
  readonly #tell: EnvironmentTelemetry
  readonly #runtimeGone: Promise<void>
  #runtimeApi: RuntimeApi | undefined
  #surroundings: Surroundings | undefined
  #runtime: Environment | undefined
  #events: EnvironmentEvents | undefined
  #current: Invocation | undefined
  #isRuntimeIdle = false
  #isInitialised = false
  #hasFailed = false
  #ending: Promise<void> | undefined
  #changed: () => void = () => undefined
  #resolveGone: () => void = () => undefined
  #failInit: (error: Buffer) => void = () => undefined

  constructor(options: ExtendedOptions) {
    const { definition } = options
    this.#options = options
    this.#tell = new EnvironmentTelemetry(options)
    this.#runtimeGone = new Promise((resolve) => {
      this.#resolveGone = resolve
    })
    this.#api = new ExtensionsApi({
      functionName: definition.functionName,
      functionVersion: definition.version,
      handler: definition.options.handler,
      accountId: ACCOUNT_ID,
      external: definition.opt?.extensions ?? [],
      changed: () => this.#extensionChanged(),
      failed: ({ name }, errorType) => this.#fail(errorType, `Error: the extension ${name} says so`),
    })
    this.#processes = new ExtensionProcesses({
      printed: (stream, text) => this.#extensionPrinted(stream, text),
      crashed: (name, reason) => this.#fail('Extension.Crash', `Error: ${reason}, of the extension ${name}`),
    })
  }

  get pid(): number | undefined {
    return this.#runtime?.pid
  }

  async initialise(events: EnvironmentEvents): Promise<InitOutcome> {
    this.#events = events
    const failed = new Promise<InitOutcome>((resolve) => {
      this.#failInit = (error) => resolve({ error })
    })
    this.#tell.initStart()
    const outcome = await Promise.race([failed, this.#start(events)])
    this.#hasFailed ||= outcome.error !== undefined
    this.#isInitialised = outcome.error === undefined
    this.#tell.initReport(outcome.error)
    this.#options.telemetry.close()
    return outcome
  }

  invoke(invocation: Invocation): void {
    this.#current = invocation
    this.#isRuntimeIdle = false
    this.#tell.start(invocation)
    this.#api.send('INVOKE', {
      deadlineMs: invocation.deadline,
      requestId: invocation.id,
      invokedFunctionArn: invocation.functionArn ?? ownArn(this.#options.definition),
      tracing: { type: 'X-Amzn-Trace-Id', value: invocation.trace },
    })
    this.#runtime?.invoke(invocation)
  }

  reported(report: Report): void {
    // Where it broke off, nothing else has told yet that the runtime is done.
    this.#tell.runtimeDone(report.fault?.kind === 'timeout' ? 'timeout' : 'failure')
    this.#tell.report(report)
    this.#runtime?.reported?.(report)
  }

  kill(): Promise<void> {
    if (this.#ending === undefined) {
      this.#ending = this.#shutDown(this.#reason())
      noteEnding(this.#options.definition.scope, this.#ending)
    }
    return this.#ending
  }

  async #start(events: EnvironmentEvents): Promise<InitOutcome> {
    const runtime = await this.#options.startRuntime((around, api) => this.#before(around, api))
    this.#runtime = runtime
    if (this.#ending !== undefined) {
      await runtime.kill()
      return { error: undefined }
    }
    const outcome = await runtime.initialise(this.#runtimeEvents(events))
    this.#api.closeRegistration()
    this.#tell.initRuntimeDone(outcome.error)
    if (outcome.error === undefined) await this.#until(() => this.#api.areAllReady)
    for (const { name, events: types } of this.#api.extensions) this.#sayReady(name, types)
    return outcome
  }

  /** Extensions come first: each of them has registered before the runtime starts. */
  async #before(surroundings: Surroundings, api: RuntimeApi): Promise<void> {
    const { definition, variables, telemetry } = this.#options
    this.#runtimeApi = api
    this.#surroundings = surroundings
    telemetry.reachBy(surroundings.reach)
    mountApis(api, this.#api, telemetry)
    if (definition.opt === undefined) return
    await othersHaveEnded(definition.scope)
    const own = extensionVariables(variables, surroundings.address)
    const failure = this.#processes.start(definition.opt, own, surroundings)
    if (failure !== undefined) this.#fail('Extension.LaunchError', `Error: ${failure}`)
    await this.#until(() => this.#api.haveAllRegistered && failure === undefined)
  }

  #until(holds: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#changed = () => {
        if (holds()) resolve()
      }
      this.#changed()
    })
  }

  #extensionChanged(): void {
    this.#changed()
    this.#restIfDone()
  }

  #restIfDone(): void {
    if (this.#current === undefined || !this.#isRuntimeIdle || !this.#api.areAllReady) return
    this.#current = undefined
    this.#events?.idle()
  }

  #runtimeEvents(events: EnvironmentEvents): EnvironmentEvents {
    return {
      ...events,
      streamStarted: (contentType) => {
        this.#tell.responded()
        events.streamStarted(contentType)
      },
      streamChunk: (bytes, taken) => {
        this.#tell.produced(bytes.length)
        events.streamChunk(bytes, taken)
      },
      done: (outcome) => this.#done(outcome, events),
      idle: () => this.#runtimeIsIdle(),
      fatal: (payload) => {
        this.#hasFailed = true
        events.fatal(payload)
      },
      printed: (line) => {
        events.printed(line)
        this.#tell.printed(line)
      },
      gone: (exit) => this.#gone(exit, events),
    }
  }

  #done(outcome: Outcome, events: EnvironmentEvents): void {
    this.#tell.done(outcome)
    events.done(outcome)
    if (this.#runtime?.polls !== true) this.#runtimeIsIdle()
  }

  #runtimeIsIdle(): void {
    this.#tell.runtimeDone()
    this.#isRuntimeIdle = true
    this.#restIfDone()
  }

  #extensionPrinted(stream: 'stdout' | 'stderr', text: string): void {
    this.#events?.printed({ stream, level: undefined, text, format: 'text' })
    this.#tell.extensionPrinted(text)
  }

  #gone(exit: ChildExit, events: EnvironmentEvents): void {
    this.#resolveGone()
    if (this.#ending === undefined) {
      this.#hasFailed = true
      const what = exit.error?.message ?? exitMessage(exit.code, exit.signal)
      this.#tell.fault('Runtime.ExitError', this.#withRequest(`Error: ${what}`))
    }
    events.gone(exit)
    void this.kill()
  }

  /** Lambda gives up an environment when one of its extensions fails. */
  #fail(errorType: string, message: string): void {
    if (this.#ending !== undefined || this.#hasFailed) return
    this.#hasFailed = true
    const errorMessage = this.#withRequest(message)
    const payload = Buffer.from(JSON.stringify({ errorType, errorMessage }))
    this.#tell.fault(errorType, errorMessage)
    if (this.#isInitialised) this.#events?.fatal(payload)
    else this.#failInit(payload)
  }

  #withRequest(message: string): string {
    return this.#current === undefined ? message : `RequestId: ${this.#current.id} ${message}`
  }

  #sayReady(name: string, types: readonly string[]): void {
    const text = `EXTENSION\tName: ${name}\tState: Ready\tEvents: [${types.join(', ')}]`
    const line: PrintedLine = { stream: 'stdout', level: undefined, text, format: 'notice' }
    this.#events?.printed(line)
    this.#tell.extensionReady(name, types)
  }

  /** Why the start has taken too long. */
  #complain(text: string): void {
    this.#events?.printed({ stream: 'stderr', level: 'ERROR', text, format: 'text' })
  }

  #reason(): ShutdownReason {
    const current = this.#current
    if (current !== undefined && current.deadline <= Date.now() + 10) return 'timeout'
    return this.#hasFailed || current !== undefined ? 'failure' : 'spindown'
  }

  async #shutDown(reason: ShutdownReason): Promise<void> {
    const { telemetry } = this.#options
    if (!this.#isInitialised && !this.#hasFailed) for (const text of this.#api.pending) this.#complain(text)
    const untilMs = Date.now() + SHUTDOWN_MS
    const isGraceful = !this.#processes.isEmpty
    if (this.#runtime !== undefined) await endRuntime(this.#runtime, { gone: this.#runtimeGone, isGraceful })
    this.#current = undefined
    await within(LAST_FLUSH_MS, telemetry.flush())
    const told = this.#api.send('SHUTDOWN', { deadlineMs: untilMs, shutdownReason: reason })
    await this.#processes.end(
      told.map(({ name }) => name),
      untilMs,
    )
    telemetry.dispose()
    this.#runtimeApi?.close()
    await this.#surroundings?.close()
  }
}
