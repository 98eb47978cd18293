import { FlexiError } from '../../core/errors.ts'
import type { FunctionFault } from '../../core/function.ts'
import type { ChildExit } from '../../instances/child.ts'
import type { Answerer } from './answer.ts'
import { coreHint, readCoreSettings } from './core-dump.ts'
import type { Flight } from './dispatcher.ts'
import { describeExit } from './host-process.ts'
import { cut } from './refusals.ts'

/** Why we ended the process ourselves. */
export type Ending =
  /** `flight` is the call that did not return; without one it was `request_deinit`. */
  | { readonly kind: 'timeout'; readonly flight: Flight | undefined; readonly limitMs: number }
  /** Undefined where what confines it has ended it. */
  | { readonly kind: 'memory'; readonly bytes: number | undefined }
  /** It ran, and its channel was closed. */
  | { readonly kind: 'channel' }

export interface End {
  readonly exit: ChildExit
  readonly pid: number | undefined
  readonly ending: Ending | undefined
  /** What was in the library. */
  readonly lost: readonly Flight[]
  /** Requests that had waited for it and are refused. */
  readonly refused: number
}

const SIGNALS: Readonly<Record<string, string>> = {
  SIGSEGV: 'used memory that is not its own',
  SIGBUS: 'used memory that is not there',
  SIGABRT: 'called abort(), or a check in it failed',
  SIGFPE: 'divided by zero, or overflowed',
  SIGILL: 'ran an illegal instruction, often a trap that a compiler put into undefined or unreachable code',
  SIGKILL: 'was killed from outside, by hand, or by the system for want of memory',
}

/** Signals that leave a core. Source: signal(7). */
const DUMPING: ReadonlySet<string> = new Set(['SIGSEGV', 'SIGBUS', 'SIGABRT', 'SIGFPE', 'SIGILL', 'SIGTRAP'])

/** One report for the process, and an answer for each request it took with it. */
export async function reportEnd(answerer: Answerer, end: End): Promise<void> {
  const fault = await endFault(answerer, end)
  answerer.scope.report(fault)
  for (const flight of end.lost) {
    const own = end.ending?.kind !== 'timeout' || end.ending.flight === flight
    const error = own ? endError(fault) : collateralError(fault)
    flight.settle({ kind: 'lost', error, fault: { ...fault, requestId: flight.requestId } })
  }
}

/** ` in GET /x`, and how many others it cost. */
function requestsOf({ lost, refused }: End): string {
  const [first, ...others] = lost
  const where = first === undefined ? '' : `, in ${cut(first.subject)}`
  const beside = others.length === 0 ? '' : ` and ${others.length} beside it`
  return `${where}${beside}${refused === 0 ? '' : `; ${refused} that waited were refused`}`
}

async function endFault(answerer: Answerer, end: End): Promise<FunctionFault> {
  switch (end.ending?.kind) {
    case 'timeout':
      return timeoutFault(answerer, end.ending)
    case 'memory':
      return memoryFault(answerer, end, end.ending.bytes)
    case 'channel':
      return channelFault(answerer, end)
    case undefined:
      return crashFault(answerer, end)
  }
}

function timeoutFault(
  { config, library }: Answerer,
  { flight, limitMs }: Extract<Ending, { kind: 'timeout' }>,
): FunctionFault {
  const seconds = limitMs / 1000
  const where = flight === undefined ? 'request_deinit' : 'handle_request'
  const request = flight === undefined ? '' : `, in ${cut(flight.subject)}`
  return {
    function: config.name,
    kind: 'timeout',
    name: 'Timeout',
    message: `${library} did not return from ${where} within ${seconds} s${request}; its process was killed`,
    requestId: flight?.requestId,
    hint: 'Look for an endless loop or a lock, or raise "timeout".',
  }
}

function memoryFault({ config, library }: Answerer, end: End, bytes: number | undefined): FunctionFault {
  const held =
    bytes === undefined
      ? 'used up the memory of its sandbox'
      : `held ${Math.round(bytes / 1024 / 1024)} MB, more than its limit of ${config.memoryMb} MB`
  return {
    function: config.name,
    kind: 'memory',
    name: 'OutOfMemory',
    message: `${library} ${held}${requestsOf(end)}; its process was killed`,
    requestId: end.lost[0]?.requestId,
    hint: 'Free what a request allocates in request_deinit, or raise "memory".',
  }
}

function channelFault({ config, library }: Answerer, end: End): FunctionFault {
  return {
    function: config.name,
    kind: 'crash',
    name: 'ChannelClosed',
    message: `${library} closed the connection between its process and flexi${requestsOf(end)}; the process was killed`,
    requestId: end.lost[0]?.requestId,
    hint: 'Close only file descriptors that the library has opened: 3 is ours.',
  }
}

async function crashFault({ config, scope, library }: Answerer, end: End): Promise<FunctionFault> {
  const { exit, pid, lost } = end
  const name = describeExit(exit)
  const reason = exit.signal === null ? 'ended the process it runs in' : SIGNALS[exit.signal]
  const dumps = scope.mode === 'dev' && pid !== undefined && DUMPING.has(exit.signal ?? '')
  return {
    function: config.name,
    kind: 'crash',
    name,
    message: `${library} ${reason ?? 'ended its process'}${requestsOf(end)}`,
    requestId: lost[0]?.requestId,
    hint: dumps
      ? coreHint(await readCoreSettings(), { pid, directory: config.directory, program: process.execPath })
      : 'Look at what it printed last, and build it with -g and debug checks to find the place.',
  }
}

const CODES = {
  crash: 'FLEXI_FUNCTION_CRASHED',
  timeout: 'FLEXI_FUNCTION_TIMEOUT',
  memory: 'FLEXI_FUNCTION_MEMORY',
} as const

function endError(fault: FunctionFault): FlexiError {
  const { hint } = fault
  const code = fault.kind === 'timeout' || fault.kind === 'memory' ? CODES[fault.kind] : CODES.crash
  return new FlexiError(code, messageOf(fault), { reported: true, ...(hint === undefined ? {} : { hint }) })
}

/** A call beside this one hung, and both shared the process. */
function collateralError(fault: FunctionFault): FlexiError {
  return new FlexiError(CODES.crash, `another call took the process with it: ${messageOf(fault)}`, {
    reported: true,
  })
}

function messageOf({ kind, name, message }: FunctionFault): string {
  return kind === 'crash' ? `${name}: ${message}` : message
}
