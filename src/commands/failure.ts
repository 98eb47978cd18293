import * as Errors from '@oclif/core/errors'
import type * as Interfaces from '@oclif/core/interfaces'

import { ERROR_CODES, FlexiError } from '../core/errors.ts'
import type { Fault } from '../core/place.ts'
import { closest } from '../core/suggest.ts'
import { bugLines, type ErrorReport, reportLines, reportOf } from '../terminal/error-report.ts'
import { paintFor } from '../terminal/paint.ts'
import { withSourcePlaces } from './source-places.ts'

/** Why a command ended without its result. */
export type Failure =
  | { readonly kind: 'report'; readonly exit: number; readonly report: ErrorReport }
  | { readonly kind: 'bug'; readonly exit: number; readonly error: unknown }
  /** Somebody asked for this exit code and has said what there is to say. */
  | { readonly kind: 'exit'; readonly exit: number }

export function failureOf(error: unknown): Failure {
  if (error instanceof FlexiError) return flexiFailure(error)
  if (error instanceof Errors.ExitError) return { kind: 'exit', exit: error.oclif.exit ?? 0 }
  if (error instanceof Errors.CLIError)
    return { kind: 'report', exit: error.oclif.exit ?? 2, report: usageReport(error) }
  // inquirer's error for Ctrl-C in a prompt; the shell's code for SIGINT.
  if (error instanceof Error && error.name === 'ExitPromptError') return { kind: 'exit', exit: 130 }
  return { kind: 'bug', exit: ERROR_CODES.FLEXI_BUG.exit, error }
}

function flexiFailure(error: FlexiError): Failure {
  if (error.code === 'FLEXI_BUG') return { kind: 'bug', exit: error.oclif.exit, error }
  return { kind: 'report', exit: error.oclif.exit, report: reportOf(error) }
}

/** What oclif's parser says about flags and arguments, in our form. */
function usageReport(error: Errors.CLIError): ErrorReport {
  // The note explains a way of giving values (--set a b) that our flags do not have.
  const message = error.message
    .replace(/\n?See more help with --help$/, '')
    .replace(/\s*\nNote: [^]*$/, '')
    // Two lines and a tab: "Parsing --port \n\tExpected an integer …".
    .replace(/^Parsing (--[\w-]+)\s+Expected (.*?) but received: (.*)$/s, '$1 must be $2, not $3')
    .replace(/^Parsing (--[\w-]+)\s+/, '$1: ')
    .replace(/^The following errors? occurred:\s+/, '')
    .replace(/^All of the following must be provided when using (--[\w-]+): (.*)$/, '$1 goes with $2 alone')
  return { code: 'FLEXI_USAGE', message, hint: flagHint(error) ?? 'See the command with --help.', faults: [] }
}

/** The fields of oclif's parse errors that its types do not export. */
interface ParseError extends Errors.CLIError {
  readonly flags?: readonly string[]
  readonly parse?: {
    readonly input?: { readonly flags?: Readonly<Record<string, Interfaces.Flag<unknown>>> }
  }
}

function flagHint(error: ParseError): string | undefined {
  const wrong = error.flags?.[0]
  if (wrong === undefined || !error.message.startsWith('Nonexistent flag')) return undefined
  const near = closest(
    wrong.replace(/^-+/, '').replace(/=.*/, ''),
    Object.keys(error.parse?.input?.flags ?? {}),
  )
  return near === undefined ? undefined : `Did you mean "--${near}"?`
}

/** What `--json` prints in place of a result. */
export interface FailureJson {
  readonly error: {
    readonly code: string
    readonly message: string
    readonly hint?: string | undefined
    readonly faults: readonly Fault[]
  }
}

export function failureJson(failure: Exclude<Failure, { kind: 'exit' }>): FailureJson {
  if (failure.kind === 'report') return { error: failure.report }
  const message =
    failure.error instanceof Error ? (failure.error.stack ?? failure.error.message) : String(failure.error)
  return { error: { code: 'FLEXI_BUG', message, faults: [] } }
}

/** Prints a failure where its reader looks: stderr for people, stdout as JSON for `--json`. Returns the exit code. */
export function printFailure(
  failure: Failure,
  about: { version: string; reportTo: string | undefined; json: boolean; root: string },
): number {
  if (failure.kind === 'exit') return failure.exit
  if (about.json) process.stdout.write(`${JSON.stringify(failureJson(failure), null, 2)}\n`)
  else process.stderr.write(`${failureLines(failure, about).join('\n')}\n`)
  return failure.exit
}

function failureLines(
  failure: Exclude<Failure, { kind: 'exit' }>,
  about: { version: string; reportTo: string | undefined; root: string },
): string[] {
  const style = { paint: paintFor(process.stderr, process.env), directory: process.cwd() }
  return failure.kind === 'report'
    ? reportLines(failure.report, style)
    : bugLines(withSourcePlaces(failure.error, about.root), style, about)
}
