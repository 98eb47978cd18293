import type { FunctionSummary, RouteSummary } from '../core/events.ts'
import { duration } from './duration.ts'
import { nameColour, type Paint } from './paint.ts'
import { table } from './table.ts'

export interface BannerOptions {
  readonly paint: Paint
  readonly version: string
  readonly url: string
  readonly functions: readonly FunctionSummary[]
  readonly routes: readonly RouteSummary[]
  readonly durationMs: number
  /** Addresses of this machine on its networks, for a server that listens on all of them. */
  readonly networkAddresses: readonly string[]
  readonly keys: boolean
  /** Where functions come from, when there are none yet. */
  readonly api?: string | undefined
}

/** What `flexi dev` prints when it can answer. */
export function bannerLines(options: BannerOptions): string[] {
  const { paint } = options
  const title = `${paint.bold(paint.green('flexi'))} ${paint.dim(`v${options.version}`)}`
  const lines = ['', `  ${title}  ready in ${paint.bold(duration(options.durationMs))}`, '']
  const [first, ...others] = reachableUrls(options.url, options.networkAddresses)
  lines.push(`  ${paint.green('➜')}  ${paint.bold(paint.cyan(first ?? options.url))}`)
  lines.push(...others.map((url) => `     ${paint.cyan(url)}`), '')
  lines.push(...(isAwaiting(options) ? awaitingLines(options) : projectLines(options)))
  if (options.keys) lines.push(`  ${paint.dim('press')} h ${paint.dim('for the keys')}`, '')
  return lines
}

function isAwaiting({ api, functions, routes }: BannerOptions): boolean {
  return api !== undefined && functions.length + routes.length === 0
}

/** An SDK's variable is what people copy. */
function awaitingLines({ paint, api }: BannerOptions): string[] {
  return [
    '  no function yet: make one with an AWS SDK or the aws command line',
    `  ${paint.cyan(`export AWS_ENDPOINT_URL=${api}`)}`,
    '',
  ]
}

export interface ProjectTables {
  readonly paint: Paint
  readonly functions: readonly FunctionSummary[]
  readonly routes: readonly RouteSummary[]
}

/** The two tables every command shows a project with; a blank line after each. */
export function projectLines({ paint, functions, routes }: ProjectTables): string[] {
  const lines: string[] = []
  if (functions.length > 0) lines.push(...functionTable(functions, paint), '')
  if (routes.length > 0) lines.push(...routeTable(routes, paint), '')
  if (lines.length === 0)
    lines.push(`  ${paint.yellow('nothing to serve: no function and no route was found')}`, '')
  return lines
}

function functionTable(functions: readonly FunctionSummary[], paint: Paint): string[] {
  const rows = functions.map((one) => [one.name, one.provider, one.url === '' ? '' : ownUrl(one)])
  const name = (text: string): string => paint[nameColour(text.trimEnd())](text)
  const heading = functions.some((one) => one.url !== '')
    ? ['FUNCTION', 'PROVIDER', 'ITS OWN ADDRESS']
    : ['FUNCTION', 'PROVIDER']
  return table(
    heading,
    rows.map((row) => row.slice(0, heading.length)),
    { paint, columns: [name, undefined, paint.cyan] },
  )
}

function routeTable(routes: readonly RouteSummary[], paint: Paint): string[] {
  return table(
    ['ROUTE', 'TARGET'],
    routes.map((route) => [route.pattern, route.target]),
    { paint },
  )
}

const LOOPBACK = new Set(['127.0.0.1', 'localhost', '[::1]'])
const EVERYWHERE = new Set(['0.0.0.0', '[::]'])

/** `NAME.localhost` is what people type; other addresses have no names below them, so the path form is shown there. */
function ownUrl({ name, url, port: own }: FunctionSummary): string {
  if (!URL.canParse(url)) return url
  const { protocol, hostname, port } = new URL(url)
  if (own !== undefined) return `${protocol}//localhost:${own}/`
  if (!LOOPBACK.has(hostname) && !EVERYWHERE.has(hostname)) return url
  return `${protocol}//${name.toLowerCase()}.localhost${port === '' ? '' : `:${port}`}/`
}

/** The addresses a browser can open: `0.0.0.0` is none, so it becomes localhost and every address of the machine. */
export function reachableUrls(url: string, networkAddresses: readonly string[]): string[] {
  if (!URL.canParse(url)) return [url]
  const { protocol, hostname, port } = new URL(url)
  if (!EVERYWHERE.has(hostname)) return [new URL(url).href]
  const suffix = port === '' ? '/' : `:${port}/`
  return ['localhost', ...networkAddresses].map((host) => `${protocol}//${host}${suffix}`)
}
