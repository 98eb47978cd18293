import { FlexiError } from '../../core/errors.ts'
import type { FunctionFault } from '../../core/function.ts'
import type { ChildExit } from '../../instances/child.ts'
import type { Answerer } from './answer.ts'
import { coreHint, readCoreSettings } from './core-dump.ts'
import type { Flight } from './dispatcher.ts'
import { describeExit } from './host-process.ts'

/** Why we ended the process ourselves. */
export type Ending =
  /** `flight` is the call that did not return; without one it was `request_deinit`. */
  | { readonly kind: 'timeout'; readonly flight: Flight | undefined; readonly limitMs: number }
  | { readonly kind: 'memory'; readonly bytes: number }

export interface End {
  readonly exit: ChildExit
  readonly pid: number | undefined
  readonly ending: Ending | undefined
  /** What was in the library. */
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

async function endFault(answerer: Answerer, end: End): Promise<FunctionFault> {
  switch (end.ending?.kind) {
    case 'timeout':
      return timeoutFault(answerer, end.ending)
    case 'memory':
      return memoryFault(answerer, end, end.ending.bytes)
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
  return {
    function: config.name,
    kind: 'timeout',
    name: 'Timeout',
    message: `${library} did not return from ${where} within ${seconds} s; its process was killed`,
    requestId: flight?.requestId,
    hint: 'Look for an endless loop or a lock, or raise "timeout".',
  }
}

function memoryFault({ config, library }: Answerer, { lost }: End, bytes: number): FunctionFault {
  const megabytes = Math.round(bytes / 1024 / 1024)
  return {
    function: config.name,
    kind: 'memory',
    name: 'OutOfMemory',
    message: `${library} held ${megabytes} MB, more than its limit of ${config.memoryMb} MB; its process was killed`,
    requestId: lost[0]?.requestId,
    hint: 'Free what a request allocates in request_deinit, or raise "memory".',
  }
}

async function crashFault({ config, scope, library }: Answerer, end: End): Promise<FunctionFault> {
  const { exit, pid, lost } = end
  const name = describeExit(exit)
  const reason = exit.signal === null ? 'it ended the process it runs in' : SIGNALS[exit.signal]
  const dumps = scope.mode === 'dev' && pid !== undefined && DUMPING.has(exit.signal ?? '')
  return {
    function: config.name,
    kind: 'crash',
    name,
    message: `${library} crashed with ${name}${reason === undefined ? '' : `: ${reason}`}`,
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
  const code = fault.kind === 'timeout' || fault.kind === 'memory' ? CODES[fault.kind] : CODES.crash
  return new FlexiError(code, fault.message, fault.hint === undefined ? {} : { hint: fault.hint })
}

/** A call beside this one hung, and both shared the process. */
function collateralError(fault: FunctionFault): FlexiError {
  return new FlexiError(CODES.crash, `another call took the process with it: ${fault.message}`)
}
