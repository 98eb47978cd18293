import { FlexiError } from '../../core/errors.ts'
import type { RequestContext } from '../../core/fetcher.ts'
import type { FunctionConfig, FunctionFault, FunctionScope, Instance } from '../../core/function.ts'
import { LIMITS } from '../../core/limits.ts'
import type { ChildExit } from '../../instances/child.ts'
import { residentBytes, watchMemory } from '../../instances/memory.ts'
import { readContent } from './content.ts'
import type { Carrier, Dispatcher, Flight, Outcome } from './dispatcher.ts'
import { describeExit, type HostProcess } from './host-process.ts'
import { writeResult, writeServerError, type Exchange } from './respond.ts'
import { encodeCall } from './wire.ts'

export interface InstanceOptions {
  readonly config: FunctionConfig
  readonly scope: FunctionScope
  readonly dispatcher: Dispatcher
  readonly host: HostProcess
  readonly threads: number
  readonly sequence: number
  /** As the person wrote it, for messages. */
  readonly library: string
  onCrash(): void
}

/** Why we ended the process ourselves. */
type Ending =
  | { readonly kind: 'timeout'; readonly flight: Flight }
  | { readonly kind: 'memory'; readonly bytes: number }

/** Puts a process with a loaded library to work. */
export async function openInstance(options: InstanceOptions): Promise<Instance> {
  const { dispatcher, host, threads, sequence } = options
  let ending: Ending | undefined
  let disposed = false
  const end = (why: Ending): void => {
    ending ??= why
    host.kill()
  }
  const stopWatching = await limitMemory(options, (bytes) => end({ kind: 'memory', bytes }))
  const carrier: Carrier = { host, threads, sequence, onStuck: (flight) => end({ kind: 'timeout', flight }) }
  dispatcher.attach(carrier)
  const closed = host.ended.then(() => {
    stopWatching()
    if (disposed) return undefined
    options.onCrash()
    const lost = dispatcher.detach(host)
    void host.exited.then(async (exit) => {
      reportEnd(options, { exit, ending, lost })
      await host[Symbol.asyncDispose]()
    })
    return new Error(`${options.library} ended`)
  })
  return {
    handle: (incoming, outgoing, context) => serve({ incoming, outgoing, context }, options),
    closed,
    async [Symbol.asyncDispose]() {
      disposed = true
      const error = new FlexiError('FLEXI_SHUTTING_DOWN', 'the library was stopped before it had answered')
      const lost = dispatcher.detach(host)
      // A call that was still running has had its drain time.
      if (lost.length > 0) host.kill()
      for (const flight of lost) flight.settle({ kind: 'lost', error })
      await host[Symbol.asyncDispose]()
    },
  }
}

let lastId = 0

function nextId(): number {
  lastId = lastId === 0xffff_ffff ? 1 : lastId + 1
  return lastId
}

async function serve(exchange: Exchange, options: InstanceOptions): Promise<void> {
  const { incoming, context } = exchange
  const content = hasContent(context) ? await readContent(incoming) : []
  const { method, target, fields } = context.raw
  const id = nextId()
  const contentBytes = content.reduce((sum, chunk) => sum + chunk.length, 0)
  const deadline = performance.now() + (options.config.timeoutMs ?? LIMITS.requestMs)
  const parts = [encodeCall({ id, method, target, fields, contentBytes }), ...content]
  return new Promise((resolve, reject) => {
    const settle = (outcome: Outcome): void => {
      try {
        answer(exchange, outcome, options)
        resolve()
      } catch (error) {
        reject(error)
      }
    }
    options.dispatcher.submit({ id, requestId: context.id, parts, deadline, settle })
  })
}

/** RFC 9112 6.3: a request has content when one of these fields is there, and only then. */
function hasContent({ raw }: RequestContext): boolean {
  for (let index = 0; index < raw.fields.length; index += 2) {
    const name = raw.fields[index] ?? ''
    if (name.length !== 14 && name.length !== 17) continue
    const lower = name.toLowerCase()
    if (lower === 'content-length' || lower === 'transfer-encoding') return true
  }
  return false
}

function answer(exchange: Exchange, outcome: Outcome, options: InstanceOptions): void {
  switch (outcome.kind) {
    case 'result': {
      const problem = writeResult(exchange, outcome.result)
      if (problem !== undefined) answerFault(exchange, badResponse(problem), options)
      return
    }
    case 'nothing':
      // A library's way to throw.
      answerFault(exchange, { kind: 'throw', name: 'NULL', message: 'handle_request returned NULL' }, options)
      return
    case 'invalid':
      answerFault(exchange, badResponse(outcome.message), options)
      return
    case 'lost':
      if (outcome.fault !== undefined && exchange.context.explain(outcome.fault, exchange.outgoing)) return
      throw outcome.error
  }
}

function badResponse(message: string): Pick<FunctionFault, 'kind' | 'name' | 'message'> {
  return { kind: 'result', name: 'BadResponse', message }
}

function answerFault(
  { context, outgoing }: Exchange,
  { kind, name, message }: Pick<FunctionFault, 'kind' | 'name' | 'message'>,
  { config, scope, library }: InstanceOptions,
): void {
  const where = `${context.raw.method} ${context.raw.target}`
  const fault: FunctionFault = {
    function: config.name,
    kind,
    name,
    message: `${library}: ${message}, in answer to ${where}`,
    requestId: context.id,
  }
  scope.report(fault)
  if (!context.explain(fault, outgoing)) writeServerError(outgoing)
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

interface End {
  readonly exit: ChildExit
  readonly ending: Ending | undefined
  readonly lost: readonly Flight[]
}

const SIGNALS: Readonly<Record<string, string>> = {
  SIGSEGV: 'it used memory that is not its own',
  SIGBUS: 'it used memory that is not there',
  SIGABRT: 'it called abort(), or a check in it failed',
  SIGFPE: 'it divided by zero, or overflowed',
  SIGILL:
    'it ran an illegal instruction: often a trap that a compiler put into undefined or unreachable code',
  SIGKILL: 'it was killed from outside: by hand, or by the system for want of memory',
}

/** One report for the process, and an answer for each request it took with it. */
function reportEnd(options: InstanceOptions, end: End): void {
  const fault = endFault(options, end)
  options.scope.report(fault)
  for (const flight of end.lost) {
    const own = end.ending?.kind !== 'timeout' || end.ending.flight === flight
    const error = own ? endError(fault) : collateralError(fault)
    flight.settle({ kind: 'lost', error, fault: { ...fault, requestId: flight.requestId } })
  }
}

function endFault({ config, library }: InstanceOptions, { exit, ending, lost }: End): FunctionFault {
  const base = { function: config.name, requestId: lost[0]?.requestId }
  if (ending?.kind === 'timeout') {
    const seconds = (config.timeoutMs ?? LIMITS.requestMs) / 1000
    return {
      ...base,
      kind: 'timeout',
      name: 'Timeout',
      message: `${library} did not return from handle_request within ${seconds} s; its process was killed`,
      requestId: ending.flight.requestId,
      hint: 'Look for an endless loop or a lock, or raise "timeout".',
    }
  }
  if (ending?.kind === 'memory') {
    const megabytes = Math.round(ending.bytes / 1024 / 1024)
    return {
      ...base,
      kind: 'memory',
      name: 'OutOfMemory',
      message: `${library} held ${megabytes} MB, more than its limit of ${config.memoryMb} MB; its process was killed`,
      hint: 'Free what a request allocates in request_deinit, or raise "memory".',
    }
  }
  const name = describeExit(exit)
  const reason = exit.signal === null ? 'it ended the process it runs in' : SIGNALS[exit.signal]
  return {
    ...base,
    kind: 'crash',
    name,
    message: `${library} crashed with ${name}${reason === undefined ? '' : `: ${reason}`}`,
    hint: 'What it printed last is above. Build it with -g and debug checks to find the place.',
  }
}

const CODES = {
  crash: 'FLEXI_FUNCTION_CRASHED',
  timeout: 'FLEXI_FUNCTION_TIMEOUT',
  memory: 'FLEXI_FUNCTION_MEMORY',
} as const

function endError(fault: FunctionFault): FlexiError {
  const code = fault.kind === 'timeout' || fault.kind === 'memory' ? CODES[fault.kind] : CODES.crash
  return new FlexiError(code, fault.message, fault.hint === undefined ? {} : { hint: fault.hint })
}

/** A call beside this one hung, and both shared the process. */
function collateralError(fault: FunctionFault): FlexiError {
  return new FlexiError(CODES.crash, `another call took the process with it: ${fault.message}`)
}
