import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'

import type { LambdaError } from '../protocol.ts'

const OUR_FOLDER = dirname(fileURLToPath(import.meta.url))

/** The stack down to the call of the handler: what called it is no business of its author. */
function stackOf(error: { readonly stack?: string }): string[] {
  const lines = (error.stack ?? '').split('\n')
  const ours = lines.findIndex((line) => line.includes(OUR_FOLDER))
  return ours === -1 ? lines : lines.slice(0, ours)
}

/** A failure with one of the runtime's own error types. */
export function runtimeError(errorType: string, message: string, cause?: unknown): Error {
  const error = new Error(message, cause === undefined ? undefined : { cause })
  error.name = errorType
  const stack = cause instanceof Error ? cause.stack : undefined
  // The frames that matter are those of the user's code, not of the place that classified them.
  error.stack =
    stack === undefined ? `${errorType}: ${message}` : `${errorType}: ${message}\n${framesOf(stack)}`
  return error
}

/** What is sent for anything user code may throw, errors or not. */
export function toLambdaError(thrown: unknown): LambdaError {
  try {
    if (isErrorLike(thrown)) {
      return {
        errorType: escape(thrown.name),
        errorMessage: escape(thrown.message),
        trace: stackOf(thrown).map(escape),
      }
    }
    return { errorType: typeof thrown, errorMessage: String(thrown), trace: [] }
  } catch {
    return {
      errorType: 'Error',
      errorMessage: 'the error that was thrown throws when it is read',
    }
  }
}

/** The failure as the runtime logs it: own fields of the error included. */
export function describeError(thrown: unknown): string {
  if (!isErrorLike(thrown))
    return JSON.stringify({ errorType: typeof thrown, errorMessage: String(thrown), stack: [] })
  const own: Record<string, unknown> = { ...thrown }
  const fields = { errorType: thrown.name, errorMessage: thrown.message, ...own, stack: stackOf(thrown) }
  try {
    return JSON.stringify(fields)
  } catch {
    return JSON.stringify({ errorType: thrown.name, errorMessage: thrown.message, stack: fields.stack })
  }
}

interface ErrorLike {
  readonly name: string
  readonly message: string
  readonly stack?: string
}

/** Errors of other realms are errors too. */
function isErrorLike(thrown: unknown): thrown is ErrorLike {
  return (
    thrown instanceof Error ||
    (typeof thrown === 'object' &&
      thrown !== null &&
      'name' in thrown &&
      'message' in thrown &&
      'stack' in thrown)
  )
}

function framesOf(stack: string): string {
  const lines = stack.split('\n')
  const first = lines.findIndex((line) => /^\s+at /.test(line))
  // A syntax error names its place above the message instead of in a frame.
  return first === -1
    ? lines.join('\n')
    : [...lines.slice(0, first).filter(isPlaceOrSource), ...lines.slice(first)].join('\n')
}

function isPlaceOrSource(line: string): boolean {
  return line !== '' && !/^[A-Za-z]*Error\b/.test(line)
}

/** DEL is what the runtime keeps apart in its own protocol. */
function escape(text: string): string {
  return String(text).replaceAll('\u007f', '%7F')
}
