import { isAbsolute, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

import type { FunctionFault } from '../core/function.ts'
import { partAround, type Fault } from '../core/place.ts'
import { nameColour, type Paint } from './paint.ts'
import { printable, printableOutput } from './printable.ts'

export interface FaultStyle {
  readonly paint: Paint
  /** Paths below it are shown relative to it. */
  readonly directory: string
}

/** One fault of a file as core's `formatFault` prints it, with colours: the place is clickable in editors' terminals. */
export function faultLines(fault: Fault, style: FaultStyle): string[] {
  const { paint } = style
  const { line, column } = fault.place
  const mark = fault.severity === 'warning' ? paint.yellow : paint.red
  const place = `${shortPath(printable(fault.place.file), style.directory)}:${line}:${column}`
  const lines = [`${paint.cyan(place)}  ${mark(printable(fault.message))}`]
  if (fault.text !== undefined) {
    const gutter = String(line)
    const shown = partAround(fault.text, column)
    const caret = shown.text.slice(0, shown.column - 1).replace(/[^\t]/g, ' ')
    lines.push(
      `${paint.dim(`  ${gutter} |`)} ${printableOutput(shown.text, false)}`,
      `${paint.dim(`  ${' '.repeat(gutter.length)} |`)} ${caret}${mark('^')}`,
    )
  }
  if (fault.hint !== undefined) lines.push(`  ${paint.dim(printable(fault.hint))}`)
  return lines
}

const FAULT_KINDS = {
  throw: 'threw',
  init: 'could not start',
  crash: 'crashed',
  timeout: 'timed out',
  memory: 'ran out of memory',
  result: 'returned what its caller cannot use',
  build: 'could not be built',
} as const satisfies Record<FunctionFault['kind'], string>

/** Failed user code: what, where in the user's own file, and the stack with the user's frames bright and everyone else's dim. */
export function functionFaultLines(fault: FunctionFault, style: FaultStyle): string[] {
  const { paint } = style
  const name = paint[nameColour(fault.function)](fault.function)
  const message = printable(fault.message)
  const lines = [
    `${paint.red('✖')} ${name} ${FAULT_KINDS[fault.kind]}  ${paint.red(`${printable(fault.name)}: ${message}`)}`,
  ]
  if (fault.frame !== undefined) lines.push(...frameLines(fault.frame, fault.message, style))
  lines.push(...stackLines(fault.stack ?? '', style))
  if (fault.hint !== undefined) lines.push(`  ${printable(fault.hint)}`)
  return lines
}

/** The message is already in the heading, so a frame that repeats it shows its place alone. */
function frameLines(frame: Fault, message: string, style: FaultStyle): string[] {
  const repeated = frame.message === message || frame.message === ''
  return faultLines(repeated ? { ...frame, message: '' } : frame, style).map((line) => `  ${line.trimEnd()}`)
}

/** Frames, and what caused it. */
const FRAME = /^\s+at |^\[(?:cause|errors \d+)\]: /

function stackLines(stack: string, style: FaultStyle): string[] {
  return stack
    .split('\n')
    .filter((line) => FRAME.test(line))
    .map((line) => {
      const text = `    ${printable(shortPaths(line.trim(), style.directory))}`
      return isForeign(line) ? style.paint.dim(text) : text
    })
}

function isForeign(frame: string): boolean {
  return frame.includes('node_modules') || frame.includes('node:') || frame.includes('<anonymous>)')
}

/** Every path and file URL of a stack frame that lies in the project, made relative. */
function shortPaths(frame: string, directory: string): string {
  return frame.replace(/file:\/\/[^\s)]+?(?=:\d+:\d+)/, pathOfUrl).replace(`${directory}/`, '')
}

function pathOfUrl(url: string): string {
  return URL.canParse(url) ? fileURLToPath(url) : url
}

function shortPath(file: string, directory: string): string {
  if (!isAbsolute(file)) return file
  const path = relative(directory, file)
  return path.startsWith('..') ? file : path
}
