import { isRecord, parseJson } from '../extensions/api-request.ts'

const EVENT_TYPES = ['platform', 'function', 'extension'] as const
export type EventCategory = (typeof EVENT_TYPES)[number]

/** What an extension asks to be sent, and how. */
export interface Subscription {
  readonly api: 'telemetry' | 'logs'
  readonly schemaVersion: string
  readonly types: readonly EventCategory[]
  readonly destination:
    | { readonly protocol: 'HTTP'; readonly method: 'POST' | 'PUT'; readonly url: URL }
    | { readonly protocol: 'TCP'; readonly port: number }
  readonly buffering: Buffering
}

interface Buffering {
  readonly maxItems: number
  readonly maxBytes: number
  readonly timeoutMs: number
}

type Bounds = readonly [least: number, most: number, otherwise: number]

const BUFFERING = {
  maxItems: [1000, 10_000, 10_000],
  maxBytes: [262_144, 1_048_576, 262_144],
  timeoutMs: [25, 30_000, 1000],
} as const satisfies Record<keyof Buffering, Bounds>

const SCHEMAS = {
  telemetry: ['2022-07-01', '2022-12-13', '2025-01-29'],
  logs: ['2020-08-15', '2021-03-18'],
} as const

/** Names by which an extension may call the machine it runs on. */
const HOSTS = new Set(['sandbox.localdomain', 'sandbox', 'localhost', '127.0.0.1'])

/** @returns the subscription, or everything that is wrong with it. Source: Lambda guide, Telemetry API reference; Logs API. */
export function parseSubscription(
  body: Buffer,
  api: Subscription['api'],
): Subscription | { readonly faults: readonly string[] } {
  const json = parseJson(body)
  if (!isRecord(json)) return { faults: ['the request body is no JSON object'] }
  const faults: string[] = []
  const schemaVersion = schemaOf(json['schemaVersion'], api, faults)
  const types = typesOf(json['types'], faults)
  const destination = destinationOf(json['destination'], faults)
  const buffering = bufferingOf(json['buffering'] ?? {}, faults)
  return faults.length > 0 || destination === undefined
    ? { faults }
    : { api, schemaVersion, types, destination, buffering }
}

function schemaOf(value: unknown, api: Subscription['api'], faults: string[]): string {
  const known: readonly string[] = SCHEMAS[api]
  // The Logs API had no versions at first.
  if (value === undefined && api === 'logs') return '2020-08-15'
  if (typeof value === 'string' && known.includes(value)) return value
  faults.push(`schemaVersion should be one of ${known.join(', ')}`)
  return ''
}

function typesOf(value: unknown, faults: string[]): readonly EventCategory[] {
  const types = Array.isArray(value) ? value : []
  if (types.length === 0) faults.push('types should not be empty')
  for (const type of types)
    if (!EVENT_TYPES.some((known) => known === type)) faults.push(`type ${String(type)} is not supported`)
  return EVENT_TYPES.filter((type) => types.includes(type))
}

function destinationOf(value: unknown, faults: string[]): Subscription['destination'] | undefined {
  const destination = isRecord(value) ? value : {}
  if (destination['protocol'] === 'TCP') {
    const port = destination['port']
    if (isPort(port)) return { protocol: 'TCP', port }
    faults.push('destination port should be between 1 and 65535')
    return undefined
  }
  if (destination['protocol'] !== 'HTTP') {
    faults.push('destination protocol should be HTTP or TCP')
    return undefined
  }
  return httpDestination(destination, faults)
}

function httpDestination(
  { URI, method = 'POST', encoding = 'JSON' }: Readonly<Record<string, unknown>>,
  faults: string[],
): Subscription['destination'] | undefined {
  if (encoding !== 'JSON') faults.push('destination encoding should be JSON')
  const url = urlOf(URI, faults)
  if (method === 'POST' || method === 'PUT')
    return url === undefined ? undefined : { protocol: 'HTTP', method, url }
  faults.push('destination method should be POST or PUT')
  return undefined
}

function urlOf(value: unknown, faults: string[]): URL | undefined {
  const url = typeof value === 'string' && URL.canParse(value) ? new URL(value) : undefined
  if (url?.protocol !== 'http:') faults.push('destination URI should be an http URL')
  else if (url.port === '') faults.push('destination URI port is not provided')
  else if (!HOSTS.has(url.hostname)) faults.push('destination URI host should be sandbox.localdomain')
  else return Object.assign(url, { hostname: '127.0.0.1' })
  return undefined
}

function isPort(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value > 0 && value < 65_536
}

function bufferingOf(value: unknown, faults: string[]): Buffering {
  if (!isRecord(value)) faults.push('buffering should be an object')
  const given = isRecord(value) ? value : {}
  const read = (key: keyof Buffering): number => {
    const [least, most, otherwise]: Bounds = BUFFERING[key]
    const number = given[key] ?? otherwise
    if (typeof number === 'number' && number >= least && number <= most) return number
    faults.push(`buffering ${key} should be between ${least} and ${most}`)
    return otherwise
  }
  return { maxItems: read('maxItems'), maxBytes: read('maxBytes'), timeoutMs: read('timeoutMs') }
}
