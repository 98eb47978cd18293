import { errorMessage, FlexiError } from '../../core/errors.ts'
import type { RuntimeLine } from './runtime-log.ts'

/** workerd could not start; the message is its own. */
export class RuntimeStartError extends Error {
  override readonly name = 'RuntimeStartError'
}

/** What is known of a start while it is under way. */
export interface Complaints {
  readonly words: string[]
  /** Lines that are not workerd's: of what keeps its process apart. */
  readonly noise: string[]
  /** Rejects with why its process could not be kept apart as it should be. */
  admitted: Promise<void>
}

export function noComplaints(): Complaints {
  return { words: [], noise: [], admitted: Promise.resolve() }
}

/** Takes down what a process said before it could be heard of otherwise. */
export function complain({ words, noise }: Complaints, line: RuntimeLine): void {
  if (line.kind === 'runtime' && line.level !== 'info') words.push(line.text)
  if (line.kind === 'noise' && noise.length < NOISE_LINES_MAX) noise.push(line.text)
}

const NOISE_LINES_MAX = 5

/** Why a start failed: workerd's own words, or for want of any those around it, or `cause`; where it was never let go, why. */
export async function startFailure({ words, noise, admitted }: Complaints, cause: unknown): Promise<Error> {
  const refused = await admitted.then(
    () => undefined,
    (error: unknown) => error,
  )
  if (words.length === 0 && refused instanceof FlexiError) return withNoise(refused, noise)
  const said = words.length === 0 ? noise : words
  return new RuntimeStartError(said.join('\n') || errorMessage(refused ?? cause), { cause })
}

function withNoise(error: FlexiError, noise: readonly string[]): FlexiError {
  const unsaid = noise.filter((line) => !error.message.includes(line))
  if (unsaid.length === 0) return error
  return new FlexiError(error.code, `${error.message}: ${unsaid.join('; ')}`, { cause: error })
}
