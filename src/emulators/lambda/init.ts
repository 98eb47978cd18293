import { FlexiError } from '../../core/errors.ts'
import { LIMITS } from '../../core/limits.ts'
import type { Definition } from './definition.ts'
import { failureOf, initTimeoutFailure, type Failure } from './fault.ts'

export interface InitOptions {
  readonly definition: Definition
  /** The runtime says that it is ready, or why not. */
  readonly loaded: Promise<{ readonly error: Buffer | undefined }>
  /** The process ended before it said anything. */
  readonly refused: Promise<Failure>
  readonly timed: boolean
}

/** Waits until the code is loaded. Resolves with what kept it from that. */
export async function waitForInit(options: InitOptions): Promise<Failure | undefined> {
  const { definition, loaded, refused, timed } = options
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<Failure>((resolve) => {
    if (timed) timer = setTimeout(() => resolve(initTimeoutFailure(definition)), LIMITS.initMs)
  })
  const failed = loaded.then(({ error }) =>
    error === undefined ? undefined : failureOf(error, definition, { kind: 'init' }),
  )
  const failure = await Promise.race([refused, late, failed])
  clearTimeout(timer)
  return failure
}

/** FLEXI_FUNCTION_INIT; its cause is the `Failure`. */
export function initError(failure: Failure, { name: functionName }: Definition): FlexiError {
  const { name, message, frame, hint } = failure.fault
  return new FlexiError('FLEXI_FUNCTION_INIT', `${functionName}: ${name}: ${message}`, {
    cause: failure,
    faults: frame === undefined ? [] : [frame],
    ...(hint === undefined ? {} : { hint }),
  })
}
