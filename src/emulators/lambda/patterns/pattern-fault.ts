import { FlexiError } from '../../../core/errors.ts'

/** A pattern that cannot be, in the words of EventBridge: `Event pattern is not valid. Reason: "source" must be …`. */
export function patternFault(reason: string): FlexiError {
  return new FlexiError('FLEXI_CONFIG', `Event pattern is not valid. Reason: ${reason}`)
}
