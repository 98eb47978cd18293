import type { ServerResponse } from 'node:http'

import type { RequestContext } from '../../core/fetcher.ts'
import type { FunctionFault, Instance } from '../../core/function.ts'
import { UpstreamError } from '../../forward/forward.ts'
import { watchMemory } from '../../instances/memory.ts'
import { answerWith, statusOf, type AnswerKind } from './answers.ts'
import { ThrownError, type Flight } from './fault-catcher.ts'
import { openRelay } from './relay.ts'
import type { Runtime } from './runtime.ts'
import { LimitError, probeRuntime, startWatchdog } from './watchdog.ts'

export interface InstanceOptions {
  readonly runtime: Runtime
  readonly faultField: string
  readonly limitMs: number
  readonly countsWaiting: boolean
  /** Resident bytes of workerd beyond which it is ended. */
  readonly memoryBytesMax: number
  /** The program's throw as its author reads it. */
  faultOf(thrown: ThrownError, requestId: string): FunctionFault
  faultOfEnd(kind: 'crash' | 'timeout' | 'memory'): FunctionFault
  report(fault: FunctionFault): void
}

/** How long the news that workerd is gone may take after a connection to it broke. */
const END_NEWS_MS = 1_000
/** Cloudflare's own paths to run handlers that are not `fetch`. */
const HANDLER_PATH = /^\/cdn-cgi\/(?:handler|mf)\//

/** A running worker: requests go straight to its socket. */
export async function openInstance(options: InstanceOptions): Promise<Instance> {
  const { runtime, faultField } = options
  const [worker, entry] = await Promise.all([
    openRelay({ origin: runtime.origin, faultField }),
    openRelay({ origin: runtime.entry, faultField }),
  ])
  const end = watchEnd(options, worker.flights)
  const disconnect = (): Promise<unknown> => Promise.all([worker.close(), entry.close()])
  void runtime.ended.then(disconnect)
  return {
    closed: end.closed,
    async handle(incoming, outgoing, context) {
      try {
        const relay = HANDLER_PATH.test(context.raw.target) ? entry : worker
        await relay.handle(incoming, outgoing, context)
      } catch (error) {
        await answerFailure(error, { outgoing, context }, { options, end })
      }
    },
    upgrade: (incoming, socket, head, context) => worker.upgrade(incoming, socket, head, context),
    async [Symbol.asyncDispose]() {
      end.stop()
      await Promise.all([runtime.dispose(), disconnect()])
    },
  }
}

interface End {
  readonly closed: Promise<Error | undefined>
  /** Why the runtime was ended from here, if it was. */
  reason(): 'timeout' | 'memory' | undefined
  /** The instance is being disposed: what ends now ends as it should. */
  stop(): void
}

/** Everything that can end the runtime before it is disposed: itself, a loop, its memory. Each is reported once. */
function watchEnd(options: InstanceOptions, flights: ReadonlySet<Flight>): End {
  const { runtime } = options
  let reason: 'timeout' | 'memory' | undefined
  const kill = (why: 'timeout' | 'memory'): Promise<void> => {
    reason ??= why
    runtime.kill()
    return runtime.ended
  }
  const stopWatchdog = startWatchdog({
    flights,
    limitMs: options.limitMs,
    countsWaiting: options.countsWaiting,
    probe: () => probeRuntime(Number(runtime.origin.port)),
    onStuck: () => kill('timeout'),
  })
  const { pid } = runtime
  const stopMemory =
    pid === undefined ? () => undefined : watchMemory(pid, options.memoryBytesMax, () => void kill('memory'))
  let stop: () => void = () => undefined
  const closed = new Promise<Error | undefined>((resolve) => {
    const settle = (error: Error | undefined): void => {
      stopWatchdog()
      stopMemory()
      resolve(error)
    }
    stop = () => settle(undefined)
    void runtime.ended.then(() => {
      const fault = options.faultOfEnd(reason ?? 'crash')
      options.report(fault)
      settle(new Error(fault.message))
    })
  })
  return { closed, reason: () => reason, stop: () => stop() }
}

interface Failing {
  readonly outgoing: ServerResponse
  readonly context: RequestContext
}

/** The client gets what Cloudflare would send, its author a report; whatever else failed is the gateway's to answer. */
async function answerFailure(
  error: unknown,
  { outgoing, context }: Failing,
  { options, end }: { options: InstanceOptions; end: End },
): Promise<void> {
  const { fault, answer, isNews } = await judge(error, context, { options, end })
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

async function judge(
  error: unknown,
  context: RequestContext,
  { options, end }: { options: InstanceOptions; end: End },
): Promise<Verdict> {
  const cause = error instanceof UpstreamError ? error.cause : error
  if (cause instanceof ThrownError)
    return { answer: 'thrown', fault: options.faultOf(cause, context.id), isNews: true }
  if (cause instanceof LimitError) {
    const fault = { ...options.faultOfEnd('timeout'), requestId: context.id }
    return { answer: 'exceeded', fault, isNews: end.reason() === undefined }
  }
  const isBroken = error instanceof UpstreamError && error.code !== 'FLEXI_BAD_REQUEST'
  if (!isBroken || !(await isEnded(end.closed))) throw error
  return { answer: end.reason() === undefined ? 'ended' : 'exceeded', isNews: false }
}

async function isEnded(closed: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), END_NEWS_MS)
  })
  const ended = await Promise.race([closed.then(() => true), late])
  clearTimeout(timer)
  return ended
}
