import { FlexiError } from '../../core/errors.ts'
import type { LogTail } from '../runtime.ts'

const LINES = 50
const LINE_CHARACTERS_MAX = 2_000

/** The last lines of what a function prints. */
export class TailBuffer {
  #lines: string[] = []

  push(text: string): void {
    for (const line of text.split('\n'))
      this.#lines.push(line.length > LINE_CHARACTERS_MAX ? `${line.slice(0, LINE_CHARACTERS_MAX)}…` : line)
    if (this.#lines.length > 2 * LINES) this.#lines = this.#lines.slice(-LINES)
  }

  lines(): readonly string[] {
    return this.#lines.slice(-LINES)
  }
}

/** The same error, with what the function printed before it. */
export function withLogTail<Failure extends FlexiError>(
  error: Failure,
  log: readonly string[],
): Failure & LogTail {
  return Object.assign(error, { log })
}

/** What the function printed before the error; nothing for errors of before it ran. */
export function logTailOf(error: unknown): readonly string[] {
  return error instanceof FlexiError && 'log' in error && isLines(error.log) ? error.log : []
}

function isLines(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((line) => typeof line === 'string')
}
