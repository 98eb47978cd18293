import { configError } from '../../core/errors.ts'
import type { FunctionConfig } from '../../core/function.ts'
import type { Fault } from '../../core/place.ts'
import { EVENT_OPTIONS, eventOptionFaults } from './api/event-options.ts'
import { DEFAULT_MEMORY_MB, DEFAULT_TIMEOUT_MS, MEMORY_MB_MAX, TIMEOUT_MS_MAX } from './limits.ts'

/** What a Lambda function needs beyond what every function has. */
export interface LambdaOptions {
  /** `src/hello.handler`, `src/hello.ts` (then the export is called handler). Unused where the code folder holds a `bootstrap`. */
  readonly handler: string
  /** `nodejs20.x`, `python3.12`, `provided.al2023`; undefined is what the file's extension says. */
  readonly runtime: string | undefined
  /** The source the handler's module is compiled from, where a template names it. */
  readonly entry: string | undefined
  /** The code itself, where a template holds it; it is in a file called `index`. */
  readonly inlineCode: string | undefined
}

const TEXTS = ['handler', 'runtime', 'entry', 'inlineCode'] as const
/** `url` is read by the function's own address: see FunctionUrlOptions. */
const KNOWN = [...TEXTS, 'url', ...EVENT_OPTIONS] as const
const RUNTIME = /^(nodejs\d+\.x|python3(\.\d+)?|provided(\.\w+)?)$/

/** @throws FlexiError FLEXI_CONFIG with a fault for each option that cannot be. */
export function parseOptions(config: FunctionConfig): LambdaOptions {
  const faults: Fault[] = []
  const fault: Report = (message, hint) => {
    faults.push({ place: config.origin, message: `${config.name}: ${message}`, hint })
  }
  for (const key of Object.keys(config.options)) {
    if (!KNOWN.some((known) => known === key))
      fault(
        `a Lambda has no option "${key}"`,
        `It has: ${KNOWN.filter((known) => known !== 'inlineCode').join(', ')}.`,
      )
  }
  const text = (key: (typeof TEXTS)[number]): string | undefined => {
    const value = config.options[key]
    if (value === undefined || typeof value === 'string') return value
    fault(`"${key}" is no text`, `Write a text, such as "src/hello.handler".`)
    return undefined
  }
  const options = {
    handler: text('handler') ?? '',
    runtime: text('runtime'),
    entry: text('entry'),
    inlineCode: text('inlineCode'),
  }
  checkHandler(options, config, fault)
  checkBounds(config, fault)
  for (const { message, hint } of eventOptionFaults(config.options)) fault(message, hint)
  if (faults.length > 0) throw configError(faults)
  return { ...options, handler: options.handler === '' ? 'bootstrap' : options.handler }
}

type Report = (message: string, hint: string) => void

function checkHandler({ handler, runtime }: LambdaOptions, config: FunctionConfig, fault: Report): void {
  const needed = config.options['handler'] === undefined && runtime?.startsWith('provided') !== true
  if (needed) fault('no handler', 'Add "handler": "src/hello.handler".')
  if (handler.includes('..')) {
    fault(`"${handler}" is no handler: ".." may not be in it`, 'Set the function’s folder instead.')
  }
  if (runtime !== undefined && !RUNTIME.test(runtime)) {
    fault(`runtime "${runtime}" does not run here`, 'Use nodejs20.x, python3.12 or provided.al2023.')
  }
}

function checkBounds(config: FunctionConfig, fault: Report): void {
  const { timeoutMs = DEFAULT_TIMEOUT_MS, memoryMb = DEFAULT_MEMORY_MB } = config
  if (!(timeoutMs > 0 && timeoutMs <= TIMEOUT_MS_MAX)) {
    fault(`a timeout of ${timeoutMs / 1000} s cannot be`, `Use up to ${TIMEOUT_MS_MAX / 1000} s.`)
  }
  if (!(memoryMb >= DEFAULT_MEMORY_MB && memoryMb <= MEMORY_MB_MAX)) {
    fault(`${memoryMb} MB of memory cannot be`, `Use ${DEFAULT_MEMORY_MB} to ${MEMORY_MB_MAX} MB.`)
  }
}
