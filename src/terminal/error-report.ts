import { inspect } from 'node:util'

import type { FlexiError } from '../core/errors.ts'
import type { Fault } from '../core/place.ts'
import { faultLines, type FaultStyle } from './faults.ts'
import { printable } from './printable.ts'

/** What is printed about an error, whoever threw it. */
export interface ErrorReport {
  readonly code: string
  readonly message: string
  readonly hint?: string | undefined
  readonly faults: readonly Fault[]
}

export function reportOf(error: FlexiError): ErrorReport {
  return { code: error.code, message: heading(error), hint: error.hint, faults: error.faults }
}

/** `configError` writes the faults into its message for those who print the message alone. */
function heading({ message, faults }: Pick<ErrorReport, 'message' | 'faults'>): string {
  return faults.length === 0 ? message : (message.split('\n\n', 1)[0] ?? message)
}

/** Message, code frame of every fault, hint: all a person needs to mend it, and no stack. */
export function reportLines(report: ErrorReport, style: FaultStyle): string[] {
  const { paint } = style
  const [first = '', ...more] = withoutFault(report).split('\n').map(printable)
  const lines = [
    `${paint.red('✖')} ${paint.bold(first)} ${paint.dim(report.code)}`,
    ...more.map((line) => `  ${line}`),
  ]
  for (const fault of report.faults) lines.push('', ...faultLines(fault, style).map((line) => `  ${line}`))
  if (report.hint !== undefined)
    lines.push(...(report.faults.length > 0 ? [''] : []), `  ${paint.cyan('→')} ${printable(report.hint)}`)
  return lines
}

/** Faults are shown below the message: one that holds them all, or ends with its only one, place and all, is cut there. */
function withoutFault({ message, faults }: ErrorReport): string {
  const [only, ...others] = faults
  if (only === undefined) return message
  const first = heading({ message, faults })
  if (others.length > 0) return first
  const { file, line, column } = only.place
  const cut = first.indexOf(`: ${file}:${line}:${column}`)
  return cut > 0 ? first.slice(0, cut) : first
}

/** Our own failure: the stack, and where to send it. */
export function bugLines(
  error: unknown,
  { paint }: FaultStyle,
  about: { version: string; reportTo: string | undefined },
): string[] {
  return [
    `${paint.red('✖')} ${paint.bold('flexi failed, and that is a bug in flexi.')} ${paint.dim('FLEXI_BUG')}`,
    '',
    ...stackOf(error).map((line) => `  ${paint.dim(line)}`),
    '',
    `  ${paint.cyan('→')} Please report it with these lines${about.reportTo === undefined ? '' : ` at ${about.reportTo}`}.`,
    `    flexi ${about.version}, node ${process.version}, ${process.platform}-${process.arch}`,
  ]
}

/** The stack of an error and of what caused it; anything can be thrown. */
function stackOf(error: unknown): string[] {
  if (!(error instanceof Error)) return inspect(error).split('\n')
  const own = (error.stack ?? error.message).split('\n')
  if (error.cause === undefined) return own
  const [first = '', ...rest] = stackOf(error.cause)
  return [...own, `Caused by: ${first}`, ...rest]
}
