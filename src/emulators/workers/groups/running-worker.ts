import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'

import type { RequestContext } from '../../../core/fetcher.ts'
import type { FunctionFault, FunctionScope } from '../../../core/function.ts'
import { UpstreamError } from '../../../forward/forward.ts'
import { answerWith, statusOf, type AnswerKind } from '../answers.ts'
import type { Config } from '../configuration.ts'
import { BARE_RECORD } from '../facade.ts'
import type { Control } from '../control/control.ts'
import { isTriggerPath } from '../events/trigger-path.ts'
import { NoAnswerError, ThrownError } from '../fault-catcher.ts'
import { openRelay, type Relay } from '../relay.ts'
import type { RuntimeSocket } from '../runtime-socket.ts'
import { LimitError, startWatchdog } from '../watchdog.ts'
import { closeFrame, sentBytes } from './close-frame.ts'

export type EndKind = 'crash' | 'timeout' | 'memory'

export interface RunningOptions {
  readonly socket: RuntimeSocket
  readonly faultField: string
  readonly limitMs: number
  readonly countsWaiting: boolean
  /** The program's throw as its author reads it; reported by then. */
  faultOf(thrown: ThrownError, requestId: string): Promise<FunctionFault>
  faultOfEnd(kind: EndKind): FunctionFault
  report(fault: FunctionFault): void
  /** Does the runtime still react? */
  probe(): Promise<boolean>
  /** Whether a debugger is attached to a worker of the runtime: a breakpoint stops all of it. */
  debugged(): boolean
  /** Requests wait for it: with `--inspect-brk` for a debugger. */
  readonly held?: Promise<void> | undefined
  /** Ends the runtime, because this worker does not come to an end. Resolves when everybody knows. */
  endRuntime(): Promise<void>
  /** Resolves with why the runtime ended, and never when it was disposed. */
  readonly ended: Promise<EndKind>
  /** Whether the runtime is ended on purpose: a reload waited for its requests as long as it could. */
  isStopped(): boolean
  readonly control: Control
  /** Its name in the runtime. */
  readonly worker: string
  readonly config: Config
  readonly scope: FunctionScope
}

/** One worker in one runtime: the way of its requests, and what goes wrong on it. */
export interface RunningWorker {
  handle(incoming: IncomingMessage, outgoing: ServerResponse, context: RequestContext): Promise<void>
  upgrade(incoming: IncomingMessage, socket: Duplex, head: Buffer, context: RequestContext): void
  /** Resolves when nothing is under way, or at the limits: one for requests without a head, one for what is being sent. */
  idle(limits: IdleLimits): Promise<void>
  /** Tells WebSocket clients that the service restarts. */
  closeSockets(): void
  /** Breaks what is under way. */
  close(): Promise<void>
}

export interface IdleLimits {
  /** For requests that have no head yet. */
  readonly requestMs: number
  /** For answers that are being sent. */
  readonly answerMs: number
  /** Whether open WebSockets count as answers. */
  readonly sockets: boolean
}

/** How long the news that workerd is gone may take after a connection to it broke. */
const END_NEWS_MS = 1_000

export async function openRunning(options: RunningOptions): Promise<RunningWorker> {
  const relay = await openRelay(options)
  return new Running(options, relay)
}

class Running implements RunningWorker {
  readonly #options: RunningOptions
  readonly #relay: Relay
  /** With what each had sent before it asked for another protocol. */
  readonly #sockets = new Map<Duplex, number>()
  readonly #stopWatchdog: () => void
  #inFlight = 0
  #whenLess: (() => void) | undefined

  constructor(options: RunningOptions, relay: Relay) {
    this.#options = options
    this.#relay = relay
    this.#stopWatchdog = startWatchdog({
      flights: relay.flights,
      limitMs: options.limitMs,
      countsWaiting: options.countsWaiting,
      probe: () => options.probe(),
      paused: () => options.debugged(),
      onStuck: () => options.endRuntime(),
    })
  }

  async handle(incoming: IncomingMessage, outgoing: ServerResponse, context: RequestContext): Promise<void> {
    this.#inFlight += 1
    try {
      if (this.#options.held !== undefined) await this.#options.held
      if (this.#options.scope.mode === 'dev' && isTriggerPath(context.raw.target))
        await this.#trigger(incoming, outgoing, context)
      else await this.#relay.handle(incoming, outgoing, context)
    } catch (error) {
      await answerFailure(error, { outgoing, context }, this.#options)
    } finally {
      this.#inFlight -= 1
      this.#whenLess?.()
    }
  }

  /** Cloudflare's own paths to run handlers that are not `fetch`. A server that others reach has none. */
  async #trigger(
    incoming: IncomingMessage,
    outgoing: ServerResponse,
    context: RequestContext,
  ): Promise<void> {
    const { control, worker, config, scope } = this.#options
    const { handleTrigger } = await import('../events/front-paths.ts')
    await handleTrigger(control, { worker, config, scope, incoming, outgoing, context })
  }

  upgrade(incoming: IncomingMessage, socket: Duplex, head: Buffer, context: RequestContext): void {
    this.#sockets.set(socket, sentBytes(socket))
    socket.once('close', () => {
      this.#sockets.delete(socket)
      this.#whenLess?.()
    })
    this.#relay.upgrade(incoming, socket, head, context)
  }

  async idle({ requestMs, answerMs, sockets }: IdleLimits): Promise<void> {
    await this.#until(requestMs, () => isEmpty(this.#relay.flights))
    await this.#until(answerMs, () => this.#inFlight === 0 && (!sockets || this.#sockets.size === 0))
  }

  async #until(limitMs: number, reached: () => boolean): Promise<void> {
    if (reached()) return
    let timer: NodeJS.Timeout | undefined
    let look: NodeJS.Timeout | undefined
    await new Promise<void>((resolve) => {
      const check = (): void => {
        if (reached()) resolve()
      }
      timer = setTimeout(resolve, limitMs)
      // A flight becomes an answer without a word to us.
      look = setInterval(check, LOOK_MS)
      this.#whenLess = check
    })
    clearTimeout(timer)
    clearInterval(look)
    this.#whenLess = undefined
  }

  closeSockets(): void {
    for (const [socket, before] of this.#sockets) closeFrame(socket, before)
  }

  async close(): Promise<void> {
    this.#stopWatchdog()
    await this.#relay.close()
  }
}

const LOOK_MS = 20

function isEmpty(items: Iterable<unknown>): boolean {
  const [first] = items
  return first === undefined
}

interface Failing {
  readonly outgoing: ServerResponse
  readonly context: RequestContext
}

/** The client gets what Cloudflare would send, its author a report; whatever else failed is the gateway's to answer. */
async function answerFailure(
  error: unknown,
  { outgoing, context }: Failing,
  options: RunningOptions,
): Promise<void> {
  const { fault, answer, isNews } = await judge(error, context, options)
  if (fault !== undefined && isNews) options.report(fault)
  outgoing.statusCode = statusOf(answer)
  if (fault === undefined || !context.explain(fault, outgoing)) answerWith(answer, outgoing)
}

interface Verdict {
  readonly answer: AnswerKind
  readonly fault?: FunctionFault
  /** False for what was reported when the runtime was ended. */
  readonly isNews: boolean
}

async function judge(error: unknown, context: RequestContext, options: RunningOptions): Promise<Verdict> {
  const cause = error instanceof UpstreamError ? error.cause : error
  if (cause instanceof ThrownError)
    return { answer: 'thrown', fault: await options.faultOf(cause, context.id), isNews: false }
  if (cause instanceof NoAnswerError) {
    const fault = await options.faultOf(new ThrownError(BARE_RECORD), context.id)
    return { answer: 'thrown', fault, isNews: false }
  }
  if (cause instanceof LimitError) {
    const fault = { ...options.faultOfEnd('timeout'), requestId: context.id }
    return { answer: 'exceeded', fault, isNews: (await endWithin(options.ended, 0)) === undefined }
  }
  if (!(error instanceof UpstreamError) || error.code === 'FLEXI_BAD_REQUEST') throw error
  const kind = options.isStopped() ? 'crash' : await endWithin(options.ended, END_NEWS_MS)
  if (kind === undefined) throw error
  return { answer: kind === 'crash' ? 'ended' : 'exceeded', isNews: false }
}

async function endWithin(ended: Promise<EndKind>, limitMs: number): Promise<EndKind | undefined> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), limitMs)
  })
  const kind = await Promise.race([ended, late])
  clearTimeout(timer)
  return kind
}
