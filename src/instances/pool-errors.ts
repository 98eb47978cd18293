import { asFlexiError, FlexiError } from '../core/errors.ts'

export function throttled(name: string): FlexiError {
  return new FlexiError('FLEXI_THROTTLED', `${name} runs as often as it may at once`, {
    hint: 'Raise what is reserved for it, or ask again.',
    retryAfterSeconds: 1,
  })
}

export function queueFull(name: string, waiting: number): FlexiError {
  return new FlexiError('FLEXI_QUEUE_FULL', `${name} has ${waiting} requests waiting`, {
    retryAfterSeconds: 1,
  })
}

export function waitedTooLong(name: string, waitedMs: number): FlexiError {
  const waited = Math.round(waitedMs / 1000)
  return new FlexiError('FLEXI_QUEUE_FULL', `${name}: no instance came free in ${waited} s`, {
    retryAfterSeconds: 1,
  })
}

export function answersHttpOnly(name: string): FlexiError {
  return new FlexiError('FLEXI_USAGE', `${name} answers HTTP only`, {
    hint: 'Send it a request instead of an event.',
  })
}

export function shuttingDown(name: string): FlexiError {
  return new FlexiError('FLEXI_SHUTTING_DOWN', `${name} is shutting down`, { retryAfterSeconds: 1 })
}

/** Of an instance that ends again and again: told in the log once for all requests that are refused with it. */
export function keepsEnding(name: string, restMs: number, cause: Error | undefined): FlexiError {
  return new FlexiError('FLEXI_FUNCTION_CRASHED', `${name} keeps ending before it has answered anything`, {
    hint: 'Look at the faults above; it is tried again in a second.',
    retryAfterSeconds: Math.ceil(restMs / 1000),
    reported: true,
    cause,
  })
}

/** What a start threw. */
export function asInitError(error: unknown): FlexiError {
  return asFlexiError(error, 'FLEXI_FUNCTION_INIT')
}
