import { errorMessage, FlexiError } from '../../core/errors.ts'

/** workerd could not start; the message is its own. */
export class RuntimeStartError extends Error {
  override readonly name = 'RuntimeStartError'
}

/** What is known of a start while it is under way. */
export interface Complaints {
  readonly words: string[]
  /** Why its process could not be kept apart as it should be. */
  refused: unknown
}

export function noComplaints(): Complaints {
  return { words: [], refused: undefined }
}

/** Why a start failed: workerd's own words, or for want of any `cause`; where the process was never let go, why. */
export function startFailure({ words, refused }: Complaints, cause: unknown): Error {
  if (refused instanceof FlexiError) return refused
  return new RuntimeStartError(words.join('\n') || errorMessage(refused ?? cause), { cause })
}
