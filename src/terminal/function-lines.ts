import { age } from './age.ts'
import type { Paint } from './paint.ts'
import { printable } from './printable.ts'
import { table } from './table.ts'

/** A version of a function, as people see it. Times are milliseconds since the epoch. */
export interface VersionLine {
  readonly version: string
  readonly state: string
  readonly instances: number
  readonly inFlight: number
  readonly since: number
  readonly restarts: number
  readonly lastExit?: string | undefined
  readonly aliases: readonly string[]
}

export interface AliasLine {
  readonly alias: string
  readonly version: string
  readonly second?: { readonly version: string; readonly weight: number } | undefined
}

/** `next` is when it is due; undefined when it is over. */
interface ScheduleLine {
  readonly expression: string
  readonly timeZone?: string | undefined
  readonly next?: number | undefined
}

export interface FunctionLines {
  readonly name: string
  readonly project?: string | undefined
  readonly provider: string
  readonly group?: string | undefined
  readonly url: string
  readonly createdAt: number
  readonly createdBy: string
  readonly aliases: readonly AliasLine[]
  readonly schedules: readonly ScheduleLine[]
  readonly statuses: readonly VersionLine[]
}

export const STATUS_HEADING = [
  'VERSION',
  'STATE',
  'SINCE',
  'INSTANCES',
  'REQUESTS',
  'RESTARTS',
  'ALIASES',
  'LAST EXIT',
]

export function statusRows(statuses: readonly VersionLine[], now: number): string[][] {
  return statuses.map(({ version, state, since, instances, inFlight, restarts, aliases, lastExit }) => [
    version,
    state,
    age(since, now),
    String(instances),
    String(inFlight),
    String(restarts),
    aliases.join(', '),
    lastExit ?? '',
  ])
}

/** `v3`, or `v3 95 %, v4 5 %` while a canary runs. */
export function aliasText({ version, second }: Omit<AliasLine, 'alias'>): string {
  if (second === undefined) return version
  return `${version} ${percent(1 - second.weight)}, ${second.version} ${percent(second.weight)}`
}

/** `0 7 * * * Europe/Berlin, next 2026-01-02 06:00 UTC` */
function scheduleText({ expression, timeZone, next }: ScheduleLine): string {
  const zone = timeZone === undefined ? '' : ` ${timeZone}`
  const when =
    next === undefined ? 'over' : `next ${new Date(next).toISOString().replace('T', ' ').slice(0, 16)} UTC`
  return `${expression}${zone}, ${when}`
}

/** 0.05 → `5 %`. */
function percent(share: number): string {
  return `${Number((share * 100).toFixed(2))} %`
}

/** All of a function on one screen. */
export function functionDetailLines(
  shown: FunctionLines,
  { paint, now }: { readonly paint: Paint; readonly now: number },
): string[] {
  const row = (name: string, value: string): string => `  ${paint.dim(name.padEnd(8))}  ${printable(value)}`
  return [
    `${paint.bold(printable(shown.name))}  ${paint.cyan(printable(shown.url))}`,
    row('provider', shown.provider),
    ...(shown.project === undefined ? [] : [row('project', shown.project)]),
    ...(shown.group === undefined ? [] : [row('group', shown.group)]),
    row('made', `${age(shown.createdAt, now)} by ${shown.createdBy}`),
    ...shown.aliases.map((one, index) =>
      row(index === 0 ? 'aliases' : '', `${one.alias} → ${aliasText(one)}`),
    ),
    ...shown.schedules.map((one, index) => row(index === 0 ? 'runs at' : '', scheduleText(one))),
    '',
    ...table(STATUS_HEADING, statusRows(shown.statuses, now), { paint, columns: [paint.cyan] }),
  ]
}
