import type { FunctionFault } from '../../core/function.ts'
import type { ChildExit } from '../../instances/child.ts'
import { Ahead } from './ahead.ts'
import type { Definition } from './definition.ts'
import type { Environment, EnvironmentEvents, Invocation, PrintedLine } from './environments/environment.ts'
import { exitFailure, failureOf, memoryFailure, timeoutFailure, type Failure } from './fault.ts'
import { initError, waitForInit } from './init.ts'
import { InvocationLog, type LogOwner } from './invocation-log.ts'
import { createMemoryMeter, type MemoryMeter } from './memory-meter.ts'
import { settledOf, type Caller, type Settled } from './settled.ts'
import { endLine, initStartLine, reportLine, startLine, reportOf, timeoutMessage } from './report.ts'
import { TimeLimit } from './time-limit.ts'

export interface ExecutionOptions {
  readonly definition: Definition
  readonly environment: Environment
  /** `nodejs20.x` and the version that really runs. */
  readonly runtime: { readonly name: string; readonly version: string }
  /** With a debugger attached, time stands still. */
  readonly timed: boolean
}

interface Current extends LogOwner {
  readonly caller: Caller
  readonly startedAt: number
  /** What its caller was told; what its runtime still does after that is part of it. */
  outcome: Exclude<Settled, { readonly kind: 'recalled' }> | undefined
  /** Its runtime asks for the next one. */
  idle: boolean
}

/** What the process of a runtime needs besides the function's own memory: our bootstrap, source maps, shared libraries' pages. */
const OVERHEAD_MB = 24

const GONE: ChildExit = { code: null, signal: 'SIGKILL', error: undefined }

/** The life of one environment: Init, then invocations one after the other, each with its limits and its log lines. */
export class Execution {
  readonly closed: Promise<Error | undefined>
  readonly environment: Environment
  readonly #options: ExecutionOptions
  readonly #startedAt = performance.now()
  readonly #log: InvocationLog
  #meter: MemoryMeter | undefined
  #current: Current | undefined
  readonly #ahead: Ahead
  #answer: Settled | undefined
  readonly #timeLimit: TimeLimit
  #requestId: string | undefined
  /** Undefined until the code is loaded. */
  #initMs: number | undefined
  /** The next REPORT is the first, and tells of the Init. */
  #cold = true
  #outOfMemory = false
  #ended = false
  #resolveClosed: (error: Error | undefined) => void = () => undefined
  #failInit: (failure: Failure) => void = () => undefined

  private constructor(options: ExecutionOptions) {
    this.#options = options
    this.environment = options.environment
    this.#ahead = new Ahead(options.environment)
    this.#timeLimit = new TimeLimit(options.definition.timeoutMs, () => this.#timedOut())
    this.#log = new InvocationLog((line) => options.definition.scope.output(line))
    this.closed = new Promise((resolve) => (this.#resolveClosed = resolve))
  }

  /** Loads the code. @throws FlexiError FLEXI_FUNCTION_INIT; its cause is the `Failure`. */
  static async start(options: ExecutionOptions): Promise<Execution> {
    const execution = new Execution(options)
    await execution.#initialise()
    return execution
  }

  /** Runs one invocation, or keeps it for when the one before has ended. The caller hears of it once and only once. */
  run(invocation: Omit<Invocation, 'deadline'>, caller: Caller): void {
    const current = this.#current
    if (current === undefined) this.#handOver(invocation, caller)
    else if (this.#ended || !this.#ahead.hasRoom(caller, current)) caller.settled({ kind: 'recalled' })
    else {
      if (this.#options.environment.polls !== true) this.#invoke(invocation)
      this.#ahead.hold(invocation, caller)
    }
  }

  #handOver(invocation: Omit<Invocation, 'deadline'>, caller: Caller): void {
    if (!this.#ended) this.#invoke(invocation)
    this.#begin(invocation.id, caller)
  }

  #invoke(invocation: Omit<Invocation, 'deadline'>): void {
    const { definition, environment } = this.#options
    environment.invoke({ ...invocation, deadline: Date.now() + definition.timeoutMs })
  }

  #begin(id: string, caller: Caller): void {
    const { definition, timed } = this.#options
    this.#requestId = id
    const logged = caller.logged === undefined ? undefined : (line: string): void => caller.logged?.(line)
    const startedAt = performance.now()
    const current: Current = { id, caller, startedAt, logged, outcome: undefined, idle: false }
    this.#current = current
    this.#log.flush()
    this.#log.platform(startLine(id, definition.version), current)
    if (this.#ended) this.#break(exitFailure(definition, id, GONE))
    else this.#meter?.work()
    if (timed) this.#timeLimit.begin(startedAt)
  }

  async dispose(): Promise<void> {
    this.#end(undefined)
    await this.#options.environment.kill()
  }

  async #initialise(): Promise<void> {
    const { environment, runtime, definition } = this.#options
    this.#log.platform(initStartLine(runtime.name, runtime.version), undefined)
    const refused = new Promise<Failure>((resolve) => {
      this.#failInit = resolve
    })
    const loaded = environment.initialise(this.#events())
    this.#startMeter()
    const failure = await waitForInit({ ...this.#options, loaded, refused })
    this.#startMeter()
    this.#meter?.rest()
    if (failure === undefined) {
      this.#initMs = performance.now() - this.#startedAt
      return
    }
    await this.dispose()
    definition.scope.report(failure.fault)
    throw initError(failure, definition)
  }

  /** Some processes are started by the Init only. */
  #startMeter(): void {
    const { environment, definition } = this.#options
    if (this.#meter !== undefined || environment.pid === undefined) return
    this.#meter = createMemoryMeter(environment, definition.memoryMb + OVERHEAD_MB, () => {
      this.#outOfMemory = true
      void environment.kill()
    })
    this.#meter.work()
  }

  #events(): EnvironmentEvents {
    const { definition } = this.#options
    return {
      streamStarted: (contentType) => this.#current?.caller.streamStarted(contentType),
      streamChunk: (bytes, taken) =>
        this.#current === undefined ? taken() : this.#current.caller.streamChunk(bytes, taken),
      done: (outcome) => this.#answered(settledOf(outcome, definition, this.#requestId)),
      idle: () => this.#idle(),
      recalled: () => this.#ahead.handBack(),
      fatal: (payload) => this.#died(payload),
      printed: (line) => this.#printed(line),
      gone: (exit) => this.#gone(exit),
    }
  }

  /** User code left an error to nobody: that is the answer, and the process is about to end. */
  #died(payload: Buffer): void {
    const failure = failureOf(payload, this.#options.definition, {
      kind: 'crash',
      requestId: this.#current?.id,
    })
    if (!this.#break(failure) && this.#initMs !== undefined)
      this.#options.definition.scope.report(failure.fault)
    if (this.#initMs === undefined) return
    this.#end(new Error(failure.fault.message))
    void this.#options.environment.kill()
  }

  #gone(exit: ChildExit): void {
    if (this.#ended) return
    const { definition } = this.#options
    this.#outOfMemory ||= exit.reached === 'memory'
    const failure = (this.#outOfMemory ? memoryFailure : exitFailure)(definition, this.#current?.id, exit)
    if (!this.#break(failure)) {
      const kind = this.#outOfMemory ? 'memory' : 'init'
      if (this.#initMs === undefined) this.#failInit({ ...failure, fault: { ...failure.fault, kind } })
      else definition.scope.report(failure.fault)
    }
    this.#end(new Error(failure.fault.message))
  }

  #timedOut(): void {
    const { definition, environment } = this.#options
    const current = this.#current
    if (current === undefined) return
    const message = timeoutMessage(definition.timeoutMs)
    this.#log.platform(`${new Date().toISOString()} ${current.id} ${message}`, current)
    this.#break(timeoutFailure(definition, current.id))
    this.#end(new Error(message))
    void environment.kill()
  }

  /** Whoever keeps the log waits a turn: what was written past the console comes through a pipe of its own, and may be read later. */
  #answered(outcome: Settled): void {
    if (this.#current?.logged === undefined) this.#settle(outcome)
    else {
      this.#answer = outcome
      setImmediate(() => this.#settle(outcome))
    }
  }

  /** The runtime asks for the next invocation: only now is the one before over. */
  #idle(): void {
    if (this.#current === undefined) return
    this.#current.idle = true
    if (this.#current.outcome !== undefined) this.#complete(this.#current)
  }

  /** The environment ends, and what runs in it. False when its caller has been told already, or nothing runs. */
  #break(failure: Failure): boolean {
    const current = this.#current
    if (current === undefined) return false
    current.idle = true
    this.#ahead.handBack()
    if (current.outcome === undefined) this.#settle({ kind: 'failed', ...failure })
    else this.#complete(current, failure.fault)
    return current.outcome?.kind === 'failed'
  }

  #settle(end: Settled): void {
    const current = this.#current
    // An answer that is there counts, whatever happened to the environment since.
    const outcome = this.#answer ?? end
    this.#answer = undefined
    if (current === undefined || current.outcome !== undefined || outcome.kind === 'recalled') return
    current.outcome = outcome
    const over = current.idle || this.#options.environment.polls !== true
    if (over) this.#close(current)
    if (outcome.kind === 'failed') {
      this.#log.flush()
      this.#options.definition.scope.report(outcome.fault)
    }
    current.caller.settled(outcome)
    if (over) this.#release(current)
  }

  #complete(current: Current, fault?: FunctionFault): void {
    this.#close(current, fault)
    this.#release(current)
  }

  /** Its last lines are said. */
  #close(current: Current, fault?: FunctionFault): void {
    this.#current = undefined
    this.#timeLimit.rest()
    this.#meter?.rest()
    const durationMs = performance.now() - current.startedAt
    const initMs = this.#cold ? this.#initMs : undefined
    this.#cold = false
    this.#log.soon(() => this.#report(current, { durationMs, initMs, fault }))
  }

  /** The environment is free, or runs what it was given ahead. */
  #release(current: Current): void {
    current.caller.completed?.()
    const next = this.#current === undefined ? this.#ahead.take() : undefined
    if (next === undefined) return
    if (this.#options.environment.polls === true) this.#handOver(next.invocation, next.caller)
    else this.#begin(next.invocation.id, next.caller)
  }

  #report(
    current: Current,
    took: {
      readonly durationMs: number
      readonly initMs: number | undefined
      readonly fault: FunctionFault | undefined
    },
  ): void {
    const { environment, definition } = this.#options
    const { outcome, id } = current
    const fault = outcome?.kind === 'failed' ? outcome.fault : took.fault
    const report = reportOf({ ...took, id, fault, memoryUsedMb: this.#meter?.usedMb ?? 0 }, definition)
    this.#log.platform(endLine(current.id), current)
    this.#log.platform(reportLine(report), current)
    environment.reported?.(report)
  }

  #end(error: Error | undefined): void {
    if (this.#ended) return
    this.#ended = true
    const waiting = this.#current?.outcome === undefined ? this.#current : undefined
    if (waiting !== undefined) this.#break(exitFailure(this.#options.definition, waiting.id, GONE))
    this.#timeLimit.stop()
    this.#ahead.handBack()
    this.#meter?.stop()
    this.#resolveClosed(error)
  }

  #printed(line: PrintedLine): void {
    if (line.stream === 'stderr' && line.text.includes('JavaScript heap out of memory'))
      this.#outOfMemory = true
    this.#log.printed(line, this.#current ?? (this.#requestId === undefined ? {} : { id: this.#requestId }))
  }
}
