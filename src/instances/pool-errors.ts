import { FlexiError } from '../core/errors.ts'

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

export function shuttingDown(name: string): FlexiError {
  return new FlexiError('FLEXI_SHUTTING_DOWN', `${name} is shutting down`, { retryAfterSeconds: 1 })
}
