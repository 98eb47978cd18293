import { FlexiError } from '../../core/errors.ts'
import type { Instance } from '../../core/function.ts'
import { LIMITS } from '../../core/limits.ts'
import { residentBytes, watchMemory } from '../../instances/memory.ts'
import { answerOutcome, contentOf, type Answerer } from './answer.ts'
import { reportEnd, type Ending } from './crash.ts'
import type { Carrier, Dispatcher, Flight, Outcome } from './dispatcher.ts'
import type { HostProcess } from './host-process.ts'
import { endsTooOften } from './refusals.ts'
import type { Exchange } from './respond.ts'
import { prepareCall, type Call } from './wire.ts'

export interface InstanceOptions extends Answerer {
  readonly dispatcher: Dispatcher
  readonly host: HostProcess
  readonly threads: number
  readonly sequence: number
  onCrash(): void
}

/** Puts a process with a loaded library to work. */
export async function openInstance(options: InstanceOptions): Promise<Instance> {
  const { config, dispatcher, host, threads, sequence } = options
  const timeoutMs = config.timeoutMs ?? LIMITS.requestMs
  let ending: Ending | undefined
  let disposed = false
  let useful = false
  const end = (why: Ending): void => {
    ending ??= why
    host.kill()
  }
  const stopWatching = await limitMemory(options, (bytes) => end({ kind: 'memory', bytes }))
  // Shorter than a call's, so that what waits for the thread meanwhile is not late itself.
  const releaseMs = timeoutMs / 2
  const onStuck = (flight?: Flight): void =>
    end({ kind: 'timeout', flight, limitMs: flight === undefined ? releaseMs : timeoutMs })
  const carrier: Carrier = { host, threads, sequence, releaseMs, onStuck }
  dispatcher.attach(carrier)
  const closed = host.ended.then(() => {
    stopWatching()
    if (disposed) return undefined
    options.onCrash()
    const { begun: lost, hopeless, answered } = dispatcher.detach(host, { crashed: true })
    useful = answered
    for (const flight of hopeless) flight.settle({ kind: 'lost', error: endsTooOften(flight) })
    void host.exited.then(async (exit) => {
      if (exit.reached === 'memory') ending ??= { kind: 'memory', bytes: undefined }
      const why = ending ?? (host.unreachable ? { kind: 'channel' as const } : undefined)
      await reportEnd(options, { exit, pid: host.pid, ending: why, lost, refused: hopeless.length })
      await host[Symbol.asyncDispose]()
    })
    return new Error(`${options.library} ended`)
  })
  return {
    handle: (incoming, outgoing, context) => take({ incoming, outgoing, context }, { options, timeoutMs }),
    closed,
    answered: () => useful,
    async [Symbol.asyncDispose]() {
      disposed = true
      const error = new FlexiError('FLEXI_SHUTTING_DOWN', 'the library was stopped before it had answered')
      const { begun: lost } = dispatcher.detach(host)
      // A call that was still running has had its drain time.
      if (lost.length > 0) host.kill()
      for (const flight of lost) flight.settle({ kind: 'lost', error })
      await host[Symbol.asyncDispose]()
    },
  }
}

interface Terms {
  readonly options: InstanceOptions
  readonly timeoutMs: number
}

function take(exchange: Exchange, terms: Terms): Promise<void> {
  const content = contentOf(exchange.incoming, exchange.context)
  if (!(content instanceof Promise)) return submit(exchange, content, terms)
  return content.then((chunks) => submit(exchange, chunks, terms))
}

function submit(
  exchange: Exchange,
  content: readonly Buffer[],
  { options, timeoutMs }: Terms,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const call = prepareCall(exchange.context.raw, content)
    const since = performance.now()
    const deadline = since + timeoutMs
    options.dispatcher.submit(
      new Request(exchange, { call, since, deadline, answerer: options, resolve, reject }),
    )
  })
}

interface Submission {
  readonly call: Call
  readonly since: number
  readonly deadline: number
  readonly answerer: Answerer
  resolve(): void
  reject(error: unknown): void
}

/** A class, because there is one for every request and closures cost more. */
class Request implements Flight {
  id = 0
  endsSeen = 0
  readonly call: Call
  readonly since: number
  readonly deadline: number
  readonly #exchange: Exchange
  readonly #submission: Submission

  constructor(exchange: Exchange, submission: Submission) {
    this.call = submission.call
    this.since = submission.since
    this.deadline = submission.deadline
    this.#exchange = exchange
    this.#submission = submission
  }

  /** Made when it is asked for: only what fails is named. */
  get requestId(): string {
    return this.#exchange.context.id
  }

  get subject(): string {
    const { method, target } = this.#exchange.context.raw
    return `${method} ${target}`
  }

  get gone(): boolean {
    return this.#exchange.outgoing.destroyed
  }

  settle(outcome: Outcome): void {
    try {
      answerOutcome(this.#exchange, outcome, this.#submission.answerer)
      this.#submission.resolve()
    } catch (error) {
      this.#submission.reject(error)
    }
  }
}

/** The limit counts what the library adds: the process that carries it is ours. */
async function limitMemory(
  { config, host }: InstanceOptions,
  onExceeded: (bytes: number) => void,
): Promise<() => void> {
  if (config.memoryMb === undefined || host.pid === undefined) return () => undefined
  const own = await residentBytes(host.pid)
  if (own === undefined) return () => undefined
  return watchMemory(host.pid, own + config.memoryMb * 1024 * 1024, (bytes) => onExceeded(bytes - own))
}
