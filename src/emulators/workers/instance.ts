import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'

import { errorMessage } from '../../core/errors.ts'
import type { RequestContext } from '../../core/fetcher.ts'
import type { FunctionFault, Instance } from '../../core/function.ts'
import { createDispatcher, forward, UpstreamError, type ForwardTarget } from '../../forward/forward.ts'
import { forwardUpgrade } from '../../forward/upgrade.ts'
import { watchMemory } from '../../instances/memory.ts'
import { answerWith, statusOf, upgradeAnswer, type AnswerKind } from './answers.ts'
import { edgeFields, TRUSTED_FIELDS } from './edge-fields.ts'
import { createFaultCatcher, ThrownError, type Flight } from './fault-catcher.ts'
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
  const flights = new Set<Flight>()
  const [direct, entry] = await Promise.all([openDispatcher(runtime.origin), openDispatcher(runtime.entry)])
  const worker = createFaultCatcher({ dispatcher: direct, faultField, flights })
  const end = watchEnd(options, flights)
  const disconnect = (): Promise<unknown> => Promise.all([direct.destroy(), entry.destroy()])
  void runtime.ended.then(disconnect)
  const targetOf = (incoming: IncomingMessage, context: RequestContext): ForwardTarget => {
    const isHandler = HANDLER_PATH.test(context.raw.target)
    return {
      dispatcher: isHandler ? entry : worker,
      origin: (isHandler ? runtime.entry : runtime.origin).origin,
      ...fieldRules(incoming, context),
      // The watchdog knows better than a timer whether silence is an error.
      headersMs: 0,
      bodyMs: 0,
    }
  }
  return {
    closed: end.closed,
    async handle(incoming, outgoing, context) {
      try {
        await forward(targetOf(incoming, context), { incoming, outgoing, context })
      } catch (error) {
        await answerFailure(error, { outgoing, context }, { options, end })
      }
    },
    upgrade(incoming, socket, head, context) {
      relayUpgrade(runtime, { incoming, socket, head, context }, fieldRules(incoming, context))
    },
    async [Symbol.asyncDispose]() {
      end.stop()
      await Promise.all([runtime.dispose(), disconnect()])
    },
  }
}

const openDispatcher = (url: URL): ReturnType<typeof createDispatcher> => createDispatcher(url.origin)

type FieldRules = Pick<ForwardTarget, 'host' | 'forwarded' | 'fields' | 'dropped'>

function fieldRules(incoming: IncomingMessage, context: RequestContext): FieldRules {
  return {
    host: 'keep',
    forwarded: false,
    fields: edgeFields(context, incoming.headers['accept-encoding']),
    dropped: TRUSTED_FIELDS,
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

function relayUpgrade(
  runtime: Runtime,
  exchange: { incoming: IncomingMessage; socket: Duplex; head: Buffer; context: RequestContext },
  rules: FieldRules,
): void {
  const target = { host: runtime.origin.hostname, port: Number(runtime.origin.port) }
  forwardUpgrade(target, exchange, rules).catch((error: unknown) => {
    exchange.context.log.warn('upgrade.fail', { error: errorMessage(error) })
    if (!exchange.socket.destroyed) exchange.socket.end(upgradeAnswer('ended'))
  })
}
