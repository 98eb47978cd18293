import { FlexiError } from '../../core/errors.ts'
import { LIMITS } from '../../core/limits.ts'
import type { ChildExit } from '../../instances/child.ts'
import { Ahead } from './ahead.ts'
import type { Definition } from './definition.ts'
import type { Environment, EnvironmentEvents, Invocation, PrintedLine } from './environments/environment.ts'
import {
  exitFailure,
  failureOf,
  initTimeoutFailure,
  memoryFailure,
  timeoutFailure,
  type Failure,
} from './fault.ts'
import { InvocationLog, type LogOwner } from './invocation-log.ts'
import { createMemoryMeter, type MemoryMeter } from './memory-meter.ts'
import { settledOf, type Caller, type Settled } from './settled.ts'
import { endLine, initStartLine, reportLine, startLine, timeoutMessage } from './report.ts'

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
}

/** What the process of a runtime needs besides the function's own memory: our bootstrap, source maps, shared libraries' pages. */
const OVERHEAD_MB = 24

const GONE: ChildExit = { code: null, signal: 'SIGKILL', error: undefined }

/** The life of one environment: Init, then invocations one after the other, each with its limits and its log lines. */
export class Execution {
  readonly closed: Promise<Error | undefined>
  readonly #options: ExecutionOptions
  readonly #startedAt = performance.now()
  readonly #log: InvocationLog
  #meter: MemoryMeter | undefined
  #current: Current | undefined
  readonly #ahead: Ahead
  #answer: Settled | undefined
  #timer: NodeJS.Timeout | undefined
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
    this.#ahead = new Ahead(options.environment)
    this.#log = new InvocationLog((line) => options.definition.scope.output(line))
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve
    })
  }

  /** Loads the code. @throws FlexiError FLEXI_FUNCTION_INIT; its cause is the `Failure`. */
  static async start(options: ExecutionOptions): Promise<Execution> {
    const execution = new Execution(options)
    await execution.#initialise()
    return execution
  }

  /** Runs one invocation, or keeps it for when the one before has ended. The caller hears of it once and only once. */
  run(invocation: Omit<Invocation, 'deadline'>, caller: Caller): void {
    const { definition, environment } = this.#options
    const isAhead = this.#current !== undefined
    if (isAhead && !this.#takesAhead(caller)) {
      caller.settled({ kind: 'recalled' })
      return
    }
    if (!this.#ended) environment.invoke({ ...invocation, deadline: Date.now() + definition.timeoutMs })
    if (isAhead) {
      this.#ahead.hold(invocation.id, caller)
    } else this.#begin(invocation.id, caller)
  }

  /** Who keeps the log waits a turn for its last lines, in which the next one must not begin. */
  #takesAhead(caller: Caller): boolean {
    const unlogged = caller.logged === undefined && this.#current?.logged === undefined
    return unlogged && !this.#ended && this.#ahead.hasRoom
  }

  #begin(id: string, caller: Caller): void {
    const { timeoutMs } = this.#options.definition
    this.#requestId = id
    const logged = caller.logged === undefined ? undefined : (line: string): void => caller.logged?.(line)
    const current: Current = { id, caller, startedAt: performance.now(), logged }
    this.#current = current
    this.#log.flush()
    this.#log.platform(startLine(id), current)
    if (this.#ended) this.#settle({ kind: 'failed', ...exitFailure(this.#options.definition, id, GONE) })
    else this.#meter?.work()
    if (this.#options.timed && this.#timer === undefined) this.#watchTime(timeoutMs)
  }

  async dispose(): Promise<void> {
    this.#end(undefined)
    await this.#options.environment.kill()
  }

  async #initialise(): Promise<void> {
    const { environment, runtime, timed, definition } = this.#options
    this.#log.platform(initStartLine(runtime.name, runtime.version), undefined)
    let timer: NodeJS.Timeout | undefined
    const refused = new Promise<Failure>((resolve) => {
      this.#failInit = resolve
      if (timed) timer = setTimeout(() => resolve(initTimeoutFailure(definition)), LIMITS.initMs)
    })
    const loaded = environment.initialise(this.#events())
    this.#meter = environment.pid === undefined ? undefined : this.#startMeter(environment.pid)
    const failure = await Promise.race([refused, loaded.then(({ error }) => this.#asInitFailure(error))])
    clearTimeout(timer)
    this.#meter?.rest()
    if (failure === undefined) {
      this.#initMs = performance.now() - this.#startedAt
      return
    }
    await this.dispose()
    definition.scope.report(failure.fault)
    const { name, message, frame, hint } = failure.fault
    throw new FlexiError('FLEXI_FUNCTION_INIT', `${definition.name}: ${name}: ${message}`, {
      cause: failure,
      faults: frame === undefined ? [] : [frame],
      ...(hint === undefined ? {} : { hint }),
    })
  }

  #asInitFailure(error: Buffer | undefined): Failure | undefined {
    return error === undefined ? undefined : failureOf(error, this.#options.definition, { kind: 'init' })
  }

  #startMeter(pid: number): MemoryMeter {
    const meter = createMemoryMeter(pid, this.#options.definition.memoryMb + OVERHEAD_MB, () => {
      this.#outOfMemory = true
      void this.#options.environment.kill()
    })
    meter.work()
    return meter
  }

  #events(): EnvironmentEvents {
    const { definition } = this.#options
    return {
      streamStarted: (contentType) => this.#current?.caller.streamStarted(contentType),
      streamChunk: (bytes, taken) =>
        this.#current === undefined ? taken() : this.#current.caller.streamChunk(bytes, taken),
      done: (outcome) => {
        this.#answered(settledOf(outcome, definition, this.#requestId))
        this.#beginNext()
      },
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
    if (this.#current !== undefined) this.#settle({ kind: 'failed', ...failure })
    else if (this.#initMs !== undefined) this.#options.definition.scope.report(failure.fault)
    if (this.#initMs === undefined) return
    this.#end(new Error(failure.fault.message))
    void this.#options.environment.kill()
  }

  #gone(exit: ChildExit): void {
    if (this.#ended) return
    const { definition } = this.#options
    const id = this.#current?.id
    const failure = this.#outOfMemory
      ? memoryFailure(definition, id, exit)
      : exitFailure(definition, id, exit)
    if (this.#current !== undefined) this.#settle({ kind: 'failed', ...failure })
    else if (this.#initMs === undefined)
      this.#failInit({ ...failure, fault: { ...failure.fault, kind: this.#outOfMemory ? 'memory' : 'init' } })
    else definition.scope.report(failure.fault)
    this.#end(new Error(failure.fault.message))
  }

  /** One timer for all invocations, which come much faster than it goes off: then it looks who runs, and waits for the rest. */
  #watchTime(waitMs: number): void {
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      if (this.#current === undefined) return
      const { timeoutMs } = this.#options.definition
      const leftMs = this.#current.startedAt + timeoutMs - performance.now()
      if (leftMs <= 0) this.#timedOut(this.#current)
      else this.#watchTime(Math.ceil(leftMs))
    }, waitMs)
    this.#timer.unref()
  }

  #timedOut(current: Current): void {
    const { definition, environment } = this.#options
    this.#log.platform(
      `${new Date().toISOString()} ${current.id} ${timeoutMessage(definition.timeoutMs)}`,
      current,
    )
    this.#settle({ kind: 'failed', ...timeoutFailure(definition, current.id) })
    this.#end(new Error(timeoutMessage(definition.timeoutMs)))
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

  #beginNext(): void {
    const next = this.#current === undefined ? this.#ahead.take() : undefined
    if (next !== undefined) this.#begin(next.id, next.caller)
  }

  #settle(end: Settled): void {
    const current = this.#current
    if (current === undefined) return
    // An answer that is there counts, whatever happened to the environment since.
    const outcome = this.#answer ?? end
    this.#answer = undefined
    this.#current = undefined
    this.#meter?.rest()
    const durationMs = performance.now() - current.startedAt
    const initMs = this.#cold ? this.#initMs : undefined
    this.#cold = false
    this.#log.soon(() => this.#report(current, outcome, { durationMs, initMs }))
    if (outcome.kind === 'failed') {
      this.#log.flush()
      this.#options.definition.scope.report(outcome.fault)
    }
    current.caller.settled(outcome)
  }

  #report(
    current: Current,
    outcome: Settled,
    took: { readonly durationMs: number; readonly initMs: number | undefined },
  ): void {
    const { memoryMb, timeoutMs } = this.#options.definition
    const fault = outcome.kind === 'failed' ? outcome.fault : undefined
    const report = reportLine({
      id: current.id,
      durationMs: fault?.kind === 'timeout' ? timeoutMs : took.durationMs,
      memoryMb,
      memoryUsedMb: Math.min(this.#meter?.usedMb ?? 0, memoryMb),
      initMs: took.initMs,
      fault,
    })
    this.#log.platform(endLine(current.id), current)
    this.#log.platform(report, current)
  }

  #end(error: Error | undefined): void {
    if (this.#ended) return
    this.#ended = true
    clearTimeout(this.#timer)
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
