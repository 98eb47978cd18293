import { FlexiError } from '../../core/errors.ts'
import type { Flight } from './dispatcher.ts'

/** What waited through too many ends of the library. */
export function endsTooOften({ subject, endsSeen }: Flight): FlexiError {
  const message = `${endsSeen} processes of the library ended while ${cut(subject)} waited for one`
  return new FlexiError('FLEXI_FUNCTION_CRASHED', message, { retryAfterSeconds: 1, reported: true })
}

/** For messages. */
export function cut(subject: string): string {
  return subject.length > 120 ? `${subject.slice(0, 120)}…` : subject
}

export function clientGone(): FlexiError {
  return new FlexiError('FLEXI_CLIENT_GONE', 'the client left while its request waited')
}

export function waitedTooLong(): FlexiError {
  return new FlexiError('FLEXI_FUNCTION_TIMEOUT', 'no thread of the library came free in time', {
    hint: 'Raise "threads", or make its calls shorter.',
  })
}
