import { errorMessage, FlexiError } from '../../core/errors.ts'
import type { FunctionFault } from '../../core/function.ts'
import type { ThrownRecord } from './facade.ts'
import { RuntimeStartError } from './start-error.ts'
import type { StackReader } from './stack.ts'

/** A throw of the program, in its author's files and lines. */
export function throwFault(
  record: ThrownRecord,
  { name, stacks, requestId }: { name: string; stacks: StackReader; requestId?: string | undefined },
): FunctionFault {
  const raw = stackText(record)
  const isAnswer = record.source === undefined || record.source === 'fetch'
  const message = isAnswer ? record.message : `${record.message} (${record.source})`
  const frame = raw === undefined ? undefined : stacks.frame(raw)
  return {
    function: name,
    kind: 'throw',
    name: record.name,
    message,
    ...(raw === undefined ? noPlace(record.name) : { stack: stacks.map(raw) }),
    ...(frame === undefined ? {} : { frame: { ...frame, message } }),
    requestId,
  }
}

/** Told by the facade for what is no error: `string`, `object`. */
function noPlace(name: string): { readonly hint?: string } {
  return /^[a-z]+$/.test(name) ? { hint: 'Throw an Error: only that knows where it was thrown.' } : {}
}

function stackText({ stack, cause, errors = [] }: ThrownRecord): string | undefined {
  if (stack === undefined) return undefined
  const inner = (label: string, record: ThrownRecord): string =>
    `\n[${label}]: ${stackText(record) ?? `${record.name}: ${record.message}`}`
  const all = errors.map((record, index) => inner(`errors ${index}`, record)).join('')
  return stack + all + (cause === undefined ? '' : inner('cause', cause))
}

export interface EndFaultOptions {
  readonly name: string
  readonly kind: 'crash' | 'timeout' | 'memory'
  /** workerd's last own words. */
  readonly lastWords: string | undefined
  readonly limitMs: number
  /** Undefined where the system enforces a limit of its own. */
  readonly memoryBytesMax: number | undefined
}

/** The runtime ended while it should not have. */
export function endFault(options: EndFaultOptions): FunctionFault {
  const { name, lastWords, limitMs, memoryBytesMax } = options
  const ranOut = lastWords?.includes('out of memory') === true
  if (options.kind === 'timeout') {
    return {
      function: name,
      kind: 'timeout',
      name: 'CpuLimitExceeded',
      message: `the worker did not answer within ${limitMs} ms`,
      hint: 'Look for a loop that does not end; the limit is "limits.cpu_ms" of the wrangler file.',
    }
  }
  if (options.kind === 'memory' || ranOut) {
    return {
      function: name,
      kind: 'memory',
      name: 'MemoryLimitExceeded',
      message: ranOut ? 'the worker used up the memory of its isolate' : tooMuch(memoryBytesMax),
      hint: 'Cloudflare ends a worker at 128 MB: stream large bodies in place of collecting them.',
    }
  }
  return {
    function: name,
    kind: 'crash',
    name: 'RuntimeCrashed',
    message: lastWords ?? 'workerd ended without a word',
    hint: 'It was started again. If the same request ends it again, report it to cloudflare/workerd.',
  }
}

function tooMuch(memoryBytesMax: number | undefined): string {
  if (memoryBytesMax === undefined) return 'the runtime held more memory than its sandbox allows'
  return `the runtime held more than ${Math.round(memoryBytesMax / 1024 / 1024)} MB`
}

/** `service core:user:x: Uncaught Error: boom\n  at file:///bundle/index.js:1:7` → the error in the user's own file. */
export function startError(cause: unknown, name: string, stacks: StackReader): FlexiError {
  if (!(cause instanceof RuntimeStartError)) return asInitError(cause, name)
  const words = cause.message.replace(/^service core:user:[^:]*: /gm, '').replace(/^Uncaught /gm, '')
  const [head = words] = words.split('\n')
  const frame = stacks.frame(words)
  return new FlexiError('FLEXI_FUNCTION_INIT', `${name} cannot be loaded: ${head}`, {
    faults: frame === undefined ? [] : [{ ...frame, message: head }],
    cause,
  })
}

function asInitError(cause: unknown, name: string): FlexiError {
  if (cause instanceof FlexiError) return cause
  return new FlexiError('FLEXI_FUNCTION_INIT', `${name} cannot be started: ${errorMessage(cause)}`, { cause })
}
