import type { DevEvent } from '../core/events.ts'
import { LOG_LEVELS, type LogLevel } from '../core/log.ts'
import { projectLines } from './banner.ts'
import { duration } from './duration.ts'
import { reportLines } from './error-report.ts'
import { functionFaultLines, type FaultStyle } from './faults.ts'
import { nameColour, type Paint } from './paint.ts'
import { printable, printableOutput } from './printable.ts'
import { table } from './table.ts'

type EventOf<Name extends DevEvent['event']> = Extract<DevEvent, { event: Name }>

/** Events that are shown as lines of their own; `ready` has its banner and `request` its access line. */
export type LineEvent = Exclude<DevEvent, { event: 'ready' | 'request' }>

/** What a person sees of an event. Pure: the same event and style give the same lines. */
export function eventLines(event: LineEvent, style: FaultStyle): string[] {
  switch (event.event) {
    case 'reload':
      return [reloadLine(event, style)]
    case 'configuration':
      return configurationLines(event, style.paint)
    case 'error':
      return errorLines(event, style)
    case 'fault':
      return functionFaultLines(event, style)
    case 'log':
      return outputLines(event, style.paint)
    case 'warning':
      return [warningLine(event, style.paint)]
    case 'authority':
      return authorityLines(event, style.paint)
    case 'closing':
      // Who asked for the end knows; the session says so when it takes long.
      return []
  }
}

/** Which `--log-level` an event needs to be seen. */
function eventLevel(event: DevEvent): Exclude<LogLevel, 'silent'> {
  return event.event === 'log' ? event.level : LEVELS[event.event]
}

const LEVELS = {
  error: 'error',
  fault: 'error',
  warning: 'warn',
  ready: 'info',
  request: 'info',
  reload: 'info',
  configuration: 'info',
  authority: 'info',
  closing: 'info',
} as const satisfies Record<Exclude<DevEvent['event'], 'log'>, Exclude<LogLevel, 'silent'>>

export function isShown(event: DevEvent, level: LogLevel): boolean {
  return LOG_LEVELS[eventLevel(event)] >= LOG_LEVELS[level]
}

/** Once in the life of an authority, so it may take some lines. */
function authorityLines({ file, hints }: EventOf<'authority'>, paint: Paint): string[] {
  const rows = [['browsers', 'flexi trust --install'], ...hints.map(({ name, line }) => [name, line])]
  return [
    '  A certificate authority of your own was made. Nothing trusts it yet:',
    `  ${paint.dim(printable(file))}`,
    '',
    ...table(['WHO', 'HOW IT COMES TO TRUST IT'], rows, { paint, columns: [undefined, paint.cyan] }),
    '',
  ]
}

/** `↻ hello  src/hello.ts  14 ms` */
function reloadLine(event: EventOf<'reload'>, { paint, directory }: FaultStyle): string {
  const name = paint[nameColour(event.function)](printable(event.function))
  const files = event.files.map((file) =>
    printable(file.startsWith(`${directory}/`) ? file.slice(directory.length + 1) : file),
  )
  const shown = files.length > 3 ? [...files.slice(0, 3), `and ${files.length - 3} more`] : files
  return [
    `${paint.green('↻')} ${name}`,
    ...(shown.length === 0 ? [] : [shown.join(', ')]),
    paint.dim(duration(event.durationMs)),
  ].join('  ')
}

/** Read again, and the tables are as they were. */
export function configurationLine({ durationMs }: EventOf<'configuration'>, paint: Paint): string {
  return `${paint.green('↻')} configuration  ${paint.dim(duration(durationMs))}`
}

function configurationLines(event: EventOf<'configuration'>, paint: Paint): string[] {
  return [configurationLine(event, paint), '', ...projectLines({ ...event, paint })]
}

function errorLines(event: EventOf<'error'>, style: FaultStyle): string[] {
  const { function: name, ...report } = event
  return reportLines(
    name === undefined ? report : { ...report, message: `${name}: ${report.message}` },
    style,
  )
}

/** `hello │ what it printed`, line by line; standard error is marked, and what the platform says (START, REPORT) is dim. */
function outputLines(event: EventOf<'log'>, paint: Paint): string[] {
  const name = paint[nameColour(event.function)](printable(event.function))
  const bar = barOf(event, paint)
  return event.text.split(LINE_END).map((line) => {
    const text = printableOutput(line, paint.isColorSupported)
    return `${name} ${bar} ${event.stream === 'platform' ? paint.dim(text) : text}`
  })
}

const LINE_END = /\r?\n/

function barOf({ stream, level }: EventOf<'log'>, paint: Paint): string {
  if (stream !== 'platform' && level === 'error') return paint.red('│')
  return stream !== 'platform' && level === 'warn' ? paint.yellow('│') : paint.dim('│')
}

function warningLine(event: EventOf<'warning'>, paint: Paint): string {
  const name =
    event.function === undefined ? '' : `${paint[nameColour(event.function)](printable(event.function))}  `
  const [first = '', ...more] = event.message.split('\n').map(printable)
  return [`${paint.yellow('⚠')} ${name}${first}`, ...more.map((line) => `  ${line}`)].join('\n')
}
