import { FlexiError } from '../../core/errors.ts'
import type { FunctionFault, OutputLine } from '../../core/function.ts'
import { LIMITS } from '../../core/limits.ts'
import type { ChildExit } from '../../instances/child.ts'
import type { Definition } from './definition.ts'
import type {
  Environment,
  EnvironmentEvents,
  Invocation,
  Outcome,
  PrintedLine,
} from './environments/environment.ts'
import {
  exitFailure,
  failureOf,
  initTimeoutFailure,
  memoryFailure,
  timeoutFailure,
  tooLargeFailure,
  type Failure,
} from './fault.ts'
import { RESPONSE_BYTES_MAX } from './limits.ts'
import { createMemoryMeter, type MemoryMeter } from './memory-meter.ts'
import { endLine, initStartLine, reportLine, startLine, timeoutMessage } from './report.ts'

/** What came of an invocation, as its caller is told. */
export type Settled =
  | { readonly kind: 'result'; readonly payload: Buffer }
  | { readonly kind: 'streamed' }
  | ({ readonly kind: 'failed' } & Failure)

/** Who waits for an invocation. */
export interface Caller {
  streamStarted(contentType: string): void
  streamChunk(bytes: Buffer, taken: () => void): void
  settled(outcome: Settled): void
  /** Gets every line of the log, as Lambda writes it. */
  logged?(line: string): void
}

export interface ExecutionOptions {
  readonly definition: Definition
  readonly environment: Environment
  /** `nodejs20.x` and the version that really runs. */
  readonly runtime: { readonly name: string; readonly version: string }
  /** With a debugger attached, time stands still. */
  readonly timed: boolean
}

interface Current {
  readonly id: string
  readonly caller: Caller
  readonly startedAt: number
}

/** What the process of a runtime needs besides the function's own memory: our bootstrap, source maps, shared libraries' pages. */
const OVERHEAD_MB = 24

const OUTPUT_LEVELS = {
  TRACE: 'debug',
  DEBUG: 'debug',
  INFO: 'info',
  WARN: 'warn',
  ERROR: 'error',
  FATAL: 'error',
} as const

/** The life of one environment: Init, then invocations one after the other, each with its limits and its log lines. */
export class Execution {
  readonly closed: Promise<Error | undefined>
  readonly #options: ExecutionOptions
  readonly #startedAt = performance.now()
  #meter: MemoryMeter | undefined
  #current: Current | undefined
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

  /** The environment is there and may be given an invocation. */
  get ended(): boolean {
    return this.#ended
  }

  /** Runs one invocation. The caller hears of it once and only once. */
  run(invocation: Omit<Invocation, 'deadline'>, caller: Caller): void {
    const { timeoutMs } = this.#options.definition
    const { id } = invocation
    this.#requestId = id
    this.#current = { id, caller, startedAt: performance.now() }
    if (this.#options.timed && this.#timer === undefined) this.#watchTime(timeoutMs)
    this.#platform(startLine(id))
    if (this.#ended) {
      this.#settle({
        kind: 'failed',
        ...exitFailure(this.#options.definition, id, { code: null, signal: 'SIGKILL', error: undefined }),
      })
      return
    }
    this.#meter?.work()
    this.#options.environment.invoke({ ...invocation, deadline: Date.now() + timeoutMs })
  }

  async dispose(): Promise<void> {
    this.#end(undefined)
    await this.#options.environment.kill()
  }

  async #initialise(): Promise<void> {
    const { environment, runtime, timed, definition } = this.#options
    this.#platform(initStartLine(runtime.name, runtime.version))
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
    return {
      streamStarted: (contentType) => this.#current?.caller.streamStarted(contentType),
      streamChunk: (bytes, taken) =>
        this.#current === undefined ? taken() : this.#current.caller.streamChunk(bytes, taken),
      done: (outcome) => this.#settle(this.#asSettled(outcome)),
      fatal: (payload) => this.#died(payload),
      printed: (line) => this.#printed(line),
      gone: (exit) => this.#gone(exit),
    }
  }

  #asSettled(outcome: Outcome): Settled {
    const about = { kind: 'throw', requestId: this.#requestId } as const
    const { definition } = this.#options
    switch (outcome.kind) {
      case 'error':
        return { kind: 'failed', ...failureOf(outcome.payload, definition, about) }
      case 'streamed':
        return outcome.error === undefined
          ? { kind: 'streamed' }
          : { kind: 'failed', ...failureOf(outcome.error, definition, about) }
      case 'result':
        return outcome.payload.length <= RESPONSE_BYTES_MAX
          ? outcome
          : { kind: 'failed', ...tooLargeFailure(definition, this.#requestId, outcome.payload.length) }
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
    this.#platform(`${new Date().toISOString()} ${current.id} ${timeoutMessage(definition.timeoutMs)}`)
    this.#settle({ kind: 'failed', ...timeoutFailure(definition, current.id) })
    this.#end(new Error(timeoutMessage(definition.timeoutMs)))
    void environment.kill()
  }

  #settle(outcome: Settled): void {
    const current = this.#current
    if (current === undefined) return
    this.#meter?.rest()
    const failed = outcome.kind === 'failed'
    if (failed) this.#options.definition.scope.report(outcome.fault)
    this.#platform(endLine(current.id))
    this.#platform(
      reportLine({
        id: current.id,
        durationMs:
          failed && outcome.fault.kind === 'timeout'
            ? this.#options.definition.timeoutMs
            : performance.now() - current.startedAt,
        memoryMb: this.#options.definition.memoryMb,
        memoryUsedMb: Math.min(this.#meter?.usedMb ?? 0, this.#options.definition.memoryMb),
        initMs: this.#cold ? this.#initMs : undefined,
        status: failed ? statusOf(outcome.fault.kind, outcome.fault.name) : undefined,
      }),
    )
    this.#cold = false
    this.#current = undefined
    current.caller.settled(outcome)
  }

  #end(error: Error | undefined): void {
    if (this.#ended) return
    this.#ended = true
    clearTimeout(this.#timer)
    this.#meter?.stop()
    this.#resolveClosed(error)
  }

  #printed({ stream, level, text, format }: PrintedLine): void {
    if (stream === 'stderr' && text.includes('JavaScript heap out of memory')) this.#outOfMemory = true
    const requestId = this.#requestId
    if (format === 'notice') this.#output({ stream: 'platform', level: 'debug', text, requestId })
    else this.#output({ stream, level: level === undefined ? 'info' : OUTPUT_LEVELS[level], text, requestId })
    const caller = this.#current?.caller
    if (caller?.logged === undefined) return
    const prefix =
      level === undefined || format === 'whole' ? '' : `${new Date().toISOString()}\t${requestId}\t${level}\t`
    caller.logged(prefix + text)
  }

  #platform(text: string): void {
    this.#output({ stream: 'platform', level: 'debug', text, requestId: this.#current?.id })
    this.#current?.caller.logged?.(text)
  }

  #output(line: OutputLine): void {
    this.#options.definition.scope.output(line)
  }
}

function statusOf(kind: FunctionFault['kind'], name: string): string {
  return kind === 'timeout' ? 'Status: timeout' : `Status: error\tError Type: ${name}`
}
